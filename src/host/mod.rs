//! The machine that kubeboot runs on: its processes, files, lock and systemd, and what it serves.
//!
//! Nothing here knows what a cluster is, and nothing here decides.

pub mod boottime;
pub mod confirm;
pub mod ctr;
pub mod environment;
pub mod files;
pub mod hosts;
pub mod http;
pub mod lock;
pub mod namespace;
pub mod process;
pub mod runtime;
pub mod short_lived;
pub mod signals;
pub mod systemd;
pub mod tls;
