//! This machine's kubeadm and documents, compared with the cluster's.

use crate::kube::ClusterConfiguration;
use crate::kubeadm::output::Version;
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
    use super::compatible;

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
