//! The state on this machine's disk.

use crate::model::machine::ids::{ClaimId, InstanceId, MemberId};

/// The state, by kubeboot's marker and by the files of kubeadm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// Nothing of a control plane.
    Fresh,
    /// kubeadm was started and has not been seen to succeed.
    HalfMade {
        /// The machine that wrote it: another one's on a baked image or a restored volume.
        instance: InstanceId,
        /// The claim it belongs to.
        claim_id: ClaimId,
        /// What was under way.
        stage: Stage,
    },
    /// A member of a control plane.
    Made {
        /// The machine that wrote it.
        instance: InstanceId,
        /// The claim that made the cluster.
        claim_id: ClaimId,
        /// Its member of etcd, by its marker; `None` with external etcd, or in a marker of an earlier kubeboot.
        member: Option<MemberId>,
    },
    /// Files of kubeadm without kubeboot's marker: their owner is not known.
    Unexplained {
        /// The files found.
        found: Vec<String>,
    },
}

/// What was under way on a half-made machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `kubeadm init`.
    Initializing,
    /// `kubeadm join`.
    Joining,
}
