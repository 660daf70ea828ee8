//! How long failures are tolerated: outages until the deadline, denials for two minutes.

use super::{POLL_INTERVAL, Waiting};
use crate::aws::{CallFailed, CallFailure};
use crate::exit::Exit;
use crate::model::duration::in_words;
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
    denied_since: Option<Instant>,
    unlisted_since: Option<Instant>,
}

impl Outages {
    /// A pass succeeded.
    pub fn restored(&mut self) {
        self.denied_since = None;
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
            return Ok(Waiting {
                reason: format!("what failed to mend: {error:#}"),
                pause: POLL_INTERVAL,
                exit: Exit::TryAgain,
            });
        };
        let exit = match kind {
            CallFailure::Throttled | CallFailure::NoAnswer => {
                self.denied_since = None;
                Exit::TryAgain
            }
            CallFailure::Denied
            | CallFailure::Credentials
            | CallFailure::Clock
            | CallFailure::Region
            | CallFailure::NoSuchBucket => {
                let since = *self.denied_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= DENIAL_GRACE {
                    let grace = in_words(DENIAL_GRACE);
                    return Err(error.context(format!("AWS has refused for {grace}")).context(Exit::Aws));
                }
                Exit::Aws
            }
            CallFailure::Rejected => return Err(error.context(Exit::Aws)),
        };
        Ok(Waiting { reason: format!("AWS: {error:#}"), pause: POLL_INTERVAL, exit })
    }
}
