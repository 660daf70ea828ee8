//! A group of workers beside a control plane of one, and what its leader publishes for them.

use super::plan::WorldPlan;
use super::world::World;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The group of the workers.
pub const WORKERS: &str = "demo-workers";
/// Its hooks.
pub const LAUNCH: &str = "come";
pub const TERMINATE: &str = "go";
/// The marker of a worker's state, below its root.
pub const MARKER: &str = "var/lib/kubeboot/worker.json";
/// What workers read.
pub const CLUSTER: &str = "join/cluster.json";
pub const TOKEN: &str = "join/token.json";

impl WorldPlan {
    /// So many workers, whose group has hooks that they know.
    pub fn with_workers(self, workers: usize) -> Self {
        self.with_workers_in_service(workers).option("--worker-launch-hook", LAUNCH).worker_set("launch_hook", LAUNCH)
    }

    /// The same, and no hook waits for them when they are launched.
    pub fn with_workers_in_service(self, workers: usize) -> Self {
        self.option("--workers", &workers.to_string())
            .option("--worker-terminate-hook", TERMINATE)
            .worker_set("group", WORKERS)
            .worker_set("terminate_hook", TERMINATE)
    }

    /// A setting of every worker.
    pub fn worker_set(self, name: &str, value: &str) -> Self {
        self.option("--worker-set", &format!("{name}={value}"))
    }
}

impl World {
    /// What is public of the cluster of machine 1, as its leader publishes it.
    pub fn join_cluster(&self) -> Result<Value> {
        let authority = std::fs::read_to_string(self.disk(1)?.join("etc/kubernetes/pki/ca.crt"))?;
        let uid = self.record()?["cluster"]["kube_system_uid"].clone();
        ensure!(uid.is_string(), "the record names no UID: {}", self.record()?);
        Ok(json!({
            "schema": 1, "generation": 1, "endpoint": "api.demo.internal:6443", "ca_pem": authority, "kube_system_uid": uid,
            "kubernetes_version": "v1.36.1", "oldest_api_server": "v1.36.1",
        }))
    }

    /// A token of the cluster that ends after so many seconds, which may be over, as its leader publishes it.
    pub fn join_token(&self, seconds: i64) -> Result<Value> {
        let made = self.on(1, &["kubeadm", "token", "create", "--ttl", "10m"])?;
        ensure!(made.code == 0, "no token was made: {}", made.text());
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        Ok(json!({"schema": 1, "generation": 1, "token": made.stdout.trim(), "expires": now + seconds}))
    }

    /// From now on these policies count; what is in them says `tests/world/iam.py`.
    pub fn judge_by(&self, policies: &Value) -> Result<()> {
        let file = self.path("policies.json");
        std::fs::write(&file, policies.to_string())?;
        self.ask(&["iam", &file.display().to_string()]).map(drop)
    }

    /// Publishes both.
    pub fn publish_for_workers(&self) -> Result<()> {
        self.put(CLUSTER, self.join_cluster()?.to_string())?;
        self.put(TOKEN, self.join_token(600)?.to_string())
    }

    /// A pod on a machine, which this kind of controller owns.
    pub fn make_pod(&self, node: usize, pod: &str, owner: &str) -> Result<()> {
        let owner = json!({"apiVersion": "apps/v1", "kind": owner, "name": "x", "uid": "x", "controller": true});
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod, "namespace": "default", "labels": {"app": pod}, "ownerReferences": [owner]},
            "spec": {"nodeName": self.name(node)?, "containers": [{"name": "c", "image": "i"}]},
        });
        let made = self.kube("POST", "/api/v1/namespaces/default/pods", Some(&object))?;
        ensure!(made["kind"] == "Pod", "{made}");
        Ok(())
    }

    /// Asks the API server of machine 1 as an administrator.
    pub fn kube(&self, method: &str, path: &str, object: Option<&Value>) -> Result<Value> {
        let body = object.map(|object| STANDARD.encode(object.to_string())).unwrap_or_default();
        let script = format!(
            "cd /etc/kubernetes/pki && echo '{body}' | base64 -d | curl -s --cacert ca.crt --cert apiserver-kubelet-client.crt --key \
             apiserver-kubelet-client.key -X {method} -H 'Content-Type: application/json' {} 'https://api.demo.internal:6443{path}'",
            if object.is_some() { "--data-binary @-" } else { "" }
        );
        let asked = self.on(1, &["sh", "-c", &script])?;
        serde_json::from_str(&asked.stdout).with_context(|| format!("{method} {path}: {}", asked.text()))
    }

    /// The Node of a machine; an object without a spec where there is none.
    pub fn node_of(&self, node: usize) -> Result<Value> {
        self.kube("GET", &format!("/api/v1/nodes/{}", self.name(node)?), None)
    }

    /// The marker on a worker's disk.
    pub fn marker(&self, node: usize) -> Result<Value> {
        let text = std::fs::read(self.disk(node)?.join(MARKER)).context("it has no marker")?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Fails unless the Node of a machine's name was registered by that machine.
    pub fn is_node_of_itself(&self, node: usize) -> Result<()> {
        let (found, id) = (self.node_of(node)?, self.id(node)?);
        ensure!(found["spec"]["providerID"] == format!("aws:///eu-central-1a/{id}"), "{found}");
        Ok(())
    }

    /// The name of a machine's Node.
    pub fn name(&self, node: usize) -> Result<String> {
        let status = self.ask(&["status"])?;
        let found = super::world::members(&status, "nodes").find(|each| each["index"] == node);
        let name = found.and_then(|each| each["name"].as_str()).map(str::to_owned);
        name.with_context(|| format!("node {node} has no name"))
    }
}
