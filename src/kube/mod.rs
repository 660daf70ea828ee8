//! The few requests to Kubernetes API servers. Each server is asked at its own address, because behind the endpoint's name any of
//! them could answer, and even another cluster with the same certificate authority. Only `kubeboot elect` and workers ask whoever
//! their credentials are for.

mod access;
mod answers;
mod bearer;
mod bootstrap;
mod client;
mod cluster_version;
mod endpoint;
mod kubeconfig;
mod kubelet;
mod leases;
mod nodes;
mod pkcs10;
mod probe;
mod rbac;
mod requests;
mod rest;
#[cfg(test)]
pub(crate) mod server;
mod transport;
pub mod written;

pub use access::ApiAccess;
pub use answers::{ClusterConfiguration, KubeNode};
pub use client::{Client, Deleted, Marking, bad_certificate, is_silence};
pub use cluster_version::ConfigWrite;
pub use endpoint::{UnverifiedAnswer, answers_at, answers_at_address};
pub use kubeconfig::Kubeconfig;
pub use kubelet::{BadCredentials, KubeletClient, kubelet_answers};
pub use leases::LeaseClient;
pub use probe::is_api_server;
pub use rbac::Bypassed;
#[cfg(test)]
pub(crate) use requests::tests as requests_for_tests;
pub use requests::{RequestChange, RequestPages, RequestWatch, Settled, Settlement, SigningRequest};
pub use rest::KeptOutcome;
