//! Renewing what kubeadm made for a year: which certificates of a control-plane machine, when, and what is restarted for it.
//!
//! Here belongs what `kubeboot renew` decides. Certificate authorities are not renewed: to replace one is another work.
//!
//! | file | question |
//! |---|---|
//! | [`certificate`] | which certificates are there, who signs each, and which program must be restarted to take it? |
//! | [`mod@plan`] | what is to be done on this machine now, or whom does it wait for? |

pub mod certificate;
pub mod plan;

pub use certificate::{Authority, KUBELET_CLIENT, KubeadmCertificate, RestartedProgram};
pub use plan::{Dated, EveryVoter, MissingAnswer, RenewInput, RenewPlan, RenewStep, plan};
