//! Several machines that the group ends at once while agents run on them: who goes when, and that the data stays with whoever is left.

use crate::support::World;
use crate::support::agent::HOOK;
use crate::support::crash::{self, Stop};
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use serde_json::json;

const COMPLETE: &str = "CompleteLifecycleAction";

#[test]
fn three_of_five_go_at_once_and_then_four_in_one_step() -> Result<()> {
    World::of(5).with_agents().set("lease_ttl", "6s").tell(|world| {
        world.all_up(&[1, 2, 3, 4, 5])?;
        world.keep_a_word(1)?;
        // Newcomers join while the others leave: two kinds of change, one lease.
        for node in ["3", "4", "5"] {
            world.ask(&["terminate", node])?;
        }
        world.ask(&["desired", "5"])?;
        for node in [3, 4, 5] {
            world.until_gone(node)?;
            world.has_continued(node)?;
        }
        world.all_up(&[6, 7, 8])?;
        world.are_whole(&[1, 2, 6, 7, 8])?;
        world.have_the_word(&[1, 2, 6, 7, 8])?;
        world.ask(&["desired", "1"])?;
        for node in [2, 6, 7, 8] {
            world.until_gone(node)?;
            world.has_continued(node)?;
        }
        for node in [2, 6, 7, 8] {
            world.has_left(node, &[1])?;
        }
        world.are_whole(&[1])?;
        world.have_the_word(&[1])?;
        World::meant_one_cluster(&world.records()?)
    })
}

#[test]
fn a_group_that_goes_to_zero_in_the_middle_of_a_leave_and_comes_back() -> Result<()> {
    World::of(3).with_terminate_hook().option("--binary", &crash::binary()?).set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        let third = world.start_agent_pausing(3, "leaving-registered")?;
        let (first, second) = (world.start_agent(1)?, world.start_agent(2)?);
        world.until_agent_says(&third, "the group says InService")?;
        world.ask(&["terminate", "3"])?;
        world.until_agent_says(&third, "stopped at leaving-registered")?;
        // It stands still with its marker written, and its lease runs out.
        world.ask(&["desired", "0"])?;
        let (gone, last, agent) = world.until("one of the others has left", RUN, || {
            for (gone, last, agent) in [(1, 2, &second), (2, 1, &first)] {
                if world.registration(gone)?["phase"] == "left" {
                    return Ok(Some((gone, last, agent)));
                }
            }
            Ok(None)
        })?;
        world.until_gone(gone)?;
        world.until_agent_says(agent, "no other voter is registered as 'joined'")?;
        world.are_the_voters(&[last, 3])?;
        // Its lease is another's meanwhile, so it begins anew, and goes: who stays is registered as joined.
        third.go_on()?;
        world.until_agent_says(&third, "the membership lease was lost")?;
        world.until("it comes to that point again", RUN, || {
            Ok((third.said()?.matches("stopped at leaving-registered").count() >= 2).then_some(()))
        })?;
        // The last one would save the cluster if the group wanted none still.
        world.ask(&["desired", "1"])?;
        // On a busy computer its lease runs out while it stands still, and it comes to that point once more.
        world.until("it has left", RUN, || {
            third.go_on()?;
            Ok((world.registration(3)?["phase"] == "left").then_some(()))
        })?;
        world.until_terminated(3, &third)?;
        world.all_up(&[4])?;
        world.until_terminated(last, agent)?;
        world.has_left(last, &[4])?;
        world.have_the_word(&[4])?;
        World::meant_one_cluster(&world.records()?)
    })
}

#[test]
fn a_hook_that_came_later_a_newcomer_that_fails_after_its_vote_and_a_machine_that_is_retained() -> Result<()> {
    let plan = World::of(2).set("terminate_hook", HOOK).option("--binary", &crash::binary()?);
    plan.set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2])?;
        world.keep_a_word(1)?;
        let (first, second) = (world.start_agent(1)?, world.start_agent(2)?);
        world.until_agent_says(&second, "the group says InService")?;
        world.ask(&["hook", "add", HOOK, "terminating", "--seconds", "300"])?;
        world.ask(&["terminate", "2"])?;
        world.until_terminated(2, &second)?;
        world.has_continued(2)?;
        ensure!(second.said()?.contains("has 5 min after each heartbeat"), "{}", second.said()?);
        world.has_left(2, &[1])?;
        // The newcomer has its vote, and its `up` is gone before it serves.
        world.ask(&["launch", "--no-up"])?;
        let joins = world.start_up_until(3, Stop::Kill, "member-promoted")?.wait(RUN)?;
        ensure!(joins.code == 137, "{}", joins.text());
        world.ask(&["terminate", "1"])?;
        world.until_agent_says(&first, "no other voter is registered as 'joined'")?;
        world.are_the_voters_known(2, &[1])?;
        ensure!(world.hook_calls(COMPLETE, 1)?.is_empty(), "the only server's hook was completed");
        world.run_up(3)?;
        world.all_up(&[3])?;
        world.until_terminated(1, &first)?;
        world.has_left(1, &[3])?;
        world.have_the_word(&[3])?;
        // Nobody answers for this one, so its hook ends, and the group keeps the machine and launches another.
        world.ask(&["desired", "1", "--no-scale"])?;
        world.ask(&["retention", "on"])?;
        world.ask(&["hook", "add", HOOK, "terminating", "--seconds", "1"])?;
        world.ask(&["terminate", "3"])?;
        world.until("it is retained", RUN, || Ok((world.lifecycle(3)? == "Terminating:Retained").then_some(())))?;
        let retained = world.start_agent(3)?;
        world.until("another one takes its place", RUN, || {
            Ok(world.log(4).is_ok_and(|log| !log.is_empty()).then_some(()))
        })?;
        world.all_up(&[4])?;
        world.until_agent_says(&retained, "the group retains this machine, which may be terminated")?;
        world.has_left(3, &[4])?;
        world.have_the_word(&[4])?;
        ensure!(world.hook_calls(COMPLETE, 3)?.is_empty(), "a hook that is over was completed");
        ensure!(json!(world.lifecycle(3)?) == "Terminating:Retained", "{}", world.lifecycle(3)?);
        world.ask(&["terminate", "3"])?;
        world.until_terminated(3, &retained)
    })
}
