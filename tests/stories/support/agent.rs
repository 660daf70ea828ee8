//! `kubeboot agent` on a machine, and what it does about the terminate hook.

use super::command::Running;
use super::plan::WorldPlan;
use super::world::{RUN, World, members};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The name of the terminate hook.
pub const HOOK: &str = "leave";

impl WorldPlan {
    /// The group has a terminate hook, which every machine knows.
    pub fn with_terminate_hook(self) -> Self {
        self.option("--terminate-hook", HOOK).set("terminate_hook", HOOK)
    }

    /// The same, and every machine runs the agent from its boot on.
    pub fn with_agents(self) -> Self {
        self.with_terminate_hook().flag("--agents")
    }
}

impl World {
    /// Starts the agent of a machine, as its unit would.
    pub fn start_agent(&self, node: usize) -> Result<Running> {
        self.start_on(node, &["kubeboot", "agent"])
    }

    /// Has EC2 announce this to a machine by its metadata: `spot`, `rebalance` or `scheduled`, and what follows in `dev/world notice`.
    pub fn announce(&self, node: usize, notice: &[&str]) -> Result<Value> {
        self.ask(&[&["notice", &node.to_string()], notice].concat())
    }

    /// Waits until an agent has said this.
    pub fn until_agent_says(&self, agent: &Running, text: &str) -> Result<()> {
        let what = format!("the agent says '{text}'");
        let waited = self.until(&what, RUN, || Ok(agent.said()?.contains(text).then_some(())));
        waited.with_context(|| format!("it said: {}", agent.said().unwrap_or_default()))
    }

    /// Calls of CompleteLifecycleAction or RecordLifecycleActionHeartbeat for a machine that named this hook.
    pub fn hook_calls(&self, action: &str, node: usize) -> Result<Vec<Value>> {
        let id = self.id(node)?;
        let calls = self.journal("events")?.into_iter().filter(|event| {
            event["event"] == "hook-call" && event["action"] == action && event["instance"] == id.as_str()
        });
        Ok(calls.collect())
    }

    /// The machine's lifecycle state in the group; null when it is not in there.
    pub fn lifecycle(&self, node: usize) -> Result<Value> {
        let status = self.ask(&["status"])?;
        let found = members(&status, "nodes").find(|each| each["index"] == node);
        found.map(|each| each["lifecycle"].clone()).with_context(|| format!("there is no node {node}"))
    }

    /// Waits until EC2 says that the machine is terminated.
    pub fn until_terminated(&self, node: usize, agent: &Running) -> Result<()> {
        self.until_gone(node).with_context(|| format!("its agent said: {}", agent.said().unwrap_or_default()))
    }

    /// The same of a machine that runs the agent from its boot on.
    pub fn until_gone(&self, node: usize) -> Result<()> {
        let what = format!("node {node} is terminated");
        let waited = self.until(&what, RUN, || {
            let status = self.ask(&["status"])?;
            let gone = members(&status, "nodes").any(|each| each["index"] == node && each["ec2"] == "terminated");
            Ok(gone.then_some(()))
        });
        waited.with_context(|| format!("the agent of its boot said: {}", self.agent_log(node).unwrap_or_default()))
    }

    /// What the agent that a machine runs from its boot on has said so far.
    pub fn agent_log(&self, node: usize) -> Result<String> {
        Ok(std::fs::read_to_string(self.disk(node)?.join("var/log/kubeboot-agent.log")).unwrap_or_default())
    }

    /// Fails unless the machine's hook was completed once, with CONTINUE.
    pub fn has_continued(&self, node: usize) -> Result<()> {
        let answers = self.hook_calls("CompleteLifecycleAction", node)?;
        let answers: Vec<_> = answers.iter().filter(|call| call["hook"] == HOOK).collect();
        ensure!(answers.len() == 1 && answers[0]["result"] == "CONTINUE", "node {node}: {answers:?}");
        Ok(())
    }
}
