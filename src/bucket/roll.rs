//! All registrations. The folder is listed anew for every look, and what has not changed since an earlier one is not read again.

use super::keys;
use super::registrations::parsed;
use crate::aws::folder::Listed;
use crate::aws::store::Store;
use crate::aws::{CallFailed, CallFailure};
use crate::model::machine::ids::InstanceId;
use crate::model::membership::registration::Registration;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many registrations are read at once.
const AT_ONCE: usize = 32;

/// One machine's registration in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationEntry {
    /// The instance ID, from the key.
    pub instance: InstanceId,
    /// The registration, or why it cannot be read.
    pub registration: Result<Registration, String>,
}

/// Reads all registrations, again and again. Clones share what was read.
#[derive(Debug, Clone)]
pub struct Roll {
    store: Store,
    /// What was read, with its `ETag`.
    read: Arc<Mutex<BTreeMap<InstanceId, (String, Said)>>>,
}

/// What an object says: a registration, or why it is none.
type Said = Result<Registration, String>;

impl Roll {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), read: Arc::default() }
    }

    /// Every registration. One that cannot be read is an entry with its error.
    ///
    /// # Errors
    /// [`CallFailed`] when the keys cannot be listed.
    pub async fn all(&self) -> Result<Vec<RegistrationEntry>, CallFailed> {
        let found = self.look().await?.into_iter().map(|(instance, said)| {
            let registration = match said {
                Ok(said) => said.unwrap_or_else(|| Err("there is none".into())),
                Err(error) => Err(error.to_string()),
            };
            RegistrationEntry { instance, registration }
        });
        Ok(found.collect())
    }

    /// Every registration, without those that cannot be read.
    ///
    /// # Errors
    /// As [`Roll::all`].
    pub async fn all_readable(&self) -> Result<Vec<Registration>, CallFailed> {
        Ok(self.all().await?.into_iter().filter_map(|entry| entry.registration.ok()).collect())
    }

    /// Every registration, and whose say nothing: for where what they say may prevent a second cluster. Among those is an object that S3
    /// refuses to show while it shows others, such as one under a key that is gone.
    ///
    /// # Errors
    /// As [`Roll::all`], and when one of them cannot be had for now: it may be the one that matters; or when all that are there are
    /// refused: then it is the role that lacks a permission.
    pub async fn all_or_none(&self) -> Result<(Vec<Registration>, Vec<InstanceId>), CallFailed> {
        let (mut readable, mut unreadable, mut refused) = (Vec::new(), Vec::new(), None);
        for (instance, said) in self.look().await? {
            match said {
                Ok(Some(Ok(registration))) => readable.push(registration),
                // S3 may list what it does not show yet.
                Ok(Some(Err(_)) | None) => unreadable.push(instance),
                Err(failed) if is_of_the_object(failed.kind) => {
                    unreadable.push(instance);
                    refused.get_or_insert(failed);
                }
                Err(failed) => return Err(failed),
            }
        }
        match refused {
            Some(failed) if readable.is_empty() => Err(failed),
            Some(_) | None => Ok((readable, unreadable)),
        }
    }

    /// Every object that is listed; `None` where there is none under its key. What was read is kept even if the caller gives up before
    /// all is: the next look goes on from there.
    async fn look(&self) -> Result<Vec<(InstanceId, Result<Option<Said>, CallFailed>)>, CallFailed> {
        let listed = listed(&self.store).await?;
        let mut found: Vec<_> = futures::stream::iter(listed.clone())
            .map(async |(instance, etag)| (self.said(&instance, &etag).await, instance))
            .buffered(AT_ONCE)
            .map(|(said, instance)| (instance, said))
            .collect()
            .await;
        let mut there: BTreeMap<_, _> = listed.into_iter().collect();
        // Whoever has moved one meanwhile has deleted it here.
        if found.iter().any(|(_, said)| matches!(said, Ok(None))) {
            there = self::listed(&self.store).await?.into_iter().collect();
            found.retain(|(instance, said)| !matches!(said, Ok(None)) || there.contains_key(instance));
        }
        self.lock().retain(|instance, _| there.contains_key(instance));
        Ok(found)
    }

    /// What stands under a key: as it was read before, if it is still this `ETag`'s.
    async fn said(&self, instance: &InstanceId, etag: &str) -> Result<Option<Said>, CallFailed> {
        let before = self.lock().get(instance).filter(|(read, _)| !etag.is_empty() && read == etag).cloned();
        if let Some((_, said)) = before {
            return Ok(Some(said));
        }
        let Some(object) = self.store.get(&keys::node(instance)).await? else { return Ok(None) };
        let said = parsed(instance, &object.body);
        self.lock().insert(instance.clone(), (object.etag, said.clone()));
        Ok(Some(said))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<InstanceId, (String, Said)>> {
        // What a panic has left is still what was read.
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this failure may be one object's own: how it is encrypted, or where it is kept. Everything else is every object's.
fn is_of_the_object(kind: CallFailure) -> bool {
    match kind {
        CallFailure::Denied | CallFailure::Rejected => true,
        CallFailure::Credentials
        | CallFailure::Clock
        | CallFailure::Region
        | CallFailure::NoSuchBucket
        | CallFailure::Throttled
        | CallFailure::NoAnswer => false,
    }
}

/// The machines whose registrations are listed, with their `ETag`s.
async fn listed(store: &Store) -> Result<Vec<(InstanceId, String)>, CallFailed> {
    let instance = |Listed { key, etag, .. }: Listed| {
        let name = key.strip_prefix(keys::NODES)?.strip_suffix(".json")?;
        Some((InstanceId::parse(name).ok()?, etag))
    };
    Ok(store.list(keys::NODES).await?.into_iter().filter_map(instance).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::former::move_away;
    use crate::bucket::server::{Fault, Refusal, Server};
    use crate::model::membership::registration::RegistrationPhase;
    use anyhow::{Context, Result};
    use std::collections::BTreeSet;

    fn id(n: usize) -> InstanceId {
        InstanceId::parse(format!("i-{n:08x}")).unwrap()
    }

    fn registration(n: usize, phase: RegistrationPhase) -> Registration {
        Registration { node_name: format!("node-{n}"), ..Registration::sample(id(n), phase) }
    }

    fn path(key: &str) -> String {
        format!("/bucket/prefix/{key}")
    }

    fn put(server: &Server, registration: &Registration) {
        let body = String::from_utf8(registration.to_bytes()).unwrap();
        server.objects().insert(path(&keys::node(&registration.instance)), body);
    }

    /// What was asked since the last time: how often keys were listed, and which objects were read.
    fn asked(server: &Server) -> (usize, Vec<String>) {
        let asked = std::mem::take(&mut *server.asked());
        let (lists, reads): (Vec<_>, Vec<_>) = asked.into_iter().partition(|line| line == "GET ");
        (lists.len(), reads)
    }

    #[tokio::test]
    async fn a_registration_is_read_once_until_it_changes() -> Result<()> {
        use RegistrationPhase::{Joined, Leaving};
        let (server, store) = Server::start(Fault::None).await?;
        (0..100).for_each(|n| put(&server, &registration(n, Joined)));
        server.objects().insert(path("control-plane/nodes/i-0000ffff.json"), "garbage".into());
        server.objects().insert(path("control-plane/nodes/check-i-1-x"), String::new());
        server.objects().insert(path(&keys::former(&id(7))), "garbage".into());
        let roll = Roll::new(&store);
        let (readable, unreadable) = roll.all_or_none().await?;
        assert_eq!((readable.len(), unreadable), (100, vec![InstanceId::parse("i-0000ffff").unwrap()]));
        let (lists, reads) = asked(&server);
        assert_eq!((lists, reads.len(), reads.iter().collect::<BTreeSet<_>>().len()), (1, 101, 101));
        put(&server, &registration(3, Leaving));
        put(&server, &registration(200, Joined));
        server.objects().remove(&path(&keys::node(&id(5))));
        for (readers, changed) in [(roll.clone(), vec![3, 200]), (roll, vec![])] {
            let all = readers.all().await?;
            let phase = |n| all.iter().find(|entry| entry.instance == id(n)).map(|entry| entry.registration.clone());
            assert_eq!(phase(3), Some(Ok(registration(3, Leaving))));
            assert_eq!((phase(5), all.len()), (None, 101));
            let expected: Vec<_> = changed.into_iter().map(|n| format!("GET {}", path(&keys::node(&id(n))))).collect();
            assert_eq!(asked(&server), (1, expected));
        }
        Ok(())
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_tried_again() -> Result<()> {
        let (server, store) = Server::start(Fault::None).await?;
        put(&server, &registration(1, RegistrationPhase::Joined));
        let roll = Roll::new(&store);
        server.set_fault(Fault::DeniesRead);
        assert!(roll.all_or_none().await.is_err());
        assert!(roll.all().await?.iter().all(|entry| entry.registration.is_err()));
        server.set_fault(Fault::None);
        assert_eq!(roll.all_readable().await?, [registration(1, RegistrationPhase::Joined)]);
        Ok(())
    }

    #[tokio::test]
    async fn one_object_that_nobody_may_read_hides_no_other() -> Result<()> {
        // S3's own denial, that of a key that nobody may use, one that is switched off, an archive, and what passes or is everybody's.
        let rows = [
            (Refusal(403, "AccessDenied"), true),
            (Refusal(400, "KMS.DisabledException"), true),
            (Refusal(400, "KMS.NotFoundException"), true),
            (Refusal(403, "InvalidObjectState"), true),
            (Refusal(400, "ExpiredToken"), false),
            (Refusal(403, "RequestTimeTooSkewed"), false),
        ];
        for (refusal, is_of_one) in rows {
            let (server, store) = Server::start(Fault::None).await?;
            (1..4).for_each(|n| put(&server, &registration(n, RegistrationPhase::Joined)));
            server.refuse(&path(&keys::node(&id(2))), refusal);
            let roll = Roll::new(&store);
            let found = roll.all_or_none().await.ok().map(|(readable, unreadable)| (readable.len(), unreadable));
            assert_eq!(found, is_of_one.then(|| (2, vec![id(2)])), "{refusal:?}");
            // Where nothing can be read, it is not one object.
            [1, 3].iter().for_each(|n| drop(server.objects().remove(&path(&keys::node(&id(*n))))));
            assert!(roll.all_or_none().await.is_err(), "{refusal:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn what_is_larger_than_any_object_of_kubeboots_says_nothing_and_is_read_once() -> Result<()> {
        let (server, store) = Server::start(Fault::None).await?;
        server.objects().insert(path(&keys::node(&id(2))), "x".repeat(3 * 1024 * 1024));
        let roll = Roll::new(&store);
        for reads in [1, 0] {
            assert_eq!(roll.all_or_none().await?, (vec![], vec![id(2)]));
            assert_eq!(asked(&server).1.len(), reads);
        }
        let said = roll.all().await?.remove(0).registration.unwrap_err();
        assert!(said.contains("more than the 16384 of a registration"), "{said}");
        Ok(())
    }

    #[tokio::test]
    async fn moving_writes_there_first_and_deletes_only_what_was_judged() -> Result<()> {
        use RegistrationPhase::{Failed, Joined, Left, Reaped};
        let (here, there) = (path(&keys::node(&id(1))), path(&keys::former(&id(1))));
        let moved = |server: &Server| {
            let objects = server.objects();
            let read = |path: &str| objects.get(path).and_then(|body| Registration::parse(body.as_bytes()).ok());
            (read(&here).map(|found| found.phase), read(&there).map(|found| found.phase))
        };
        for (judged, ended) in [(Left, Left), (Reaped, Reaped), (Failed, Reaped), (Joined, Reaped)] {
            let (server, store) = Server::start(Fault::None).await?;
            put(&server, &registration(1, judged));
            // Cut off before the deletion, then once more.
            server.set_fault(Fault::DeniesDelete);
            assert!(move_away(&store, &registration(1, judged), "now").await.is_err());
            assert_eq!(moved(&server), (Some(judged), Some(ended)));
            server.set_fault(Fault::None);
            assert!(move_away(&store, &registration(1, judged), "later").await?);
            assert_eq!(moved(&server), (None, Some(ended)));
            // There is nothing to move any more.
            assert!(!move_away(&store, &registration(1, judged), "now").await?);
        }
        let (server, store) = Server::start(Fault::None).await?;
        put(&server, &registration(1, Joined));
        assert!(!move_away(&store, &registration(1, Left), "now").await?, "it is back");
        assert_eq!(moved(&server), (Some(Joined), None));
        let object = store.get(&keys::node(&id(1))).await?.context("it is there")?;
        put(&server, &registration(1, Failed));
        let kept = store.remove_unchanged(&keys::node(&id(1)), &object.etag).await?;
        assert_eq!((kept, moved(&server).0), (crate::aws::folder::ObjectRemoved::Stays, Some(Failed)));
        Ok(())
    }
}
