//! One object, read again and again: how long it has been the same, on this process' own monotonic clock.

use crate::aws::CallFailed;
use crate::aws::store::Store;
use crate::model::write::Object;
use std::time::Duration;
use tokio::time::Instant;

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No object, and this process has never seen one.
    Nothing,
    /// No object any more.
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
    last: Option<(String, Instant)>,
}

impl Watch {
    /// A watch over this key.
    #[must_use]
    pub fn new(store: Store, key: &'static str) -> Self {
        Self { store, key, last: None }
    }

    /// Reads the object.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn read(&mut self) -> Result<Found, CallFailed> {
        // The clock is read before the object: what is seen now has been there since this moment at the latest.
        let asked = Instant::now();
        let Some(object) = self.store.get(self.key).await? else {
            return Ok(if self.last.is_some() { Found::Vanished } else { Found::Nothing });
        };
        let since = match &self.last {
            Some((etag, since)) if *etag == object.etag => *since,
            Some(_) | None => {
                // Just seen for the first time: counted from the answer, not from the question.
                self.last = Some((object.etag.clone(), Instant::now()));
                asked
            }
        };
        Ok(Found::Object { object, unchanged_for: asked.saturating_duration_since(since) })
    }
}
