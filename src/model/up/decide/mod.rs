//! One observation in, one step out.

use crate::model::machine::election::{claim_delay, matches, rank};
use crate::model::machine::group::{Ec2State, Group};
use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::machine::local::{Local, Stage};
use crate::model::membership::later_truth::LaterTruth;
use crate::model::membership::registration::{Registration, witnesses};
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::former_cluster::FormerCluster;
use crate::model::record::identity::Mismatch;
use crate::model::record::view::RecordView;
use crate::model::up::snapshot::{ApiServerProbe, Policy, Snapshot};
use crate::model::up::step::{Over, StandBy, Step, Stop, TakeOver, Wait, Wipe};
use saved::with_snapshot;
use std::time::Duration;

/// Decides on the next step. What may tell of a cluster is understood before another one is made, and what is wrong with this machine
/// is mended before it begins.
#[must_use]
pub fn decide(seen: &Snapshot, policy: &Policy) -> Step {
    match by_the_table(seen, policy) {
        step if step.makes_a_cluster() && !obscure(seen).is_empty() => {
            Step::Wait(Wait::Registrations { instances: obscure(seen) })
        }
        step if step.brings_in()
            && let Some(other) = name_shared_with(seen) =>
        {
            Step::Stop(Stop::NameShared { other: other.clone(), node_name: seen.node_name.clone() })
        }
        Step::Rejoin if !seen.defects.is_empty() => {
            let defects: Vec<String> = seen.defects.iter().map(ToString::to_string).collect();
            Step::Wait(Wait::DataGone { why: defects.join("; ") })
        }
        step if step.wants_fit_machine(&seen.local) && !seen.defects.is_empty() => {
            Step::Wait(Wait::Unfit { defects: seen.defects.clone() })
        }
        step => with_snapshot(seen, step),
    }
}

/// The other machine that has registered this one's Node name and lives: the group counts it for one that may serve, and EC2 says that
/// it runs. Whoever had the name before, as it goes with an address, is gone by then.
fn name_shared_with(seen: &Snapshot) -> Option<&InstanceId> {
    let lives = |instance: &InstanceId| {
        let member = seen.group.as_ref().and_then(|group| group.member(instance));
        member.is_some_and(|member| member.is_candidate() && member.ec2 == Some(Ec2State::Running))
    };
    let same = seen.registrations.iter().filter(|found| found.node_name == seen.node_name && !found.is_finished());
    same.map(|found| &found.instance).find(|instance| **instance != seen.me && lives(instance))
}

/// The machines of whose registrations nobody here can say whether they tell of a cluster.
fn obscure(seen: &Snapshot) -> Vec<InstanceId> {
    let unknown = seen.registrations.iter().filter(|found| !found.is_understood()).map(|found| &found.instance);
    seen.unreadable.iter().chain(unknown).cloned().collect()
}

/// The rows of the design's table, top to bottom.
fn by_the_table(seen: &Snapshot, policy: &Policy) -> Step {
    let group = match candidate_group(seen) {
        Ok(group) => group,
        Err(why) => return Step::StandBy(why),
    };
    let before_the_record = || foreign_identity(seen, policy).or_else(|| foreign::state(seen));
    let certain_stop = || before_the_record().or_else(|| saved::set_aside(seen)).or_else(|| went_back(seen));
    if let Some(step) = certain_stop() {
        return step;
    }
    match &seen.record {
        RecordView::Vanished => missing(seen, policy, Vec::new()),
        RecordView::Absent => match witnesses(&seen.registrations) {
            none if none.is_empty() && seen.hash.is_none() => no_cluster(seen, policy, group, Over::Nothing, &[]),
            witnesses => missing(seen, policy, witnesses),
        },
        RecordView::Found { record, .. } => match &record.state {
            RecordState::Retired(_) => no_cluster(seen, policy, group, Over::Retired, &[]),
            RecordState::Initializing { .. } => initializing(seen, policy, group, record),
            RecordState::Ready(published) => ready::step(seen, policy, record, published),
            RecordState::Saved(_) => saved::step(seen, policy, group, record),
        },
    }
}

/// A record that is gone: S3 may show it again, and until it is certainly gone nobody claims anything.
fn missing(seen: &Snapshot, policy: &Policy, witnesses: Vec<InstanceId>) -> Step {
    if seen.record_missing_for < policy.missing_grace {
        Step::Wait(Wait::Record)
    } else {
        Step::Stop(Stop::RecordGone { witnesses })
    }
}

