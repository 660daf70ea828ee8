//! Versions, compared before the queue and again under the lease, and the version of the cluster raised.

use super::context::UpContext;
use super::versions::warn_of_drift;
use crate::exit::Exit;
use crate::kube::{Client, ClusterConfiguration, ConfigWrite};
use crate::model::machine::group::Group;
use crate::model::membership::members::Members;
use crate::model::membership::registration::Upgraded;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::Published;
use crate::model::upgrade::{JoinVerdict, KubernetesUpgrade, UpgradeLook, join_verdict};
use crate::node::peers;
use crate::node::point::Point;
use crate::node::upgrade_look::{self, Others, OwnVersions, Places};
use anyhow::{Context, Result, anyhow, ensure};
use std::net::IpAddr;

/// What comes of the comparison under the lease.
pub(super) enum Settled {
    /// kubeadm may start: nobody raises or takes back the version now without having seen this machine join.
    Join,
    /// The join waits for this.
    Wait(String),
}

/// Which list of etcd's members is gone by.
#[derive(Clone, Copy)]
enum Listing<'a> {
    /// The last one that was read.
    Last,
    /// One that is asked for at these addresses.
    Fresh(&'a [IpAddr]),
}

impl UpContext {
    /// Compares this machine's programs and documents with the cluster's, before it queues. A reason to wait if that cannot be done yet.
    ///
    /// # Errors
    /// With [`Exit::Operator`] when the versions do not allow a join, with [`Exit::Usage`] when etcd's data would lie elsewhere than the
    /// documents say.
    pub(super) async fn compare_with_cluster(&mut self, group: &Group) -> Result<Option<String>> {
        if self.membership.compared {
            return Ok(None);
        }
        if self.membership.credentials.is_none() {
            return Ok(Some("credentials for the cluster".into()));
        }
        let client = match self.ready_client(&self.peers_in(group)).await {
            Ok(client) => client,
            Err(why) => return Ok(Some(format!("an API server of the cluster to be ready: {}", why.root_cause()))),
        };
        let cluster = client.kubeadm_config().await?;
        let look = match self.versions(&cluster, Listing::Last).await? {
            Ok(look) => look,
            Err(reason) => return Ok(Some(reason)),
        };
        match join_verdict(&look) {
            JoinVerdict::Refuse(refusal) => return Err(anyhow!("{refusal}").context(Exit::Operator)),
            JoinVerdict::Wait(wait) => return Ok(Some(wait.to_string())),
            JoinVerdict::Join | JoinVerdict::Raise { .. } => {}
        }
        if let Some(refusal) = self.facts.documents.etcd_elsewhere(&cluster.document) {
            return Err(anyhow!(refusal)
                .context("failed to join with this kubeadm configuration")
                .context(Exit::Usage));
        }
        warn_of_drift(&self.facts, &cluster);
        self.membership.compared = true;
        Ok(None)
    }

    /// Compares versions again, right before kubeadm starts, and raises the cluster's where this machine's image may. This machine is
    /// registered as joining by now: [`crate::model::upgrade`] says why that comes before the look, and why even a join that raises
    /// nothing writes the cluster's configuration.
    ///
    /// # Errors
    /// As [`UpContext::compare_with_cluster`], and when the configuration can be neither read nor written: it may have been written.
    pub(super) async fn settle_version(&mut self, published: &Published, group: &Group) -> Result<Settled> {
        let peers = self.peers_in(group);
        let client = self.ready_client(&peers).await?;
        let uid = client.kube_system_uid().await?;
        ensure!(
            uid == published.kube_system_uid.as_str(),
            "the API server at {} serves the cluster with kube-system {uid}, the cluster record means {}",
            client.address(),
            published.kube_system_uid
        );
        let cluster = client.kubeadm_config().await?;
        let look = match self.versions(&cluster, Listing::Fresh(&peers)).await? {
            Ok(look) => look,
            Err(reason) => return Ok(Settled::Wait(reason)),
        };
        let raised = match join_verdict(&look) {
            JoinVerdict::Refuse(refusal) => return Err(anyhow!("{refusal}").context(Exit::Operator)),
            JoinVerdict::Wait(wait) => return Ok(Settled::Wait(wait.to_string())),
            JoinVerdict::Join => None,
            JoinVerdict::Raise { from, to } => Some(Upgraded { from, to }),
        };
        Point::VersionsCompared.reached();
        let mark = format!("{} {}", self.facts.machine.instance, uuid::Uuid::new_v4());
        if client.write_kubeadm_config(&cluster, &mark, raised.map(|raised| raised.to)).await? == ConfigWrite::Changed {
            return Ok(Settled::Wait("kube-system/kubeadm-config, which somebody else is writing".to_owned()));
        }
        if let Some(raised) = raised {
            Point::VersionRaised.reached();
            tracing::warn!(
                "raised the cluster's version from v{} to v{}: older images join no more",
                raised.from,
                raised.to
            );
            self.report.registrar.upgraded(raised).await;
        }
        Ok(Settled::Join)
    }

