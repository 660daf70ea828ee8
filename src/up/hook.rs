//! The launch hook: kept alive while `up` works, completed when this machine is a healthy voter.

use super::shell::Shell;
use crate::aws::CallFailure;
use crate::aws::hook::HookResult;
use crate::exit::Exit;
use crate::model::machine::group::Lifecycle;
use crate::model::machine::local::Local;
use crate::settings::HookOnFailure;
use std::time::Duration;
use tokio::time::Instant;

/// Between two heartbeats. A hook's time-out is an hour unless set, and at least 30 seconds; a join takes minutes.
const HEARTBEAT: Duration = Duration::from_secs(15);

impl Shell {
    /// Keeps the hook alive, where this machine waits in one. A failure is told and borne: the next pass tries again.
    pub(super) async fn keep_hook_alive(&mut self) {
        let due = self.heartbeat.is_none_or(|at| at.elapsed() >= HEARTBEAT);
        let (Some(hook), Some(group), true) = (&self.hook, self.waits_in_hook(), due) else { return };
        if let Err(error) = hook.heartbeat(&group).await {
            tracing::warn!("{error}");
        }
        self.heartbeat = Some(Instant::now());
    }

    /// Lets this machine enter service.
    ///
    /// # Errors
    /// AWS does not answer or refuses.
    pub(super) async fn complete_hook(&mut self) -> anyhow::Result<()> {
        let (Some(hook), Some(group)) = (&self.hook, self.waits_in_hook()) else { return Ok(()) };
        match hook.complete(&group, HookResult::Continue).await {
            Ok(()) => tracing::info!("completed the launch hook: this machine may enter service"),
            // Completed before, and the group's last description was older than that.
            Err(error) if error.kind == CallFailure::Rejected => tracing::warn!("{error}"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Gives this machine up, only if the settings say so, another machine could do better, it never became a member or
    /// nothing of that is left, and the cluster, if there is one, has its quorum.
    pub(super) async fn abandon_hook(&mut self, exit: Exit) {
        let lawful = matches!(self.local(), Ok(Local::Fresh)) && !self.probe.lacks_quorum() && exit.may_abandon();
        let wanted = self.facts.settings.launch_hook_on_failure == HookOnFailure::Abandon;
        let (Some(hook), Some(group), true) = (&self.hook, self.waits_in_hook(), wanted && lawful) else {
            return;
        };
        match hook.complete(&group, HookResult::Abandon).await {
            Ok(()) => tracing::warn!("abandoned the launch hook: the group will replace this machine"),
            Err(error) => tracing::warn!("{error}"),
        }
    }

    /// The group in whose launch hook this machine waits, by the last answer.
    fn waits_in_hook(&self) -> Option<String> {
        let group = self.group.last().group.as_ref()?;
        let member = group.member(&self.facts.machine.instance)?;
        (member.lifecycle == Lifecycle::PendingWait).then(|| group.name.clone())
    }
}
