//! Reading and writing one machine's registration.

use super::keys;
use crate::aws::CallFailed;
use crate::aws::store::{Store, Written};
use crate::exit::Exit;
use crate::model::duration::in_words;
use crate::model::machine::ids::InstanceId;
use crate::model::membership::registration::{HookWork, Registration, RegistrationPhase};
use crate::model::record::cluster::ClusterRecord;
use crate::model::record::conditional_write::Condition;
use std::time::Duration;

/// How long writing a registration may take. It is a hint, so the caller goes on without it.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads one machine's registration: `None` where there is none, and an inner error where what is there says nothing.
///
/// # Errors
/// [`CallFailed`]: it is not known whether there is one.
pub async fn read(store: &Store, instance: &InstanceId) -> Result<Option<Result<Registration, String>>, CallFailed> {
    Ok(store.get(&keys::node(instance)).await?.map(|object| parsed(instance, &object.body)))
}

/// What stands under the key of this machine's registration.
pub(super) fn parsed(instance: &InstanceId, body: &[u8]) -> Result<Registration, String> {
    let found = Registration::parse(body)?;
    if found.instance == *instance { Ok(found) } else { Err(format!("it says it is {}", found.instance)) }
}

/// Marks the registration of a machine that is gone and whose member was removed. Only if it is unchanged; if it has changed, the
/// mark is not needed. Whether it was marked.
///
/// # Errors
/// [`CallFailed`].
pub async fn mark_reaped(store: &Store, registration: &Registration, now: String) -> Result<bool, CallFailed> {
    let key = keys::node(&registration.instance);
    let Some(object) = store.get(&key).await? else { return Ok(false) };
    if Registration::parse(&object.body).as_ref() != Ok(registration) {
        return Ok(false);
    }
    let next = Registration { phase: RegistrationPhase::Reaped, updated: now, ..registration.clone() };
    let written = store.write(&key, &next.to_bytes(), &Condition::Unchanged(object.etag), WRITE_TIMEOUT).await?;
    Ok(matches!(written, Written::Ours(_)))
}

/// Says what this machine does in its terminate hook, and that it is at work: a registration that does not change is one of a machine
/// that may be dead. Nothing else in it changes, and where there is none nothing is written.
///
/// # Errors
/// [`CallFailed`].
pub async fn say_in_hook(store: &Store, instance: &InstanceId, work: HookWork, now: String) -> Result<(), CallFailed> {
    let key = keys::node(instance);
    let Some(object) = store.get(&key).await? else { return Ok(()) };
    let Ok(found) = parsed(instance, &object.body) else { return Ok(()) };
    let next = Registration { hook: Some(work), updated: now, ..found };
    // If it has changed meanwhile, it says something newer.
    store.write(&key, &next.to_bytes(), &Condition::Unchanged(object.etag), WRITE_TIMEOUT).await?;
    Ok(())
}

/// Marks the registration of a machine as one of a cluster that this record gives up. `false` where there was nothing to mark. If it
/// changes meanwhile, it is looked at anew.
///
/// # Errors
/// [`CallFailed`], or no answer.
pub async fn mark_given_up(
    store: &Store,
    instance: &InstanceId,
    record: &ClusterRecord,
    now: &str,
) -> anyhow::Result<bool> {
    let key = keys::node(instance);
    for _ in 0..3 {
        let Some(object) = store.get(&key).await? else { return Ok(false) };
        let found = Registration::parse(&object.body).ok();
        let Some(next) = found.and_then(|found| found.given_up_by(record, now.to_owned())) else { return Ok(false) };
        match store.write(&key, &next.to_bytes(), &Condition::Unchanged(object.etag), WRITE_TIMEOUT).await? {
            Written::Ours(_) => return Ok(true),
            Written::Others(_) | Written::Gone => {}
            Written::Unknown => break,
        }
    }
    let failed =
        anyhow::anyhow!("failed to mark the registration '{}': it changes, or S3 does not answer", store.url(&key));
    Err(failed.context(Exit::TryAgain))
}

/// Writes this machine's own registration over the stored one. Only this machine writes it, except for a reaper after the machine
/// is gone.
///
/// # Errors
/// [`CallFailed`], or no answer; the caller goes on without it.
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
    anyhow::bail!("failed to write the registration '{}': no answer in {}", store.url(&key), in_words(WRITE_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::server::{Fault, Server};
    use crate::model::machine::ids::MemberId;

    #[tokio::test]
    async fn what_a_machine_does_in_its_hook_changes_nothing_else_that_it_said() -> anyhow::Result<()> {
        let (server, store) = Server::start(Fault::None).await?;
        let said = Registration {
            member_id: Some(MemberId(7)),
            last_error: Some("e".into()),
            ..Registration::sample(InstanceId::parse("i-00000001")?, RegistrationPhase::Joined)
        };
        let path = format!("/bucket/prefix/{}", keys::node(&said.instance));
        say_in_hook(&store, &said.instance, HookWork::Holding, "now".into()).await?;
        assert!(server.objects().is_empty(), "nothing was registered, so nothing is written");
        server.objects().insert(path.clone(), String::from_utf8(said.to_bytes())?);
        for (work, now) in [(HookWork::Holding, "1"), (HookWork::Holding, "2"), (HookWork::Leaving, "3")] {
            say_in_hook(&store, &said.instance, work, now.into()).await?;
            let stored = server.objects().get(&path).cloned().unwrap_or_default();
            let expected = Registration { hook: Some(work), updated: now.into(), ..said.clone() };
            assert_eq!(Registration::parse(stored.as_bytes()), Ok(expected));
        }
        Ok(())
    }
}
