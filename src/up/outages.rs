//! How long failures are tolerated: outages until the deadline, denials for two minutes.

use super::failed_attempt::AnotherJoin;
use super::{POLL_INTERVAL, Waiting};
use crate::aws::{CallFailed, CallFailure};
use crate::exit::Exit;
use crate::kubeadm::attempt::Failure;
use crate::model::duration::in_words;
use crate::model::up::back_off::Repeated;
use anyhow::{Result, anyhow};
use std::time::Duration;
use tokio::time::Instant;

/// How long denials are tolerated: a fresh role, policy or bucket may deny for a while.
const DENIAL_GRACE: Duration = Duration::from_secs(120);

/// How long Auto Scaling may not list this instance: a new one appears late. After this it counts as in no group.
const LISTING_GRACE: Duration = Duration::from_secs(120);

/// Since when there have been failures that may pass.
#[derive(Debug, Default)]
pub struct Outages {
    /// Since when, and when last.
    denied: Option<(Instant, Instant)>,
    unlisted_since: Option<Instant>,
    /// What else has failed, pass after pass.
    others: Repeated,
}

impl Outages {
    /// A pass succeeded.
    pub fn restored(&mut self) {
        self.denied = None;
        self.others = Repeated::default();
    }

    /// Whether Auto Scaling lists this instance in its group.
    ///
    /// # Errors
    /// It has not for too long.
    pub fn in_group(&mut self, listed: bool) -> Result<()> {
        if listed {
            self.unlisted_since = None;
        } else if self.unlisted_since.get_or_insert_with(Instant::now).elapsed() >= LISTING_GRACE {
            let grace = in_words(LISTING_GRACE);
            return Err(anyhow!(
                "Auto Scaling has not listed this instance in a group for {grace}: launch it from the group, or correct the setting 'group'"
            )
            .context(Exit::Usage));
        }
        Ok(())
    }

    /// A pass failed: wait, or end with the error. What carries an [`Exit`] is final; what is neither that nor AWS' answer
    /// (an API server, a full disk) may mend until the deadline.
    ///
    /// # Errors
    /// The error itself, when trying again will not mend it, with its [`Exit`].
    pub fn outage(&mut self, error: anyhow::Error) -> Result<Waiting> {
        if error.downcast_ref::<Exit>().is_some() {
            return Err(error);
        }
        let Some(kind) = error.downcast_ref::<CallFailed>().map(|failed| failed.kind) else {
            // Each pass reads the bucket and starts kubeadm.
            let pause = self.others.pause("");
            let exit = if error.downcast_ref::<Failure>().is_some() { Exit::Kubeadm } else { Exit::TryAgain };
            return Ok(Waiting { reason: format!("what failed to mend: {error:#}"), pause, exit });
        };
        let exit = match kind {
            CallFailure::Throttled | CallFailure::NoAnswer => {
                self.denied = None;
                Exit::TryAgain
            }
            CallFailure::Denied
            | CallFailure::Credentials
            | CallFailure::Clock
            | CallFailure::Region
            | CallFailure::NoSuchBucket => {
                // A pass that only stands in a queue restores nothing, and may stand there for long.
                let now = Instant::now();
                let before = self.denied.filter(|(_, last)| now.duration_since(*last) < DENIAL_GRACE);
                let since = before.map_or(now, |(since, _)| since);
                self.denied = Some((since, now));
                if since.elapsed() >= DENIAL_GRACE {
                    let grace = in_words(DENIAL_GRACE);
                    return Err(error.context(format!("AWS has refused for {grace}")).context(Exit::Aws));
                }
                Exit::Aws
            }
            CallFailure::Rejected => return Err(error.context(Exit::Aws)),
        };
        // A join that has failed for it takes the lease again.
        let pause = error.downcast_ref::<AnotherJoin>().map_or(POLL_INTERVAL, |next| next.pause);
        Ok(Waiting { reason: format!("AWS: {error:#}"), pause, exit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(outages: &mut Outages) -> Option<Exit> {
        let (verb, permission, detail) = ("write", "s3:PutObject", String::new());
        let failed = CallFailed { verb, object: "o".into(), permission, kind: CallFailure::Denied, detail };
        outages.outage(failed.into()).err().map(|error| Exit::of(&error))
    }

    #[test]
    fn what_else_fails_is_tried_less_and_less_until_a_pass_succeeds() -> Result<()> {
        let mut outages = Outages::default();
        for seconds in [2, 2, 2, 2, 2, 4, 8, 15, 15] {
            assert_eq!(outages.outage(anyhow!("no space left on device"))?.pause.as_secs(), seconds);
        }
        outages.restored();
        assert_eq!(outages.outage(anyhow!("no space left on device"))?.pause.as_secs(), 2);
        Ok(())
    }

    #[test]
    fn denials_end_a_run_after_their_grace_unless_something_was_allowed_meanwhile() {
        let ago =
            |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).expect("the machine runs for longer");
        // Since when it was denied and when last, in seconds before now, and what the run ends in.
        let rows = [
            (None, None),
            (Some((119, 2)), None),
            (Some((121, 2)), Some(Exit::Aws)),
            (Some((121, 60)), Some(Exit::Aws)),
            (Some((600, 121)), None),
        ];
        for (before, expected) in rows {
            let denied_before = before.map(|(since, last)| (ago(since), ago(last)));
            let mut outages = Outages { denied: denied_before, ..Outages::default() };
            assert_eq!(denied(&mut outages), expected, "{before:?}");
            outages.restored();
            assert_eq!(denied(&mut outages), None, "it was allowed meanwhile: {before:?}");
        }
    }
}
