//! Where the bytes of a database come from.

use crate::etcd::SnapshotStream;
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// How many bytes of a file are read at once.
const PIECE: usize = 64 * 1024;

/// A database that can be read once.
pub enum DatabaseSource {
    /// The stream of a member.
    Member(SnapshotStream),
    /// The file of an etcd that does not run.
    File(DatabaseFile),
}

/// The database file of an etcd that does not run.
pub struct DatabaseFile {
    file: File,
    path: PathBuf,
    size: u64,
    /// When it was last written to: an etcd that runs after all writes to it.
    written: SystemTime,
    at: u64,
    hasher: Option<Sha256>,
    version: String,
}

impl DatabaseFile {
    /// Opens the file. `version` is that of the etcd that has written it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(path: &Path, version: String) -> Result<Self> {
        let opened = async {
            let file = File::open(path).await?;
            let found = file.metadata().await?;
            std::io::Result::Ok((file, found.len(), found.modified()?))
        };
        let (file, size, written) = opened.await.with_context(|| format!("failed to read '{}'", path.display()))?;
        ensure!(size > 0, "etcd's database '{}' is empty", path.display());
        Ok(Self { file, path: path.to_owned(), size, written, at: 0, hasher: Some(Sha256::new()), version })
    }

    /// The next bytes, and after them a digest as etcd appends it.
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(hasher) = &mut self.hasher else { return Ok(None) };
        let mut piece = vec![0; PIECE];
        let read =
            self.file.read(&mut piece).await.with_context(|| format!("failed to read '{}'", self.path.display()))?;
        piece.truncate(read);
        self.at += read as u64;
        if read > 0 {
            hasher.update(&piece);
            return Ok(Some(piece));
        }
        let written = self.file.metadata().await.and_then(|found| found.modified()).ok();
        let is_same = self.at == self.size && written == Some(self.written);
        ensure!(is_same, "etcd's database '{}' was changed while it was read: try again", self.path.display());
        Ok(self.hasher.take().map(|hasher| hasher.finalize().to_vec()))
    }
}

impl DatabaseSource {
    /// The next bytes of the database with etcd's digest at its end; `None` when all have come.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Member(stream) => stream.next().await,
            Self::File(file) => file.next().await,
        }
    }

    /// The revision that the database has at least. A file does not tell it.
    #[must_use]
    pub fn revision(&self) -> u64 {
        match self {
            Self::Member(stream) => stream.revision,
            Self::File(_) => 0,
        }
    }

    /// The version of its etcd.
    #[must_use]
    pub fn version(&self) -> &str {
        match self {
            Self::Member(stream) => &stream.version,
            Self::File(file) => &file.version,
        }
    }

    /// How many bytes are still to come, as far as that is known.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        match self {
            Self::Member(stream) => stream.left,
            Self::File(file) => Some(file.size - file.at.min(file.size)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_comes_with_a_digest_as_etcd_appends_it() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("db");
        std::fs::write(&path, "")?;
        assert!(DatabaseFile::open(&path, "3.6.8".into()).await.is_err(), "empty");
        let body = vec![7; PIECE + 100];
        std::fs::write(&path, &body)?;
        let mut source = DatabaseSource::File(DatabaseFile::open(&path, "3.6.8".into()).await?);
        assert_eq!((source.revision(), source.left()), (0, Some(body.len() as u64)));
        let mut all = Vec::new();
        while let Some(bytes) = source.next().await? {
            all.extend(bytes);
        }
        assert_eq!(all, [&body[..], &Sha256::digest(&body)[..]].concat());
        Ok(())
    }
}
