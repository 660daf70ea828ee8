//! One observation in, one step out.

use crate::model::machine::election::{claim_delay, matches, rank};
use crate::model::machine::group::Group;
use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::machine::local::{Local, Stage};
use crate::model::membership::members::Members;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, Published, RecordState};
use crate::model::record::former_cluster::FormerCluster;
use crate::model::record::identity::Mismatch;
use crate::model::record::view::RecordView;
use crate::model::up::snapshot::{Policy, Snapshot};
use crate::model::up::step::{Over, StandBy, Step, Stop, TakeOver, Wait, Wipe};
use std::time::Duration;

/// Decides on the next step. The rows of the design's table, top to bottom.
#[must_use]
pub fn decide(seen: &Snapshot, policy: &Policy) -> Step {
    let group = match candidate_group(seen) {
        Ok(group) => group,
        Err(why) => return Step::StandBy(why),
    };
    if let Some(step) = foreign_identity(seen, policy).or_else(|| foreign_state(seen)) {
        return step;
    }
    match &seen.record {
        RecordView::Vanished => Step::Stop(Stop::RecordVanished),
        RecordView::Absent => no_cluster(seen, policy, group, Over::Nothing, &[]),
        RecordView::Found { record, unchanged_for, .. } => match &record.state {
            RecordState::Retired(_) => no_cluster(seen, policy, group, Over::Retired, &[]),
            RecordState::Initializing { .. } => initializing(seen, policy, group, record, *unchanged_for),
            RecordState::Ready(published) => ready(seen, policy, record, published),
        },
    }
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

/// RecordState that is not this machine's own.
fn foreign_state(seen: &Snapshot) -> Option<Step> {
    match &seen.local {
        Local::Fresh => None,
        Local::Unexplained { found } => Some(Step::Stop(Stop::Unexplained { found: found.clone() })),
        Local::HalfMade { instance, .. } | Local::Made { instance, .. } => {
            (*instance != seen.me).then(|| Step::Wipe(Wipe::AnotherInstances(instance.clone())))
        }
    }
}

/// No record, or a retired one.
fn no_cluster(seen: &Snapshot, policy: &Policy, group: &Group, over: Over, yielded: &[InstanceId]) -> Step {
    match (&seen.local, &over) {
        (Local::Fresh, _) => {}
        // A retired record follows every claim before it.
        (Local::HalfMade { claim_id, stage: Stage::Initializing, .. }, Over::Retired) => {
            return Step::Wipe(Wipe::Deposed(claim_id.clone()));
        }
        (Local::HalfMade { claim_id, .. } | Local::Made { claim_id, .. }, _) => {
            return other_cluster(seen, claim_id);
        }
        (Local::Unexplained { found }, _) => return Step::Stop(Stop::Unexplained { found: found.clone() }),
    }
    let expected = policy.expected_size.unwrap_or(group.desired);
    let settled_for = if matches(group, &seen.me, expected) {
        seen.settled_for.unwrap_or_default()
    } else if seen.watched_for >= policy.settle_timeout {
        seen.watched_for.saturating_sub(policy.settle_timeout)
    } else {
        return Step::Wait(Wait::Settle { candidates: group.candidates().len(), expected });
    };
    take_turn(seen, policy, group, yielded, None, settled_for).unwrap_or(Step::Claim(over))
}

/// A claim without a cluster.
fn initializing(
    seen: &Snapshot,
    policy: &Policy,
    group: &Group,
    record: &ClusterRecord,
    unchanged_for: Duration,
) -> Step {
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
    if let Local::Made { claim_id, .. } = &seen.local {
        return other_cluster(seen, claim_id);
    }
    if let Local::HalfMade { claim_id, stage: Stage::Joining, .. } = &seen.local {
        return other_cluster(seen, claim_id);
    }
    if seen.own_claim.as_ref() != Some(&record.claim_id) {
        return Step::Resume;
    }
    match &seen.local {
        Local::HalfMade { claim_id, .. } if *claim_id == record.claim_id => Step::Wipe(Wipe::FailedInit),
        Local::HalfMade { claim_id, .. } => Step::Wipe(Wipe::Deposed(claim_id.clone())),
        _ if seen.failed_inits >= policy.init_attempts => Step::Yield,
        _ => Step::Init,
    }
}

/// What this machine has left while somebody else may make the cluster, or nobody yet does.
fn leftovers(seen: &Snapshot, record: &ClusterRecord) -> Option<Step> {
    match &seen.local {
        Local::HalfMade { claim_id, stage: Stage::Initializing, .. } if *claim_id != record.claim_id => {
            Some(Step::Wipe(Wipe::Deposed(claim_id.clone())))
        }
        // The same claim without a holder: this machine has stepped down itself.
        Local::HalfMade { stage: Stage::Initializing, .. } => Some(Step::Wipe(Wipe::FailedInit)),
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

/// There is a cluster.
fn ready(seen: &Snapshot, policy: &Policy, record: &ClusterRecord, published: &Published) -> Step {
    let member_here = match &seen.local {
        Local::Made { claim_id, .. } if *claim_id == record.claim_id => true,
        // The flip landed and nobody lived to write it down.
        Local::HalfMade { claim_id, stage: Stage::Initializing, .. } if *claim_id == record.claim_id => {
            published.initialised_by == seen.me
        }
        Local::HalfMade { claim_id, stage: Stage::Initializing, .. } => {
            return Step::Wipe(Wipe::Deposed(claim_id.clone()));
        }
        Local::HalfMade { claim_id, stage: Stage::Joining, .. } if *claim_id == record.claim_id => false,
        Local::HalfMade { claim_id, .. } | Local::Made { claim_id, .. } => return other_cluster(seen, claim_id),
        Local::Fresh | Local::Unexplained { .. } => false,
    };
    match (&seen.cluster, member_here) {
        (ClusterView::Listed(members), true) => kept(seen, members),
        (ClusterView::Listed(members), false) if !members.has_quorum() => quorum_lost(members),
        (ClusterView::Listed(_), false) => Step::Join,
        (ClusterView::NoQuorum(members), _) => quorum_lost(members),
        (ClusterView::External, true) => Step::Keep,
        (ClusterView::External, false) => Step::Join,
        (ClusterView::Unknown { why }, false) => all_voters_gone(seen, policy, published).map_or_else(
            || Step::Wait(Wait::Cluster { why: why.clone() }),
            |instances| Step::Stop(Stop::AllVotersGone { instances }),
        ),
        (ClusterView::Unknown { why }, true) => Step::Wait(Wait::Cluster { why: why.clone() }),
        (ClusterView::NotAsked, _) => Step::Wait(Wait::Cluster { why: "it has not been asked yet".into() }),
    }
}

/// A machine that has been a member, and a list that is certain.
fn kept(seen: &Snapshot, members: &Members) -> Step {
    match members.at(&seen.addresses) {
        Some(member) if member.is_started_voter() => Step::Keep,
        Some(_) => Step::Wait(Wait::OwnMember),
        None => Step::Wipe(Wipe::NotListed),
    }
}

fn quorum_lost(members: &Members) -> Step {
    Step::Wait(Wait::Quorum { answering: members.answering(), voters: members.voters().count() })
}

fn other_cluster(seen: &Snapshot, local: &ClaimId) -> Step {
    Step::Stop(Stop::OtherCluster { local: local.clone(), former: FormerCluster::seen(&seen.record, local) })
}

/// The machines that ever were voters, if every one of them is certainly gone.
fn all_voters_gone(seen: &Snapshot, policy: &Policy, published: &Published) -> Option<Vec<InstanceId>> {
    let mut voters: Vec<InstanceId> = seen
        .registrations
        .iter()
        .filter(|registration| registration.was_voter())
        .map(|registration| registration.instance.clone())
        .chain([published.initialised_by.clone()])
        .collect();
    voters.sort();
    voters.dedup();
    voters.iter().all(|voter| *voter != seen.me && seen.instances.is_gone(voter, policy.gone_grace)).then_some(voters)
}

#[cfg(test)]
mod tests;
