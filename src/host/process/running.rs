//! A process that was started and has not been seen to end.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::time::{Instant, timeout, timeout_at};

use super::capture::{Capture, OnLine};
use super::failed::ProcessFailed;
use super::redact::Redaction;

/// How long a process group may take to end after SIGTERM, before SIGKILL. Short, because a holder
/// that may have lost its claim must have ended its kubeadm before another machine takes over.
const TERM_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the kernel may take to end a process after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The output of a program. `Debug` leaves out the text, which may hold a key.
#[derive(Clone)]
pub struct Output {
    /// The exit code, one of the accepted ones.
    pub code: i32,
    /// The last 64 KiB of standard output, not redacted: it is for parsing, not for showing.
    pub stdout: String,
    /// The last 64 KiB of standard error, not redacted.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("code", &self.code).field("took", &self.took).finish_non_exhaustive()
    }
}

/// What is needed to judge and report a process.
pub(super) struct RunSpec {
    pub(super) program: String,
    pub(super) deadline: Duration,
    pub(super) accepted: Vec<i32>,
    pub(super) redaction: Redaction,
}

/// A running process with its group. When it is dropped before it has ended, the whole group is killed.
pub struct Running {
    child: Child,
    group: Pid,
    spec: RunSpec,
    started: Instant,
    stdout: Capture,
    stderr: Capture,
}

impl Running {
    pub(super) fn new(mut child: Child, spec: RunSpec, on_line: Option<OnLine>) -> Result<Self, ProcessFailed> {
        let started = Instant::now();
        let parts = (child.id(), child.stdout.take(), child.stderr.take());
        let (Some(id), Some(stdout), Some(stderr)) = parts else {
            let gone = io::Error::other("it has no process ID or no output");
            return Err(ProcessFailed::io(&spec.program, "start", gone));
        };
        let group = i32::try_from(id).ok().and_then(Pid::from_raw);
        let group = group.ok_or_else(|| {
            let error = io::Error::other(format!("its process ID {id} is out of range"));
            ProcessFailed::io(&spec.program, "start", error)
        })?;
        Ok(Self {
            child,
            group,
            started,
            stdout: Capture::start(stdout, spec.redaction.clone(), on_line),
            stderr: Capture::start(stderr, spec.redaction.clone(), None),
            spec,
        })
    }

    /// The process ID, which is also that of its group.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    pub(super) fn program(&self) -> &str {
        &self.spec.program
    }

    /// Waits for the end, at most until the deadline that began with the start.
    /// May be cancelled and called again.
    ///
    /// # Errors
    ///
    /// [`ProcessFailed`], if the process does not end in time (then its group was killed) or ends with a
    /// signal or an exit code that is not accepted.
    pub async fn wait(&mut self) -> Result<Output, ProcessFailed> {
        let ended = timeout_at(self.started + self.spec.deadline, self.child.wait()).await;
        match ended {
            Ok(Ok(status)) => self.judge(status).await,
            Ok(Err(source)) => Err(ProcessFailed::io(&self.spec.program, "wait for", source)),
            Err(_) => {
                self.kill().await?;
                let (tail, printed) = self.ends().await;
                Err(ProcessFailed::TimedOut {
                    program: self.spec.program.clone(),
                    after: self.spec.deadline,
                    tail,
                    printed,
                })
            }
        }
    }

    /// Ends the process and its group, with SIGTERM first, and returns when the process is gone.
    ///
    /// # Errors
    ///
    /// [`ProcessFailed::Io`], if it is still there `KILL_TIMEOUT` after SIGKILL (it hangs in the kernel).
    pub async fn kill(&mut self) -> Result<(), ProcessFailed> {
        if self.child.id().is_none() {
            // It was reaped, so its process ID may be another process's by now.
            return Ok(());
        }
        self.signal(Signal::TERM);
        let mut ended = timeout(TERM_TIMEOUT, self.child.wait()).await;
        if ended.is_err() {
            self.signal(Signal::KILL);
            ended = timeout(KILL_TIMEOUT, self.child.wait()).await;
        }
        // Its children may have outlived it. While one of them lives, the kernel does not reuse the
        // group's ID, so this signals the right processes or none.
        self.signal(Signal::KILL);
        ended
            .unwrap_or_else(|_| Err(io::Error::other("it is still there after SIGKILL")))
            .map(drop)
            .map_err(|source| ProcessFailed::io(&self.spec.program, "end", source))
    }

    /// Signals the group. A group that is gone is no error.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }

    async fn judge(&mut self, status: ExitStatus) -> Result<Output, ProcessFailed> {
        let program = self.spec.program.clone();
        match status.code() {
            Some(code) if self.spec.accepted.contains(&code) => Ok(Output {
                code,
                stdout: self.stdout.finish().await,
                stderr: self.stderr.finish().await,
                took: self.started.elapsed(),
            }),
            Some(code) => {
                let (tail, printed) = self.ends().await;
                Err(ProcessFailed::Exit { program, code, tail, printed })
            }
            None => {
                let (tail, printed) = self.ends().await;
                Err(ProcessFailed::Signal { program, signal: status.signal().unwrap_or_default(), tail, printed })
            }
        }
    }

    /// The end of what the process said, which is on its standard error unless that is empty, and of its standard output. Both
    /// redacted.
    async fn ends(&mut self) -> (String, String) {
        let (stderr, stdout) = (self.stderr.finish().await, self.stdout.finish().await);
        let printed = self.spec.redaction.apply(&stdout);
        let tail = if stderr.trim().is_empty() { printed.clone() } else { self.spec.redaction.apply(&stderr) };
        (tail, printed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The ID is there until the process was reaped, so no other process is signalled.
        if self.child.id().is_some() {
            self.signal(Signal::KILL);
        }
    }
}
