//! Writes this machine's registration when something in it has changed. A hint for others: no failure here stops
//! anything but the start of a join.

use crate::aws::store::Store;
use crate::bucket::registrations;
use crate::kubeadm::output::redact;
use crate::model::machine::ids::{ClaimId, MemberId, Nonce, Uid};
use crate::model::membership::registration::{HookWork, Registration, RegistrationPhase, Upgraded, Versions};
use crate::model::record::cluster::ClusterRecord;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// The registration as last written, and where it goes.
#[derive(Debug)]
pub struct Registrar {
    store: Store,
    now: Registration,
    earlier: Earlier,
    written: Option<Registration>,
    silent: bool,
    /// Whether that was tried before it was needed.
    read_ahead: bool,
}

/// What an earlier run has said of this machine's member and Node: nothing is written over it before it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Earlier {
    /// Still to be read.
    Unread,
    /// Still to be read, but the member that it may speak of is gone by now.
    MemberGone,
    /// Part of what is written.
    Recalled,
}

impl Registrar {
    /// A registrar for this machine, which has read what an earlier run has registered.
    pub async fn load(store: Store, facts: &super::Facts) -> Self {
        let mut registrar = Self::new(store, facts);
        registrar.read_ahead().await;
        registrar
    }

    /// A registrar for this machine. What an earlier run has registered of its member and Node is kept: it is read before the first
    /// write, unless it was read ahead.
    #[must_use]
    pub fn new(store: Store, facts: &super::Facts) -> Self {
        let now = Registration {
            schema: crate::model::membership::registration::SCHEMA,
            instance: facts.machine.instance.clone(),
            phase: RegistrationPhase::Waiting,
            claim_id: None,
            ready_claim: None,
            lease_nonce: None,
            node_name: facts.node_name.clone(),
            node_uid: None,
            provider_id: facts.machine.provider_id(),
            addresses: facts.machine.addresses.clone(),
            member_id: None,
            versions: Versions {
                kubeboot: env!("CARGO_PKG_VERSION").to_owned(),
                kubeadm: Some(facts.cluster.kubernetes_version.clone()).filter(|version| !version.is_empty()),
                record_schema: Some(crate::model::record::cluster::SCHEMA),
            },
            waits_for: None,
            retired: false,
            hook: None,
            upgraded: None,
            digests: Default::default(),
            last_error: None,
            since: String::new(),
            updated: String::new(),
            later: Default::default(),
        };
        Self::of(store, now)
    }

    fn of(store: Store, now: Registration) -> Self {
        Self { store, now, earlier: Earlier::Unread, written: None, silent: true, read_ahead: false }
    }

    /// Reads what an earlier run has registered, once, so that nothing waits for it when something is written. A failure is a warning.
    pub async fn read_ahead(&mut self) {
        if std::mem::replace(&mut self.read_ahead, true) {
            return;
        }
        if let Err(error) = self.recall().await {
            tracing::warn!("{error:#}; nothing is written over it before it was read");
        }
    }

