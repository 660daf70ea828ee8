//! Whether the last snapshot of a cluster is too old. All ages are by the clock of the bucket, so that no machine's clock counts.

use std::time::Duration;

/// From how many intervals on the last snapshot is too old.
pub const INTERVALS: u32 = 3;

/// How old things are that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotAge {
    /// The last good snapshot of the cluster; `None` where there is none.
    pub last: Option<Duration>,
    /// The last change of the cluster record: a cluster that has just begun has none yet.
    pub record: Duration,
}

/// What follows from the ages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The setting says that nothing is saved.
    Off,
    /// All is well; or it is too early to tell.
    Fresh,
    /// The next one is due.
    Due,
    /// The last one is too old.
    Late,
    /// There is none, and there should be one by now.
    Missing,
}

impl SnapshotAge {
    /// The same, so much later.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self { last: self.last.map(|age| age.saturating_add(by)), record: self.record.saturating_add(by) }
    }

    /// What an interval makes of them.
    #[must_use]
    pub fn judged(&self, interval: Duration) -> Freshness {
        if interval.is_zero() {
            return Freshness::Off;
        }
        let too_old = interval.saturating_mul(INTERVALS);
        match self.last {
            Some(age) if age > too_old => Freshness::Late,
            Some(age) if age >= interval => Freshness::Due,
            Some(_) => Freshness::Fresh,
            None if self.record > too_old => Freshness::Missing,
            None => Freshness::Due,
        }
    }
}

impl Freshness {
    /// Whether a snapshot is to be taken now.
    #[must_use]
    pub fn is_due(self) -> bool {
        match self {
            Self::Due | Self::Late | Self::Missing => true,
            Self::Off | Self::Fresh => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_after_an_interval_and_late_after_three() {
        use Freshness::{Due, Fresh, Late, Missing, Off};
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let rows = [
            (15, Some(0), 0, Fresh),
            (15, Some(14), 999, Fresh),
            (15, Some(15), 999, Due),
            (15, Some(45), 999, Due),
            (15, Some(46), 999, Late),
            (15, None, 0, Due),
            (15, None, 45, Due),
            (15, None, 46, Missing),
            (0, None, 999, Off),
            (0, Some(999), 999, Off),
            (60, Some(179), 999, Due),
        ];
        for (interval, last, record, expected) in rows {
            let age = SnapshotAge { last: last.map(minutes), record: minutes(record) };
            let judged = age.judged(minutes(interval));
            assert_eq!(judged, expected, "{age:?} every {interval} minutes");
            assert_eq!(judged.is_due(), !matches!(expected, Off | Fresh));
        }
    }
}
