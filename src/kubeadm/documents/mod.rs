//! The operator's kubeadm documents: read, judged, and completed for this machine. Pure: text in, text out.
//!
//! The file that the setting `kubeadm_config` names may hold `kubeadm.k8s.io/v1beta4` documents of every kind, and
//! others such as `KubeletConfiguration`. The same file serves `kubeadm init` and `kubeadm join`:
//!
//! | document | for init | for join |
//! |---|---|---|
//! | `InitConfiguration` | completed | fills in what `JoinConfiguration` leaves out |
//! | `ClusterConfiguration` | completed | not needed: kubeadm takes the cluster's own |
//! | `JoinConfiguration` | - | completed |
//! | `ResetConfiguration`, `UpgradeConfiguration` | - | - (for the operator's own commands; accepted and not passed on) |
//! | any other | unchanged, as its original text | - (kubelet and kube-proxy: the cluster's own) |
//!
//! Completed documents are written as JSON, which is YAML, with sorted keys; no field of them is lost.
//!
//! Some fields hold what only the machine knows, or what kubeboot already knows: the node's name, its address, the endpoint. kubeboot
//! fills them in. A document that gives another value is refused ([`DocumentRefusal`]), because one of the two must be wrong.

mod complete;
mod drift;
mod host_files;
mod judge;
mod node;
mod parse;
mod per_machine;
mod read;
mod refusal;
mod stored;
#[cfg(test)]
mod tests;
mod value;
mod worker;

pub use drift::DocumentDrift;
pub use host_files::{Expected, HostFile};
pub use node::{ClusterFacts, NodeFacts};
pub(crate) use parse::yaml;
pub use read::ExternalEtcd;
pub use refusal::DocumentRefusal;

use serde_json::Value;

/// The API group of kubeadm's own documents.
const KUBEADM_GROUP: &str = "kubeadm.k8s.io";
/// The only version of them that kubeboot reads and writes; kubeadm has it since 1.31.
const KUBEADM_VERSION: &str = "kubeadm.k8s.io/v1beta4";

/// The argument of etcd's by which no two inits make clusters of one ID.
const CLUSTER_TOKEN: &str = "initial-cluster-token";

const INIT: &str = "InitConfiguration";
const CLUSTER: &str = "ClusterConfiguration";
const JOIN: &str = "JoinConfiguration";
const RESET: &str = "ResetConfiguration";
const UPGRADE: &str = "UpgradeConfiguration";

/// The operator's documents. Has no `Debug`: what operators write may be secret.
#[derive(Clone, Default)]
pub struct Documents {
    all: Vec<Document>,
}

#[derive(Clone)]
struct Document {
    api_version: String,
    kind: String,
    /// The text of the document in the file.
    text: String,
    value: Value,
}

impl Document {
    fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl Documents {
    /// Reads the text of the operator's file. No file at all is [`Documents::default`].
    ///
    /// # Errors
    /// Names the document that is not YAML, not a mapping, without kind, of another version, or duplicate.
    pub fn parse(file: &str) -> Result<Self, DocumentRefusal> {
        Ok(Self { all: parse::parse(file)? })
    }

    /// The kubeadm document of this kind; JSON null when the operator wrote none.
    fn kubeadm(&self, kind: &str) -> &Value {
        let found = self.all.iter().find(|document| document.group() == KUBEADM_GROUP && document.kind == kind);
        found.map_or(&Value::Null, |document| &document.value)
    }

    /// The kubeadm document of this kind, or an empty one, to be completed.
    fn skeleton(&self, kind: &str) -> Value {
        match self.kubeadm(kind) {
            Value::Null => serde_json::json!({"apiVersion": KUBEADM_VERSION, "kind": kind}),
            given => given.clone(),
        }
    }
}
