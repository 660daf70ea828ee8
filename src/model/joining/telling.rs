//! How much is told of requests for certificates that are not approved: whoever has a token can ask for anything, as often as they like.

use std::time::Duration;

/// The most that are told in a minute, each in the log, and as an Event where it is refused.
pub const MOST: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);

/// What may still be told in this minute. All times are on one clock, which is the caller's.
#[derive(Debug, Default)]
pub struct Budget {
    since: Duration,
    told: u32,
    untold: u64,
}

/// Whether something may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling {
    /// It may.
    pub may: bool,
    /// How many before it were not, and are to be told as this number.
    pub untold: u64,
}

impl Budget {
    /// Takes in that something is to be told.
    pub fn spend(&mut self, now: Duration) -> Telling {
        let mut untold = 0;
        if now.saturating_sub(self.since) >= MINUTE {
            untold = std::mem::take(&mut self.untold);
            (self.since, self.told) = (now, 0);
        }
        let may = self.told < MOST;
        if may {
            self.told += 1;
        } else {
            self.untold += 1;
        }
        Telling { may, untold }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_told_in_a_minute_and_of_the_others_the_number() {
        let mut budget = Budget::default();
        let spend = |budget: &mut Budget, times: u32, second: u64| -> (usize, u64) {
            let all: Vec<Telling> = (0..times).map(|_| budget.spend(Duration::from_secs(second))).collect();
            (all.iter().filter(|telling| telling.may).count(), all.iter().map(|telling| telling.untold).sum())
        };
        let most = usize::try_from(MOST).unwrap();
        assert_eq!(spend(&mut budget, MOST + 5, 1), (most, 0));
        assert_eq!(spend(&mut budget, 3, 59), (0, 0));
        assert_eq!(spend(&mut budget, 1, 60), (1, 8));
        assert_eq!(spend(&mut budget, 1, 61), (1, 0));
        assert_eq!(spend(&mut budget, MOST, 119), (most - 2, 0));
        assert_eq!(spend(&mut budget, 1, 500), (1, 2));
    }
}
