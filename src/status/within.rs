//! The time limit that every source has for itself.

use crate::model::duration::in_words;
use crate::model::status::Known;
use std::fmt::Display;
use std::time::Duration;
use tokio::time::timeout;

/// How long a source may take.
pub(super) const SOURCE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a source said within its time, or why it said nothing.
pub(super) async fn within<T, E: Display>(answer: impl Future<Output = Result<T, E>>) -> Known<T> {
    match timeout(SOURCE_TIMEOUT, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err(format!("no answer within {}", in_words(SOURCE_TIMEOUT))),
    }
}
