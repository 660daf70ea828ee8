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
mod outcome;
mod progress;
#[cfg(test)]
mod progress_tests;
mod refusal;
mod rest;
#[cfg(test)]
mod rest_tests;
#[cfg(test)]
mod tests;
mod verdict;
mod wait;
mod way;
#[cfg(test)]
mod way_tests;

pub use back::{BackRefusal, BackVerdict, way_back};
pub use look::{ApiServerSeen, EtcdLook, ImageVersions, KubernetesUpgrade, MachineSeen, UpgradeLook};
pub use outcome::{RestOutcome, StepOutcome};
pub use progress::{ClusterVersions, MachineVersions, UpgradeProgress, UpgradeStage, upgrade_progress};
pub use refusal::UpgradeRefusal;
pub use rest::{RestLook, RestStep, RestVerdict, RestWait, rest_before, rest_pause, rest_verdict};
pub use verdict::{JoinVerdict, join_verdict};
pub use wait::UpgradeWait;
pub use way::{UpgradeWay, WayLook, WayObstacle, WayStep, upgrade_way};
