//! What goes wrong while machines of a newer image come in: kills at every step of the raise, a raise that is taken back, a leader that
//! ends before the rest is done.

use crate::kills::{is_cut_off, is_killed};
use crate::restoring::restorable;
use crate::support::World;
use crate::support::crash::{self, Stop};
use crate::support::upgrades::{NEW, OLD, upgradable};
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Releases, each of which may follow the one before, and all of which may run beside [`OLD`].
const LADDER: [&str; 7] = ["v1.35.7", "v1.35.8", "v1.36.0", "v1.36.1", "v1.36.2", "v1.36.3", "v1.36.4"];
/// The points around the write of the version that every machine passes.
const AROUND: [&str; 2] = ["versions-compared", "version-settled"];

#[test]
fn whoever_raises_the_version_may_be_stopped_at_every_step() -> Result<()> {
    let mut points = crash::points_of(&["upgrader"])?;
    ensure!(!points.is_empty(), "the program lists no step of a raise");
    points.extend(AROUND.map(str::to_owned));
    ensure!(points.len() < LADDER.len(), "more steps than releases: {points:?}");
    upgradable(1).option("--binary", &crash::binary()?).tell(|world| {
        world.all_up(&[1])?;
        world.keep_a_word(1)?;
        let (mut members, mut before) = (vec![(1, OLD)], OLD);
        for ((at, point), version) in points.iter().enumerate().zip(LADDER) {
            world.image(version)?;
            let node = world.launch(false)?;
            let told = || format!("stopped at {point}, from {before} to {version}");
            stop(world, node, if at % 2 == 0 { Stop::Kill } else { Stop::Hold }, point).with_context(told)?;
            let now = world.cluster_version(1)?;
            let is_raised = point != "versions-compared";
            ensure!(now == if is_raised { version } else { before }, "{}: the cluster is {now}", told());
            world.are_of(&members).with_context(told)?;
            world.run_up(node)?;
            world.all_up(&[node])?;
            members.push((node, version));
            world.are_of(&members).with_context(told)?;
            before = version;
        }
        world.have_the_word(&members.iter().map(|(node, _)| *node).collect::<Vec<_>>())
    })
}

#[test]
fn a_leader_that_dies_before_the_add_ons_is_followed_by_one_that_brings_them() -> Result<()> {
    upgradable(1).with_terminate_hook().tell(|world| {
        world.all_up(&[1])?;
        let before = world.addons(1)?;
        world.image(NEW)?;
        let newer = [world.launch(true)?, world.launch(true)?];
        world.all_up(&newer)?;
        // As long as an API server is of before, nothing of it is done, and the leader says so.
        let first = world.start_agent(1)?;
        world.until_agent_says(&first, &format!("the upgrade to {NEW} waits until every API server is of {NEW}"))?;
        let hangs = json!({"upgrade": {"after": "upload-config/kubelet", "hang": true, "times": 1}});
        for node in newer {
            world.kubeadm_fault(node, &hangs)?;
        }
        let agents = newer.map(|node| world.start_agent(node));
        let agents: Vec<_> = agents.into_iter().collect::<Result<_>>()?;
        world.ask(&["terminate", "1"])?;
        world.until_terminated(1, &first)?;
        let has_begun =
            |node: &usize| world.root(*node).is_ok_and(|root| root.join("run/standin/faults.used").exists());
        let leader = world.until("a leader begins", RUN, || Ok(newer.iter().copied().find(has_begun)))?;
        let other = if leader == newer[0] { newer[1] } else { newer[0] };
        ensure!(world.addons(other)? == before, "they were changed before their turn: {:?}", world.addons(other)?);
        world.kill_program(leader, "kubeboot")?;
        world.kubeadm_fault(other, &Value::Null)?;
        let after = ["coredns/coredns:v1.14.2".to_owned(), format!("kube-proxy:{NEW}")];
        world.until("the add-ons are of the new version", RUN, || Ok((world.addons(other)? == after).then_some(())))?;
        let said = format!("the cluster is upgraded from {OLD} to {NEW}");
        world.until_agent_says(&agents[usize::from(other == newer[1])], &said)?;
        let done = world.upgrade_phases()?;
        let phases: Vec<&str> = done.iter().map(|(_, phase)| phase.as_str()).collect();
        let all = ["upload-config kubelet", "bootstrap-token", "addon coredns", "addon kube-proxy"];
        ensure!(phases == all, "kubeadm did something else, or more than once: {done:?}");
        world.are_of(&newer.map(|node| (node, NEW)))
    })
}

#[test]
fn a_cluster_that_is_lost_is_restored_by_machines_of_a_newer_image() -> Result<()> {
    let plan =
        restorable(1).option("--kubernetes", OLD).set("kubernetes_upgrade", "by-image").set("claim_stagger", "1s");
    plan.tell(|world| {
        let before = world.save_a_cluster_of(1)?;
        world.lose(1)?;
        world.image("v1.37.0")?;
        let far = world.launch(false)?;
        world.restore(far, &["--latest", "--yes"], 0)?;
        let saved = world.record()?;
        world.run_up(far)?;
        world.until_logged(far, "the snapshot is of Kubernetes 1.35, this image has 1.37")?;
        ensure!(world.record()? == saved, "it was begun: {}", world.record()?);
        world.lose(far)?;
        world.image(NEW)?;
        let newer = [world.launch(true)?, world.launch(true)?];
        world.all_up(&newer)?;
        let record = world.record()?;
        for field in ["kube_system_uid", "ca_hashes"] {
            ensure!(record["cluster"][field] == before["cluster"][field], "{field} of {record}, and of {before}");
        }
        ensure!(record["cluster"]["kubernetes_version"] == NEW, "the record names another version: {record}");
        for node in newer {
            ensure!(world.served(node)? == NEW, "node {node} serves {}", world.served(node)?);
        }
        ensure!(world.cluster_version(newer[0])? == NEW, "{}", world.cluster_version(newer[0])?);
        world.have_the_word(&newer)?;
        world.are_the_voters(&newer)?;
        // Nobody had to raise it beside others: it was restored so.
        ensure!(world.raised(&newer, OLD, NEW)? == 0, "it was raised after it was restored");
        world.kept_one_line()
    })
}

/// Stops the `up` of a machine at this point; its power is back.
fn stop(world: &World, node: usize, how: Stop, point: &str) -> Result<()> {
    let run = world.start_up_until(node, how, point)?;
    let stopped = match how {
        Stop::Kill => is_killed(run)?,
        Stop::Hold => is_cut_off(world, node, run, point)?,
    };
    ensure!(stopped, "it never came to '{point}'");
    if how == Stop::Hold {
        world.ask(&["boot", &node.to_string(), "--no-up"])?;
    }
    Ok(())
}
