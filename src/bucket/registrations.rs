//! What the machines say about themselves.

use super::keys;
use crate::aws::CallFailed;
use crate::aws::store::{Store, Written};
use crate::model::machine::ids::InstanceId;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::record::conditional_write::Condition;
use futures::StreamExt;
use std::time::Duration;

/// A registration is a hint: whoever cannot write it in this time goes on without.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How many are read at once.
const AT_ONCE: usize = 8;

/// One machine's entry: its ID by the key, and what could be read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationEntry {
    /// From the key.
    pub instance: InstanceId,
    /// The registration, or why it says nothing.
    pub registration: Result<Registration, String>,
}

/// Reads every registration. One that cannot be read explains nothing, and is no error.
///
/// # Errors
/// [`CallFailed`] when the list cannot be had.
pub async fn all(store: &Store) -> Result<Vec<RegistrationEntry>, CallFailed> {
    let instances: Vec<InstanceId> = store
        .list(keys::NODES)
        .await?
        .iter()
        .filter_map(|key| key.strip_prefix(keys::NODES)?.strip_suffix(".json"))
        .filter_map(|name| InstanceId::parse(name).ok())
        .collect();
    let entry = |instance: InstanceId| async move {
        let registration = match read(store, &instance).await {
            Ok(found) => found.unwrap_or_else(|| Err("there is none".into())),
            Err(error) => Err(error.to_string()),
        };
        RegistrationEntry { instance, registration }
    };
    Ok(futures::stream::iter(instances).map(entry).buffered(AT_ONCE).collect().await)
}

/// Reads one machine's registration: `None` where there is none, and an inner error where what is there says nothing.
///
/// # Errors
/// [`CallFailed`]: nobody knows what is there.
pub async fn read(store: &Store, instance: &InstanceId) -> Result<Option<Result<Registration, String>>, CallFailed> {
    let Some(object) = store.get(&keys::node(instance)).await? else { return Ok(None) };
    Ok(Some(Registration::parse(&object.body).and_then(|found| {
        if found.instance == *instance { Ok(found) } else { Err(format!("it says it is {}", found.instance)) }
    })))
}

/// Marks the registration of a machine that is gone, whose member was removed. Only if it still says what it said: it is
/// history, and losing that race costs nobody anything.
///
/// # Errors
/// [`CallFailed`].
pub async fn mark_reaped(store: &Store, registration: &Registration, now: String) -> Result<(), CallFailed> {
    let key = keys::node(&registration.instance);
    let Some(object) = store.get(&key).await? else { return Ok(()) };
    if Registration::parse(&object.body).as_ref() == Ok(registration) {
        let next = Registration { phase: RegistrationPhase::Reaped, updated: now, ..registration.clone() };
        store.write(&key, &next.to_bytes(), &Condition::Unchanged(object.etag), WRITE_TIMEOUT).await?;
    }
    Ok(())
}

/// Writes this machine's own registration over whatever stands there: it is the only one who writes it, but for a
/// reaper, who does so when the machine is gone.
///
/// # Errors
/// [`CallFailed`], or no answer; the caller goes on without.
pub async fn write(store: &Store, registration: &Registration) -> anyhow::Result<()> {
    let key = keys::node(&registration.instance);
    let body = registration.to_bytes();
    let mut condition = match store.get(&key).await? {
        Some(object) => Condition::Unchanged(object.etag),
        None => Condition::Absent,
    };
    for _ in 0..3 {
        match store.write(&key, &body, &condition, WRITE_TIMEOUT).await? {
            Written::Ours(_) => return Ok(()),
            Written::Others(object) => condition = Condition::Unchanged(object.etag),
            Written::Gone => condition = Condition::Absent,
            Written::Unknown => break,
        }
    }
    anyhow::bail!("failed to write the registration '{}': no answer in {}s", store.url(&key), WRITE_TIMEOUT.as_secs())
}
