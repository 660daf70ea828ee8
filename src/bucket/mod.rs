//! The objects that kubeboot keeps in the bucket: the record, the lease, registrations, the published hash and what workers need. Reading, watching and
//! holding them; and a probe of whether the bucket supports that.

pub mod former;
pub mod held;
pub mod join;
pub mod join_objects;
pub mod keys;
pub mod probe;
pub mod record;
pub mod registrations;
pub mod roll;
#[cfg(test)]
pub(crate) mod server;
pub mod watch;

pub use held::{Held, HoldingLost, Renewable};
pub use join_objects::JoinObjects;
pub use roll::{RegistrationEntry, Roll};
pub use watch::{Found, Watch};
