//! A worker that its group takes back into its warm pool, and out of it again without a boot.

use super::TerminateHook;
use crate::aws::CallFailure;
use crate::host::lock::{self, Lock};
use crate::host::{files, systemd::unit};
use crate::kubeadm::worker_state;
use crate::model::worker::pool::{PoolEntry, PoolSeen, PoolStep, decide};
use crate::model::worker::snapshot::WorkerLocal;
use crate::model::worker::step::is_pooled;
use crate::node::{BOOT_UNIT, Facts, launch_hook};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// That the group has wanted this machine in its pool in this boot: an agent that is started anew goes by it. A power-off erases it, and then
/// `up` runs at the boot.
const PATH: &str = "/run/kubeboot/pooled";
/// Between two attempts at the same thing.
const INTERVAL: Duration = Duration::from_secs(15);

/// What this process has done about the pool.
pub(super) struct WarmPool {
    was_pooled: bool,
    entry: Entry,
    next: Instant,
}

/// What has come of the terminate hook.
#[derive(Default)]
struct Entry {
    is_settled: bool,
    refused_since: Option<Instant>,
}

impl WarmPool {
    /// What an agent before this one has seen in this boot.
    pub(super) fn load() -> Self {
        Self { was_pooled: Path::new(PATH).exists(), entry: Entry::default(), next: Instant::now() }
    }

    /// One pass, by what IMDS has said last.
    pub(super) async fn pass(&mut self, facts: &Facts, target: Option<&str>, hook: &TerminateHook) {
        if target.is_some_and(is_pooled) {
            self.enters();
        } else {
            self.entry = Entry::default();
        }
        let seen = self.look(facts, target, hook);
        let is_due = Instant::now() >= self.next;
        match decide(&seen) {
            PoolStep::Nothing => {}
            PoolStep::Forget => self.forget(),
            PoolStep::Enter if is_due => self.enter(facts, hook).await,
            PoolStep::Serve if is_due => self.serve().await,
            PoolStep::Enter | PoolStep::Serve => {}
        }
    }

    fn look(&self, facts: &Facts, target: Option<&str>, hook: &TerminateHook) -> PoolSeen {
        let (root, me) = (Path::new("/"), &facts.machine.instance);
        let settings = &facts.settings;
        let refused_for = self.entry.refused_since.map(|since| PoolEntry::Refused(since.elapsed()));
        let has_hook = hook.name().is_some() && settings.group.is_some();
        let entry =
            if self.entry.is_settled || !has_hook { PoolEntry::Settled } else { refused_for.unwrap_or(PoolEntry::Due) };
        PoolSeen {
            target: target.map(str::to_owned),
            // Nothing else of the disk is asked for a machine that has never been in a pool.
            has_joined: self.was_pooled
                && matches!(worker_state::observe(root), Ok(WorkerLocal::Joined { instance, .. }) if instance == *me),
            was_pooled: self.was_pooled,
            is_locked: self.was_pooled && Lock::is_held(Path::new(lock::PATH)),
            launch_due: self.was_pooled && settings.launch_hook.is_some() && !launch_hook::is_answered(root, me),
            entry,
        }
    }

    /// The group wants this machine in its pool. When it leaves that it answers its launch hook anew.
    fn enters(&mut self) {
        let root = Path::new("/");
        if let Err(error) = launch_hook::forget(root) {
            tracing::debug!("the launch hook will not be answered once more: {error:#}");
        }
        if self.was_pooled {
            return;
        }
        self.was_pooled = true;
        let path = Path::new(PATH);
        let kept = files::private_dir(path.parent().unwrap_or(path)).and_then(|()| files::write(path, b"", 0o600));
        if let Err(error) = kept {
            tracing::debug!(
                "an agent that is started anew would not know that this machine was in its warm pool: {error:#}"
            );
        }
    }

    fn forget(&mut self) {
        self.was_pooled = false;
        if let Err(error) = files::remove(Path::new(PATH)) {
            tracing::debug!("{error:#}");
        }
    }

    /// What was answered for the pool is no answer for the time when this machine is terminated, so the hook does not count as answered.
    async fn enter(&mut self, facts: &Facts, hook: &TerminateHook) {
        let Some(group) = &facts.settings.group else { return };
        self.next = Instant::now() + INTERVAL;
        match hook.let_into_pool(group).await {
            Ok(()) => {
                tracing::info!("completed the terminate hook: this machine may go back into its group's warm pool");
                self.entry.is_settled = true;
            }
            Err(error) if error.kind == CallFailure::Rejected => {
                tracing::debug!("{error}");
                self.entry.refused_since.get_or_insert_with(Instant::now);
            }
            Err(error) => tracing::warn!("{error}"),
        }
    }

    async fn serve(&mut self) {
        self.next = Instant::now() + INTERVAL;
        tracing::info!(
            "this machine has left its group's warm pool without a boot: starting {BOOT_UNIT}, which completes the launch hook"
        );
        match unit::restart(BOOT_UNIT).await {
            Ok(()) => self.forget(),
            Err(error) => tracing::warn!("{error:#}"),
        }
    }
}
