//! What follows the one write: the registrations of the cluster are finished, and its discovery hash and what it has published for workers
//! are taken away. All can be done
//! again at any time, by whoever runs the command again.

use crate::aws::store::{Store, Written};
use crate::bucket::{Roll, join, keys, record, registrations};
use crate::exit::Exit;
use crate::model::machine::ids::InstanceId;
use crate::model::membership::later_truth::explains_hash;
use crate::model::record::cluster::ClusterRecord;
use crate::model::record::conditional_write::Condition;
use crate::node::registrar::rfc3339;
use anyhow::{Context, Result, anyhow};
use std::time::Duration;

/// How long the write of the hash is tried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What was finished by this run.
#[derive(Debug, Clone, Default)]
pub(super) struct Finished {
    /// The machines whose registrations were marked as those of a retired cluster.
    pub(super) marked: Vec<InstanceId>,
    /// Whether the discovery hash was taken away.
    pub(super) is_hash_blanked: bool,
    /// Whether what workers join with was taken away.
    pub(super) is_join_blanked: bool,
}

/// Finishes what belongs to the cluster that this record gives up. Registrations of other claims, and a hash that the record does
/// not explain, stay: they may tell of a later cluster.
///
/// # Errors
/// AWS' own, or with [`Exit::TryAgain`] when something changed at the same moment.
pub(super) async fn finish(store: &Store, record: &ClusterRecord) -> Result<Finished> {
    let unfinished =
        "the record says 'retired', but not everything that belongs to the cluster is finished: run this again";
    let mut finished = Finished::default();
    let now = rfc3339();
    for entry in Roll::new(store).all().await.context(unfinished)? {
        if registrations::mark_given_up(store, &entry.instance, record, &now).await.context(unfinished)? {
            finished.marked.push(entry.instance);
        }
    }
    finished.is_hash_blanked = blank_hash(store, record).await.context(unfinished)?;
    // By the generation, which a later cluster has raised.
    finished.is_join_blanked = join::blank(store, record.generation).await.context(unfinished)?;
    Ok(finished)
}

/// Takes the discovery hash away. The record is read after the hash: while it is still this one, the hash is not that of a cluster
/// that has followed.
async fn blank_hash(store: &Store, retired: &ClusterRecord) -> Result<bool> {
    let Some(object) = store.get(keys::HASH).await? else { return Ok(false) };
    let hash = String::from_utf8_lossy(&object.body).trim_end().to_owned();
    let is_still_there = record::read(store).await?.is_some_and(|(now, _)| now == *retired);
    if hash.is_empty() || !is_still_there {
        return Ok(false);
    }
    if !explains_hash(retired, Some(&hash)) {
        tracing::warn!("the published discovery hash is not that of the retired cluster, and stays as it is");
        return Ok(false);
    }
    match store.write(keys::HASH, b"\n", &Condition::Unchanged(object.etag), WRITE_TIMEOUT).await? {
        Written::Ours(_) => Ok(true),
        Written::Gone => Ok(false),
        Written::Others(_) | Written::Unknown => {
            Err(anyhow!("the discovery hash was written at the same moment, or S3 does not answer")
                .context(Exit::TryAgain))
        }
    }
}
