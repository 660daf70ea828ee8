//! Reasons for waiting: in the log once and then at most once a minute, in `systemctl status` always.

use crate::host::systemd::notify;
use std::time::Duration;
use tokio::time::Instant;

/// How often the log repeats a reason that stays.
const REMINDER_INTERVAL: Duration = Duration::from_secs(60);

/// The reason that was reported last.
#[derive(Debug, Default)]
pub struct WaitLog {
    reason: String,
    at: Option<Instant>,
}

impl WaitLog {
    /// Reports a reason if that is due. Returns whether it is a new one.
    pub fn report(&mut self, reason: &str) -> bool {
        let is_new = self.reason != reason;
        if is_new {
            reason.clone_into(&mut self.reason);
            notify::status(&format!("waiting for {reason}"));
        }
        if is_new || self.at.is_none_or(|at| at.elapsed() >= REMINDER_INTERVAL) {
            tracing::info!("waiting for {reason}");
            self.at = Some(Instant::now());
        }
        is_new
    }

    /// The wait is over.
    pub fn clear(&mut self) {
        self.reason.clear();
        self.at = None;
    }
}
