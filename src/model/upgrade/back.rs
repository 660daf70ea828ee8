//! Whether an upgrade that has begun can be taken back: only as long as no machine of the new version has joined.

use super::look::{ApiServerSeen, MachineSeen};
use crate::model::version::Release;
use std::fmt;
use std::time::Duration;

/// What comes of taking an upgrade back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackVerdict {
    /// The configuration names no newer version than the API servers have.
    Nothing {
        /// The version that it names.
        cluster: Release,
    },
    /// It is to name the version that the API servers have.
    Back {
        /// The version that it names.
        from: Release,
        /// The version of the newest API server.
        to: Release,
    },
    /// Machines of the new version that EC2 does not know stand in the way, until they count as gone.
    Wait {
        /// Which.
        machines: Vec<String>,
        /// How long EC2 must still leave out the last of them.
        left: Duration,
    },
    /// It cannot be taken back, or not yet.
    Refuse(BackRefusal),
}

/// Why an upgrade cannot be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackRefusal {
    /// Not everybody answers, so that nobody knows who has joined.
    Silent {
        /// Who does not.
        servers: Vec<String>,
    },
    /// Nobody was found.
    Nobody,
    /// A machine of the new version is a member.
    Joined {
        /// The new version.
        cluster: Release,
        /// Which machines.
        servers: Vec<String>,
    },
    /// API servers are newer than the configuration: no upgrade of kubeboot's does that.
    ByHand {
        /// The version that the configuration names.
        cluster: Release,
        /// Which, and their versions.
        servers: Vec<(String, Release)>,
    },
    /// A version that is more than its three numbers, which alone would be written.
    NotWhole {
        /// The version that the configuration names.
        cluster: Release,
        /// That of the newest API server.
        newest: Release,
    },
    /// Machines of the new version live, and would raise it again.
    NewerMachines {
        /// The version to go back to.
        to: Release,
        /// Which machines.
        machines: Vec<String>,
    },
    /// The API servers are older by more than one minor version than the configuration: no upgrade of kubeboot's did that.
    TooFar {
        /// The version that the configuration names.
        cluster: Release,
        /// That of the newest API server.
        newest: Release,
    },
}

impl BackRefusal {
    /// A code for programs. It stays the same when the text changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Silent { .. } => "silent",
            Self::Nobody => "nobody",
            Self::Joined { .. } => "joined",
            Self::ByHand { .. } => "by-hand",
            Self::NotWhole { .. } => "not-whole",
            Self::NewerMachines { .. } => "newer-machines",
            Self::TooFar { .. } => "two-minors",
        }
    }
}

/// Judges whether the cluster's version can go back to that of its API servers. `servers` are those of every listed member, `machines`
/// every other machine that lives and has registered, and not as joined.
#[must_use]
pub fn way_back(cluster: Release, servers: &[ApiServerSeen], machines: &[MachineSeen]) -> BackVerdict {
    match newest(cluster, servers) {
        Err(refusal) => BackVerdict::Refuse(refusal),
        Ok(to) if to > cluster => {
            let newer = servers.iter().filter_map(|server| Some((server.name.clone(), server.version?)));
            let servers = newer.filter(|(_, version)| *version > cluster).collect();
            BackVerdict::Refuse(BackRefusal::ByHand { cluster, servers })
        }
        Ok(to) if servers.iter().all(|server| server.version == Some(to)) && to == cluster => {
            BackVerdict::Nothing { cluster }
        }
        Ok(to) if to == cluster => {
            let joined = servers.iter().filter(|server| server.version == Some(cluster));
            let servers = joined.map(|server| server.name.clone()).collect();
            BackVerdict::Refuse(BackRefusal::Joined { cluster, servers })
        }
        Ok(to) if !to.is_whole() || !cluster.is_whole() => {
            BackVerdict::Refuse(BackRefusal::NotWhole { cluster, newest: to })
        }
        Ok(to) => {
            let newer = |machine: &&MachineSeen| machine.kubeadm.is_none_or(|kubeadm| kubeadm > to);
            let (left_out, live): (Vec<_>, Vec<_>) =
                machines.iter().filter(newer).partition(|machine| machine.gone_in.is_some());
            let named = |machines: &[&MachineSeen]| machines.iter().map(|machine| machine.name.clone()).collect();
            if !live.is_empty() {
                return BackVerdict::Refuse(BackRefusal::NewerMachines { to, machines: named(&live) });
            }
            match left_out.iter().filter_map(|machine| machine.gone_in).max() {
                Some(left) => BackVerdict::Wait { machines: named(&left_out), left },
                None => BackVerdict::Back { from: cluster, to },
            }
        }
    }
}

/// The version of the newest API server, once all have told.
fn newest(cluster: Release, servers: &[ApiServerSeen]) -> Result<Release, BackRefusal> {
    let silent: Vec<String> =
        servers.iter().filter(|server| server.version.is_none()).map(|server| server.name.clone()).collect();
    if !silent.is_empty() {
        return Err(BackRefusal::Silent { servers: silent });
    }
    let newest = servers.iter().filter_map(|server| server.version).max().ok_or(BackRefusal::Nobody)?;
    if newest < cluster && !newest.may_run_beside(cluster) {
        return Err(BackRefusal::TooFar { cluster, newest });
    }
    Ok(newest)
}

/// Ends with what to do.
impl fmt::Display for BackRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { servers } => write!(
                f,
                "not every API server answers, so nobody knows who has joined; silent: {}: bring them back, or have them replaced, and try again",
                servers.join(", ")
            ),
            Self::Nobody => f.write_str("no API server of the cluster is known: try again on a member"),
            Self::Joined { cluster, servers } => write!(
                f,
                "machines of v{cluster} are members already: {}: an API server never goes back, so go on: launch the rest from the newer image",
                servers.join(", ")
            ),
            Self::ByHand { cluster, servers } => {
                let servers: Vec<String> =
                    servers.iter().map(|(name, version)| format!("{name} (v{version})")).collect();
                write!(
                    f,
                    "the cluster's configuration names v{cluster}, and API servers are newer, as after an upgrade by hand that was cut off: {}: \
                     an API server never goes back, so bring that upgrade to its end by hand ('kubeadm upgrade apply' on one of them)",
                    servers.join(", ")
                )
            }
            Self::NotWhole { cluster, newest } => write!(
                f,
                "the cluster's configuration names v{cluster}, its newest API server is v{newest}, and one of them has a suffix, of a \
                 pre-release or a vendor: write the version that is right into the ConfigMap kube-system/kubeadm-config by hand"
            ),
            Self::NewerMachines { to, machines } => write!(
                f,
                "machines newer than v{to} live, and would raise the cluster's version again: {}: give the group the older image, end these \
                 machines, and try again",
                machines.join(", ")
            ),
            Self::TooFar { cluster, newest } => write!(
                f,
                "the cluster's configuration names v{cluster}, and its newest API server is v{newest}: write the version that is right into \
                 the ConfigMap kube-system/kubeadm-config by hand"
            ),
        }
    }
}
