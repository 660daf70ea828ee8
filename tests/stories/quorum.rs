//! Fewer voters answer than the quorum needs, or exactly as many: kubeboot does not make it worse, and goes on when the quorum is back.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use serde_json::json;

#[test]
fn the_second_of_two_voters_dies_while_a_third_machine_joins() -> Result<()> {
    World::of(3).without_up().set("lease_ttl", "3s").tell(|world| {
        for node in [1, 2] {
            world.run_up(node)?;
        }
        world.all_up(&[1, 2])?;
        world.kubeadm_fault(3, &json!({"join": {"after": "kubelet-start", "hang": true, "times": 1}}))?;
        world.run_up(3)?;
        world.until_kubeadm_fault(3)?;
        world.cut_power(2)?;
        let (record, commands, lost) = (world.record()?, world.kubeadm()?, world.registration(2)?);
        for program in ["kubeboot", "kubeadm"] {
            world.kill_program(3, program)?;
        }
        ensure!(world.up_ended(3)? != 0, "it was not killed");
        let ended = world.on(3, &["kubeboot", "up", "--claim-ttl", "3s", "--deadline", "15s"])?;
        ensure!(ended.code == 6, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        ensure!(ended.stderr.contains("quorum lost: 1 of 2 answers"), "{}", ended.stderr);
        ensure!(world.kubeadm()? == commands, "kubeadm changed something: {:?}", world.kubeadm()?);
        ensure!(world.record()? == record, "the record has changed: {}", world.record()?);
        ensure!(world.registration(2)? == lost, "node 2 was touched: {}", world.registration(2)?);
        // Its data are there, so the quorum comes back with its power.
        world.ask(&["boot", "2", "--up"])?;
        world.all_up(&[2])?;
        world.run_up(3)?;
        world.all_up(&[3])?;
        world.are_whole(&[1, 2, 3])?;
        World::meant_one_cluster(&world.records()?)
    })
}

#[test]
fn two_of_five_die_and_are_replaced() -> Result<()> {
    World::of(5).tell(|world| {
        world.all_up(&[1, 2, 3, 4, 5])?;
        for node in ["2", "5"] {
            world.ask(&["replace", node])?;
        }
        world.all_up(&[6, 7])?;
        world.are_whole(&[1, 3, 4, 6, 7])?;
        for node in [2, 5] {
            ensure!(world.registration(node)?["phase"] == "reaped", "{}", world.registration(node)?);
        }
        world.have_nothing_to_do(&[1, 3, 4, 6, 7])
    })
}

#[test]
fn a_power_cut_of_everybody_in_the_middle_of_init_and_again_of_a_join() -> Result<()> {
    let plan = World::of(3).without_up().set("claim_ttl", "4s").set("claim_stagger", "1s").set("lease_ttl", "3s");
    plan.tell(|world| {
        world.kubeadm_fault(1, &json!({"init": {"after": "upload-config", "hang": true, "times": 1}}))?;
        world.ask(&["run"])?;
        world.until_kubeadm_fault(1)?;
        cut_everybody(world)?;
        for node in ["1", "2", "3"] {
            world.ask(&["boot", node, "--no-up"])?;
        }
        for node in [1, 2, 3] {
            world.kubeadm_fault(node, &json!({"join": {"after": "etcd-join", "hang": true, "times": 1}}))?;
        }
        world.ask(&["run"])?;
        let joiner = world.until("a join that stands still", RUN, || {
            let used = [1, 2, 3]
                .into_iter()
                .find(|node| world.root(*node).is_ok_and(|root| root.join("run/standin/faults.used").exists()));
            Ok(used)
        })?;
        let record = world.record()?;
        ensure!(record["phase"] == "ready", "node {joiner} joined what is not there: {record}");
        cut_everybody(world)?;
        for node in ["1", "2", "3"] {
            world.ask(&["boot", node, "--up"])?;
        }
        world.all_up(&[1, 2, 3])?;
        world.are_whole(&[1, 2, 3])?;
        ensure!(world.record()? == record, "the record has changed: {}", world.record()?);
        World::meant_one_cluster(&world.records()?)?;
        world.have_nothing_to_do(&[1, 2, 3])
    })
}

fn cut_everybody(world: &World) -> Result<()> {
    [1, 2, 3].into_iter().try_for_each(|node| world.cut_power(node))
}
