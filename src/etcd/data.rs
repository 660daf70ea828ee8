//! Whose data lies in etcd's folder, by the head of etcd's own write-ahead log. Read while nobody may be running, so by its
//! files alone.
//!
//! Every file of the log begins with a checksum and the metadata, a message with the IDs of member and cluster. Source:
//! etcd, `server/storage/wal` (`encoder.go`, `wal.go`) and `walpb/record.proto`.

use crate::model::machine::etcd_data::{EtcdData, EtcdIds};
use crate::model::machine::ids::{EtcdClusterId, MemberId};
use prost::Message;
use rustix::fs::{Mode, OFlags};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Where the log lies, below the data folder.
const LOG: &str = "member/wal";
/// What its files end with. What etcd has not made whole yet ends otherwise.
const ENDING: &str = "wal";
/// How much of a file is read, in bytes: its first two records have about 70.
const HEAD: u64 = 4096;
/// How many entries of the folder are looked at. etcd keeps five files.
const MOST_ENTRIES: usize = 10_000;
/// The kind of a record that begins a file.
const CHECKSUM: i64 = 4;
/// The kind of the record behind it.
const METADATA: i64 = 1;

/// One record of the log.
#[derive(Clone, PartialEq, Message)]
struct LogRecord {
    #[prost(int64, optional, tag = "1")]
    kind: Option<i64>,
    #[prost(uint32, optional, tag = "2")]
    checksum: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "3")]
    data: Option<Vec<u8>>,
}

/// What the record of metadata holds.
#[derive(Clone, PartialEq, Message)]
struct LogMetadata {
    #[prost(uint64, optional, tag = "1")]
    member: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    cluster: Option<u64>,
}

/// Looks at etcd's data folder; `None` where etcd is external.
#[must_use]
pub fn observe(data_dir: Option<&Path>) -> EtcdData {
    let Some(folder) = data_dir else { return EtcdData::Elsewhere };
    match newest(&folder.join(LOG)) {
        Ok(None) => EtcdData::Nothing,
        Ok(Some(file)) => match head(&file).map_err(|error| error.to_string()).and_then(|head| ids(&head)) {
            Ok(ids) => EtcdData::Of(ids),
            Err(why) => EtcdData::Unreadable { why: format!("'{}': {why}", file.display()) },
        },
        Err(error) => EtcdData::Unreadable { why: format!("'{}': {error}", folder.join(LOG).display()) },
    }
}

/// The newest file of the log. Their names are numbers of one length, so the last by name.
fn newest(log: &Path) -> io::Result<Option<PathBuf>> {
    let entries = match fs::read_dir(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let mut newest: Option<PathBuf> = None;
    for (seen, entry) in entries.enumerate() {
        if seen == MOST_ENTRIES {
            return Err(io::Error::other(format!("it holds more than {MOST_ENTRIES} entries")));
        }
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == ENDING) && newest.as_ref().is_none_or(|other| *other < path) {
            newest = Some(path);
        }
    }
    Ok(newest)
}

