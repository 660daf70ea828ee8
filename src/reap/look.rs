//! One look at everything a plan depends on, and what follows from it.

use super::local::{LocalReap, waiting};
use super::sources::look;
use crate::bucket::keys;
use crate::etcd::{self, Access};
use crate::exit::Exit;
use crate::model::duration::in_words;
use crate::model::machine::ids::{MemberId, Nonce};
use crate::model::membership::lease::Lease;
use crate::model::membership::members::{Member, Members};
use crate::model::membership::reaping::{ReapVerdict, plan};
use crate::model::membership::registration::Registration;
use crate::model::membership::view::ClusterView;
use crate::model::reap::operator::{self, OperatorRemoval, ReapRefusal, grace_left};
use crate::node::group::View;
use crate::node::peers;
use crate::node::reaping::Reaper;
use anyhow::{Context, Result, anyhow};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long etcd may take to elect a leader, or a voter to come back, before that counts as an answer.
const ETCD_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two looks while something is waited for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// One look.
#[derive(Debug, Clone)]
pub(super) struct ReapObservation {
    pub(super) members: Members,
    pub(super) view: View,
    pub(super) registrations: Vec<Registration>,
}

/// A nonce as if this command held the lease: a plan with it counts every join of an earlier holder as given up.
///
/// # Errors
/// Only if a UUID were no nonce.
pub(super) fn fresh_nonce() -> Result<Nonce> {
    Nonce::parse(uuid::Uuid::new_v4().to_string()).context("a UUID is a nonce")
}

impl LocalReap {
    /// Looks at everything a plan depends on.
    ///
    /// # Errors
    /// With [`Exit::Operator`] when etcd has lost its quorum, [`Exit::TryAgain`] when it does not answer; AWS' own.
    pub(super) async fn observe(&mut self) -> Result<ReapObservation> {
        let registrations = self.roll.all_readable().await?;
        let view = look(&mut self.group, &self.facts, &self.record, &registrations).await?;
        let members = self.members(&self.peers(&view)).await?;
        Ok(ReapObservation { members, view, registrations })
    }

    /// The same, once every machine that EC2 leaves out has been left out for `gone_grace`, or `deadline` has passed.
    ///
    /// # Errors
    /// As [`LocalReap::observe`].
    pub(super) async fn settled(&mut self, deadline: Instant) -> Result<ReapObservation> {
        let mut announced = None;
        loop {
            let observed = self.observe().await?;
            let nonce = fresh_nonce()?;
            let soon =
                self.reaper(&observed, &nonce)?
                    .with_input(&observed.members, &observed.registrations, |input| grace_left(input, &plan(input)));
            let Some((instance, left)) = soon.filter(|_| Instant::now() < deadline) else { return Ok(observed) };
            if announced.as_ref() != Some(&instance) {
                let left = in_words(Duration::from_secs(left.as_secs() + 1));
                waiting(&format!("EC2 does not know {instance}; it counts as gone after another {left} (gone_grace)"));
                announced = Some(instance);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// The plan, if this nonce were the lease's.
    pub(super) fn plan(&self, observed: &ReapObservation, nonce: &Nonce) -> Result<Vec<(Member, ReapVerdict)>> {
        Ok(self.reaper(observed, nonce)?.judge(&observed.members, &observed.registrations))
    }

    /// The same for one member that was named; `None` when it is not listed.
    pub(super) fn judged(
        &self,
        observed: &ReapObservation,
        id: MemberId,
        nonce: &Nonce,
    ) -> Result<Option<Result<OperatorRemoval, ReapRefusal>>> {
        let reaper = self.reaper(observed, nonce)?;
        Ok(reaper
            .with_input(&observed.members, &observed.registrations, |input| operator::named_by_operator(input, id)))
    }

    /// The lease's nonce as it is now, for a plan that is not carried out.
    ///
    /// # Errors
    /// S3's.
    pub(super) async fn lease_nonce(&self) -> Result<Nonce> {
        let object = self.store.get(keys::LEASE).await?;
        let lease = object.and_then(|object| Lease::parse(&object.body).ok());
        match lease.and_then(|lease| lease.holder) {
            Some(holder) => Ok(holder.nonce),
            None => fresh_nonce(),
        }
    }

    pub(super) fn reaper<'a>(&'a self, observed: &'a ReapObservation, lease: &'a Nonce) -> Result<Reaper<'a>> {
        Ok(Reaper {
            facts: &self.facts,
            store: &self.store,
            access: self.access()?,
            kubeconfig: &self.credentials.kubeconfig,
            view: &observed.view,
            own: self.own,
            lease: Some(lease),
        })
    }

    fn access(&self) -> Result<&Access> {
        self.credentials.etcd.as_ref().context("there are no credentials for etcd")
    }

    /// Those that may answer, this machine first.
    fn peers(&self, view: &View) -> Vec<IpAddr> {
        self.own.into_iter().chain(peers::seen(view, &self.facts.machine.instance)).collect()
    }

    /// A certain list with a quorum behind it.
    async fn members(&self, peers: &[IpAddr]) -> Result<Members> {
        let end = Instant::now() + ETCD_TIMEOUT;
        let mut announced = false;
        loop {
            let error = match etcd::observe(self.access()?, peers).await {
                ClusterView::Listed(members) if members.has_quorum() => return Ok(members),
                ClusterView::Listed(members) | ClusterView::NoQuorum(members) => anyhow!(
                    "etcd: quorum lost: {} of {} answers: no member can be removed; bring voters back first, 'kubeboot status' shows them",
                    members.answering(),
                    members.voters().count()
                )
                .context(Exit::Operator),
                ClusterView::Unknown { why } => anyhow!("etcd does not answer: {why}").context(Exit::TryAgain),
                ClusterView::External | ClusterView::NotAsked => anyhow!("etcd was not asked"),
            };
            if Instant::now() >= end {
                return Err(error);
            }
            if !std::mem::replace(&mut announced, true) {
                waiting(&format!("etcd to answer with a quorum, for at most {}", in_words(ETCD_TIMEOUT)));
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}
