//! Parses kubeadm's output. Pure, and tested on output of the real kubeadm.
//!
//! kubeadm prints its progress to standard output, a line per step, and its failures to standard error, in prose. There is no
//! machine-readable form of either. So only two things are parsed: the current step, and the few failures that kubeboot treats
//! differently. Everything else is text for a person, without secrets.

mod failure;
mod phase;
mod redact;
mod version;

pub use failure::{Cause, Summary, summarize};
pub use phase::{KubeadmPhase, announces_member, phase};
pub use redact::redact;
pub use version::{Version, client_version, kubelet_version};
