//! Removing the members of machines that are gone, so that the living can join.

use super::Facts;
use super::group::View;
use super::past::{self, NodeGone};
use super::peers;
use super::registrar::rfc3339;
use crate::aws::store::Store;
use crate::bucket::registrations;
use crate::etcd::{self, Access};
use crate::kube::Kubeconfig;
use crate::model::ids::{InstanceId, MemberId, Nonce};
use crate::model::members::{Member, Members, Removal};
use crate::model::reap::{Remove, Scene, Verdict, in_the_way, plan};
use crate::model::registration::Registration;
use crate::model::snapshot::ClusterView;
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
    /// The group, and EC2's word on every registered instance.
    pub view: &'a View,
    /// The membership lease as it is held now.
    pub lease: Option<&'a Nonce>,
}

impl Reaper<'_> {
    /// Judges every member of a certain list.
    ///
    /// # Errors
    /// The registrations cannot be read.
    pub async fn judge(&self, members: &Members) -> Result<(Vec<(Member, Verdict)>, Vec<Registration>)> {
        let entries = registrations::all(self.store).await?;
        let registrations: Vec<_> = entries.into_iter().filter_map(|entry| entry.registration.ok()).collect();
        let standby: Vec<InstanceId> = self.standby();
        let scene = Scene {
            me: &self.facts.machine.instance,
            members,
            registrations: &registrations,
            instances: &self.view.instances,
            live_addresses: &self.view.live_addresses,
            in_standby: &standby,
            lease: self.lease,
            gone_grace: self.facts.settings.gone_grace,
        };
        Ok((plan(&scene), registrations))
    }

    /// Removes what a plan removes, one by one, each verified; then the Node; then the registration is marked. Says what is
    /// left that would make etcd refuse a new member.
    ///
    /// # Errors
    /// A removal failed.
    pub async fn reap(&self, members: &Members) -> Result<Option<String>> {
        let (judged, registrations) = self.judge(members).await?;
        let mut now = members.clone();
        for (member, verdict) in &judged {
            if let Verdict::Remove(why) = verdict {
                now = self.take_away(&now, member, why, &registrations).await?;
            }
        }
        Ok(in_the_way(&judged).map(|(member, verdict)| {
            format!("etcd member {} ('{}') to answer or to go; {verdict}", member.id, member.name)
        }))
    }

    /// Removes one member as it was judged; then its Node; then its registration is marked.
    ///
    /// # Errors
    /// The member got its vote meanwhile, or the removal failed.
    pub async fn take_away(
        &self,
        members: &Members,
        judged: &Member,
        why: &Remove,
        registrations: &[Registration],
    ) -> Result<Members> {
        tracing::warn!(member = %judged.id, name = judged.name, "reaping an etcd member: {why}");
        let now = match members.removal(judged) {
            Removal::HasVote => bail!("etcd member {} has become a voter meanwhile", judged.id),
            Removal::Done => members.clone(),
            Removal::Lawful | Removal::CostsQuorum => self.remove(members, judged.id).await?,
        };
        self.forget(why, registrations).await;
        Ok(now)
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

    /// Deletes the Node of a machine that is gone and marks its registration. Neither stands in anybody's way for long, so a
    /// failure is told and borne.
    async fn forget(&self, why: &Remove, registrations: &[Registration]) {
        // Who gave a join up lives, and will register anew.
        let Remove::Gone(owner) = why else { return };
        let Some(registration) = registrations.iter().find(|found| found.instance == *owner) else { return };
        if let Err(error) = self.delete_node(registration).await {
            tracing::warn!(
                node = registration.node_name,
                "failed to delete the Node of a machine that is gone: {error:#}"
            );
        }
        if let Err(error) = registrations::mark_reaped(self.store, registration, rfc3339()).await {
            tracing::warn!("failed to mark a registration as reaped: {error}");
        }
    }

    async fn delete_node(&self, registration: &Registration) -> Result<NodeGone> {
        let client = peers::ready_client(self.facts, self.kubeconfig, &self.addresses()).await?;
        past::delete_node(&client, registration).await
    }

    fn addresses(&self) -> Vec<IpAddr> {
        peers::seen(self.view, &self.facts.machine.instance)
    }

    fn standby(&self) -> Vec<InstanceId> {
        let members = self.view.group.iter().flat_map(|group| &group.members);
        members
            .filter(|member| member.lifecycle.to_string().contains("Standby"))
            .map(|member| member.instance.clone())
            .collect()
    }
}
