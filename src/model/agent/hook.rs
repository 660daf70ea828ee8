//! The terminate hook: whether it waits for this machine, how long it has, and when it is due to be kept alive.

use crate::model::duration::in_words;
use crate::model::leave::InGroup;
use std::fmt;
use std::time::Duration;

/// The shortest time between two heartbeats: a hook's own time is at least 30 seconds.
const MOST_OFTEN: Duration = Duration::from_secs(10);
/// The longest time between two heartbeats.
const LEAST_OFTEN: Duration = Duration::from_secs(60);

/// The terminate hook, as far as this machine is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookView {
    /// No setting names one.
    Unnamed,
    /// The group has not come to it yet: it takes the machine out of its load balancers first.
    Ahead,
    /// It waits for this machine; or AWS does not say, and then it may.
    Waits,
    /// It was answered, or has ended.
    Over,
}

impl HookView {
    /// By the machine's state in the group. `answered`: this process has completed it.
    #[must_use]
    pub fn of(named: bool, lifecycle: Option<&InGroup>, answered: bool) -> Self {
        match lifecycle {
            _ if !named => Self::Unnamed,
            _ if answered => Self::Over,
            None => Self::Waits,
            Some(InGroup::As(state)) if state.waits_to_end() => Self::Waits,
            // IMDS was faster than the group's description.
            Some(InGroup::As(state)) if state.is_ahead_of_end() => Self::Ahead,
            Some(InGroup::As(_) | InGroup::No) => Self::Over,
        }
    }
}

/// The times of a hook, as the group has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookTimes {
    /// Each heartbeat starts this time anew.
    pub heartbeat: Duration,
    /// It lasts no longer than this, however often it is kept alive.
    pub whole: Duration,
    /// Whether the hook's end without an answer counts as ABANDON.
    pub abandons: bool,
}

/// How long to wait after one heartbeat before the next: a third of the hook's time, so that two may get lost.
#[must_use]
pub fn heartbeat_interval(times: Option<HookTimes>) -> Duration {
    times.map_or(MOST_OFTEN, |times| (times.heartbeat / 3).clamp(MOST_OFTEN, LEAST_OFTEN))
}

impl fmt::Display for HookTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.abandons { "ABANDON" } else { "CONTINUE" };
        write!(f, "{} after each heartbeat and {} in all, then {end}", in_words(self.heartbeat), in_words(self.whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::group::Lifecycle;

    #[test]
    fn the_state_in_the_group_tells_whether_the_hook_waits() {
        let rows = [
            (None, HookView::Waits),
            (Some("Terminating:Wait"), HookView::Waits),
            (Some("Terminating"), HookView::Ahead),
            (Some("InService"), HookView::Ahead),
            (Some("Pending:Wait"), HookView::Ahead),
            (Some("Warmed:Terminating:Wait"), HookView::Waits),
            (Some("Warmed:Terminating"), HookView::Ahead),
            (Some("Warmed:Running"), HookView::Ahead),
            (Some("Warmed:Terminating:Proceed"), HookView::Over),
            (Some("Warmed:Pending:Wait"), HookView::Over),
            (Some("Terminating:Proceed"), HookView::Over),
            (Some("Terminating:Retained"), HookView::Over),
            (Some("Terminated"), HookView::Over),
            (Some("Standby"), HookView::Over),
            (Some("none"), HookView::Over),
        ];
        for (word, expected) in rows {
            let state = word.map(|word| match word {
                "none" => InGroup::No,
                word => InGroup::As(Lifecycle::parse(word)),
            });
            assert_eq!(HookView::of(true, state.as_ref(), false), expected, "{word:?}");
            assert_eq!(HookView::of(true, state.as_ref(), true), HookView::Over, "answered: {word:?}");
            assert_eq!(HookView::of(false, state.as_ref(), false), HookView::Unnamed, "{word:?}");
        }
    }

    #[test]
    fn a_hook_is_kept_alive_three_times_in_its_time_but_never_often() {
        let of = |seconds| {
            let (heartbeat, whole) = (Duration::from_secs(seconds), Duration::from_hours(1));
            heartbeat_interval(Some(HookTimes { heartbeat, whole, abandons: true })).as_secs()
        };
        assert_eq!([of(30), of(90), of(300), of(7200)], [10, 30, 60, 60]);
        assert_eq!(heartbeat_interval(None), MOST_OFTEN);
    }

    #[test]
    fn the_times_are_told_as_the_group_has_them() {
        let times =
            |abandons| HookTimes { heartbeat: Duration::from_mins(5), whole: Duration::from_secs(30_000), abandons };
        assert_eq!(times(true).to_string(), "5 min after each heartbeat and 8 h 20 min in all, then ABANDON");
        assert!(times(false).to_string().ends_with("then CONTINUE"));
    }
}
