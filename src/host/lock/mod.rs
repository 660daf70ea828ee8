//! One lock per machine, so that at most one kubeboot changes it at any time.
//!
//! It is an flock: the kernel releases it when the last process that holds it is gone, and kubeadm
//! inherits it. So a kubeadm whose kubeboot was killed keeps the lock, and the next kubeboot ends
//! that orphan before it works. After a boot `/run` is empty and the lock is free.

mod holders;
mod note;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::{Instant, sleep};

use super::files;
use crate::exit::Exit;
use crate::model::duration::in_words;
use holders::Holders;
use note::Note;

/// Where the lock is.
pub const PATH: &str = "/run/kubeboot/lock";

/// How often a waiting caller tries again.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How long a process may take to end after SIGTERM, before SIGKILL. A kubeboot ends its kubeadm within one second.
const TERM_TIMEOUT: Duration = Duration::from_secs(2);

/// The lock, held. It is released when the last clone is dropped and the last process that
/// inherited it has ended.
#[derive(Debug, Clone)]
pub struct Lock {
    file: Arc<File>,
    note: Note,
}

impl Lock {
    /// Takes the lock at `path` on behalf of `command` (a name for people, such as `kubeboot up`).
    /// Waits at most `time_limit`; every new reason for waiting goes to `on_wait`. A kubeadm whose
    /// kubeboot has died is ended.
    ///
    /// # Errors
    ///
    /// With [`Exit::TryAgain`], if another process still holds it after `time_limit`; otherwise if the
    /// lock file cannot be made or locked.
    pub async fn acquire(path: &Path, command: &str, time_limit: Duration, on_wait: impl FnMut(&str)) -> Result<Self> {
        Self::contend(path, command, time_limit, |_| false, on_wait).await
    }

    /// The same for a command that preempts others: a holder whose noted command `preempts` accepts is ended, with SIGTERM first,
    /// and so is the kubeadm that it leaves behind.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub async fn acquire_preempting(
        path: &Path,
        command: &str,
        time_limit: Duration,
        preempts: impl Fn(&str) -> bool,
        on_wait: impl FnMut(&str),
    ) -> Result<Self> {
        Self::contend(path, command, time_limit, preempts, on_wait).await
    }

    async fn contend(
        path: &Path,
        command: &str,
        time_limit: Duration,
        preempts: impl Fn(&str) -> bool,
        mut on_wait: impl FnMut(&str),
    ) -> Result<Self> {
        let file = open(path)?;
        let since = Instant::now();
        let mut last_reason = String::new();
        let mut wanting = None;
        let (mut orphan, mut holder) = (Termination::default(), Termination::default());
        loop {
            match file.try_lock() {
                Ok(()) => return Self::taken(file, command),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| failed_to("take", path));
                }
            }
            wanting = wanting.or_else(|| want(path));
            let holders = Holders::of(&file).with_context(|| failed_to("examine", path))?;
            let note = Note::read(&file);
            let reason = reason(&holders, note.as_ref());
            if last_reason != reason {
                on_wait(&reason);
                last_reason = reason;
            }
            if let Some(child) = find_orphan(&holders, note.as_ref()) {
                orphan.end(child, "ending a process that a dead kubeboot left behind", kill_process_group);
            }
            let noted = note.as_ref().filter(|note| holders.locker == Some(note.pid) && preempts(note.command()));
            if let Some(note) = noted {
                // Only this process: its group may be that of the script which started it.
                holder.end(note.pid, "ending the kubeboot that holds this machine's lock", kill_process);
            }
            if since.elapsed() >= time_limit {
                let waited = in_words(time_limit);
                return Err(anyhow!("{last_reason}; waited {waited} for it to end"))
                    .with_context(|| failed_to("take", path))
                    .context(Exit::TryAgain);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Whether another process waits for the lock at `path`: a holder that works for long ends between two of its steps then.
    #[must_use]
    pub fn is_wanted(path: &Path) -> bool {
        open(&wanted(path)).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Whether somebody holds the lock at `path`. Who asks takes it for a moment where nobody does.
    #[must_use]
    pub fn is_held(path: &Path) -> bool {
        open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    fn taken(file: File, command: &str) -> Result<Self> {
        let note = Note::mine(command);
        note.write(&file).context("failed to write down the holder of this machine's lock")?;
        let file = Arc::new(file);
        Ok(Self { file, note })
    }

    /// Another handle on the open file, for a process that is to inherit the lock.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Notes a process that inherited the lock: if this process dies, that one is the orphan.
    pub(super) fn note_child(&self, group: i32) -> io::Result<()> {
        self.note.with_child(group).write(&self.file)
    }
}

fn failed_to(verb: &str, path: &Path) -> String {
    format!("failed to {verb} this machine's lock '{}'", path.display())
}

fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        files::private_dir(folder)?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .with_context(|| failed_to("open", path))
}

/// The file that everybody who waits for the lock at `path` has locked together with the others that wait.
fn wanted(path: &Path) -> PathBuf {
    path.with_extension("wanted")
}

/// Shows to the holder that somebody waits, until this is dropped. Who cannot show it waits all the same.
fn want(path: &Path) -> Option<File> {
    open(&wanted(path)).ok().filter(|file| file.try_lock_shared().is_ok())
}

/// Why the lock cannot be taken, for people.
fn reason(holders: &Holders, note: Option<&Note>) -> String {
    let noted = note.filter(|note| holders.locker == Some(note.pid));
    match (holders.locker, noted, find_orphan(holders, note)) {
        (Some(_), Some(note), _) => format!("this machine's lock is held by {note}"),
        (Some(pid), None, _) => format!("this machine's lock is held by pid {pid}"),
        (None, _, Some(child)) => {
            format!("this machine's lock is held by pid {child}, left behind by a kubeboot that died; ending it")
        }
        (None, _, None) if holders.all.is_empty() => {
            "this machine's lock is held by a process that cannot be seen from here".to_owned()
        }
        (None, _, None) => format!(
            "this machine's lock is held by pid {:?}, which kubeboot did not start: see what it is, and end it",
            holders.all
        ),
    }
}

/// The orphan, if there is one: the process that took the lock no longer holds it, but its child by
/// the note does. Both are read from the kernel now, so a process ID that was reused cannot mislead.
fn find_orphan(holders: &Holders, note: Option<&Note>) -> Option<i32> {
    let child = note?.child?;
    (holders.locker.is_none() && holders.all.contains(&child)).then_some(child)
}

/// The termination of one process, over several attempts to take the lock.
#[derive(Default)]
struct Termination {
    asked: Option<(i32, Instant)>,
}

impl Termination {
    /// Signals it by `kill`: SIGTERM first, and SIGKILL after `TERM_TIMEOUT`.
    fn end(&mut self, pid: i32, what: &str, kill: fn(Pid, Signal) -> rustix::io::Result<()>) {
        let asked = self.asked.filter(|(asked, _)| *asked == pid);
        let signal = match asked {
            None => Signal::TERM,
            Some((_, since)) if since.elapsed() >= TERM_TIMEOUT => Signal::KILL,
            Some(_) => return,
        };
        if asked.is_none() {
            self.asked = Some((pid, Instant::now()));
            tracing::warn!(pid, "{what}");
        }
        // An error means that the process is gone already; the next attempt to take the lock shows that.
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill(pid, signal);
        }
    }
}
