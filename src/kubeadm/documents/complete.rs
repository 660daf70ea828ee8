//! Completes the documents for this machine.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::model::joining::BootstrapToken;
use crate::model::machine::ids::ClaimId;

use super::node::init_token;
use super::value::{at, fill, flags, list_mut, mapping, not_a, text, texts};
use super::{
    CLUSTER, CLUSTER_TOKEN, ClusterFacts, DocumentRefusal, Documents, INIT, JOIN, KUBEADM_GROUP, NodeFacts, RESET,
    UPGRADE,
};

/// Phases of init that join has as well, with their names in join.
const SHARED_PHASES: [(&str, &str); 3] = [
    ("preflight", "preflight"),
    ("mark-control-plane", "control-plane-join/mark-control-plane"),
    ("wait-control-plane", "wait-control-plane"),
];

/// Phases of init that would write over what a restored cluster keeps.
const KEPT_BY_A_RESTORE: [&str; 2] = ["upload-config", "addon"];

impl Documents {
    /// The documents for `kubeadm init` on this machine. The text holds the token: a file for root alone.
    ///
    /// # Errors
    /// When a document contradicts what kubeboot knows of the machine or the cluster.
    pub fn init(
        &self,
        cluster: &ClusterFacts,
        node: &NodeFacts,
        token: &BootstrapToken,
        claim: &ClaimId,
    ) -> Result<String, DocumentRefusal> {
        self.with_token(self.own_init(cluster, node)?, cluster, token, claim)
    }

    fn with_token(
        &self,
        mut init: Value,
        cluster: &ClusterFacts,
        token: &BootstrapToken,
        claim: &ClaimId,
    ) -> Result<String, DocumentRefusal> {
        mapping(&mut init, "")?.insert("bootstrapTokens".into(), json!([init_token(token)]));
        let mut configuration = self.cluster_configuration(cluster)?;
        if self.external_etcd().is_none() {
            name_etcd_cluster(&mut configuration, claim)?;
        }
        let mut texts = vec![json_text(&init), json_text(&configuration)];
        texts.extend(self.others().map(str::to_owned));
        Ok(texts.join("---\n"))
    }

    /// As [`Documents::init`], over etcd's restored data: kubeadm takes the data folder as it is, and leaves alone what the restored
    /// cluster keeps of its own, its configuration and its add-ons.
    ///
    /// # Errors
    /// As [`Documents::init`].
    pub fn init_restored(
        &self,
        cluster: &ClusterFacts,
        node: &NodeFacts,
        token: &BootstrapToken,
        claim: &ClaimId,
    ) -> Result<String, DocumentRefusal> {
        let node = NodeFacts { has_harmless_folder: true, ..node.clone() };
        let mut init = self.own_init(cluster, &node)?;
        let skipped = list_mut(&mut init, "skipPhases")?;
        for phase in KEPT_BY_A_RESTORE {
            if !skipped.iter().any(|given| given == phase) {
                skipped.push(phase.into());
            }
        }
        self.with_token(init, cluster, token, claim)
    }

    /// The documents for a command of kubeadm's that renews what this machine has: those of an init here, without a token and a claim.
    ///
    /// # Errors
    /// As [`Documents::init`].
    pub fn renewal(&self, cluster: &ClusterFacts, node: &NodeFacts) -> Result<String, DocumentRefusal> {
        let init = self.own_init(cluster, node)?;
        Ok([json_text(&init), json_text(&self.cluster_configuration(cluster)?)].join("---\n"))
    }

    /// This machine's `InitConfiguration`, without a token.
    fn own_init(&self, cluster: &ClusterFacts, node: &NodeFacts) -> Result<Value, DocumentRefusal> {
        self.judge(cluster)?;
        let mut init = self.skeleton(INIT);
        self.register(&mut init, node)?;
        self.allow_harmless_folder(&mut init, node)?;
        advertise(&mut init, "localAPIEndpoint", cluster, node)?;
        Ok(init)
    }

