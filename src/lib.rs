//! kubeboot turns the identical machines of an Auto Scaling group into exactly one kubeadm control plane.
//!
//! The story in one paragraph: every machine runs [`up`]. It *observes* the world as one
//! [`Snapshot`](model::up::snapshot::Snapshot), [*decides*](model::up::decide::decide) on one [`Step`](model::up::step::Step), and *acts*.
//! One object in S3, the [cluster record](model::record::cluster::ClusterRecord), says which cluster there is: whoever has written a claim
//! into it by a compare-and-swap may initialise, and one more such write, the flip, makes the cluster exist for all others. They
//! queue for the [membership lease](model::membership::lease::Lease) and join one by one.
//!
//! Three rings, and arrows only inward:
//!
//! | ring | modules | rule |
//! |---|---|---|
//! | pure | [`model`] | no IO, no clock, no chance; compiles without the feature `node` |
//! | rim | [`aws`], [`etcd`], [`kube`], [`kubeadm`], [`host`], [`bucket`], [`node`], [`snapshot`], [`settings`], [`exit`] | one outside thing each, every call with a deadline |
//! | shell | [`up`], [`reset`], [`agent`], [`status`], [`check`], [`reap`], [`renew`], [`retire`], [`restore`], [`hibernate`], [`upgrade`], [`guard`], [`elect`], [`access`], [`cli`], [`log`], [`layout`] | one module per command |
//!
//! `docs/protocol.md` tells the protocol for operators.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod model;

#[cfg(feature = "node")]
pub mod access;
#[cfg(feature = "node")]
pub mod agent;
#[cfg(feature = "node")]
pub mod aws;
#[cfg(feature = "node")]
pub mod bucket;
#[cfg(feature = "node")]
pub mod check;
#[cfg(feature = "node")]
pub mod cli;
#[cfg(test)]
#[cfg_attr(not(feature = "node"), allow(dead_code, reason = "the commands alone print JSON"))]
mod documented;
#[cfg(feature = "node")]
pub mod elect;
#[cfg(feature = "node")]
pub mod etcd;
#[cfg(feature = "node")]
pub mod exit;
#[cfg(feature = "node")]
pub mod guard;
#[cfg(feature = "node")]
pub mod hibernate;
#[cfg(feature = "node")]
pub mod host;
#[cfg(feature = "node")]
pub mod kube;
#[cfg(feature = "node")]
pub mod kubeadm;
#[cfg(feature = "node")]
pub mod layout;
#[cfg(feature = "node")]
pub mod log;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "node")]
pub mod reap;
#[cfg(feature = "node")]
pub mod renew;
#[cfg(feature = "node")]
pub mod reset;
#[cfg(feature = "node")]
pub mod restore;
#[cfg(feature = "node")]
pub mod retire;
#[cfg(feature = "node")]
pub mod settings;
#[cfg(feature = "node")]
pub mod snapshot;
#[cfg(feature = "node")]
pub mod status;
#[cfg(test)]
mod stored;
#[cfg(feature = "node")]
pub mod up;
#[cfg(feature = "node")]
pub mod upgrade;
