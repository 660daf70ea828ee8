//! The pauses between attempts that fail: each costs the lease, kubeadm's join and reset, and calls to AWS.

use std::time::Duration;

/// After the first failure.
const SHORTEST: Duration = Duration::from_secs(2);
/// However many there were.
const LONGEST: Duration = Duration::from_secs(60);

/// How long to wait after so many failed attempts in a row: twice as long each time, to a minute.
#[must_use]
pub fn back_off(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    SHORTEST.saturating_mul(1 << doublings).min(LONGEST)
}

/// How long at most a machine waits whose join another machine's member blocks, before it takes the lease again to look: that one may
/// answer, or be certainly gone, at any moment.
const LONGEST_BLOCKED: Duration = Duration::from_secs(15);

/// So many times it is looked at again soon: most of what is in the way goes within ten seconds.
const SOON: u32 = 4;

/// What is in the way of every attempt, and in how many of them in a row it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repeated {
    why: String,
    times: u32,
}

impl Repeated {
    /// How long to wait now that an attempt was blocked for this reason: longer each time, and not for long at first for another one.
    pub fn pause(&mut self, why: &str) -> Duration {
        self.times = if self.why == why { self.times.saturating_add(1) } else { 1 };
        why.clone_into(&mut self.why);
        back_off(self.times.saturating_sub(SOON)).min(LONGEST_BLOCKED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blocks_again_and_again_is_looked_at_less_and_less() {
        let mut blocked = Repeated::default();
        // What is in the way, and how long that is waited for, in seconds.
        let soon = [("a", 2); 5];
        let rows = [("a", 4), ("a", 8), ("a", 15), ("a", 15), ("b", 2), ("b", 2), ("a", 2)];
        for (why, seconds) in soon.into_iter().chain(rows) {
            assert_eq!(blocked.pause(why).as_secs(), seconds, "{why}");
        }
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        let seconds: Vec<u64> = (0..8).chain([100, u32::MAX]).map(|failures| back_off(failures).as_secs()).collect();
        assert_eq!(seconds, [2, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    }
}
