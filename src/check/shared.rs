//! An answer that several checks need: asked for once, and reported by the one check that bears its name.

use super::CHECK_TIMEOUT;
use super::finding::{CheckVerdict, Finding};
use crate::model::duration::in_words;
use std::future::Future;
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

    /// Asks, and waits no longer than [`CHECK_TIMEOUT`].
    pub(super) async fn ask(check: &'static str, question: impl Future<Output = Result<T, Finding>>) -> Self {
        Self { check, answer: timeout(CHECK_TIMEOUT, question).await.unwrap_or_else(|_| Err(late())) }
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
pub(super) fn late() -> Finding {
    Finding::unanswered(format!("no answer within {}", in_words(CHECK_TIMEOUT)), "see what it waits for, and try again")
}
