//! What EC2 announces to a machine: a Spot notice is left for at once, everything else is said; and what becomes of a last voter.

use crate::support::World;
use crate::support::agent::HOOK;
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use serde_json::json;
use std::time::Duration;

const COMPLETE: &str = "CompleteLifecycleAction";

/// The durable marker of leaving.
const MARKER: &str = "var/lib/kubeboot/leaving.json";
/// How long EC2 leaves a Spot instance after its notice.
const WARNING: Duration = Duration::from_mins(2);

#[test]
fn one_of_three_with_a_spot_notice_leaves_within_its_time_without_a_hook() -> Result<()> {
    World::of(3).with_terminate_hook().set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        let agent = world.start_agent(3)?;
        world.until_agent_says(&agent, "IMDS says InService, the group says InService")?;
        world.announce(3, &["spot"])?;
        world.until("it has left before EC2 takes it", WARNING, || {
            Ok((world.registration(3)?["phase"] == "left").then_some(()))
        })?;
        world.has_left(3, &[1, 2])?;
        world.have_the_word(&[1, 2])?;
        world.until_agent_says(&agent, "this machine has left its cluster")?;
        let said = agent.said()?;
        ensure!(said.contains("being terminated (a Spot notice: EC2 will terminate it at 2"), "{said}");
        ensure!(world.lifecycle(3)? == "InService" && world.hook_calls(COMPLETE, 3)?.is_empty(), "{said}");
        ensure!(world.disk(3)?.join(MARKER).exists(), "nothing keeps it from joining again");
        Ok(())
    })
}

#[test]
fn of_three_with_spot_notices_at_once_two_leave_one_after_the_other_and_the_last_stays() -> Result<()> {
    World::of(3).set("lease_ttl", "6s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        let agents = [world.start_agent(1)?, world.start_agent(2)?, world.start_agent(3)?];
        for node in ["1", "2", "3"] {
            world.ask(&["notice", node, "spot"])?;
        }
        let last = world.until("one of them is the last", RUN, || {
            for (node, agent) in (1..).zip(&agents) {
                if agent
                    .said()?
                    .contains("it is the last voter, with all data of the cluster on its disk, and no hook keeps")
                {
                    return Ok(Some(node));
                }
            }
            Ok(None)
        })?;
        for node in (1..=3).filter(|node| *node != last) {
            world.until("it has left", RUN, || Ok((world.registration(node)?["phase"] == "left").then_some(())))?;
            world.has_left(node, &[last])?;
        }
        world.have_the_word(&[last])?;
        ensure!(!world.disk(last)?.join(MARKER).exists(), "the last voter has begun to leave");
        // Whoever comes in time takes the cluster over.
        let next = json!(world.ask(&["launch"])?["index"]);
        ensure!(next == 4, "{next}");
        world.all_up(&[4])?;
        world.until("the last has left", RUN, || Ok((world.registration(last)?["phase"] == "left").then_some(())))?;
        world.has_left(last, &[4])?;
        world.have_the_word(&[4])
    })
}

#[test]
fn a_machine_that_is_held_for_a_newcomer_waits_no_longer_than_until_a_spot_notice() -> Result<()> {
    World::of(2).with_terminate_hook().set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2])?;
        world.ask(&["launch", "--no-up"])?;
        let agent = world.start_agent(2)?;
        world.ask(&["terminate", "2"])?;
        world.until_agent_says(&agent, "it would leave a single machine behind")?;
        world.are_the_voters_known(2, &[1, 2])?;
        world.announce(2, &["spot"])?;
        world.until_terminated(2, &agent)?;
        world.has_left(2, &[1])
    })
}

#[test]
fn recommendations_events_and_what_nobody_understands_are_said_and_change_nothing() -> Result<()> {
    World::of(1).with_terminate_hook().tell(|world| {
        world.all_up(&[1])?;
        world.announce(1, &["rebalance"])?;
        world.announce(1, &["scheduled", "instance-retirement"])?;
        let before = world.before(1)?;
        let agent = world.start_agent(1)?;
        world.until_agent_says(&agent, "EC2 recommends to use another Spot instance, since 2")?;
        world.until_agent_says(&agent, "EC2 has scheduled: instance-retirement not before ")?;
        world.announce(1, &["spot", "--raw", "<html>\u{1b}[31m</html>"])?;
        world.until_agent_says(&agent, "IMDS gave a Spot notice of a shape that this version does not know")?;
        ensure!(!agent.said()?.contains('\u{1b}'), "it commands the terminal: {}", agent.said()?);
        // It comes back with its disk.
        world.announce(1, &["spot", "stop"])?;
        world.until_agent_says(&agent, "a Spot notice: EC2 will stop it at 2")?;
        world.announce(1, &["spot", "--gone"])?;
        world.until("that is over", RUN, || {
            let said = agent.said()?;
            let last = said.lines().rev().find(|line| line.contains("watching: "));
            Ok(last.is_some_and(|line| !line.contains("Spot notice")).then_some(()))
        })?;
        ensure!(!agent.said()?.contains("being terminated ("), "{}", agent.said()?);
        before.nothing_at_all_changed()
    })
}

