//! Machines that are terminated before they are what they were to become, while the quorum is lost, and with an etcd that is not theirs.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use serde_json::json;
use std::path::Path;

const COMPLETE: &str = "CompleteLifecycleAction";
const HEARTBEAT: &str = "RecordLifecycleActionHeartbeat";

#[test]
fn terminated_in_the_middle_of_its_init_and_terminated_while_the_quorum_is_lost() -> Result<()> {
    let plan = World::of(2).without_up().with_terminate_hook().set("claim_ttl", "6s").set("claim_stagger", "1s");
    plan.set("lease_ttl", "3s").tell(|world| {
        world.kubeadm_fault(1, &json!({"init": {"after": "upload-config", "hang": true, "times": 1}}))?;
        world.run_up(1)?;
        world.until_kubeadm_fault(1)?;
        world.run_up(2)?;
        let claim = world.record()?["claim_id"].clone();
        let first = world.start_agent(1)?;
        world.ask(&["terminate", "1"])?;
        world.ask(&["desired", "1", "--no-scale"])?;
        world.until_terminated(1, &first)?;
        ensure!(world.up_ended(1)? == 3, "{}", world.log(1)?);
        ensure!(first.said()?.contains("its init was never published"), "{}", first.said()?);
        world.has_continued(1)?;
        // Whoever waited makes the cluster, and the half made one is nobody's.
        world.all_up(&[2])?;
        world.are_whole(&[2])?;
        ensure!(world.record()?["claim_id"] != claim, "the claim that was given up was flipped: {}", world.record()?);
        World::meant_one_cluster(&world.records()?)?;
        world.ask(&["launch", "--up"])?;
        world.all_up(&[3])?;
        let second = world.start_agent(2)?;
        world.cut_power(3)?;
        world.ask(&["terminate", "2"])?;
        world.until_agent_says(&second, "quorum lost: 1 of 2 answers")?;
        world
            .until("its hook is kept alive", RUN, || Ok((!world.hook_calls(HEARTBEAT, 2)?.is_empty()).then_some(())))?;
        ensure!(world.hook_calls(COMPLETE, 2)?.is_empty(), "the hook was completed without a quorum");
        world.boot(3, true)?;
        world.all_up(&[3])?;
        world.until_terminated(2, &second)?;
        world.has_continued(2)?;
        world.has_left(2, &[3])
    })
}

#[test]
fn with_external_etcd_each_goes_with_its_node_the_last_one_too() -> Result<()> {
    const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/external-etcd.yaml");
    let plan = World::of(2).option("--external-etcd", "1,2,3").kubeadm_config(Path::new(DOCUMENTS)).with_agents();
    plan.tell(|world| {
        world.all_up(&[1, 2])?;
        world.ask(&["terminate", "2"])?;
        world.until_gone(2)?;
        is_gone_from(world, 2)?;
        // Its join has begun, and nobody is a member of anything.
        world.ask(&["launch", "--no-up"])?;
        world.kubeadm_fault(3, &json!({"join": {"after": "preflight", "hang": true, "times": 1}}))?;
        world.run_up(3)?;
        world.until_kubeadm_fault(3)?;
        world.ask(&["terminate", "3"])?;
        world.until_gone(3)?;
        ensure!(world.up_ended(3)? == 3, "{}", world.log(3)?);
        is_gone_from(world, 3)?;
        world.ask(&["terminate", "1"])?;
        world.until_gone(1)?;
        world.has_continued(1)?;
        ensure!(world.registration(1)?["phase"] == "left", "{}", world.registration(1)?);
        ensure!(world.record()?["phase"] == "ready", "{}", world.record()?);
        World::meant_one_cluster(&world.records()?)
    })
}

/// Fails unless machine 1 knows no other Node than its own, and the other's hook was completed.
fn is_gone_from(world: &World, node: usize) -> Result<()> {
    world.has_continued(node)?;
    let own = world.said(1)?;
    ensure!(own["nodes_known"] == json!([own["name"]]), "machine 1 knows others: {own}");
    Ok(())
}
