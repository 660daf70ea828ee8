//! One attempt to do what is left of an upgrade: phases of kubeadm, each seen to have done what it should.

use crate::agent::COMMAND;
use crate::host::files;
use crate::host::lock::{self, Lock};
use crate::kube::written::{Cluster, Proof, kubeconfig};
use crate::kube::{Client, KeptOutcome, Kubeconfig};
use crate::kubeadm::output::Version;
use crate::kubeadm::run::Kubeadm;
use crate::model::upgrade::{RestOutcome, RestStep, StepOutcome};
use crate::model::version::Release;
use crate::node::Facts;
use crate::node::credentials::FOLDER;
use crate::node::registrar::rfc3339;
use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// How long to wait for this machine's lock. Whoever has it goes first.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// The version of kubeadm's documents.
const API_VERSION: &str = "kubeadm.k8s.io/v1beta4";

/// What an attempt goes by.
pub(super) struct Attempt {
    pub(super) facts: Facts,
    pub(super) kubeconfig: Kubeconfig,
    pub(super) from: Release,
    pub(super) to: Release,
    pub(super) kubeadm: Version,
    /// What came of the attempt before.
    pub(super) kept: Option<KeptOutcome>,
}

/// How an attempt has ended.
pub(super) enum Ended {
    /// What came of it is kept in the cluster.
    Kept(RestOutcome),
    /// It could not be kept there, for this reason.
    NotKept(RestOutcome, String),
    /// Somebody else goes first.
    Later(String),
}

impl Attempt {
    /// Does everything that is left, in order, until something fails.
    pub(super) async fn run(self) -> Ended {
        let waits = |why: &str| tracing::info!("waiting: {why}");
        let lock = match Lock::acquire(Path::new(lock::PATH), COMMAND, LOCK_TIMEOUT, waits).await {
            Ok(lock) => lock,
            Err(error) => return Ended::Later(format!("{error:#}")),
        };
        let mut steps = Vec::new();
        let error = match self.work(&lock, &mut steps).await {
            Ok(None) => None,
            Ok(Some(later)) => return Ended::Later(later.to_owned()),
            Err(error) => Some(format!("{error:#}")),
        };
        let before = self.kept.as_ref().and_then(|kept| kept.outcome.as_ref().ok());
        let by = (self.facts.machine.instance.clone(), rfc3339());
        let outcome = RestOutcome::of_attempt((self.from, self.to), before, steps, error.as_deref(), by);
        let kept = match self.client() {
            Ok(client) => client.keep_rest_outcome(self.kept.as_ref(), &outcome).await,
            Err(error) => Err(error),
        };
        match kept {
            Ok(true) => Ended::Kept(outcome),
            Ok(false) => Ended::NotKept(outcome, "another leader has written it at the same moment".to_owned()),
            Err(error) => Ended::NotKept(outcome, format!("{error:#}")),
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.facts.node.address, self.facts.api_port())
    }

    fn client(&self) -> Result<Client> {
        Client::new(&self.kubeconfig, self.address())
    }

