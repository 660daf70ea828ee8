//! Saving the cluster that this machine is a member of.

use super::save::{Reporter, save};
use super::source::{DatabaseFile, DatabaseSource};
use crate::aws::Session;
use crate::etcd::{self, Access, ReadBefore};
use crate::exit::Exit;
use crate::host::lock::Lock;
use crate::kube::{Client, Kubeconfig};
use crate::kubeadm::manifests::{self, DEFAULT_DATA_DIR};
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::record::cluster::{ClusterRecord, Published};
use crate::model::snapshot::manifest::{Manifest, SnapshotKind, SnapshotOrigin};
use crate::node::Facts;
use crate::node::credentials::{MEMBER_ETCD, MEMBER_KUBECONFIG};
use crate::node::registrar::rfc3339;
use anyhow::{Context, Result, anyhow};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Who saves holds this lock, so that one machine saves once at a time. It is not the machine's own lock: nothing is changed here.
const LOCK: &str = "/run/kubeboot/snapshot.lock";
/// How long it is waited for: another one under way serves as well.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Where etcd's database lies, below its data folder.
const DATABASE: &str = "member/snap/db";

/// Why nothing is saved where etcd is external.
pub const EXTERNAL: &str =
    "etcd is external, so kubeboot saves nothing of it: save it where it runs, with 'etcdctl snapshot save'";

/// Saves the cluster of this record, of which this machine is a member, by `command` (for people).
///
/// # Errors
/// What stands in the way, with the [`Exit`] it ends in where that is clear.
pub async fn save_own(
    facts: &Facts,
    session: &Session,
    record: &ClusterRecord,
    kind: SnapshotKind,
    command: &str,
    progress: &mut Reporter<'_>,
) -> Result<Manifest> {
    if facts.external_etcd() {
        return Err(anyhow!(EXTERNAL).context(Exit::Usage));
    }
    let _lock = Lock::acquire(Path::new(LOCK), command, LOCK_TIMEOUT, |_| {})
        .await
        .context("another snapshot is under way on this machine")?;
    let published = record.published().context("the record names no cluster")?;
    let recorded = RecordedEtcd::of(record).context("the record names no etcd")?;
    let access = Access::from_folder(Path::new(MEMBER_ETCD), recorded)?;
    let source = source(facts, &access, kind).await?;
    let origin = origin(facts, record, published).await;
    save(source, kind, origin, &session.snapshots, progress).await
}

/// This machine's own member; for an unconfirmed snapshot also its database file, where it does not answer.
async fn source(facts: &Facts, access: &Access, kind: SnapshotKind) -> Result<DatabaseSource> {
    let own = facts.node.address;
    match kind {
        SnapshotKind::Routine | SnapshotKind::Final => {
            let stream = etcd::snapshot(access, own, ReadBefore::Linearizable).await;
            let hint = "without a quorum, 'kubeboot snapshot save --unconfirmed' saves what this machine has";
            stream.map(DatabaseSource::Member).context(hint).context(Exit::TryAgain)
        }
        SnapshotKind::Unconfirmed => match etcd::snapshot(access, own, ReadBefore::OfItself).await {
            Ok(stream) => Ok(DatabaseSource::Member(stream)),
            Err(error) => {
                tracing::info!("reads etcd's database file, because its member does not answer: {error:#}");
                database_file(facts).await.map(DatabaseSource::File)
            }
        },
    }
}

/// The database file of this machine's etcd.
async fn database_file(facts: &Facts) -> Result<DatabaseFile> {
    let fallback = facts.documents.data_dir().unwrap_or(Path::new(DEFAULT_DATA_DIR));
    let (folder, version) = manifests::etcd_at(Path::new("/"), fallback);
    let version = version.context("the manifest of this machine's etcd names no version of it")?;
    DatabaseFile::open(&folder.join(DATABASE), version).await
}

/// What is known of the cluster beside its data. Its version is asked of this machine's API server.
pub async fn origin(facts: &Facts, record: &ClusterRecord, published: &Published) -> SnapshotOrigin {
    SnapshotOrigin {
        claim: record.claim_id.clone(),
        kube_system_uid: published.kube_system_uid.clone(),
        kubernetes_version: kubernetes_version(facts, published).await,
        pki_key: published.pki_key.clone(),
        pki_digest: published.pki_digest.clone(),
        saved_by: facts.machine.instance.clone(),
        saved_at: rfc3339(),
    }
}

/// The version that the cluster has by its own configuration, or else that of this machine's API server or kubeadm, or else that it was made with.
async fn kubernetes_version(facts: &Facts, published: &Published) -> String {
    let address = SocketAddr::new(facts.node.address, facts.api_port());
    let asked =
        async { Client::new(&Kubeconfig::read(Path::new(MEMBER_KUBECONFIG))?, address)?.kubeadm_config().await };
    match asked.await {
        Ok(configuration) => configuration.kubernetes_version,
        Err(error) => {
            tracing::debug!("the cluster's configuration was not read: {error:#}");
            let own = Some(facts.cluster.kubernetes_version.clone()).filter(|own| !own.is_empty());
            let serves = manifests::api_server_version(Path::new("/"));
            serves.or(own).unwrap_or_else(|| published.kubernetes_version.clone())
        }
    }
}
