//! The membership of etcd as this machine could learn it.

use crate::model::membership::members::Members;

/// The cluster behind a ready record, as far as it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterView {
    /// There is no ready record, so nobody was asked.
    NotAsked,
    /// No list is to be had.
    Unknown {
        /// Why not.
        why: String,
    },
    /// A linearizable list: what is not in it is no member.
    Listed(Members),
    /// A list from one member's memory, for fewer voters answer than the quorum wants: good for counting only.
    NoQuorum(Members),
    /// etcd is external and an API server of the cluster answers: membership is not our business, and what the disk says
    /// of this machine stands in for the list.
    External,
}
