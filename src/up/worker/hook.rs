//! The launch hook of a worker. Nobody is asked whether it waits for this machine: thousands may boot at once.

use crate::aws::hook::{Hook, HookResult, Transition};
use crate::aws::{CallFailed, CallFailure, Session};
use crate::model::worker::snapshot::LaunchHookState;
use crate::node::Facts;
use crate::up::Waiting;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two heartbeats: a hook whose time-out is shorter than three of them ends before its worker has joined.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);
/// Between two looks whether a heartbeat is due.
const TICK: Duration = Duration::from_secs(5);
/// Between two attempts to complete it.
const ANSWER_INTERVAL: Duration = Duration::from_secs(5);
/// The same before the machine enters a warm pool, where every start of it asks anew.
const ENTRY_INTERVAL: Duration = Duration::from_secs(15);
/// The group comes to its hook some time after the machine has booted. What it has not come to for so long waits for nobody: the machine
/// was attached, or the hook has ended.
const AHEAD_GRACE: Duration = Duration::from_secs(120);

/// The hook that the settings name.
pub(super) struct WorkerHook {
    hook: Option<(Hook, String)>,
    next_heartbeat: Instant,
    refused_since: Option<Instant>,
    entry: Entry,
}

/// What was done about the same hook before the machine enters its group's warm pool.
#[derive(Default)]
struct Entry {
    /// Whether it was completed, or waits for nobody.
    is_settled: bool,
    last: Option<Instant>,
    refused_since: Option<Instant>,
}

/// What came of an attempt to complete it.
pub(super) enum HookAnswer {
    /// It was completed, or waits for nobody.
    Settled,
    /// The group has not come to it.
    Ahead,
}

impl WorkerHook {
    pub(super) fn new(session: &Session, facts: &Facts) -> Self {
        let me = || facts.machine.instance.clone();
        let named = facts.settings.launch_hook.clone().zip(facts.settings.group.clone());
        let hook = named.map(|(hook, group)| (session.hook(Transition::Launch, hook, me()), group));
        // Machines of a group boot at the same moment, and Auto Scaling takes only so many calls of an account in a second.
        let next_heartbeat = Instant::now() + HEARTBEAT_INTERVAL.mul_f64(fastrand::f64());
        Self { hook, next_heartbeat, refused_since: None, entry: Entry::default() }
    }

    /// Keeps it alive where that is due. A failure goes to the log: the next pass tries again.
    pub(super) async fn keep_alive(&mut self) {
        let due = Instant::now() >= self.next_heartbeat;
        let (Some((hook, group)), true) = (&self.hook, due) else { return };
        self.next_heartbeat = Instant::now() + HEARTBEAT_INTERVAL;
        match hook.heartbeat(group).await {
            Ok(()) => {}
            // It does not wait for this machine, or not yet.
            Err(error) if error.kind == CallFailure::Rejected => tracing::debug!("{error}"),
            Err(error) => tracing::warn!("{error}"),
        }
    }

    /// Keeps it alive while this is done, where it may wait for this machine: a join or a wipe takes minutes.
    pub(super) async fn beside<T>(&mut self, state: LaunchHookState, done: impl Future<Output = T>) -> T {
        let mut done = pin!(done);
        let mut beats = pin!(self.beat(state));
        tokio::select! {
            biased;
            result = &mut done => result,
            never = &mut beats => match never {},
        }
    }

    async fn beat(&mut self, state: LaunchHookState) -> Infallible {
        loop {
            match state {
                LaunchHookState::Due => self.keep_alive().await,
                LaunchHookState::Settled => {}
            }
            sleep(TICK).await;
        }
    }

    /// Lets this machine enter service.
    ///
    /// # Errors
    /// AWS does not answer or refuses.
    pub(super) async fn complete(&mut self) -> Result<HookAnswer, CallFailed> {
        let Some((hook, group)) = &self.hook else { return Ok(HookAnswer::Settled) };
        match hook.complete(group, HookResult::Continue).await {
            Ok(()) => {
                tracing::info!("completed the launch hook: this machine may enter service");
                Ok(HookAnswer::Settled)
            }
            Err(error) if error.kind == CallFailure::Rejected => {
                let since = *self.refused_since.get_or_insert_with(Instant::now);
                if since.elapsed() < AHEAD_GRACE {
                    return Ok(HookAnswer::Ahead);
                }
                tracing::warn!("the launch hook '{}' waits for no answer of this machine: {error}", hook.name());
                Ok(HookAnswer::Settled)
            }
            Err(error) => Err(error),
        }
    }

    /// Lets this machine enter its warm pool. That is no answer for the time when it leaves the pool, so nothing is written down; a failure
    /// goes to the log, and the next pass tries again.
    pub(super) async fn enter_pool(&mut self) {
        let entry = &mut self.entry;
        let due = entry.last.is_none_or(|at| at.elapsed() >= ENTRY_INTERVAL);
        let (Some((hook, group)), true, false) = (&self.hook, due, entry.is_settled) else { return };
        entry.last = Some(Instant::now());
        match hook.complete(group, HookResult::Continue).await {
            Ok(()) => {
                tracing::info!("completed the launch hook: this machine may enter its warm pool");
                entry.is_settled = true;
            }
            Err(error) if error.kind == CallFailure::Rejected => {
                tracing::debug!("{error}");
                entry.is_settled = entry.refused_since.get_or_insert_with(Instant::now).elapsed() >= AHEAD_GRACE;
            }
            Err(error) => tracing::warn!("{error}"),
        }
    }

    /// Gives this machine up, so that the group replaces it.
    pub(super) async fn abandon(&self) {
        let Some((hook, group)) = &self.hook else { return };
        match hook.complete(group, HookResult::Abandon).await {
            Ok(()) => tracing::warn!("abandoned the launch hook: the group will replace this machine"),
            Err(error) => tracing::warn!("{error}"),
        }
    }

    /// What is waited for while the group has not come to it.
    pub(super) fn ahead(&self) -> Waiting {
        let name = self.hook.as_ref().map_or("", |(hook, _)| hook.name());
        let reason = format!("the group to come to its launch hook '{name}', which is to be completed");
        Waiting { reason, pause: ANSWER_INTERVAL, exit: crate::exit::Exit::TryAgain }
    }
}
