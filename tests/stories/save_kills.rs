//! The agent of a last voter killed, or held for ever, at every named point of saving its cluster: the next one goes on, and the cluster
//! is saved once.

use crate::support::World;
use crate::support::crash::{self, Stop};
use anyhow::{Context, Result, ensure};

#[test]
fn a_save_that_is_killed_at_every_point_is_one_save() -> Result<()> {
    let points = crash::points_of(&["saver"])?;
    ensure!(points.len() >= 10, "{points:?}");
    for how in [Stop::Kill, Stop::Hold] {
        // What follows the record is passed by nobody who was stopped right after it was sent.
        for (skipped, last) in [("saved-answered", "saved-marked"), ("saved-sent", "saved-answered")] {
            let points: Vec<&String> = points.iter().filter(|point| *point != skipped).collect();
            let points = &points[..=points.iter().position(|point| *point == last).context("the last point")?];
            saves_once(points, how).with_context(|| format!("{how:?} at each of {points:?}"))?;
        }
    }
    Ok(())
}

/// A machine whose agent is stopped at each of these points, one after the other, saves its cluster once and goes.
fn saves_once(points: &[&String], how: Stop) -> Result<()> {
    World::of(1).with_terminate_hook().option("--binary", &crash::binary()?).tell(|world| {
        world.all_up(&[1])?;
        world.keep_a_word(1)?;
        world.ask(&["desired", "0"])?;
        for point in points {
            let told = || format!("the agent, to be stopped at '{point}' by {how:?}");
            world.stop_agent_at(1, how, point).with_context(told)?;
        }
        let agent = world.start_agent(1)?;
        world.until_terminated(1, &agent)?;
        world.until_saved()?;
        world.has_continued(1)?;
        let records = world.records()?;
        let saved = records.iter().filter(|record| record["phase"] == "saved").count();
        ensure!(saved == 1, "the record said 'saved' {saved} times");
        world.final_manifest().map(drop)
    })
}
