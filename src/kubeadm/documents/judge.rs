//! Finds what in the documents contradicts kubeboot's work.

use std::path::Path;

use serde_json::Value;

use super::per_machine::is_every_machines;
use super::refusal::shown;
use super::value::{at, flags, pairs, texts};
use super::{CLUSTER, CLUSTER_TOKEN, ClusterFacts, DocumentRefusal, Documents, INIT, JOIN, RESET, UPGRADE};
use crate::kubeadm::data_dir;
use crate::kubeadm::output::Version;
use crate::kubeadm::pki::PKI_DIR;

/// Fields that the operator may not set, because kubeboot does. Their values can be secret and are never shown.
const RESERVED: [(&str, &str, &str, &str); 6] = [
    (INIT, "bootstrapTokens", "is set by kubeboot", "remove it: make tokens afterwards with 'kubeadm token create'"),
    (INIT, "certificateKey", "is not used: keys are in kubeboot's own bundle", "remove it"),
    (JOIN, "controlPlane.certificateKey", "is not used: keys are in kubeboot's own bundle", "remove it"),
    (
        JOIN,
        "discovery.bootstrapToken",
        "is set by kubeboot",
        "remove 'discovery': kubeboot makes the credential itself",
    ),
    (
        JOIN,
        "discovery.tlsBootstrapToken",
        "is set by kubeboot",
        "remove 'discovery': kubeboot makes the credential itself",
    ),
    (JOIN, "discovery.file", "is set by kubeboot", "remove 'discovery': kubeboot makes the credential itself"),
];

/// Phases of init and of join that may not be skipped.
const REQUIRED_PHASES: [(&str, &[&str]); 2] = [
    (
        INIT,
        &[
            "certs",
            "kubeconfig",
            "etcd",
            "etcd/local",
            "control-plane",
            "kubelet-start",
            "upload-config",
            "upload-config/kubeadm",
        ],
    ),
    (JOIN, &["control-plane-prepare", "kubelet-start", "etcd-join", "control-plane-join", "control-plane-join/etcd"]),
];

impl Documents {
    /// Everything in the documents that kubeboot refuses on every machine.
    #[must_use]
    pub fn refusals(&self, cluster: &ClusterFacts) -> Vec<DocumentRefusal> {
        let mut found = self.reserved_fields();
        found.extend(self.phases());
        found.extend(self.fixed_paths());
        found.extend(self.of_one_machine());
        found.extend(self.etcd());
        found.extend(self.ports(cluster));
        found.extend(self.version());
        found.extend(self.cluster_configuration(cluster).err());
        found
    }

    /// The first of [`Documents::refusals`] as an error.
    pub(super) fn judge(&self, cluster: &ClusterFacts) -> Result<(), DocumentRefusal> {
        self.refusals(cluster).into_iter().next().map_or(Ok(()), Err)
    }

    pub(super) fn reserved_fields(&self) -> Vec<DocumentRefusal> {
        let given = RESERVED.iter().filter(|(kind, field, ..)| at(self.kubeadm(kind), field).is_some());
        let mut found: Vec<_> =
            given.map(|(kind, field, reason, remedy)| DocumentRefusal::new(kind, field, *reason, *remedy)).collect();
        for kind in [INIT, JOIN, RESET, UPGRADE] {
            if at(self.kubeadm(kind), "dryRun") == Some(&Value::Bool(true)) {
                found.push(DocumentRefusal::new(
                    kind,
                    "dryRun",
                    "is true",
                    "remove it: 'kubeboot up --dry-run' prints what it would do",
                ));
            }
        }
        found
    }

    pub(super) fn phases(&self) -> Vec<DocumentRefusal> {
        let skipped = REQUIRED_PHASES.iter().flat_map(|(kind, needed)| {
            let skipped = texts(self.kubeadm(kind), "skipPhases").filter(|phase| needed.contains(phase));
            skipped.map(move |phase| (*kind, phase))
        });
        let refuse = |(kind, phase)| {
            DocumentRefusal::new(
                kind,
                "skipPhases",
                format!("skips '{phase}', without which no node can join"),
                "remove it",
            )
        };
        skipped.map(refuse).collect()
    }

    /// Folders and files that the bundle names by their full path.
    pub(super) fn fixed_paths(&self) -> Vec<DocumentRefusal> {
        let authority = format!("{PKI_DIR}/ca.crt");
        let fixed = [
            (CLUSTER, "certificatesDir", PKI_DIR),
            (RESET, "certificatesDir", PKI_DIR),
            (JOIN, "caCertPath", &authority),
        ];
        let other = |(kind, field, ours): (&str, &str, &str)| {
            let theirs = at(self.kubeadm(kind), field)?;
            let same = theirs.as_str().is_some_and(|theirs| theirs.trim_end_matches('/') == ours);
            let remedy = "remove it: all nodes of a kubeboot cluster have them there";
            (!same).then(|| DocumentRefusal::different(self.kubeadm(kind), field, theirs, ours, remedy))
        };
        fixed.into_iter().filter_map(other).collect()
    }

