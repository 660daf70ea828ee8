//! kubeboot.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod model;

#[cfg(feature = "node")]
pub mod aws;
#[cfg(feature = "node")]
pub mod bucket;
#[cfg(feature = "node")]
pub mod check;
#[cfg(feature = "node")]
pub mod cli;
#[cfg(feature = "node")]
pub mod etcd;
#[cfg(feature = "node")]
pub mod exit;
#[cfg(feature = "node")]
pub mod host;
#[cfg(feature = "node")]
pub mod kube;
#[cfg(feature = "node")]
pub mod kubeadm;
#[cfg(feature = "node")]
pub mod log;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "node")]
pub mod settings;
#[cfg(feature = "node")]
pub mod status;
#[cfg(feature = "node")]
pub mod up;
