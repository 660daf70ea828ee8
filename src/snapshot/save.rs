//! Saving: a database goes to the bucket as it comes, and when all of it is there, its manifest does.

use super::pack::Packer;
use super::source::DatabaseSource;
use crate::aws::multipart::Upload;
use crate::aws::store::{Store, Written};
use crate::exit::Exit;
use crate::model::duration::in_words;
use crate::model::machine::ids::Nonce;
use crate::model::record::conditional_write::Condition;
use crate::model::snapshot::manifest::{self, Manifest, SnapshotKind, SnapshotOrigin};
use crate::model::snapshot::name::SnapshotName;
use anyhow::{Context, Result, anyhow, ensure};
use std::time::Duration;
use tokio::time::timeout;

/// How long reading and uploading may take: 8 GiB in that time need 10 Mbit/s.
const SAVE_TIMEOUT: Duration = Duration::from_hours(2);
/// How long writing the manifest may take.
const MANIFEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that have come.
    pub done: u64,
    /// All bytes, as far as that is known.
    pub total: Option<u64>,
}

/// Hears how far a transfer is, between any two parts of it. An error calls the transfer off.
pub type Reporter<'a> = dyn FnMut(Progress) -> Result<()> + Send + 'a;

/// Saves what the source gives. Nothing of it touches this machine's disk.
///
/// # Errors
/// What stands in the way. The bucket then has no manifest of it, or where S3 does not say whether that was written, perhaps one: of a
/// whole snapshot. An object without a manifest may be left, and parts where nobody could abort the upload, or where this was dropped.
pub async fn save(
    source: DatabaseSource,
    kind: SnapshotKind,
    origin: SnapshotOrigin,
    store: &Store,
    progress: &mut Reporter<'_>,
) -> Result<Manifest> {
    save_all(source, kind, origin, store, progress).await.context("failed to save etcd")
}

async fn save_all(
    mut source: DatabaseSource,
    kind: SnapshotKind,
    origin: SnapshotOrigin,
    store: &Store,
    progress: &mut Reporter<'_>,
) -> Result<Manifest> {
    let nonce = Nonce::parse(uuid::Uuid::new_v4().to_string())?;
    let name = SnapshotName::new(kind, source.revision(), &origin.saved_at, &nonce);
    let mut upload = store.begin_upload(&name.database_key()).await?;
    let transferred = timeout(SAVE_TIMEOUT, transfer(&mut source, &mut upload, progress)).await;
    let late = || anyhow!("it took longer than {}", in_words(SAVE_TIMEOUT)).context(Exit::TryAgain);
    let uploaded = match transferred.map_err(|_| late()).and_then(|transferred| transferred) {
        Ok(uploaded) => uploaded,
        Err(error) => {
            if let Err(failed) = upload.abort().await {
                tracing::warn!("{failed}; the bucket's lifecycle rule for incomplete uploads removes its parts");
            }
            return Err(error);
        }
    };
    let manifest = Manifest::new(&name, kind, source.version().to_owned(), origin, uploaded);
    let (key, bytes) = (manifest.manifest_key(), manifest.to_bytes());
    // What nobody could read again is not said to be saved.
    Manifest::parse(&key, &bytes).context("failed to describe the snapshot")?;
    match store.write_secret(&key, &bytes, &Condition::Absent, MANIFEST_TIMEOUT).await? {
        Written::Ours(_) => Ok(manifest),
        Written::Others(_) | Written::Gone => Err(anyhow!("another object stands at {}", store.url(&key))),
        Written::Unknown => {
            Err(anyhow!("S3 does not say whether {} was written", store.url(&key)).context(Exit::TryAgain))
        }
    }
}

async fn transfer(
    source: &mut DatabaseSource,
    upload: &mut Upload,
    progress: &mut Reporter<'_>,
) -> Result<manifest::Packed> {
    let mut packer = Packer::new()?;
    let mut done = 0;
    while take_piece(source, &mut packer, &mut done, progress).await? {
        while let Some(part) = packer.part() {
            upload.send(part).await?;
        }
    }
    let (last, uploaded) = packer.finish()?;
    upload.send(last).await?;
    upload.complete().await?;
    Ok(uploaded)
}

/// Packs the next piece of the source, and says so; `false` after the last one.
async fn take_piece(
    source: &mut DatabaseSource,
    packer: &mut Packer,
    done: &mut u64,
    progress: &mut Reporter<'_>,
) -> Result<bool> {
    let Some(bytes) = source.next().await? else { return Ok(false) };
    *done += bytes.len() as u64;
    ensure!(*done <= manifest::LARGEST_DATABASE, "the database is larger than {} bytes", manifest::LARGEST_DATABASE);
    packer.push(&bytes)?;
    progress(Progress { done: *done, total: source.left().map(|left| *done + left) })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::source::DatabaseFile;

    #[tokio::test]
    async fn a_transfer_is_called_off_between_two_of_its_pieces() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("db");
        std::fs::write(&path, vec![7; 200_000])?;
        let mut source = DatabaseSource::File(DatabaseFile::open(&path, "3.6.8".into()).await?);
        let (mut packer, mut done, mut heard) = (Packer::new()?, 0, 0);
        let mut twice = |_: Progress| {
            heard += 1;
            ensure!(heard < 3, "the group wants machines again");
            Ok(())
        };
        assert!(take_piece(&mut source, &mut packer, &mut done, &mut twice).await?);
        assert!(take_piece(&mut source, &mut packer, &mut done, &mut twice).await?);
        let called_off = take_piece(&mut source, &mut packer, &mut done, &mut twice).await.err();
        assert_eq!(called_off.context("it went on")?.to_string(), "the group wants machines again");
        assert!(source.left().is_some_and(|left| left > 0) && done < 200_000, "the rest is not read");
        Ok(())
    }
}
