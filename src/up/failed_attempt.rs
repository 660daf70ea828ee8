//! An init or join that has failed: what it failed with, and whose failure that was.

use super::Waiting;
use super::time_left::cut_short;
use crate::aws::{CallFailed, CallFailure};
use crate::exit::{Exit, causes};
use crate::kubeadm::attempt::Failure;
use crate::kubeadm::wipe::WipeFailed;
use crate::model::duration::in_words;
use crate::model::up::back_off::back_off;
use anyhow::Result;
use std::time::Duration;
use tokio::time::Instant;

/// What the attempts of one run have failed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedAttempt {
    /// The error with its causes, in one line, without secrets.
    pub(super) text: String,
    /// What a run that ends with it ends in.
    pub(super) exit: Exit,
    /// Whether the next machine would fail with it, too.
    pub(super) is_shared: bool,
}

impl FailedAttempt {
    /// What is known of the failure after this error. An attempt that was only cut short by the end of the run does not hide what the one
    /// before it had failed with.
    pub(super) fn after(before: Option<&Self>, error: &anyhow::Error, deadline: Instant) -> Self {
        match before {
            Some(before) if cut_short(error, deadline) => before.clone(),
            _ => {
                let failure = error.downcast_ref::<Failure>();
                let is_shared = failure.is_some_and(|failure| failure.cause().is_shared());
                Self { text: causes(error).join(": "), exit: blamed(error), is_shared }
            }
        }
    }

    /// What follows this failure of a join, `error`, which is so many in this run: another attempt, after a pause that grows.
    ///
    /// # Errors
    /// What AWS has answered, for those who know how long it may refuse, with [`AnotherJoin`].
    pub(super) fn followed_by(&self, error: anyhow::Error, failures: u32) -> Result<Waiting> {
        let next = AnotherJoin { pause: back_off(failures) };
        if error.downcast_ref::<CallFailed>().is_some() {
            return Err(error.context(next));
        }
        Ok(self.again_after(next.pause))
    }

    /// The wait for another attempt to join.
    pub(super) fn again_after(&self, pause: Duration) -> Waiting {
        Waiting { reason: format!("{}: {}", AnotherJoin { pause }, self.text), pause, exit: self.exit }
    }
}

/// What follows a wipe that has failed, and so many have in this run: another one. Whatever keeps kubeadm or the disk from it (a mount that is
/// busy, a runtime that does not answer) may end at any time.
pub(super) fn another_wipe(error: &anyhow::Error, failures: u32) -> Waiting {
    let pause = back_off(failures);
    let reason = format!("another attempt, in about {}: {}", in_words(pause), causes(error).join(": "));
    Waiting { reason, pause, exit: Exit::Kubeadm }
}

/// A failed join is to be followed by another one.
#[derive(Debug, thiserror::Error)]
#[error("another attempt, in about {}, after a failed join", in_words(self.pause))]
pub(super) struct AnotherJoin {
    /// How long to wait before it.
    pub(super) pause: Duration,
}

/// Whose failure it was: kubeadm's only if a command of kubeadm has failed, or what its reset leaves could not be removed.
fn blamed(error: &anyhow::Error) -> Exit {
    if error.downcast_ref::<Failure>().is_some() || error.downcast_ref::<WipeFailed>().is_some() {
        return Exit::Kubeadm;
    }
    match error.downcast_ref::<CallFailed>().map(|failed| failed.kind) {
        None | Some(CallFailure::Throttled | CallFailure::NoAnswer) => Exit::TryAgain,
        Some(
            CallFailure::Denied
            | CallFailure::Credentials
            | CallFailure::Clock
            | CallFailure::Region
            | CallFailure::NoSuchBucket
            | CallFailure::Rejected,
        ) => Exit::Aws,
    }
}

#[cfg(test)]
mod tests {
    use super::super::time_left::TooLate;
    use super::*;
    use crate::host::process::ProcessFailed;
    use crate::up::outages::Outages;
    use anyhow::anyhow;

    fn kubeadm(failed: ProcessFailed) -> anyhow::Error {
        Failure::new("kubeadm join", failed).into()
    }

    fn timed_out() -> anyhow::Error {
        let (program, after) = ("unshare".to_owned(), Duration::from_millis(179_999));
        kubeadm(ProcessFailed::TimedOut { program, after, tail: String::new(), printed: String::new() })
    }

