//! The context of one `up` of a worker: everything it holds while it loops, and what one look finds.

use super::super::stopwatch::Stopwatch;
use super::hook::WorkerHook;
use crate::aws::Session;
use crate::host::lock::Lock;
use crate::host::systemd::notify;
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::worker_state::identity;
use crate::model::up::timeline::LOOK;
use crate::model::worker::decide::decide;
use crate::model::worker::snapshot::{WorkerLocal, WorkerPolicy, WorkerSnapshot};
use crate::model::worker::step::{WorkerStep, WorkerWipe};
use crate::node::worker_look::{self, WorkerLooker};
use crate::node::{Facts, fitness};
use crate::up::failed_attempt::FailedAttempt;
use crate::up::source_dest_check::SourceDestCheck;
use crate::up::wait_log::WaitLog;
use anyhow::Result;
use std::path::Path;
use tokio::time::Instant;

/// The file by which kubeadm finds the cluster and shows the token.
pub(super) const DISCOVERY: &str = "worker-discovery.conf";
/// The document of `kubeadm join`.
pub(super) const DOCUMENT: &str = "kubeadm-join.yaml";

/// Everything that one `up` of a worker holds.
pub(super) struct WorkerContext {
    pub(super) facts: Facts,
    policy: WorkerPolicy,
    pub(super) kubeadm: Kubeadm,
    pub(super) looker: WorkerLooker,
    pub(super) hook: WorkerHook,
    pub(super) check: SourceDestCheck,
    /// How many attempts to join have failed in a row, and when the next one is due.
    pub(super) failures: u32,
    /// How many wipes have failed in this run.
    pub(super) failed_wipes: u32,
    pub(super) next_attempt: Option<Instant>,
    pub(super) failed: Option<FailedAttempt>,
    /// Whether the last look has found that this machine itself lacks something.
    pub(super) is_unfit: bool,
    pub(super) wait_log: WaitLog,
    /// What this run is at, and was at before.
    pub(super) stopwatch: Stopwatch,
    announced: Option<WorkerStep>,
}

impl WorkerContext {
    /// Nothing was looked at yet. Without the lock it only says what it would do.
    pub(super) fn new(facts: Facts, session: &Session, lock: Option<&Lock>) -> Self {
        Self {
            policy: worker_look::policy(&facts.settings),
            kubeadm: lock.map_or_else(Kubeadm::read_only, Kubeadm::new),
            looker: WorkerLooker::new(&session.store),
            hook: WorkerHook::new(session, &facts),
            check: SourceDestCheck::new(session, &facts),
            failures: 0,
            failed_wipes: 0,
            next_attempt: None,
            failed: None,
            is_unfit: false,
            wait_log: WaitLog::default(),
            stopwatch: Stopwatch::start("the facts of this machine"),
            announced: None,
            facts,
        }
    }

    /// Observes and decides.
    ///
    /// # Errors
    /// A marker that cannot be understood, a kubelet that does not say its version, or what is wrong with the settings of AWS.
    pub(super) async fn look(&mut self) -> Result<(WorkerSnapshot, WorkerStep)> {
        self.stopwatch.enter(LOOK);
        let mut seen = self.observe().await?;
        let mut step = decide(&seen, &self.policy, identity);
        // This machine itself is looked at only where it is about to join.
        let rejoins = step == WorkerStep::Wipe(WorkerWipe::Rejoin);
        if rejoins
            || (matches!(step, WorkerStep::Join | WorkerStep::SwitchOffCheck) && seen.local == WorkerLocal::Fresh)
        {
            seen.defects = fitness::worker_defects(&self.facts).await;
            if !rejoins {
                seen.defects.extend(fitness::foreign_authority(Path::new("/")));
            }
            step = decide(&seen, &self.policy, identity);
        }
        if worker_look::asks_for_namesake(&self.facts, &mut seen, &step).await {
            step = decide(&seen, &self.policy, identity);
        }
        Ok((seen, step))
    }

    async fn observe(&mut self) -> Result<WorkerSnapshot> {
        let left = self.next_attempt.map(|at| at.saturating_duration_since(Instant::now()));
        let seen = self.looker.look(&self.facts).await?;
        Ok(WorkerSnapshot { pause: left.filter(|left| !left.is_zero()), source_dest_check: self.check.state(), ..seen })
    }

    /// Logs every new step once. Waits are reported by themselves.
    pub(super) fn announce(&mut self, step: &WorkerStep) {
        let is_wait = matches!(step, WorkerStep::Wait(_) | WorkerStep::StandBy { .. } | WorkerStep::Done);
        if !is_wait && self.announced.as_ref() != Some(step) {
            tracing::info!(step = step.name(), "{step}");
            notify::status(&step.to_string());
            self.wait_log.clear();
        }
        self.announced = Some(step.clone());
    }
}
