//! A cluster that lives in a snapshot.

use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::record::cluster::Published;
use crate::model::snapshot::Manifest;
use serde::{Deserialize, Serialize};

/// What is known of a cluster that was saved, and of the snapshot from which it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// What was published of it. A restore comes back with its CA and `kube-system` UID, or not at all.
    pub published: Published,
    /// Its snapshot.
    pub snapshot: SnapshotRef,
}

/// A snapshot, by the manifest beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRef {
    /// Key of its manifest at the place of the snapshots.
    pub key: String,
    /// Digest of the manifest's bytes (`sha256:` and 64 digits); the manifest names the digests of the snapshot itself.
    pub digest: String,
    /// etcd's revision in it.
    pub revision: u64,
    /// Version of the Kubernetes that wrote it, such as `v1.36.1`.
    pub kubernetes_version: String,
    /// Version of the etcd that wrote it, such as `3.6.8`.
    pub etcd_version: String,
    /// The claim under which the cluster served when it was taken.
    pub claim: ClaimId,
    /// The machine that took it.
    pub taken_by: InstanceId,
    /// When, by that machine's clock; for people only (RFC 3339).
    pub taken_at: String,
}

impl SnapshotRef {
    /// The snapshot of this manifest, which stands under this key with this digest of its bytes.
    #[must_use]
    pub fn of(manifest: &Manifest, key: String, digest: String) -> Self {
        Self {
            key,
            digest,
            revision: manifest.revision,
            kubernetes_version: manifest.kubernetes_version.clone(),
            etcd_version: manifest.etcd_version.clone(),
            claim: manifest.claim.clone(),
            taken_by: manifest.saved_by.clone(),
            taken_at: manifest.saved_at.clone(),
        }
    }
}

impl Saved {
    /// Whether a cluster of these facts is this one, come back: only with the same CA and the same `kube-system`.
    #[must_use]
    pub fn is_restored_as(&self, published: &Published) -> bool {
        published.kube_system_uid == self.published.kube_system_uid && published.ca_hashes == self.published.ca_hashes
    }
}

#[cfg(test)]
impl Saved {
    /// For tables that need a saved cluster and do not look at it: `by` made it and saved it.
    pub(crate) fn sample(by: InstanceId) -> Self {
        let snapshot = SnapshotRef {
            key: "snapshots/00000000000000001234-2026.json".into(),
            digest: "sha256:11".into(),
            revision: 1234,
            kubernetes_version: "v1.36.1".into(),
            etcd_version: "3.6.8".into(),
            claim: ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap(),
            taken_by: by.clone(),
            taken_at: "2026-01-02T03:04:05Z".into(),
        };
        Self { published: Published::sample(by), snapshot }
    }
}
