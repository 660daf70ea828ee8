//! Writes this machine's registration when something in it has changed. A hint for others: no failure here stops
//! anything but the start of a join.

use crate::aws::store::Store;
use crate::bucket::registrations;
use crate::model::ids::{ClaimId, MemberId, Nonce, Uid};
use crate::model::registration::{Phase, Registration, Versions};
use anyhow::Result;
use std::time::SystemTime;

/// The registration as last written, and where it goes.
#[derive(Debug)]
pub struct Registrar {
    store: Store,
    now: Registration,
    written: Option<Registration>,
    silent: bool,
}

impl Registrar {
    /// A registrar for this machine. What an earlier run has said of its member and Node stays said.
    pub async fn load(store: Store, facts: &super::Facts) -> Self {
        let before = registrations::read(&store, &facts.machine.instance).await.ok();
        let before = before.as_ref();
        let now = Registration {
            schema: crate::model::registration::SCHEMA,
            instance: facts.machine.instance.clone(),
            phase: Phase::Waiting,
            claim_id: before.and_then(|before| before.claim_id.clone()),
            lease_nonce: before.and_then(|before| before.lease_nonce.clone()),
            node_name: facts.node_name.clone(),
            node_uid: before.and_then(|before| before.node_uid.clone()),
            provider_id: facts.machine.provider_id(),
            addresses: facts.machine.addresses.clone(),
            member_id: before.and_then(|before| before.member_id),
            versions: Versions {
                kubeboot: env!("CARGO_PKG_VERSION").to_owned(),
                kubeadm: Some(facts.cluster.kubernetes_version.clone()).filter(|version| !version.is_empty()),
            },
            waits_for: None,
            last_error: None,
            since: String::new(),
            updated: String::new(),
        };
        Self { store, now, written: None, silent: true }
    }

    /// Whether to write anything: not into a folder that may be another cluster's.
    pub fn silence(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Says what is waited for.
    pub async fn waiting(&mut self, claim: Option<&ClaimId>, reason: &str) {
        self.enter(Phase::Waiting, claim);
        self.now.waits_for = Some(reason.to_owned());
        self.write().await;
    }

    /// UID of its Node, as far as an earlier run has said it.
    #[must_use]
    pub fn node_uid(&self) -> Option<&Uid> {
        self.now.node_uid.as_ref()
    }

    /// Enters a phase under a claim.
    pub async fn phase(&mut self, phase: Phase, claim: &ClaimId) {
        self.enter(phase, Some(claim));
        self.write().await;
    }

    /// Enters `joining` under this holding of the membership lease; with external etcd there is none.
    ///
    /// # Errors
    /// It could not be written. Then nobody could explain the member that this machine is about to become, and if the machine
    /// died, its member would block every join until an operator came.
    pub async fn joining(&mut self, claim: &ClaimId, nonce: Option<&Nonce>) -> Result<()> {
        self.enter(Phase::Joining, Some(claim));
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
        self.enter(Phase::Joined, Some(claim));
        self.now.last_error = None;
        self.now.member_id = member.or(self.now.member_id);
        self.now.node_uid = node.or(self.now.node_uid.take());
        self.write().await;
    }

    /// Remembers an error, redacted by whoever made it; shown until the machine has joined.
    pub async fn failed(&mut self, error: &str) {
        self.now.last_error = Some(error.chars().take(1000).collect());
        self.write().await;
    }

    /// Gives up.
    pub async fn gave_up(&mut self, error: &str) {
        self.enter(Phase::Failed, None);
        self.failed(error).await;
    }

    /// Forgets the member that this machine was.
    pub fn no_member(&mut self) {
        (self.now.member_id, self.now.node_uid, self.now.lease_nonce) = (None, None, None);
    }

    fn enter(&mut self, phase: Phase, claim: Option<&ClaimId>) {
        if self.now.phase != phase || self.now.since.is_empty() {
            self.now.since = rfc3339();
        }
        self.now.phase = phase;
        self.now.waits_for = None;
        if let Some(claim) = claim {
            self.now.claim_id = Some(claim.clone());
        }
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
