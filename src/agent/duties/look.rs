//! A leader's looks at the cluster. While nothing is to be judged, AWS is asked for nothing but what lies in the bucket.

use super::Scene;
use crate::bucket::{Roll, keys};
use crate::etcd;
use crate::kube::Client;
use crate::model::agent::duties::ending::ended;
use crate::model::agent::duties::nodes::SeenNode;
use crate::model::agent::duties::{Rules, Sight, Unchanged};
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::{InstanceId, MemberId, Nonce};
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::membership::instances::{Instances, Presence};
use crate::model::membership::lease::Lease;
use crate::model::membership::members::Members;
use crate::model::membership::registration::Registration;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::ClusterRecord;
use crate::node::credentials::Credentials;
use crate::node::group::{GroupWatch, View};
use crate::node::lease::Queue;
use crate::node::own_cluster::own_record;
use crate::node::peers;
use crate::node::reaping::Reaper;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How far two looks may be apart, so that what was the same in both counts as having been so all the time.
const MOST_APART: Duration = Duration::from_secs(150);
/// How long reading Nodes may take in one look: less than a whole one.
const NODES_TIMEOUT: Duration = Duration::from_secs(20);
/// For how long a silent member is looked at often.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// What one look has found, and by which means.
pub(super) struct Look {
    pub(super) sight: Sight,
    pub(super) credentials: Credentials,
    pub(super) view: View,
}

impl Look {
    /// How long after it everything is looked at again: soon, where a member has been silent for minutes only, and may be gone by now.
    pub(super) fn pace(&self) -> Duration {
        let is_open = !self.sight.quiet.is_empty() || self.sight.members.as_ref().is_some_and(is_open);
        let is_fresh = !self.sight.judged.is_empty() && self.sight.silent.values().all(|silent| *silent < FRESH);
        match (is_open, is_fresh) {
            (true, true) => super::GLANCE_INTERVAL,
            (true, false) => super::OPEN_INTERVAL,
            (false, _) => super::LOOK_INTERVAL,
        }
    }
}

/// Whether a member may have to go.
fn is_open(members: &Members) -> bool {
    members.0.iter().any(|member| !member.answers || member.learner)
}

/// Looks again and again, and remembers what only this leader knows.
pub(super) struct Eyes<'a> {
    pub(super) scene: &'a Scene,
    began: Instant,
    roll: Roll,
    pub(super) group: GroupWatch,
    pub(super) queue: Queue,
    /// What the last certain list had, and what it takes to ask for the next.
    last: Option<(Members, etcd::Access)>,
    quiet: Unchanged<InstanceId, Option<Registration>>,
    silent: Unchanged<MemberId, ()>,
    leases: Unchanged<String, String>,
    nodes: Unchanged<String, String>,
    replaced: Option<Instant>,
}

