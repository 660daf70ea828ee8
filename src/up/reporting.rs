//! Reports what one `up` does: in the log, to systemd, and to the other machines by the registration.

use super::failed_attempt::FailedAttempt;
use super::stopwatch::Stopwatch;
use super::wait_log::WaitLog;
use crate::exit::Exit;
use crate::host::systemd::notify;
use crate::model::machine::ids::ClaimId;
use crate::model::up::give_up::Hindrance;
use crate::model::up::step::Step;
use crate::node::registrar::Registrar;

/// What was reported last, and the means to report.
pub struct Reporting {
    /// This machine's registration.
    pub(super) registrar: Registrar,
    /// The record's claim, as last read, for registrations.
    pub(super) following: Option<ClaimId>,
    /// What init or join last failed with in this run.
    pub(super) failed: Option<FailedAttempt>,
    /// What was waited for last, and what a run that ends with it ends in.
    pub(super) waited: Option<(String, Exit)>,
    /// What was in this machine's way last, as far as that tells whether another one could do better.
    pub(super) hindrance: Hindrance,
    /// What this run is at, and was at before.
    pub(super) stopwatch: Stopwatch,
    wait_log: WaitLog,
    announced: Option<Step>,
}

impl Reporting {
    /// Nothing was reported yet.
    pub(super) fn new(registrar: Registrar) -> Self {
        Self {
            registrar,
            following: None,
            failed: None,
            waited: None,
            hindrance: Hindrance::default(),
            stopwatch: Stopwatch::start("the facts of this machine"),
            wait_log: WaitLog::default(),
            announced: None,
        }
    }

    /// Logs every new step once. Waits are reported by [`Reporting::waits`].
    pub fn announce(&mut self, step: &Step) {
        let is_wait = matches!(step, Step::Wait(_) | Step::StandBy(_) | Step::Join | Step::Keep);
        if !is_wait && self.announced.as_ref() != Some(step) {
            tracing::info!(step = step.name(), "{step}");
            notify::status(&step.to_string());
        }
        if !is_wait {
            self.wait_log.clear();
        }
        self.announced = Some(step.clone());
    }

    /// Reports what is waited for, in the log, to systemd and in the registration.
    pub async fn waits(&mut self, reason: &str) {
        let is_new = self.wait_log.report(reason);
        // An attempt in between has registered something else.
        if is_new || !self.registrar.waits_for(reason) {
            self.registrar.waiting(self.following.as_ref(), reason).await;
        }
    }

    /// Registers the error with which `up` ends.
    pub async fn give_up(&mut self, error: &anyhow::Error) {
        self.registrar.gave_up(&format!("{error:#}")).await;
    }
}