/// An older version of the record, by what only follows a later one.
fn went_back(seen: &Snapshot) -> Option<Step> {
    let RecordView::Found { record, .. } = &seen.record else { return None };
    let later = LaterTruth::than(record, &seen.registrations, seen.hash.as_deref());
    later.map(|later| Step::Stop(Stop::RecordWentBack(later)))
}

/// The group, if this machine is a candidate of it.
fn candidate_group(seen: &Snapshot) -> Result<&Group, StandBy> {
    let group = seen.group.as_ref().ok_or(StandBy::NotInGroup)?;
    let member = group.member(&seen.me).ok_or(StandBy::NotInGroup)?;
    if !member.lifecycle.may_serve() {
        Err(StandBy::Lifecycle(member.lifecycle.clone()))
    } else if !member.healthy {
        Err(StandBy::Unhealthy)
    } else {
        Ok(group)
    }
}

/// A record of another cluster or group. A retired one binds nobody.
fn foreign_identity(seen: &Snapshot, policy: &Policy) -> Option<Step> {
    let RecordView::Found { record, .. } = &seen.record else { return None };
    if matches!(record.state, RecordState::Retired(_)) {
        return None;
    }
    match record.identity.mismatch(&seen.identity)? {
        Mismatch::Settings(difference) => Some(Step::Stop(Stop::OtherIdentity(difference))),
        Mismatch::Group(_) if policy.accept_group => Some(Step::AcceptGroup),
        Mismatch::Group(difference) => Some(Step::Stop(Stop::OtherGroup(difference))),
    }
}

/// No record, or a retired one.
fn no_cluster(seen: &Snapshot, policy: &Policy, group: &Group, over: Over, yielded: &[InstanceId]) -> Step {
    match (&seen.local, &over) {
        (Local::Fresh, _) => {}
        // A retired record follows every claim before it.
        (Local::HalfMade { claim_id, stage: Stage::Initializing, .. }, Over::Retired) => {
            return wipe_of_init(seen, claim_id, Wipe::Deposed(claim_id.clone()));
        }
        // A claim was written once, so there was a record.
        (Local::HalfMade { .. } | Local::Made { .. }, Over::Nothing)
            if seen.record_missing_for < policy.missing_grace =>
        {
            return Step::Wait(Wait::Record);
        }
        (Local::HalfMade { claim_id, .. } | Local::Made { claim_id, .. }, _) => {
            return other_cluster(seen, claim_id);
        }
        (Local::Unexplained { found }, _) => return Step::Stop(Stop::Unexplained { found: found.clone() }),
    }
    if let ApiServerProbe::Answered(at) = &seen.api_servers
        && !at.is_empty()
    {
        return Step::Stop(Stop::ClusterAnswers { at: at.clone() });
    }
    let settled_for = match settled_for(seen, policy, group) {
        Ok(settled_for) => settled_for,
        Err(wait) => return wait,
    };
    take_turn(seen, policy, group, yielded, None, settled_for).unwrap_or(match &seen.api_servers {
        ApiServerProbe::Pending => Step::Wait(Wait::ApiServers),
        ApiServerProbe::Answered(_) => Step::Claim(over),
    })
}

/// How long the group has been settled, or is taken for it; else the wait for that.
fn settled_for(seen: &Snapshot, policy: &Policy, group: &Group) -> Result<Duration, Step> {
    let expected = policy.expected_size.unwrap_or(group.desired);
    if matches(group, &seen.me, expected) {
        Ok(seen.settled_for.unwrap_or_default())
    } else {
        let late = seen.watched_for.checked_sub(policy.settle_timeout);
        late.ok_or(Step::Wait(Wait::Settle { candidates: group.candidates().len(), expected }))
    }
}

/// A claim without a cluster, or one that restores it.
fn initializing(seen: &Snapshot, policy: &Policy, group: &Group, record: &ClusterRecord) -> Step {
    let RecordView::Found { unchanged_for, .. } = seen.record else { return Step::Wait(Wait::Record) };
    let Some(holder) = record.holder().map(|holder| &holder.instance) else {
        if let Some(step) = leftovers(seen, record) {
            return step;
        }
        return take_turn(seen, policy, group, &record.yielded, None, unchanged_for)
            .unwrap_or(Step::Claim(Over::Vacant));
    };
    if *holder == seen.me {
        return held(seen, policy, record);
    }
    if let Some(step) = leftovers(seen, record) {
        return step;
    }
    let (why, dead_for) = if seen.instances.is_terminated(holder) {
        (TakeOver::Terminated(holder.clone()), unchanged_for)
    } else if unchanged_for >= policy.claim_ttl {
        (TakeOver::Silent(holder.clone(), unchanged_for), unchanged_for.saturating_sub(policy.claim_ttl))
    } else {
        return Step::Wait(Wait::Holder { instance: holder.clone() });
    };
    take_turn(seen, policy, group, &record.yielded, Some(holder), dead_for).unwrap_or(Step::TakeOver(why))
}

