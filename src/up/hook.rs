//! The launch hook: kept alive while `up` works, completed when this machine is a healthy voter.

use crate::aws::hook::{Hook, HookResult, Transition};
use crate::aws::{CallFailure, Session};
use crate::model::machine::group::Lifecycle;
use crate::model::machine::ids::InstanceId;
use crate::node::Facts;
use crate::node::group::View;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two heartbeats. A hook's time-out is an hour unless set, and at least 30 seconds; a join takes minutes.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// The launch hook of the group, where the settings name one.
pub struct LaunchHook {
    hook: Option<Hook>,
    me: InstanceId,
    last_heartbeat: Option<Instant>,
}

impl LaunchHook {
    /// The hook that the settings name.
    pub(super) fn new(session: &Session, facts: &Facts) -> Self {
        let (hook, me) = (facts.settings.launch_hook.clone(), facts.machine.instance.clone());
        Self { hook: hook.map(|name| session.hook(Transition::Launch, name, me.clone())), me, last_heartbeat: None }
    }

    /// Keeps the hook alive, where this machine waits in one. A failure goes to the log: the next pass tries again.
    pub(super) async fn keep_alive(&mut self, view: &View) {
        let due = self.last_heartbeat.is_none_or(|at| at.elapsed() >= HEARTBEAT_INTERVAL);
        let (Some((hook, group)), true) = (self.waited_for(view), due) else { return };
        if let Err(error) = hook.heartbeat(&group).await {
            tracing::warn!("{error}");
        }
        self.last_heartbeat = Some(Instant::now());
    }

    /// Keeps the hook alive for as long as this is waited for, where this machine waits in one by the last answer: a step may take minutes.
    /// It holds nothing of this.
    pub(super) fn beats(&self, view: &View) -> impl Future<Output = Infallible> + use<> {
        beat(self.waited_for(view).map(|(hook, group)| (hook.clone(), group)))
    }

    /// Lets this machine enter service.
    ///
    /// # Errors
    /// AWS does not answer or refuses.
    pub(super) async fn complete(&self, view: &View) -> anyhow::Result<()> {
        let Some((hook, group)) = self.waited_for(view) else { return Ok(()) };
        match hook.complete(&group, HookResult::Continue).await {
            Ok(()) => tracing::info!("completed the launch hook: this machine may enter service"),
            // Completed before, and the group's last description was older than that.
            Err(error) if error.kind == CallFailure::Rejected => tracing::warn!("{error}"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Gives this machine up, so that the group replaces it.
    pub(super) async fn abandon(&self, view: &View) {
        let Some((hook, group)) = self.waited_for(view) else { return };
        match hook.complete(&group, HookResult::Abandon).await {
            Ok(()) => tracing::warn!("abandoned the launch hook: the group will replace this machine"),
            Err(error) => tracing::warn!("{error}"),
        }
    }

    /// The hook in which this machine waits, and the group, by the last answer.
    fn waited_for(&self, view: &View) -> Option<(&Hook, String)> {
        let group = view.group.as_ref()?;
        let waits = group.member(&self.me)?.lifecycle == Lifecycle::PendingWait;
        self.hook.as_ref().filter(|_| waits).map(|hook| (hook, group.name.clone()))
    }
}

async fn beat(waited: Option<(Hook, String)>) -> Infallible {
    loop {
        sleep(HEARTBEAT_INTERVAL).await;
        if let Some((hook, group)) = &waited
            && let Err(error) = hook.heartbeat(group).await
        {
            tracing::warn!("{error}");
        }
    }
}
