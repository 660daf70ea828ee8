//! Watches one object: how long it has been unchanged, on this process's own monotonic clock.

use crate::aws::CallFailed;
use crate::aws::store::{Store, Stored};
use crate::model::record::conditional_write::Object;
use crate::model::record::watched::Watched;
use std::time::Duration;
use tokio::time::Instant;

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is no object, and this process has never seen one.
    Nothing,
    /// No object any more: this process has seen one, or S3 shows a delete marker.
    Vanished,
    /// An object.
    Object {
        /// As read.
        object: Object,
        /// How long this process has seen this `ETag`.
        unchanged_for: Duration,
    },
}

/// Watches one key.
#[derive(Debug, Clone)]
pub struct Watch {
    store: Store,
    key: &'static str,
    since: Instant,
    watched: Watched,
    missing_since: Option<Instant>,
}

impl Watch {
    /// Starts to watch this key.
    #[must_use]
    pub fn new(store: Store, key: &'static str) -> Self {
        Self { store, key, since: Instant::now(), watched: Watched::default(), missing_since: None }
    }

    /// Reads the object.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn read(&mut self) -> Result<Found, CallFailed> {
        let asked = self.since.elapsed();
        let object = match self.store.read(self.key).await? {
            Stored::Object(object) => object,
            missing => {
                self.missing_since.get_or_insert_with(Instant::now);
                let was_there = missing == Stored::Deleted || self.watched.was_there();
                return Ok(if was_there { Found::Vanished } else { Found::Nothing });
            }
        };
        self.missing_since = None;
        let unchanged_for = self.watched.unchanged_for(&object.etag, asked, self.since.elapsed());
        Ok(Found::Object { object, unchanged_for })
    }

    /// For how long every read has found no object; zero when the last one found it.
    #[must_use]
    pub fn missing_for(&self) -> Duration {
        self.missing_since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}