/// A claim of this machine.
fn held(seen: &Snapshot, policy: &Policy, record: &ClusterRecord) -> Step {
    let superseded = saved::superseded(seen, record);
    if let Local::Made { claim_id, .. } | Local::HalfMade { claim_id, stage: Stage::Joining, .. } = &seen.local {
        return superseded.unwrap_or_else(|| other_cluster(seen, claim_id));
    }
    if seen.own_claim.as_ref() != Some(&record.claim_id) {
        return Step::Resume;
    }
    match &seen.local {
        Local::HalfMade { claim_id, .. } if *claim_id == record.claim_id => {
            wipe_of_init(seen, claim_id, Wipe::FailedInit)
        }
        Local::HalfMade { claim_id, .. } => {
            superseded.unwrap_or_else(|| wipe_of_init(seen, claim_id, Wipe::Deposed(claim_id.clone())))
        }
        _ if seen.failed_inits >= policy.init_attempts => Step::Yield,
        _ if record.saved().is_some() => Step::Restore,
        _ => Step::Init,
    }
}

/// What this machine has left while somebody else may make the cluster, or nobody yet does.
fn leftovers(seen: &Snapshot, record: &ClusterRecord) -> Option<Step> {
    if let Some(step) = saved::superseded(seen, record) {
        return Some(step);
    }
    match &seen.local {
        Local::HalfMade { claim_id, stage: Stage::Initializing, .. } if *claim_id != record.claim_id => {
            Some(wipe_of_init(seen, claim_id, Wipe::Deposed(claim_id.clone())))
        }
        // The same claim without a holder: this machine has stepped down itself.
        Local::HalfMade { claim_id, stage: Stage::Initializing, .. } => {
            Some(wipe_of_init(seen, claim_id, Wipe::FailedInit))
        }
        Local::HalfMade { claim_id, stage: Stage::Joining, .. } | Local::Made { claim_id, .. } => {
            Some(other_cluster(seen, claim_id))
        }
        Local::Fresh | Local::Unexplained { .. } => None,
    }
}

/// The wait for those of lower rank, or `None` when it is this machine's turn.
fn take_turn(
    seen: &Snapshot,
    policy: &Policy,
    group: &Group,
    yielded: &[InstanceId],
    without: Option<&InstanceId>,
    waited: Duration,
) -> Option<Step> {
    let rank = rank(group, &seen.me, yielded, without)?;
    let left = claim_delay(rank, yielded.contains(&seen.me), policy.claim_stagger)
        .checked_sub(waited)
        .filter(|left| !left.is_zero())?;
    Some(Step::Wait(Wait::Turn { rank, left }))
}

/// Wipes what an init of this machine has left, unless the data beside its marker is another's, or somebody says that its claim
/// made a cluster, of which this record does not know: a registration, or the hash of another cluster than the ready record's, since
/// whoever makes one takes the hash of the one before away.
fn wipe_of_init(seen: &Snapshot, claim: &ClaimId, why: Wipe) -> Step {
    let gives_up = matches!(&seen.record, RecordView::Found { record, .. } if record.gives_up(claim));
    let witness = seen.registrations.iter().find(|found| !gives_up && found.proves_flip_of(claim));
    if let Some(Registration { instance, .. }) = witness {
        let later = LaterTruth::Registration { instance: instance.clone(), claim_id: claim.clone() };
        return Step::Stop(Stop::RecordWentBack(later));
    }
    if is_hash_of_another(seen) {
        return Step::Stop(Stop::RecordWentBack(LaterTruth::Hash));
    }
    if seen.data.is_at_most_of_init(claim, &seen.addresses) {
        return Step::Wipe(why);
    }
    Step::Stop(Stop::ForeignData { owner: seen.me.clone(), needed: None })
}

/// Whether the published hash is of another cluster than that of a ready record.
fn is_hash_of_another(seen: &Snapshot) -> bool {
    let RecordView::Found { record, .. } = &seen.record else { return false };
    record.published().zip(seen.hash.as_ref()).is_some_and(|(published, hash)| published.hash_line() != *hash)
}

fn other_cluster(seen: &Snapshot, local: &ClaimId) -> Step {
    Step::Stop(Stop::OtherCluster { local: local.clone(), former: FormerCluster::seen(&seen.record, local) })
}

mod foreign;
mod ready;
mod saved;
#[cfg(test)]
mod tests;
