//! Moving registrations that are over to a folder that nobody reads, and that may expire.

use super::keys;
use super::registrations::{WRITE_TIMEOUT, parsed};
use crate::aws::CallFailed;
use crate::aws::folder::ObjectRemoved;
use crate::aws::store::{Store, Written};
use crate::model::membership::registration::Registration;
use crate::model::record::conditional_write::Condition;
use futures::StreamExt;
use std::time::Duration;
use tokio::time::timeout;

/// How long moving may take. What is left, the next one who looks moves.
const MOVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How many registrations are moved at once.
const AT_ONCE: usize = 8;

/// Moves these registrations as they were judged, and says how many that were.
///
/// # Errors
/// [`CallFailed`] of the first that failed.
pub async fn move_all(store: &Store, over: Vec<&Registration>, now: &str) -> Result<u32, CallFailed> {
    let mut moved = 0;
    let moving = async {
        let mut moves = futures::stream::iter(over)
            .map(async |found| (found, move_away(store, found, now).await))
            .buffer_unordered(AT_ONCE);
        while let Some((found, done)) = moves.next().await {
            if done? {
                tracing::debug!(instance = %found.instance, "moved a registration to control-plane/former/");
                moved += 1;
            }
        }
        Ok(())
    };
    let ended = timeout(MOVE_TIMEOUT, moving).await;
    if moved > 0 {
        tracing::info!("moved {moved} registrations of machines that are gone to control-plane/former/");
    }
    match ended {
        Ok(ended) => ended.map(|()| moved),
        Err(_) => {
            tracing::info!("the next run moves the other registrations of machines that are gone");
            Ok(moved)
        }
    }
}

/// Moves a registration as it was judged: written there first, and deleted here only if it is still the same. Whoever is cut off
/// between the two leaves it in both places, and the next one goes on. `false` where it has changed, or S3 does not say.
///
/// # Errors
/// [`CallFailed`].
pub async fn move_away(store: &Store, judged: &Registration, now: &str) -> Result<bool, CallFailed> {
    let (here, there) = (keys::node(&judged.instance), keys::former(&judged.instance));
    let Some(object) = store.get(&here).await? else { return Ok(false) };
    if parsed(&judged.instance, &object.body).as_ref() != Ok(judged) {
        return Ok(false);
    }
    let body = judged.ended(now.to_owned()).to_bytes();
    let mut condition = Condition::Absent;
    // One that is there is of an earlier life of this machine, or of an attempt that was cut off.
    for _ in 0..2 {
        match store.write(&there, &body, &condition, WRITE_TIMEOUT).await? {
            Written::Ours(_) => return Ok(store.remove_unchanged(&here, &object.etag).await? == ObjectRemoved::Gone),
            Written::Others(other) => condition = Condition::Unchanged(other.etag),
            Written::Gone => condition = Condition::Absent,
            Written::Unknown => break,
        }
    }
    Ok(false)
}
