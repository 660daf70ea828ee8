//! Finds everything that is wrong, the most severe first.

use super::endpoint;
use super::input::{Etcd, SnapshotStatus, StatusInput};
use super::machines::{Ec2Answer, StatusMachine, is_explained};
use super::nodes;
use super::reason::{CERTIFICATE_DAYS, RetainedAs, StatusReason, StatusSource, unknown};
use super::record::{data, lost_files, missing, record, went_back};
use super::upgrade;
use super::zones;
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::{InstanceId, Uid};
use crate::model::membership::alike::unlike;
use crate::model::membership::member_name::MemberName;
use crate::model::membership::members::{Member, Members};
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::record::cluster::ClusterRecord;
use crate::model::snapshot::Freshness;
use crate::model::snapshot::age::INTERVALS;

/// The reasons while there is no cluster.
pub(super) fn without_cluster(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Vec<StatusReason> {
    let record = input.record.as_ref().ok().and_then(Option::as_ref);
    let holder = record.and_then(ClusterRecord::holder);
    let gone = machines.iter().find(|m| m.is_gone() && holder.is_some_and(|holder| holder.instance == *m.instance));
    let mut found: Vec<StatusReason> = went_back(input, machines).into_iter().chain(data(input)).collect();
    if input.record_deleted {
        found.push(missing(machines));
    }
    if !input.beside.is_empty() {
        found.push(StatusReason::ClusterAnswers(input.beside.clone()));
    }
    found.extend(gone.map(|machine| StatusReason::HolderGone(machine.instance.clone())));
    found.extend(group(input));
    if let Ok(Some(group)) = &input.group
        && holder.is_none()
    {
        let (candidates, expected) = (group.candidates().len(), expected_size(input, group.desired));
        if candidates != expected {
            found.push(StatusReason::GroupIncomplete { candidates, expected });
        }
    }
    found.extend(unknown(StatusSource::Registrations, &input.registrations));
    found
}

/// The reasons why a cluster is not healthy.
pub(super) fn reasons(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Vec<StatusReason> {
    let mut found = other_clusters(input, machines);
    found.extend(endpoint::reasons(input));
    found.extend(went_back(input, machines));
    found.extend(record(input, machines));
    found.extend(data(input));
    found.extend(lost_files(input));
    if !input.without_claim.is_empty() {
        found.push(StatusReason::EtcdClaimMissing(input.without_claim.clone()));
    }
    found.extend(unknown(StatusSource::Etcd, &input.etcd));
    match &input.etcd {
        Ok(Etcd::Stacked { members, .. }) => {
            found.extend(silent(input, members, machines));
            found.extend(members.0.iter().flat_map(|member| member_reasons(input, member, machines)));
            found.extend(not_voters(machines, |machine| machine.member.is_some()));
            found.extend(voter_count(input, members));
            found.extend(zones::reasons(input, machines));
        }
        Ok(Etcd::External) => {
            let joined = |machine: &StatusMachine<'_>| {
                machine.registered().is_some_and(|says| says.phase == RegistrationPhase::Joined)
            };
            found.extend(not_voters(machines, joined));
        }
        Ok(Etcd::Silent { why, .. }) => {
            found.push(StatusReason::Unknown { source: StatusSource::Etcd, why: why.clone() })
        }
        Err(_) => {}
    }
    found.extend(api_servers(input, machines));
    found.extend(nodes::reasons(input, machines));
    let credible = input.leaves_out_only_what_is_gone();
    let living = machines.iter().filter(|machine| !machine.is_past(credible)).filter_map(StatusMachine::registered);
    found.extend(unlike(living).into_iter().map(StatusReason::MachinesDiffer));
    found.extend(machines.iter().filter_map(|machine| retained(input, machine)));
    found.extend(group(input));
    found.extend(unknown(StatusSource::Ec2, &input.ec2));
    found.extend(unknown(StatusSource::Registrations, &input.registrations));
    found.extend(hash(input));
    found.extend(snapshots(input));
    found.extend(upgrade::reason(input));
    found.extend(certificates(input));
    found
}

/// Whether the last snapshot of etcd is too old.
fn snapshots(input: &StatusInput) -> Option<StatusReason> {
    let Ok(Some(SnapshotStatus { age, interval, .. })) = &input.snapshots else {
        return unknown(StatusSource::Snapshots, &input.snapshots);
    };
    let allowed = interval.saturating_mul(INTERVALS);
    match age.judged(*interval) {
        Freshness::Late => Some(StatusReason::SnapshotLate { missing: false, allowed }),
        Freshness::Missing => Some(StatusReason::SnapshotLate { missing: true, allowed }),
        Freshness::Off | Freshness::Fresh | Freshness::Due => None,
    }
}

/// Whether etcd has a quorum.
pub(super) fn has_quorum(input: &StatusInput) -> bool {
    matches!(&input.etcd, Ok(Etcd::Stacked { members, certain, .. }) if *certain || members.has_quorum())
}

/// How many machines ever had a vote, if EC2 says that every one of them is gone.
pub(super) fn lost_voters(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Option<usize> {
    input.ec2.as_ref().ok()?;
    let credible = input.leaves_out_only_what_is_gone();
    let initialised_by = input.record.as_ref().ok()?.as_ref()?.published().map(|published| &published.initialised_by);
    input.registrations.as_ref().ok()?;
    let voters: Vec<_> = machines
        .iter()
        .filter(|machine| {
            Some(machine.instance) == initialised_by || machine.registered().is_some_and(Registration::was_voter)
        })
        .collect();
    let gone = |machine: &&StatusMachine<'_>| machine.is_past(credible);
    (!voters.is_empty() && voters.iter().all(gone)).then_some(voters.len())
}

fn published(input: &StatusInput) -> Option<&crate::model::record::cluster::Published> {
    input.record.as_ref().ok()?.as_ref()?.published()
}

/// API servers that serve another cluster than the record's; without a record, another than the first one that answers.
fn other_clusters(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Vec<StatusReason> {
    let served: Vec<(&InstanceId, &Uid)> = machines
        .iter()
        .filter_map(|machine| Some((machine.instance, machine.api_server?.kube_system_uid.as_ref().ok()?)))
        .collect();
    let recorded = published(input).map(|published| &published.kube_system_uid);
    let Some(expected) = recorded.or_else(|| served.first().map(|(_, uid)| *uid)) else { return Vec::new() };
    let others = served.into_iter().filter(|(_, uid)| *uid != expected);
    let reason = |(instance, uid): (&InstanceId, &Uid)| StatusReason::OtherCluster {
        instance: instance.clone(),
        found: uid.clone(),
        expected: expected.clone(),
    };
    others.map(reason).collect()
}

/// Voters that do not answer, with what EC2 says of their machines; and machines at which another member answers in their place.
fn silent(input: &StatusInput, members: &Members, machines: &[StatusMachine<'_>]) -> Vec<StatusReason> {
    let silent = members.voters().filter(|member| member.is_started() && !member.answers);
    let reason = |member: &Member| {
        let machine = machines.iter().find(|machine| machine.member == Some(member));
        if let Some(found) = machine.and_then(|machine| machine.answers_as) {
            return StatusReason::AnswersAsAnother { member: named(member, machines), found };
        }
        let ec2 = machine.and_then(|machine| match machine.ec2 {
            Ec2Answer::Unknown => None,
            Ec2Answer::Absent => Some("that there is no such instance".to_owned()),
            Ec2Answer::State(state) => Some(format!("that its machine is {state}")),
        });
        let may_run = machine.is_some_and(|machine| match machine.ec2 {
            Ec2Answer::State(state) => *state == Ec2State::Running,
            Ec2Answer::Unknown => true,
            Ec2Answer::Absent => false,
        });
        StatusReason::MemberSilent { member: named(member, machines), ec2, may_reset: may_run && has_quorum(input) }
    };
    silent.map(reason).collect()
}

/// What is wrong with a member, except that it does not answer.
fn member_reasons(input: &StatusInput, member: &Member, machines: &[StatusMachine<'_>]) -> Vec<StatusReason> {
    let mut found = Vec::new();
    if !member.is_started() {
        found.push(StatusReason::MemberNotStarted(named(member, machines)));
    } else if member.learner {
        found.push(StatusReason::MemberLearner(named(member, machines)));
    }
    if input.registrations.is_ok() && !is_explained(member, machines) {
        found.push(StatusReason::MemberUnexplained(named(member, machines)));
    }
    let report = machines.iter().find(|machine| machine.member == Some(member)).and_then(|machine| machine.report);
    // Without a quorum every member reports that there is no leader.
    if let Some(report) = report.filter(|report| !report.errors.is_empty() && has_quorum(input)) {
        found.push(StatusReason::MemberComplains { member: named(member, machines), what: report.errors.join("; ") });
    }
    found
}

fn named(member: &Member, machines: &[StatusMachine<'_>]) -> MemberName {
    let machine = machines.iter().find(|machine| machine.member == Some(member));
    MemberName::of(member, machine.map(|machine| machine.instance))
}

/// Candidates that are no members and not gone. Members without a vote have a reason of their own.
fn not_voters(machines: &[StatusMachine<'_>], is_member: impl Fn(&StatusMachine<'_>) -> bool) -> Vec<StatusReason> {
    let without = machines.iter().filter(|machine| machine.is_live_candidate() && !is_member(machine));
    without
        .map(|machine| StatusReason::NotAVoter { instance: machine.instance.clone(), why: why_no_vote(machine) })
        .collect()
}

/// A machine that its group has kept, and what it still is in the cluster.
fn retained(input: &StatusInput, machine: &StatusMachine<'_>) -> Option<StatusReason> {
    let is_retained = machine.group.is_some_and(|member| member.lifecycle.is_retained());
    if !is_retained || machine.is_gone() {
        return None;
    }
    let has_left = machine.registered().is_some_and(Registration::is_finished);
    let membership = match (&input.etcd, machine.member) {
        (_, Some(_)) => RetainedAs::Member,
        (Ok(Etcd::Stacked { .. } | Etcd::External), None) if has_left => RetainedAs::Left,
        (Ok(Etcd::External), None) if machine.registered().is_some() => RetainedAs::Member,
        (Ok(Etcd::Stacked { .. } | Etcd::External | Etcd::Silent { .. }) | Err(_), None) => RetainedAs::Unclear,
    };
    Some(StatusReason::Retained { instance: machine.instance.clone(), membership })
}

/// Why a machine has no vote, by its registration.
fn why_no_vote(machine: &StatusMachine<'_>) -> String {
    let Some(registration) = machine.registration else {
        return "it has not registered: see whether 'kubeboot up' runs there".into();
    };
    match registration {
        Err(why) => format!("its registration cannot be read: {why}"),
        Ok(says) => match (says.phase, &says.waits_for, &says.last_error) {
            (RegistrationPhase::Failed, _, Some(error)) => format!("it failed: {error}"),
            (RegistrationPhase::Waiting, Some(what), _) => format!("it waits for {what}"),
            (phase, ..) => format!("it has been '{}' since {}", phase.as_str(), says.since),
        },
    }
}

fn voter_count(input: &StatusInput, members: &Members) -> Option<StatusReason> {
    let group = input.group.as_ref().ok().and_then(Option::as_ref);
    let expected = input.here.expected_size.or(group.map(|group| group.desired))?;
    let voters = members.voters().filter(|member| member.is_started()).count();
    (voters != expected).then_some(StatusReason::VoterCount { voters, expected })
}

/// API servers that are not ready although etcd answers on the same machine. Left out: machines that are no voters, machines whose
/// etcd does not answer either, and all of them without a quorum, since then none is ready.
fn api_servers(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Vec<StatusReason> {
    if let Some(reason) = unknown(StatusSource::ApiServers, &input.api_servers) {
        // On a machine without credentials both errors are the same; one is enough.
        return if input.api_servers.as_ref().err() == input.etcd.as_ref().err() { Vec::new() } else { vec![reason] };
    }
    let (external, quorum) = (matches!(input.etcd, Ok(Etcd::External)), has_quorum(input));
    let serves = |machine: &&StatusMachine<'_>| match machine.member {
        Some(member) => quorum && member.is_started_voter() && member.answers,
        None => external && machine.is_live_candidate(),
    };
    let reason = |machine: &StatusMachine<'_>| {
        let why = machine.api_server?.ready.as_ref().err()?.clone();
        Some(StatusReason::ApiServer { instance: machine.instance.clone(), why })
    };
    machines.iter().filter(serves).filter_map(reason).collect()
}

fn group(input: &StatusInput) -> Option<StatusReason> {
    match &input.group {
        Ok(Some(_)) => None,
        Ok(None) => Some(StatusReason::GroupMissing),
        Err(_) => unknown(StatusSource::Group, &input.group),
    }
}

fn expected_size(input: &StatusInput, desired: usize) -> usize {
    input.here.expected_size.unwrap_or(desired)
}

fn hash(input: &StatusInput) -> Option<StatusReason> {
    let recorded = published(input)?.hash_line();
    match &input.hash {
        Ok(Some(hash)) if hash.trim_end() == recorded => None,
        Ok(_) => Some(StatusReason::HashDiffers),
        Err(_) => unknown(StatusSource::Hash, &input.hash),
    }
}

fn certificates(input: &StatusInput) -> Vec<StatusReason> {
    match &input.here.certificates {
        Err(_) => unknown(StatusSource::Certificates, &input.here.certificates).into_iter().collect(),
        Ok(all) => {
            let soon = all.iter().filter(|certificate| certificate.days < CERTIFICATE_DAYS);
            soon.map(|found| StatusReason::Certificate { file: found.file.clone(), days: found.days }).collect()
        }
    }
}
