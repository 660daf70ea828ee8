//! The only place where kubeboot starts a process.
//!
//! Whatever is started here has an argument vector (never a shell line), an environment of named
//! variables only, no standard input, a deadline, a process group of its own that is killed when the
//! [`Running`] is dropped, and output that is captured, bounded, and redacted in every report.

mod capture;
mod failed;
pub mod guarded;
mod place;
mod redact;
mod running;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use command_fds::CommandFdExt;

use super::lock::Lock;
use capture::OnLine;
pub use failed::ProcessFailed;
use redact::Redaction;
use running::RunSpec;
pub use running::{Output, Running};

/// How long a program may take unless [`Command::deadline`] is called: enough for any query, and too
/// little for `kubeadm init`, so that a forgotten deadline of a long command shows at once.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A program to be started.
#[must_use = "a command does nothing until it is run or started"]
pub struct Command {
    program: String,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    deadline: Duration,
    accepted: Vec<i32>,
    redaction: Redaction,
    on_line: Option<OnLine>,
    lock: Option<Lock>,
}

impl Command {
    /// A program, found along `PATH`, without arguments and with an empty environment.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            deadline: DEFAULT_TIMEOUT,
            accepted: vec![0],
            redaction: Redaction::default(),
            on_line: None,
            lock: None,
        }
    }

    /// Appends arguments. Every user of the machine can read them: no secret belongs here.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Passes on these variables of kubeboot's own environment, if they are set.
    pub fn env_allow<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let set = names.into_iter().map(Into::into);
        self.env.extend(set.filter_map(|name| std::env::var_os(&name).map(|value| (name, value))));
        self
    }

    /// Sets one variable of the program's environment.
    pub fn env(mut self, name: impl Into<String>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// How long the program may take from its start; then its whole process group is killed.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The exit codes that are no failure; only 0 unless this is called.
    pub fn accept(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.accepted = codes.into_iter().collect();
        self
    }

    /// Hides a value in every error and streamed line.
    pub fn secret(mut self, value: impl Into<String>) -> Self {
        self.redaction.hide(value.into());
        self
    }

    /// Adds a filter for secrets of which only the shape is known. It gets text and returns the text
    /// that may be shown.
    pub fn redact(mut self, filter: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.redaction.filter(filter);
        self
    }

    /// Calls `callback` for each line of standard output as it comes, redacted.
    pub fn on_line(mut self, callback: impl FnMut(&str) + Send + 'static) -> Self {
        self.on_line = Some(Box::new(callback));
        self
    }

    /// Lets the program hold this machine's lock, too: an orphan keeps it until it has ended.
    pub fn inherit_lock(mut self, lock: &Lock) -> Self {
        self.lock = Some(lock.clone());
        self
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    ///
    /// [`ProcessFailed`], if it cannot be started, does not end in time, or ends with a signal or an
    /// exit code that is not accepted.
    pub async fn run(self) -> Result<Output, ProcessFailed> {
        self.start()?.wait().await
    }

    /// Starts the program and returns at once. Must be called within the tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ProcessFailed::NotFound`] and [`ProcessFailed::Io`], if it cannot be started.
    pub fn start(self) -> Result<Running, ProcessFailed> {
        let child = self.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ProcessFailed::NotFound { program: self.program.clone() },
            _ => ProcessFailed::io(&self.program, "start", source),
        })?;
        let spec = RunSpec {
            program: self.program,
            deadline: self.deadline,
            accepted: self.accepted,
            redaction: self.redaction,
        };
        let running = Running::new(child, spec, self.on_line)?;
        if let Some(lock) = &self.lock {
            lock.note_child(running.id())
                .map_err(|source| ProcessFailed::io(running.program(), "write down", source))?;
        }
        Ok(running)
    }

    /// Where the program lies, by the `PATH` that it is given.
    #[must_use]
    pub fn place(&self) -> Option<PathBuf> {
        let (_, path) = self.env.iter().rev().find(|(name, _)| name == "PATH")?;
        place::along(path, &self.program)
    }

    fn spawn(&self) -> io::Result<tokio::process::Child> {
        // By its path the C library starts it without a copy of this process, which a search along the path would take.
        let place = self.place().unwrap_or_else(|| PathBuf::from(&self.program));
        let mut command = tokio::process::Command::new(place);
        command
            .arg0(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that its children can be ended with it.
            .process_group(0)
            // Reaps the child when dropped; `Running` kills the rest of the group.
            .kill_on_drop(true);
        if let Some(lock) = &self.lock {
            command.preserved_fds(vec![OwnedFd::from(lock.handle()?)]);
        }
        command.spawn()
    }
}
