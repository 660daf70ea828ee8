//! What a member does in every run: it arms the leaving unit, checks its own API server, publishes the hash, completes the launch
//! hook and registers.

use super::context::UpContext;
use super::{POLL_INTERVAL, StepOutcome, Waiting};
use crate::aws::store::Written;
use crate::bucket::keys;
use crate::exit::Exit;
use crate::host::systemd::notify;
use crate::kube::{Client, KubeNode};
use crate::kubeadm::state::Marker;
use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::ids::{ClaimId, MemberId, Uid};
use crate::model::machine::local::Local;
use crate::model::membership::members::SILENT_REMEDY;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, Published};
use crate::model::record::conditional_write::Condition;
use crate::model::record::view::RecordView;
use crate::model::up::snapshot::Snapshot;
use crate::node::data_dir_drop_ins;
use crate::node::digests::digests;
use crate::node::point::Point;
use anyhow::{Result, anyhow};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::join;

/// How long one attempt to publish the hash is tried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

impl UpContext {
    /// This machine is a voter: publishes that, and ends.
    pub(super) async fn keep(&mut self, seen: &Snapshot) -> Result<StepOutcome> {
        let RecordView::Found { record, .. } = &seen.record else { return Ok(StepOutcome::Again) };
        let Some(published) = record.published() else { return Ok(StepOutcome::Again) };
        data_dir_drop_ins::install(self.facts.documents.data_dir()).await;
        let member = match &seen.cluster {
            ClusterView::Listed(members) => members.at(&seen.addresses).map(|member| member.id),
            _ => None,
        };
        // A marker of an earlier kubeboot does not name the member, and that of a member that was added by hand names the one
        // before. Written before anybody is asked: while it is wrong, the guard keeps this machine's API server from starting.
        if has_data_of(&seen.data, member) {
            self.mark(&record.claim_id, published, member, seen)?;
        }
        // Armed whatever the API server says, and while it is asked.
        let mut leaving_unit = std::mem::take(&mut self.membership.leaving_unit);
        let (served, ()) = join!(self.served(record, published, member, seen), leaving_unit.arm());
        self.membership.leaving_unit = leaving_unit;
        let node = match served? {
            Ok(node) => node,
            Err(outcome) => return Ok(outcome),
        };
        let node_uid = Uid::parse(node.uid).ok();
        if let Some(reason) = self.publish_hash(published).await? {
            return Ok(StepOutcome::Wait(Waiting { reason, pause: POLL_INTERVAL, exit: Exit::TryAgain }));
        }
        Point::HashPublished.reached();
        self.launch_hook.complete(self.group.last()).await?;
        Point::HookCompleted.reached();
        self.report.registrar.has(digests(Path::new("/"), &self.facts));
        self.report.registrar.joined(&record.claim_id, member, node_uid).await;
        Point::JoinedRegistered.reached();
        let what = match member {
            Some(_) => "this machine is a voter of the cluster",
            None => "this machine is part of the cluster, whose etcd is external",
        };
        tracing::info!(claim = %record.claim_id, member = member.map(|id| id.to_string()), "nothing to do: {what}");
        notify::status(what);
        notify::ready();
        match &seen.cluster {
            ClusterView::Listed(_) | ClusterView::External => self.move_former(record).await,
            ClusterView::NoQuorum(_) | ClusterView::Unknown { .. } | ClusterView::NotAsked => {}
        }
        Ok(StepOutcome::Done)
    }

    /// Sees that this machine's own API server serves the record's cluster, and that its Node is there and marked. Or what comes of this
    /// pass instead.
    async fn served(
        &mut self,
        record: &ClusterRecord,
        published: &Published,
        member: Option<MemberId>,
        seen: &Snapshot,
    ) -> Result<Result<KubeNode, StepOutcome>> {
        if let Some(waiting) = self.restore_files(published, seen).await? {
            return Ok(Err(StepOutcome::Wait(waiting)));
        }
        let Some((_, credentials)) = &self.membership.credentials else { return Ok(Err(StepOutcome::Again)) };
        let local =
            Client::new(&credentials.kubeconfig, SocketAddr::new(self.facts.node.address, self.facts.api_port()))?;
        let own_etcd = own_etcd(&seen.cluster, &seen.addresses);
        let wait = |why: anyhow::Error| {
            let (reason, exit) = match &own_etcd {
                // The API server fails because of it.
                Some(silent) => (format!("{silent}; the local API server: {why:#}"), Exit::Operator),
                None => (format!("the local API server: {why:#}"), Exit::TryAgain),
            };
            Ok(Err(StepOutcome::Wait(Waiting { reason, pause: POLL_INTERVAL, exit })))
        };
        let uid = match local.readyz().await {
            Ok(()) => local.kube_system_uid().await,
            Err(error) => Err(error),
        };
        match uid {
            Ok(uid) if uid == published.kube_system_uid.as_str() => {}
            Ok(uid) => return Err(other_cluster(&uid, published).context(Exit::Operator)),
            Err(error) => return wait(error),
        }
        match local.claim().await {
            Ok(Some(claim)) if claim == record.claim_id.as_str() => {}
            Ok(Some(claim)) => return Err(other_claim(&claim, &record.claim_id).context(Exit::Operator)),
            // Somebody deleted it. This is the record's cluster by its UID, which no other has.
            Ok(None) => {
                if let Err(error) = local.write_claim(record.claim_id.as_str()).await {
                    return wait(error);
                }
                tracing::warn!(claim = %record.claim_id, "wrote the ConfigMap kube-system/kubeboot anew, which was missing");
            }
            Err(error) => return wait(error),
        }
        self.mark(&record.claim_id, published, member, seen)?;
        let initialised = published.initialised_by == self.facts.machine.instance;
        match self.own_node.look(&local, &self.facts, initialised).await {
            Ok(Ok(node)) => Ok(Ok(node)),
            Ok(Err(waiting)) => Ok(Err(StepOutcome::Wait(waiting))),
            Err(error) => wait(error),
        }
    }

