//! Machines that join one after the other's vote: whoever is a voter gives the membership lease on, while its kubeadm goes on.

use crate::kills::{is_cut_off, is_killed};
use crate::support::World;
use crate::support::crash::{self, Stop};
use crate::support::plan::WorldPlan;
use anyhow::{Context, Result, ensure};
use serde_json::json;

/// A world whose new voters serve their clients so many seconds late, as those of etcd 3.6 do.
fn late(nodes: usize, seconds: &str) -> WorldPlan {
    World::of(nodes).without_up().env("STANDIN_ETCD_LATE", seconds).set("lease_ttl", "6s")
}

/// When each join began and ended, in the order of their beginnings; all of them ended well.
fn joins(world: &World) -> Result<Vec<(f64, f64)>> {
    let commands = world.journal("standin")?;
    let joins = commands.iter().filter(|line| line["argv"][1] == "join" && line["end"].is_number());
    let mut found = Vec::new();
    for line in joins {
        ensure!(line["exit"] == 0, "a join has failed: {line}");
        let time = |name: &str| line[name].as_f64().context("a time");
        found.push((time("start")?, time("end")?));
    }
    found.sort_by(|one, other| one.0.total_cmp(&other.0));
    Ok(found)
}

#[test]
fn each_machine_begins_to_join_when_the_one_before_has_its_vote() -> Result<()> {
    late(3, "9").tell(|world| {
        for node in [1, 2, 3] {
            // As long as the real one, whose member is a learner for two seconds.
            world.kubeadm_fault(node, &json!({"join": {"after": "etcd-join/start", "seconds": 2}}))?;
        }
        world.ask(&["run"])?;
        world.all_up(&[1, 2, 3])?;
        world.is_one_control_plane(&[1, 2, 3])?;
        let joins = joins(world)?;
        ensure!(joins.len() == 2, "two machines joined {} times", joins.len());
        let (one, other) = (joins[0], joins[1]);
        ensure!(other.0 > one.0 + 2.0, "the second one began before the first had its vote: {joins:?}");
        ensure!(other.0 < one.1 - 3.0, "the second one waited for the first one's kubeadm: {joins:?}");
        Ok(())
    })
}

#[test]
fn a_join_that_fails_after_its_vote_is_cleaned_up_under_the_lease() -> Result<()> {
    late(2, "1").tell(|world| {
        world.run_up(1)?;
        world.all_up(&[1])?;
        let fails = json!({"after": "kubelet-wait-bootstrap", "exit": 1, "times": 1});
        world.kubeadm_fault(2, &json!({"join": [{"after": "etcd-join", "seconds": 3}, fails]}))?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])?;
        let log = world.log(2)?;
        let place = |text: &str, after: usize| {
            log[after..].find(text).map(|at| after + at).with_context(|| format!("'{text}' is not in {log}"))
        };
        let given_on = place("the membership lease goes to the next", 0)?;
        let left = place("is cleaned up once this machine has the membership lease again", given_on)?;
        let taken = place("this machine holds the membership lease", left)?;
        let removed = place("removing the etcd member", given_on)?;
        ensure!(removed > taken, "its member was removed without the lease: {log}");
        Ok(())
    })
}

/// EC2 says that it runs, so nobody may reap it.
#[test]
fn a_voter_that_loses_its_power_before_it_serves_holds_the_next_one_up_and_costs_no_quorum() -> Result<()> {
    late(4, "9").tell(|world| {
        for node in [1, 2] {
            world.run_up(node)?;
        }
        world.all_up(&[1, 2])?;
        world.run_up(3)?;
        world.until_logged(3, "the membership lease goes to the next")?;
        world.cut_power(3)?;
        world.run_up(4)?;
        // Not kubeadm's four minutes.
        world.until_logged(4, "etcd has not taken this machine within 45 s")?;
        world.until_logged(4, "to answer or to go; kept: its machine")?;
        world.ask(&["boot", "3", "--up"])?;
        world.all_up(&[3, 4])?;
        world.are_whole(&[1, 2, 3, 4])?;
        World::meant_one_cluster(&world.records()?)
    })
}

#[test]
fn whoever_has_given_the_lease_on_may_be_killed_or_lose_its_power() -> Result<()> {
    for how in [Stop::Kill, Stop::Hold] {
        late(3, "4").option("--binary", &crash::binary()?).tell(|world| {
            world.run_up(1)?;
            world.all_up(&[1])?;
            let run = world.start_up_until(2, how, "lease-given-on")?;
            match how {
                Stop::Kill => ensure!(is_killed(run)?, "it was not killed"),
                Stop::Hold => {
                    ensure!(is_cut_off(world, 2, run, "lease-given-on")?, "it never came there");
                    world.ask(&["boot", "2", "--no-up"])?;
                }
            }
            world.run_up(3)?;
            world.run_up(2)?;
            world.all_up(&[2, 3])?;
            world.are_whole(&[1, 2, 3])?;
            World::meant_one_cluster(&world.records()?)
        })?;
    }
    Ok(())
}
