//! What kubeboot knows and fills in.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::model::joining::BootstrapToken;

/// What is the same on all machines of the cluster.
#[derive(Debug, Clone)]
pub struct ClusterFacts {
    /// The name of the cluster; `None` leaves kubeadm's default, `kubernetes`.
    pub name: Option<String>,
    /// The host of the control-plane endpoint: a DNS name or an IP address (IPv6 without brackets).
    pub host: String,
    /// The port of the control-plane endpoint.
    pub port: u16,
    /// The version to install when the documents name none: that of this machine's kubeadm, such as `v1.36.1`. Without one kubeadm
    /// would ask the internet.
    pub kubernetes_version: String,
}

impl ClusterFacts {
    /// The control-plane endpoint as kubeadm writes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        match self.host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

/// What only this machine knows.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// The name of its Node object.
    pub name: String,
    /// The address on which its API server and its etcd are reached.
    pub address: IpAddr,
    /// Its first address of the other family; `None` where it has none.
    pub other_address: Option<IpAddr>,
    /// Its provider ID (`aws:///ZONE/INSTANCE`): by that a Node without a machine is told from one whose name another machine has.
    pub provider_id: String,
    /// Whether an external cloud provider runs in the cluster.
    pub external_cloud: bool,
    /// The socket of its container runtime; `None`: kubeadm finds it, if there is only one.
    pub cri_socket: Option<String>,
    /// Whether something that harms nobody lies in etcd's data folder, such as the `lost+found` of a file system's root: kubeadm wants that
    /// folder empty.
    pub has_harmless_folder: bool,
}

/// How long the token of an init is valid: as long as an init may take.
const TOKEN_TTL: &str = "15m0s";

/// The bootstrap token that `kubeadm init` makes. kubeboot does not need it, but kubeadm always makes one: this one is valid for
/// minutes and is deleted right after init.
pub(super) fn init_token(token: &BootstrapToken) -> Value {
    json!({
        "token": token.expose(),
        "ttl": TOKEN_TTL,
        "usages": ["signing", "authentication"],
        "groups": ["system:bootstrappers:kubeadm:default-node-token"],
        "description": "kubeboot: for kubeadm init alone, deleted when it is done",
    })
}
