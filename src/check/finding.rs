//! What a check has found: a verdict, what it rests on, and what the operator can do.

use crate::aws::{CallFailed, CallFailure};
use crate::exit::Exit;
use crate::model::machine::defect::Defect;
use crate::model::up::step::Stop;
use std::fmt;

/// What a check may end with. The early end by `?` is a finding like any other.
pub(super) type Found = Result<Vec<Finding>, Finding>;

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) verdict: CheckVerdict,
    /// What was found.
    pub(super) text: String,
    /// What to do about it.
    pub(super) remedy: Option<String>,
}

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckVerdict {
    /// As it should be.
    Ok,
    /// `up` works, but something is not as most operators want it.
    Warning,
    /// `up` would not work; with what `check` ends because of it.
    Failed(Exit),
    /// Not looked at, for the reason given.
    Skipped,
}

impl fmt::Display for CheckVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed(_) => "failed",
            Self::Skipped => "skipped",
        })
    }
}

impl Finding {
    /// As it should be.
    pub(super) fn ok(text: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Ok, text: text.into(), remedy: None }
    }

    /// Not looked at, and why.
    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Skipped, text: why.into(), remedy: None }
    }

    /// Worth a look.
    pub(super) fn warning(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Warning, text: text.into(), remedy: Some(remedy.into()) }
    }

    /// Wrong on this machine, in its settings or in the bucket; trying again does not mend it.
    pub(super) fn failed(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Failed(Exit::Usage), text: text.into(), remedy: Some(remedy.into()) }
    }

    /// An error that names its own remedy.
    pub(super) fn error(error: &anyhow::Error) -> Self {
        let phrases = Exit::ALL.map(|exit| exit.to_string());
        let causes = error.chain().map(ToString::to_string).filter(|cause| !phrases.contains(cause));
        let text = causes.collect::<Vec<_>>().join(": ");
        Self { verdict: CheckVerdict::Failed(Exit::Usage), text, remedy: None }
    }

    /// Where `up` would stop; the reason names the remedy.
    pub(super) fn stop(why: &Stop) -> Self {
        Self { verdict: CheckVerdict::Failed(Exit::Usage), text: why.to_string(), remedy: None }
    }

    /// No answer: trying again may help.
    pub(super) fn unanswered(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Failed(Exit::TryAgain), ..Self::failed(text, remedy) }
    }
}

impl From<Defect> for Finding {
    fn from(Defect { what, remedy }: Defect) -> Self {
        Self::failed(what, remedy)
    }
}

impl From<CallFailed> for Finding {
    fn from(failed: CallFailed) -> Self {
        let exit = match failed.kind {
            CallFailure::Throttled | CallFailure::NoAnswer => Exit::TryAgain,
            CallFailure::Denied
            | CallFailure::Credentials
            | CallFailure::Clock
            | CallFailure::Region
            | CallFailure::NoSuchBucket
            | CallFailure::Rejected => Exit::Aws,
        };
        Self { verdict: CheckVerdict::Failed(exit), text: failed.what(), remedy: failed.remedy() }
    }
}
