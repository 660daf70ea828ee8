//! From the bytes of a database to the bytes of an object, and back, with every digest computed on the way.

use crate::aws::multipart::PART;
use crate::kubeadm::pki::hex;
use crate::model::snapshot::manifest::{Manifest, Packed};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use zstd::stream::write::{Decoder, Encoder};

/// How many bytes of digest etcd appends to its database.
const DIGEST: usize = 32;
/// A database has whole pages of this many bytes, as `etcdutl` checks it.
const PAGE: u64 = 512;
/// How hard is compressed: zstd's own default.
const LEVEL: i32 = 3;
/// The largest window that is accepted when reading, as a power of two: what [`LEVEL`] writes needs 21, and nobody shall fill the memory.
const LARGEST_WINDOW: u32 = 23;

/// Computes the digest of a database, and compares it with the one that etcd has appended.
#[derive(Default)]
pub(super) struct EtcdDigest {
    hasher: Sha256,
    /// The last bytes, which may be the digest.
    tail: Vec<u8>,
    size: u64,
}

impl EtcdDigest {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        match bytes.len().checked_sub(DIGEST) {
            Some(body) => {
                self.hasher.update(&self.tail);
                self.hasher.update(&bytes[..body]);
                self.tail.clear();
                self.tail.extend_from_slice(&bytes[body..]);
            }
            None => {
                self.tail.extend_from_slice(bytes);
                let body = self.tail.len().saturating_sub(DIGEST);
                self.hasher.update(&self.tail[..body]);
                self.tail.drain(..body);
            }
        }
    }

    /// The size with the digest, and the digest.
    pub(super) fn finish(self) -> Result<(u64, String)> {
        let computed = self.hasher.finalize();
        let has_pages = self.size > PAGE && self.size % PAGE == DIGEST as u64;
        ensure!(
            has_pages,
            "the database has {} bytes, which is no database with etcd's digest: it was cut short",
            self.size
        );
        ensure!(
            computed[..] == self.tail[..],
            "the digest that etcd has computed of its database is not that of what has come: it was changed or cut short on the way"
        );
        Ok((self.size, format!("sha256:{}", hex(&computed))))
    }
}

/// Compresses a database into parts.
pub(super) struct Packer {
    database: EtcdDigest,
    encoder: Encoder<'static, Vec<u8>>,
    object: Sha256,
    object_size: u64,
}

impl Packer {
    pub(super) fn new() -> Result<Self> {
        let mut encoder = Encoder::new(Vec::new(), LEVEL).context("failed to begin to compress")?;
        encoder.include_checksum(true).context("failed to begin to compress")?;
        Ok(Self { database: EtcdDigest::default(), encoder, object: Sha256::new(), object_size: 0 })
    }

    /// Takes the next bytes of the database.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.database.take(bytes);
        self.encoder.write_all(bytes).context("failed to compress")
    }

    /// A whole part, once there is one.
    pub(super) fn part(&mut self) -> Option<Bytes> {
        let ready = self.encoder.get_mut();
        (ready.len() >= PART).then(|| {
            let rest = ready.split_off(PART);
            let part = std::mem::replace(ready, rest);
            self.object.update(&part);
            self.object_size += part.len() as u64;
            part.into()
        })
    }

    /// The last part, and what was uploaded with it.
    pub(super) fn finish(mut self) -> Result<(Bytes, Packed)> {
        let (database_size, database_digest) = self.database.finish()?;
        let last = self.encoder.finish().context("failed to compress")?;
        self.object.update(&last);
        let object_size = self.object_size + last.len() as u64;
        let object_digest = format!("sha256:{}", hex(&self.object.finalize()));
        Ok((last.into(), Packed { database_size, database_digest, object_size, object_digest }))
    }
}

/// Takes an object apart and compares it with its manifest.
pub(super) struct Unpacker<'a> {
    manifest: &'a Manifest,
    decoder: Decoder<'static, Database>,
    object: Sha256,
}

/// Where the database goes.
struct Database {
    digest: EtcdDigest,
    /// How many bytes may still come: a small object may hold a very large one.
    left: u64,
    file: Option<File>,
}