    /// Whether to write anything: not into a folder that may be another cluster's.
    pub fn silence(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Notes what the record says: written with whatever is registered next.
    pub fn notes(&mut self, record: &ClusterRecord) {
        self.now.notes(record);
    }

    /// Says what is waited for.
    pub async fn waiting(&mut self, claim: Option<&ClaimId>, reason: &str) {
        self.enter(RegistrationPhase::Waiting, claim);
        self.now.waits_for = Some(redact(reason));
        self.write().await;
    }

    /// Whether this is what it has said last.
    #[must_use]
    pub fn waits_for(&self, reason: &str) -> bool {
        self.now.phase == RegistrationPhase::Waiting && self.now.waits_for.as_deref() == Some(redact(reason).as_str())
    }

    /// UID of its Node, as far as an earlier run has said it.
    #[must_use]
    pub fn node_uid(&self) -> Option<&Uid> {
        self.now.node_uid.as_ref()
    }

    /// Enters a phase under a claim.
    pub async fn phase(&mut self, phase: RegistrationPhase, claim: &ClaimId) {
        self.enter(phase, Some(claim));
        self.write().await;
    }

    /// Enters `joining` under this holding of the membership lease; with external etcd there is none. Of a member that this machine was
    /// before nothing more is said, because that was removed by now: an earlier run may have been killed before it could say so, and
    /// whoever names that member explains no other.
    ///
    /// # Errors
    /// It could not be written. Then no registration would explain the member that this machine is about to become, and if
    /// the machine died, its member would block every join until an operator removes it.
    pub async fn joining(&mut self, claim: &ClaimId, nonce: Option<&Nonce>) -> Result<()> {
        self.no_member();
        self.enter(RegistrationPhase::Joining, Some(claim));
        self.now.lease_nonce = nonce.cloned();
        self.try_write().await
    }

    /// Says which etcd member this machine is.
    pub async fn member(&mut self, id: MemberId) {
        self.now.member_id = Some(id);
        self.write().await;
    }

    /// Says that it is a voter, and of which Node.
    pub async fn joined(&mut self, claim: &ClaimId, member: Option<MemberId>, node: Option<Uid>) {
        self.enter(RegistrationPhase::Joined, Some(claim));
        self.now.last_error = None;
        self.now.member_id = member.or(self.now.member_id);
        self.now.node_uid = node.or(self.now.node_uid.take());
        self.write().await;
    }

    /// Says what this machine has of what must be the same on every one; written with what is registered next.
    pub fn has(&mut self, digests: BTreeMap<String, String>) {
        self.now.digests = digests;
    }

    /// Says that it has raised the version of the cluster's configuration.
    pub async fn upgraded(&mut self, upgraded: Upgraded) {
        self.now.upgraded = Some(upgraded);
        self.write().await;
    }

    /// Remembers an error, without secrets; shown until the machine has joined.
    pub async fn failed(&mut self, error: &str) {
        self.now.last_error = Some(redact(error));
        self.write().await;
    }

    /// Gives up.
    pub async fn gave_up(&mut self, error: &str) {
        self.enter(RegistrationPhase::Failed, None);
        self.failed(error).await;
    }

    /// Says what it does in its terminate hook; written with what is registered next.
    pub fn in_hook(&mut self, work: Option<HookWork>) {
        self.now.hook = work;
    }

    /// Forgets the member that this machine was.
    pub fn no_member(&mut self) {
        self.now.forget_member();
        if self.earlier == Earlier::Unread {
            self.earlier = Earlier::MemberGone;
        }
    }

    fn enter(&mut self, phase: RegistrationPhase, claim: Option<&ClaimId>) {
        if self.now.phase != phase || self.now.since.is_empty() {
            self.now.since = rfc3339();
        }
        self.now.phase = phase;
        self.now.waits_for = None;
        if let Some(claim) = claim {
            self.now.claim_id = Some(claim.clone());
        }
    }

    /// Reads what an earlier run has said, unless that was done.
    async fn recall(&mut self) -> Result<()> {
        if self.earlier == Earlier::Recalled {
            return Ok(());
        }
        match registrations::read(&self.store, &self.now.instance)
            .await
            .context("failed to read the last registration")?
        {
            Some(Ok(mut said)) => {
                if self.earlier == Earlier::MemberGone {
                    said.forget_member();
                }
                self.now.recall(said);
            }
            Some(Err(why)) => {
                tracing::warn!("this machine's last registration cannot be read, going on without: {why}")
            }
            None => {}
        }
        self.earlier = Earlier::Recalled;
        Ok(())
    }

    async fn write(&mut self) {
        if let Err(error) = self.try_write().await {
            tracing::warn!("failed to write this machine's registration, going on without: {error:#}");
        }
    }

    async fn try_write(&mut self) -> Result<()> {
        let same = self.written.as_ref().is_some_and(|written| *written == self.now);
        if same || self.silent {
            return Ok(());
        }
        self.recall().await?;
        let before = self.now.clone();
        let body = Registration { updated: rfc3339(), ..before.clone() };
        registrations::write(&self.store, &body).await?;
        self.written = Some(before);
        Ok(())
    }
}

/// Now, by this machine's clock, for people.
#[must_use]
pub fn rfc3339() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::keys;
    use crate::bucket::server::{Fault, Server};
    use crate::model::machine::ids::InstanceId;
    use std::sync::Arc;

    fn claim() -> ClaimId {
        ClaimId::parse("00000000-0000-4000-8000-000000000001").unwrap()
    }

    /// What this run knows of the machine before it has read anything.
    fn blank() -> Registration {
        Registration {
            node_name: "node-1".into(),
            addresses: vec!["10.0.0.1".parse().unwrap()],
            ..Registration::sample(InstanceId::parse("i-00000001").unwrap(), RegistrationPhase::Waiting)
        }
    }

