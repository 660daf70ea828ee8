//! An answer that several checks need: asked for once, and reported by the one check that bears its name.

use super::finding::{CheckVerdict, Finding};
use crate::model::duration::in_words;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

/// An answer, or the finding that there is none.
pub(super) struct SharedAnswer<T> {
    check: &'static str,
    answer: Result<T, Finding>,
}

impl<T> SharedAnswer<T> {
    /// An answer that is there already.
    pub(super) fn known(check: &'static str, answer: Result<T, Finding>) -> Self {
        Self { check, answer }
    }

    /// Asks, and waits no longer than this.
    pub(super) async fn ask(
        check: &'static str,
        within: Duration,
        question: impl Future<Output = Result<T, Finding>>,
    ) -> Self {
        Self { check, answer: timeout(within, question).await.unwrap_or_else(|_| Err(late(within))) }
    }

    /// The answer, for the check of this name.
    pub(super) fn own(&self) -> Result<&T, Finding> {
        self.answer.as_ref().map_err(Clone::clone)
    }

    /// The answer, for another check: without it, that one is skipped, and names the check that failed first.
    pub(super) fn needed(&self) -> Result<&T, Finding> {
        self.answer.as_ref().map_err(|none| match none.verdict {
            CheckVerdict::Skipped => none.clone(),
            CheckVerdict::Ok | CheckVerdict::Warning | CheckVerdict::Failed(_) => {
                Finding::skipped(format!("needs '{}'", self.check))
            }
        })
    }
}

/// The finding where an answer took too long.
pub(super) fn late(within: Duration) -> Finding {
    Finding::unanswered(
        format!("no answer within {}", in_words(within)),
        "see what it waits for, and try again; where it is only slow, with 'kubeboot check --timeout 1m'",
    )
}
