//! Restoring the record's snapshot under a held claim: what is done in the place of making a new cluster.
//!
//! A failed restore followed by `kubeadm init` would make a new, empty cluster of the same certificate authority, and kubeadm would be
//! content. So every step is seen to have worked, and the cluster that came up is the one that was saved, or the attempt has failed.

use super::context::UpContext;
use super::init::{InitData, mark_init, ready_uid, run_init};
use super::own_node::OwnNode;
use super::saved_snapshot::FetchedSnapshot;
use super::stopwatch::Stopwatch;
use crate::aws::store::Store;
use crate::etcd::{self, Access};
use crate::host::lock::Lock;
use crate::host::systemd::unit;
use crate::kube::{Client, ConfigWrite, Deleted, Kubeconfig};
use crate::kubeadm::pki;
use crate::kubeadm::quiesce::KUBELET;
use crate::kubeadm::run::Kubeadm;
use crate::model::duration::in_words;
use crate::model::machine::etcd_data::EtcdIds;
use crate::model::machine::ids::{ClaimId, EtcdClusterId};
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::record::cluster::{ClusterRecord, Published};
use crate::model::upgrade::KubernetesUpgrade;
use crate::node::Facts;
use crate::node::credentials::{MEMBER_ETCD, fetch};
use crate::node::etcdutl::Restoration;
use crate::node::point::Point;
use crate::node::registrar::rfc3339;
use crate::node::upgrade_look;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long kubelet may take to register this machine's Node, and kubeboot to mark it.
const NODE_TIMEOUT: Duration = Duration::from_mins(1);
/// Between two looks at it.
const NODE_INTERVAL: Duration = Duration::from_millis(250);

/// What is restored, and with what.
pub(super) struct Restoring {
    /// The claim, as it is held.
    record: ClusterRecord,
    /// The snapshot on this machine.
    snapshot: FetchedSnapshot,
    lock: Option<Lock>,
}

impl UpContext {
    /// What the held claim is to restore; `None` for one that makes a new cluster.
    ///
    /// # Errors
    /// The snapshot is not here: then nothing may be made.
    pub(super) fn restoring(&self, held: &ClusterRecord) -> Result<Option<Restoring>> {
        let Some(saved) = held.saved() else { return Ok(None) };
        let here = self.saved_snapshot.here().filter(|here| here.digest == saved.snapshot.digest);
        let snapshot = here.context("the record's snapshot is not on this machine any more")?.clone();
        Ok(Some(Restoring { record: held.clone(), snapshot, lock: self.kubeadm.lock().cloned() }))
    }
}

/// Restores the cluster, and sees that it is the one that was saved.
pub(super) async fn restore_cluster(
    facts: &Facts,
    kubeadm: &Kubeadm,
    store: &Store,
    what: &Restoring,
    stopwatch: &Stopwatch,
    deadline: Instant,
) -> Result<Published> {
    let saved = what.record.saved().context("the claim restores nothing")?;
    let claim = &what.record.claim_id;
    let bundle = fetch(facts, store, &saved.published).await?;
    mark_init(facts, claim)?;
    bundle.install(Path::new("/"))?;
    Point::BundleInstalled.reached();
    put_data(facts, what).await?;
    let token = run_init(facts, kubeadm, claim, InitData::RestoredData, stopwatch, deadline).await?;
    let kubeconfig = Kubeconfig::read(Path::new("/etc/kubernetes/admin.conf"))?;
    let local = Client::new(&kubeconfig, SocketAddr::new(facts.node.address, facts.api_port()))?;
    let uid = ready_uid(&local).await?;
    let wanted = &saved.published.kube_system_uid;
    ensure!(
        uid == *wanted,
        "what came up is not the cluster that was saved: its kube-system has the UID {uid}, and that one's was {wanted}"
    );
    Point::ClusterKnown.reached();
    local
        .delete_bootstrap_token(token.id())
        .await
        .context("failed to delete the bootstrap token that kubeadm init wanted")?;
    Point::TokenDeleted.reached();
    let etcd_cluster_id = keep_claim(facts, &local, &what.record).await?;
    Point::ClaimReplaced.reached();
    let kubernetes_version = keep_version(facts, &local).await?;
    own_node(facts, &local).await?;
    Point::NodeRegistered.reached();
    let here = pki::collect(Path::new("/"), &pki::wanted(None, &facts.settings.extra_shared_files))?;
    ensure!(here == bundle.files, "kubeadm init did not use the authorities and keys of the cluster that was saved");
    Ok(Published {
        etcd_cluster_id: Some(etcd_cluster_id),
        initialised_by: facts.machine.instance.clone(),
        initialised_at: rfc3339(),
        kubernetes_version: kubernetes_version.unwrap_or_else(|| saved.published.kubernetes_version.clone()),
        ..saved.published.clone()
    })
}