    /// What an earlier run has left.
    fn joined() -> Registration {
        Registration {
            phase: RegistrationPhase::Joined,
            claim_id: Some(claim()),
            lease_nonce: Some(Nonce::parse("00000000-0000-4000-8000-000000000002").unwrap()),
            member_id: Some(MemberId(7)),
            node_uid: Some(Uid::parse("00000000-0000-4000-8000-000000000003").unwrap()),
            ..blank()
        }
    }

    /// A bucket with this in it, and a registrar that begins while the server does this wrong.
    async fn begun(stored: Option<&[u8]>, fault: Fault) -> Result<(Arc<Server>, Registrar)> {
        let (server, store) = Server::start(fault).await?;
        if let Some(body) = stored {
            let path = format!("/bucket/prefix/{}", keys::node(&blank().instance));
            server.objects().insert(path, String::from_utf8(body.to_vec())?);
        }
        let mut registrar = Registrar::of(store, blank());
        registrar.read_ahead().await;
        registrar.silence(false);
        Ok((server, registrar))
    }

    fn stored(server: &Server) -> Option<Registration> {
        let objects = server.objects();
        assert!(objects.len() <= 1, "{objects:?}");
        objects.values().next().and_then(|body| Registration::parse(body.as_bytes()).ok())
    }

    #[tokio::test]
    async fn what_could_not_be_read_is_read_before_it_is_written_over() -> Result<()> {
        let earlier = joined();
        let (server, mut registrar) = begun(Some(&earlier.to_bytes()), Fault::DeniesGet).await?;
        registrar.waiting(Some(&claim()), "its turn").await;
        assert_eq!(stored(&server), Some(earlier.clone()), "it was written over without having been read");
        server.set_fault(Fault::None);
        registrar.waiting(Some(&claim()), "its turn").await;
        let now = stored(&server).context("a registration")?;
        assert_eq!(now.phase, RegistrationPhase::Waiting);
        assert_eq!(now.waits_for.as_deref(), Some("its turn"));
        assert_eq!((now.member_id, &now.node_uid), (earlier.member_id, &earlier.node_uid));
        assert_eq!(now.lease_nonce, earlier.lease_nonce);
        Ok(())
    }

    #[tokio::test]
    async fn what_is_gone_by_then_is_not_recalled_and_what_is_known_anew_stays() -> Result<()> {
        let (server, mut registrar) = begun(Some(&joined().to_bytes()), Fault::DeniesGet).await?;
        registrar.no_member();
        let nonce = Nonce::parse("00000000-0000-4000-8000-000000000009").unwrap();
        let joining = registrar.joining(&claim(), Some(&nonce)).await;
        assert!(joining.is_err(), "a join began that nobody could explain");
        server.set_fault(Fault::None);
        registrar.joining(&claim(), Some(&nonce)).await?;
        let now = stored(&server).context("a registration")?;
        assert_eq!((now.phase, now.member_id, now.node_uid), (RegistrationPhase::Joining, None, None));
        assert_eq!(now.lease_nonce, Some(nonce));
        registrar.member(MemberId(8)).await;
        assert_eq!(stored(&server).and_then(|now| now.member_id), Some(MemberId(8)));
        Ok(())
    }

    #[tokio::test]
    async fn a_join_names_no_member_that_was_removed_before_it_though_nobody_could_say_so() -> Result<()> {
        let (server, mut registrar) = begun(Some(&joined().to_bytes()), Fault::None).await?;
        registrar.joining(&claim(), None).await?;
        let now = stored(&server).context("a registration")?;
        assert_eq!((now.phase, now.member_id, now.node_uid), (RegistrationPhase::Joining, None, None));
        Ok(())
    }

    #[tokio::test]
    async fn nothing_and_garbage_are_no_failures() -> Result<()> {
        for body in [None, Some(&b"garbage"[..]), Some(&b"{}"[..])] {
            let (server, mut registrar) = begun(body, Fault::None).await?;
            registrar.phase(RegistrationPhase::Joining, &claim()).await;
            assert_eq!(stored(&server).map(|now| (now.phase, now.member_id)), Some((RegistrationPhase::Joining, None)));
        }
        Ok(())
    }
}