    /// The document for `kubeadm join` of this machine as a control-plane node. `kubeconfig` is the file with which it
    /// finds and trusts the cluster.
    ///
    /// # Errors
    /// When a document contradicts what kubeboot knows of the machine or the cluster.
    pub fn join(&self, cluster: &ClusterFacts, node: &NodeFacts, kubeconfig: &Path) -> Result<String, DocumentRefusal> {
        self.judge(cluster)?;
        let mut join = self.as_joiner()?;
        self.register(&mut join, node)?;
        self.allow_harmless_folder(&mut join, node)?;
        advertise(&mut join, "controlPlane.localAPIEndpoint", cluster, node)?;
        let discovery = json!({"file": {"kubeConfigPath": kubeconfig.to_string_lossy()}});
        mapping(&mut join, "")?.insert("discovery".into(), discovery);
        Ok(json_text(&join))
    }

    /// The smallest documents with which `kubeadm kubeconfig user` makes a credential from the authority in `certificates_dir`,
    /// without any network access.
    ///
    /// # Errors
    /// Never for documents that were judged before.
    pub fn client(
        &self,
        cluster: &ClusterFacts,
        node: &NodeFacts,
        certificates_dir: &Path,
    ) -> Result<String, DocumentRefusal> {
        let mut init = json!({"apiVersion": super::KUBEADM_VERSION, "kind": INIT});
        // Address, name and socket do not affect the credential, but kubeadm would look for them on the machine.
        advertise(&mut init, "localAPIEndpoint", cluster, node)?;
        fill(&mut init, "nodeRegistration.name", &node.name, "")?;
        if let Some(socket) = self.cri_socket().or(node.cri_socket.as_deref()) {
            fill(&mut init, "nodeRegistration.criSocket", socket, "")?;
        }
        let mut configuration = json!({
            "apiVersion": super::KUBEADM_VERSION,
            "kind": CLUSTER,
            "certificatesDir": certificates_dir.to_string_lossy(),
            "controlPlaneEndpoint": cluster.endpoint(),
            "kubernetesVersion": cluster.kubernetes_version,
        });
        if let Some(algorithm) = self.encryption_algorithm() {
            configuration["encryptionAlgorithm"] = algorithm.into();
        }
        Ok([json_text(&init), json_text(&configuration)].join("---\n"))
    }

    /// The documents with which phases of `kubeadm init` make files of a member anew: this machine, and the cluster's own
    /// `ClusterConfiguration` as kubeadm stored it. `initialised`: whether this machine has made the cluster.
    ///
    /// # Errors
    /// When a document contradicts what kubeboot knows of the machine.
    pub fn own_files(
        &self,
        cluster: &ClusterFacts,
        node: &NodeFacts,
        stored: &Value,
        initialised: bool,
    ) -> Result<String, DocumentRefusal> {
        let given = if initialised { self.skeleton(INIT) } else { self.as_joiner()? };
        let mut init = json!({"apiVersion": super::KUBEADM_VERSION, "kind": INIT});
        advertise(&mut init, "localAPIEndpoint", cluster, node)?;
        fill(&mut init, "nodeRegistration.name", &node.name, "")?;
        if let Some(socket) = self.cri_socket().or(node.cri_socket.as_deref()) {
            fill(&mut init, "nodeRegistration.criSocket", socket, "")?;
        }
        if let Some(patches) = at(&given, "patches") {
            mapping(&mut init, "")?.insert("patches".into(), patches.clone());
        }
        Ok([json_text(&init), json_text(stored)].join("---\n"))
    }

    /// Whether kubeadm makes all files of this machine by these documents, and skips none of its phases for them.
    #[must_use]
    pub fn makes_all_files(&self, initialised: bool) -> bool {
        let given = if initialised { Ok(self.skeleton(INIT)) } else { self.as_joiner() };
        given.is_ok_and(|given| !texts(&given, "skipPhases").any(makes_files))
    }

