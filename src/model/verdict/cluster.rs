//! Looking for everything that is not as it should be, the most severe first.

use super::machines::{Ec2, Machine, is_explained};
use super::reason::{CERTIFICATE_DAYS, Named, Reason, Source};
use super::seen::{Etcd, Seen};
use crate::model::group::Ec2State;
use crate::model::identity::{Identity, Mismatch};
use crate::model::ids::{InstanceId, Uid};
use crate::model::members::{Member, Members};
use crate::model::record::{ClusterRecord, State};
use crate::model::registration::{Phase, Registration};

/// What is to be said while there is no cluster.
pub(super) fn before(seen: &Seen, machines: &[Machine<'_>]) -> Vec<Reason> {
    let record = seen.record.as_ref().ok().and_then(Option::as_ref);
    let holder = record.and_then(ClusterRecord::holder);
    let gone = machines.iter().find(|m| m.is_gone() && holder.is_some_and(|holder| holder.instance == *m.instance));
    let mut found: Vec<Reason> = gone.map(|machine| Reason::HolderGone(machine.instance.clone())).into_iter().collect();
    found.extend(group(seen));
    if let Ok(Some(group)) = &seen.group
        && holder.is_none()
    {
        let (candidates, expected) = (group.candidates().len(), expected_size(seen, group.desired));
        if candidates != expected {
            found.push(Reason::GroupIncomplete { candidates, expected });
        }
    }
    found.extend(unknown(Source::Registrations, &seen.registrations));
    found
}

/// What keeps a cluster from being healthy.
pub(super) fn reasons(seen: &Seen, machines: &[Machine<'_>]) -> Vec<Reason> {
    let mut found = other_clusters(seen, machines);
    found.extend(record(seen));
    found.extend(unknown(Source::Etcd, &seen.etcd));
    match &seen.etcd {
        Ok(Etcd::Stacked { members, .. }) => {
            found.extend(silent(members, machines));
            found.extend(members.0.iter().flat_map(|member| odd(seen, member, machines)));
            found.extend(not_voters(machines, |machine| machine.member.is_some()));
            found.extend(voter_count(seen, members));
        }
        Ok(Etcd::External) => {
            let joined = |machine: &Machine<'_>| machine.says().is_some_and(|says| says.phase == Phase::Joined);
            found.extend(not_voters(machines, joined));
        }
        Ok(Etcd::Silent { why, .. }) => found.push(Reason::Unknown { source: Source::Etcd, why: why.clone() }),
        Err(_) => {}
    }
    found.extend(api_servers(seen, machines));
    found.extend(group(seen));
    found.extend(unknown(Source::Ec2, &seen.ec2));
    found.extend(unknown(Source::Registrations, &seen.registrations));
    found.extend(hash(seen));
    found.extend(certificates(seen));
    found
}

/// Whether etcd answers as a cluster that works.
pub(super) fn has_quorum(seen: &Seen) -> bool {
    matches!(&seen.etcd, Ok(Etcd::Stacked { members, certain, .. }) if *certain || members.has_quorum())
}

/// How many machines ever had a vote, if EC2 says that every one of them is gone. Who is missing in the answer counts
/// only if the answer shows somebody running: one of another Region or account shows nobody.
pub(super) fn lost_voters(seen: &Seen, machines: &[Machine<'_>]) -> Option<usize> {
    let credible = seen.ec2.as_ref().ok()?.values().any(|state| *state == Ec2State::Running);
    let initialised_by = seen.record.as_ref().ok()?.as_ref()?.published().map(|published| &published.initialised_by);
    seen.registrations.as_ref().ok()?;
    let voters: Vec<_> = machines
        .iter()
        .filter(|machine| {
            Some(machine.instance) == initialised_by || machine.says().is_some_and(Registration::was_voter)
        })
        .collect();
    let gone = |machine: &&Machine<'_>| machine.is_gone() || (credible && machine.ec2 == Ec2::Absent);
    (!voters.is_empty() && voters.iter().all(gone)).then_some(voters.len())
}

fn unknown<T>(source: Source, answer: &Result<T, String>) -> Option<Reason> {
    answer.as_ref().err().map(|why| Reason::Unknown { source, why: why.clone() })
}

fn published(seen: &Seen) -> Option<&crate::model::record::Published> {
    seen.record.as_ref().ok()?.as_ref()?.published()
}

/// API servers that serve another cluster than the record's, or without a record than the first that answers.
fn other_clusters(seen: &Seen, machines: &[Machine<'_>]) -> Vec<Reason> {
    let served: Vec<(&InstanceId, &Uid)> = machines
        .iter()
        .filter_map(|machine| Some((machine.instance, machine.api_server?.kube_system_uid.as_ref().ok()?)))
        .collect();
    let recorded = published(seen).map(|published| &published.kube_system_uid);
    let Some(expected) = recorded.or_else(|| served.first().map(|(_, uid)| *uid)) else { return Vec::new() };
    let others = served.into_iter().filter(|(_, uid)| *uid != expected);
    let reason = |(instance, uid): (&InstanceId, &Uid)| Reason::OtherCluster {
        instance: instance.clone(),
        found: uid.clone(),
        expected: expected.clone(),
    };
    others.map(reason).collect()
}

/// The record is not known, not there, given up, or another's.
fn record(seen: &Seen) -> Option<Reason> {
    match &seen.record {
        Err(_) => unknown(Source::Record, &seen.record),
        Ok(None) => Some(Reason::RecordMissing),
        Ok(Some(record)) => match (&record.state, identity_mismatch(seen, record)) {
            (State::Retired(_), _) => Some(Reason::RecordRetired),
            (State::Ready(_) | State::Initializing { .. }, Some(Mismatch::Settings(found))) => {
                Some(Reason::OtherSettings(found))
            }
            (State::Ready(_) | State::Initializing { .. }, Some(Mismatch::Group(found))) => {
                Some(Reason::OtherGroup(found))
            }
            (State::Ready(_) | State::Initializing { .. }, None) => None,
        },
    }
}

/// How the record differs from what is known here; what is not known does not differ.
fn identity_mismatch(seen: &Seen, record: &ClusterRecord) -> Option<Mismatch> {
    let recorded = &record.identity;
    let machine = seen.here.machine.as_ref().ok();
    let group = seen.group.as_ref().ok().and_then(Option::as_ref);
    let here = Identity {
        account: machine.map_or(&recorded.account, |machine| &machine.account).clone(),
        region: machine.map_or(&recorded.region, |machine| &machine.region).clone(),
        group_arn: group.map_or(&recorded.group_arn, |group| &group.arn).clone(),
        endpoint: seen.here.endpoint.clone(),
        service_subnet: seen.here.service_subnet.as_ref().unwrap_or(&recorded.service_subnet).clone(),
    };
    recorded.mismatch(&here)
}

/// Voters that do not answer, with what EC2 says of their machines.
fn silent(members: &Members, machines: &[Machine<'_>]) -> Vec<Reason> {
    let silent = members.voters().filter(|member| member.is_started() && !member.answers);
    let reason = |member: &Member| {
        let machine = machines.iter().find(|machine| machine.member == Some(member));
        let ec2 = machine.and_then(|machine| match machine.ec2 {
            Ec2::Unknown => None,
            Ec2::Absent => Some("that there is no such instance".to_owned()),
            Ec2::State(state) => Some(format!("that its machine is {state}")),
        });
        Reason::MemberSilent { member: named(member, machines), ec2 }
    };
    silent.map(reason).collect()
}

/// What is odd about a member beside its silence.
fn odd(seen: &Seen, member: &Member, machines: &[Machine<'_>]) -> Vec<Reason> {
    let mut found = Vec::new();
    if !member.is_started() {
        found.push(Reason::MemberNotStarted(named(member, machines)));
    } else if member.learner {
        found.push(Reason::MemberLearner(named(member, machines)));
    }
    if seen.registrations.is_ok() && !is_explained(member, machines) {
        found.push(Reason::MemberUnexplained(named(member, machines)));
    }
    let report = machines.iter().find(|machine| machine.member == Some(member)).and_then(|machine| machine.report);
    // Without a quorum every member complains that there is no leader.
    if let Some(report) = report.filter(|report| !report.errors.is_empty() && has_quorum(seen)) {
        found.push(Reason::MemberComplains { member: named(member, machines), what: report.errors.join("; ") });
    }
    found
}

fn named(member: &Member, machines: &[Machine<'_>]) -> Named {
    let machine = machines.iter().find(|machine| machine.member == Some(member));
    Named::of(member, machine.map(|machine| machine.instance))
}

/// Live candidates that have no vote. Members without one have a reason of their own.
fn not_voters(machines: &[Machine<'_>], is_member: impl Fn(&Machine<'_>) -> bool) -> Vec<Reason> {
    let without = machines.iter().filter(|machine| machine.is_live_candidate() && !is_member(machine));
    without.map(|machine| Reason::NotAVoter { instance: machine.instance.clone(), says: says(machine) }).collect()
}

/// What a machine says about why it has no vote.
fn says(machine: &Machine<'_>) -> String {
    let Some(registration) = machine.registration else {
        return "it has not said anything yet; is 'kubeboot up' running there?".into();
    };
    match registration {
        Err(why) => format!("what it says about itself cannot be read: {why}"),
        Ok(says) => match (says.phase, &says.waits_for, &says.last_error) {
            (Phase::Failed, _, Some(error)) => format!("it failed: {error}"),
            (Phase::Waiting, Some(what), _) => format!("it waits for {what}"),
            (phase, ..) => format!("it says '{}' since {}", phase.as_str(), says.since),
        },
    }
}

fn voter_count(seen: &Seen, members: &Members) -> Option<Reason> {
    let group = seen.group.as_ref().ok().and_then(Option::as_ref);
    let expected = seen.here.expected_size.or(group.map(|group| group.desired))?;
    let voters = members.voters().filter(|member| member.is_started()).count();
    (voters != expected).then_some(Reason::VoterCount { voters, expected })
}

/// API servers that are not ready although etcd answers beside them. A machine that is no voter yet has none, one that
/// is silent altogether has a reason already, and without a quorum none is ready.
fn api_servers(seen: &Seen, machines: &[Machine<'_>]) -> Vec<Reason> {
    if let Some(reason) = unknown(Source::ApiServers, &seen.api_servers) {
        // On a machine without credentials both say the same.
        return if seen.api_servers.as_ref().err() == seen.etcd.as_ref().err() { Vec::new() } else { vec![reason] };
    }
    let (external, quorum) = (matches!(seen.etcd, Ok(Etcd::External)), has_quorum(seen));
    let serves = |machine: &&Machine<'_>| match machine.member {
        Some(member) => quorum && member.is_started_voter() && member.answers,
        None => external && machine.is_live_candidate(),
    };
    let reason = |machine: &Machine<'_>| {
        let why = machine.api_server?.ready.as_ref().err()?.clone();
        Some(Reason::ApiServer { instance: machine.instance.clone(), why })
    };
    machines.iter().filter(serves).filter_map(reason).collect()
}

fn group(seen: &Seen) -> Option<Reason> {
    match &seen.group {
        Ok(Some(_)) => None,
        Ok(None) => Some(Reason::GroupMissing),
        Err(_) => unknown(Source::Group, &seen.group),
    }
}

fn expected_size(seen: &Seen, desired: usize) -> usize {
    seen.here.expected_size.unwrap_or(desired)
}

fn hash(seen: &Seen) -> Option<Reason> {
    let recorded = published(seen)?.ca_hashes.join("\n");
    match &seen.hash {
        Ok(Some(hash)) if hash.trim_end() == recorded => None,
        Ok(_) => Some(Reason::HashDiffers),
        Err(_) => unknown(Source::Hash, &seen.hash),
    }
}

fn certificates(seen: &Seen) -> Vec<Reason> {
    match &seen.here.certificates {
        Err(_) => unknown(Source::Certificates, &seen.here.certificates).into_iter().collect(),
        Ok(all) => {
            let soon = all.iter().filter(|certificate| certificate.days < CERTIFICATE_DAYS);
            soon.map(|found| Reason::Certificate { file: found.file.clone(), days: found.days }).collect()
        }
    }
}
