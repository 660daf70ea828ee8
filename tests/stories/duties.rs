//! What one agent does for all: who leads, and what it does while nobody joins.

use crate::support::World;
use crate::support::agent::HOOK;
use crate::support::command::Running;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

/// The election's Lease, as it lies in etcd.
const LEASE: &str = "/registry/leases/kube-system/kubeboot";

impl World {
    /// Who leads, by the Lease in that machine's etcd.
    fn leader(&self, asked: usize) -> Result<String> {
        let found = self.etcd_value(asked, LEASE)?;
        let lease: Value = serde_json::from_str(&found).unwrap_or_default();
        Ok(lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until one of these machines leads; which.
    fn until_one_leads(&self, of: &[usize]) -> Result<usize> {
        let names = of.iter().map(|node| Ok((*node, self.node_name(*node)?))).collect::<Result<Vec<_>>>()?;
        self.until("one of them leads", RUN, || {
            let leader = self.leader(of[0])?;
            Ok(names.iter().find(|(_, name)| *name == leader).map(|(node, _)| *node))
        })
    }

    fn node_name(&self, node: usize) -> Result<String> {
        Ok(self.registration(node)?["node_name"].as_str().context("it has a Node")?.to_owned())
    }

    fn all_agents(&self, nodes: &[usize]) -> Result<Vec<Running>> {
        nodes.iter().map(|node| self.start_agent(*node)).collect()
    }
}

#[test]
fn a_dead_member_is_reaped_with_nobody_joining_and_another_leads_when_the_leader_is_killed() -> Result<()> {
    World::of(3).set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let agents = world.all_agents(&[1, 2])?;
        let leader = world.until_one_leads(&[1, 2])?;
        let other = 3 - leader;
        world.until_agent_says(&agents[leader - 1], "leads: nothing to do")?;
        world.ask(&["ec2-state", "3", "terminated"])?;
        world.ask(&["kill", "3"])?;
        world.until_agent_says(&agents[leader - 1], "reaping an etcd member")?;
        world.until("its registration says so", RUN, || {
            Ok((world.registration(3)?["phase"] == "reaped").then_some(()))
        })?;
        world.are_the_voters(&[1, 2])?;
        ensure!(world.nodes(1)?.len() == 2, "{:?}", world.nodes(1)?);
        ensure!(!agents[other - 1].said()?.contains("reaping"), "{}", agents[other - 1].said()?);
        // A leader that dies is followed when its Lease has run out, and one that ends gives it up.
        world.kill_program(leader, "kubeboot")?;
        let next = world.until_one_leads(&[other])?;
        ensure!(next == other, "{next}");
        // It looks for what is over as soon as it leads.
        let moved = format!("control-plane/former/{}.json", world.id(3)?);
        world.until("that registration is moved", RUN, || {
            Ok(world.keys()?.iter().any(|key| key.ends_with(&moved)).then_some(()))
        })?;
        world.signal_program(other, "kubeboot", Signal::TERM)?;
        let given_up = world.until("the Lease is given up", RUN, || Ok(world.leader(other)?.is_empty().then_some(())));
        given_up.with_context(|| format!("it said: {}", agents[other - 1].said().unwrap_or_default()))
    })
}

#[test]
fn the_node_of_a_machine_that_is_gone_is_deleted_and_that_of_one_that_lives_is_kept() -> Result<()> {
    World::of(1).that_waits().tell(|world| {
        world.all_up(&[1])?;
        for _ in 0..2 {
            world.ask(&["launch", "--no-up"])?;
        }
        world.ask(&["kill", "2"])?;
        world.ask(&["ec2-state", "2", "terminated"])?;
        // Of a machine that runs and whose kubelet is silent; and three of one that is gone, one of them in use.
        world.silent_node("lives", 3, 0)?;
        world.silent_node("gone", 2, 0)?;
        world.silent_node("adopted", 2, 1)?;
        let agent = world.start_agent(1)?;
        world.until_agent_says(&agent, "deletes the Node 'gone': its machine")?;
        world.until("it is gone", RUN, || Ok((!world.nodes(1)?.contains(&"gone".to_owned())).then_some(())))?;
        let left = world.nodes(1)?;
        for name in ["lives", "adopted", &world.node_name(1)?] {
            ensure!(left.iter().any(|found| found == name), "'{name}' was deleted: {left:?}");
        }
        // That of a machine which has lived and is terminated now goes as well.
        world.ask(&["ec2-state", "3", "terminated"])?;
        world.until("the other one is gone", RUN, || {
            Ok((!world.nodes(1)?.contains(&"lives".to_owned())).then_some(()))
        })?;
        ensure!(world.nodes(1)?.contains(&"adopted".to_owned()), "{:?}", world.nodes(1)?);
        Ok(())
    })
}

