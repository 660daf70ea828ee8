//! `kubeboot up` of a worker killed after each of its writes, and the machine's power cut there: started again it comes in, once.

use crate::kills::{is_cut_off, is_killed};
use crate::support::World;
use crate::support::crash::{self, Stop};
use crate::support::workers::{LAUNCH, MARKER};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// In the order in which one machine passes them that is stopped at each. What is half made at one of the first is wiped afterwards.
const POINTS: [&str; 10] = [
    "check-switched-off",
    "join-marked",
    "worker-wiped",
    "join-configured",
    "join-started",
    "join-ended",
    "token-forgotten",
    "member-marked",
    "hook-completed",
    "hook-answer-marked",
];
/// Of a machine that has joined, and whose Node kubeboot had closed.
const OPENED: &str = "node-opened";
/// Points at which no power is cut: how far kubeadm comes before that is a matter of luck, and of an answer that nobody has heard a machine
/// believes two minutes later that its group waits no more.
const ONLY_KILLED: [&str; 2] = ["join-started", "hook-completed"];

#[test]
fn a_worker_may_be_killed_anywhere() -> Result<()> {
    for point in crash::points_of(&["worker"])? {
        ensure!(POINTS.contains(&point.as_str()) || point == OPENED, "no story comes to '{point}'");
    }
    let plan = World::of(1).with_workers(2).worker_set("source_dest_check", "off").that_waits();
    plan.option("--binary", &crash::binary()?).tell_after_the_first(|world| {
        // It publishes, and approves what kubelet asks for.
        let _leader = world.start_agent(1)?;
        let (before, after) =
            POINTS.split_at(POINTS.iter().position(|point| *point == "join-ended").context("no such point")?);
        // Nobody ends kubeadm but the next run, which is to find as little as possible.
        world.kubeadm_fault(2, &json!({"join": {"after": "preflight", "hang": true}}))?;
        for point in before {
            stops(world, 2, Stop::Kill, point)?;
        }
        world.kubeadm_fault(2, &Value::Null)?;
        comes_in(world, 2, Stop::Kill, after.iter().copied())?;
        comes_in(world, 3, Stop::Hold, POINTS.into_iter().filter(|point| !ONLY_KILLED.contains(point)))
    })
}

/// Has a machine stopped at each of these points, one after the other, and then left alone.
fn comes_in(world: &World, node: usize, how: Stop, points: impl IntoIterator<Item = &'static str>) -> Result<()> {
    for point in points {
        stops(world, node, how, point)?;
    }
    world.run_up(node)?;
    world.all_up(&[node])?;
    is_whole(world, node)?;
    let mut closed = world.node_of(node)?;
    closed["metadata"]["annotations"] = json!({"kubeboot/cordoned": "true"});
    closed["metadata"]["resourceVersion"] = Value::Null;
    closed["spec"]["unschedulable"] = true.into();
    let put = world.kube("PUT", &format!("/api/v1/nodes/{}", world.name(node)?), Some(&closed))?;
    ensure!(put["spec"]["unschedulable"] == true, "{put}");
    stops(world, node, how, OPENED)?;
    world.run_up(node)?;
    world.all_up(&[node])?;
    is_whole(world, node)
}

fn stops(world: &World, node: usize, how: Stop, point: &str) -> Result<()> {
    let told = || format!("machine {node}, to be stopped at '{point}' by {how:?}");
    let run = world.start_up_until(node, how, point)?;
    let stopped = match how {
        Stop::Kill => is_killed(run),
        Stop::Hold => is_cut_off(world, node, run, point),
    };
    ensure!(stopped.with_context(told)?, "{}: it was never reached", told());
    if how == Stop::Hold {
        world.ask(&["boot", &node.to_string(), "--no-up"])?;
    }
    Ok(())
}

/// It is the one Node of its name, its group waits for it no longer, and nothing that is secret was left on its disk.
fn is_whole(world: &World, node: usize) -> Result<()> {
    world.is_node_of_itself(node)?;
    ensure!(world.marker(node)?["stage"] == "joined", "{MARKER}: {}", world.marker(node)?);
    ensure!(world.node_of(node)?["spec"]["unschedulable"].is_null(), "{}", world.node_of(node)?);
    ensure!(world.lifecycle(node)? == "InService", "{}", world.lifecycle(node)?);
    let answers = world.hook_calls("CompleteLifecycleAction", node)?;
    ensure!(answers.iter().all(|call| call["hook"] == LAUNCH && call["result"] == "CONTINUE"), "{answers:?}");
    for secret in ["run/kubeboot/short-lived/up", "etc/kubernetes/bootstrap-kubelet.conf"] {
        ensure!(!world.root(node)?.join(secret).exists(), "{secret} is still there");
    }
    Ok(())
}
