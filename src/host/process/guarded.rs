//! A command that must be dead in time, whatever happens to the process that wants it to run: between the two stands a guard, a process
//! of its own, that is told of each renewal and ends the command when none comes. So the command also ends in time when whoever
//! started the guard is killed or stands still.
//!
//! Guard and command are this program, started under other names; the second replaces itself by the command. The kernel kills the
//! command when the guard dies (`PR_SET_PDEATHSIG`).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, waitpgid,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStdin};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::host::boottime;

/// This very program, also when its file was replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// The name under which it is the guard.
const GUARD: &str = "kubeboot-elect-guard";
/// The name under which it becomes the command.
const COMMAND: &str = "kubeboot-elect-command";
/// How long an order may take to be taken in by the guard.
const ORDER_TIMEOUT: Duration = Duration::from_secs(1);
/// By this signal the guard ends itself to say that it has ended the command, which is dead.
const ENDED: Signal = Signal::ALARM;
/// Exit codes as of a shell: the command was not found, or could not be started.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// After how long without a renewal the command is asked to end, and when it is killed.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// SIGTERM.
    pub term: Duration,
    /// SIGKILL.
    pub kill: Duration,
}

/// A guard and its command.
pub struct Guarded {
    child: Child,
    orders: ChildStdin,
}

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, or asked to by [`Guarded::end`], with this exit code (128 and the number of a signal). It is dead.
    Exit(u8),
    /// The guard has ended it. It is dead.
    ByGuard,
    /// The guard was killed: the kernel has killed the command as well, but nobody has seen it dead.
    Unseen,
}

impl Guarded {
    /// Starts a command that was renewed at `renewed`, a time since the boot. Its output is this process's own.
    ///
    /// # Errors
    /// The guard cannot be started, or takes no order.
    pub async fn start(
        command: &[OsString],
        env: impl IntoIterator<Item = (&'static str, String)>,
        deadlines: Deadlines,
        renewed: Duration,
    ) -> Result<Self> {
        let mut guard = tokio::process::Command::new(THIS_PROGRAM);
        guard.arg0(GUARD).arg(deadlines.term.as_nanos().to_string()).arg(deadlines.kill.as_nanos().to_string());
        guard.args(command).envs(env).stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = guard.spawn().context("failed to start the guard of the command")?;
        let orders = child.stdin.take().context("the guard of the command takes no orders")?;
        let mut guarded = Self { child, orders };
        guarded.renewed(renewed).await?;
        Ok(guarded)
    }

    /// Tells of a renewal that was sent at this time since the boot.
    ///
    /// # Errors
    /// The guard does not take it in: it is ending, or stands still.
    pub async fn renewed(&mut self, at: Duration) -> Result<()> {
        self.order(&format!("renewed {}\n", at.as_nanos())).await
    }

    /// Has the command asked to end (SIGTERM). It is killed when no renewal comes any more.
    ///
    /// # Errors
    /// As [`Guarded::renewed`].
    pub async fn end(&mut self) -> Result<()> {
        self.order("end\n").await
    }

    /// Has the command killed.
    ///
    /// # Errors
    /// As [`Guarded::renewed`].
    pub async fn kill(&mut self) -> Result<()> {
        self.order("kill\n").await
    }

    /// Kills the guard itself, and by the kernel the command: for a guard that does nothing any more.
    pub fn kill_guard(&mut self) {
        // Fails only where it has ended.
        let _ = self.child.start_kill();
    }

    async fn order(&mut self, line: &str) -> Result<()> {
        let written = timeout(ORDER_TIMEOUT, self.orders.write_all(line.as_bytes())).await;
        written
            .context("it stands still")
            .and_then(|written| Ok(written?))
            .context("the guard of the command takes no orders")
    }

    /// Waits for the end. May be cancelled and called again.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub async fn wait(&mut self) -> Result<Ended> {
        let status = self.child.wait().await?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exit(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, Some(signal)) if signal == ENDED.as_raw() => Ended::ByGuard,
            (None, _) => Ended::Unseen,
        })
    }
}

/// What this process was started as, if it is part of a guarded command. `None` for everybody else.
pub async fn part() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let name = args.next()?;
    let ended = if name == OsStr::new(GUARD) {
        guard(args.collect()).await
    } else if name == OsStr::new(COMMAND) {
        Err(become_command(args.collect()))
    } else {
        return None;
    };
    Some(ended.unwrap_or_else(|error| {
        crate::layout::tell(&format!("kubeboot elect: {error:#}"));
        let not_found = error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
        if not_found { NOT_FOUND } else { NOT_STARTED }.into()
    }))
}

/// Replaces this process by the command. Returns only if that fails.
fn become_command(args: Vec<OsString>) -> anyhow::Error {
    let [guard, program, args @ ..] = args.as_slice() else { return anyhow::anyhow!("there is no command") };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return anyhow::Error::new(error).context("failed to have the kernel end the command with its guard");
    }
    // The guard may have died before the kernel was told.
    if getppid().map(|parent| parent.as_raw_nonzero().to_string()).as_deref() != guard.to_str() {
        return anyhow::anyhow!("its guard has died");
    }
    let error = std::process::Command::new(program).args(args).exec();
    anyhow::Error::new(error).context(format!("failed to start '{}'", program.display()))
}

