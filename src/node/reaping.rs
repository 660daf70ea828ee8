//! Removing the members of machines that are gone, so that the living can join.

use super::Facts;
use super::former_node::{self, NodeGone};
use super::group::View;
use super::peers;
use super::registrar::rfc3339;
use crate::aws::store::Store;
use crate::bucket::registrations;
use crate::etcd::{self, Access};
use crate::kube::Kubeconfig;
use crate::model::machine::ids::{InstanceId, MemberId, Nonce};
use crate::model::membership::members::{Member, Members, Removal};
use crate::model::membership::reaping::{ReapInput, ReapVerdict, RemovalReason, blocking_member, plan};
use crate::model::membership::registration::Registration;
use crate::model::membership::starting::starting;
use crate::model::membership::view::ClusterView;
use anyhow::{Result, bail};
use std::net::IpAddr;

/// What reaping needs to know and to reach.
pub struct Reaper<'a> {
    /// This machine.
    pub facts: &'a Facts,
    /// The bucket.
    pub store: &'a Store,
    /// Credentials for etcd.
    pub access: &'a Access,
    /// Credentials for the API servers.
    pub kubeconfig: &'a Kubeconfig,
    /// The group, and what EC2 says of every registered instance.
    pub view: &'a View,
    /// This machine's own address, where it is a member: its own etcd and API server are asked as well.
    pub own: Option<IpAddr>,
    /// The membership lease as it is held now.
    pub lease: Option<&'a Nonce>,
}

impl Reaper<'_> {
    /// Judges every member of a certain list.
    #[must_use]
    pub fn judge(&self, members: &Members, registrations: &[Registration]) -> Vec<(Member, ReapVerdict)> {
        self.with_input(members, registrations, plan)
    }

    /// Puts together what the rules of reaping depend on, for `judge` to decide by.
    pub fn with_input<T>(
        &self,
        members: &Members,
        registrations: &[Registration],
        judge: impl FnOnce(&ReapInput<'_>) -> T,
    ) -> T {
        judge(&ReapInput {
            me: &self.facts.machine.instance,
            members,
            registrations,
            instances: &self.view.instances,
            live_addresses: &self.view.live_addresses,
            in_standby: &self.standby(),
            lease: self.lease,
            gone_grace: self.facts.settings.gone_grace,
        })
    }

    /// Removes what a plan removes, one by one, each verified; then the Node; then the registration is marked. Says what is
    /// left that would make etcd refuse a new member, these of its voters having been silent only lately.
    ///
    /// # Errors
    /// A removal failed.
    pub async fn reap(
        &self,
        members: &Members,
        silent_lately: &[MemberId],
        registrations: &[Registration],
    ) -> Result<Option<String>> {
        let judged = self.judge(members, registrations);
        let starting = &starting(silent_lately, members, registrations);
        let mut now = members.clone();
        for (member, verdict) in &judged {
            if let ReapVerdict::Remove(why) = verdict {
                now = self.reap_member(&now, member, why, registrations).await?.0;
            }
        }
        Ok(blocking_member(&judged, starting).map(|(member, verdict)| {
            format!("etcd member {} ('{}') to answer or to go; {verdict}", member.id, member.name)
        }))
    }

    /// Removes one member as it was judged; then its Node; then its registration is marked. The list afterwards, and what
    /// became of the Node, where that is known.
    ///
    /// # Errors
    /// The member got its vote meanwhile, or the removal failed.
    pub async fn reap_member(
        &self,
        members: &Members,
        judged: &Member,
        why: &RemovalReason,
        registrations: &[Registration],
    ) -> Result<(Members, Option<NodeGone>)> {
        tracing::warn!(member = %judged.id, name = judged.name, "reaping an etcd member: {why}");
        let now = match members.removal(judged) {
            Removal::HasVote => bail!("etcd member {} has become a voter meanwhile", judged.id),
            Removal::Done => members.clone(),
            Removal::Allowed | Removal::CostsQuorum => self.remove(members, judged.id).await?,
        };
        Ok((now, self.clean_up_after(why, registrations).await))
    }

    /// Removes one member, verified, and lists anew.
    ///
    /// # Errors
    /// It would cost the quorum, or could not be verified.
    pub async fn remove(&self, members: &Members, id: MemberId) -> Result<Members> {
        etcd::remove_verified(self.access, members, id).await?;
        match etcd::observe(self.access, &self.addresses()).await {
            ClusterView::Listed(members) => Ok(members),
            ClusterView::NoQuorum(_) => bail!("etcd has lost its quorum"),
            ClusterView::Unknown { why } => bail!("etcd does not answer: {why}"),
            ClusterView::External | ClusterView::NotAsked => bail!("etcd was not asked"),
        }
    }

    /// Deletes the Node of a machine that is gone and marks its registration. Neither blocks a join for long, so a failure
    /// is logged and ignored. What became of the Node, where that is known.
    async fn clean_up_after(&self, why: &RemovalReason, registrations: &[Registration]) -> Option<NodeGone> {
        // Who gave a join up lives, and will register anew.
        let RemovalReason::Gone(owner) = why else { return None };
        let registration = registrations.iter().find(|found| found.instance == *owner)?;
        let node = self.delete_node(registration).await;
        if let Err(error) = &node {
            tracing::warn!(
                node = registration.node_name,
                "failed to delete the Node of a machine that is gone: {error:#}"
            );
        }
        if let Err(error) = registrations::mark_reaped(self.store, registration, rfc3339()).await {
            tracing::warn!("failed to mark a registration as reaped: {error}");
        }
        node.ok()
    }

    async fn delete_node(&self, registration: &Registration) -> Result<NodeGone> {
        let client = peers::ready_client(self.facts, self.kubeconfig, &self.addresses()).await?;
        former_node::delete_node(&client, registration).await
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.own.into_iter().chain(peers::seen(self.view, &self.facts.machine.instance)).collect()
    }

    fn standby(&self) -> Vec<InstanceId> {
        let members = self.view.group.iter().flat_map(|group| &group.members);
        members
            .filter(|member| member.lifecycle.to_string().contains("Standby"))
            .map(|member| member.instance.clone())
            .collect()
    }
}
