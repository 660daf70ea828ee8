//! What one look of a worker finds.

use super::revive::NodeView;
use crate::model::joining::{Join, JoinCluster, JoinError, JoinToken};
use crate::model::machine::defect::Defect;
use crate::model::machine::ids::{InstanceId, Uid};
use std::time::Duration;

/// One look.
#[derive(Debug, Clone)]
pub struct WorkerSnapshot {
    /// This instance.
    pub me: InstanceId,
    /// The name of its Node.
    pub node_name: String,
    /// The state in which Auto Scaling wants it, by IMDS.
    pub target: Option<String>,
    /// Whether IMDS has said anything of that, also that there is no such state.
    pub is_target_known: bool,
    /// What its disk says.
    pub local: WorkerLocal,
    /// What `join/cluster.json` says.
    pub cluster: Fetched<JoinCluster>,
    /// What `join/token.json` says; not asked where nothing is going to be joined.
    pub token: Fetched<JoinToken>,
    /// This machine's own clock, in seconds since 1970. S3 answers nobody whose clock is far from its own.
    pub now: u64,
    /// The version of its kubelet.
    pub kubelet: String,
    /// What is wrong with this machine.
    pub defects: Vec<Defect>,
    /// Its Node.
    pub node: NodeView,
    /// The Node of its name in the cluster of `join/`, asked with the token; not asked where nothing is about to be joined.
    pub namesake: NodeView,
    /// Whether its Node is closed for new pods, and kubeboot has closed it: before it was wiped, and joined again.
    pub is_cordoned: bool,
    /// Whether kubelet was restarted since the Node has been missing.
    pub kubelet_restarted: bool,
    /// Whether kubelet answers on this machine; `None`: it was not asked.
    pub kubelet_answers: Option<bool>,
    /// How long it is until the next attempt, after ones that failed.
    pub pause: Option<Duration>,
    /// EC2's source/destination check of this instance.
    pub source_dest_check: CheckState,
    /// The launch hook.
    pub hook: LaunchHookState,
}

/// What decides beside the snapshot.
#[derive(Debug, Clone, Default)]
pub struct WorkerPolicy {
    /// The endpoint that the settings name, if they name one.
    pub endpoint: Option<String>,
    /// Whether a machine of another cluster is wiped and joins the one of `join/`.
    pub rejoins: bool,
}

/// An object below `join/`, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched<T> {
    /// It was not asked for.
    NotAsked,
    /// S3 did not answer, or refuses for a reason that may pass.
    Silent {
        /// Why.
        why: String,
    },
    /// S3 refuses. It says the same of an object that is not there to whom it may not list the bucket.
    Denied,
    /// There is none.
    Absent,
    /// What was read.
    Read(Result<Join<T>, JoinError>),
}

/// Which cluster a worker is of. Nothing else counts: a restored cluster has the same of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// The UID of its `kube-system` namespace.
    pub kube_system_uid: Uid,
    /// What its authorities are known by, whatever their certificates say besides: the hashes of their public keys.
    pub authorities: Vec<String>,
}

/// The state on a worker's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerLocal {
    /// Nothing of a node.
    Fresh,
    /// `kubeadm join` was about to start, and its Node has not been seen.
    Joining {
        /// The machine that wrote it: another one's on a baked image or a restored volume.
        instance: InstanceId,
        /// The cluster.
        cluster: ClusterIdentity,
        /// Whether kubeadm has come so far that kubelet has credentials.
        has_credentials: bool,
    },
    /// A node of a cluster.
    Joined {
        /// The machine that wrote it.
        instance: InstanceId,
        /// The cluster.
        cluster: ClusterIdentity,
    },
    /// Something of a control plane is here, whether kubeboot has made it or not.
    OfControlPlane,
    /// Files of kubeadm without kubeboot's marker.
    Unexplained {
        /// The files found.
        found: Vec<String>,
    },
}

/// EC2's source/destination check of this instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// It is nobody's business, or off already.
    Settled,
    /// It is to be switched off.
    Due,
}

/// The launch hook of this machine's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchHookState {
    /// No setting names one, or it was answered.
    Settled,
    /// It may wait for this machine.
    Due,
}
