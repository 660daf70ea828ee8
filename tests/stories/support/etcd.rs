//! What the etcd of a machine keeps.

use super::world::World;
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;

/// Where etcd keeps its data on a machine.
pub const VOLUME: &str = "/var/lib/etcd";
/// What etcd makes there.
pub const MEMBER: &str = "/var/lib/etcd/member";
/// The key that holds the claim which made the cluster.
pub const CLAIM: &str = "/kubeboot/claim";
/// Where Kubernetes keeps the `ConfigMap` that holds the same.
pub const CONFIG_MAP: &str = "/registry/configmaps/kube-system/kubeboot";
/// A key of the story's own, and what it holds.
const WORD: [&str; 2] = ["/story/word", "not to be lost"];

impl World {
    /// Writes what must not be lost.
    pub fn keep_a_word(&self, node: usize) -> Result<()> {
        self.etcdctl(node, &["put", WORD[0], WORD[1]]).map(drop)
    }

    /// Fails unless the data of each of these machines' etcds has it, with a quorum or without.
    pub fn have_the_word(&self, nodes: &[usize]) -> Result<()> {
        for node in nodes {
            let found = self.etcdctl(*node, &["get", "--consistency=s", "--print-value-only", WORD[0]])?;
            ensure!(found.trim() == WORD[1], "the etcd of node {node} has lost what was written: {found:?}");
        }
        Ok(())
    }

    /// The value of a key, by the etcd of a machine; empty if there is none.
    pub fn etcd_value(&self, asked: usize, key: &str) -> Result<String> {
        Ok(self.etcdctl(asked, &["get", "--print-value-only", key])?.trim().to_owned())
    }

    /// The folder of a machine's etcd, as it lies on this computer.
    pub fn member_folder(&self, node: usize) -> Result<PathBuf> {
        Ok(self.disk(node)?.join(MEMBER.trim_start_matches('/')))
    }

    /// The ID of a machine's member, and the ID of the member that leads by its word.
    pub fn member(&self, node: usize) -> Result<(u64, u64)> {
        let said = self.etcdctl(node, &["endpoint", "status", "--write-out=json"])?;
        let said: serde_json::Value = serde_json::from_str(&said).with_context(|| format!("no JSON: {said}"))?;
        let status = &said[0]["Status"];
        let ids = status["header"]["member_id"].as_u64().zip(status["leader"].as_u64());
        ids.with_context(|| format!("it does not say who it is and who leads: {said}"))
    }

    /// Whether a machine's member leads.
    pub fn leads(&self, node: usize) -> Result<bool> {
        self.member(node).map(|(own, leader)| own == leader)
    }

    /// Has the member of one of these machines lead.
    pub fn make_lead(&self, voters: &[usize], wanted: usize) -> Result<()> {
        let (id, _) = self.member(wanted)?;
        for voter in voters {
            if *voter != wanted && self.leads(*voter)? {
                self.etcdctl(*voter, &["move-leader", &format!("{id:x}")])?;
            }
        }
        ensure!(self.leads(wanted)?, "node {wanted} does not lead");
        Ok(())
    }

    /// What the etcd of a machine says.
    pub fn etcdctl(&self, asked: usize, words: &[&str]) -> Result<String> {
        let pki = "/etc/kubernetes/pki/etcd";
        let script = format!(
            "exec etcdctl --endpoints \"https://$STANDIN_ADDRESS:2379\" --cacert {pki}/ca.crt \
             --cert {pki}/healthcheck-client.crt --key {pki}/healthcheck-client.key \"$@\""
        );
        let ended = self.on(asked, &[&["sh", "-c", &script, "sh"], words].concat())?;
        ensure!(ended.code == 0, "{}", ended.text());
        Ok(ended.stdout)
    }
}
