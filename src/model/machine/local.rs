//! What this machine's disk says of itself.

use crate::model::machine::ids::{ClaimId, InstanceId};

/// State of the machine, from kubeboot's marker and from what kubeadm leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// Nothing of a control plane.
    Fresh,
    /// kubeadm was started and has not been seen to end well.
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
    },
    /// What kubeadm leaves, without kubeboot's marker: nobody knows whose it is.
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
