//! A budget that is being used: how long each part may still take.

use crate::model::duration::in_words;
use crate::model::leave::{Budget, Part};
use anyhow::{Result, anyhow};
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A budget that has begun, on the monotonic clock: setting the machine's time changes nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    budget: Budget,
}

impl Clock {
    pub(crate) fn start(budget: Budget) -> Self {
        Self { started: Instant::now(), budget }
    }

    pub(crate) fn budget(&self) -> Budget {
        self.budget
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long this part may go on.
    pub(crate) fn left(&self, part: Part) -> Duration {
        self.budget.left(part, self.elapsed())
    }

    /// Does the work of a part within its time.
    ///
    /// # Errors
    /// The work's own, or that its time has passed.
    pub(crate) async fn within<T>(&self, part: Part, work: impl Future<Output = Result<T>>) -> Result<T> {
        let left = self.left(part);
        match timeout(left, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(error.context(format!("{part} failed"))),
            Err(_) => Err(anyhow!("{part} did not end within its {} of the budget", in_words(left))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn what_hangs_ends_with_its_share() {
        let clock = Clock::start(Budget(Duration::from_millis(50)));
        let hung = clock.within(Part::Lease, pending::<Result<()>>()).await.expect_err("it never ends");
        assert!(hung.to_string().contains("queueing for the membership lease did not end within"), "{hung}");
        let failed = clock.within(Part::Node, ready(Err::<(), _>(anyhow!("refused")))).await.expect_err("it fails");
        assert_eq!(format!("{failed:#}"), "deleting this machine's Node failed: refused");
    }

    #[tokio::test]
    async fn what_is_ready_is_done_even_when_the_budget_is_gone() -> Result<()> {
        let clock = Clock::start(Budget(Duration::ZERO));
        assert_eq!(clock.within(Part::Members, ready(Ok(7))).await?, 7);
        assert!(clock.within(Part::Members, pending::<Result<()>>()).await.is_err());
        Ok(())
    }
}
