//! The little that is asked of a Kubernetes API server, and always of one at its own address: behind the endpoint's
//! name the answer could come from any of them, and even from another cluster with the same certificate authority.

mod answers;
mod anyone;
mod client;
mod kubeconfig;
mod probe;

pub use answers::{ClusterConfiguration, KubeNode};
pub use anyone::{Anyone, answers_at};
pub use client::{Client, Deleted};
pub use kubeconfig::Kubeconfig;
pub use probe::is_api_server;
