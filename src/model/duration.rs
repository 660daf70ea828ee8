//! Durations as people read them.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A duration for a message, in its two largest units: `200 ms`, `1.5 s`, `3 min`, `2 h 5 min`, `4 d`. Rounded to what is shown: what
/// was measured as 179.99 s is `3 min`.
#[must_use]
pub fn in_words(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    if duration.as_millis() < 1000 {
        return format!("{} ms", duration.as_millis());
    }
    if tenths < 100 {
        let (whole, tenth) = (tenths / 10, tenths % 10);
        return if tenth == 0 { format!("{whole} s") } else { format!("{whole}.{tenth} s") };
    }
    let seconds = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    let minutes = (seconds + MINUTE / 2) / MINUTE;
    let hours = (seconds + HOUR / 2) / HOUR;
    if seconds < HOUR {
        two(seconds / MINUTE, "min", seconds % MINUTE, "s")
    } else if seconds < DAY {
        two(minutes * MINUTE / HOUR, "h", minutes % MINUTE, "min")
    } else {
        two(hours * HOUR / DAY, "d", hours % 24, "h")
    }
}

/// Two units, without the one that is zero.
fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match (large, small) {
        (0, small) => format!("{small} {small_unit}"),
        (large, 0) => format!("{large} {large_unit}"),
        (large, small) => format!("{large} {large_unit} {small} {small_unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_for_people() {
        let rows = [
            (0, "0 ms"),
            (200, "200 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (1_500, "1.5 s"),
            (2_040, "2 s"),
            (9_960, "10 s"),
            (12_300, "12 s"),
            (59_400, "59 s"),
            (59_999, "1 min"),
            (90_000, "1 min 30 s"),
            (179_999, "3 min"),
            (600_000, "10 min"),
            (1_800_000, "30 min"),
            (3_599_700, "1 h"),
            (7_500_000, "2 h 5 min"),
            (86_399_000, "24 h"),
            (86_400_000, "1 d"),
            (100_000_000, "1 d 4 h"),
        ];
        for (millis, expected) in rows {
            assert_eq!(in_words(Duration::from_millis(millis)), expected, "{millis} ms");
        }
    }
}
