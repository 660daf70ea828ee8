//! Room for etcd's data.

use crate::model::machine::defect::Defect;
use std::path::Path;

/// etcd's own limit for its data is 2 GiB.
const ROOM: u64 = 2 << 30;
/// etcd reserves 64 MiB for each file of its log, two of them at its start, and wants room for its database beside that.
const NEEDED: u64 = 256 << 20;
/// Files that a member has, with room for more of its log and snapshots.
const INODES: u64 = 64;

/// What is free where etcd's data lies, or will lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Files that may still be made; `None` where the filesystem has no limit.
    pub inodes: Option<u64>,
}

/// Asks the filesystem of a folder that may not be there yet.
///
/// # Errors
/// It does not say.
pub fn room(folder: &Path) -> std::io::Result<Room> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let stat = rustix::fs::statvfs(there)?;
    let inodes = (stat.f_files > 0).then_some(stat.f_favail);
    Ok(Room { bytes: stat.f_bavail.saturating_mul(stat.f_frsize), inodes })
}

impl Room {
    /// Whether etcd cannot start with it.
    #[must_use]
    pub fn defect(&self, folder: &Path) -> Option<Defect> {
        let what = if self.bytes < NEEDED {
            format!("less than {} MiB are free for '{}'", NEEDED >> 20, folder.display())
        } else if self.inodes.is_some_and(|free| free < INODES) {
            format!("hardly any file can be made in '{}': the filesystem's inodes are used up", folder.display())
        } else {
            return None;
        };
        Some(Defect::new(what, format!("make room, or give it a volume of its own; {} MiB at least", ROOM >> 20)))
    }

    /// Whether it is less than what etcd may come to need; then with its remedy.
    #[must_use]
    pub fn warning(&self, folder: &Path) -> Option<Defect> {
        (self.bytes < ROOM).then(|| Defect::new(self.text(folder), format!("give it {} MiB at least", ROOM >> 20)))
    }

    /// For people.
    #[must_use]
    pub fn text(&self, folder: &Path) -> String {
        format!("{} MiB free for '{}'", self.bytes >> 20, folder.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_inodes_must_be_there() {
        let folder = Path::new("/var/lib/etcd");
        let rows = [
            (NEEDED - 1, Some(1000), "less than 256 MiB"),
            (NEEDED, Some(INODES - 1), "inodes"),
            (NEEDED, Some(INODES), ""),
            (NEEDED, None, ""),
            (0, Some(0), "less than 256 MiB"),
        ];
        for (bytes, inodes, said) in rows {
            let room = Room { bytes, inodes };
            let what = room.defect(folder).map(|defect| defect.what).unwrap_or_default();
            assert!(what.contains(said) && what.is_empty() == said.is_empty(), "{room:?}: {what}");
            assert!(room.warning(folder).is_some(), "{room:?} is less than 2 GiB");
        }
        assert_eq!(Room { bytes: ROOM, inodes: None }.warning(folder), None);
    }

    #[test]
    fn a_folder_that_is_not_there_has_the_room_of_where_it_will_be() {
        assert!(room(Path::new("/no/such/folder")).is_ok_and(|found| found.bytes > 0));
    }
}
