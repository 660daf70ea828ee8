//! Why a cluster may not be restored, each with what an operator can do.

use crate::model::machine::ids::{ClaimId, InstanceId, Uid};
use crate::model::retire::RetireRefusal;
use std::fmt;

/// Why a cluster may not be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreRefusal {
    /// There is no record.
    NoRecord,
    /// There is a claim, and no cluster before it.
    NoCluster {
        /// The claim.
        claim_id: ClaimId,
    },
    /// The cluster was given up.
    Retired {
        /// Which.
        cluster_id: ClaimId,
    },
    /// Its etcd is somebody else's.
    ExternalEtcd,
    /// There is no snapshot of it.
    NoSnapshot,
    /// The snapshot is another cluster's.
    OtherCluster {
        /// The UID of `kube-system` in it.
        snapshot: Uid,
        /// That of the record's cluster.
        record: Uid,
    },
    /// EC2 was not asked about the machine that restores at the moment.
    HolderUnknown {
        /// Which.
        instance: InstanceId,
    },
    /// Machines live whose kubeboot cannot read the record of a saved cluster.
    EarlierVersions {
        /// Which.
        instances: Vec<InstanceId>,
    },
    /// Something of it remains, as `retire` sees it.
    Remains(RetireRefusal),
}

impl RestoreRefusal {
    /// A code for programs. It stays the same when the text changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRecord => "no-record",
            Self::NoCluster { .. } => "no-cluster",
            Self::Retired { .. } => "retired",
            Self::ExternalEtcd => "external-etcd",
            Self::NoSnapshot => "no-snapshot",
            Self::OtherCluster { .. } => "other-cluster",
            Self::HolderUnknown { .. } => "not-known",
            Self::EarlierVersions { .. } => "earlier-versions",
            Self::Remains(refusal) => refusal.code(),
        }
    }

    /// Whether the remedy is to change a setting or an argument.
    #[must_use]
    pub fn is_about_usage(&self) -> bool {
        match self {
            Self::NoRecord | Self::NoSnapshot | Self::OtherCluster { .. } => true,
            Self::NoCluster { .. }
            | Self::Retired { .. }
            | Self::ExternalEtcd
            | Self::HolderUnknown { .. }
            | Self::EarlierVersions { .. } => false,
            Self::Remains(refusal) => refusal.is_about_usage(),
        }
    }
}

impl fmt::Display for RestoreRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord => f.write_str(
                "there is no cluster record: correct 'bucket' and 'prefix'; if they are right, restore the record's last version first: it \
                 names the keys and the CA that a snapshot belongs to",
            ),
            Self::NoCluster { claim_id } => write!(
                f,
                "the record holds claim {claim_id} and no cluster yet, so there is nothing to restore: a claim whose holder is gone is taken \
                 over by the next machine. If there was a cluster, restore the record's last version first"
            ),
            Self::Retired { cluster_id } => write!(
                f,
                "the cluster {cluster_id} was given up by 'kubeboot retire', and is not restored: if that was a mistake, and no machine has \
                 claimed since, put the record's version before that back, and run this again"
            ),
            Self::ExternalEtcd => f.write_str(
                "the cluster's etcd is external: kubeboot neither saves nor restores it; restore it with its own tools, and 'kubeboot up' goes \
                 on by itself",
            ),
            Self::NoSnapshot => f.write_str(
                "there is no snapshot of this cluster to choose: correct 'snapshot_location', see 'kubeboot snapshot list', or name one by \
                 --snapshot KEY; without one, 'kubeboot retire' gives the cluster up",
            ),
            Self::OtherCluster { snapshot, record } => write!(
                f,
                "the snapshot is of another cluster: its 'kube-system' has the UID {snapshot}, that of the record {record}: choose one of this \
                 cluster, see 'kubeboot snapshot list'"
            ),
            Self::HolderUnknown { instance } => write!(
                f,
                "{instance} restores the cluster at the moment, and EC2 was not asked whether it is gone: wait for it, or terminate it and try \
                 again"
            ),
            Self::EarlierVersions { instances } => {
                let instances: Vec<&str> = instances.iter().map(InstanceId::as_str).collect();
                write!(
                    f,
                    "{} live with a kubeboot that cannot read the record of a saved cluster: terminate them, and let the group launch machines \
                     from an image with this version",
                    instances.join(", ")
                )
            }
            Self::Remains(refusal) => refusal.fmt(f),
        }
    }
}
