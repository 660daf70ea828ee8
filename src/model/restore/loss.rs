//! What is lost when a cluster is restored from a snapshot.

use crate::model::duration::in_words;
use crate::model::snapshot::SnapshotKind;
use std::fmt;
use std::time::Duration;

/// What is known of the cluster after the snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastKnown {
    /// The highest revision that anything tells of: another snapshot, the record, a metric.
    pub revision: Option<u64>,
    /// How long after the snapshot a machine of the cluster was last heard of, by the clocks of both machines.
    pub heard_after: Option<Duration>,
}

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: it was taken when nobody could commit anything any more.
    Nothing,
    /// All that was written after it.
    Since {
        /// How many revisions at least, as far as that is known.
        revisions: Option<u64>,
        /// For how long the cluster was seen to live on, as far as that is known.
        time: Option<Duration>,
    },
    /// That, and it was taken without a quorum: what the others had committed may be missing, or was never committed.
    Unconfirmed {
        /// As above.
        revisions: Option<u64>,
        /// As above.
        time: Option<Duration>,
    },
}

impl Loss {
    /// What is lost when this snapshot is restored.
    #[must_use]
    pub fn of(kind: SnapshotKind, revision: u64, known: LastKnown) -> Self {
        let revisions = known.revision.map(|last| last.saturating_sub(revision));
        let time = known.heard_after;
        match kind {
            // One before the last: the cluster was restored from it and went on.
            SnapshotKind::Final if revisions.unwrap_or_default() == 0 && time.unwrap_or_default().is_zero() => {
                Self::Nothing
            }
            SnapshotKind::Final | SnapshotKind::Routine => Self::Since { revisions, time },
            SnapshotKind::Unconfirmed => Self::Unconfirmed { revisions, time },
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (revisions, time) = match self {
            Self::Nothing => {
                return f.write_str("nothing is lost: nobody could write any more when the snapshot was taken");
            }
            Self::Since { revisions, time } | Self::Unconfirmed { revisions, time } => (revisions, time),
        };
        f.write_str("all that was written after the snapshot is lost")?;
        match (time, revisions) {
            (Some(time), Some(revisions)) => write!(f, ": {} and {revisions} revisions at least", in_words(*time))?,
            (Some(time), None) => write!(f, ": {} at least", in_words(*time))?,
            (None, Some(revisions)) => write!(f, ": {revisions} revisions at least")?,
            (None, None) => f.write_str(", and nothing tells how much that is")?,
        }
        f.write_str("; rights that were revoked since, and tokens that were deleted, come back")?;
        if let Self::Unconfirmed { .. } = self {
            f.write_str(
                ". It was taken without a quorum: it may lack what the cluster had acknowledged, and have what it never acknowledged",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_told_in_time_and_revisions_as_far_as_they_are_known() {
        let known = |revision, minutes: Option<u64>| LastKnown {
            revision,
            heard_after: minutes.map(|minutes| Duration::from_secs(60 * minutes)),
        };
        use SnapshotKind::{Final, Routine, Unconfirmed};
        let rows = [
            (Final, known(None, None), "nothing is lost"),
            (Final, known(Some(100), Some(0)), "nothing is lost"),
            (Final, known(Some(1_000_000_100), Some(7)), "is lost: 7 min and 1000000000 revisions at least"),
            (
                Routine,
                known(Some(350), Some(12)),
                "is lost: 12 min and 250 revisions at least; rights that were revoked since",
            ),
            (Routine, known(None, Some(12)), "is lost: 12 min at least; rights"),
            (Routine, known(Some(350), None), "is lost: 250 revisions at least; rights"),
            (Routine, known(Some(5), None), "is lost: 0 revisions at least; rights"),
            (Routine, known(None, None), "is lost, and nothing tells how much that is; rights"),
            (Unconfirmed, known(None, Some(1)), "come back. It was taken without a quorum"),
        ];
        for (kind, known, text) in rows {
            let said = Loss::of(kind, 100, known).to_string();
            assert!(said.contains(text), "{kind:?} {known:?}: {said}");
        }
    }
}
