//! Queueing for the membership lease.

use super::shell::Shell;
use crate::aws::store::Written;
use crate::bucket::{Beating, Found, Held, keys};
use crate::model::ids::{InstanceId, Nonce};
use crate::model::instances::Instances;
use crate::model::lease::{Lease, LeaseHolder, Turn, turn};
use crate::model::write::Condition;
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::time::Instant;

/// How long one attempt to take the lease is tried.
const PATIENCE: Duration = Duration::from_secs(5);

impl Beating for Lease {
    fn next_beat(&self) -> Self {
        self.renewed()
    }

    fn bytes(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn reads_as_mine(&self, stored: &[u8]) -> Option<Self> {
        let nonce = |lease: &Self| lease.holder.as_ref().map(|holder| holder.nonce.clone());
        Self::parse(stored).ok().filter(|stored| nonce(stored).is_some() && nonce(stored) == nonce(self))
    }
}

/// What came of queueing.
pub(super) enum Queued {
    /// The lease is this machine's.
    Mine(Box<Held<Lease>>, Nonce),
    /// It is another's; the reason to wait.
    Wait(String),
}

impl Shell {
    /// Takes the lease if it is this machine's turn.
    pub(super) async fn queue(&mut self, purpose: &str, instances: &Instances) -> Result<Queued> {
        let me = self.facts.machine.instance.clone();
        let ttl = self.facts.settings.lease_ttl;
        let (before, condition) = match self.lease.read().await? {
            Found::Nothing | Found::Vanished => (None, Condition::Absent),
            Found::Object { object, unchanged_for } => {
                let condition = Condition::Unchanged(object.etag);
                match Lease::parse(&object.body) {
                    Ok(lease) => match self.turn_of(&lease, &me, unchanged_for, instances, ttl) {
                        Turn::Take => (Some(lease), condition),
                        Turn::Wait(holder) => return Ok(Queued::Wait(holds(&holder))),
                    },
                    // etcd is the fence, this is a queue: what cannot be read and does not change holds up nobody.
                    Err(_) if unchanged_for >= ttl => (None, condition),
                    Err(why) => return Ok(Queued::Wait(format!("the membership lease, which cannot be read: {why}"))),
                }
            }
        };
        let nonce = Nonce::parse(uuid::Uuid::new_v4().to_string()).context("a UUID is a nonce")?;
        let holder = LeaseHolder { instance: me, nonce: nonce.clone(), purpose: purpose.to_owned() };
        let next = Lease::taken(before.as_ref(), holder);
        let sent = Instant::now();
        match self.store.write(keys::LEASE, &next.to_bytes(), &condition, PATIENCE).await? {
            Written::Ours(etag) => {
                let held = Held::new(self.store.clone(), keys::LEASE, next, etag, sent, ttl);
                Ok(Queued::Mine(Box::new(held), nonce))
            }
            Written::Others(_) | Written::Gone => {
                Ok(Queued::Wait("the membership lease, which another machine took first".into()))
            }
            Written::Unknown => Ok(Queued::Wait("S3 to say who holds the membership lease".into())),
        }
    }

    fn turn_of(
        &self,
        lease: &Lease,
        me: &InstanceId,
        unchanged_for: Duration,
        instances: &Instances,
        ttl: Duration,
    ) -> Turn {
        let gone = lease.holder.as_ref().is_some_and(|holder| instances.is_terminated(&holder.instance));
        turn(Some(lease), me, unchanged_for, gone, ttl)
    }
}

/// Gives the lease back. A failure costs the next in the queue its time to live, and nothing else.
pub(super) async fn release(held: Held<Lease>) {
    let last = held.body().released().to_bytes();
    match held.finish(&last, PATIENCE).await {
        Ok(_) => {}
        Err(error) => tracing::warn!("failed to release the membership lease, it runs out by itself: {error}"),
    }
}

fn holds(holder: &LeaseHolder) -> String {
    format!("the membership lease: {} holds it to {}", holder.instance, holder.purpose)
}
