//! What workers need to join: the objects below `join/`, which the leader writes and workers read.
//!
//! Here belongs what stands in these objects, when the leader writes them anew, and which of the machines that come with a token it lets in. What a worker does with them is its own.
//!
//! | file | question |
//! |---|---|
//! | [`cluster`] | what is public of the cluster? |
//! | [`token`] | with which bootstrap token, and until when? |
//! | [`bootstrap_token`] | what is a bootstrap token? |
//! | [`publication`] | when is either written, and over what? |
//! | [`approval`] | which request for a kubelet's certificate is approved? |
//! | [`queue`] | which requests are looked at, and when? |
//! | [`telling`] | how much is told of those that are not approved? |
//! | [`oldest`] | which version has the oldest API server? |
//! | `object` | how are the two stored, and what is no such object? |

pub mod approval;
pub mod bootstrap_token;
pub mod cluster;
mod object;
pub mod oldest;
pub mod publication;
pub mod queue;
pub mod telling;
pub mod token;

pub use bootstrap_token::{BootstrapToken, NoToken};
pub use cluster::JoinCluster;
pub use object::{Join, JoinError, JoinKind, LARGEST, LARGEST_GENERATION};
pub use token::JoinToken;
