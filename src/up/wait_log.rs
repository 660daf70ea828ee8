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
        if is_new || is_due(self.at.map(|at| at.elapsed())) {
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

/// Whether a reason that stays is told again, so long after it was told last.
fn is_due(told_before: Option<Duration>) -> bool {
    told_before.is_none_or(|age| age >= REMINDER_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_stays_is_in_the_log_once_a_minute() {
        let mut log = WaitLog::default();
        assert!(log.report("a quorum"));
        let first = log.at;
        assert!(!log.report("a quorum") && log.at == first, "it was told again at once");
        assert!(log.report("a turn") && log.at >= first && log.reason == "a turn");
        let minute = Duration::from_secs(60);
        assert!(!is_due(Some(minute - Duration::from_millis(1))) && is_due(Some(minute)) && is_due(None));
    }
}
