//! The snapshot that is meant, as it stands in the bucket.

use crate::aws::store::Store;
use crate::exit::Exit;
use crate::kubeadm::pki;
use crate::model::record::cluster::ClusterRecord;
use crate::model::record::saved::SnapshotRef;
use crate::model::snapshot::Manifest;
use crate::snapshot::catalog;
use anyhow::{Context, Result};

/// A snapshot that was chosen.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    /// What is known of it.
    pub(super) manifest: Manifest,
    /// As the record would name it.
    pub(super) reference: SnapshotRef,
}

/// The snapshot of this name, or else the latest one of the record's cluster. `None` where there is none.
///
/// # Errors
/// S3's; or there is none of that name, or it cannot be used.
pub(super) async fn choose(
    store: &Store,
    named: Option<&str>,
    record: Option<&ClusterRecord>,
) -> Result<Option<Chosen>> {
    let manifest = match (named, record.and_then(ClusterRecord::known_cluster)) {
        (Some(name), _) => Some(catalog::named(store, name).await.context(Exit::Usage)?),
        (None, Some(published)) => {
            catalog::latest_of(store, &published.kube_system_uid).await?.map(|found| found.manifest)
        }
        (None, None) => None,
    };
    let Some(manifest) = manifest else { return Ok(None) };
    let key = manifest.manifest_key();
    let object = store.get(&key).await?.with_context(|| format!("the manifest {} is gone", store.url(&key)))?;
    let reference = SnapshotRef::of(&manifest, key, pki::digest(&object.body));
    Ok(Some(Chosen { manifest, reference }))
}