    /// Fills in how the machine registers as a node.
    pub(super) fn register(&self, document: &mut Value, node: &NodeFacts) -> Result<(), DocumentRefusal> {
        let remedy = "remove it: the file is the same on every machine (setting 'node_name' changes the name)";
        fill(document, "nodeRegistration.name", &node.name, remedy)?;
        if let (None, Some(socket)) = (at(document, "nodeRegistration.criSocket"), &node.cri_socket) {
            fill(document, "nodeRegistration.criSocket", socket, "")?;
        }
        if node.external_cloud {
            kubelet_flag(document, "cloud-provider", "external", "remove it, or the setting 'cloud_provider'")?;
        }
        kubelet_flag(document, "provider-id", &node.provider_id, "remove it: kubeboot fills it in per machine")?;
        let named = flags(document, KUBELET_ARGS).any(|flag| flag.name == "node-ip");
        if let (Some(addresses), false) = (self.node_addresses(node), named) {
            kubelet_flag(document, "node-ip", &addresses, "")?;
        }
        Ok(())
    }

    /// What kubelet is told of the node's addresses, where its own choice would be wrong: by default it takes one address, and rather an
    /// IPv4 one, so that a Node had another address than etcd and the API server, and one of a dual-stack cluster only one family.
    fn node_addresses(&self, node: &NodeFacts) -> Option<String> {
        let both = node.other_address.filter(|_| self.is_dual_stack());
        match both {
            Some(other) => Some(format!("{},{other}", node.address)),
            None => node.address.is_ipv6().then(|| node.address.to_string()),
        }
    }

    /// Whether pods or services have addresses of both families.
    fn is_dual_stack(&self) -> bool {
        let subnets = ["networking.podSubnet", "networking.serviceSubnet"];
        subnets.iter().filter_map(|field| text(self.kubeadm(CLUSTER), field)).any(|text| text.contains(','))
    }

    /// Lets kubeadm start although something harmless lies in etcd's folder. That nothing else does is seen to before.
    fn allow_harmless_folder(&self, document: &mut Value, node: &NodeFacts) -> Result<(), DocumentRefusal> {
        let Some(folder) = self.data_dir().filter(|_| node.has_harmless_folder) else { return Ok(()) };
        // kubeadm's name for its check of that folder.
        let check = format!("DirAvailable-{}", folder.to_string_lossy().replace('/', "-"));
        list_mut(document, "nodeRegistration.ignorePreflightErrors")?.push(check.into());
        Ok(())
    }

    /// The `ClusterConfiguration` with what kubeboot knows filled in: what `kubeadm init` gets.
    pub(super) fn cluster_configuration(&self, cluster: &ClusterFacts) -> Result<Value, DocumentRefusal> {
        let mut configuration = self.skeleton(CLUSTER);
        let remedy = "remove it, or make the setting 'endpoint' the same";
        let written = text(&configuration, "controlPlaneEndpoint").map(|theirs| with_port(theirs, cluster.port));
        if let Some(written) = written {
            // kubeadm takes a missing port for the bind port, which is the endpoint's.
            mapping(&mut configuration, "")?.insert("controlPlaneEndpoint".into(), written.into());
        }
        fill(&mut configuration, "controlPlaneEndpoint", &cluster.endpoint(), remedy)?;
        for (field, ours) in
            [("kubernetesVersion", Some(&cluster.kubernetes_version)), ("clusterName", cluster.name.as_ref())]
        {
            if let (None, Some(ours)) = (at(&configuration, field), ours) {
                mapping(&mut configuration, "")?.insert(field.into(), ours.as_str().into());
            }
        }
        if !texts(&configuration, "apiServer.certSANs").any(|name| name.eq_ignore_ascii_case(&cluster.host)) {
            list_mut(&mut configuration, "apiServer.certSANs")?.push(cluster.host.as_str().into());
        }
        Ok(configuration)
    }

    /// The `JoinConfiguration`, with what the operator wrote for init and not for join.
    pub(super) fn as_joiner(&self) -> Result<Value, DocumentRefusal> {
        let mut join = self.skeleton(JOIN);
        self.inherit(&mut join)?;
        Ok(join)
    }