/// Makes the snapshot the data of this machine's etcd.
async fn put_data(facts: &Facts, what: &Restoring) -> Result<()> {
    let Restoring { record, snapshot, lock } = what;
    let bump = record.revision_bump().context("the claim restores nothing")?;
    let data_dir = facts.documents.data_dir().context("etcd is external, which kubeboot does not restore")?;
    let restoration = Restoration {
        snapshot: &snapshot.file,
        data_dir,
        member: &facts.node_name,
        address: facts.node.address,
        claim: &record.claim_id,
        bump,
    };
    let unpacked = snapshot.etcdutl.restore(restoration, lock.as_ref()).await?;
    Point::SnapshotUnpacked.reached();
    unpacked.become_the_data()?;
    Point::DataRestored.reached();
    tracing::info!(revision_raised_by = bump, "restored etcd's data from the snapshot");
    Ok(())
}

/// Writes the claim over the one that came with the data, and reads both copies back.
async fn keep_claim(facts: &Facts, local: &Client, record: &ClusterRecord) -> Result<EtcdClusterId> {
    let claim = &record.claim_id;
    let before: Vec<&str> = record.superseded.iter().map(ClaimId::as_str).collect();
    local.replace_claim(&before, claim.as_str()).await?;
    let ids = EtcdIds::of_init(claim, facts.node.address);
    let recorded = RecordedEtcd { claim: claim.clone(), cluster: ids.cluster };
    let access = Access::from_folder(Path::new(MEMBER_ETCD), recorded)?;
    let cluster = etcd::replace_claim(&access, facts.node.address, &record.superseded).await?;
    ensure!(
        cluster == ids.cluster,
        "etcd has the cluster ID {cluster}, and the token of this claim makes {}: the kubeadm documents change how etcd forms its cluster",
        ids.cluster
    );
    Ok(cluster)
}

/// Has the cluster's configuration name the version that this machine has restored it with: nobody else has an API server yet. Where images do
/// not upgrade it, only if it names another minor version, raised before anybody of that had joined. `None` where nothing is written.
async fn keep_version(facts: &Facts, local: &Client) -> Result<Option<String>> {
    let wanted = upgrade_look::kubeadm_alone(facts)?.wanted;
    let cluster = local.kubeadm_config().await?;
    let saved = upgrade_look::cluster_version(&cluster)?;
    let is_named = match facts.settings.kubernetes_upgrade {
        KubernetesUpgrade::Off => saved.series() == wanted.series(),
        KubernetesUpgrade::ByImage => saved == wanted,
    };
    if is_named {
        return Ok(None);
    }
    let mark = format!("{} {}", facts.machine.instance, uuid::Uuid::new_v4());
    let written = local.write_kubeadm_config(&cluster, &mark, Some(wanted)).await?;
    ensure!(written == ConfigWrite::Done, "kubeadm-config was changed while the cluster was restored");
    tracing::warn!("the cluster was saved with v{saved}, and is restored with v{wanted}");
    Ok(Some(format!("v{wanted}")))
}

/// Sees that the Node of this machine's name is its own. kubelet adopts one that came with the data, with the provider ID of a machine
/// that is gone, and cannot change that.
async fn own_node(facts: &Facts, local: &Client) -> Result<()> {
    let name = &facts.node_name;
    if let Some(node) = local.node(name).await?
        && let Some(other) = node.provider_id.as_deref().filter(|id| !is_of(id, facts))
    {
        tracing::info!("deleting the Node '{name}' of {other}, which came with the data");
        match local.delete_node(name, &node.uid).await? {
            Deleted::Done | Deleted::NotThere => {}
            Deleted::AnotherOne => bail!("the Node '{name}' was changed while it was to be deleted"),
        }
        Point::OldNodeDeleted.reached();
        unit::restart(KUBELET).await.context("failed to have kubelet register this machine anew")?;
    }
    let mut last = anyhow!("it was not looked at");
    let registered = timeout(NODE_TIMEOUT, async {
        let mut own = OwnNode::default();
        loop {
            match own.look(local, facts, true).await {
                Ok(Ok(node)) if node.provider_id.as_deref().is_none_or(|id| is_of(id, facts)) => return,
                Ok(Ok(node)) => last = anyhow!("it has the provider ID '{}'", node.provider_id.unwrap_or_default()),
                Ok(Err(waiting)) => last = anyhow!("still waiting for {}", waiting.reason),
                Err(error) => last = error,
            }
            sleep(NODE_INTERVAL).await;
        }
    })
    .await;
    registered.map_err(|_| {
        last.context(format!("kubelet has not registered the Node '{name}' in {}", in_words(NODE_TIMEOUT)))
    })
}

/// Whether a provider ID is this instance's.
fn is_of(provider_id: &str, facts: &Facts) -> bool {
    provider_id.rsplit('/').next() == Some(facts.machine.instance.as_str())
}
