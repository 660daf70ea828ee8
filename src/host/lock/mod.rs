//! One lock per machine, so that at most one kubeboot changes it at any time.
//!
//! It is an flock: the kernel releases it when the last process that holds it is gone, and kubeadm
//! inherits it. So a kubeadm whose kubeboot was killed keeps the lock, and the next kubeboot ends
//! that orphan instead of working beside it. After a boot `/run` is empty and the lock is free.

mod holders;
mod note;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::{Instant, sleep};

use super::files;
use crate::exit::Exit;
use holders::Holders;
use note::Note;

/// Where the lock is.
pub const PATH: &str = "/run/kubeboot/lock";

/// How often a waiting caller looks again.
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
    /// Waits at most `time_limit`; every new reason for waiting goes to `on_wait`. A kubeadm that
    /// was left behind by a kubeboot that is dead is ended.
    ///
    /// # Errors
    ///
    /// With [`Exit::TryAgain`], if somebody else still holds it after `time_limit`; otherwise if the
    /// lock file cannot be made or locked.
    pub async fn acquire(path: &Path, command: &str, time_limit: Duration, on_wait: impl FnMut(&str)) -> Result<Self> {
        Self::contend(path, command, time_limit, |_| false, on_wait).await
    }

    /// The same for a command that comes before others: whoever holds the lock and says of itself that it is doing what
    /// `ends` is true of is ended, with SIGTERM first. What it leaves behind is ended, too.
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
        let (mut orphan, mut holder) = (Termination::default(), Termination::default());
        loop {
            match file.try_lock() {
                Ok(()) => return Self::taken(file, command),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| failed_to("take", path));
                }
            }
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
                // It alone: its group may be that of the script which started it.
                holder.end(note.pid, "ending the kubeboot that holds this machine's lock", kill_process);
            }
            if since.elapsed() >= time_limit {
                let waited = humantime::format_duration(time_limit);
                return Err(anyhow!("{last_reason}; waited {waited} for it to end"))
                    .with_context(|| failed_to("take", path))
                    .context(Exit::TryAgain);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn taken(file: File, command: &str) -> Result<Self> {
        let note = Note::mine(command);
        note.write(&file).context("failed to say who holds this machine's lock")?;
        let file = Arc::new(file);
        Ok(Self { file, note })
    }

    /// Another handle on the open file, for a process that is to inherit the lock.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Writes down a process that inherited the lock: should this one die, it is the orphan.
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

/// Who is in the way, for people.
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

/// The orphan, if there is one: nobody who took the lock holds it any more, but the process that
/// the note calls its child does. Both by the kernel's word at this moment, so that a number that
/// meanwhile means another process cannot mislead.
fn find_orphan(holders: &Holders, note: Option<&Note>) -> Option<i32> {
    let child = note?.child?;
    (holders.locker.is_none() && holders.all.contains(&child)).then_some(child)
}

/// A process that was asked to end.
#[derive(Default)]
struct Termination {
    asked: Option<(i32, Instant)>,
}

impl Termination {
    /// Signals it by `kill`: first to end, and after a grace for good.
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
        // An error means that it is gone already, and the next look at the lock shows that.
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill(pid, signal);
        }
    }
}
