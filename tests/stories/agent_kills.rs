//! The agent killed at every named point of a leave, and the machine's power cut there: the next one goes on, and the machine leaves once.

use crate::support::World;
use crate::support::crash::{self, Stop};
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};

/// The last point: there the hook is completed, and the group ends the machine.
const LAST: &str = "answer-sent";

#[test]
fn a_leave_that_is_stopped_at_every_point_is_one_leave() -> Result<()> {
    let points = crash::points_of(&["agent"])?;
    ensure!(points.len() >= 10 && points.last().is_some_and(|last| last == LAST), "{points:?}");
    let plan = World::of(4).with_terminate_hook().option("--binary", &crash::binary()?);
    plan.set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2, 3, 4])?;
        world.keep_a_word(1)?;
        let rest = leaves(world, 4, &points, Stop::Kill, &[1, 2, 3])?;
        // One that was stopped after its member was gone needs no lease any more, so it does not come to where that is given back.
        ensure!(rest.first().is_some_and(|first| first == "leave-lease-released"), "{rest:?}");
        let rest = leaves(world, 3, &rest, Stop::Kill, &[1, 2])?;
        ensure!(rest.is_empty(), "these were never reached: {rest:?}");
        // With two voters each cut costs the quorum for a while.
        let rest = leaves(world, 2, &points, Stop::Hold, &[1])?;
        ensure!(rest.len() <= 3, "these were never reached: {rest:?}");
        World::meant_one_cluster(&world.records()?)
    })
}

/// Terminates a machine, and stops it at each of these points, one after the other; the machines `stay` are its cluster then. Returns
/// the points to which it did not come any more.
fn leaves(world: &World, node: usize, points: &[String], how: Stop, stay: &[usize]) -> Result<Vec<String>> {
    world.ask(&["terminate", &node.to_string()])?;
    let mut rest = points;
    while let [point, others @ ..] = rest {
        let told = || format!("the agent of node {node}, to be stopped at '{point}' by {how:?}");
        if !is_stopped(world, node, how, point).with_context(told)? {
            break;
        }
        rest = others;
    }
    world.until_gone(node)?;
    world.has_continued(node)?;
    world.has_left(node, stay)?;
    world.have_the_word(stay)?;
    Ok(rest.to_vec())
}

/// Starts the agent, to stop there. `false` if it has completed the hook before.
fn is_stopped(world: &World, node: usize, how: Stop, point: &str) -> Result<bool> {
    let mut agent = world.start_agent_until(node, how, point)?;
    let stopped = world.until("it stops", RUN, || {
        let runs = agent.runs()?;
        Ok(if agent.said()?.contains(&format!("stopped at {point}")) { Some(true) } else { (!runs).then_some(false) })
    });
    let stopped = stopped.with_context(|| format!("it said: {}", agent.said().unwrap_or_default()))?;
    match (stopped, how) {
        (true, Stop::Hold) if point != LAST => {
            world.cut_power(node)?;
            world.boot(node, false)?;
        }
        (true, Stop::Kill) => drop(agent.wait(RUN)?),
        (true, Stop::Hold) | (false, _) => {}
    }
    Ok(stopped)
}
