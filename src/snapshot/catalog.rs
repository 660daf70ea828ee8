//! Which snapshots there are, and how old the latest one is by the clock of the bucket.

use crate::aws::CallFailed;
use crate::aws::store::Store;
use crate::bucket::keys;
use crate::model::machine::ids::Uid;
use crate::model::snapshot::name::{FOLDER, SnapshotName};
use crate::model::snapshot::{Manifest, SnapshotAge, latest};
use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many manifests are read at once.
const AT_ONCE: usize = 16;
/// After how many manifests nobody looks for another one: more than a month of one every fifteen minutes.
const MOST: usize = 4000;

/// A snapshot in the bucket.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What is known of it.
    pub manifest: Manifest,
    /// When its manifest was written, by S3's clock, in seconds since 1970.
    pub written: Option<i64>,
}

/// What there is.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The snapshots, the highest revision first.
    pub found: Vec<Listed>,
    /// Keys of what looks like a manifest and is none, with the reason.
    pub odd: Vec<(String, String)>,
    /// How many manifests were not read.
    pub unread: usize,
}

/// A name in the listing.
type Named = (SnapshotName, Option<i64>);

/// The manifests by their names, the highest revision first.
async fn names(store: &Store) -> Result<Vec<Named>, CallFailed> {
    let listed = store.list(FOLDER).await?;
    let mut names: Vec<Named> =
        listed.iter().filter_map(|each| Some((SnapshotName::of_manifest(&each.key)?, each.written))).collect();
    names.sort_by(|one, other| other.cmp(one));
    Ok(names)
}

/// The manifest of this name, or why it is none.
async fn manifest(store: &Store, name: &SnapshotName) -> Result<Result<Manifest, String>, CallFailed> {
    let key = name.manifest_key();
    Ok(match store.get(&key).await? {
        Some(object) => Manifest::parse(&key, &object.body).map_err(|error| error.to_string()),
        None => Err("it is gone".to_owned()),
    })
}

/// The manifest of the snapshot that is named by its key, or by its name alone.
///
/// # Errors
/// There is no such snapshot, or S3 does not say.
pub async fn named(store: &Store, text: &str) -> Result<Manifest> {
    let key = text.strip_prefix(&store.url("")).unwrap_or(text);
    let name =
        SnapshotName::parse(key).with_context(|| format!("'{}' is no name of a snapshot", text.escape_debug()))?;
    let why = |why| anyhow::anyhow!("failed to use the manifest {}: {why}", store.url(&name.manifest_key()));
    manifest(store, &name).await?.map_err(why)
}

/// The snapshots with the highest revisions, at most this many.
///
/// # Errors
/// [`CallFailed`].
pub async fn look(store: &Store, most: usize) -> Result<Catalog, CallFailed> {
    let mut names = names(store).await?;
    let unread = names.len().saturating_sub(most);
    names.truncate(most);
    let mut catalog = Catalog { unread, ..Catalog::default() };
    read(store, &names, &mut catalog).await?;
    Ok(catalog)
}

async fn read(store: &Store, names: &[Named], catalog: &mut Catalog) -> Result<(), CallFailed> {
    let reads = names.iter().map(async |(name, written)| (name, *written, manifest(store, name).await));
    let mut reads = futures::stream::iter(reads).buffered(AT_ONCE);
    while let Some((name, written, read)) = reads.next().await {
        match read? {
            Ok(manifest) => catalog.found.push(Listed { manifest, written }),
            Err(why) => catalog.odd.push((name.manifest_key(), why)),
        }
    }
    Ok(())
}

/// The latest snapshot of the cluster with this UID. A manifest agrees with its name, so the first ones by name are enough.
///
/// # Errors
/// S3's, or there are too many of other clusters.
pub async fn latest_of(store: &Store, uid: &Uid) -> Result<Option<Listed>> {
    let names = names(store).await?;
    let mut catalog = Catalog::default();
    for (at, some) in names.chunks(AT_ONCE).enumerate() {
        ensure!(
            at * AT_ONCE < MOST,
            "the first {MOST} snapshots at {} are of other clusters: give each cluster a location of its own",
            store.url(FOLDER)
        );
        read(store, some, &mut catalog).await?;
        let manifests = catalog.found.iter().map(|found| &found.manifest);
        let Some(best) = latest(manifests, uid) else { continue };
        // Of those with the same revision one may still be better.
        let next = names.get((at + 1) * AT_ONCE).map(|(name, _)| name.revision);
        if next != Some(best.revision) {
            let key = best.key.clone();
            return Ok(catalog.found.into_iter().find(|found| found.manifest.key == key));
        }
    }
    let key = latest(catalog.found.iter().map(|found| &found.manifest), uid).map(|best| best.key.clone());
    Ok(catalog.found.into_iter().find(|found| Some(&found.manifest.key) == key.as_ref()))
}

/// The latest snapshot of a cluster, and how old that and the cluster's record are.
#[derive(Debug, Clone)]
pub struct LastSnapshot {
    /// The ages, by S3's clock.
    pub age: SnapshotAge,
    /// The latest snapshot.
    pub manifest: Option<Manifest>,
}

/// Looks for the latest snapshot. `record` is where the cluster record stands. No machine's clock counts: S3 says when an object was
/// written, and what time it is.
///
/// # Errors
/// S3's.
pub async fn last(snapshots: &Store, record: &Store, uid: &Uid) -> Result<LastSnapshot> {
    let nobody = keys::scratch("clock", &uuid::Uuid::new_v4().to_string());
    let (found, listed, now) = tokio::join!(latest_of(snapshots, uid), record.list(keys::RECORD), record.time(&nobody));
    let (found, now) = (found?, seconds(now?));
    let age =
        |written: Option<i64>| Duration::from_secs(u64::try_from(now - written.unwrap_or(now)).unwrap_or_default());
    let record = listed?.into_iter().find(|each| each.key == keys::RECORD).and_then(|each| each.written);
    let last = found.as_ref().map(|found| age(found.written));
    Ok(LastSnapshot { age: SnapshotAge { last, record: age(record) }, manifest: found.map(|found| found.manifest) })
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
