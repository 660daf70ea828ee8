//! kubeboot.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "node")]
pub mod aws;
#[cfg(feature = "node")]
pub mod bucket;
#[cfg(feature = "node")]
pub mod etcd;
pub mod model;