    /// Everything that the decision depends on, or a reason to wait. With the setting `off` nobody else is asked. Registrations are read before
    /// members: whoever is registered as joined by then is listed.
    async fn versions(
        &mut self,
        cluster: &ClusterConfiguration,
        listing: Listing<'_>,
    ) -> Result<Result<UpgradeLook, String>> {
        let setting = self.facts.settings.kubernetes_upgrade;
        let version = upgrade_look::cluster_version(cluster).context(Exit::Operator)?;
        let own = match self.membership.own_versions {
            Some(own) => own,
            None => {
                let asked = OwnVersions::ask(&self.facts).await.context(Exit::Operator)?;
                *self.membership.own_versions.insert(asked)
            }
        };
        let mut look = UpgradeLook {
            setting,
            here: own.image,
            etcd: own.etcd(cluster),
            cluster: version,
            servers: Vec::new(),
            machines: Vec::new(),
        };
        match setting {
            KubernetesUpgrade::Off => return Ok(Ok(look)),
            KubernetesUpgrade::ByImage => {}
        }
        let (registrations, unreadable) = self.roll.all_or_none().await?;
        let others = Others {
            me: &self.facts.machine.instance,
            registrations: &registrations,
            unreadable: &unreadable,
            instances: &self.group.last().instances,
            grace: self.facts.settings.gone_grace,
        };
        look.machines = others.machines();
        let places = match (self.facts.external_etcd(), self.members(listing).await) {
            (true, _) => Places::at(others.joined(), &registrations),
            (false, Some(members)) => Places::of_members(&members, &self.facts.machine.addresses, &registrations),
            (false, None) => return Ok(Err("etcd to list its members".into())),
        };
        let (_, credentials) =
            self.membership.credentials.as_ref().context("there are no credentials for the cluster")?;
        look.servers = places.ask(&credentials.kubeconfig, self.facts.api_port(), credentials.etcd.as_ref()).await;
        Ok(Ok(look))
    }

    /// The members of this machine's etcd, where it has one.
    async fn members(&self, listing: Listing<'_>) -> Option<Members> {
        match listing {
            // Who does not answer is waited for elsewhere, or reaped under the lease.
            Listing::Last => {
                let answering = self.membership.probe.members()?.0.iter().filter(|member| member.answers);
                Some(Members(answering.cloned().collect()))
            }
            Listing::Fresh(peers) => match self.ask_cluster(peers).await {
                ClusterView::Listed(members) => Some(members),
                ClusterView::NotAsked
                | ClusterView::External
                | ClusterView::Unknown { .. }
                | ClusterView::NoQuorum(_) => None,
            },
        }
    }

    fn peers_in(&self, group: &Group) -> Vec<IpAddr> {
        peers::addresses(group, &self.facts.machine.instance)
    }

    async fn ready_client(&self, peers: &[IpAddr]) -> Result<Client> {
        let (_, credentials) =
            self.membership.credentials.as_ref().context("there are no credentials for the cluster")?;
        peers::ready_client(&self.facts, &credentials.kubeconfig, peers).await
    }
}
