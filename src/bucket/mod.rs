//! What kubeboot keeps in the bucket, and the watch over it: the record, the lease, registrations, the published hash;
//! and whether the bucket is one on which that works.

pub mod held;
pub mod keys;
pub mod probe;
pub mod record;
pub mod registrations;
#[cfg(test)]
pub(crate) mod server;
pub mod watch;

pub use held::{Held, HoldingLost, Renewable};
pub use watch::{Found, Watch};
