//! The cluster record: the one object that says which cluster there is, and every way in which it may change.
//!
//! Here belongs what is stored in `control-plane/cluster.json`, how one version of it may follow another, and what a conditional
//! write and its reply mean. Here does not belong: who may claim when (`machine`, `up`), and anything about etcd's members.
//!
//! | file | what it holds |
//! |---|---|
//! | [`cluster`] | the record itself |
//! | [`saved`] | a cluster that lives in a snapshot |
//! | `wire` | the record as it is stored |
//! | [`identity`] | account, Region, group, endpoint and subnet: whose cluster it is |
//! | [`view`] | the record as one process last read it |
//! | [`claim`] | the records a claim goes through: claimed, renewed, taken over, yielded, flipped, saved, restored, retired |
//! | [`former_cluster`] | what became of the cluster that a disk belongs to, by the record |
//! | [`conditional_write`] | what the reply to a conditional write means |
//! | [`renewal`] | when a holder rewrites what it holds, and when it gives up |
//! | [`watched`] | how long an object has been the same |

pub mod claim;
pub mod cluster;
pub mod conditional_write;
pub mod former_cluster;
pub mod identity;
pub(in crate::model) mod object;
pub mod renewal;
pub mod saved;
pub mod view;
pub mod watched;
mod wire;
