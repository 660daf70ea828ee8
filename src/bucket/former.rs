//! Moving registrations that are over to a folder that nobody reads, and that may expire.

use super::keys;
use super::registrations::{WRITE_TIMEOUT, parsed};
use crate::aws::CallFailed;
use crate::aws::folder::ObjectRemoved;
use crate::aws::store::{Store, Written};
use crate::model::membership::registration::Registration;
use crate::model::record::conditional_write::Condition;

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
