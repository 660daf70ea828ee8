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
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, Published};
use crate::model::snapshot::manifest::{Manifest, SnapshotKind, SnapshotOrigin};
use crate::model::upgrade::ApiServerSeen;
use crate::model::version::Release;
use crate::node::Facts;
use crate::node::credentials::{MEMBER_ETCD, MEMBER_KUBECONFIG};
use crate::node::registrar::rfc3339;
use crate::node::upgrade_look::Places;
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

/// What is known of the cluster beside its data. Its version is asked of its API servers.
pub async fn origin(facts: &Facts, record: &ClusterRecord, published: &Published) -> SnapshotOrigin {
    SnapshotOrigin {
        claim: record.claim_id.clone(),
        kube_system_uid: published.kube_system_uid.clone(),
        kubernetes_version: kubernetes_version(facts, record, published).await,
        pki_key: published.pki_key.clone(),
        pki_digest: published.pki_digest.clone(),
        saved_by: facts.machine.instance.clone(),
        saved_at: rfc3339(),
    }
}

/// The version of Kubernetes that wrote the data, as [`wrote`] says it, or else that of this machine's API server or kubeadm, or else that the
/// cluster was made with.
async fn kubernetes_version(facts: &Facts, record: &ClusterRecord, published: &Published) -> String {
    let address = SocketAddr::new(facts.node.address, facts.api_port());
    let asked = async {
        let kubeconfig = Kubeconfig::read(Path::new(MEMBER_KUBECONFIG))?;
        let configuration = Client::new(&kubeconfig, address)?.kubeadm_config().await?;
        anyhow::Ok((kubeconfig, configuration.kubernetes_version))
    };
    match asked.await {
        Ok((kubeconfig, configured)) => {
            let servers = api_servers(facts, record, &kubeconfig).await;
            wrote(&configured, &servers)
        }
        Err(error) => {
            tracing::debug!("the cluster's configuration was not read: {error:#}");
            let own = Some(facts.cluster.kubernetes_version.clone()).filter(|own| !own.is_empty());
            let serves = manifests::api_server_version(Path::new("/"));
            serves.or(own).unwrap_or_else(|| published.kubernetes_version.clone())
        }
    }
}

/// Every API server of the cluster; none where etcd does not list its members.
async fn api_servers(facts: &Facts, record: &ClusterRecord, kubeconfig: &Kubeconfig) -> Vec<ApiServerSeen> {
    let access = RecordedEtcd::of(record).map(|recorded| Access::from_folder(Path::new(MEMBER_ETCD), recorded));
    let Some(Ok(access)) = access else { return Vec::new() };
    match etcd::observe(&access, &[facts.node.address]).await {
        ClusterView::Listed(members) => {
            Places::of_members(&members, &[], &[]).ask(kubeconfig, facts.api_port(), None).await
        }
        ClusterView::NotAsked | ClusterView::External | ClusterView::Unknown { .. } | ClusterView::NoQuorum(_) => {
            Vec::new()
        }
    }
}

/// The version that the newest API server has, by which all data was written: between the raise of the version in the cluster's configuration
/// and the first machine of it, nobody has that yet. Where not all of them tell theirs it is that of the configuration.
fn wrote(configured: &str, servers: &[ApiServerSeen]) -> String {
    let told: Option<Vec<Release>> = servers.iter().map(|server| server.version).collect();
    match told.and_then(|told| told.into_iter().max()) {
        Some(newest) if newest.is_whole() && Release::parse(configured) != Some(newest) => format!("v{newest}"),
        Some(_) | None => configured.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_of_the_version_that_wrote_it() {
        // (configuration, API servers, what the snapshot is of)
        let rows: [(&str, &[&str], &str); 8] = [
            ("v1.36.1", &["1.36.1", "1.36.1"], "v1.36.1"),
            // Raised, and nobody has joined.
            ("v1.37.0", &["1.36.1", "1.36.1"], "v1.36.1"),
            ("v1.37.0", &["1.36.1", "1.37.0"], "v1.37.0"),
            ("v1.37.0", &["1.36.1", "-"], "v1.37.0"),
            ("v1.37.0", &[], "v1.37.0"),
            // Cut off by hand.
            ("v1.36.1", &["1.36.1", "1.37.0"], "v1.37.0"),
            ("v1.36.3-acme.2", &["1.36.3-acme.2"], "v1.36.3-acme.2"),
            ("v1.37.0", &["1.37.0-rc.1"], "v1.37.0"),
        ];
        for (configured, versions, expected) in rows {
            let seen =
                |version: &&str| ApiServerSeen { name: String::new(), version: Release::parse(version), etcd: None };
            let servers: Vec<ApiServerSeen> = versions.iter().map(seen).collect();
            assert_eq!(wrote(configured, &servers), expected, "{configured} {versions:?}");
        }
    }
}
