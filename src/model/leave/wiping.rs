//! Whether a machine that has left may be wiped.

use crate::model::machine::local::Local;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use std::fmt;

/// Why the machine may not be wiped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepData {
    /// There is no record, so it is not known which cluster that was.
    NoRecord,
    /// The record is of a claim, not of a cluster.
    NotReady,
    /// The cluster lives in a snapshot, and may be restored from an older one than what lies here.
    Saved,
    /// The state belongs to another claim than the record's.
    OtherClaim,
    /// The disk holds no state of this machine.
    NotOurs,
}

/// Whether the data of a machine may be deleted after its cluster was seen to list it no longer: only if that is the cluster of
/// the record, which is read right before.
///
/// # Errors
/// Why not.
pub fn may_wipe(record: Option<&ClusterRecord>, local: &Local) -> Result<(), KeepData> {
    let (Local::HalfMade { claim_id, .. } | Local::Made { claim_id, .. }) = local else {
        return Err(KeepData::NotOurs);
    };
    let record = record.ok_or(KeepData::NoRecord)?;
    if record.claim_id != *claim_id {
        return Err(KeepData::OtherClaim);
    }
    match record.state {
        RecordState::Ready(_) | RecordState::Retired(_) => Ok(()),
        RecordState::Initializing { .. } => Err(KeepData::NotReady),
        RecordState::Saved(_) => Err(KeepData::Saved),
    }
}

impl fmt::Display for KeepData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRecord => "there is no cluster record: restore its last version first",
            Self::NotReady => {
                "the record says that the cluster is still being initialised: run 'kubeboot up', which cleans up"
            }
            Self::Saved => {
                "the cluster lives in a snapshot, and what lies here is kept beside it: terminate this machine if nobody needs it"
            }
            Self::OtherClaim => "its state belongs to another claim than the cluster record's: an operator must decide",
            Self::NotOurs => "this machine's disk holds no state of its own",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::{ClaimId, InstanceId};
    use crate::model::machine::local::Stage;
    use crate::model::record::cluster::Published;
    use crate::model::record::identity::Identity;

    const UUID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

    fn record(claim: &str, state: RecordState) -> ClusterRecord {
        let (claim_id, identity) = (ClaimId::parse(claim).unwrap(), Identity::sample());
        ClusterRecord {
            claim_id,
            generation: 1,
            identity,
            yielded: Vec::new(),
            retired_claims: Vec::new(),
            superseded: Vec::new(),
            state,
        }
    }

    #[test]
    fn only_the_data_of_the_records_cluster_is_wiped() {
        let instance = InstanceId::parse("i-00000001").unwrap();
        let claim_id = ClaimId::parse(UUID).unwrap();
        let published = Published::sample(instance.clone());
        let made = Local::Made { instance: instance.clone(), claim_id: claim_id.clone(), member: None };
        let half_made = Local::HalfMade { instance, claim_id, stage: Stage::Joining };
        let (ready, retired) = (RecordState::Ready(published.clone()), RecordState::Retired(published.into()));
        let initializing = RecordState::Initializing { holder: None, beat: 0, restoring: None };
        let other = UUID.replace('6', "7");
        let rows = [
            (Some(record(UUID, ready.clone())), &made, Ok(())),
            (Some(record(UUID, ready.clone())), &half_made, Ok(())),
            (Some(record(UUID, retired)), &made, Ok(())),
            (Some(record(UUID, initializing)), &half_made, Err(KeepData::NotReady)),
            (Some(record(&other, ready.clone())), &made, Err(KeepData::OtherClaim)),
            (None, &made, Err(KeepData::NoRecord)),
            (Some(record(UUID, ready)), &Local::Fresh, Err(KeepData::NotOurs)),
        ];
        for (record, local, expected) in rows {
            assert_eq!(may_wipe(record.as_ref(), local), expected, "{record:?} {local:?}");
        }
    }
}
