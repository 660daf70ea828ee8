//! Gathering one snapshot.

use super::context::{UpContext, local};
use super::evidence::Evidence;
use crate::etcd;
use crate::exit::Exit;
use crate::kubeadm::quiesce;
use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::machine::local::{Local, Stage};
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::membership::former::may_matter;
use crate::model::membership::registration::Registration;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, Published, RecordState};
use crate::model::record::identity::Identity;
use crate::model::record::view::RecordView;
use crate::model::up::snapshot::{ApiServerProbe, Snapshot, SnapshotHere};
use crate::node::credentials::Credentials;
use crate::node::etcd_claim;
use crate::node::group::View;
use crate::node::lost_files;
use crate::node::own_authorities;
use crate::node::peers;
use anyhow::Result;
use std::net::IpAddr;
use std::time::Duration;
use tokio::join;
use tokio::time::Instant;

/// How long an answer about the cluster serves a machine that waits for the lease; decisions under the lease ask anew.
const CLUSTER_AGE: Duration = Duration::from_secs(3);

impl UpContext {
    /// Everything the next decision depends on.
    ///
    /// # Errors
    /// AWS does not answer or refuses, or an object or the disk holds what makes no sense.
    pub async fn observe(&mut self) -> Result<Snapshot> {
        self.membership.api_servers.take_in().await;
        let (record, local, evidence) = self.read_all().await?;
        self.report.following = claim_of(&record);
        if let RecordView::Found { record, .. } = &record {
            self.report.registrar.notes(record);
        }
        let Evidence { registrations, unreadable, hash } = evidence;
        let last = self.membership.probe.last.as_ref();
        // Whoever had an address of this machine's may have left a Node under its name.
        let had_ours =
            |found: &Registration| found.addresses.iter().any(|address| self.facts.machine.addresses.contains(address));
        let matters = registrations.iter().filter(|found| had_ours(found) || may_matter(found, &registrations, last));
        let mut others: Vec<InstanceId> = matters.map(|found| found.instance.clone()).collect();
        others.extend(unreadable.iter().cloned().chain(mentioned(&record)));
        let view = self.group.look(&others, self.facts.settings.expected_size).await?;
        let api_servers = self.api_servers(&record, &view);
        let cluster = self.cluster(&record, &local, &view).await?;
        let silent_lately = self.membership.silent_lately(&cluster);
        let arn = view.group.as_ref().map(|group| group.arn.as_str()).unwrap_or_default();
        let identity = self.facts.identity(arn);
        let may_restore = is_candidate(&view, &self.facts.machine.instance)
            && !is_foreign(&record, &identity)
            && !matches!(local, Local::Made { .. });
        let snapshot = self.snapshot_here(&record, may_restore).await;
        self.report.registrar.silence(view.group.is_some() && is_foreign(&record, &identity));
        Ok(Snapshot {
            me: self.facts.machine.instance.clone(),
            addresses: self.facts.machine.addresses.clone(),
            node_name: self.facts.node_name.clone(),
            identity,
            own_claim: self.record.claim.as_ref().map(|claim| claim.body().claim_id.clone()),
            failed_inits: self.record.failed_inits,
            settled_for: view.settled_for,
            watched_for: view.watched_for,
            group: view.group,
            instances: view.instances,
            registrations,
            unreadable,
            data: self.data(),
            defects: Vec::new(),
            local,
            record,
            record_missing_for: self.record.watch.missing_for(),
            hash,
            snapshot,
            api_servers,
            cluster,
            silent_lately,
        })
    }

    /// Whether the record's snapshot can be restored here. Only a run that works here fetches it, and only where this machine may be the
    /// one that restores: it holds every Secret of the cluster.
    async fn snapshot_here(&mut self, record: &RecordView, may_restore: bool) -> SnapshotHere {
        let record = match record {
            RecordView::Found { record, .. } if self.works && may_restore => Some(record.as_ref()),
            RecordView::Found { .. } | RecordView::Absent | RecordView::Vanished => return SnapshotHere::NotFetched,
        };
        self.saved_snapshot.look(&self.facts, &self.store, &self.snapshots, record).await
    }

