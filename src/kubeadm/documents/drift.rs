//! How this machine's `ClusterConfiguration` differs from the cluster's.
//!
//! A joining machine runs with the cluster's configuration, whatever its own file says. So a file that differs is worth a warning: it
//! would apply to the next cluster, not to this one. The comparison leaves out:
//!
//! - what kubeadm fills in by default, on both sides, and fields that are empty;
//! - the version, unless the operator wrote one: the cluster may have been made by an older kubeadm;
//! - `apiVersion` and `kind`, which are not part of the configuration;
//! - the token of etcd's initial cluster: kubeboot's claim, which is in no operator's file;
//! - the order of arguments, volumes and names in lists.

use serde_json::{Map, Value, json};

use super::read::{DEFAULT_DATA_DIR, DEFAULT_SERVICE_SUBNET};
use super::{CLUSTER_TOKEN, ClusterFacts, DocumentRefusal, Documents};
use crate::kubeadm::pki::PKI_DIR;

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
        if self.kubernetes_version().is_none() {
            ours["kubernetesVersion"] = theirs.get("kubernetesVersion").cloned().unwrap_or_default();
        }
        let mut found = Vec::new();
        compare("", &normal(&ours), &normal(theirs), &mut found);
        Ok(found)
    }
}

/// The fields that kubeadm fills in, from its `v1beta4/defaults.go`.
fn defaults() -> Value {
    json!({
        "certificatesDir": PKI_DIR,
        "clusterName": "kubernetes",
        "imageRepository": "registry.k8s.io",
        "encryptionAlgorithm": "RSA-2048",
        "certificateValidityPeriod": "8760h0m0s",
        "caCertificateValidityPeriod": "87600h0m0s",
        "networking": {"dnsDomain": "cluster.local", "serviceSubnet": DEFAULT_SERVICE_SUBNET},
    })
}

fn normal(document: &Value) -> Value {
    let mut normal = with_defaults(document.clone(), &defaults());
    if normal.pointer("/etcd/external").is_none() {
        normal = with_defaults(normal, &json!({"etcd": {"local": {"dataDir": DEFAULT_DATA_DIR}}}));
    }
    let Some(map) = normal.as_object_mut() else {
        return Value::Null;
    };
    map.remove("apiVersion");
    map.remove("kind");
    if let Some(Value::Array(arguments)) = map.get_mut("etcd").and_then(|etcd| etcd.pointer_mut("/local/extraArgs")) {
        arguments.retain(|argument| argument.get("name").and_then(Value::as_str) != Some(CLUSTER_TOKEN));
    }
    if let Some(version) = map.get("kubernetesVersion").and_then(Value::as_str) {
        let number = version.strip_prefix('v').unwrap_or(version).to_owned();
        map.insert("kubernetesVersion".into(), number.into());
    }
    sorted(normal)
}

fn with_defaults(value: Value, defaults: &Value) -> Value {
    match (value, defaults) {
        (Value::Null, default) => default.clone(),
        (Value::Object(mut map), Value::Object(defaults)) => {
            for (key, default) in defaults {
                let given = map.remove(key).unwrap_or_default();
                map.insert(key.clone(), with_defaults(given, default));
            }
            Value::Object(map)
        }
        (given, _) => given,
    }
}

/// Lists in a fixed order; those of named things (arguments, variables, volumes) by their names.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, sorted(value))).collect()),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.into_iter().map(sorted).collect();
            list.sort_by_key(Value::to_string);
            by_name(&list).unwrap_or(Value::Array(list))
        }
        other => other,
    }
}

/// `None` when an element has no name, or two have the same.
fn by_name(list: &[Value]) -> Option<Value> {
    let mut named = Map::new();
    for element in list {
        let mut rest = element.as_object()?.clone();
        let Some(Value::String(name)) = rest.remove("name") else { return None };
        if named.insert(name, Value::Object(rest)).is_some() {
            return None;
        }
    }
    Some(Value::Object(named))
}

fn compare(path: &str, ours: &Value, cluster: &Value, found: &mut Vec<DocumentDrift>) {
    let empty = Map::new();
    match (ours, cluster) {
        (ours, cluster) if ours == cluster || (is_empty(ours) && is_empty(cluster)) => {}
        (Value::Object(_), Value::Object(_) | Value::Null) | (Value::Null, Value::Object(_)) => {
            let (ours, cluster) = (ours.as_object().unwrap_or(&empty), cluster.as_object().unwrap_or(&empty));
            let mut keys: Vec<&String> = ours.keys().chain(cluster.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let field = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&field, &of(ours), &of(cluster), found);
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

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
