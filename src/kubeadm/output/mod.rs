//! What kubeadm prints. Pure, and tested on what the real one printed.
//!
//! kubeadm says its progress on standard output, a line per step, and its failures on standard error, in prose. There
//! is no machine-readable form of either. So as little as possible is read out of it: where it is, which of a few
//! failures it met that kubeboot treats differently, and everything else as text for a person, without its secrets.

mod failure;
mod phase;
mod redact;
mod version;

pub use failure::{Cause, Summary, summarize};
pub use phase::{KubeadmPhase, announces_member, phase};
pub use redact::redact;
pub use version::{Version, client_version, kubelet_version};