    /// What must be read in this order: the record, the disk, and what stands beside the record. Auto Scaling is asked meanwhile, and
    /// what an earlier run has registered is read: neither depends on the other two, and each of these answers takes a while.
    async fn read_all(&mut self) -> Result<(RecordView, Local, Evidence)> {
        let Self { record, membership, report, group, roll, store, facts, works, .. } = self;
        let in_order = async {
            let record = record.read(store).await?;
            let local = local(facts)?;
            let evidence = membership.probe.evidence((roll, store), &record, &local).await?;
            anyhow::Ok((record, local, evidence))
        };
        let earlier = async {
            if *works {
                report.registrar.read_ahead().await;
            }
        };
        let (read, (), ()) = join!(in_order, group.ask_ahead(), earlier);
        read
    }

    /// The record, read now.
    pub(super) async fn read_record(&mut self) -> Result<RecordView> {
        self.record.read(&self.store).await
    }

    /// Who answers as an API server, where there is no cluster by the record.
    fn api_servers(&mut self, record: &RecordView, view: &View) -> ApiServerProbe {
        let claimable = match record {
            RecordView::Absent | RecordView::Vanished => true,
            RecordView::Found { record, .. } => ClusterRecord::is_claimed_anew(Some(record)),
        };
        match &view.group {
            Some(group) if claimable => self.membership.api_servers.answered(group),
            Some(_) | None => ApiServerProbe::Pending,
        }
    }

    /// The cluster behind a ready record of ours.
    async fn cluster(&mut self, record: &RecordView, local: &Local, view: &View) -> Result<ClusterView> {
        let Some((record, published)) = published(record) else { return Ok(ClusterView::NotAsked) };
        let Some(group) = &view.group else { return Ok(ClusterView::NotAsked) };
        if record.identity.mismatch(&self.facts.identity(&group.arn)).is_some() {
            return Ok(ClusterView::NotAsked);
        }
        if let (Some(asked), Some(last)) = (self.membership.probe.asked, &self.membership.probe.last)
            && asked.elapsed() < CLUSTER_AGE
        {
            return Ok(last.clone());
        }
        let member_here = is_member_here(local, record, published, &self.facts.machine.instance);
        // Its flip was sent, and nobody said in time whether it had landed.
        if member_here && matches!(local, Local::HalfMade { .. }) {
            quiesce::serve_again().await?;
        }
        if let Err(why) = self.ensure_credentials(record, published, member_here).await? {
            return Ok(ClusterView::Unknown { why });
        }
        let mut addresses = peers::addresses(group, &self.facts.machine.instance);
        if member_here {
            addresses.insert(0, self.facts.node.address);
        }
        let mut asked = self.ask_and_restore_claim(&addresses, published).await;
        if member_here
            && let Some((files, _)) = lost_files::told(&self.lost_files(published))
            && let ClusterView::Unknown { why } = &mut asked
        {
            *why = format!("{why}; this machine has lost {files}");
        }
        if member_here
            && let ClusterView::Unknown { why } = &mut asked
            && let Some(own) = own_authorities::at_fault(why, &self.store, published).await
        {
            *why = own;
        }
        (self.membership.probe.last, self.membership.probe.asked) = (Some(asked.clone()), Some(Instant::now()));
        Ok(asked)
    }

    /// Asks the cluster. Where the claim is missing in its etcd, it is written anew and everybody is asked again.
    async fn ask_and_restore_claim(&self, addresses: &[IpAddr], published: &Published) -> ClusterView {
        let Some((_, Credentials { etcd: Some(access), kubeconfig, .. })) = &self.membership.credentials else {
            return self.ask_cluster(addresses).await;
        };
        let observed = etcd::observe_all(access, addresses, etcd::REQUEST_TIMEOUT).await;
        if matches!(observed.view, ClusterView::Listed(_)) || observed.without_claim.is_empty() {
            return observed.view;
        }
        let port = self.facts.api_port();
        match etcd_claim::restore(access, kubeconfig, published, &observed.without_claim, port).await {
            true => etcd::observe(access, addresses).await,
            false => observed.view,
        }
    }

