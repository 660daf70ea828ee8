//! Where the time of one `up` went, by what it was at.

use crate::model::duration::in_words;
use crate::model::up::step::{Step, Wait};
use std::collections::BTreeMap;
use std::time::Duration;

/// What `up` is at while it looks at everything. A look that leads to the same again counts as part of that.
pub const LOOK: &str = "look";
/// So many spans are told one by one. What comes after them is counted together.
const MOST: usize = 200;
/// What those are called.
const REST: &str = "further steps";
/// What took less than this in all is not named in the summary.
const SHORT: Duration = Duration::from_millis(50);

/// One thing that `up` was at, from when on, and how long. Times are since it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it was.
    pub what: &'static str,
    /// When it began.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
}

/// What `up` was at, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Timeline(Vec<Span>);

impl Timeline {
    /// From `now` on `up` is at this.
    pub fn enter(&mut self, what: &'static str, now: Duration) {
        self.end(now);
        if let [.., before, look] = self.0.as_slice()
            && look.what == LOOK
            && before.what == what
        {
            self.0.pop();
        }
        let what = if self.0.len() < MOST { what } else { REST };
        if self.0.last().is_none_or(|last| last.what != what) {
            self.0.push(Span { what, began: now, took: Duration::ZERO });
        }
    }

    /// What `up` is at has gone on until now.
    pub fn end(&mut self, now: Duration) {
        if let Some(last) = self.0.last_mut() {
            last.took = now.saturating_sub(last.began);
        }
    }

    /// All of it, in the order of time.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// In one line, what took longest first.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut sums: BTreeMap<&str, Duration> = BTreeMap::new();
        for span in &self.0 {
            *sums.entry(span.what).or_default() += span.took;
        }
        let all: Duration = sums.values().sum();
        let mut named: Vec<_> = sums.into_iter().filter(|(_, took)| *took >= SHORT).collect();
        named.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        let named: Vec<_> = named.iter().map(|(what, took)| format!("{what} {}", in_words(*took))).collect();
        let of = if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
        format!("this run took {}{of}", in_words(all))
    }
}

impl Step {
    /// What a machine is at while it takes the step, for people who ask where the time went. A pause before the next look counts as part
    /// of the step that wants it.
    #[must_use]
    pub fn at(&self) -> &'static str {
        match self {
            Self::Wait(what) => what.at(),
            Self::StandBy(_)
            | Self::Wipe(_)
            | Self::Claim(_)
            | Self::TakeOver(_)
            | Self::Resume
            | Self::Init
            | Self::Restore
            | Self::Yield
            | Self::AcceptGroup
            | Self::Rejoin
            | Self::Join
            | Self::SetAside { .. }
            | Self::Keep
            | Self::Stop(_) => self.name(),
        }
    }
}

impl Wait {
    /// What is waited for, in a word or two.
    fn at(&self) -> &'static str {
        match self {
            Self::Settle { .. } => "waiting for the group",
            Self::Turn { .. } => "waiting for its turn",
            Self::Holder { .. } => "waiting for the holder of the claim",
            Self::Cluster { .. } | Self::Voters { .. } | Self::Quorum { .. } => "waiting for etcd",
            Self::OwnMember => "waiting for its own member",
            Self::Record | Self::Registrations { .. } => "waiting for the bucket",
            Self::ApiServers => "asking for API servers",
            Self::Snapshot { .. } | Self::SnapshotUnfit(_) => "waiting for the snapshot",
            Self::Unfit { .. } => "waiting to be mended",
            Self::DataGone { .. } | Self::DataOfAnother { .. } | Self::ForeignData { .. } => {
                "waiting because of its data"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(entries: &[(&'static str, u64)], end: u64) -> Timeline {
        let mut timeline = Timeline::default();
        for (what, at) in entries {
            timeline.enter(what, Duration::from_millis(*at));
        }
        timeline.end(Duration::from_millis(end));
        timeline
    }

    fn spans(timeline: &Timeline) -> Vec<(&'static str, u128, u128)> {
        timeline.spans().iter().map(|span| (span.what, span.began.as_millis(), span.took.as_millis())).collect()
    }

    #[test]
    fn the_longest_comes_first_and_what_is_short_is_left_out() {
        let told = timeline(&[(LOOK, 0), ("lease", 400), ("kubeadm join", 7_400), ("keep", 20_400)], 20_430);
        assert_eq!(told.summary(), "this run took 20 s: kubeadm join 13 s, lease 7 s, look 400 ms");
        assert_eq!(timeline(&[], 0).summary(), "this run took 0 ms");
    }

    #[test]
    fn looks_while_one_thing_is_waited_for_are_part_of_that_wait() {
        let told = timeline(
            &[(LOOK, 0), ("wait", 100), (LOOK, 1_100), ("wait", 1_200), (LOOK, 2_200), ("join", 2_300)],
            3_000,
        );
        assert_eq!(spans(&told), [(LOOK, 0, 100), ("wait", 100, 2_100), (LOOK, 2_200, 100), ("join", 2_300, 700)]);
        assert_eq!(told.summary(), "this run took 3 s: wait 2.1 s, join 700 ms, look 200 ms");
    }

    #[test]
    fn a_run_of_ever_new_steps_takes_no_more_memory_and_loses_no_time() {
        let mut told = Timeline::default();
        for second in 0..10_000 {
            told.enter(if second % 2 == 0 { "claim" } else { "wipe" }, Duration::from_secs(second));
        }
        told.end(Duration::from_secs(10_000));
        assert_eq!(told.spans().len(), MOST + 1);
        let last = told.spans().last().expect("there are spans");
        assert_eq!((last.what, last.began + last.took), (REST, Duration::from_secs(10_000)));
    }
}
