//! Upgrading Kubernetes by a new image: machines of the next version join one by one, and the first of them raises the version that
//! the cluster's configuration (the `ConfigMap` called `kubeadm-config`) names.
//!
//! kubeadm stops no wrong combination, so everything is compared here: before a machine queues for the membership lease, and again
//! under it. What holds for ever: API servers of one cluster are at most one minor version apart, and no older kubeadm joins a newer
//! cluster.
//!
//! **Why a frozen machine breaks neither.** A lease is no fence. Whoever joins first registers as `joining` with its versions, then reads
//! `kubeadm-config`, then writes it with the resource version that was read as precondition, and only then starts kubeadm. Whoever raises
//! or takes back the version reads `kubeadm-config` first, then the registrations, then etcd's members and their API servers, and then writes
//! with that precondition.
//! Of two such machines, in whatever order their steps come and however long they stand still: either the second write meets a resource
//! version that has changed, or the one that changes the version has seen the registration of the other, and waits for it. This does not
//! need the lease to stand, nor any clock.

mod back;
mod look;
mod refusal;
#[cfg(test)]
mod tests;
mod verdict;
mod wait;

pub use back::{BackRefusal, BackVerdict, way_back};
pub use look::{ApiServerSeen, EtcdLook, ImageVersions, KubernetesUpgrade, MachineSeen, UpgradeLook};
pub use refusal::UpgradeRefusal;
pub use verdict::{JoinVerdict, join_verdict};
pub use wait::UpgradeWait;
