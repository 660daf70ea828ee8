//! Snapshots of etcd: saved to the bucket, fetched from it, verified in it; and `kubeboot snapshot`.
//!
//! [`crate::model::snapshot`] says how they are named and which one counts. Nothing here ever deletes one.

pub mod catalog;
mod command;
mod fetch;
mod own;
mod pack;
mod report;
mod save;
mod source;

pub use catalog::{LastSnapshot, last, latest_of, named};
pub use command::{SnapshotOptions, decided, run};
pub use fetch::{fetch, verify};
pub use own::{EXTERNAL, origin, save_own};
pub use save::{Progress, Reporter, save};
pub use source::{DatabaseFile, DatabaseSource};
