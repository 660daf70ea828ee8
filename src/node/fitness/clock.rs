//! This machine's clock against S3's.

use crate::model::duration::in_words;
use crate::model::machine::defect::Defect;
use std::time::{Duration, SystemTime};

/// A clock that is further off is worth a warning.
const ODD: Duration = Duration::from_secs(60);
/// AWS refuses signatures that are older, or younger, than this; and the certificates of one machine, which kubeadm dates back by as
/// much, are not yet valid on another.
const WRONG: Duration = Duration::from_mins(5);
/// What mends it.
const REMEDY: &str = "let chrony or systemd-timesyncd set it, on EC2 from 169.254.169.123";

/// How far this machine's clock is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    by: Duration,
    ahead: bool,
}

/// Compares two clocks.
#[must_use]
pub fn clock(ours: SystemTime, theirs: SystemTime) -> Offset {
    match ours.duration_since(theirs) {
        Ok(by) => Offset { by, ahead: true },
        Err(behind) => Offset { by: behind.duration(), ahead: false },
    }
}

impl Offset {
    /// How far, for people.
    #[must_use]
    pub fn text(&self) -> String {
        // Whole minutes where it is far off: a text that changes with every look would be a new reason to wait each time.
        let unit = if self.by > WRONG { 60 } else { 1 };
        let by = in_words(Duration::from_secs(self.by.as_secs() / unit * unit));
        format!("this machine's clock is {by} {} S3's", if self.ahead { "ahead of" } else { "behind" })
    }

    /// Whether it is worth a warning; then with its remedy.
    #[must_use]
    pub fn warning(&self) -> Option<Defect> {
        (self.by > ODD).then(|| Defect::new(self.text(), REMEDY))
    }

    /// Whether nothing works with it.
    #[must_use]
    pub fn defect(&self) -> Option<Defect> {
        let text =
            format!("{}: AWS refuses what it signs, and certificates are not yet or no longer valid", self.text());
        (self.by > WRONG).then(|| Defect::new(text, REMEDY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_a_little_off() {
        let ours = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let table = [
            (0, false, false),
            (60, false, false),
            (61, true, false),
            (300, true, false),
            (301, true, true),
            (90_000, true, true),
        ];
        for (seconds, warns, fails) in table {
            for theirs in [ours + Duration::from_secs(seconds), ours - Duration::from_secs(seconds)] {
                let offset = clock(ours, theirs);
                assert_eq!((offset.warning().is_some(), offset.defect().is_some()), (warns, fails), "{seconds}");
            }
        }
        let said = clock(ours, ours + Duration::from_secs(719)).text();
        assert_eq!(said, "this machine's clock is 11 min behind S3's");
        assert_eq!(clock(ours, ours - Duration::from_secs(9)).text(), "this machine's clock is 9 s ahead of S3's");
    }
}
