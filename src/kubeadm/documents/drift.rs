//! How this machine's `ClusterConfiguration` differs from the cluster's.
//!
//! A joining machine runs with the cluster's configuration, whatever its own file says. So a file that differs is worth a warning: it
//! would apply to the next cluster, not to this one. What kubeadm would store is compared with what it has stored ([`super::stored`]),
//! so that only what an operator wrote differently is a difference. The version is compared only if the operator wrote one: the cluster
//! may have been made by an older kubeadm.

use serde_json::{Map, Value};

use super::stored::{comparable, disable_skipped_add_ons};
use super::{CLUSTER, ClusterFacts, DocumentRefusal, Documents, INIT, KUBEADM_GROUP};

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentDrift {
    /// The field, as a dotted path.
    pub field: String,
    /// The value in this machine's documents; JSON null if there is none.
    pub ours: Value,
    /// The value in the cluster's `ClusterConfiguration`; JSON null if there is none.
    pub cluster: Value,
}

impl Documents {
    /// Compares this machine's completed `ClusterConfiguration` with `theirs`, the cluster's own.
    ///
    /// # Errors
    /// When it contradicts what kubeboot knows of the cluster.
    pub fn drift(&self, cluster: &ClusterFacts, theirs: &Value) -> Result<Vec<DocumentDrift>, DocumentRefusal> {
        let mut ours = self.cluster_configuration(cluster)?;
        disable_skipped_add_ons(&mut ours, self.kubeadm(INIT))?;
        if self.kubernetes_version().is_none() {
            ours["kubernetesVersion"] = theirs.get("kubernetesVersion").cloned().unwrap_or_default();
        }
        let mut found = Vec::new();
        compare("", &comparable(&ours), &comparable(theirs), &mut found);
        Ok(found)
    }
}

impl Documents {
    /// Kind and content of every document, in the form in which those of two machines are equal if they mean the same. Whoever changes
    /// that form changes what machines of two versions of kubeboot say of equal documents.
    #[must_use]
    pub fn comparable(&self) -> Vec<(String, String)> {
        let content = |document: &super::Document| match document.kind.as_str() {
            CLUSTER if document.group() == KUBEADM_GROUP => comparable(&document.value).to_string(),
            _ => document.value.to_string(),
        };
        self.all.iter().map(|document| (document.kind.clone(), content(document))).collect()
    }
}

fn compare(path: &str, ours: &Value, cluster: &Value, found: &mut Vec<DocumentDrift>) {
    let fields = |value: &Value| match value {
        Value::Object(map) => Some(map.clone()),
        Value::Null => Some(Map::new()),
        _ => None,
    };
    match (fields(ours), fields(cluster)) {
        _ if ours == cluster => {}
        // One without any field, such as an argument without a value, is there all the same.
        (Some(one), Some(other)) if !one.is_empty() || !other.is_empty() => {
            let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let field = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&field, &of(&one), &of(&other), found);
            }
        }
        _ => {
            found.push(DocumentDrift { field: path.to_owned(), ours: shown(path, ours), cluster: shown(path, cluster) })
        }
    }
}

/// Hides environment variables, which can hold secrets such as a proxy's password. Arguments are no secret: every process list
/// shows them.
fn shown(path: &str, value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        _ if path.contains("extraEnvs") => "[hidden]".into(),
        value => value.clone(),
    }
}
