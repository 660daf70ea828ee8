//! Holding an object by renewing it. The claim and the membership lease are both held this way.
//!
//! [`crate::model::record::renewal`] decides when a holding is renewed and when it is given up.

use crate::aws::CallFailed;
use crate::aws::store::Store;
use crate::model::duration::in_words;
use crate::model::record::conditional_write::Condition;
use crate::model::record::renewal::{Renewal, RenewalResult, after, renewal, stands_for};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// A body that can be renewed. No two renewals have equal bytes.
pub trait Renewable: Clone + Send + Sync {
    /// The same holding, renewed once more.
    fn renewed_body(&self) -> Self;
    /// The bytes to store.
    fn bytes(&self) -> Vec<u8>;
    /// The stored body, if it belongs to this holding: an earlier write of this process whose reply was lost.
    fn same_holding(&self, stored: &[u8]) -> Option<Self>;
}

/// Why a holding was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldingLost {
    /// Another machine has taken the object over.
    #[error("another machine has taken it over")]
    Deposed,
    /// The object is gone.
    #[error("the object is gone")]
    Gone,
    /// It could not be renewed in time, so other machines may consider this one dead.
    #[error("it could not be renewed for {}: {last}", in_words(*silent_for))]
    Silent {
        /// Time since the last renewal.
        silent_for: Duration,
        /// The error of the last attempt.
        last: String,
    },
}

/// A held object.
#[derive(Debug, Clone)]
pub struct Held<B> {
    store: Store,
    key: &'static str,
    body: B,
    etag: String,
    written: Instant,
    ttl: Duration,
}

impl<B: Renewable> Held<B> {
    /// Begins a holding that was just written. `written` is the time at which that write was sent, or earlier.
    #[must_use]
    pub fn new(store: Store, key: &'static str, body: B, etag: String, written: Instant, ttl: Duration) -> Self {
        Self { store, key, body, etag, written, ttl }
    }

    /// The body as last written.
    #[must_use]
    pub fn body(&self) -> &B {
        &self.body
    }

    /// How long it stands without another renewal.
    #[must_use]
    pub fn stands_for(&self) -> Duration {
        stands_for(self.ttl, self.written.elapsed())
    }

    /// Runs `work` and renews the holding meanwhile. When the holding is lost, `work` is dropped at once, which kills its processes.
    ///
    /// # Errors
    /// [`HoldingLost`]: the work was not completed.
    pub async fn while_holding<T>(&mut self, work: impl Future<Output = T>) -> Result<T, HoldingLost> {
        let mut work = pin!(work);
        loop {
            let until_renewal = match renewal(self.ttl, self.written.elapsed()) {
                Renewal::Idle(left) => left,
                Renewal::Renew(_) | Renewal::GiveUp => Duration::ZERO,
            };
            tokio::select! {
                biased;
                result = &mut work => return Ok(result),
                () = sleep(until_renewal) => {}
            }
            let mut finished = None;
            {
                let mut renewal_write = pin!(self.renew());
                loop {
                    // A renewal that was sent is awaited, so that no write of this process is left pending.
                    tokio::select! {
                        biased;
                        result = &mut work, if finished.is_none() => finished = Some(result),
                        renewed = &mut renewal_write => match (renewed, finished.take()) {
                            (_, Some(result)) => return Ok(result),
                            (Ok(()), None) => break,
                            (Err(lost), None) => return Err(lost),
                        },
                    }
                }
            }
        }
    }

    /// Renews the object once. Tries until the holding must be given up.
    async fn renew(&mut self) -> Result<(), HoldingLost> {
        let next = self.body.renewed_body();
        let mut last = "no answer".to_owned();
        while let Renewal::Idle(left) | Renewal::Renew(left) = renewal(self.ttl, self.written.elapsed()) {
            match timeout(left, self.replace(&next, left)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Replace::Lost(lost))) => return Err(lost),
                Ok(Err(Replace::Failed(why))) => last = why,
                Err(_) => break,
            }
            sleep((self.ttl / 20).min(Duration::from_millis(500))).await;
        }
        Err(HoldingLost::Silent { silent_for: self.written.elapsed(), last })
    }

    /// Writes `next` over the held body, or over an earlier renewal of this process that has landed meanwhile.
    async fn replace(&mut self, next: &B, time_limit: Duration) -> Result<(), Replace> {
        let sent = Instant::now();
        match self.write_over(&next.bytes(), time_limit).await {
            Ok(FinalWrite::Ours(etag)) => {
                (self.body, self.etag, self.written) = (next.clone(), etag, sent);
                Ok(())
            }
            Ok(FinalWrite::Lost(lost)) => Err(Replace::Lost(lost)),
            Ok(FinalWrite::Unknown) => Err(Replace::Failed("no answer".into())),
            Err(error) => Err(Replace::Failed(error.to_string())),
        }
    }

    /// Ends the holding by writing `last` (a release, a yield or a flip) over it.
    ///
    /// # Errors
    /// [`CallFailed`] when S3 refused.
    pub async fn finish(mut self, last: &[u8], time_limit: Duration) -> Result<FinalWrite, CallFailed> {
        self.write_over(last, time_limit).await
    }

    async fn write_over(&mut self, body: &[u8], time_limit: Duration) -> Result<FinalWrite, CallFailed> {
        let end = Instant::now() + time_limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let written = self.store.write(self.key, body, &Condition::Unchanged(self.etag.clone()), left).await?;
            match after(written, |stored| self.body.same_holding(stored)) {
                RenewalResult::Ours(etag) => return Ok(FinalWrite::Ours(etag)),
                RenewalResult::Behind(mine, etag) => (self.body, self.etag) = (mine, etag),
                RenewalResult::Deposed => return Ok(FinalWrite::Lost(HoldingLost::Deposed)),
                RenewalResult::Gone => return Ok(FinalWrite::Lost(HoldingLost::Gone)),
                RenewalResult::Unknown => return Ok(FinalWrite::Unknown),
            }
        }
    }
}

/// The result of a final write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinalWrite {
    /// It was written, with this `ETag`.
    Ours(String),
    /// The holding was lost before.
    Lost(HoldingLost),
    /// Not known.
    Unknown,
}

enum Replace {
    Lost(HoldingLost),
    Failed(String),
}
