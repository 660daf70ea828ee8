//! What the record tells of the cluster that a machine's own state belongs to, where that is not the record's cluster.

use crate::model::machine::ids::ClaimId;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::view::RecordView;
use std::fmt;

/// What has become of it. That the record itself is not an older version than the last, nobody can tell from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormerCluster {
    /// Nobody knows: there is no record.
    NoRecord,
    /// It was retired, and nothing has followed it yet.
    Retired,
    /// It was restored from a snapshot, or is going to be.
    Superseded,
    /// The record says that it is still being made, although this machine is a member of it.
    NotYetMade,
    /// The record is that of another claim.
    Other {
        /// Which.
        claim_id: ClaimId,
        /// How many claims there have been.
        generation: u64,
    },
}

impl FormerCluster {
    /// What this record tells of the cluster of `local`.
    #[must_use]
    pub fn by(record: Option<&ClusterRecord>, local: &ClaimId) -> Self {
        let Some(record) = record else { return Self::NoRecord };
        match &record.state {
            RecordState::Retired(_) if record.gives_up(local) => Self::Retired,
            _ if record.supersedes(local) => Self::Superseded,
            RecordState::Initializing { .. } if record.claim_id == *local => Self::NotYetMade,
            RecordState::Initializing { .. }
            | RecordState::Ready(_)
            | RecordState::Saved(_)
            | RecordState::Retired(_) => {
                Self::Other { claim_id: record.claim_id.clone(), generation: record.generation }
            }
        }
    }

    /// The same of a record as it was seen.
    #[must_use]
    pub fn seen(record: &RecordView, local: &ClaimId) -> Self {
        match record {
            RecordView::Found { record, .. } => Self::by(Some(record), local),
            RecordView::Absent | RecordView::Vanished => Self::by(None, local),
        }
    }
}

/// How a machine is made fresh whose data nobody needs.
const FRESH: &str = "terminate this machine, or run 'kubeadm reset -f --skip-phases=remove-etcd-member', empty the etcd data directory \
                     and remove /var/lib/kubeboot/state.json";

/// Ends with what to do.
impl fmt::Display for FormerCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord => write!(
                f,
                "there is no cluster record: correct 'bucket' and 'prefix', or restore the record's last version; only if the data here may \
                 be lost, {FRESH}"
            ),
            Self::Retired => {
                write!(f, "that cluster was given up by 'kubeboot retire', and the data here with it: {FRESH}")
            }
            Self::Superseded => write!(
                f,
                "that cluster lives on from a snapshot, and nobody may start its etcd here again: the data is kept; copy etcd's data \
                 folder if it may be needed, and then {FRESH}"
            ),
            Self::NotYetMade => f.write_str(
                "the cluster record says that this cluster is still being made: an earlier version of the record has come back; restore \
                 the last one",
            ),
            Self::Other { claim_id, generation } => write!(
                f,
                "the cluster record is at claim {claim_id}, its number {generation}. An older version of the record may have come back, so keep \
                 the data here and compare the record's versions in the bucket: if a version later than this one was at that cluster's \
                 claim, restore the last version; if no version ever was, correct 'bucket' and 'prefix'; if all that were are older, that \
                 cluster was retired since: only then {FRESH}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::InstanceId;
    use crate::model::record::cluster::Published;
    use crate::model::record::identity::Identity;

    fn claim(n: u8) -> ClaimId {
        ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
    }

    fn record(n: u8, generation: u64, state: RecordState) -> ClusterRecord {
        let identity = Identity::sample();
        ClusterRecord {
            claim_id: claim(n),
            generation,
            identity,
            yielded: Vec::new(),
            retired_claims: Vec::new(),
            superseded: Vec::new(),
            state,
        }
    }

    #[test]
    fn a_machine_of_another_cluster_learns_what_the_record_knows_and_what_to_do() {
        let published = || Published::sample(InstanceId::parse("i-00000001").unwrap());
        let (ready, retired) = (|| RecordState::Ready(published()), || RecordState::Retired(published().into()));
        let making = || RecordState::Initializing { holder: None, beat: 0, restoring: None };
        let other = |generation| FormerCluster::Other { claim_id: claim(2), generation };
        let named = ClusterRecord { retired_claims: vec![claim(1)], ..record(2, 2, RecordState::Retired(None)) };
        let rows = [
            (None, FormerCluster::NoRecord, "restore the record's last version"),
            (Some(record(1, 1, retired())), FormerCluster::Retired, "given up by 'kubeboot retire'"),
            (Some(record(1, 3, retired())), FormerCluster::Retired, "terminate this machine, or run 'kubeadm reset -f"),
            (Some(named), FormerCluster::Retired, "the data here with it"),
            (Some(record(1, 1, making())), FormerCluster::NotYetMade, "an earlier version of the record has come back"),
            (
                Some(record(2, 1, ready())),
                other(1),
                "An older version of the record may have come back, so keep the data",
            ),
            (Some(record(2, 1, making())), other(1), "if no version ever was, correct 'bucket' and 'prefix'"),
            (Some(record(2, 2, ready())), other(2), "that cluster was retired since: only then terminate"),
            (Some(record(2, 5, retired())), other(5), "its number 5"),
            (Some(record(2, 2, making())), other(2), "'kubeadm reset -f --skip-phases=remove-etcd-member'"),
        ];
        for (record, expected, says) in rows {
            let former = FormerCluster::by(record.as_ref(), &claim(1));
            assert_eq!(former, expected, "{record:?}");
            assert!(former.to_string().contains(says), "{former}");
        }
    }
}
