//! What this machine has learned of etcd's membership.

use crate::model::membership::members::Members;

/// The members of the cluster of a ready record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterView {
    /// There is no ready record, so etcd was not asked.
    NotAsked,
    /// There is no list.
    Unknown {
        /// Why not.
        why: String,
    },
    /// A list read through a quorum: a machine that is not in it is no member.
    Listed(Members),
    /// One member's own copy of the list, because fewer voters answer than the quorum. It only serves to count voters.
    NoQuorum(Members),
    /// etcd is external and an API server of the cluster answers. kubeboot does not manage its members; the state on the disk takes
    /// the place of the list.
    External,
}
