//! Snapshots of etcd in the bucket: how they are named, what is said of each, which one counts, and when the last one is too old.
//!
//! | file | question |
//! |---|---|
//! | [`name`] | under which keys does a snapshot stand? |
//! | [`manifest`] | what is known of one snapshot? |
//! | [`choice`] | which one is the latest of a cluster? |
//! | [`age`] | is the last one too old? |

pub mod age;
pub mod choice;
pub mod manifest;
pub mod name;

pub use age::{Freshness, SnapshotAge};
pub use choice::latest;
pub use manifest::{Manifest, ManifestError, SnapshotKind};
pub use name::SnapshotName;
