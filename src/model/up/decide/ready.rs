//! What a machine does while the record says that there is a cluster.

use super::saved::superseded;
use super::{other_cluster, wipe_of_init};
use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::machine::local::{Local, Stage};
use crate::model::membership::data::may_delete;
use crate::model::membership::members::{Member, Members};
use crate::model::membership::registration::Registration;
use crate::model::membership::starting::starting;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, Published};
use crate::model::up::snapshot::{Policy, Snapshot};
use crate::model::up::step::{Step, Stop, Wait, Wipe, names};

/// There is a cluster.
pub(super) fn step(seen: &Snapshot, policy: &Policy, record: &ClusterRecord, published: &Published) -> Step {
    if let Some(step) = superseded(seen, record) {
        return step;
    }
    let member_here = match &seen.local {
        Local::Made { claim_id, .. } if *claim_id == record.claim_id => true,
        // The flip landed and nobody lived to write it down.
        Local::HalfMade { claim_id, stage: Stage::Initializing, .. } if *claim_id == record.claim_id => {
            published.initialised_by == seen.me
        }
        Local::HalfMade { claim_id, stage: Stage::Initializing, .. } => {
            return wipe_of_init(seen, claim_id, Wipe::Deposed(claim_id.clone()));
        }
        Local::HalfMade { claim_id, stage: Stage::Joining, .. } if *claim_id == record.claim_id => false,
        Local::HalfMade { claim_id, .. } | Local::Made { claim_id, .. } => return other_cluster(seen, claim_id),
        Local::Fresh | Local::Unexplained { .. } => false,
    };
    match (&seen.cluster, member_here) {
        (cluster, true) if seen.data == EtcdData::Nothing => emptied(seen, cluster),
        (ClusterView::Listed(members), true) => kept(seen, members),
        (cluster, true) if let Some((found, own)) = data_of_another(seen) => {
            Step::Wait(Wait::DataOfAnother { found, own, why: why_uncertain(cluster) })
        }
        (ClusterView::Listed(members), false)
            if !members.may_grow(&starting(&seen.silent_lately, members, &seen.registrations)) =>
        {
            Step::Wait(Wait::Voters { silent: members.silent() })
        }
        (ClusterView::Listed(_), false) => Step::Join,
        (ClusterView::NoQuorum(members), _) => quorum_lost(members),
        (ClusterView::External, true) => Step::Keep,
        (ClusterView::External, false) => Step::Join,
        (ClusterView::Unknown { why }, false) => all_voters_gone(seen, policy, record, published).map_or_else(
            || Step::Wait(Wait::Cluster { why: why.clone() }),
            |instances| Step::Stop(Stop::AllVotersGone { instances }),
        ),
        (ClusterView::Unknown { why }, true) => Step::Wait(Wait::Cluster { why: why.clone() }),
        (ClusterView::NotAsked, _) => Step::Wait(Wait::Cluster { why: "it has not been asked yet".into() }),
    }
}

/// A machine that has been a member, and whose data is gone: a volume that is not mounted, or an emptied folder. Only the others
/// can remove its member.
fn emptied(seen: &Snapshot, cluster: &ClusterView) -> Step {
    match cluster {
        ClusterView::Listed(members) => match members.at(&seen.addresses) {
            None => Step::Wipe(Wipe::NotListed),
            Some(member) if members.may_remove(member.id) => Step::Rejoin,
            Some(_) => Step::Wait(Wait::DataGone { why: why_uncertain(cluster) }),
        },
        ClusterView::NoQuorum(_) | ClusterView::Unknown { .. } | ClusterView::NotAsked | ClusterView::External => {
            Step::Wait(Wait::DataGone { why: why_uncertain(cluster) })
        }
    }
}

/// Why the other voters decide nothing.
fn why_uncertain(cluster: &ClusterView) -> String {
    match cluster {
        ClusterView::Listed(members) => format!("these voters do not answer: {}", names(&members.silent())),
        ClusterView::NoQuorum(members) => {
            format!("quorum lost: {} of {} answers", members.answering(), members.voters().count())
        }
        ClusterView::Unknown { why } => why.clone(),
        ClusterView::NotAsked | ClusterView::External => "they have not been asked yet".into(),
    }
}

/// The member whose data lies here, and the one that this machine is by its marker, where they differ.
fn data_of_another(seen: &Snapshot) -> Option<(MemberId, MemberId)> {
    match (&seen.local, &seen.data) {
        (Local::Made { member: Some(own), .. }, EtcdData::Of(ids)) if ids.member != *own => Some((ids.member, *own)),
        _ => None,
    }
}

/// A machine that has been a member, with data, and a list that is certain. Data of another member than the one that is listed
/// here would vote in that one's name.
fn kept(seen: &Snapshot, members: &Members) -> Step {
    match (members.at(&seen.addresses), &seen.data) {
        (Some(listed), EtcdData::Of(ids)) if listed.id != ids.member => {
            Step::Stop(Stop::DataOfAnother { found: ids.member, listed: listed.id })
        }
        (listed, _) => kept_own(seen, members, listed),
    }
}

fn kept_own(seen: &Snapshot, members: &Members, listed: Option<&Member>) -> Step {
    match listed {
        Some(member) if member.is_started_voter() => Step::Keep,
        Some(_) => Step::Wait(Wait::OwnMember),
        None => match may_delete(&seen.data, seen.record.etcd_cluster(), members, &seen.addresses) {
            Ok(()) => Step::Wipe(Wipe::NotListed),
            Err(needed) => Step::Stop(Stop::DataNeeded(needed)),
        },
    }
}

fn quorum_lost(members: &Members) -> Step {
    Step::Wait(Wait::Quorum { answering: members.answering(), voters: members.voters().count() })
}

/// The machines that ever were voters, if every one of them is certainly gone.
fn all_voters_gone(
    seen: &Snapshot,
    policy: &Policy,
    record: &ClusterRecord,
    published: &Published,
) -> Option<Vec<InstanceId>> {
    // What a machine had in a cluster before its restore is no vote in this one.
    let is_past = |found: &Registration| found.claim_id.as_ref().is_some_and(|claim| record.supersedes(claim));
    // What another one could not register any more is not known; this machine knows its own disk.
    let had_vote = |found: &Registration| found.was_voter() || found.instance != seen.me && found.may_have_voted();
    let mut voters: Vec<InstanceId> = seen
        .registrations
        .iter()
        .filter(|registration| had_vote(registration) && !is_past(registration))
        .map(|registration| registration.instance.clone())
        .chain([published.initialised_by.clone()])
        .collect();
    voters.sort();
    voters.dedup();
    voters.iter().all(|voter| *voter != seen.me && seen.instances.is_gone(voter, policy.gone_grace)).then_some(voters)
}
