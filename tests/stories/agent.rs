//! Machines that are terminated while `kubeboot agent` runs on them: who leaves when, who is held, and how the hook is answered.

use crate::support::World;
use crate::support::agent::HOOK;
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use std::time::Instant;

const COMPLETE: &str = "CompleteLifecycleAction";
const HEARTBEAT: &str = "RecordLifecycleActionHeartbeat";

/// The durable marker of leaving.
const MARKER: &str = "var/lib/kubeboot/leaving.json";

#[test]
fn two_of_three_terminated_at_once_leave_one_after_the_other_and_newcomers_take_their_places() -> Result<()> {
    World::of(3).with_terminate_hook().set("lease_ttl", "6s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        let (second, third) = (world.start_agent(2)?, world.start_agent(3)?);
        world.until_agent_says(&second, "the group says InService")?;
        world.ask(&["terminate", "2"])?;
        world.ask(&["terminate", "3"])?;
        world.ask(&["desired", "3"])?;
        world.until_terminated(2, &second)?;
        world.until_terminated(3, &third)?;
        world.all_up(&[4, 5])?;
        world.has_left(2, &[1, 4, 5])?;
        world.has_left(3, &[1, 4, 5])?;
        world.have_the_word(&[1, 4, 5])?;
        for (node, agent) in [(2, &second), (3, &third)] {
            let (answers, said) = (world.hook_calls(COMPLETE, node)?, agent.said()?);
            ensure!(answers.len() == 1 && answers[0]["result"] == "CONTINUE", "{answers:?}");
            ensure!(answers[0]["hook"] == HOOK, "{answers:?}");
            let at = |words: &str| said.find(words).unwrap_or(usize::MAX);
            ensure!(at("lists this machine no longer") < at("completed the terminate hook"), "{said}");
            ensure!(said.contains("has 1 h after each heartbeat and 2 d in all, then ABANDON"), "{said}");
        }
        Ok(())
    })
}

#[test]
fn a_leave_that_would_cost_the_quorum_is_held_until_it_would_not() -> Result<()> {
    World::of(3).with_terminate_hook().set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.ask(&["kill", "1"])?;
        let agent = world.start_agent(3)?;
        world.ask(&["terminate", "3"])?;
        world.until_agent_says(&agent, "without it too few voters would answer")?;
        world.until("the registration says so", RUN, || {
            Ok((world.registration(3)?["hook"] == "holding").then_some(()))
        })?;
        world
            .until("the hook is kept alive", RUN, || Ok((!world.hook_calls(HEARTBEAT, 3)?.is_empty()).then_some(())))?;
        ensure!(world.hook_calls(COMPLETE, 3)?.is_empty(), "the hook was completed");
        ensure!(world.lifecycle(3)? == "Terminating:Wait", "{}", world.lifecycle(3)?);
        ensure!(!world.disk(3)?.join(MARKER).exists(), "it has begun to leave");
        world.are_the_voters_known(3, &[2, 3])?;
        // The others find out that nothing was lost, and this one goes.
        world.ask(&["boot", "1"])?;
        world.all_up(&[1])?;
        world.until_terminated(3, &agent)?;
        world.has_left(3, &[1, 2])
    })
}

#[test]
fn a_machine_leaves_without_a_hook_of_its_own_and_one_that_somebody_else_completes() -> Result<()> {
    World::of(3).set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let agent = world.start_agent(3)?;
        world.until_agent_says(&agent, "'terminate_hook' names no hook")?;
        // The group takes the machine out of its load balancers first.
        world.ask(&["lifecycle", "3", "Terminating"])?;
        world.until_agent_says(&agent, "no terminate hook is answered, for 'terminate_hook' names none")?;
        world.has_left(3, &[1, 2])?;
        // No `up` joins over the marker, until an operator says so.
        world.refuses(3, &["kubeboot", "up"], 6, &["has left its cluster", "kubeboot reset --now"])?;
        // It may come back if the group takes it back, and an operator says so.
        world.ask(&["lifecycle", "3", "InService"])?;
        world.refuses(3, &["kubeboot", "up"], 6, &["has left its cluster"])?;
        let wiped = world.on(3, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(wiped.code == 0 && !world.disk(3)?.join(MARKER).exists(), "{}", wiped.text());
        world.run_up(3)?;
        world.all_up(&[3])?;
        let named = world.start_on(2, &["kubeboot", "agent", "--terminate-hook", HOOK])?;
        world.until_agent_says(&named, "the group says InService")?;
        world.ask(&["lifecycle", "2", "Terminating:Proceed"])?;
        world.until_agent_says(&named, "the terminate hook was answered, or is over")?;
        ensure!(world.hook_calls(COMPLETE, 2)?.is_empty(), "a hook that is over was completed");
        world.has_left(2, &[1, 3])
    })
}

