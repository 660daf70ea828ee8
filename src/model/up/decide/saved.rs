//! What a machine does while the cluster is saved, and with the state of a cluster that was restored since.

use super::{leftovers, settled_for, take_turn};
use crate::model::machine::etcd_data::{EtcdData, EtcdIds};
use crate::model::machine::group::Group;
use crate::model::machine::ids::ClaimId;
use crate::model::machine::local::{Local, Stage};
use crate::model::membership::registration::RegistrationPhase;
use crate::model::record::cluster::ClusterRecord;
use crate::model::record::view::RecordView;
use crate::model::up::snapshot::{Policy, Snapshot, SnapshotHere};
use crate::model::up::step::{Over, Step, Wait, Wipe};

/// There is a cluster, and it lives in a snapshot. API servers that still answer are its own, for nobody has made another one since.
pub(super) fn step(seen: &Snapshot, policy: &Policy, group: &Group, record: &ClusterRecord) -> Step {
    if let Some(step) = leftovers(seen, record) {
        return step;
    }
    match settled_for(seen, policy, group) {
        Ok(settled_for) => {
            take_turn(seen, policy, group, &record.yielded, None, settled_for).unwrap_or(Step::Claim(Over::Saved))
        }
        Err(wait) => wait,
    }
}

/// The step for state of a claim that the record supersedes; `None` for any other, of which this says nothing.
pub(super) fn superseded(seen: &Snapshot, record: &ClusterRecord) -> Option<Step> {
    let claim = match &seen.local {
        Local::HalfMade { claim_id, .. } | Local::Made { claim_id, .. } if record.supersedes(claim_id) => {
            claim_id.clone()
        }
        Local::HalfMade { .. } | Local::Made { .. } | Local::Fresh | Local::Unexplained { .. } => return None,
    };
    let has_joined = match &seen.local {
        Local::Made { .. } => true,
        Local::HalfMade { stage: Stage::Initializing, .. } => {
            let has_joined = made_it(seen, record) || is_registered(seen, &claim);
            if !has_joined && never_flipped(seen, record, &claim) {
                return Some(Step::Wipe(Wipe::Deposed(claim)));
            }
            has_joined
        }
        Local::HalfMade { stage: Stage::Joining, .. } => is_registered(seen, &claim),
        Local::Fresh | Local::Unexplained { .. } => false,
    };
    Some(if has_joined { Step::SetAside { claim_id: claim } } else { Step::Wipe(Wipe::Superseded(claim)) })
}

/// A member of a claim that the record supersedes is set aside, whether the record is the last one or an older one that has come back:
/// every later one supersedes that claim, too, or gives it up.
pub(super) fn set_aside(seen: &Snapshot) -> Option<Step> {
    let RecordView::Found { record, .. } = &seen.record else { return None };
    superseded(seen, record).filter(|step| matches!(step, Step::SetAside { .. }))
}

/// Whether the flip landed and nobody lived to write it down: what lies here is the etcd that was published.
fn made_it(seen: &Snapshot, record: &ClusterRecord) -> bool {
    record.known_cluster().is_some_and(|published| {
        let of = |ids: &EtcdIds| Some(ids.cluster) == published.etcd_cluster_id;
        published.initialised_by == seen.me && matches!(&seen.data, EtcdData::Of(ids) if of(ids))
    })
}

/// Whether what lies here is at most what a restore under this claim has left, which never became the cluster: the record's snapshot is
/// older than the claim, the cluster that the record knows is another one, and nobody has seen it. It is a part of that snapshot, and
/// nobody needs it.
fn never_flipped(seen: &Snapshot, record: &ClusterRecord, claim: &ClaimId) -> bool {
    record.follows_snapshot(claim)
        && !made_it(seen, record)
        && !seen.registrations.iter().any(|found| found.proves_flip_of(claim))
        && seen.data.is_at_most_of_init(claim, &seen.addresses)
}

/// Whether this machine says of itself that it has joined under this claim.
fn is_registered(seen: &Snapshot, claim: &ClaimId) -> bool {
    let own = seen.registrations.iter().find(|found| found.instance == seen.me);
    own.is_some_and(|own| own.phase == RegistrationPhase::Joined && own.claim_id.as_ref() == Some(claim))
}

/// A step that leads to a restore is taken only with the snapshot at hand: whoever holds a claim keeps everybody else waiting.
pub(super) fn with_snapshot(seen: &Snapshot, step: Step) -> Step {
    let RecordView::Found { record, .. } = &seen.record else { return step };
    let Some(saved) = record.saved().filter(|_| step.makes_a_cluster()) else { return step };
    match &seen.snapshot {
        SnapshotHere::Fetched { digest } if *digest == saved.snapshot.digest => step,
        SnapshotHere::Fetched { .. } | SnapshotHere::NotFetched => {
            Step::Wait(Wait::Snapshot { why: "it has not been fetched yet".into() })
        }
        SnapshotHere::Pending { why } => Step::Wait(Wait::Snapshot { why: why.clone() }),
        // Somebody else may be able to.
        SnapshotHere::Unfit(_) if step == Step::Restore => Step::Yield,
        SnapshotHere::Unfit(why) => Step::Wait(Wait::SnapshotUnfit(why.clone())),
    }
}
