//! etcd's membership: listing it, changing it, and verifying the change. Each member is asked at its own address.

pub mod access;
pub mod alone;
pub mod claim;
pub mod data;
pub mod leadership;
pub mod list;
pub mod remove;
pub mod snapshot;
pub mod status;

pub use access::{Access, REQUEST_TIMEOUT};
pub use claim::{replace_claim, write_claim};
pub use leadership::move_leader;
pub use list::{Observed, observe, observe_all, observe_within};
pub use remove::remove_verified;
pub use snapshot::{ReadBefore, SnapshotStream, snapshot};
pub use status::{Status, status};

/// The port on which kubeadm's etcd serves clients.
pub const CLIENT_PORT: u16 = 2379;
/// The port on which it serves its peers.
pub const PEER_PORT: u16 = 2380;