impl World {
    /// A Node of a machine, with its lease, whose kubelet was last heard of in the year 1970, or, `ready`, not before the year 2099.
    fn silent_node(&self, name: &str, of: usize, ready: usize) -> Result<()> {
        let provider = self.registration(1)?["provider_id"].as_str().context("it has one")?.to_owned();
        let provider = provider.replace(&self.id(1)?, &self.id(of)?);
        let beat = ["1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z"][ready];
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": format!("uid-{name}")},
            "spec": {"providerID": provider},
            "status": {
                "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": beat}],
                "addresses": [{"type": "InternalIP", "address": "10.99.0.1"}],
            },
        });
        self.put_node_object(1, name, &node)?;
        let lease =
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": {}});
        self.etcdctl(1, &["put", &format!("/registry/leases/kube-node-lease/{name}"), &lease.to_string()]).map(drop)
    }
}

#[test]
fn a_voter_that_is_terminated_while_its_agent_is_dead_is_taken_out_and_its_hook_completed() -> Result<()> {
    World::of(3).with_terminate_hook().set("lease_ttl", "3s").that_waits().tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let agents = world.all_agents(&[1, 2, 3])?;
        world.until_agent_says(&agents[2], "the group says InService")?;
        world.make_lead(&[1, 2, 3], 3)?;
        world.kill_program(3, "kubeboot")?;
        world.ask(&["terminate", "3"])?;
        let leader = world.until_one_leads(&[1, 2])?;
        world.until_agent_says(&agents[leader - 1], "it is taken out if its agent gives no sign of life")?;
        world.are_the_voters(&[1, 2, 3])?;
        world.until_terminated(3, &agents[leader - 1])?;
        world.are_the_voters(&[1, 2])?;
        world.until_agent_says(&agents[leader - 1], "another voter leads etcd now")?;
        let answers = world.hook_calls("CompleteLifecycleAction", 3)?;
        ensure!(answers.len() == 1 && answers[0]["result"] == "CONTINUE", "{answers:?}");
        ensure!(answers[0]["hook"] == HOOK && answers[0]["node"] == world.id(leader)?.as_str(), "{answers:?}");
        // Its leaving unit may have had the last word.
        let phase = world.registration(3)?["phase"].clone();
        ensure!(phase == "reaped" || phase == "left", "{phase}");
        Ok(())
    })
}

#[test]
fn a_voter_that_hangs_is_replaced_through_the_group() -> Result<()> {
    World::of(3).with_terminate_hook().set("lease_ttl", "3s").set("unhealthy_after", "10s").that_waits().tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let agents = world.all_agents(&[1, 2])?;
        let leader = world.until_one_leads(&[1, 2])?;
        world.until_agent_says(&agents[leader - 1], "leads: nothing to do")?;
        world.signal_program(3, "etcd", Signal::STOP)?;
        world.until_agent_says(&agents[leader - 1], "has the group replace")?;
        world.until("the group ends it", RUN, || Ok((world.lifecycle(3)? == "Terminating:Wait").then_some(())))?;
        world.until_terminated(3, &agents[leader - 1])?;
        world.all_up(&[4])?;
        world.are_the_voters(&[1, 2, 4])?;
        let requests = world.journal("requests")?;
        let asked = requests.iter().filter(|call| call["action"] == "SetInstanceHealth").count();
        ensure!(asked == 1, "{asked}");
        Ok(())
    })
}

#[test]
fn two_that_lead_at_once_do_no_harm() -> Result<()> {
    World::of(3).set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let agents = world.all_agents(&[1, 2])?;
        let first = world.until_one_leads(&[1, 2])?;
        let second = 3 - first;
        world.until_agent_says(&agents[first - 1], "leads: nothing to do")?;
        let id = world.id(first)?;
        let takes = ["--node", &id, "--action", "PutObject", "--key", "*membership-lease.json", "--times", "1"];
        world.fault("delay=3", &takes)?;
        world.ask(&["kill", "3"])?;
        world.ask(&["ec2-state", "3", "terminated"])?;
        world.until_agent_says(&agents[first - 1], "leads: removes etcd member")?;
        // It has judged, and stands still in the middle of what follows.
        world.signal_program(first, "kubeboot", Signal::STOP)?;
        ensure!(world.until_one_leads(&[second])? == second, "{}", world.leader(second)?);
        world.until_agent_says(&agents[second - 1], "reaping an etcd member")?;
        world.until("it is reaped", RUN, || Ok((world.registration(3)?["phase"] == "reaped").then_some(())))?;
        world.ask(&["launch", "--up"])?;
        world.all_up(&[4])?;
        world.signal_program(first, "kubeboot", Signal::CONT)?;
        agents[first - 1].go_on()?;
        world.until_agent_says(&agents[first - 1], "this one leads no longer")?;
        world.until_agent_says(&agents[first - 1], "holds the Lease")?;
        world.are_the_voters(&[1, 2, 4])?;
        ensure!(world.nodes(1)?.len() == 3, "{:?}", world.nodes(1)?);
        ensure!(!agents[first - 1].said()?.contains("reaping an etcd member"), "{}", agents[first - 1].said()?);
        Ok(())
    })
}
