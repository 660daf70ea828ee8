//! Which processes hold the lock, as the kernel shows in `/proc`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The processes that hold a lock.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Holders {
    /// The process that took it, if it is alive and still holds it.
    pub(super) locker: Option<i32>,
    /// All that hold it: the one that took it and those that inherited it.
    pub(super) all: Vec<i32>,
}

impl Holders {
    /// Searches the open files of all processes that this one may inspect.
    ///
    /// # Errors
    ///
    /// If the lock file or `/proc` cannot be read at all.
    pub(super) fn of(lock: &File) -> io::Result<Self> {
        let lock = lock.metadata()?;
        let mut holders = Self::default();
        for process in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Some(locker) = locker_seen_by(&process.path(), (lock.dev(), lock.ino())) {
                holders.all.push(pid);
                if locker == pid {
                    holders.locker = Some(pid);
                }
            }
        }
        Ok(holders)
    }
}

/// If a process holds the lock: the ID of the process that took it, which may be dead by now.
/// A process that has the file open and only waits for the lock has no such line.
/// Unreadable entries belong to another user's process or to one that has ended, and are skipped.
fn locker_seen_by(process: &Path, lock: (u64, u64)) -> Option<i32> {
    fs::read_dir(process.join("fd")).ok()?.flatten().find_map(|fd| {
        let open = fs::metadata(fd.path()).ok()?;
        if (open.dev(), open.ino()) != lock {
            return None;
        }
        let info = fs::read_to_string(process.join("fdinfo").join(fd.file_name())).ok()?;
        locker(&info)
    })
}

/// The process ID in a line such as `lock: 1: FLOCK  ADVISORY  WRITE 13315 fe:00:10010704 0 EOF`
/// (0 for one that is dead, in a PID namespace).
fn locker(fdinfo: &str) -> Option<i32> {
    fdinfo.lines().find_map(|line| {
        let words: Vec<&str> = line.strip_prefix("lock:")?.split_whitespace().collect();
        match words[..] {
            [_, "FLOCK", _, _, pid, ..] => pid.parse().ok(),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locker_is_read_from_fdinfo() {
        let head = "pos:\t0\nflags:\t0100001\nmnt_id:\t27\nino:\t10010704\n";
        let cases = [
            ("", None),
            ("lock:\t1: FLOCK  ADVISORY  WRITE 13315 fe:00:10010704 0 EOF\n", Some(13315)),
            ("lock:\t1: FLOCK  ADVISORY  WRITE 0 fe:00:10010704 0 EOF\n", Some(0)),
            ("lock:\t1: POSIX  ADVISORY  WRITE 7 fe:00:10010704 0 EOF\n", None),
            (
                "lock:\t1: POSIX  ADVISORY  WRITE 7 fe:00:1 0 EOF\nlock:\t2: FLOCK  ADVISORY  WRITE 8 fe:00:1 0 EOF\n",
                Some(8),
            ),
            ("lock:\t1: FLOCK\n", None),
            ("lock:\t1: FLOCK  ADVISORY  WRITE who fe:00:1 0 EOF\n", None),
        ];
        for (lines, wanted) in cases {
            assert_eq!(locker(&format!("{head}{lines}")), wanted, "{lines}");
        }
    }
}