    fn exited() -> anyhow::Error {
        let (program, tail) = ("unshare".to_owned(), "error: etcdserver: unhealthy cluster".to_owned());
        kubeadm(ProcessFailed::Exit { program, code: 1, tail, printed: String::new() })
    }

    fn call(kind: CallFailure) -> CallFailed {
        let detail = String::new();
        CallFailed { verb: "write", object: "s3://bucket/key".into(), permission: "s3:PutObject", kind, detail }
    }

    /// What a run waits for after this failure of a join, which is so many.
    fn waiting(error: anyhow::Error, failures: u32) -> Result<Waiting> {
        let failed = FailedAttempt::after(None, &error, Instant::now() + Duration::from_secs(600));
        failed.followed_by(error, failures).or_else(|error| Outages::default().outage(error))
    }

    #[test]
    fn every_failure_is_followed_by_a_longer_pause_and_ends_in_its_own_exit() -> Result<()> {
        let errors: [(fn() -> anyhow::Error, Exit); 4] = [
            (exited, Exit::Kubeadm),
            (|| anyhow!("etcdserver: unhealthy cluster").context("failed to remove member 3"), Exit::TryAgain),
            (|| anyhow::Error::from(call(CallFailure::Denied)).context("failed to register the join"), Exit::Aws),
            (|| call(CallFailure::NoAnswer).into(), Exit::TryAgain),
        ];
        for (error, exit) in errors {
            for (failures, seconds) in [(1, 2), (2, 4), (5, 32), (99, 60)] {
                let waiting = waiting(error(), failures)?;
                assert_eq!((waiting.pause.as_secs(), waiting.exit), (seconds, exit), "{}", waiting.reason);
                let text = format!("another attempt, in about {}, after a failed join: ", in_words(waiting.pause));
                assert!(waiting.reason.contains(&text), "{}", waiting.reason);
                assert!(waiting.reason.ends_with(&causes(&error()).join(": ")), "{}", waiting.reason);
            }
        }
        // Whose grace is over, or what has none, is judged where every other answer of AWS is.
        assert!(waiting(call(CallFailure::Rejected).into(), 1).is_err_and(|error| Exit::of(&error) == Exit::Aws));
        Ok(())
    }

    #[test]
    fn a_wipe_that_fails_again_and_again_is_tried_less_and_less() {
        let error = exited().context("failed to wipe this machine");
        for (failures, seconds) in [(1, 2), (2, 4), (5, 32), (99, 60)] {
            let next = another_wipe(&error, failures);
            assert_eq!((next.pause.as_secs(), next.exit), (seconds, Exit::Kubeadm), "{}", next.reason);
            assert!(
                next.reason.contains(": failed to wipe this machine: ") && next.reason.contains("unhealthy"),
                "{}",
                next.reason
            );
        }
    }

    #[test]
    fn only_a_command_of_kubeadm_is_a_failure_of_kubeadm() {
        let rows = [
            (exited(), Exit::Kubeadm),
            (exited().context("failed to make the cluster"), Exit::Kubeadm),
            (timed_out(), Exit::Kubeadm),
            (anyhow!("refused").context("no API server of the cluster is ready"), Exit::TryAgain),
            (TooLate.into(), Exit::TryAgain),
            (anyhow::Error::from(call(CallFailure::Denied)).context("failed to upload"), Exit::Aws),
            (call(CallFailure::NoAnswer).into(), Exit::TryAgain),
        ];
        for (error, expected) in rows {
            assert_eq!(blamed(&error), expected, "{error:#}");
        }
    }

    #[tokio::test]
    async fn an_attempt_that_was_cut_short_does_not_hide_the_cause() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(600));
        let first = FailedAttempt::after(None, &exited(), later);
        assert!(first.text.contains("unhealthy cluster") && !first.text.contains("unshare"), "{}", first.text);
        for (error, deadline, hidden) in [
            (timed_out(), now, false),
            (TooLate.into(), later, false),
            // Its own time was over, or something new has happened.
            (timed_out(), later, true),
            (anyhow!("something new"), now, true),
        ] {
            let after = FailedAttempt::after(Some(&first), &error, deadline);
            assert_eq!(after != first, hidden, "{error:#}");
        }
        assert!(FailedAttempt::after(None, &timed_out(), now).text.contains("after 3 min"), "nothing else is known");
    }
}