/// Where the orders of a guard come from.
type Orders = Lines<BufReader<Receiver>>;

/// An order to a guard.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Renewed(Duration),
    End,
    Kill,
}

impl Order {
    fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            Some(("renewed", at)) => at.parse().ok().map(|nanos| Self::Renewed(Duration::from_nanos(nanos))),
            None if line == "end" => Some(Self::End),
            None if line == "kill" => Some(Self::Kill),
            Some(_) | None => None,
        }
    }
}

/// Runs the command until it ends or must end.
async fn guard(args: Vec<OsString>) -> Result<ExitCode> {
    let [term, kill, command @ ..] = args.as_slice() else { bail!("a guard was started without its deadlines") };
    let nanos = |text: &OsString| text.to_str().and_then(|text| text.parse().ok()).map(Duration::from_nanos);
    let (Some(term), Some(kill)) = (nanos(term), nanos(kill)) else { bail!("a guard's deadlines are no numbers") };
    // What asks the process before to end is that one's to decide about.
    let _ignored = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    // What the command leaves behind becomes this process's child, so that its end can be seen.
    set_child_subreaper(Some(getpid())).context("failed to become the parent of what the command leaves behind")?;
    let orders = Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut orders = BufReader::new(orders).lines();
    let Some(Order::Renewed(renewed)) = orders.next_line().await?.as_deref().and_then(Order::parse) else {
        bail!("a guard was started without a renewal");
    };
    let mut command = Commanded::start(command)?;
    let status = match command.watch(orders, Deadlines { term, kill }, renewed).await {
        Ok(status) => status,
        Err(error) => {
            crate::layout::tell(&format!("kubeboot elect: the guard ends the command: {error:#}"));
            command.kill().await?
        }
    };
    command.end_the_rest();
    if command.must_end && !command.asked {
        kill_process(getpid(), ENDED)?;
    }
    Ok(code(status).into())
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// The command, as its guard sees it.
struct Commanded {
    child: Child,
    group: Pid,
    /// It was asked to end because its time is over.
    must_end: bool,
    /// Whoever wanted it to run wants it to end.
    asked: bool,
}

impl Commanded {
    fn start(command: &[OsString]) -> Result<Self> {
        let mut started = tokio::process::Command::new(THIS_PROGRAM);
        started.arg0(COMMAND).arg(getpid().as_raw_nonzero().to_string()).args(command);
        // A group of its own, so that its children can be ended with it.
        let child = started.stdin(Stdio::null()).process_group(0).spawn().context("failed to start the command")?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, group: id.context("the command has no process ID")?, must_end: false, asked: false })
    }

    /// Waits for its end, or ends it when it must.
    async fn watch(&mut self, mut orders: Orders, deadlines: Deadlines, mut renewed: Duration) -> Result<ExitStatus> {
        let mut listening = true;
        loop {
            tokio::select! {
                biased;
                // Time first: after a pause of this process a renewal may be read that is long past itself.
                waited = boottime::until(renewed.saturating_add(deadlines.kill)) => {
                    waited?;
                    return self.kill().await;
                }
                waited = boottime::until(renewed.saturating_add(deadlines.term)), if !self.must_end => {
                    waited?;
                    self.must_end();
                }
                status = self.child.wait() => return Ok(status?),
                line = orders.next_line(), if listening => match line?.as_deref().map(Order::parse) {
                    Some(Some(Order::Renewed(at))) => renewed = renewed.max(at),
                    Some(Some(Order::End)) => {
                        self.asked = true;
                        self.signal(Signal::TERM);
                    }
                    Some(Some(Order::Kill) | None) => return self.kill().await,
                    // Nobody is there any more who could renew.
                    None => {
                        listening = false;
                        self.must_end();
                    }
                },
            }
        }
    }

    fn signal(&self, signal: Signal) {
        // A group that is gone is no error.
        let _ = kill_process_group(self.group, signal);
    }

    fn must_end(&mut self) {
        self.must_end = true;
        self.signal(Signal::TERM);
    }

    async fn kill(&mut self) -> Result<ExitStatus> {
        self.must_end = true;
        self.signal(Signal::KILL);
        Ok(self.child.wait().await?)
    }

    /// Ends what is left of the group, and sees it end.
    fn end_the_rest(&self) {
        self.signal(Signal::KILL);
        // Fails when nobody is left.
        while waitpgid(self.group, WaitOptions::empty()).is_ok_and(|found| found.is_some()) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_order_is_none() {
        assert_eq!(Order::parse("renewed 5"), Some(Order::Renewed(Duration::from_nanos(5))));
        assert_eq!((Order::parse("end"), Order::parse("kill")), (Some(Order::End), Some(Order::Kill)));
        for line in
            ["", "renewed", "renewed ", "renewed -1", "renewed 5 ", "renewed 99999999999999999999", "end ", "END"]
        {
            assert_eq!(Order::parse(line), None, "{line}");
        }
    }
}
