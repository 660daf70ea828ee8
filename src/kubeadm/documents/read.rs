//! The values that kubeboot needs from the operator's documents.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::model::machine::node_marks::Taint;

use super::stored::seconds;
use super::value::{at, flags, text, texts};
use super::{CLUSTER, ClusterFacts, DocumentRefusal, Documents, INIT, JOIN, RESET, UPGRADE};

/// kubeadm's defaults, from its `v1beta4/defaults.go`.
pub(super) const DEFAULT_SERVICE_SUBNET: &str = "10.96.0.0/12";
pub(super) const DEFAULT_DATA_DIR: &str = "/var/lib/etcd";
const DEFAULT_PORT: u16 = 6443;
/// The phases that mark the Node, of init and of join, with those that they are part of.
const MARK_PHASES: [&str; 3] = ["mark-control-plane", "control-plane-join", "control-plane-join/mark-control-plane"];

/// An etcd that kubeadm does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalEtcd {
    /// Its client URLs.
    pub endpoints: Vec<String>,
    /// The authority of its certificates.
    pub ca_file: Option<PathBuf>,
    /// The API server's client certificate for it.
    pub cert_file: Option<PathBuf>,
    /// The key of that certificate.
    pub key_file: Option<PathBuf>,
}

impl ExternalEtcd {
    /// The client files, as far as they are named.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.ca_file, &self.cert_file, &self.key_file].into_iter().filter_map(|file| file.as_deref())
    }
}

impl Documents {
    /// The service subnet of the cluster: one network, or two with a comma.
    #[must_use]
    pub fn service_subnet(&self) -> &str {
        text(self.kubeadm(CLUSTER), "networking.serviceSubnet").unwrap_or(DEFAULT_SERVICE_SUBNET)
    }

    /// Whether the API server answers nobody without credentials, so that whoever asks for its health has to have some.
    #[must_use]
    pub fn refuses_the_anonymous(&self) -> bool {
        let arguments = flags(self.kubeadm(CLUSTER), "apiServer.extraArgs");
        let last = arguments.filter(|flag| flag.name == "anonymous-auth").last();
        // As Go reads a flag that is true or false.
        last.is_some_and(|flag| matches!(flag.value, "0" | "f" | "F" | "false" | "False" | "FALSE"))
    }

    /// The port on which every API server listens; `None` when it is no port.
    #[must_use]
    pub fn bind_port(&self) -> Option<u16> {
        port(self.kubeadm(INIT), "localAPIEndpoint.bindPort")
    }

    /// The port on which the API server of a joining machine listens; `None` when it is no port.
    pub(super) fn join_port(&self) -> Option<u16> {
        let field = "controlPlane.localAPIEndpoint.bindPort";
        match at(self.kubeadm(JOIN), field) {
            Some(_) => port(self.kubeadm(JOIN), field),
            None => self.bind_port(),
        }
    }

    /// The data directory of kubeadm's etcd. `None` when etcd is external: even if that runs on this machine, kubeboot neither reads
    /// nor wipes its data.
    #[must_use]
    pub fn data_dir(&self) -> Option<&Path> {
        data_dir_of(self.kubeadm(CLUSTER))
    }

    /// Why this machine may not join the cluster of this `ClusterConfiguration`: that keeps etcd's data elsewhere. A machine that joins
    /// gets the cluster's configuration, and what lies in etcd's folder is looked for, guarded and wiped by these documents.
    #[must_use]
    pub fn etcd_elsewhere(&self, theirs: &Value) -> Option<DocumentRefusal> {
        let (ours, theirs) = (self.data_dir(), data_dir_of(theirs));
        let said =
            |folder: Option<&Path>| folder.map_or("external".into(), |folder| format!("in '{}'", folder.display()));
        let field = if ours.is_some() && theirs.is_some() { "etcd.local.dataDir" } else { "etcd" };
        let reason = format!("says that etcd is {}, and the cluster's etcd is {}", said(ours), said(theirs));
        (ours != theirs).then(|| DocumentRefusal::new(CLUSTER, field, reason, "write what the cluster has"))
    }

    /// The external etcd, if there is one.
    #[must_use]
    pub fn external_etcd(&self) -> Option<ExternalEtcd> {
        let etcd = at(self.kubeadm(CLUSTER), "etcd.external")?;
        let file = |field| text(etcd, field).map(PathBuf::from);
        Some(ExternalEtcd {
            endpoints: texts(etcd, "endpoints").map(str::to_owned).collect(),
            ca_file: file("caFile"),
            cert_file: file("certFile"),
            key_file: file("keyFile"),
        })
    }

    /// The Kubernetes version that the operator wants, as written; `None` means that of the installed kubeadm.
    #[must_use]
    pub fn kubernetes_version(&self) -> Option<&str> {
        text(self.kubeadm(CLUSTER), "kubernetesVersion")
    }

