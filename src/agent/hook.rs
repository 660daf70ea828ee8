//! The terminate hook: kept alive beside whatever the agent does, and completed at the end.

use crate::aws::hook::{Hook, HookResult, Transition};
use crate::aws::store::Store;
use crate::aws::{CallFailed, Session};
use crate::bucket::registrations;
use crate::host::systemd::notify;
use crate::model::agent::HookTimes;
use crate::model::agent::hook::heartbeat_interval;
use crate::model::machine::ids::InstanceId;
use crate::model::membership::registration::HookWork;
use crate::node::Facts;
use crate::node::point::Point;
use crate::node::registrar::rfc3339;
use crate::settings::Role;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks whether a heartbeat is due.
const TICK: Duration = Duration::from_secs(1);
/// How often this machine's registration says that its agent is at work.
const REGISTRATION_INTERVAL: Duration = Duration::from_secs(30);
/// Between two attempts to learn the hook's times from a group that does not answer.
const TIMES_INTERVAL: Duration = Duration::from_secs(60);
/// Between two attempts to complete a hook that AWS does not let it complete.
const ANSWER_INTERVAL: Duration = Duration::from_secs(30);

/// The hook that the settings name, and what this process has done about it.
pub(super) struct TerminateHook {
    hook: Option<Hook>,
    /// Where its registration is; a worker has none.
    store: Option<Store>,
    me: InstanceId,
    times: Option<HookTimes>,
    /// When the group is to be asked for the times; `None` once it has answered.
    ask_times: Option<Instant>,
    answered: bool,
    last_heartbeat: Option<Instant>,
    last_registration: Option<Instant>,
    last_answer: Option<Instant>,
    /// What AWS does not let it do, in words.
    trouble: Option<String>,
}

impl TerminateHook {
    pub(super) fn new(session: &Session, facts: &Facts) -> Self {
        let me = facts.machine.instance.clone();
        let name = facts.settings.terminate_hook.clone();
        Self {
            hook: name.map(|name| session.hook(Transition::Terminate, name, me.clone())),
            store: (facts.settings.role == Role::ControlPlane).then(|| session.store.clone()),
            me,
            times: None,
            ask_times: Some(Instant::now()),
            answered: false,
            last_heartbeat: None,
            last_registration: None,
            last_answer: None,
            trouble: None,
        }
    }

    /// Its name, where the settings have one.
    pub(super) fn name(&self) -> Option<&str> {
        self.hook.as_ref().map(Hook::name)
    }

    /// How long it lasts in all, as far as that is known.
    pub(super) fn lasts(&self) -> Option<Duration> {
        self.times.map(|times| times.whole)
    }

    /// Whether this process has completed it.
    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    /// What there is to say of it beside the step.
    pub(super) fn describe(&self) -> Option<String> {
        let name = self.name()?;
        match (&self.trouble, self.times) {
            _ if self.answered => None,
            (Some(trouble), _) => Some(trouble.clone()),
            (None, Some(times)) => Some(format!("the terminate hook '{name}' has {times}")),
            (None, None) => None,
        }
    }

    /// Asks the group for the hook's times, until it has answered once.
    pub(super) async fn begin(&mut self, group: Option<String>) {
        let (Some(hook), Some(group), Some(at)) = (&self.hook, group, self.ask_times) else { return };
        if Instant::now() < at {
            return;
        }
        self.ask_times = Some(Instant::now() + TIMES_INTERVAL);
        match hook.times(&group).await {
            Ok(Some(times)) => (self.times, self.ask_times) = (Some(times), None),
            Ok(None) => {
                self.ask_times = None;
                let name = hook.name();
                self.has_trouble(format!(
                    "the group '{group}' has no lifecycle hook '{name}': correct the setting 'terminate_hook'"
                ));
            }
            Err(error) => tracing::warn!("the time of the terminate hook is not known: {error}"),
        }
    }

    /// Keeps the hook alive while this is done: that of `group`; `None` where it does not wait for this machine.
    pub(super) async fn beside<T>(
        &mut self,
        group: Option<String>,
        work: HookWork,
        done: impl Future<Output = T>,
    ) -> T {
        let mut done = pin!(done);
        let mut beats = pin!(self.beat(group, work));
        tokio::select! {
            biased;
            result = &mut done => result,
            never = &mut beats => match never {},
        }
    }

    async fn beat(&mut self, group: Option<String>, work: HookWork) -> Infallible {
        loop {
            notify::alive();
            if let Some(group) = &group {
                self.keep_alive(group).await;
            }
            self.register(work).await;
            sleep(TICK).await;
        }
    }

    async fn keep_alive(&mut self, group: &str) {
        let interval = heartbeat_interval(self.times);
        let due = self.last_heartbeat.is_none_or(|at| at.elapsed() >= interval);
        let (Some(hook), true, false) = (&self.hook, due, self.answered) else { return };
        self.last_heartbeat = Some(Instant::now());
        match hook.heartbeat(group).await {
            Ok(()) => self.trouble = None,
            Err(error) => self.has_trouble(error.to_string()),
        }
    }

    /// Says in the registration that this agent is at work.
    async fn register(&mut self, work: HookWork) {
        let Some(store) = &self.store else { return };
        if self.last_registration.is_some_and(|at| at.elapsed() < REGISTRATION_INTERVAL) {
            return;
        }
        self.last_registration = Some(Instant::now());
        if let Err(error) = registrations::say_in_hook(store, &self.me, work, rfc3339()).await {
            tracing::warn!("failed to write this machine's registration, going on without: {error}");
        }
    }

    /// Whether its last attempt to complete the hook is long enough ago.
    pub(super) fn may_answer(&self) -> bool {
        self.last_answer.is_none_or(|at| at.elapsed() >= ANSWER_INTERVAL)
    }

    /// Completes it. A failure is said, and tried again: somebody else may have completed it, or the group has not come to
    /// it yet, and its next description tells which.
    pub(super) async fn answer(&mut self, group: Option<String>, result: HookResult) {
        let (Some(hook), Some(group)) = (&self.hook, group) else { return };
        self.last_answer = Some(Instant::now());
        Point::AnswerDue.reached();
        let answer = hook.complete(&group, result).await;
        Point::AnswerSent.reached();
        match answer {
            Ok(()) => {
                tracing::info!("completed the terminate hook '{}' with {result}", hook.name());
                self.answered = true;
            }
            Err(error) => self.has_trouble(in_words(&error)),
        }
    }

    /// Lets this machine go back into its group's warm pool. The same hook waits for it once more when it is terminated, so it does not
    /// count as answered.
    ///
    /// # Errors
    /// As [`Hook::complete`].
    pub(super) async fn let_into_pool(&self, group: &str) -> Result<(), CallFailed> {
        match &self.hook {
            Some(hook) => hook.complete(group, HookResult::Continue).await,
            None => Ok(()),
        }
    }

    fn has_trouble(&mut self, words: String) {
        if self.trouble.as_ref() != Some(&words) {
            tracing::warn!("{words}");
        }
        self.trouble = Some(words);
    }
}

fn in_words(error: &CallFailed) -> String {
    match error.kind {
        crate::aws::CallFailure::Rejected => format!(
            "{error}: the group has not come to this hook yet, somebody else has completed it, or the machine waits in another one than \
             'terminate_hook' names"
        ),
        _ => error.to_string(),
    }
}
