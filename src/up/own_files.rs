//! Makes lost files of this member anew: shared ones from the bundle, the others by kubeadm's own phases. Nothing that is there is
//! written over. `src/model/machine/own_files.rs` says which files, in which order, and when.

use super::context::UpContext;
use super::{POLL_INTERVAL, Waiting};
use crate::aws::CallFailed;
use crate::exit::Exit;
use crate::host::files;
use crate::kube::Kubeconfig;
use crate::kubeadm::manifests;
use crate::kubeadm::own_files::{has_folders, make_way};
use crate::kubeadm::pki::{self, Bundle};
use crate::kubeadm::quiesce;
use crate::model::machine::own_files::{FilesPlan, LostFile, is_that_member, plan};
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, Published};
use crate::model::up::snapshot::Snapshot;
use crate::node::credentials::{Credentials, FOLDER, fetch};
use crate::node::{lost_files, peers};
use anyhow::{Context, Result, anyhow, ensure};
use std::path::Path;

/// The documents for kubeadm's phases, below [`FOLDER`]. They hold no secret.
pub(super) const DOCUMENTS: &str = "own-files.yaml";

impl UpContext {
    /// The files that this member has lost; said once, as long as they are the same.
    pub(super) fn lost_files(&mut self, published: &Published) -> Vec<LostFile> {
        let initialised = published.initialised_by == self.facts.machine.instance;
        let lost = lost_files::of_member(&self.facts.documents, &self.facts.settings, Some(initialised));
        let told = lost_files::told(&lost).map(|(files, remedy)| format!("this machine has lost {files}: {remedy}"));
        if let Some(told) = told.as_ref().filter(|told| self.said_of_files.as_ref() != Some(*told)) {
            tracing::warn!("{told}");
        }
        self.said_of_files = told;
        lost
    }

    /// Makes anew what may be made anew, on a machine that a certain list shows as a voter. `Some`: what is waited for then.
    ///
    /// # Errors
    /// AWS does not answer, or the bundle is not the record's.
    pub(super) async fn restore_files(&mut self, published: &Published, seen: &Snapshot) -> Result<Option<Waiting>> {
        let lost = self.lost_files(published);
        let plan = plan(&lost);
        if plan.put_back.is_empty() && plan.phases.is_empty() {
            return Ok(None);
        }
        let listed = match &seen.cluster {
            ClusterView::Listed(members) => members.at(&seen.addresses).map(|member| member.id),
            _ => None,
        };
        let wait = |reason: String, exit| Ok(Some(Waiting { reason, pause: POLL_INTERVAL, exit }));
        if !is_that_member(&seen.data, listed, published.etcd_cluster_id) {
            return wait(
                "etcd's data here to be that of the member which is listed, before lost files are made anew".into(),
                Exit::Operator,
            );
        }
        let bundle = fetch(&self.facts, &self.store, published).await?;
        match self.make_files(&bundle, &plan, published, seen).await {
            Ok(()) => {
                self.membership.credentials = None;
                self.membership.probe.forget();
                wait("the control plane here to serve, whose lost files were made anew".into(), Exit::TryAgain)
            }
            Err(error) => {
                wait(format!("lost files to be made anew: {error:#}; or {}", lost_files::REMEDY), Exit::Operator)
            }
        }
    }

    async fn make_files(
        &self,
        bundle: &Bundle,
        plan: &FilesPlan,
        published: &Published,
        seen: &Snapshot,
    ) -> Result<()> {
        let root = Path::new("/");
        let initialised = published.initialised_by == self.facts.machine.instance;
        let had_folders = has_folders(root, lost_files::has(&self.facts.documents, Some(initialised)))?;
        // An authority that is there and another one must not sign anything.
        let foreign = pki::foreign_authorities(root, &bundle.to_json()?, &pki::AUTHORITIES)?;
        let foreign: Vec<String> =
            foreign.into_iter().filter(|path| !plan.put_back.iter().any(|lost| lost == Path::new(path))).collect();
        ensure!(
            foreign.is_empty(),
            "'{}' here is not the cluster's authority, and nothing is made by it: copy the file and its key from another control-plane machine",
            foreign.join("' and '")
        );
        bundle.put_back(root, &plan.put_back)?;
        if !plan.put_back.is_empty() {
            tracing::warn!("put back from the bundle: {}", lost_files::named(&plan.put_back));
        }
        if !plan.phases.is_empty() {
            let document = self.own_documents(published, seen, initialised).await?;
            let place = Path::new(FOLDER).join(DOCUMENTS);
            files::private_dir(Path::new(FOLDER))?;
            files::write(&place, document.as_bytes(), 0o600)?;
            for (phase, paths) in &plan.phases {
                make_way(root, paths)?;
                self.kubeadm.make_files(phase, &place).await?;
                tracing::warn!("kubeadm made {} anew", lost_files::named(paths));
            }
        }
        if !had_folders {
            quiesce::restart_containers();
        }
        Ok(())
    }

    /// The documents for kubeadm: the configuration is the cluster's own, by an API server that serves the record's cluster.
    async fn own_documents(&self, published: &Published, seen: &Snapshot, initialised: bool) -> Result<String> {
        let kubeconfig = self.kubeconfig().context("there are no credentials")?;
        let group = seen.group.as_ref().context("Auto Scaling does not say who the others are")?;
        let mut addresses = peers::addresses(group, &self.facts.machine.instance);
        addresses.push(self.facts.node.address);
        let client = peers::ready_client(&self.facts, kubeconfig, &addresses).await?;
        let uid = client.kube_system_uid().await?;
        ensure!(
            uid == published.kube_system_uid.as_str(),
            "the API server at {} serves another cluster",
            client.address()
        );
        let stored = client.kubeadm_config().await?;
        // In the middle of an upgrade the cluster's configuration names another version than the one that runs here.
        let runs = manifests::api_server_version(Path::new("/"));
        let (kubeadm, setting) = (&self.facts.cluster.kubernetes_version, self.facts.settings.kubernetes_upgrade);
        let version = super::versions::to_repair(kubeadm, runs.as_deref(), &stored.kubernetes_version, setting)?;
        let mut document = stored.document;
        document["kubernetesVersion"] = version.into();
        let documents = &self.facts.documents;
        documents
            .own_files(&self.facts.cluster, &self.facts.node, &document, initialised)
            .map_err(|refusal| anyhow!("{refusal}"))
    }

    /// Credentials for a member whose own are lost, from the bundle. The inner error is a reason to wait.
    pub(super) async fn others_than_lost(
        &self,
        record: &ClusterRecord,
        published: &Published,
        lost: &anyhow::Error,
    ) -> Result<Result<Credentials, String>> {
        let folder = &self.membership.credentials_folder;
        match Credentials::from_bundle(&self.facts, &self.store, record, published, folder).await {
            Ok(made) => Ok(Ok(made)),
            Err(error) if error.downcast_ref::<CallFailed>().is_some() => Err(error),
            Err(error) => {
                Ok(Err(format!("{lost:#}; and no other credentials could be made from the PKI bundle: {error:#}")))
            }
        }
    }

    fn kubeconfig(&self) -> Option<&Kubeconfig> {
        self.membership.credentials.as_ref().map(|(_, credentials)| &credentials.kubeconfig)
    }
}
