//! Whether a kubelet may join a cluster: never a newer one than the oldest API server, and none that is more than three minor versions
//! older. kubeadm stops neither.

use crate::model::version::numbers;

/// How many minor versions a kubelet may be older than an API server.
const MOST_MINORS: u32 = 3;

/// How a kubelet fits to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// It may join.
    Fits,
    /// It is newer than the oldest API server: the cluster may be in the middle of an upgrade.
    Newer,
    /// It is too old for this cluster, and never fits again.
    TooOld,
}

impl Skew {
    /// Compares `v1.36.1` with `v1.36.1`. What is no version fits nothing that is known, so nothing is said of it.
    #[must_use]
    pub fn of(kubelet: &str, oldest_api_server: &str, cluster: &str) -> Self {
        let (Some(kubelet), Some(oldest), Some(cluster)) =
            (release(kubelet), release(oldest_api_server), release(cluster))
        else {
            return Self::Fits;
        };
        if kubelet > oldest {
            return Self::Newer;
        }
        // The configuration may name a newer version than the oldest API server, to which all of them are on their way.
        let newest = cluster.max(oldest);
        if kubelet.0 < newest.0 || newest.1 - kubelet.1 > MOST_MINORS { Self::TooOld } else { Self::Fits }
    }
}

/// Major and minor version, by which compatibility is decided.
fn release(version: &str) -> Option<(u32, u32)> {
    numbers(version).map(|(major, minor, _)| (major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelet_may_be_three_minor_versions_older_and_none_newer() {
        let rows = [
            ("v1.36.1", "v1.36.1", "v1.36.1", Skew::Fits),
            // A patch version is none that counts.
            ("v1.36.9", "v1.36.1", "v1.36.1", Skew::Fits),
            ("v1.33.0", "v1.36.1", "v1.36.1", Skew::Fits),
            ("v1.32.9", "v1.36.1", "v1.36.1", Skew::TooOld),
            ("v1.37.0", "v1.36.1", "v1.36.1", Skew::Newer),
            // In the middle of an upgrade.
            ("v1.37.0", "v1.36.1", "v1.37.0", Skew::Newer),
            ("v1.33.0", "v1.36.1", "v1.37.0", Skew::TooOld),
            ("v1.36.0", "v1.36.1", "v1.37.0", Skew::Fits),
            ("v2.0.0", "v1.36.1", "v1.36.1", Skew::Newer),
            ("v1.36.0", "v2.0.0", "v2.0.0", Skew::TooOld),
            ("1.37.0-rc.1", "1.36.1", "v1.36.1", Skew::Newer),
            ("", "v1.36.1", "v1.36.1", Skew::Fits),
        ];
        for (kubelet, oldest, cluster, expected) in rows {
            assert_eq!(Skew::of(kubelet, oldest, cluster), expected, "{kubelet} {oldest} {cluster}");
        }
    }
}