impl<'a> Eyes<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        let (facts, session) = (&scene.facts, &scene.session);
        let me = facts.machine.instance.clone();
        Self {
            scene,
            began: Instant::now(),
            roll: Roll::new(&session.store),
            group: GroupWatch::new(session, me.clone(), facts.settings.group.clone()).forgetting_after(MOST_APART),
            queue: Queue::new(session.store.clone(), me, facts.settings.lease_ttl),
            last: None,
            quiet: Unchanged::new(MOST_APART),
            silent: Unchanged::new(MOST_APART),
            leases: Unchanged::new(MOST_APART),
            nodes: Unchanged::new(MOST_APART),
            replaced: None,
        }
    }

    /// A machine is being replaced by this leader's word.
    pub(super) fn has_replaced(&mut self) {
        self.replaced = Some(Instant::now());
    }

    /// What EC2 last said of instances.
    pub(super) fn instances(&self) -> Instances {
        self.group.last().instances.clone()
    }

    /// Whether etcd's list is what it was, and everybody in it answers.
    pub(super) async fn nothing_new(&self) -> bool {
        let Some((before, access)) = &self.last else { return self.scene.facts.external_etcd() };
        match etcd::observe(access, &[self.scene.facts.node.address]).await {
            ClusterView::Listed(now) => now == *before,
            ClusterView::NoQuorum(_) | ClusterView::Unknown { .. } | ClusterView::External | ClusterView::NotAsked => {
                false
            }
        }
    }

    /// Looks at everything. `trouble`: the group is to be asked in any case. `nonce`: that of the membership lease, where this machine holds
    /// it; otherwise what the bucket says counts.
    ///
    /// # Errors
    /// Without a certain list, or where something else does not answer, nothing is to be done.
    pub(super) async fn look(&mut self, trouble: bool, nonce: Option<&Nonce>) -> Result<Look> {
        let facts = &self.scene.facts;
        let record = self.record().await?;
        let credentials = Credentials::from_disk(facts, RecordedEtcd::of(&record))?;
        let (registrations, unreadable) = self.roll.all_or_none().await?;
        // It may explain a member, or protect a machine.
        if let Some(instance) = unreadable.first() {
            bail!("the registration of {instance} cannot be read");
        }
        let members = self.members(&record, &credentials).await?;
        let now = self.began.elapsed();
        // Under the membership lease only members are judged, and others wait for it.
        let nodes = match nonce {
            Some(_) => Vec::new(),
            None => self.nodes(&credentials, &registrations, now).await,
        };
        let members_open = members.as_ref().is_some_and(is_open);
        let wants_aws = trouble || members_open || nodes.iter().any(SeenNode::is_stale);
        let view = if wants_aws { self.view(&registrations, &nodes).await? } else { View::default() };
        let silent = members.iter().flat_map(|members| members.voters()).filter(|member| !member.answers);
        let silent = self.silent.observe(silent.map(|member| (member.id, ())), now);
        let ended = ended(view.group.as_ref(), members.as_ref(), &registrations);
        let ended = ended.map(|(machine, found)| (machine.instance.clone(), found.cloned()));
        let quiet = self.quiet.observe(ended, now);
        let addresses: Vec<IpAddr> = members
            .iter()
            .flat_map(|members| members.voters())
            .flat_map(|member| member.peer_addresses.clone())
            .collect();
        let ready = match quiet.is_empty() && silent.is_empty() {
            true => Vec::new(),
            false => peers::ready_api_servers(&credentials.kubeconfig, &addresses, facts.api_port()).await,
        };
        let live = self.live(&nodes, &view.instances).await?;
        let mut sight = Sight {
            me: facts.machine.instance.clone(),
            my_node: facts.node_name.clone(),
            region: facts.machine.region.clone(),
            record,
            members,
            judged: Vec::new(),
            registrations,
            group: view.group.clone(),
            instances: view.instances.clone(),
            ready,
            quiet,
            silent,
            nodes,
            live,
            replaced: self.replaced.map(|at| at.elapsed()),
            rules: Rules {
                gone_grace: facts.settings.gone_grace,
                unhealthy_after: facts.settings.unhealthy_after,
                has_hook: facts.settings.terminate_hook.is_some(),
            },
        };
        if let (Some(members), true) = (&sight.members, members_open) {
            let lease = match nonce {
                Some(nonce) => nonce.clone(),
                None => self.lease_nonce().await?,
            };
            let reaper = reaper(self.scene, &credentials, &view, &lease)?;
            sight.judged = reaper.judge(members, &sight.registrations);
        }
        Ok(Look { sight, credentials, view })
    }

    /// The record of the cluster that this machine is a member of.
    async fn record(&self) -> Result<ClusterRecord> {
        own_record(&self.scene.facts, &self.scene.session.store).await
    }

    /// A certain list; `None` with external etcd, whose API server is of the record's cluster.
    pub(super) async fn members(
        &mut self,
        record: &ClusterRecord,
        credentials: &Credentials,
    ) -> Result<Option<Members>> {
        let facts = &self.scene.facts;
        let Some(access) = &credentials.etcd else {
            let published = record.published().context("the record names no cluster")?;
            let uid = self.client(credentials)?.kube_system_uid().await?;
            ensure!(uid == published.kube_system_uid.as_str(), "this machine's API server is of another cluster");
            return Ok(None);
        };
        match etcd::observe(access, &[facts.node.address]).await {
            ClusterView::Listed(members) => {
                ensure!(
                    members.at(&facts.machine.addresses).is_some_and(|own| own.is_started_voter()),
                    "etcd does not list this machine as a voter"
                );
                self.last = Some((members.clone(), access.clone()));
                Ok(Some(members))
            }
            ClusterView::NoQuorum(members) => {
                bail!("quorum lost: {} of {} answers", members.answering(), members.voters().count())
            }
            ClusterView::Unknown { why } => bail!("no list of etcd's members is certain: {why}"),
            ClusterView::External | ClusterView::NotAsked => bail!("etcd was not asked"),
        }
    }

    fn client(&self, credentials: &Credentials) -> Result<Client> {
        let facts = &self.scene.facts;
        Client::new(&credentials.kubeconfig, SocketAddr::new(facts.node.address, facts.api_port()))
    }

    /// The Nodes whose leases were not renewed, and those that machines have registered. Nothing else is read of a large cluster. What
    /// cannot be read of them keeps no other duty from being done.
    async fn nodes(
        &mut self,
        credentials: &Credentials,
        registrations: &[Registration],
        now: Duration,
    ) -> Vec<SeenNode> {
        match timeout(NODES_TIMEOUT, self.seen_nodes(credentials, registrations, now)).await {
            Ok(Ok(nodes)) => nodes,
            Ok(Err(error)) => {
                tracing::warn!("no Node is judged in this look: {error:#}");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!("no Node is judged in this look: they were not read in {} s", NODES_TIMEOUT.as_secs());
                Vec::new()
            }
        }
    }

    async fn seen_nodes(
        &mut self,
        credentials: &Credentials,
        registrations: &[Registration],
        now: Duration,
    ) -> Result<Vec<SeenNode>> {
        let client = self.client(credentials)?;
        let leases = client.node_leases().await?;
        let unrenewed = self.leases.observe(leases.clone(), now);
        let stale = |name: &String| unrenewed.get(name).is_some_and(|age| *age >= super::LOOK_INTERVAL / 2);
        let without_lease = registrations.iter().map(|found| found.node_name.clone());
        let names: BTreeSet<String> = leases
            .into_keys()
            .filter(stale)
            .chain(without_lease.filter(|name| !unrenewed.contains_key(name)))
            .collect();
        let mut found = Vec::new();
        for name in names.into_iter().filter(|name| *name != self.scene.facts.node_name) {
            match client.seen_node(&name).await {
                Ok(node) => found.extend(node),
                Err(error) => tracing::debug!("a Node is not judged in this look: {error:#}"),
            }
        }
        let seen = found.iter().map(|node| (node.name.clone(), format!("{} {}", node.uid, node.version)));
        let unchanged = self.nodes.observe(seen, now);
        for node in &mut found {
            let of = |ages: &BTreeMap<String, Duration>| ages.get(&node.name).copied();
            let node_age = of(&unchanged).unwrap_or_default();
            node.unchanged = of(&unrenewed).map_or(node_age, |lease| lease.min(node_age));
        }
        Ok(found)
    }

    /// The group, and what EC2 says of everybody who matters.
    async fn view(&mut self, registrations: &[Registration], nodes: &[SeenNode]) -> Result<View> {
        let facts = &self.scene.facts;
        let stale = nodes.iter().filter(|node| node.is_stale());
        let mut others: Vec<InstanceId> = stale.filter_map(|node| node.instance(&facts.machine.region)).collect();
        others.extend(registrations.iter().map(|found| found.instance.clone()));
        others.sort();
        others.dedup();
        Ok(self.group.look(&others, facts.settings.expected_size).await?)
    }

    /// The instances that live at the addresses of Nodes whose own instances EC2 does not know.
    async fn live(&self, nodes: &[SeenNode], instances: &Instances) -> Result<Vec<(IpAddr, Option<u64>)>> {
        let is_absent = |node: &&SeenNode| {
            let instance = node.instance(&self.scene.facts.machine.region);
            instance.is_some_and(|id| matches!(instances.0.get(&id), Some(Presence::AbsentFor(_))))
        };
        let addresses: Vec<IpAddr> = nodes
            .iter()
            .filter(|node| node.is_stale())
            .filter(is_absent)
            .flat_map(|node| node.addresses.clone())
            .collect();
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.scene.session.instances_at(&addresses).await?;
        let living = found.into_values().filter(|found| matches!(found.state, Ec2State::Pending | Ec2State::Running));
        Ok(living.flat_map(|found| found.addresses.into_iter().map(move |address| (address, found.launched))).collect())
    }

    /// The membership lease's nonce as it is now; one of nobody's where it is free.
    async fn lease_nonce(&self) -> Result<Nonce> {
        let object = self.scene.session.store.get(keys::LEASE).await?;
        let lease = object.and_then(|object| Lease::parse(&object.body).ok());
        let held = lease.and_then(|lease| lease.holder).map(|holder| holder.nonce);
        held.map_or_else(|| Nonce::parse(uuid::Uuid::new_v4().to_string()).context("a UUID is a nonce"), Ok)
    }
}

/// What removes members as `kubeboot reap` does.
pub(super) fn reaper<'a>(
    scene: &'a Scene,
    credentials: &'a Credentials,
    view: &'a View,
    lease: &'a Nonce,
) -> Result<Reaper<'a>> {
    Ok(Reaper {
        facts: &scene.facts,
        store: &scene.session.store,
        access: credentials.etcd.as_ref().context("there are no credentials for etcd")?,
        kubeconfig: &credentials.kubeconfig,
        view,
        own: Some(scene.facts.node.address),
        lease: Some(lease),
    })
}
