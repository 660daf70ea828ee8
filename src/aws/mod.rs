//! AWS: who this machine is, what its group looks like, and the bucket.
//!
//! Every command asks through one [`Session`]. Time-outs and retries stand in [`config`] alone.

mod body;
pub mod config;
pub mod download;
pub mod ec2;
pub mod error;
pub mod folder;
pub mod gate;
pub mod group;
pub mod hook;
mod http;
pub mod imds;
pub mod multipart;
pub mod session;
pub mod store;

pub use config::connect;
pub use error::{CallFailed, CallFailure, with_exit};
pub use session::Session;
