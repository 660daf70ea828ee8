//! One time budget for all of leaving, and a share of it for every part, so that a part that hangs leaves time for the others.
//!
//! All times are counted from the moment at which `kubeboot reset` started, on its own monotonic clock.

use std::fmt;
use std::time::Duration;

/// A part of leaving. The parts run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Asking systemd and AWS the two questions.
    Questions,
    /// Taking the machine's lock, which ends a running `up`.
    Lock,
    /// Asking etcd who its members are.
    Look,
    /// Queueing for the membership lease.
    Lease,
    /// Registering this machine as leaving.
    RegisterLeaving,
    /// Removing dead members that block the removal, and then this machine's own member.
    Members,
    /// Deleting this machine's Node.
    Node,
    /// Registering it as left, and releasing the lease.
    RegisterLeft,
}

impl Part {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Questions,
        Self::Lock,
        Self::Look,
        Self::Lease,
        Self::RegisterLeaving,
        Self::Members,
        Self::Node,
        Self::RegisterLeft,
    ];

    /// Its share of the budget, in percent.
    const fn percent(self) -> u32 {
        match self {
            Self::Questions => 14,
            Self::Lock => 12,
            Self::Look => 12,
            Self::Lease => 10,
            Self::RegisterLeaving => 8,
            Self::Members => 28,
            Self::Node => 8,
            Self::RegisterLeft => 8,
        }
    }

    /// Whether it only waits for others. Such a part does not get the time that earlier parts have saved.
    const fn only_waits(self) -> bool {
        match self {
            Self::Questions | Self::Lease => true,
            Self::Lock | Self::Look | Self::RegisterLeaving | Self::Members | Self::Node | Self::RegisterLeft => false,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Questions => "asking whether this machine goes down for good",
            Self::Lock => "taking this machine's lock",
            Self::Look => "asking etcd for its members",
            Self::Lease => "queueing for the membership lease",
            Self::RegisterLeaving => "registering as leaving",
            Self::Members => "removing this machine's etcd member",
            Self::Node => "deleting this machine's Node",
            Self::RegisterLeft => "registering as left",
        })
    }
}

/// The time that leaving may take in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget(pub Duration);

impl Budget {
    /// How long this part may take if it begins `elapsed` after the start: all that is left, less the shares of the parts
    /// after it. A part that only waits gets at most its own share. Zero when that time has passed.
    #[must_use]
    pub fn left(self, part: Part, elapsed: Duration) -> Duration {
        let after = Part::ALL.iter().skip_while(|other| **other != part).skip(1);
        let reserved: Duration = after.map(|other| self.share(*other)).sum();
        let left = self.0.saturating_sub(reserved).saturating_sub(elapsed);
        if part.only_waits() { left.min(self.share(part)) } else { left }
    }

    fn share(self, part: Part) -> Duration {
        self.0 * part.percent() / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Budget = Budget(Duration::from_secs(60));

    #[test]
    fn the_shares_add_up_to_the_whole_budget() {
        assert_eq!(Part::ALL.iter().map(|part| part.percent()).sum::<u32>(), 100);
        for part in Part::ALL {
            assert!(!part.to_string().is_empty() && part.percent() > 0);
        }
    }

    #[test]
    fn a_part_that_uses_all_its_time_leaves_every_other_its_full_share() {
        for seconds in [5, 20, 60, 75] {
            let budget = Budget(Duration::from_secs(seconds));
            let mut elapsed = Duration::ZERO;
            for part in Part::ALL {
                let left = budget.left(part, elapsed);
                assert_eq!(left, budget.share(part), "{part}");
                elapsed += left;
            }
            assert_eq!(elapsed, budget.0);
        }
    }

    #[test]
    fn saved_time_goes_to_the_parts_that_act() {
        let at_once = Duration::ZERO;
        assert_eq!(MINUTE.left(Part::Questions, at_once), Duration::from_millis(8400));
        assert_eq!(MINUTE.left(Part::Lease, at_once), Duration::from_secs(6), "the lease gets its own share at most");
        assert_eq!(MINUTE.left(Part::Members, at_once), Duration::from_millis(50_400));
        assert_eq!(MINUTE.left(Part::RegisterLeft, at_once), Duration::from_secs(60));
    }

    #[test]
    fn a_used_up_budget_leaves_zero() {
        for elapsed in [60, 61, 1_000_000].map(Duration::from_secs) {
            for part in Part::ALL {
                assert_eq!(MINUTE.left(part, elapsed), Duration::ZERO, "{part}");
            }
        }
        assert_eq!(MINUTE.left(Part::RegisterLeft, Duration::from_secs(59)), Duration::from_secs(1));
    }
}
