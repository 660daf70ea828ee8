//! Reasons for waiting: in the log once and then at most once a minute, in `systemctl status` always. That holds for each of several that
//! take turns, and there are only so many of them in a minute, whatever they say.

use crate::host::systemd::notify;
use std::time::Duration;
use tokio::time::Instant;

/// How often the log repeats a reason that stays.
const REMINDER_INTERVAL: Duration = Duration::from_secs(60);

/// How many different ones are told in that time.
const MOST: usize = 20;

/// The reason that was reported last, and those that were told lately.
#[derive(Debug, Default)]
pub struct WaitLog {
    reason: String,
    told: Vec<(String, Instant)>,
}

impl WaitLog {
    /// Reports a reason if that is due. Returns whether it was told.
    pub fn report(&mut self, reason: &str) -> bool {
        if self.reason != reason {
            reason.clone_into(&mut self.reason);
            notify::status(&format!("waiting for {reason}"));
        }
        let is_due = self.is_due(reason, Instant::now());
        if is_due {
            tracing::info!("waiting for {reason}");
        }
        is_due
    }

    /// Whether a reason is told now; then it counts as told.
    fn is_due(&mut self, reason: &str, now: Instant) -> bool {
        self.told.retain(|(_, at)| now.saturating_duration_since(*at) < REMINDER_INTERVAL);
        let is_due = self.told.len() < MOST && !self.told.iter().any(|(told, _)| told == reason);
        if is_due {
            self.told.push((reason.to_owned(), now));
        }
        is_due
    }

    /// The wait is over.
    pub fn clear(&mut self) {
        self.reason.clear();
        self.told.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these reasons, each so many seconds after the first, are told.
    fn told(reasons: &[(u64, &str)]) -> Vec<bool> {
        let (mut log, began) = (WaitLog::default(), Instant::now());
        reasons.iter().map(|(at, reason)| log.is_due(reason, began + Duration::from_secs(*at))).collect()
    }

    #[test]
    fn a_reason_is_in_the_log_once_a_minute_also_where_several_take_turns() {
        assert_eq!(
            told(&[(0, "a quorum"), (1, "a quorum"), (59, "a quorum"), (60, "a quorum")]),
            [true, false, false, true]
        );
        let turns = [(0, "a"), (1, "b"), (2, "a"), (3, "b"), (61, "a"), (62, "b"), (63, "a")];
        assert_eq!(told(&turns), [true, true, false, false, true, true, false]);
    }

    #[test]
    fn reasons_that_are_never_the_same_do_not_flood_the_log() {
        let texts: Vec<String> = (0..600).map(|n| format!("reason {n}")).collect();
        let each_second: Vec<_> = texts.iter().zip(0..).map(|(text, at)| (at, text.as_str())).collect();
        assert_eq!(told(&each_second).into_iter().filter(|told| *told).count(), 10 * MOST);
    }

    #[test]
    fn what_is_waited_for_again_after_something_was_done_is_told_again() {
        let mut log = WaitLog::default();
        assert!(log.report("a turn") && !log.report("a turn"));
        log.clear();
        assert!(log.report("a turn"));
    }
}