#[test]
fn an_agent_that_is_killed_while_it_leaves_is_followed_by_one_that_goes_on() -> Result<()> {
    World::of(3).with_terminate_hook().set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let agent = world.start_agent(3)?;
        let (id, registration) = (world.id(3)?, world.registration_key(3)?);
        world.until_agent_says(&agent, "the group says InService")?;
        let leaving =
            ["--node", &id, "--action", "PutObject", "--key", &format!("*{registration}"), "--body", "*\"leaving\"*"];
        world.fault("delay=2", &leaving)?;
        world.ask(&["terminate", "3"])?;
        let marker = world.disk(3)?.join(MARKER);
        world.until("it begins to leave", RUN, || Ok(marker.exists().then_some(())))?;
        world.signal_program(3, "kubeboot", Signal::KILL)?;
        drop(agent);
        world.are_the_voters(&[1, 2, 3])?;
        let ended = world.on(3, &["kubeboot", "up"])?;
        ensure!(ended.code == 6 && ended.text().contains("kubeboot reset --now"), "{}", ended.text());
        let next = world.start_agent(3)?;
        world.until_terminated(3, &next)?;
        world.has_left(3, &[1, 2])
    })
}

#[test]
fn a_join_under_way_ends_at_once_and_the_hook_is_answered() -> Result<()> {
    let plan = World::of(2).with_terminate_hook().set("lease_ttl", "3s");
    plan.tell_in_a_join("preflight", |world| {
        let agent = world.start_agent(2)?;
        world.ask(&["terminate", "2"])?;
        ensure!(world.up_ended(2)? == 3, "{}", world.log(2)?);
        ensure!(world.log(2)?.contains("this machine is being terminated"), "{}", world.log(2)?);
        world.until_terminated(2, &agent)?;
        ensure!(agent.said()?.contains("never was a member"), "{}", agent.said()?);
        let answers = world.hook_calls(COMPLETE, 2)?;
        ensure!(answers.len() == 1 && answers[0]["result"] == "CONTINUE", "{answers:?}");
        world.are_the_voters(&[1])
    })
}

#[test]
fn what_aws_denies_is_said_and_a_machine_leaves_without_it() -> Result<()> {
    World::of(2).option("--terminate-hook", "another").set("terminate_hook", HOOK).set("lease_ttl", "3s").tell(
        |world| {
            world.all_up(&[1, 2])?;
            let third = json!(world.ask(&["launch"])?["index"]);
            ensure!(third == 3, "{third}");
            world.all_up(&[3])?;
            let (id, before) = (world.id(2)?, world.journal("requests")?.len());
            let begun = Instant::now();
            let agent = world.start_agent(2)?;
            world.until_agent_says(&agent, "IMDS says InService, the group says InService")?;
            world.ask(&["imds", "2", "silent=600"])?;
            world.until_agent_says(&agent, "IMDS does not answer")?;
            world.ask(&["imds", "2", "normal"])?;
            world.until_agent_says(&agent, "IMDS answers again")?;
            // While nothing happens the group is asked once a minute, and nobody else.
            let requests = world.journal("requests")?.split_off(before);
            // It leads, alone as it is, and reads what lies in the bucket.
            let own: Vec<_> =
                requests.iter().filter(|call| call["node"] == id.as_str() && call["service"] != "s3").collect();
            let writes = requests.iter().filter(|call| call["node"] == id.as_str() && call["action"] == "PutObject");
            let elsewhere: Vec<_> =
                writes.filter(|call| !call["key"].as_str().is_some_and(|key| key.contains("/join/"))).collect();
            ensure!(elsewhere.is_empty(), "it has written more than what workers join with: {elsewhere:?}");
            let most = 1 + usize::try_from(begun.elapsed().as_secs() / 60)?;
            ensure!((1..=most).contains(&own.len()), "{own:?}");
            ensure!(own.iter().all(|call| call["service"] == "autoscaling"), "{own:?}");
            world.ask(&["terminate", "2"])?;
            world.until_agent_says(&agent, "has no lifecycle hook 'leave': correct the setting 'terminate_hook'")?;
            world.until_agent_says(&agent, "the machine waits in another one than 'terminate_hook' names")?;
            world.has_left(2, &[1, 3])
        },
    )
}
