//! Queueing for the membership lease: for a join, for leaving, for `kubeboot reap`.

use crate::aws::CallFailed;
use crate::aws::store::{Store, Written};
use crate::bucket::{Found, Held, Renewable, Watch, keys};
use crate::model::machine::ids::{InstanceId, Nonce};
use crate::model::membership::instances::Instances;
use crate::model::membership::lease::{Lease, LeaseHolder, Turn, turn};
use crate::model::record::conditional_write::Condition;
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long one attempt to take the lease, or to give it back, is tried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks while waiting for it.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

impl Renewable for Lease {
    fn renewed_body(&self) -> Self {
        self.renewed()
    }

    fn bytes(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn same_holding(&self, stored: &[u8]) -> Option<Self> {
        let nonce = |lease: &Self| lease.holder.as_ref().map(|holder| holder.nonce.clone());
        Self::parse(stored).ok().filter(|stored| nonce(stored).is_some() && nonce(stored) == nonce(self))
    }
}

/// What came of queueing.
pub enum Queued {
    /// The lease is this machine's.
    Mine(Box<Held<Lease>>, Nonce),
    /// It is another's; the reason to wait.
    Wait(String),
}

/// A place in the queue.
#[derive(Debug)]
pub struct Queue {
    store: Store,
    watch: Watch,
    me: InstanceId,
    ttl: Duration,
}

impl Queue {
    /// A place for `me`. A holder that has been silent for `ttl` is followed by the next.
    #[must_use]
    pub fn new(store: Store, me: InstanceId, ttl: Duration) -> Self {
        Self { watch: Watch::new(store.clone(), keys::LEASE), store, me, ttl }
    }

    /// Takes the lease if it is this machine's turn. `purpose` is for people: `join`, `leave`, `reap`.
    ///
    /// # Errors
    /// S3 refuses or does not answer.
    pub async fn take(&mut self, purpose: &str, instances: &Instances) -> Result<Queued> {
        let (before, condition) = match self.watch.read().await? {
            Found::Nothing | Found::Vanished => (None, Condition::Absent),
            Found::Object { object, unchanged_for } => {
                let condition = Condition::Unchanged(object.etag);
                match Lease::parse(&object.body) {
                    Ok(lease) => match self.turn_of(&lease, unchanged_for, instances) {
                        Turn::Take => (Some(lease), condition),
                        Turn::Wait(holder) => return Ok(Queued::Wait(holds(&holder))),
                    },
                    // What cannot be read and does not change is not waited for: the lease is a queue, and etcd guards
                    // its members itself.
                    Err(_) if unchanged_for >= self.ttl => (None, condition),
                    Err(why) => return Ok(Queued::Wait(format!("the membership lease, which cannot be read: {why}"))),
                }
            }
        };
        let nonce = Nonce::parse(uuid::Uuid::new_v4().to_string()).context("a UUID is a nonce")?;
        let holder = LeaseHolder { instance: self.me.clone(), nonce: nonce.clone(), purpose: purpose.to_owned() };
        let next = Lease::taken(before.as_ref(), holder);
        let sent = Instant::now();
        match self.store.write(keys::LEASE, &next.to_bytes(), &condition, WRITE_TIMEOUT).await? {
            Written::Ours(etag) => {
                let held = Held::new(self.store.clone(), keys::LEASE, next, etag, sent, self.ttl);
                Ok(Queued::Mine(Box::new(held), nonce))
            }
            Written::Others(_) | Written::Gone => {
                Ok(Queued::Wait("the membership lease, which another machine took first".into()))
            }
            Written::Unknown => Ok(Queued::Wait("S3 to say who holds the membership lease".into())),
        }
    }

    /// Waits for the lease, `time_limit` at most; every new reason goes to `on_wait`. Afterwards the last reason comes back
    /// as the inner error, and the caller decides whether to go on without. An outage of S3 is waited out, too.
    ///
    /// # Errors
    /// S3 refuses.
    pub async fn take_within(
        &mut self,
        purpose: &str,
        instances: &Instances,
        time_limit: Duration,
        mut on_wait: impl FnMut(&str),
    ) -> Result<Result<(Box<Held<Lease>>, Nonce), String>> {
        let end = Instant::now() + time_limit;
        let mut last_reason = String::new();
        loop {
            let reason = match self.take(purpose, instances).await {
                Ok(Queued::Mine(held, nonce)) => return Ok(Ok((held, nonce))),
                Ok(Queued::Wait(reason)) => reason,
                Err(error) if error.downcast_ref::<CallFailed>().is_some_and(CallFailed::may_mend) => {
                    format!("the membership lease: {error:#}")
                }
                Err(error) => return Err(error),
            };
            if Instant::now() + POLL_INTERVAL >= end {
                return Ok(Err(reason));
            }
            if reason != last_reason {
                on_wait(&reason);
                last_reason = reason;
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn turn_of(&self, lease: &Lease, unchanged_for: Duration, instances: &Instances) -> Turn {
        let gone = lease.holder.as_ref().is_some_and(|holder| instances.is_terminated(&holder.instance));
        turn(Some(lease), &self.me, unchanged_for, gone, self.ttl)
    }
}

/// Gives the lease back. A failure costs the next in the queue its time to live, and nothing else.
pub async fn release(held: Held<Lease>) {
    let last = held.body().released().to_bytes();
    match held.finish(&last, WRITE_TIMEOUT).await {
        Ok(_) => {}
        Err(error) => tracing::warn!("failed to release the membership lease, it runs out by itself: {error}"),
    }
}

fn holds(holder: &LeaseHolder) -> String {
    format!("the membership lease: {} holds it to {}", holder.instance, holder.purpose)
}
