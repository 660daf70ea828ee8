//! Images of different releases of Kubernetes, and what the cluster says of them.

use super::plan::WorldPlan;
use super::world::World;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What the first machines have, a patch of that, and what later ones have.
pub const OLD: &str = "v1.35.6";
pub const PATCH: &str = "v1.35.7";
pub const NEW: &str = "v1.36.3";
/// The etcd that kubeadm's images have in these worlds, and its members with them.
pub const ETCD: &str = "3.5.30-0";

/// Where an API server keeps kubeadm's configuration of the cluster.
const CONFIG: &str = "/registry/configmaps/kube-system/kubeadm-config";

/// Machines of the older image, which a newer image may upgrade.
pub fn upgradable(nodes: usize) -> WorldPlan {
    let plan = World::of(nodes).option("--etcd", "3.5.30").option("--kubernetes", OLD);
    plan.set("kubernetes_upgrade", "by-image").set("lease_ttl", "3s")
}

impl World {
    /// From now on the group launches machines with this release.
    pub fn image(&self, version: &str) -> Result<()> {
        self.ask(&["image", version]).map(drop)
    }

    /// The group launches one more machine. Its number.
    pub fn launch(&self, with_up: bool) -> Result<usize> {
        let made = self.ask(&["launch", if with_up { "--up" } else { "--no-up" }])?;
        let index = made["index"].as_u64().context("a machine has a number")?;
        Ok(usize::try_from(index)?)
    }

    /// The version in kubeadm's configuration of the cluster, by the etcd of a machine.
    pub fn cluster_version(&self, asked: usize) -> Result<String> {
        let found: Value = serde_json::from_str(&self.etcd_value(asked, CONFIG)?)?;
        let text = found["data"]["ClusterConfiguration"].as_str().context("it has a document")?;
        let named = text.lines().find_map(|line| line.strip_prefix("kubernetesVersion: "));
        named.map(str::to_owned).with_context(|| format!("it names no version: {text}"))
    }

    /// The revision at which that was written last.
    pub fn cluster_version_written(&self, asked: usize) -> Result<u64> {
        let found = self.etcdctl(asked, &["get", "--write-out=json", CONFIG])?;
        let found: Value = serde_json::from_str(&found)?;
        found["kvs"][0]["mod_revision"].as_u64().with_context(|| format!("it has no revision: {found}"))
    }

    /// The version that a machine's API server says.
    pub fn served(&self, node: usize) -> Result<String> {
        let asked = self.on(node, &["sh", "-c", "exec curl -sk https://$STANDIN_ADDRESS:6443/version"])?;
        let said: Value =
            serde_json::from_str(&asked.stdout).with_context(|| format!("node {node}: {}", asked.text()))?;
        Ok(said["gitVersion"].as_str().unwrap_or_default().to_owned())
    }

    /// Fails unless the API server and kubelet of each of these machines have this release, and all of them are the control plane.
    pub fn are_of(&self, machines: &[(usize, &str)]) -> Result<()> {
        let nodes: Vec<usize> = machines.iter().map(|(node, _)| *node).collect();
        for (node, version) in machines {
            let served = self.served(*node)?;
            ensure!(served == *version, "the API server of node {node} is {served}, not {version}");
            let name = self.registration(*node)?["node_name"].as_str().context("it has a Node")?.to_owned();
            let kubelet = self.node_object(*node, &name)?["status"]["nodeInfo"]["kubeletVersion"].clone();
            ensure!(kubelet == *version, "kubelet of node {node} is {kubelet}, not {version}");
        }
        self.are_whole(&nodes)
    }

    /// The images of the add-ons, without their registry, by the etcd of a machine.
    pub fn addons(&self, asked: usize) -> Result<[String; 2]> {
        let image = |key: &str| -> Result<String> {
            let found: Value = serde_json::from_str(&self.etcd_value(asked, key)?).context(key.to_owned())?;
            let image = found.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
            Ok(image.and_then(|image| image.split_once('/')).context("an image")?.1.to_owned())
        };
        Ok([image("/registry/deployments/kube-system/coredns")?, image("/registry/daemonsets/kube-system/kube-proxy")?])
    }

    /// The phases of an upgrade that kubeadm has come to the end of: on which machine, and which.
    pub fn upgrade_phases(&self) -> Result<Vec<(String, String)>> {
        let lines = self.journal("standin")?;
        let ended = lines.iter().filter(|line| line["end"].is_number() && line["exit"] == 0);
        let phases = ended.filter_map(|line| {
            let words: Vec<&str> = line["argv"].as_array()?.iter().filter_map(Value::as_str).collect();
            let phase = words.strip_prefix(&["kubeadm", "upgrade", "apply", "phase"])?;
            let phase: Vec<&str> = phase.iter().copied().take_while(|word| !word.starts_with("v1.")).collect();
            Some((line["node"].as_str()?.to_owned(), phase.join(" ")))
        });
        Ok(phases.collect())
    }

    /// How many of these machines say that they have raised the cluster's version, from one to the other.
    pub fn raised(&self, nodes: &[usize], from: &str, to: &str) -> Result<usize> {
        let line = format!("raised the cluster's version from {from} to {to}");
        let said = nodes.iter().map(|node| Ok(self.log(*node)?.matches(&line).count()));
        said.sum::<Result<usize>>()
    }
}
