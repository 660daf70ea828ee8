//! Machines that go down, and what the leaving unit made of it.

use super::command::Ended;
use super::world::World;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The exit codes of `kubeboot reset`.
pub const LEFT: i64 = 0;
pub const STAYED: i64 = 20;
pub const INCOMPLETE: i64 = 21;

/// Where Nodes lie in etcd.
const NODES: &str = "/registry/nodes/";

/// What the leaving unit's `kubeboot reset` did.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaving {
    pub exit: i64,
    pub seconds: f64,
    pub output: String,
}

impl Leaving {
    /// Fails unless it ended with this exit code and said each of these words.
    pub fn is(&self, exit: i64, words: &[&str]) -> Result<()> {
        ensure!(self.exit == exit, "'kubeboot reset' ended with exit code {}, not {exit}: {}", self.exit, self.output);
        for word in words {
            ensure!(self.output.contains(word), "'kubeboot reset' does not say '{word}': {}", self.output);
        }
        ensure!(!self.output.contains("panicked"), "{}", self.output);
        Ok(())
    }
}

impl World {
    /// Lets a machine go down by itself, this way; AWS says nothing about it.
    pub fn goes_down(&self, node: usize, way: &str) -> Result<Leaving> {
        let answer = self.ask(&["shutdown", &node.to_string(), "--way", way])?;
        read(&answer["leaving_unit"])
            .with_context(|| format!("the leaving unit of node {node} was not armed: {answer}"))
    }

    /// Runs `kubeboot reset` with this in systemd's job queue, as its unit would; the machine stays on.
    pub fn reset_with_jobs(&self, node: usize, jobs: &str) -> Result<Ended> {
        let queue = self.root(node)?.join("run/standin/jobs");
        // Nobody has asked the stand-in for systemctl anything on a machine that never ran `kubeboot`.
        queue.parent().map(std::fs::create_dir_all).transpose()?;
        std::fs::write(&queue, jobs)?;
        let ended = self.on(node, &["kubeboot", "reset"]);
        std::fs::remove_file(&queue)?;
        ended
    }

    /// Asks what a machine would do if it went down, which changes nothing.
    pub fn foretold(&self, node: usize, options: &[&str]) -> Result<Ended> {
        let before = self.before(node)?;
        let ended = self.on(node, &[&["kubeboot", "reset", "--dry-run"], options].concat())?;
        ensure!(ended.code == 0, "{}", ended.text());
        before.nothing_at_all_changed()?;
        Ok(ended)
    }

    /// Fails unless the etcds of these machines know each other and nobody else, and the other one's registration says so.
    pub fn has_left(&self, node: usize, voters: &[usize]) -> Result<()> {
        self.are_the_voters(voters)?;
        let registration = self.registration(node)?;
        ensure!(registration["phase"] == "left", "node {node} has not registered as left: {registration}");
        ensure!(registration["member_id"].is_null(), "its registration still explains a member: {registration}");
        let nodes = self.nodes(voters[0])?;
        ensure!(nodes.len() == voters.len(), "there are other Nodes than those of {voters:?}: {nodes:?}");
        Ok(())
    }

    /// Names of the Nodes, by the etcd of a machine of the cluster.
    pub fn nodes(&self, asked: usize) -> Result<Vec<String>> {
        let listed = self.etcdctl(asked, &["get", "--prefix", "--keys-only", NODES])?;
        Ok(listed.lines().filter_map(|line| line.strip_prefix(NODES)).map(str::to_owned).collect())
    }

    /// A Node, as it lies in that etcd.
    pub fn node_object(&self, asked: usize, name: &str) -> Result<Value> {
        let found = self.etcdctl(asked, &["get", "--print-value-only", &format!("{NODES}{name}")])?;
        serde_json::from_str(&found).with_context(|| format!("the Node '{name}' is no JSON: {found}"))
    }

    /// Puts a Node there, past every API server.
    pub fn put_node_object(&self, asked: usize, name: &str, node: &Value) -> Result<()> {
        self.etcdctl(asked, &["put", &format!("{NODES}{name}"), &node.to_string()]).map(drop)
    }
}

fn read(unit: &Value) -> Option<Leaving> {
    Some(Leaving {
        exit: unit["exit"].as_i64()?,
        seconds: unit["seconds"].as_f64()?,
        output: unit["output"].as_str()?.to_owned(),
    })
}
