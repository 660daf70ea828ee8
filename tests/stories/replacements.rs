//! Machines that die without leaving, frozen machines, and the group's launch hook.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use std::time::Duration;

#[test]
fn the_replacement_of_a_dead_machine_reaps_its_member_and_joins() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.ask(&["replace", "2"])?;
        world.all_up(&[4])?;
        world.are_whole(&[1, 3, 4])?;
        let reaped = world.registration(2)?;
        ensure!(reaped["phase"] == "reaped", "{reaped}");
        ensure!(world.log(4)?.contains("deleted the Node of a machine that is gone"), "{}", world.log(4)?);
        Ok(())
    })
}

#[test]
fn a_replacement_with_the_address_of_the_dead_machine_joins() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let before = world.registration(2)?;
        world.ask(&["replace", "2", "--same-address"])?;
        world.all_up(&[4])?;
        world.are_whole(&[1, 3, 4])?;
        let now = world.registration(4)?;
        ensure!(now["node_name"] == before["node_name"], "they should share a name: {before} {now}");
        ensure!(now["node_uid"] != before["node_uid"], "it took the dead machine's Node for its own: {now}");
        ensure!(now["member_id"] != before["member_id"], "it took the dead machine's member for its own: {now}");
        let dead = world.registration(2)?;
        ensure!(dead["phase"] == "reaped", "who had the address before is not buried: {dead}");
        Ok(())
    })
}

#[test]
fn a_silent_member_is_waited_for_until_its_machine_is_certainly_gone() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        // The power goes, and EC2 still shows the machine as running.
        world.ask(&["kill", "2"])?;
        world.ask(&["launch", "--up"])?;
        world.until_logged(4, "is not certainly gone")?;
        let joins = world.kubeadm()?.into_iter().filter(|command| command.argv[0] == "join").count();
        ensure!(joins == 2, "kubeadm join was started although etcd would refuse it: {joins} joins");
        world.ask(&["ec2-state", "2", "terminated"])?;
        world.all_up(&[4])?;
        world.are_the_voters(&[1, 3, 4])
    })
}

#[test]
fn nobody_is_believed_gone_while_ec2_shows_nobody() -> Result<()> {
    World::of(3).set("gone_grace", "1s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        // As for a wrong Region or account: not even the asking machine is shown.
        world.fault("nobody", &["--service", "ec2"])?;
        world.ask(&["replace", "2"])?;
        world.until_logged(4, "EC2 does not show this machine itself")?;
        let asked = world.journal("requests")?.len();
        world.until("EC2 to be asked twice more", RUN, || {
            let calls = world.journal("requests")?.into_iter().skip(asked);
            let mine = calls.filter(|call| call["action"] == "DescribeInstances" && call["fault"] == "nobody");
            Ok((mine.count() >= 2).then_some(()))
        })?;
        world.are_the_voters_known(3, &[1, 3])?;
        let joins = world.kubeadm()?.into_iter().filter(|command| command.argv[0] == "join").count();
        ensure!(joins == 2, "kubeadm join was started although nobody could be believed gone: {joins} joins");
        world.ask(&["fault", "clear"])?;
        world.all_up(&[4])?;
        world.are_whole(&[1, 3, 4])
    })
}

#[test]
fn a_machine_whose_member_was_removed_while_it_was_away_is_wiped_and_joins() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let before = world.registration(2)?;
        world.ask(&["kill", "2"])?;
        world.ask(&["ec2-state", "2", "stopped"])?;
        world.ask(&["launch", "--up"])?;
        world.all_up(&[4])?;
        world.are_whole(&[1, 3, 4])?;
        world.ask(&["boot", "2", "--up"])?;
        world.all_up(&[2])?;
        ensure!(world.log(2)?.contains("the cluster's member list lacks it"), "{}", world.log(2)?);
        world.are_whole(&[1, 2, 3, 4])?;
        ensure!(world.registration(2)?["member_id"] != before["member_id"], "{}", world.registration(2)?);
        Ok(())
    })
}

#[test]
fn a_machine_in_the_launch_hook_enters_service_when_it_is_a_voter() -> Result<()> {
    World::of(3).option("--launch-hook", "join").set("launch_hook", "join").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.is_one_control_plane(&[1, 2, 3])?;
        let calls: Vec<_> =
            world.journal("events")?.into_iter().filter(|event| event["event"] == "hook-call").collect();
        let completed = calls.iter().filter(|call| call["result"] == "CONTINUE").count();
        ensure!(completed == 3, "the hook was completed {completed} times: {calls:?}");
        ensure!(calls.iter().all(|call| call["result"] != "ABANDON"), "{calls:?}");
        Ok(())
    })
}

#[test]
fn a_holder_frozen_for_longer_than_its_claim_lives_is_followed_and_joins() -> Result<()> {
    let plan = World::of(2).without_up().set("claim_ttl", "3s").set("lease_ttl", "3s").set("claim_stagger", "2s");
    plan.tell(|world| {
        world.kubeadm_fault(1, &json!({"init": {"after": "upload-config", "hang": true, "times": 1}}))?;
        world.ask(&["run"])?;
        world.until_kubeadm_fault(1)?;
        let frozen = world.record()?["claim_id"].clone();
        world.signal_program(1, "kubeboot", Signal::STOP)?;
        world.until("node 2 to take over", Duration::from_secs(60), || {
            Ok((world.record()?["claim_id"] != frozen).then_some(()))
        })?;
        world.signal_program(1, "kubeboot", Signal::CONT)?;
        world.all_up(&[2, 1])?;
        world.is_one_control_plane(&[1, 2])?;
        ensure!(world.record()?["cluster"]["initialised_by"] == world.id(2)?.as_str(), "{}", world.record()?);
        ensure!(world.log(1)?.contains("no longer holds the claim"), "{}", world.log(1)?);
        Ok(())
    })
}