    fn etcd(&self) -> Vec<DocumentRefusal> {
        let cluster = self.kubeadm(CLUSTER);
        let mut found = Vec::new();
        let mut refuse =
            |field: &str, reason: &str, remedy: &str| found.push(DocumentRefusal::new(CLUSTER, field, reason, remedy));
        if at(cluster, "etcd.local").is_some() && at(cluster, "etcd.external").is_some() {
            refuse("etcd", "is both local and external", "remove one of the two");
        }
        if at(cluster, "etcd.external").is_some() && texts(cluster, "etcd.external.endpoints").next().is_none() {
            refuse("etcd.external.endpoints", "is missing", "name the client URLs of the external etcd");
        }
        if self.data_dir().is_some_and(Path::is_relative) {
            refuse("etcd.local.dataDir", "is not an absolute path", "write it with a leading slash");
        }
        if let Some(folder) = self.data_dir() {
            if data_dir::is_system_folder(folder) {
                refuse(
                    "etcd.local.dataDir",
                    "is a folder of the system's",
                    "name a folder of etcd's own, such as /var/lib/etcd",
                );
            }
            if folder.to_string_lossy().contains(char::is_control) {
                refuse("etcd.local.dataDir", "has characters in it that no path should have", "rename the folder");
            }
        }
        for (name, value) in pairs(cluster, "etcd.local.extraArgs") {
            if let Some((reason, remedy)) = etcd_option(name, value) {
                refuse(&format!("etcd.local.extraArgs[{name}]"), reason, remedy);
            }
        }
        for (name, value) in pairs(cluster, "etcd.local.extraEnvs") {
            let option = name.strip_prefix("ETCD_").map(|option| option.to_ascii_lowercase().replace('_', "-"));
            if let Some((reason, remedy)) = option.and_then(|option| etcd_option(&option, value)) {
                refuse(&format!("etcd.local.extraEnvs[{name}]"), reason, remedy);
            }
        }
        if let Some(flag) = flags(cluster, "apiServer.extraArgs").find(|flag| flag.name == "etcd-servers") {
            refuse(
                &format!("apiServer.extraArgs[{}]", flag.written),
                "has the API server ask another etcd than the one that kubeboot looks after: nobody could tell which cluster it serves",
                "remove it; an etcd of your own is named by etcd.external",
            );
        }
        found
    }

    fn ports(&self, cluster: &ClusterFacts) -> Vec<DocumentRefusal> {
        let table = [
            (INIT, "localAPIEndpoint.bindPort", self.bind_port()),
            (JOIN, "controlPlane.localAPIEndpoint.bindPort", self.join_port()),
        ];
        let mut found = Vec::new();
        for (kind, field, port) in table {
            if port == Some(cluster.port) {
                continue;
            }
            let theirs = at(self.kubeadm(kind), field).map_or_else(|| "6443, its default,".to_owned(), shown);
            let reason = format!(
                "is {theirs} and the endpoint's port is {}: a node joins directly at another node under the endpoint's name, so \
                 the two must be the same",
                cluster.port
            );
            found.push(DocumentRefusal::new(
                kind,
                field,
                reason,
                "give both the same port, the load balancer's targets too",
            ));
            if at(self.kubeadm(JOIN), "controlPlane.localAPIEndpoint.bindPort").is_none() {
                break; // join uses init's port: one refusal is enough
            }
        }
        found
    }

    /// Refuses a label such as `stable-1`: its version changes, and without internet access it has none.
    fn version(&self) -> Vec<DocumentRefusal> {
        let label = self.kubernetes_version().filter(|version| Version::parse(version).is_err());
        let refuse = |label: &str| {
            let reason = format!("is '{}', which is no version", label.escape_debug());
            let remedy = "write a version such as v1.36.1, or remove it to use the version of the installed kubeadm";
            DocumentRefusal::new(CLUSTER, "kubernetesVersion", reason, remedy)
        };
        label.map(refuse).into_iter().collect()
    }
}

/// What is wrong with an option of etcd's, as an argument or as a variable, and the way out.
fn etcd_option(name: &str, value: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "strict-reconfig-check" if is_false(value) => {
            Some(("is switched off: with it etcd itself protects its quorum, and kubeboot relies on that", "remove it"))
        }
        "data-dir" => Some((
            "moves the data to where neither kubeadm nor kubeboot looks for it",
            "set etcd.local.dataDir instead",
        )),
        "wal-dir" => Some((
            "moves etcd's log to where kubeboot does not look for it: a member's data would seem to be gone",
            "remove it, and put etcd.local.dataDir on the fast disk",
        )),
        CLUSTER_TOKEN => Some((
            "is kubeboot's business: each init has one of its own, so that no two etcds have the same cluster ID",
            "remove it",
        )),
        "name"
        | "initial-cluster"
        | "initial-cluster-state"
        | "initial-advertise-peer-urls"
        | "listen-peer-urls"
        | "listen-client-urls"
        | "advertise-client-urls"
        | "discovery"
        | "discovery-srv"
        | "discovery-endpoints"
        | "discovery-token" => {
            Some(("forms the cluster or is one machine's own: kubeadm sets it on each", "remove it"))
        }
        "listen-metrics-urls" if !is_for_every_machine(value) => Some((
            "is one machine's own",
            "remove it, or name an address that every machine has, such as http://0.0.0.0:2381",
        )),
        "force-new-cluster" if !is_false(value) => {
            Some(("makes each member a cluster of its own, at every start", "remove it"))
        }
        "config-file" => {
            Some(("has etcd ignore every argument that kubeadm gives it", "write what it says as extraArgs"))
        }
        _ => None,
    }
}

/// Whether every machine has the addresses of these URLs.
fn is_for_every_machine(urls: &str) -> bool {
    urls.split(',').all(|url| {
        let host = url.rsplit("://").next().and_then(|rest| rest.rsplit_once(':')).map_or("", |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || is_every_machines(host)
    })
}

/// Whether Go's flag package takes this value for false.
fn is_false(value: &str) -> bool {
    ["0", "f", "F", "false", "False", "FALSE"].contains(&value)
}
