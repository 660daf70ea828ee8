//! Takes the time of one `up`, and tells at its end where it went: a line at info, all of it at debug.

use crate::model::duration::in_words;
use crate::model::up::timeline::Timeline;
use std::cell::RefCell;
use tokio::time::Instant;

/// What this run is at, since it began.
#[derive(Debug)]
pub(super) struct Stopwatch {
    begun: Instant,
    timeline: RefCell<Timeline>,
}

impl Stopwatch {
    /// A run that begins now, with this.
    pub(super) fn start(what: &'static str) -> Self {
        let begun = Self { begun: Instant::now(), timeline: RefCell::default() };
        begun.enter(what);
        begun
    }

    /// From now on the run is at this.
    pub(super) fn enter(&self, what: &'static str) {
        self.timeline.borrow_mut().enter(what, self.begun.elapsed());
    }

    /// The run has ended.
    pub(super) fn tell(&self) {
        let mut timeline = self.timeline.borrow_mut();
        timeline.end(self.begun.elapsed());
        for span in timeline.spans() {
            tracing::debug!(after = in_words(span.began), took = in_words(span.took), "was at: {}", span.what);
        }
        tracing::info!("{}", timeline.summary());
    }
}