/// The first bytes of a regular file. Neither a link is followed nor a pipe waited for.
fn head(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(HEAD).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The IDs at the head of a file of the log.
fn ids(head: &[u8]) -> Result<EtcdIds, String> {
    let (_, rest) = record(head, CHECKSUM)?;
    let (metadata, _) = record(rest, METADATA)?;
    let metadata =
        LogMetadata::decode(metadata.data.unwrap_or_default().as_slice()).map_err(|error| error.to_string())?;
    match (metadata.member, metadata.cluster) {
        (Some(member @ 1..), Some(cluster @ 1..)) => {
            Ok(EtcdIds { member: MemberId(member), cluster: EtcdClusterId(cluster) })
        }
        _ => Err("its metadata names no member and cluster".to_owned()),
    }
}

/// The first record, which must be of this kind, and what follows it. Before a record stands its length in eight bytes,
/// the lowest first; the highest byte tells how many bytes of padding follow it.
fn record(bytes: &[u8], kind: i64) -> Result<(LogRecord, &[u8]), String> {
    let cut_off = || "it ends within its first records".to_owned();
    let (frame, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut_off)?;
    let frame = u64::from_le_bytes(*frame);
    // The highest bit says that there is padding at all.
    let padding = if frame >> 63 == 1 { frame >> 56 & 0b111 } else { 0 };
    let length = usize::try_from(frame & 0x00ff_ffff_ffff_ffff).map_err(|_| cut_off())?;
    let (record, rest) = rest.split_at_checked(length).ok_or_else(cut_off)?;
    let rest = usize::try_from(padding).ok().and_then(|padding| rest.get(padding..)).ok_or_else(cut_off)?;
    let record = LogRecord::decode(record).map_err(|error| error.to_string())?;
    match record.kind {
        Some(found) if found == kind => Ok((record, rest)),
        found => Err(format!("it has a record of kind {} where {kind} is due", found.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Result;
    use std::os::unix::fs::symlink;

    /// The first 512 bytes that a real etcd 3.4.23 wrote: `etcd --name n --initial-cluster n=https://10.77.0.1:2380
    /// --initial-advertise-peer-urls https://10.77.0.1:2380 --initial-cluster-token 00000000-0000-4000-8000-000000000001`.
    const FIRST: &[u8] = include_bytes!("../../tests/fixtures/etcd/first.wal");
    const NAME: &str = "0000000000000000-0000000000000000.wal";

    fn real() -> EtcdIds {
        EtcdIds { member: MemberId(0x7cd9_e59b_95e9_c007), cluster: EtcdClusterId(0x0924_69e3_91b3_5164) }
    }

    /// A data folder with these files in its log.
    fn folder(files: &[(&str, &[u8])]) -> Result<tempfile::TempDir> {
        let folder = tempfile::tempdir()?;
        fs::create_dir_all(folder.path().join(LOG))?;
        for (name, bytes) in files {
            fs::write(folder.path().join(LOG).join(name), bytes)?;
        }
        Ok(folder)
    }

    fn seen(files: &[(&str, &[u8])]) -> Result<EtcdData> {
        Ok(observe(Some(folder(files)?.path())))
    }

    fn why(data: &EtcdData) -> &str {
        match data {
            EtcdData::Unreadable { why } => why,
            EtcdData::Nothing | EtcdData::Elsewhere | EtcdData::Of(_) => "",
        }
    }

    #[test]
    fn the_log_of_a_real_etcd_says_whose_it_is() -> Result<()> {
        assert_eq!(seen(&[(NAME, FIRST)])?, EtcdData::Of(real()));
        let claim = crate::model::machine::ids::ClaimId::parse("00000000-0000-4000-8000-000000000001")?;
        assert_eq!(EtcdIds::of_init(&claim, "10.77.0.1".parse()?), real(), "the token is the claim");
        Ok(())
    }

    #[test]
    fn without_a_file_of_the_log_there_is_no_data() -> Result<()> {
        assert_eq!(observe(None), EtcdData::Elsewhere);
        let empty = tempfile::tempdir()?;
        assert_eq!(observe(Some(empty.path())), EtcdData::Nothing);
        assert_eq!(observe(Some(&empty.path().join("never made"))), EtcdData::Nothing);
        assert_eq!(seen(&[])?, EtcdData::Nothing, "the volume is there and was emptied");
        assert_eq!(seen(&[("0.tmp", FIRST), ("1.wal.broken", FIRST)])?, EtcdData::Nothing);
        Ok(())
    }

    #[test]
    fn the_newest_file_counts() -> Result<()> {
        let next = "0000000000000001-0000000000004e21.wal";
        assert_eq!(seen(&[(next, FIRST), (NAME, b"")])?, EtcdData::Of(real()));
        assert!(why(&seen(&[(NAME, FIRST), (next, b"")])?).contains("it ends within"));
        Ok(())
    }

    #[test]
    fn nothing_that_lies_there_instead_is_believed_or_waited_for() -> Result<()> {
        let mut long = FIRST.to_vec();
        long[..8].copy_from_slice(&0x00ff_ffff_ffff_ffff_u64.to_le_bytes());
        let mut swapped = FIRST.to_vec();
        swapped[9] = 1;
        let mut nobody = FIRST[..16].to_vec();
        nobody.extend([2, 0, 0, 0, 0, 0, 0, 0, 8, 1]);
        let cases: [(&[u8], &str); 6] = [
            (b"", "it ends within"),
            (&[0; 4096], "a record of kind 0 where 4 is due"),
            (&[0xff; 4096], "it ends within"),
            (&long, "it ends within"),
            (&swapped, "a record of kind 1 where 4 is due"),
            (&nobody, "names no member"),
        ];
        for (bytes, expected) in cases {
            let found = seen(&[(NAME, bytes)])?;
            assert!(why(&found).contains(expected), "{found:?} does not say: {expected}");
        }
        // Every place at which a file may have been cut off, and every byte that may have been changed: never a panic.
        for at in 0..100 {
            let found = seen(&[(NAME, &FIRST[..at])])?;
            assert!(matches!(found, EtcdData::Unreadable { .. }) || at >= 54, "{at}: {found:?}");
            let mut changed = FIRST.to_vec();
            changed[at] ^= 0xff;
            let _ = seen(&[(NAME, &changed)])?;
        }
        Ok(())
    }

    #[test]
    fn links_folders_and_pipes_are_no_log() -> Result<()> {
        let folder = folder(&[("kept", FIRST)])?;
        let place = folder.path().join(LOG).join(NAME);
        symlink(folder.path().join(LOG).join("kept"), &place)?;
        assert!(matches!(observe(Some(folder.path())), EtcdData::Unreadable { .. }), "a link");
        fs::remove_file(&place)?;
        fs::create_dir(&place)?;
        assert!(why(&observe(Some(folder.path()))).contains("no regular file"));
        fs::remove_dir(&place)?;
        rustix::fs::mknodat(rustix::fs::CWD, &place, rustix::fs::FileType::Fifo, Mode::RUSR, 0)?;
        assert!(why(&observe(Some(folder.path()))).contains("no regular file"));
        let other = tempfile::tempdir()?;
        fs::write(other.path().join("member"), "no folder")?;
        assert!(matches!(observe(Some(other.path())), EtcdData::Unreadable { .. }), "a file in a folder's place");
        Ok(())
    }
}