    /// Copies to join what the operator wrote for init and not for join.
    fn inherit(&self, join: &mut Value) -> Result<(), DocumentRefusal> {
        let init = self.kubeadm(INIT);
        for section in ["nodeRegistration", "timeouts", "patches"] {
            let Some(given) = at(init, section) else { continue };
            let given = given.as_object().ok_or_else(|| not_a("mapping", INIT, section))?;
            let ours = mapping(join, section)?;
            for (field, value) in given {
                ours.entry(field).or_insert_with(|| value.clone());
            }
        }
        if at(join, "skipPhases").is_none() {
            let skipped = texts(init, "skipPhases");
            let shared = skipped.filter_map(|name| SHARED_PHASES.iter().find(|(init, _)| *init == name));
            let shared: Vec<Value> = shared.map(|(_, join)| (*join).into()).collect();
            if !shared.is_empty() {
                mapping(join, "")?.insert("skipPhases".into(), shared.into());
            }
        }
        let port = "localAPIEndpoint.bindPort";
        if let (Some(given), None) = (at(init, port), at(join, "controlPlane.localAPIEndpoint.bindPort")) {
            mapping(join, "controlPlane.localAPIEndpoint")?.insert("bindPort".into(), given.clone());
        }
        Ok(())
    }

    /// Documents that are not kubeadm's own, and kinds of kubeadm's that kubeboot does not know, as in the file.
    fn others(&self) -> impl Iterator<Item = &str> {
        let known = [INIT, CLUSTER, JOIN, RESET, UPGRADE];
        let others = self.all.iter().filter(move |d| d.group() != KUBEADM_GROUP || !known.contains(&d.kind.as_str()));
        others.map(|document| document.text.as_str())
    }
}

const KUBELET_ARGS: &str = "nodeRegistration.kubeletExtraArgs";

fn kubelet_flag(document: &mut Value, name: &str, ours: &str, remedy: &str) -> Result<(), DocumentRefusal> {
    if let Some(theirs) = flags(document, KUBELET_ARGS).find(|flag| flag.name == name) {
        if theirs.value == ours {
            return Ok(());
        }
        let field = format!("{KUBELET_ARGS}[{}]", theirs.written);
        return Err(DocumentRefusal::different(document, &field, &theirs.value.into(), ours, remedy));
    }
    list_mut(document, KUBELET_ARGS)?.push(json!({"name": name, "value": ours}));
    Ok(())
}

/// Whether a phase, of init or of join, makes files of the machine.
fn makes_files(phase: &str) -> bool {
    let (first, part) = phase.split_once('/').unwrap_or((phase, ""));
    match first {
        "certs" | "kubeconfig" | "etcd" | "etcd-join" | "control-plane" | "control-plane-prepare" | "kubelet-start" => {
            true
        }
        "control-plane-join" => matches!(part, "" | "etcd"),
        _ => false,
    }
}

/// Fills in where the machine's API server is reached.
fn advertise(
    document: &mut Value,
    section: &str,
    cluster: &ClusterFacts,
    node: &NodeFacts,
) -> Result<(), DocumentRefusal> {
    let field = format!("{section}.advertiseAddress");
    // Compared as addresses: the same one can be written in several ways.
    let same = text(document, &field).and_then(|theirs| theirs.parse::<IpAddr>().ok()) == Some(node.address);
    if !same {
        fill(document, &field, &node.address.to_string(), "remove it: kubeboot fills it in per machine")?;
    }
    mapping(document, section)?.insert("bindPort".into(), cluster.port.into());
    Ok(())
}

/// Gives the etcd of this init a token of its own, so that no two inits share a cluster ID, at one address either.
fn name_etcd_cluster(configuration: &mut Value, claim: &ClaimId) -> Result<(), DocumentRefusal> {
    let arguments = list_mut(configuration, "etcd.local.extraArgs")?;
    arguments.push(json!({"name": CLUSTER_TOKEN, "value": claim.as_str()}));
    Ok(())
}

fn with_port(endpoint: &str, port: u16) -> String {
    let bare_v6 = endpoint.parse::<std::net::Ipv6Addr>().is_ok();
    let has_port = !bare_v6 && endpoint.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    match (has_port, bare_v6) {
        (true, _) => endpoint.to_owned(),
        (false, true) => format!("[{endpoint}]:{port}"),
        (false, false) => format!("{endpoint}:{port}"),
    }
}

/// One document: JSON, keys sorted, one field a line so that people can read it.
pub(super) fn json_text(document: &Value) -> String {
    format!("{document:#}\n")
}
