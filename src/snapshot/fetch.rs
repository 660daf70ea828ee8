//! Fetching a snapshot, and verifying one without a disk. Nothing counts before every digest was compared.

use super::pack::Unpacker;
use super::save::{Progress, Reporter};
use crate::aws::store::Store;
use crate::exit::Exit;
use crate::model::duration::in_words;
use crate::model::snapshot::Manifest;
use crate::node::fitness::room;
use anyhow::{Context, Result, anyhow, ensure};
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long fetching may take as a whole.
const FETCH_TIMEOUT: Duration = Duration::from_hours(2);
/// What must be left on the disk beside the database, in bytes.
const ROOM: u64 = 64 * 1024 * 1024;

/// Fetches the database of this snapshot into the file `to`, which only its owner can read. It holds etcd's own digest, which
/// `etcdutl snapshot restore` checks once more. Until all was compared there is no such file.
///
/// # Errors
/// There is no room, no answer, or it is not what was saved.
pub async fn fetch(store: &Store, manifest: &Manifest, to: &Path, progress: &mut Reporter<'_>) -> Result<()> {
    let failed = || format!("failed to fetch the snapshot {}", store.url(&manifest.key));
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    has_room(folder, manifest.database_size).with_context(failed)?;
    let kept = tempfile::Builder::new()
        .prefix(".kubeboot-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .with_context(|| format!("failed to make a file in '{}'", folder.display()))?;
    let file = kept.as_file().try_clone().with_context(failed)?;
    let file = read(store, manifest, Some(file), progress).await.with_context(failed)?;
    // Writing gigabytes to a slow disk takes a while.
    let synced = tokio::task::spawn_blocking(move || file.map_or(Ok(()), |file| file.sync_all())).await;
    synced.map_err(std::io::Error::other).and_then(|synced| synced).with_context(failed)?;
    kept.persist(to).with_context(|| format!("failed to write '{}'", to.display()))?;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(failed)
}

/// Reads the snapshot as [`fetch`] does, and keeps nothing of it.
///
/// # Errors
/// It is not what was saved, or there is no answer.
pub async fn verify(store: &Store, manifest: &Manifest, progress: &mut Reporter<'_>) -> Result<()> {
    let read = read(store, manifest, None, progress).await;
    read.map(drop).with_context(|| format!("failed to verify the snapshot {}", store.url(&manifest.key)))
}

async fn read(
    store: &Store,
    manifest: &Manifest,
    file: Option<File>,
    progress: &mut Reporter<'_>,
) -> Result<Option<File>> {
    let late = || anyhow!("it took longer than {}", in_words(FETCH_TIMEOUT)).context(Exit::TryAgain);
    timeout(FETCH_TIMEOUT, read_all(store, manifest, file, progress)).await.map_err(|_| late())?
}

async fn read_all(
    store: &Store,
    manifest: &Manifest,
    file: Option<File>,
    progress: &mut Reporter<'_>,
) -> Result<Option<File>> {
    let mut download = store.download(&manifest.key, manifest.object_size);
    let mut unpacker = Unpacker::new(manifest, file)?;
    let mut done = 0;
    while let Some(bytes) = download.next().await? {
        done += bytes.len() as u64;
        unpacker.push(&bytes)?;
        progress(Progress { done, total: Some(manifest.object_size) })?;
    }
    unpacker.finish()
}

/// Whether the database fits on the disk of this folder, with something left.
fn has_room(folder: &Path, size: u64) -> Result<()> {
    let free = room(folder).with_context(|| format!("failed to look at '{}'", folder.display()))?.bytes;
    ensure!(
        free >= size.saturating_add(ROOM),
        "there is no room for it at '{}': {} MiB are free, {} MiB are needed: make room, or give the machine a larger disk",
        folder.display(),
        free / (1024 * 1024),
        size.saturating_add(ROOM) / (1024 * 1024),
    );
    Ok(())
}
