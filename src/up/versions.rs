//! This machine's kubeadm and documents, compared with the cluster's.

use crate::kube::ClusterConfiguration;
use crate::kubeadm::output::Version;
use crate::model::upgrade::KubernetesUpgrade;
use crate::model::version::Release;
use crate::node::Facts;
use anyhow::{Result, anyhow};

/// Whether a machine with this kubeadm may join a cluster of that version: the minor versions must be the same.
///
/// # Errors
/// What differs, and what to do.
pub(super) fn compatible(here: &str, cluster: &str) -> Result<()> {
    match (Version::parse(here), Version::parse(cluster)) {
        (Ok(here), Ok(cluster)) if here.joins(&cluster) => Ok(()),
        (Ok(_), Ok(_)) => Err(anyhow!(
            "kubeadm is {here} here and the cluster is {cluster}: upgrade the cluster first ('kubeadm upgrade' on a member), or launch \
             this machine from an image with the cluster's minor version"
        )),
        (Err(_), _) | (_, Err(_)) => {
            Err(anyhow!("failed to compare kubeadm's version '{here}' with the cluster's '{cluster}'"))
        }
    }
}

/// The version that this machine's lost files are made anew for: that of its API server, by its manifest, or else the cluster's.
///
/// # Errors
/// This machine's kubeadm makes nothing of that version, or nobody knows which one ran here, and what to do.
pub(super) fn to_repair(here: &str, runs: Option<&str>, cluster: &str, setting: KubernetesUpgrade) -> Result<String> {
    let is_raised = setting == KubernetesUpgrade::ByImage && Release::parse(here) < Release::parse(cluster);
    if runs.is_none() && is_raised {
        return Err(anyhow!(
            "kubeadm is {here} here and the cluster was upgraded to {cluster} since, and no manifest says which version this machine's API \
             server has: replace this machine by one of the newer image"
        ));
    }
    let version = runs.unwrap_or(cluster);
    compatible(here, version)?;
    Ok(version.to_owned())
}

/// Says where this machine's documents differ from the cluster's. The cluster's count.
pub(super) fn warn_of_drift(facts: &Facts, cluster: &ClusterConfiguration) {
    let Ok(found) = facts.documents.drift(&facts.cluster, &cluster.document) else { return };
    for difference in found {
        tracing::warn!(
            field = difference.field,
            here = ?difference.ours,
            cluster = ?difference.cluster,
            "the kubeadm configuration of this machine differs from the cluster's, which counts"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_files_are_made_for_the_version_that_runs_here() {
        use KubernetesUpgrade::{ByImage, Off};
        // (setting, kubeadm here, manifest, cluster, version)
        let rows = [
            (Off, "v1.36.1", Some("v1.36.1"), "v1.36.1", Some("v1.36.1")),
            (Off, "v1.36.1", None, "v1.36.3", Some("v1.36.3")),
            // Raised since, by a patch or a minor version.
            (ByImage, "v1.36.1", Some("v1.36.1"), "v1.36.3", Some("v1.36.1")),
            (ByImage, "v1.36.1", Some("v1.36.1"), "v1.37.0", Some("v1.36.1")),
            (Off, "v1.36.1", Some("v1.36.1"), "v1.37.0", Some("v1.36.1")),
            (ByImage, "v1.36.1", None, "v1.36.3", None),
            (ByImage, "v1.36.1", None, "v1.37.0", None),
            (Off, "v1.36.1", None, "v1.37.0", None),
            (ByImage, "v1.36.1", None, "v1.36.1", Some("v1.36.1")),
            (ByImage, "v1.37.0", Some("v1.36.1"), "v1.36.1", None),
        ];
        for (setting, here, runs, cluster, expected) in rows {
            let found = to_repair(here, runs, cluster, setting).ok();
            assert_eq!(found.as_deref(), expected, "{setting:?} {here} {runs:?} {cluster}");
        }
        let lost = to_repair("v1.36.1", None, "v1.37.0", ByImage).unwrap_err().to_string();
        assert!(lost.ends_with("replace this machine by one of the newer image"), "{lost}");
    }

    #[test]
    fn the_minor_version_must_be_the_same() {
        let rows = [
            ("v1.36.1", "v1.36.0", true),
            ("v1.36.1", "v1.36.1", true),
            ("v1.37.0", "v1.36.1", false),
            ("v1.35.9", "v1.36.1", false),
            ("v1.36.1", "garbage", false),
            ("v1.36.1", "", false),
        ];
        for (here, cluster, ok) in rows {
            assert_eq!(compatible(here, cluster).is_ok(), ok, "{here} {cluster}");
        }
    }
}
