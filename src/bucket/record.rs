//! Reading the cluster record once, for commands that do not watch it.

use super::keys;
use crate::aws::store::{Store, Stored};
use crate::exit::Exit;
use crate::model::record::cluster::ClusterRecord;
use anyhow::{Context, Result};

/// The record as it stands in the bucket.
#[derive(Debug, Clone)]
pub enum StoredRecord {
    /// There is one, with its `ETag`.
    Found(ClusterRecord, String),
    /// There is none, and S3 does not say that there ever was one.
    Nothing,
    /// There was one, and it was deleted.
    Deleted,
}

/// The record with its `ETag`, if there is one.
///
/// # Errors
/// S3's, or with [`Exit::Operator`] an object that is no valid record.
pub async fn read(store: &Store) -> Result<Option<(ClusterRecord, String)>> {
    Ok(match look(store).await? {
        StoredRecord::Found(record, etag) => Some((record, etag)),
        StoredRecord::Nothing | StoredRecord::Deleted => None,
    })
}

/// The record with its `ETag`, or what stands in its place.
///
/// # Errors
/// As [`read`].
pub async fn look(store: &Store) -> Result<StoredRecord> {
    let object = match store.read(keys::RECORD).await? {
        Stored::Object(object) => object,
        Stored::Nothing => return Ok(StoredRecord::Nothing),
        Stored::Deleted => return Ok(StoredRecord::Deleted),
    };
    let record = ClusterRecord::parse(&object.body)
        .with_context(|| format!("failed to read the cluster record '{}'", store.url(keys::RECORD)))
        .context(Exit::Operator)?;
    Ok(StoredRecord::Found(record, object.etag))
}
