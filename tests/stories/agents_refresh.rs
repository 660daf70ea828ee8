//! A group that is replaced as a whole while agents run, and one that is deleted.

use crate::support::World;
use crate::support::world::{RUN, members};
use anyhow::{Result, ensure};
use std::cmp::{max, min};

/// The hook that holds a machine until it serves.
const LAUNCH: &str = "join";

#[test]
fn a_refresh_keeps_two_healthy_voters_and_a_group_that_is_deleted_keeps_its_record() -> Result<()> {
    let plan = World::of(3).with_agents().option("--launch-hook", LAUNCH).set("launch_hook", LAUNCH);
    plan.set("lease_ttl", "4s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        let record = world.record()?;
        // The harder order: an old machine goes while the new one comes.
        world.ask(&["refresh", "start", "--minimum", "66"])?;
        let (mut fewest, mut away) = (usize::MAX, 0);
        world.until("the refresh is over and the old ones are gone", 2 * RUN, || {
            let (healthy, listed) = voters(world)?;
            (fewest, away) = (min(fewest, healthy), max(away, listed.saturating_sub(healthy)));
            let status = world.ask(&["status"])?;
            let old = members(&status, "nodes").take(3).all(|each| each["ec2"] == "terminated");
            Ok((status["refresh"][0]["status"] == "Successful" && old).then_some(()))
        })?;
        println!("during the refresh: at least {fewest} healthy voters, never more than {away} away");
        ensure!(fewest >= 2 && away <= 1, "{fewest} healthy voters and {away} away at worst");
        world.all_up(&[4, 5, 6])?;
        world.are_whole(&[4, 5, 6])?;
        world.have_the_word(&[4, 5, 6])?;
        for node in [1, 2, 3] {
            world.has_continued(node)?;
        }
        let status = world.on(4, &["kubeboot", "status"])?;
        ensure!(status.code == 0 && status.stdout.starts_with("healthy"), "{}", status.text());
        // By force no hook holds anybody. Whatever the three still get done, the cluster is the record's.
        world.ask(&["delete-group", "--force"])?;
        for node in [4, 5, 6] {
            world.until_gone(node)?;
        }
        ensure!(world.record()? == record, "the record has changed: {}", world.record()?);
        let kept = [4, 5, 6].map(|node| Ok(world.registration(node)?["phase"] != "left"));
        let kept: Vec<bool> = kept.into_iter().collect::<Result<_>>()?;
        ensure!(kept.contains(&true), "all of them have left: nobody keeps the data");
        World::meant_one_cluster(&world.records()?)
    })
}

/// How many machines say by a linearizable read that they are voters, and how many voters one of them lists at most.
fn voters(world: &World) -> Result<(usize, usize)> {
    let outcome = world.outcome()?;
    let healthy: Vec<_> = outcome.iter().filter(|each| each["voter"] == true).collect();
    let listed = healthy.iter().filter_map(|each| each["voters_known"].as_u64()).max().unwrap_or_default();
    Ok((healthy.len(), usize::try_from(listed)?))
}
