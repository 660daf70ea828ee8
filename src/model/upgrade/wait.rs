//! What a join waits for because of versions.

use crate::model::version::Release;
use std::fmt;

/// What a join waits for because of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpgradeWait {
    /// API servers are of a version beside which this machine's may not run: an upgrade has not come to its end.
    Apart {
        /// The version of the cluster's configuration.
        cluster: Release,
        /// Which, and their versions.
        servers: Vec<(String, Release)>,
    },
    /// Not everybody answers.
    Silent {
        /// Who does not.
        servers: Vec<String>,
    },
    /// Nobody was found who might answer.
    Nobody,
    /// Machines with another kubeadm are joining.
    Joining {
        /// Which.
        machines: Vec<String>,
    },
    /// A member of etcd does not tell its version.
    Etcd {
        /// Which.
        name: String,
    },
    /// A program of this machine does not tell its version.
    Program {
        /// Which.
        program: &'static str,
    },
}

/// Goes on after `waiting for`.
impl fmt::Display for UpgradeWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apart { cluster, servers } => {
                let servers: Vec<String> =
                    servers.iter().map(|(name, version)| format!("{name} (v{version})")).collect();
                write!(
                    f,
                    "an earlier upgrade to come to its end: the cluster is v{cluster}, and there are other API servers still: {}",
                    servers.join(", ")
                )
            }
            Self::Silent { servers } => write!(
                f,
                "every API server to answer before the cluster's version is raised; silent: {}",
                servers.join(", ")
            ),
            Self::Nobody => f.write_str("an API server of the cluster to be known before its version is raised"),
            Self::Joining { machines } => write!(
                f,
                "machines of another version to have joined before the cluster's version is raised: {}",
                machines.join(", ")
            ),
            Self::Etcd { name } => {
                write!(f, "etcd of {name} to tell its version before the cluster's version is raised")
            }
            Self::Program { program } => {
                write!(f, "{program} of this machine to tell its version before the cluster's version is raised")
            }
        }
    }
}
