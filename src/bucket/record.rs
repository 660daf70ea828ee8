//! Reading the cluster record once, for commands that do not watch it.

use super::keys;
use crate::aws::store::Store;
use crate::exit::Exit;
use crate::model::record::cluster::ClusterRecord;
use anyhow::{Context, Result};

/// The record with its `ETag`, if there is one.
///
/// # Errors
/// S3's, or with [`Exit::Operator`] an object that is no valid record.
pub async fn read(store: &Store) -> Result<Option<(ClusterRecord, String)>> {
    let Some(object) = store.get(keys::RECORD).await? else { return Ok(None) };
    let record = ClusterRecord::parse(&object.body)
        .with_context(|| format!("failed to read the cluster record '{}'", store.url(keys::RECORD)))
        .context(Exit::Operator)?;
    Ok(Some((record, object.etag)))
}
