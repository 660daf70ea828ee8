//! State that is not this machine's own: a baked image, a restored volume, a disk of another machine.

use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::machine::local::Local;
use crate::model::membership::data::{DataNeeded, may_delete};
use crate::model::membership::view::ClusterView;
use crate::model::record::view::RecordView;
use crate::model::up::snapshot::Snapshot;
use crate::model::up::step::{Step, Stop, Wait, Wipe, names};

/// The step for state of another instance, or for what nobody can explain; `None` for this machine's own. The data may be a
/// listed voter's, or the last copy: without a certain list it stays.
pub(super) fn state(seen: &Snapshot) -> Option<Step> {
    let owner = match &seen.local {
        Local::Fresh => return None,
        Local::Unexplained { found } => return Some(Step::Stop(Stop::Unexplained { found: found.clone() })),
        Local::HalfMade { instance, .. } | Local::Made { instance, .. } if *instance == seen.me => return None,
        Local::HalfMade { instance, .. } | Local::Made { instance, .. } => instance,
    };
    if matches!(seen.data, EtcdData::Nothing | EtcdData::Elsewhere) {
        return Some(Step::Wipe(Wipe::AnotherInstances(owner.clone())));
    }
    Some(judged(seen, owner))
}

fn judged(seen: &Snapshot, owner: &InstanceId) -> Step {
    let stop = |needed| Step::Stop(Stop::ForeignData { owner: owner.clone(), needed });
    let wait = |why: String| Step::Wait(Wait::ForeignData { owner: owner.clone(), why });
    match &seen.cluster {
        ClusterView::Listed(members) if members.has_quorum() => {
            match may_delete(&seen.data, seen.record.etcd_cluster(), members, &seen.addresses) {
                // Under the lease, by a fresh list.
                Ok(()) => Step::Join,
                Err(DataNeeded::OfAnotherCluster(_)) if let Some(claim) = superseded(seen) => {
                    Step::Wipe(Wipe::Superseded(claim.clone()))
                }
                Err(needed) => stop(Some(needed)),
            }
        }
        ClusterView::Listed(members) => wait(format!("these voters do not answer: {}", names(&members.silent()))),
        ClusterView::NoQuorum(members) => {
            wait(format!("quorum lost: {} of {} answers", members.answering(), members.voters().count()))
        }
        ClusterView::Unknown { why } => wait(why.clone()),
        ClusterView::NotAsked | ClusterView::External => stop(None),
    }
}

/// The claim of the state, if the record supersedes it: then nobody has to attach the data anywhere, and it is moved aside.
fn superseded(seen: &Snapshot) -> Option<&ClaimId> {
    match (&seen.record, &seen.local) {
        (RecordView::Found { record, .. }, Local::HalfMade { claim_id, .. } | Local::Made { claim_id, .. }) => {
            Some(claim_id).filter(|claim| record.supersedes(claim))
        }
        (RecordView::Found { .. } | RecordView::Absent | RecordView::Vanished, _) => None,
    }
}