    /// All steps. Says why where it is to be gone on with later.
    async fn work(&self, lock: &Lock, steps: &mut Vec<StepOutcome>) -> Result<Option<&'static str>> {
        let folder = self.folder()?;
        let (client, kubeadm) = (self.client()?, Kubeadm::new(lock));
        for step in RestStep::ALL {
            if Lock::is_wanted(Path::new(lock::PATH)) {
                return Ok(Some("another kubeboot wants this machine's lock"));
            }
            // Whoever stood still since it looked must not bring back what is older.
            let document = client.kubeadm_config().await?;
            ensure!(
                Release::parse(&document.kubernetes_version) == Some(self.to),
                "the cluster's configuration names {} by now",
                document.kubernetes_version
            );
            let done = self.step(step, &client, &kubeadm, folder.path(), &document.document).await;
            steps.push(done.with_context(|| format!("{step} is not of v{}", self.to))?);
        }
        Ok(None)
    }

    async fn step(
        &self,
        step: RestStep,
        client: &Client,
        kubeadm: &Kubeadm,
        folder: &Path,
        document: &Value,
    ) -> Result<StepOutcome> {
        let left_out = |text: &str| StepOutcome { step, left_out: true, text: text.to_owned() };
        if self.facts.documents.skips_on_upgrade(step.phase()) {
            return Ok(left_out("left out, as the kubeadm documents say"));
        }
        let is_disabled = |section: &str| document[section]["disabled"] == true;
        if step.section().is_some_and(is_disabled) {
            return Ok(left_out("left out, as the cluster's configuration says"));
        }
        let is_add_on = step.section().is_some();
        // kubeadm would install one that somebody has removed.
        if is_add_on && client.add_on_image(step).await?.is_none() {
            return Ok(left_out("left out, for it is not installed"));
        }
        let patches = self.facts.documents.upgrade_patches().filter(|_| step == RestStep::Coredns);
        // That of a later patch version brings what belongs to the cluster's.
        let version = document["kubernetesVersion"].as_str().context("the cluster's configuration names no version")?;
        let file = folder.join("kubeconfig");
        let printed = kubeadm.upgrade_phase(step.phase(), version, &file, patches).await?;
        if !is_add_on {
            return Ok(StepOutcome {
                step,
                left_out: false,
                text: format!("written as kubeadm {} does", self.kubeadm),
            });
        }
        let expected = self.expected(step, kubeadm, folder, document).await?;
        let found = client.add_on_image(step).await?.context("it is not installed any more")?;
        // A patch may give it any image.
        if found != expected && patches.is_none() {
            return Err(left_behind(step, &found, &expected, &printed));
        }
        Ok(StepOutcome { step, left_out: false, text: found })
    }

    /// The image that this kubeadm installs, by the cluster's configuration.
    async fn expected(&self, step: RestStep, kubeadm: &Kubeadm, folder: &Path, document: &Value) -> Result<String> {
        let file = folder.join("cluster.yaml");
        let mut document = document.clone();
        (document["apiVersion"], document["kind"]) = (API_VERSION.into(), "ClusterConfiguration".into());
        files::write(&file, document.to_string().as_bytes(), 0o600)?;
        let images = kubeadm.images(&file).await?;
        let found = images.into_iter().find(|image| is_of(image, step.name()));
        found.with_context(|| format!("kubeadm names no image of {step}"))
    }

    /// Credentials for this machine's own API server: that of the endpoint may be another one, or nobody's.
    fn folder(&self) -> Result<TempDir> {
        files::private_dir(Path::new(FOLDER))?;
        let folder = tempfile::Builder::new().prefix("upgrading-").tempdir_in(FOLDER);
        let folder = folder.with_context(|| format!("failed to write to '{FOLDER}'"))?;
        let Kubeconfig { authority, certificate, key, .. } = &self.kubeconfig;
        let endpoint = self.address().to_string();
        let cluster = Cluster { name: "kubernetes", endpoint, server_name: None, authority };
        let text = kubeconfig(&cluster, "kubeboot-agent", &Proof::Certificate(certificate, key))?;
        files::write(&folder.path().join("kubeconfig"), text.as_bytes(), 0o600)?;
        Ok(folder)
    }
}

/// Why an add-on is not what it should be: kubeadm ends well where it leaves one out, as it does while a control-plane machine is of another
/// version, and says so.
fn left_behind(step: RestStep, found: &str, expected: &str, printed: &str) -> anyhow::Error {
    let said = printed.lines().map(str::trim).find(|line| line.contains("kipping"));
    let said = said.map(|said| format!(", and says: {said}")).unwrap_or_default();
    anyhow!("kubeadm has left {step} at {found} in place of {expected}{said}")
}

/// Whether the image is of this name, whatever its registry and tag.
fn is_of(image: &str, name: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split([':', '@']).next() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_by_the_last_part_of_its_name() {
        let rows = [
            ("registry.k8s.io/coredns/coredns:v1.14.2", "coredns", true),
            ("registry.internal:5000/kube-proxy:v1.36.1", "kube-proxy", true),
            ("registry.k8s.io/coredns/coredns@sha256:00", "coredns", true),
            ("registry.k8s.io/coredns/other:v1", "coredns", false),
            ("registry.k8s.io/kube-proxy-windows:v1", "kube-proxy", false),
        ];
        for (image, name, expected) in rows {
            assert_eq!(is_of(image, name), expected, "{image}");
        }
    }

    #[test]
    fn what_kubeadm_says_of_leaving_an_add_on_out_is_told() {
        let printed = "[x] y\n[upgrade/addon] Skipping upgrade of addons because control plane instances [n2] have not been upgraded\n";
        let error = left_behind(RestStep::Coredns, "a:1", "a:2", printed).to_string();
        assert!(
            error.starts_with("kubeadm has left CoreDNS at a:1 in place of a:2, and says: [upgrade/addon] Skipping"),
            "{error}"
        );
        assert!(error.ends_with("[n2] have not been upgraded"), "{error}");
        assert!(left_behind(RestStep::KubeProxy, "a:1", "a:2", "").to_string().ends_with("in place of a:2"));
    }
}