#[test]
fn a_spot_notice_ends_a_join_under_way_and_nobody_joins_under_one() -> Result<()> {
    let plan = World::of(2).with_terminate_hook().set("lease_ttl", "3s");
    plan.tell_in_a_join("preflight", |world| {
        world.announce(2, &["spot"])?;
        ensure!(world.up_ended(2)? == 3, "{}", world.log(2)?);
        let why = "this machine is being terminated (a Spot notice: EC2 will terminate it at 2";
        ensure!(world.log(2)?.contains(why), "{}", world.log(2)?);
        let again = world.on(2, &["kubeboot", "up"])?;
        ensure!(again.code == 3 && again.text().contains(why), "{}", again.text());
        let agent = world.start_agent(2)?;
        world.until_agent_says(&agent, "this machine never was a member of a cluster")?;
        world.are_the_voters(&[1])
    })
}

#[test]
fn a_notice_that_is_taken_back_while_the_agent_waits_for_the_lock_has_nobody_leave() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        let _holder = world.start_on(1, &["flock", "/run/kubeboot/lock", "sleep", "600"])?;
        let agent = world.start_agent(1)?;
        world.announce(1, &["spot"])?;
        world.until_agent_says(&agent, "waiting: this machine's lock is held by")?;
        world.announce(1, &["spot", "--gone"])?;
        world.kill_program(1, "sleep")?;
        world.until("it watches again", RUN, || {
            let said = agent.said()?;
            ensure!(!said.contains("holds the membership lease"), "it leaves: {said}");
            let last =
                said.lines().rev().find(|line| line.contains("being terminated (") || line.contains("watching: "));
            Ok(last.is_some_and(|line| line.contains("watching: ")).then_some(()))
        })?;
        world.are_the_voters(&[1, 2])
    })
}

#[test]
fn a_last_voter_that_nobody_follows_is_abandoned_to_the_group_and_leaves_once_another_one_serves() -> Result<()> {
    World::of(1).with_terminate_hook().flag("--retain").set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1])?;
        world.keep_a_word(1)?;
        let agent = world.start_agent_with_a_clock(1, &[])?;
        world.ask(&["terminate", "1"])?;
        world.until_agent_says(&agent, "after 10 min without one the terminate hook is answered with ABANDON")?;
        ensure!(world.hook_calls(COMPLETE, 1)?.is_empty(), "it was answered before its time");
        world.time_passes(1, Duration::from_mins(11))?;
        world.until("the group keeps it", RUN, || {
            let answers = world.hook_calls(COMPLETE, 1)?;
            ensure!(answers.iter().all(|answer| answer["result"] == "ABANDON"), "{answers:?}");
            Ok((world.lifecycle(1)? == "Terminating:Retained").then_some(()))
        })?;
        world.until_agent_says(&agent, "it leaves once another one has joined")?;
        // The group launches another one in its place, by itself.
        world.until("another one boots", RUN, || Ok(world.id(2).is_ok().then_some(())))?;
        world.all_up(&[2])?;
        world.until_agent_says(&agent, "the group retains this machine, which may be terminated")?;
        let told = world.on(2, &["kubeboot", "status"])?;
        ensure!(told.says(&format!("{} is retained by its group", world.id(1)?)), "{}", told.text());
        ensure!(told.says("terminate-instance-in-auto-scaling-group"), "{}", told.text());
        world.has_left(1, &[2])?;
        world.have_the_word(&[2])?;
        let answers = world.hook_calls(COMPLETE, 1)?;
        ensure!(answers.len() == 1 && answers[0]["hook"] == HOOK && answers[0]["result"] == "ABANDON", "{answers:?}");
        ensure!(world.lifecycle(1)? == "Terminating:Retained", "{}", world.lifecycle(1)?);
        Ok(())
    })
}
