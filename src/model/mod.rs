//! The pure ring: what is observed, what is decided, what is written.
//!
//! Nothing here does IO, reads a clock or draws a random number; time comes in as durations that the rim measured on its own
//! monotonic clock. So every race and every reboot is a row of a table.
//!
//! What several commands share is sorted by subject:
//!
//! | folder | subject |
//! |---|---|
//! | [`machine`] | one machine and the group it is in |
//! | [`record`] | the cluster record, claims, and conditional writes |
//! | [`membership`] | etcd's members, the lease, registrations, who may be reaped |
//! | [`joining`] | what workers need to join, as the leader publishes it |
//!
//! What one command alone decides is in a folder with its name; folders of commands use the ones above, and each other only for
//! `status`, which tells what the others do, and for `restore`, which is judged like `retire`:
//!
//! | folder | subject |
//! |---|---|
//! | [`up`] | from one snapshot to one step |
//! | [`leader`] | who leads among programs that share one Lease of Kubernetes: `kubeboot elect` |
//! | [`agent`] | whether a machine that is being terminated leaves, holds its terminate hook, or answers it |
//! | [`hibernate`] | whether a group may be set to zero so that its cluster is saved |
//! | [`leave`] | whether a machine that goes down leaves, by which steps, and how long each may take |
//! | [`reap`] | what an operator may have removed |
//! | [`renew`] | which certificates are renewed, and what is restarted for that |
//! | [`restore`] | whether a saved cluster can come back |
//! | [`retire`] | whether a cluster may be given up |
//! | [`snapshot`] | how snapshots of etcd are named and described, which is the latest, when it is too old |
//! | [`saving`] | in which order the last voter isolates itself and saves its cluster |
//! | [`status`] | how the control plane is, with the reasons |
//! | [`upgrade`] | whether a machine of a newer image may join and raise the cluster's version, and whether that can be taken back |
//! | [`worker`] | the same as `up` and `agent`, on a worker |

pub mod agent;
pub mod duration;
pub mod hibernate;
pub mod joining;
pub mod leader;
pub mod leave;
pub mod machine;
pub mod membership;
pub mod reap;
pub mod record;
pub mod renew;
pub mod restore;
pub mod retire;
pub mod saving;
pub mod snapshot;
pub mod status;
pub mod text;
pub mod up;
pub mod upgrade;
pub mod version;
#[cfg(test)]
mod words;
pub mod worker;
