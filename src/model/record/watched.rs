//! How long an object has been the same, as one process sees it on its own monotonic clock.

use std::time::Duration;

/// One object, read again and again. Times are counted from any fixed moment of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched(Option<(String, Duration)>);

impl Watched {
    /// Whether the object was ever there.
    #[must_use]
    pub fn was_there(&self) -> bool {
        self.0.is_some()
    }

    /// Takes in a read that was sent at `asked` and answered at `answered` with this `ETag`, and says for how long the object
    /// has certainly been the same. What is new counts from the answer, what is not up to the question, so that no time is
    /// counted that the object may have spent as another.
    pub fn unchanged_for(&mut self, etag: &str, asked: Duration, answered: Duration) -> Duration {
        match &self.0 {
            Some((last, since)) if last == etag => asked.saturating_sub(*since),
            Some(_) | None => {
                self.0 = Some((etag.to_owned(), answered));
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certain_time_counts() {
        let secs = Duration::from_secs;
        let mut watched = Watched::default();
        assert!(!watched.was_there());
        // (ETag, asked at, answered at, unchanged for)
        let rows = [
            ("a", 0, 4, 0),
            ("a", 5, 9, 1),
            ("a", 60, 99, 56),
            ("b", 100, 101, 0),
            ("b", 101, 105, 0),
            ("b", 103, 105, 2),
            ("a", 110, 111, 0),
        ];
        for (etag, asked, answered, expected) in rows {
            assert_eq!(watched.unchanged_for(etag, secs(asked), secs(answered)), secs(expected), "{etag} at {asked}s");
        }
        assert!(watched.was_there());
    }
}
