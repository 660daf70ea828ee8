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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute() {
        let seconds: Vec<u64> = (0..8).chain([100, u32::MAX]).map(|failures| back_off(failures).as_secs()).collect();
        assert_eq!(seconds, [2, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    }
}
