//! The little that is asked of a Kubernetes API server, and always of one at its own address: behind the endpoint's
//! name the answer could come from any of them, and even from another cluster with the same certificate authority.

mod answers;
mod client;
mod endpoint;
mod kubeconfig;

pub use answers::{ClusterConfiguration, KubeNode};
pub use client::{Client, Deleted};
pub use endpoint::{EndpointAnswer, answers_at};
pub use kubeconfig::Kubeconfig;
