//! What a holder writes into the lock file about itself.
//!
//! It is for people, and it names the child that may become an orphan. It never decides whether the
//! lock is held.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// The largest note that is read, in bytes; none is that long.
const LIMIT: usize = 1024;

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The process that took the lock.
    pub(super) pid: i32,
    /// What it is doing, such as `kubeboot up`.
    command: String,
    /// When it took the lock.
    since: String,
    /// The process (and process group) that inherited the lock last.
    pub(super) child: Option<i32>,
}

impl Note {
    /// About this process, now.
    pub(super) fn mine(command: &str) -> Self {
        Self {
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            command: command.to_owned(),
            since: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            child: None,
        }
    }

    /// What its holder is doing.
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// The same, with a child.
    pub(super) fn with_child(&self, child: i32) -> Self {
        Self { child: Some(child), ..self.clone() }
    }

    /// Writes it in place: the lock is on this very file.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        file.set_len(0)?;
        file.write_all_at(&text, 0)
    }

    /// Reads it; `None` for a half-written or foreign one.
    pub(super) fn read(file: &File) -> Option<Self> {
        let mut text = vec![0; LIMIT];
        let length = file.read_at(&mut text, 0).ok()?;
        serde_json::from_slice(&text[..length]).ok()
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, command, since, .. } = self;
        write!(f, "pid {pid} ({command}) since {since}")
    }
}
