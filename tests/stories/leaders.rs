//! The machine that should initialise does not, or dies while it does.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::time::Instant;

#[test]
fn a_leader_that_never_boots_is_not_waited_for() -> Result<()> {
    World::of(3).option("--off", "1").set("claim_stagger", "2s").tell(|world| {
        world.all_up(&[2, 3])?;
        world.is_one_control_plane(&[2, 3])?;
        ensure!(world.record()?["cluster"]["initialised_by"] == world.id(2)?.as_str(), "{}", world.record()?);
        world.ask(&["boot", "1"])?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn a_leader_whose_runtime_is_down_is_passed_over_runs_no_kubeadm_and_comes_in_when_it_is_mended() -> Result<()> {
    World::of(3).without_up().set("claim_stagger", "2s").tell(|world| {
        let runtime = |verb| {
            let ended = world.on(1, &["systemctl", verb, "containerd"])?;
            ensure!(ended.code == 0, "'systemctl {verb} containerd': {}", ended.text());
            Ok(())
        };
        runtime("stop")?;
        let ran_since = Instant::now();
        world.ask(&["run"])?;
        world.all_up(&[2, 3])?;
        ensure!(world.record()?["cluster"]["initialised_by"] == world.id(2)?.as_str(), "{}", world.record()?);
        world.until_logged(1, "this machine to be mended")?;
        // A reason that takes turns with another one is registered again after a while.
        world.until("'kubeboot status' says that it is to be mended", RUN, || {
            let status = world.on(2, &["kubeboot", "status"])?;
            Ok((status.says("this machine to be mended") && status.says("runtime")).then_some(()))
        })?;
        let log = world.log(1)?;
        ensure!(!log.contains("holds the membership lease") && !log.contains("claiming:"), "{log}");
        // Before there is a cluster, once another machine has made it, before it joins, and in every minute in between.
        let (told, minutes) = (log.matches("this machine to be mended").count(), ran_since.elapsed().as_secs() / 60);
        ensure!(told >= 1 && told as u64 <= 2 + minutes, "the same reason was told {told} times: {log}");
        let name = |node| anyhow::Ok(world.registration(node)?["node_name"].as_str().unwrap_or_default().to_owned());
        let (names, ran) = ([name(1)?, name(2)?], world.kubeadm()?);
        let by = |name: &String| ran.iter().filter(|command| command.node == *name).count();
        ensure!(names.each_ref().map(by) == [0, 1], "{names:?} ran {ran:?}");
        runtime("start")?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn a_leader_whose_init_always_fails_yields_and_joins_at_last() -> Result<()> {
    let plan = World::of(2).without_up().set("init_attempts", "2").set("claim_stagger", "2s");
    plan.tell(|world| {
        world.kubeadm_fault(1, &json!({"init": {"after": "etcd", "exit": 1}}))?;
        world.ask(&["run"])?;
        world.all_up(&[2, 1])?;
        world.is_one_control_plane(&[1, 2])?;
        let failed =
            world.kubeadm()?.into_iter().filter(|command| command.argv[0] == "init" && command.exit != 0).count();
        ensure!(failed == 2, "node 1 tried init {failed} times, not 'init_attempts'");
        ensure!(world.record()?["cluster"]["initialised_by"] == world.id(2)?.as_str(), "{}", world.record()?);
        ensure!(world.log(1)?.contains("stepped down"), "node 1 does not say that it stepped down");
        Ok(())
    })
}

/// A fault that holds `kubeadm init` up once its etcd and API server run.
fn hang_late() -> Value {
    json!({"init": {"after": "upload-config", "hang": true, "times": 1}})
}

#[test]
fn kubeadm_killed_in_the_middle_of_init_is_started_again() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        world.kubeadm_fault(1, &hang_late())?;
        world.run_up(1)?;
        world.until_kubeadm_fault(1)?;
        world.kill_program(1, "kubeadm")?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1])
    })
}

#[test]
fn kubeboot_killed_in_the_middle_of_init_takes_over_from_itself() -> Result<()> {
    World::of(2).without_up().tell(|world| {
        world.kubeadm_fault(1, &hang_late())?;
        world.ask(&["run"])?;
        world.until_kubeadm_fault(1)?;
        let first = world.record()?["claim_id"].clone();
        world.kill_program(1, "kubeboot")?;
        ensure!(world.up_ended(1)? != 0, "it was not killed");
        // Its kubeadm lives on and has the machine's lock.
        world.run_up(1)?;
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])?;
        ensure!(
            world.record()?["claim_id"] != first,
            "the claim was not taken over, so its late writes were not fenced"
        );
        ensure!(world.record()?["cluster"]["initialised_by"] == world.id(1)?.as_str(), "{}", world.record()?);
        Ok(())
    })
}

#[test]
fn a_leader_that_is_terminated_in_the_middle_of_init_is_followed_at_once_and_replaced() -> Result<()> {
    // Nobody waits so long for a claim to end: only EC2's word lets anybody follow.
    World::of(3).without_up().set("claim_ttl", "10m").set("claim_stagger", "1s").tell(|world| {
        world.kubeadm_fault(1, &hang_late())?;
        world.ask(&["run"])?;
        world.until_kubeadm_fault(1)?;
        world.ask(&["replace", "1", "--up"])?;
        world.all_up(&[2, 3, 4])?;
        world.is_one_control_plane(&[2, 3, 4])?;
        World::meant_one_cluster(&world.records()?)
    })
}

#[test]
fn a_leader_that_is_terminated_is_followed_although_auto_scaling_does_not_answer() -> Result<()> {
    // Nobody waits so long for a claim to end: only EC2's word lets anybody follow.
    World::of(3).without_up().set("claim_ttl", "10m").set("claim_stagger", "1s").tell(|world| {
        world.kubeadm_fault(1, &hang_late())?;
        world.ask(&["run"])?;
        world.until_kubeadm_fault(1)?;
        for node in [2, 3] {
            world.until_logged(node, &format!("{} to initialise", world.id(1)?))?;
        }
        world.fault("error=503/ServiceUnavailable", &["--service", "autoscaling"])?;
        world.ask(&["kill", "1"])?;
        world.ask(&["ec2-state", "1", "terminated"])?;
        world.all_up(&[2, 3])?;
        world.are_the_voters(&[2, 3])?;
        World::meant_one_cluster(&world.records()?)
    })
}

#[test]
fn a_leader_that_loses_power_in_the_middle_of_init_is_followed_and_joins_later() -> Result<()> {
    let plan = World::of(2).without_up().set("claim_ttl", "4s").set("claim_stagger", "1s");
    plan.tell(|world| {
        world.kubeadm_fault(1, &hang_late())?;
        world.ask(&["run"])?;
        world.until_kubeadm_fault(1)?;
        world.ask(&["kill", "1"])?;
        world.all_up(&[2])?;
        world.are_the_voters(&[2])?;
        // What the first claim has left on the disk is deposed.
        world.ask(&["boot", "1", "--up"])?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1, 2])?;
        ensure!(world.record()?["cluster"]["initialised_by"] == world.id(2)?.as_str(), "{}", world.record()?);
        Ok(())
    })
}