impl Write for Database {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| io::Error::other("the database is larger than its manifest says"))?;
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        self.digest.take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> Unpacker<'a> {
    /// `file`: where the database is written; without one it is only looked at.
    pub(super) fn new(manifest: &'a Manifest, file: Option<File>) -> Result<Self> {
        let database = Database { digest: EtcdDigest::default(), left: manifest.database_size, file };
        let mut decoder = Decoder::new(database).context("failed to begin to decompress")?;
        decoder.window_log_max(LARGEST_WINDOW).context("failed to begin to decompress")?;
        Ok(Self { manifest, decoder, object: Sha256::new() })
    }

    /// Takes the next bytes of the object.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.object.update(bytes);
        self.decoder.write_all(bytes).context("failed to decompress the snapshot: it is not what was saved")
    }

    /// Compares all digests; the file, if there is one, then holds the database with etcd's digest.
    pub(super) fn finish(mut self) -> Result<Option<File>> {
        let object = format!("sha256:{}", hex(&self.object.finalize()));
        let wanted = &self.manifest.object_digest;
        ensure!(
            object == *wanted,
            "the object has digest {object}, its manifest says {wanted}: it is not what was saved"
        );
        self.decoder.flush().context("failed to decompress the snapshot: it was cut short")?;
        let Database { digest, file, .. } = self.decoder.into_inner();
        let (size, database) = digest.finish()?;
        let Manifest { database_size, database_digest, .. } = self.manifest;
        ensure!(
            size == *database_size && database == *database_digest,
            "the database has {size} bytes and digest {database}, its manifest says {database_size} and {database_digest}"
        );
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::SnapshotKind;

    /// A database of this many pages as etcd sends it.
    fn database(pages: usize) -> Vec<u8> {
        let body: Vec<u8> = (0..pages * 4096).map(|at| (at % 251) as u8 ^ (at / 4096) as u8).collect();
        let digest = Sha256::digest(&body);
        [&body[..], &digest[..]].concat()
    }

    /// Packed in pieces of this size, with its manifest.
    fn packed(database: &[u8], piece: usize) -> Result<(Vec<u8>, Manifest)> {
        let mut packer = Packer::new()?;
        let mut object = Vec::new();
        for piece in database.chunks(piece) {
            packer.push(piece)?;
            while let Some(part) = packer.part() {
                assert_eq!(part.len(), PART);
                object.extend(part);
            }
        }
        let (last, upload) = packer.finish()?;
        object.extend(last);
        let Packed { database_size, database_digest, object_size, object_digest } = upload;
        let sample = Manifest::sample(7, SnapshotKind::Routine);
        Ok((object, Manifest { database_size, database_digest, object_size, object_digest, ..sample }))
    }

    fn unpacked(object: &[u8], manifest: &Manifest, piece: usize) -> Result<Vec<u8>> {
        use std::io::{Read, Seek};
        let mut unpacker = Unpacker::new(manifest, Some(tempfile::tempfile()?))?;
        object.chunks(piece).try_for_each(|piece| unpacker.push(piece))?;
        let (mut file, mut bytes) = (unpacker.finish()?.context("a file was given")?, Vec::new());
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn what_is_packed_comes_out_again_whatever_the_pieces() -> Result<()> {
        let database = database(9);
        for piece in [1, 31, 32, 33, 4096, 1 << 20] {
            let (object, manifest) = packed(&database, piece)?;
            assert_eq!(manifest.database_size, database.len() as u64);
            assert_eq!(manifest.object_size, object.len() as u64);
            assert_eq!(unpacked(&object, &manifest, piece)?, database);
        }
        Ok(())
    }

    #[test]
    fn a_database_that_was_cut_short_or_changed_is_never_saved() {
        let whole = database(3);
        let mut flipped = whole.clone();
        flipped[5000] ^= 1;
        let mut other_digest = whole.clone();
        *other_digest.last_mut().unwrap() ^= 1;
        for (what, bytes) in [
            ("nothing", &[][..]),
            ("a few bytes", &whole[..31]),
            ("without its last page", &whole[..whole.len() - 4096]),
            ("without its digest", &whole[..whole.len() - DIGEST]),
            ("one byte short", &whole[..whole.len() - 1]),
            ("one bit flipped", &flipped),
            ("another digest", &other_digest),
            ("a digest of nothing", &Sha256::digest(b"")[..]),
        ] {
            assert!(packed(bytes, 100).is_err(), "{what}");
        }
    }

    #[test]
    fn an_object_that_was_cut_short_changed_or_exchanged_is_refused() -> Result<()> {
        let (object, manifest) = packed(&database(3), 1000)?;
        for at in 0..object.len() {
            let mut flipped = object.clone();
            flipped[at] ^= 1;
            assert!(unpacked(&flipped, &manifest, 512).is_err(), "one bit flipped at {at}");
            assert!(unpacked(&object[..at], &manifest, 512).is_err(), "cut short at {at}");
        }
        let (other, _) = packed(&database(4), 1000)?;
        assert!(unpacked(&other, &manifest, 512).is_err(), "another snapshot's object");
        assert!(unpacked(&[&object[..], &object[..]].concat(), &manifest, 512).is_err(), "twice");
        Ok(())
    }

    #[test]
    fn the_manifest_is_held_against_what_came_though_the_object_is_the_one_it_names() -> Result<()> {
        let (object, manifest) = packed(&database(3), 1000)?;
        let zeros = format!("sha256:{}", "0".repeat(64));
        for wrong in [
            Manifest { database_digest: zeros, ..manifest.clone() },
            Manifest { database_size: manifest.database_size + 512, ..manifest.clone() },
            // A small object that would fill the disk.
            Manifest { database_size: 100, ..manifest.clone() },
        ] {
            assert!(unpacked(&object, &wrong, 512).is_err(), "{wrong:?}");
        }
        Ok(())
    }
}