    /// The version that an init installs, with its `v`: the operator's, or else that of the installed kubeadm.
    #[must_use]
    pub fn installed_version(&self, cluster: &ClusterFacts) -> String {
        let version = self.kubernetes_version().unwrap_or(&cluster.kubernetes_version);
        format!("v{}", version.trim_start_matches('v'))
    }

    /// The algorithm of the cluster's keys, such as `ECDSA-P256`; `None`: kubeadm's default.
    #[must_use]
    pub fn encryption_algorithm(&self) -> Option<&str> {
        text(self.kubeadm(CLUSTER), "encryptionAlgorithm")
    }

    /// For how long kubeadm makes certificates, where the operator says so.
    #[must_use]
    pub fn certificate_validity(&self) -> Option<Duration> {
        text(self.kubeadm(CLUSTER), "certificateValidityPeriod").and_then(seconds).map(Duration::from_secs)
    }

    /// The name of the cluster, if the operator gave one here.
    #[must_use]
    pub fn cluster_name(&self) -> Option<&str> {
        text(self.kubeadm(CLUSTER), "clusterName")
    }

    /// Whether kubelet starts although there is swap: by its configuration or its flag, as the operator gave them.
    #[must_use]
    pub fn allows_swap(&self) -> bool {
        let configured = self.all.iter().filter(|document| document.kind == "KubeletConfiguration");
        let mut configured = configured.filter_map(|document| at(&document.value, "failSwapOn")?.as_bool());
        let mut flags =
            [INIT, JOIN].into_iter().flat_map(|kind| flags(self.kubeadm(kind), "nodeRegistration.kubeletExtraArgs"));
        configured.any(|fails| !fails) || flags.any(|flag| flag.name == "fail-swap-on" && flag.value == "false")
    }

    /// The taints that kubeadm gives to this machine's Node; `None` where these documents have it mark nothing. `initialised`: whether
    /// `kubeadm init` has made this machine a member, and not `kubeadm join`.
    #[must_use]
    pub fn node_taints(&self, initialised: bool) -> Option<Vec<Taint>> {
        let document = if initialised { self.skeleton(INIT) } else { self.as_joiner().ok()? };
        let skips = |phase: &str| MARK_PHASES.contains(&phase);
        if texts(&document, "skipPhases").any(skips) {
            return None;
        }
        // An empty list means that there are none, in kubeadm as well.
        let Some(given) = at(&document, "nodeRegistration.taints").and_then(Value::as_array) else {
            return Some(vec![Taint::of_control_plane()]);
        };
        let field = |taint: &Value, name: &str| text(taint, name).unwrap_or_default().to_owned();
        let taint = |given: &Value| Taint {
            key: field(given, "key"),
            value: field(given, "value"),
            effect: field(given, "effect"),
        };
        Some(given.iter().map(taint).collect())
    }

    /// The socket of the container runtime, if the operator gave one.
    #[must_use]
    pub fn cri_socket(&self) -> Option<&str> {
        let registration = "nodeRegistration.criSocket";
        text(self.kubeadm(INIT), registration)
            .or_else(|| text(self.kubeadm(JOIN), registration))
            .or_else(|| text(self.kubeadm(RESET), "criSocket"))
    }

    /// Whether this step of an upgrade is left out: by the phases that init skips, or by those that the operator's own upgrades skip.
    #[must_use]
    pub fn skips_on_upgrade(&self, phase: &[&str]) -> bool {
        let (whole, all) = (phase.join("/"), phase.first().copied().unwrap_or_default());
        let skipped = |skips: &str| skips == whole || skips == all || skips == format!("{all}/all");
        texts(self.kubeadm(INIT), "skipPhases").chain(texts(self.kubeadm(UPGRADE), "apply.skipPhases")).any(skipped)
    }

    /// The folder of the patches that an upgrade applies, if the operator gave one.
    #[must_use]
    pub fn upgrade_patches(&self) -> Option<&Path> {
        let own = text(self.kubeadm(UPGRADE), "apply.patches.directory");
        own.or_else(|| text(self.kubeadm(INIT), "patches.directory")).map(Path::new)
    }

    /// Whether kubeadm may pull images here, as far as these documents say.
    #[must_use]
    pub fn pulls_images(&self) -> bool {
        let policy = "nodeRegistration.imagePullPolicy";
        [INIT, JOIN].into_iter().all(|kind| text(self.kubeadm(kind), policy) != Some("Never"))
    }
}

fn port(document: &Value, field: &str) -> Option<u16> {
    match at(document, field) {
        None => Some(DEFAULT_PORT),
        Some(given) => given.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0),
    }
}

/// The data directory of the etcd of this `ClusterConfiguration`; `None` when it is external.
fn data_dir_of(cluster: &Value) -> Option<&Path> {
    let ours = at(cluster, "etcd.external").is_none();
    ours.then(|| Path::new(text(cluster, "etcd.local.dataDir").unwrap_or(DEFAULT_DATA_DIR)))
}
