//! Runs the command while this one leads, and sees it end before the Lease could be another's.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;

use super::End;
use crate::exit::Exit;
use crate::host::boottime;
use crate::host::process::guarded::{Deadlines, Ended, Guarded};
use crate::model::leader::decide::LeaseWrite;
use crate::model::leader::{DURATION, KILL_DEADLINE, RENEW_DEADLINE};
use crate::node::election::{Told, changed, until_led};

/// How long the command may take to end when this one is asked to: less than the half minute that a kubelet gives a pod.
const GRACE: Duration = Duration::from_secs(25);
/// When the guard itself is killed, because it has not killed the command in time.
const GUARD_DEADLINE: Duration = Duration::from_secs(14);
/// How a command ends that SIGTERM has ended.
const TERMINATED: u8 = 128 + 15;

/// What the command is told in its environment.
pub(super) struct Names {
    pub(super) me: String,
    pub(super) lease: String,
}

/// Starts the command each time that this one leads, until it ends by itself or this one is asked to stop.
///
/// # Errors
/// The command's guard cannot be started, or the kernel gives no timer.
pub(super) async fn run(
    command: &[OsString],
    names: Names,
    mut told: watch::Receiver<Told>,
    barred: &watch::Sender<bool>,
    stopped: impl Future<Output = ()>,
) -> Result<End> {
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let term = tokio::select! {
            term = until_led(&mut told) => term,
            () = &mut stopped => return Ok(End { code: Exit::Done.into(), is_over: true }),
        };
        barred.send_replace(true);
        tracing::info!("starting the command");
        let env = [
            ("ELECT_FENCING_NUMBER", term.content.transitions.to_string()),
            ("ELECT_ID", names.me.clone()),
            ("ELECT_LEASE", names.lease.clone()),
        ];
        let deadlines = Deadlines { term: RENEW_DEADLINE, kill: KILL_DEADLINE };
        let guarded = Guarded::start(command, env, deadlines, term.sent).await?;
        let mut running = Running { guarded, number: term.content.transitions, sent: term.sent, must_end: false };
        let ended = running.watch(&mut told, &mut stopped).await?;
        match ended {
            Watched::Stopped(Ended::Exit(0 | TERMINATED)) => return Ok(End { code: Exit::Done.into(), is_over: true }),
            Watched::Stopped(Ended::Exit(code)) | Watched::Ended(Ended::Exit(code)) => {
                tracing::info!("the command has ended with exit code {code}");
                return Ok(End { code: ExitCode::from(code), is_over: true });
            }
            Watched::Stopped(Ended::ByGuard) => return Ok(End { code: Exit::TryAgain.into(), is_over: true }),
            Watched::Stopped(Ended::Unseen) => return Ok(End { code: Exit::TryAgain.into(), is_over: false }),
            Watched::Ended(Ended::ByGuard) => tracing::warn!("the command was ended"),
            Watched::Ended(Ended::Unseen) => {
                tracing::error!("the guard of the command was killed: waiting until the Lease has run out");
                boottime::until(running.sent.saturating_add(DURATION)).await?;
            }
        }
        barred.send_replace(false);
    }
}

/// How a command ended.
enum Watched {
    /// By itself, or with the term.
    Ended(Ended),
    /// After this one was asked to stop.
    Stopped(Ended),
}

/// A command that runs.
struct Running {
    guarded: Guarded,
    number: i64,
    /// When the last renewal was sent that is known.
    sent: Duration,
    must_end: bool,
}

impl Running {
    async fn watch(
        &mut self,
        told: &mut watch::Receiver<Told>,
        mut stopped: impl Future<Output = ()> + Unpin,
    ) -> Result<Watched> {
        let mut asked_at: Option<Duration> = None;
        loop {
            tokio::select! {
                ended = self.guarded.wait() => {
                    let ended = ended?;
                    return Ok(if asked_at.is_some() { Watched::Stopped(ended) } else { Watched::Ended(ended) });
                }
                () = changed(told) => {
                    let term = told.borrow_and_update().mine.term.clone();
                    self.follow(term).await;
                }
                () = &mut stopped, if asked_at.is_none() => {
                    asked_at = Some(boottime::now());
                    log_lost(self.guarded.end().await);
                }
                waited = boottime::until_any(asked_at.map(|at| at.saturating_add(GRACE))), if !self.must_end => {
                    waited?;
                    tracing::warn!("the command has not ended for {} seconds: killing it", GRACE.as_secs());
                    self.kill().await;
                }
                waited = boottime::until(self.sent.saturating_add(GUARD_DEADLINE)) => {
                    waited?;
                    tracing::error!("the guard has not ended the command: killing it");
                    self.guarded.kill_guard();
                    let ended = self.guarded.wait().await?;
                    return Ok(if asked_at.is_some() { Watched::Stopped(ended) } else { Watched::Ended(ended) });
                }
            }
        }
    }

    /// Passes a renewal on to the guard, which ends the command when none comes; has it killed at once when the Lease may be another's
    /// already.
    async fn follow(&mut self, term: Option<LeaseWrite>) {
        match term {
            Some(term) if term.content.transitions == self.number && !self.must_end => {
                self.sent = term.sent;
                log_lost(self.guarded.renewed(term.sent).await);
            }
            Some(_) => self.kill().await,
            None if boottime::now() < self.sent.saturating_add(RENEW_DEADLINE) => self.kill().await,
            // The guard counts the same time, and gives the command a moment to end.
            None => {}
        }
    }

    async fn kill(&mut self) {
        if !self.must_end {
            self.must_end = true;
            log_lost(self.guarded.kill().await);
        }
    }
}

/// An order that is not taken in changes nothing: the guard is ending, or will be killed in time.
fn log_lost(order: Result<()>) {
    if let Err(error) = order {
        tracing::debug!("{error:#}");
    }
}