    /// Asks etcd, or with an external one the API servers.
    pub(super) async fn ask_cluster(&self, addresses: &[IpAddr]) -> ClusterView {
        let Some((_, credentials)) = &self.membership.credentials else {
            return ClusterView::Unknown { why: "there are no credentials yet".into() };
        };
        match &credentials.etcd {
            Some(access) => etcd::observe(access, addresses).await,
            None => match peers::ready_api_server(&credentials.kubeconfig, addresses, self.facts.api_port()).await {
                Ok(_) => ClusterView::External,
                Err(why) => ClusterView::Unknown { why: format!("{why:#}") },
            },
        }
    }

    /// Sees that there are credentials for this record's cluster. The inner error is a reason to wait.
    async fn ensure_credentials(
        &mut self,
        record: &ClusterRecord,
        published: &Published,
        member_here: bool,
    ) -> Result<Result<(), String>> {
        let serve = |(claim, made): &(ClaimId, Credentials)| *claim == record.claim_id && made.is_young();
        if self.membership.credentials.as_ref().is_some_and(serve) {
            return Ok(Ok(()));
        }
        let made = if member_here {
            match Credentials::from_disk(&self.facts, RecordedEtcd::of(record)) {
                Ok(made) => made,
                Err(lost) => match self.others_than_lost(record, published, &lost).await? {
                    Ok(made) => made,
                    Err(why) => return Ok(Err(why)),
                },
            }
        } else {
            match Credentials::from_bundle(
                &self.facts,
                &self.store,
                record,
                published,
                &self.membership.credentials_folder,
            )
            .await
            {
                Ok(made) => made,
                // AWS may mend; a bundle that is not the record's will not.
                Err(error) if error.downcast_ref::<crate::aws::CallFailed>().is_some() => return Err(error),
                Err(error) => return Err(error.context(Exit::Operator)),
            }
        };
        self.membership.credentials = Some((record.claim_id.clone(), made));
        Ok(Ok(()))
    }
}

/// Whether this disk holds a member of the record's cluster: it was made one, or its own flip has landed.
fn is_member_here(local: &Local, record: &ClusterRecord, published: &Published, me: &InstanceId) -> bool {
    match local {
        Local::Made { claim_id, instance, .. } => *claim_id == record.claim_id && instance == me,
        Local::HalfMade { claim_id, stage: Stage::Initializing, instance } => {
            *claim_id == record.claim_id && instance == me && published.initialised_by == *me
        }
        Local::HalfMade { stage: Stage::Joining, .. } | Local::Fresh | Local::Unexplained { .. } => false,
    }
}

/// Whether the group has this machine for one of those that may serve.
fn is_candidate(view: &View, me: &InstanceId) -> bool {
    let member = view.group.as_ref().and_then(|group| group.member(me));
    member.is_some_and(|member| member.healthy && member.lifecycle.may_serve())
}

/// Whether the record is another cluster's. A retired one is nobody's.
fn is_foreign(record: &RecordView, here: &Identity) -> bool {
    match record {
        RecordView::Found { record, .. } => match record.state {
            RecordState::Initializing { .. } | RecordState::Ready(_) | RecordState::Saved(_) => {
                record.identity.mismatch(here).is_some()
            }
            RecordState::Retired(_) => false,
        },
        RecordView::Absent | RecordView::Vanished => false,
    }
}

fn published(record: &RecordView) -> Option<(&ClusterRecord, &Published)> {
    match record {
        RecordView::Found { record, .. } => record.published().map(|published| (record.as_ref(), published)),
        RecordView::Absent | RecordView::Vanished => None,
    }
}

fn claim_of(record: &RecordView) -> Option<ClaimId> {
    match record {
        RecordView::Found { record, .. } => Some(record.claim_id.clone()),
        RecordView::Absent | RecordView::Vanished => None,
    }
}

/// Instances that the record speaks of.
fn mentioned(record: &RecordView) -> Option<InstanceId> {
    let RecordView::Found { record, .. } = record else { return None };
    match &record.state {
        RecordState::Initializing { holder, .. } => holder.as_ref().map(|holder| holder.instance.clone()),
        RecordState::Ready(published) => Some(published.initialised_by.clone()),
        RecordState::Saved(_) | RecordState::Retired(_) => None,
    }
}
