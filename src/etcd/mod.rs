//! etcd's membership: list it, change it, verify the change. Each member is asked at its own address.

pub mod access;
pub mod list;
pub mod remove;

pub use access::Access;
pub use list::observe;
pub use remove::remove_verified;

/// The port on which kubeadm's etcd serves clients.
pub const CLIENT_PORT: u16 = 2379;
