//! Probes whether the bucket honours conditional writes. kubeboot depends on that, and not every S3 server does it: without the
//! condition every machine would win the claim.

#[cfg(test)]
mod tests;

use super::keys;
use crate::aws::CallFailed;
use crate::aws::gate::Gate;
use crate::aws::store::{Store, Written};
use crate::model::machine::ids::InstanceId;
use crate::model::record::conditional_write::{Condition, Object};
use futures::future::join_all;
use std::time::Duration;
use tokio::time::timeout;

/// How long one write may take.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long all writes together may take.
const ALL_WRITES_TIMEOUT: Duration = Duration::from_secs(3);
/// How long removing the scratch object may take.
const REMOVE_TIMEOUT: Duration = Duration::from_millis(1500);
/// How many writers write the same key at once in [`one_wins`].
pub(super) const WRITERS: usize = 8;
/// How long the first writer waits for the last before it writes anyway.
const GATE_TIMEOUT: Duration = Duration::from_millis(500);
/// What an operator can do about an unfit bucket.
pub const REMEDY: &str = "use a general-purpose bucket of Amazon S3 itself";
/// An `ETag` that no object has.
const WRONG_ETAG: &str = "\"00000000000000000000000000000000\"";

/// Why this bucket is unfit, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A write went through although its condition did not hold.
    #[error("this bucket ignores conditional writes: kubeboot cannot work on it ({0})")]
    Ignores(String),
    /// A write was refused although its condition held.
    #[error("this bucket refuses conditional writes whose condition holds: kubeboot cannot work on it ({0})")]
    Refuses(String),
    /// S3 refused a write for another reason.
    #[error(transparent)]
    Call(#[from] CallFailed),
    /// S3 did not answer in time.
    #[error("S3 did not say in time whether it honours conditional writes")]
    NoAnswer,
}

/// The result of a probe.
#[derive(Debug)]
pub struct Probed {
    /// Whether the bucket is fit.
    pub verdict: Result<(), Unfit>,
    /// Why its scratch object could not be removed, so that a few bytes may be left.
    pub left: Option<CallFailed>,
}

/// Writes a scratch object under conditions that hold and conditions that do not, one after the other, and removes it.
///
/// Seven calls, and seconds at the most.
pub async fn honours_conditions(store: &Store, me: &InstanceId) -> Probed {
    let key = scratch_key(me);
    let verdict = timeout(ALL_WRITES_TIMEOUT, in_turn(store, &key)).await.unwrap_or(Err(Unfit::NoAnswer));
    tidy_up(store, &key, verdict).await
}

/// Lets several writers create the same scratch object at the same moment: exactly one may win. A server that checks the
/// condition before it writes, without a lock, passes [`honours_conditions`] and fails here, if it checks when it has the request's
/// head, or if its gap between check and write is longer than the time between the writers' bodies.
pub async fn one_wins(store: &Store, me: &InstanceId) -> Probed {
    let key = scratch_key(me);
    let verdict = timeout(ALL_WRITES_TIMEOUT, at_once(store, &key)).await.unwrap_or(Err(Unfit::NoAnswer));
    tidy_up(store, &key, verdict).await
}

/// A unique key.
fn scratch_key(me: &InstanceId) -> String {
    keys::scratch(me.as_str(), &uuid::Uuid::new_v4().to_string())
}

async fn in_turn(store: &Store, key: &str) -> Result<(), Unfit> {
    let write = |body: &'static str, condition| async move {
        store.write(key, body.as_bytes(), &condition, PROBE_TIMEOUT).await.map_err(Unfit::from)
    };
    let etag = holds("If-None-Match: * for a new object", write("first", Condition::Absent).await?)?;
    fails("If-None-Match: * for an object that is there", write("second", Condition::Absent).await?, &etag)?;
    let wrong = Condition::Unchanged(WRONG_ETAG.to_owned());
    fails("If-Match with another object's ETag", write("third", wrong).await?, &etag)?;
    holds("If-Match with the object's ETag", write("fourth", Condition::Unchanged(etag)).await?)?;
    Ok(())
}

async fn at_once(store: &Store, key: &str) -> Result<(), Unfit> {
    let store = store.behind(Gate::of(WRITERS, GATE_TIMEOUT));
    let store = &store;
    let write = |writer: usize| async move {
        store.write(key, format!("writer {writer}").as_bytes(), &Condition::Absent, PROBE_TIMEOUT).await
    };
    judge(join_all((0..WRITERS).map(write)).await)
}

/// Judges the results of all writers. If two have won, that is certain, whatever the others got: a server that races often fails
/// in other ways as well.
fn judge(ended: Vec<Result<Written, CallFailed>>) -> Result<(), Unfit> {
    let won = ended.iter().filter(|ended| matches!(ended, Ok(Written::Ours(_)))).count();
    if won > 1 {
        return Err(Unfit::Ignores(format!("{won} of {WRITERS} that created one object at once won")));
    }
    for written in ended {
        match written? {
            Written::Ours(_) | Written::Others(_) => {}
            Written::Gone | Written::Unknown => return Err(Unfit::NoAnswer),
        }
    }
    if won == 1 {
        Ok(())
    } else {
        Err(Unfit::Refuses(format!("none of {WRITERS} that created one object at once won")))
    }
}

/// Expects that the write succeeded, and returns its `ETag`.
fn holds(what: &str, written: Written) -> Result<String, Unfit> {
    match written {
        Written::Ours(etag) => Ok(etag),
        Written::Others(_) | Written::Gone => Err(Unfit::Refuses(what.to_owned())),
        Written::Unknown => Err(Unfit::NoAnswer),
    }
}

/// Expects that the write was refused and the object is unchanged.
fn fails(what: &str, written: Written, before: &str) -> Result<(), Unfit> {
    match written {
        Written::Others(Object { etag, .. }) if etag == before => Ok(()),
        Written::Ours(_) | Written::Others(_) | Written::Gone => Err(Unfit::Ignores(what.to_owned())),
        Written::Unknown => Err(Unfit::NoAnswer),
    }
}

async fn tidy_up(store: &Store, key: &str, verdict: Result<(), Unfit>) -> Probed {
    let left = remove(store, key).await;
    // Where S3 refuses to write, there is nothing to remove.
    let nothing = matches!(&verdict, Err(Unfit::Call(failed)) if failed.permission == "s3:PutObject");
    Probed { verdict, left: left.filter(|_| !nothing) }
}

/// Removes a scratch object; returns the error if that failed.
pub async fn remove(store: &Store, key: &str) -> Option<CallFailed> {
    match timeout(REMOVE_TIMEOUT, store.remove_scratch(key)).await {
        Ok(removed) => removed.err(),
        Err(_) => Some(CallFailed::silent("remove", store.url(key), "s3:DeleteObject")),
    }
}
