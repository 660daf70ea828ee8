//! For how long things have been as they are, on the observer's own monotonic clock.

use std::collections::BTreeMap;
use std::time::Duration;

/// Since when each of some things has had the value that it has.
#[derive(Debug, Clone)]
pub struct Unchanged<K, V> {
    /// How far two looks may be apart, where one between them could have shown another value.
    most_apart: Duration,
    last: Duration,
    since: BTreeMap<K, (V, Duration)>,
}

impl<K: Ord + Clone, V: PartialEq> Unchanged<K, V> {
    /// Nothing was seen yet. What was not looked at for longer than `most_apart` counts anew.
    #[must_use]
    pub fn new(most_apart: Duration) -> Self {
        Self { most_apart, last: Duration::ZERO, since: BTreeMap::new() }
    }

    /// Takes in all that a look at `now` has shown, and tells for how long each has been so. What it has not shown is forgotten.
    pub fn observe(&mut self, seen: impl IntoIterator<Item = (K, V)>, now: Duration) -> BTreeMap<K, Duration> {
        let mut before = std::mem::take(&mut self.since);
        if now.saturating_sub(self.last) > self.most_apart {
            before.clear();
        }
        self.last = now;
        for (key, value) in seen {
            let since = before.get(&key).filter(|(known, _)| *known == value).map_or(now, |(_, since)| *since);
            self.since.insert(key, (value, since));
        }
        self.since.iter().map(|(key, (_, since))| (key.clone(), now.saturating_sub(*since))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_forgotten_or_was_not_looked_at_counts_anew() {
        let seconds = Duration::from_secs;
        let mut unchanged = Unchanged::new(seconds(60));
        let mut look = |at, seen: &[(&'static str, u8)]| {
            let found = unchanged.observe(seen.iter().copied(), seconds(at));
            found.into_iter().map(|(key, age)| (key, age.as_secs())).collect::<Vec<_>>()
        };
        assert_eq!(look(10, &[("a", 1), ("b", 1)]), [("a", 0), ("b", 0)]);
        assert_eq!(look(40, &[("a", 1), ("b", 2)]), [("a", 30), ("b", 0)]);
        assert_eq!(look(50, &[("b", 2)]), [("b", 10)]);
        assert_eq!(look(110, &[("a", 1), ("b", 2)]), [("a", 0), ("b", 70)]);
        assert_eq!(look(171, &[("a", 1), ("b", 2)]), [("a", 0), ("b", 0)]);
    }
}