    /// Sees that the marker says that this machine is this member.
    fn mark(&self, claim_id: &ClaimId, published: &Published, member: Option<MemberId>, seen: &Snapshot) -> Result<()> {
        let marked = Marker::load(Path::new("/"))?.and_then(|marker| marker.member_id);
        if matches!(seen.local, Local::Made { .. }) && marked == member {
            return Ok(());
        }
        self.mark_member(claim_id, published, member)
    }

    /// Sees that the published hash is the record's. A reason to wait when S3 does not say.
    async fn publish_hash(&mut self, published: &Published) -> Result<Option<String>> {
        let line = format!("{}\n", published.hash_line());
        let condition = match self.store.get(keys::HASH).await? {
            Some(object) if object.body == line.as_bytes() => return Ok(None),
            Some(object) => {
                tracing::warn!("the published discovery hash is not the record's, repairing it");
                Condition::Unchanged(object.etag)
            }
            None => Condition::Absent,
        };
        Ok(match self.store.write(keys::HASH, line.as_bytes(), &condition, WRITE_TIMEOUT).await? {
            Written::Ours(_) => None,
            Written::Others(_) | Written::Gone | Written::Unknown => Some("the discovery hash to be published".into()),
        })
    }
}

/// What to say of this machine's own etcd, if it is silent though the others answer with a quorum.
fn own_etcd(cluster: &ClusterView, addresses: &[IpAddr]) -> Option<String> {
    let ClusterView::Listed(members) = cluster else { return None };
    let own = members.at(addresses).filter(|own| !own.answers)?;
    Some(format!(
        "etcd member {} of this machine, which is silent while the others have a quorum: {SILENT_REMEDY}",
        own.id
    ))
}

/// Whether the data here is this member's.
fn has_data_of(data: &EtcdData, member: Option<MemberId>) -> bool {
    matches!(data, EtcdData::Of(ids) if Some(ids.member) == member)
}

fn other_cluster(uid: &str, published: &Published) -> anyhow::Error {
    anyhow!(
        "the local API server serves the cluster with kube-system {uid}, the cluster record means {}: there are two clusters, and this \
         machine is in the wrong one",
        published.kube_system_uid
    )
}

fn other_claim(kept: &str, recorded: &ClaimId) -> anyhow::Error {
    anyhow!(
        "the local API server serves the cluster of claim '{}', the cluster record means {recorded}: this machine is in another cluster; \
         see 'kubeboot status' on each machine, and do not wipe any before it is clear which cluster is to stay",
        kept.escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::membership::members::{Member, Members};

    #[test]
    fn a_silent_etcd_of_this_machine_has_its_remedy_while_the_others_have_a_quorum() {
        let address = IpAddr::from([10, 0, 0, 1]);
        let view = |answers| {
            let (id, name, peer_addresses) = (MemberId(0xa9), "n1".to_owned(), vec![address]);
            ClusterView::Listed(Members(vec![Member { id, name, peer_addresses, learner: false, answers }]))
        };
        let told = own_etcd(&view(false), &[address]).unwrap_or_default();
        assert!(told.starts_with("etcd member a9 of this machine") && told.contains("kubeboot reset --now"), "{told}");
        assert_eq!(own_etcd(&view(true), &[address]), None);
        assert_eq!(own_etcd(&view(false), &[IpAddr::from([10, 0, 0, 2])]), None);
        assert_eq!(own_etcd(&ClusterView::NotAsked, &[address]), None);
    }
}
