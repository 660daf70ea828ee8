//! Watches one object: how long it has been unchanged, on this process's own monotonic clock.

use crate::aws::CallFailed;
use crate::aws::store::Store;
use crate::model::record::conditional_write::Object;
use crate::model::record::watched::Watched;
use std::time::Duration;
use tokio::time::Instant;

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is no object, and this process has never seen one.
    Nothing,
    /// The object that this process has seen is gone.
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
}

impl Watch {
    /// Starts to watch this key.
    #[must_use]
    pub fn new(store: Store, key: &'static str) -> Self {
        Self { store, key, since: Instant::now(), watched: Watched::default() }
    }

    /// Reads the object.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn read(&mut self) -> Result<Found, CallFailed> {
        let asked = self.since.elapsed();
        let Some(object) = self.store.get(self.key).await? else {
            return Ok(if self.watched.was_there() { Found::Vanished } else { Found::Nothing });
        };
        let unchanged_for = self.watched.unchanged_for(&object.etag, asked, self.since.elapsed());
        Ok(Found::Object { object, unchanged_for })
    }
}
