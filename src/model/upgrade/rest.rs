//! What is left of an upgrade when every API server is of the new version: kubelet's configuration, kubeadm's RBAC and the add-ons, which are
//! the cluster's and no machine's. The leader among the agents does it, once.

use super::look::{ApiServerSeen, KubernetesUpgrade};
use super::outcome::RestOutcome;
use crate::model::version::Release;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How long to wait after the first attempt that has failed; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// One thing to do, in the order in which `kubeadm upgrade apply` does them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestStep {
    /// The `ConfigMap` called `kubelet-config`, which machines that join get.
    KubeletConfig,
    /// What kubeadm's bootstrap tokens may do.
    BootstrapRbac,
    /// The Deployment of CoreDNS.
    Coredns,
    /// The DaemonSet of kube-proxy.
    KubeProxy,
}

impl RestStep {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::KubeletConfig, Self::BootstrapRbac, Self::Coredns, Self::KubeProxy];

    /// The phase of `kubeadm upgrade apply` that does it. Never the whole command, which restarts etcd for 75 seconds, and never the phase
    /// `upload-config kubeadm`: it writes `kubeadm-config` without a precondition, over a version that another machine raises meanwhile.
    #[must_use]
    pub fn phase(self) -> &'static [&'static str] {
        match self {
            Self::KubeletConfig => &["upload-config", "kubelet"],
            Self::BootstrapRbac => &["bootstrap-token"],
            Self::Coredns => &["addon", "coredns"],
            Self::KubeProxy => &["addon", "kube-proxy"],
        }
    }

    /// The section of a `ClusterConfiguration` that may say that it is disabled.
    #[must_use]
    pub fn section(self) -> Option<&'static str> {
        match self {
            Self::KubeletConfig | Self::BootstrapRbac => None,
            Self::Coredns => Some("dns"),
            Self::KubeProxy => Some("proxy"),
        }
    }

    /// Its word for programs, which is also the last part of its image's name if it is an add-on.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KubeletConfig => "kubelet-config",
            Self::BootstrapRbac => "bootstrap-rbac",
            Self::Coredns => "coredns",
            Self::KubeProxy => "kube-proxy",
        }
    }
}

/// For people.
impl fmt::Display for RestStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KubeletConfig => "kubelet's configuration",
            Self::BootstrapRbac => "the RBAC of bootstrap tokens",
            Self::Coredns => "CoreDNS",
            Self::KubeProxy => "kube-proxy",
        })
    }
}

/// What the leader sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestLook {
    /// The setting of the leader's machine.
    pub setting: KubernetesUpgrade,
    /// Its kubeadm.
    pub kubeadm: Release,
    /// `kubernetesVersion` in `kubeadm-config`.
    pub cluster: Release,
    /// The version to which all this was brought last, as [`rest_before`] says.
    pub before: Release,
    /// Every API server of the cluster, the leader's own as well.
    pub servers: Vec<ApiServerSeen>,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestVerdict {
    /// Nothing is left.
    Nothing,
    /// Something is left, and not to be done yet.
    Wait(RestWait),
    /// It is to be done now.
    Due {
        /// The version to which all this was brought last.
        from: Release,
        /// The version to bring it to.
        to: Release,
    },
}

/// Why it is not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestWait {
    /// API servers are of another version.
    Servers {
        /// The version that they are to be of.
        to: Release,
        /// Which, and their versions.
        others: Vec<(String, Release)>,
    },
    /// API servers do not answer, so that nobody knows their version.
    Silent(Vec<String>),
    /// No API server is known.
    Nobody,
    /// kubeadm brings what belongs to its own minor version, and to no later patch of it.
    Kubeadm {
        /// That of the leader's machine.
        here: Release,
        /// The cluster's.
        to: Release,
    },
}

/// Goes on after what waits.
impl fmt::Display for RestWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Servers { to, others } => {
                let others: Vec<String> = others.iter().map(|(name, version)| format!("{name} (v{version})")).collect();
                write!(f, "until every API server is of v{to}; others: {}", others.join(", "))
            }
            Self::Silent(servers) => write!(f, "until every API server answers; silent: {}", servers.join(", ")),
            Self::Nobody => f.write_str("until an API server is known"),
            Self::Kubeadm { here, to } => {
                let (major, minor) = to.series();
                write!(
                    f,
                    "until a machine leads whose kubeadm is v{to}, or a later v{major}.{minor}: that of this leader is v{here}"
                )
            }
        }
    }
}

/// The version to which the add-ons and the rest were brought last: by what was kept of it, or else by the version that the cluster was made
/// with. kube-proxy has the cluster's version in its image, and so tells of a cluster that was restored by a newer image, or upgraded by hand:
/// it is the last of what is brought.
#[must_use]
pub fn rest_before(outcome: Option<&RestOutcome>, made: Release, kube_proxy: Option<Release>) -> Release {
    match outcome {
        Some(outcome) if outcome.done => outcome.to,
        Some(outcome) => outcome.from,
        None => kube_proxy.unwrap_or(made),
    }
}

/// Decides whether it is to be done now.
#[must_use]
pub fn rest_verdict(look: &RestLook) -> RestVerdict {
    let RestLook { cluster: to, before: from, .. } = *look;
    // Where images do not upgrade, whoever upgrades by hand does this as well.
    if look.setting == KubernetesUpgrade::Off || to <= from {
        return RestVerdict::Nothing;
    }
    match awaited(look) {
        Some(wait) => RestVerdict::Wait(wait),
        None => RestVerdict::Due { from, to },
    }
}

fn awaited(look: &RestLook) -> Option<RestWait> {
    let to = look.cluster;
    let other = |server: &ApiServerSeen| Some((server.name.clone(), server.version.filter(|found| *found != to)?));
    let others: Vec<(String, Release)> = look.servers.iter().filter_map(other).collect();
    let silent = look.servers.iter().filter(|server| server.version.is_none());
    let silent: Vec<String> = silent.map(|server| server.name.clone()).collect();
    if look.servers.is_empty() {
        Some(RestWait::Nobody)
    } else if !others.is_empty() {
        Some(RestWait::Servers { to, others })
    } else if !silent.is_empty() {
        Some(RestWait::Silent(silent))
    } else if look.kubeadm.series() != to.series() || look.kubeadm < to {
        Some(RestWait::Kubeadm { here: look.kubeadm, to })
    } else {
        None
    }
}

/// How long to wait after so many attempts that have failed.
#[must_use]
pub fn rest_pause(attempts: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}
