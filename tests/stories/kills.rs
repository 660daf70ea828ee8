//! `kubeboot up` killed at every named point of its own list, and the machine's power cut there: however it was stopped,
//! started again it comes to the same one cluster.

use crate::restoring::{begin_anew, restorable};
use crate::support::World;
use crate::support::command::{self, Running};
use crate::support::crash::{self, Stop};
use crate::support::plan::WorldPlan;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io;
use std::sync::Mutex;
use std::thread::Builder;
use std::time::Instant;

/// Worlds for each role. They are used again, since they take longer to start than a machine takes to be killed.
const WORLDS: usize = 2;
/// As a shell says that SIGKILL ended a command.
const KILLED: i32 = 137;

/// One machine, stopped at one point in these ways, one after the other.
struct Scene {
    point: String,
    stops: Vec<Stop>,
}

#[test]
fn whoever_initialises_may_be_killed_anywhere() -> Result<()> {
    everywhere("leader", |world, scene| {
        for node in ["1", "2"] {
            world.ask(&["replace-root", node, "--no-up"])?;
        }
        world.empty_the_bucket()?;
        let before = world.records()?.len();
        // Somebody is there who could follow, and must never make a second cluster.
        world.run_up(2)?;
        let left = stop(world, 1, scene)?;
        world.run_up(1)?;
        world.all_up(&[1, 2])?;
        converged(world, before)?;
        Ok(left)
    })
}

#[test]
fn whoever_joins_may_be_killed_anywhere() -> Result<()> {
    everywhere("joiner", |world, scene| {
        if world.keys()?.is_empty() {
            let alone = ["env", "KUBEBOOT_EXPECTED_SIZE=1", "KUBEBOOT_SETTLE_TIMEOUT=1s", "kubeboot", "up"];
            let made = world.on(1, &alone)?;
            ensure!(made.code == 0, "{}", made.text());
        } else {
            // A fresh machine under the same name, as after a new root volume, of which etcd knows nothing.
            let reset = world.on(2, &["kubeadm", "reset", "-f"])?;
            ensure!(reset.code == 0, "{}", reset.text());
            world.ask(&["replace-root", "2", "--no-up"])?;
            world.remove(&world.registration_key(2)?)?;
        }
        world.are_the_voters(&[1])?;
        let left = stop(world, 2, scene)?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        converged(world, 0)?;
        Ok(left)
    })
}

#[test]
fn whoever_restores_may_be_killed_anywhere() -> Result<()> {
    let plan = restorable(3).set("claim_stagger", "10s");
    everywhere_in(plan, "restorer", |world, scene| {
        let saved = world.records()?.into_iter().find(|record| record["phase"] == "saved");
        let saved = match saved {
            Some(saved) => saved,
            None => {
                world.save_a_cluster_of(3)?;
                world.lose(3)?;
                world.restore(1, &["--latest", "--yes"], 0)?;
                world.record()?
            }
        };
        begin_anew(world, &saved, &[1, 2])?;
        // Somebody is there who could follow.
        world.run_up(2)?;
        let left = stop(world, 1, scene)?;
        world.run_up(1)?;
        world.all_up(&[1, 2])?;
        world.are_restored(&saved, &[1, 2])?;
        world.kept_one_line()?;
        Ok(left)
    })
}

#[test]
fn whoever_initialises_looks_at_its_claim_last() -> Result<()> {
    World::of(1).without_up().option("--binary", &crash::binary()?).tell(|world| {
        ensure!(is_killed(world.start_up_until(1, Stop::Kill, "claim-read")?)?, "it was not killed");
        // Arming may take so long that the claim is lost, so the claim is read after it.
        let asked = std::fs::read_to_string(world.root(1)?.join("run/standin/systemctl.log")).unwrap_or_default();
        ensure!(asked.contains("kubeboot-reset.service"), "the leaving unit is not armed before that: {asked}");
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1])
    })
}

#[test]
fn a_wipe_may_be_killed_in_its_middle() -> Result<()> {
    World::of(2).option("--binary", &crash::binary()?).set("lease_ttl", "3s").tell_after_the_first(|world| {
        // What there is to wipe: all that a join leaves.
        ensure!(is_killed(world.start_up_until(2, Stop::Kill, "join-ended")?)?, "the join was not killed");
        for how in [Stop::Kill, Stop::Hold] {
            world.kubeadm_fault(2, &json!({"reset": {"after": "cleanup-node", "hang": true, "times": 1}}))?;
            world.run_up(2)?;
            world.until_kubeadm_fault(2)?;
            match how {
                Stop::Kill => world.kill_program(2, "kubeboot")?,
                Stop::Hold => world.cut_power(2)?,
            }
            world.are_the_voters(&[1])?;
            if how == Stop::Kill {
                ensure!(world.up_ended(2)? != 0, "it was not killed");
                std::fs::remove_file(world.root(2)?.join("run/standin/faults.used"))?;
            } else {
                world.ask(&["boot", "2", "--no-up"])?;
            }
        }
        world.run_up(2)?;
        world.all_up(&[2])?;
        converged(world, 0)
    })
}

#[test]
fn a_joiner_that_is_lost_for_good_is_reaped_by_its_replacement() -> Result<()> {
    let binary = crash::binary()?;
    for point in ["member-announced", "member-promoted"] {
        World::of(3).without_up().option("--binary", &binary).set("lease_ttl", "3s").tell(|world| {
            for node in [1, 2] {
                world.run_up(node)?;
            }
            world.all_up(&[1, 2])?;
            let run = world.start_up_until(3, Stop::Hold, point)?;
            ensure!(is_cut_off(world, 3, run, point)?, "it never came to '{point}'");
            world.ask(&["replace", "3", "--up"])?;
            world.all_up(&[4])?;
            world.are_whole(&[1, 2, 4])?;
            World::meant_one_cluster(&world.records()?)
        })?;
    }
    Ok(())
}

#[test]
fn a_flip_that_lands_while_its_machine_is_down_is_kept() -> Result<()> {
    flip_in_the_air("1", |world, claim| {
        world.until("the flip to land", RUN, || Ok((world.record()?["phase"] == "ready").then_some(())))?;
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        ensure!(world.record()?["claim_id"] == *claim, "the cluster of claim {claim} was not kept");
        Ok(())
    })
}

#[test]
fn a_flip_that_lands_when_its_machine_is_back_is_refused() -> Result<()> {
    flip_in_the_air("20", |world, claim| {
        // Machine 1 claims anew, which fences what is in the air, and wipes the cluster that would have come of it.
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        let landed = world.until("the flip to land", RUN, || {
            Ok(world.journal("requests")?.into_iter().find(|call| call["landed"] == true))
        })?;
        ensure!(landed["status"] == 412, "the late flip was not refused: {landed}");
        ensure!(world.record()?["claim_id"] != *claim, "the cluster of claim {claim} has come back");
        Ok(())
    })
}

/// Machine 1 sends its flip, which is carried out so many seconds later, and is killed before there is any answer.
fn flip_in_the_air(seconds: &str, story: impl FnOnce(&World, &Value) -> Result<()>) -> Result<()> {
    let plan = World::of(2).without_up().set("claim_stagger", "10s").set("lease_ttl", "3s");
    plan.tell(|world| {
        world.fault(&format!("late={seconds}"), &["--action", "PutObject", "--body", "*\"phase\": \"ready\"*"])?;
        world.run_up(1)?;
        world.until("the flip to be sent", RUN, || {
            Ok(world.journal("requests")?.iter().any(|call| call["fault"] == "late").then_some(()))
        })?;
        let claim = world.record()?["claim_id"].clone();
        world.kill_program(1, "kubeboot")?;
        world.ask(&["fault", "clear"])?;
        ensure!(world.up_ended(1)? != 0, "it was not killed");
        story(world, &claim)?;
        world.are_whole(&[1, 2])?;
        World::meant_one_cluster(&world.records()?)
    })
}

#[test]
fn the_ordinary_program_cannot_be_told_to_stop() -> Result<()> {
    for (binary, found) in [(World::binary(), 1), (crash::binary()?, 0)] {
        let searched = command::run(&["grep", "--quiet", "KUBEBOOT_STOP_AT", &binary], RUN)?;
        ensure!(searched.code == found, "grep in '{binary}' ended with {}: {}", searched.code, searched.text());
    }
    Ok(())
}

/// Tells a scene for each point of a role. What a scene leaves, because the machine came to its end
/// before it could be stopped a second time, is told by itself.
fn everywhere(role: &str, tell: impl Fn(&World, &Scene) -> Result<Vec<Stop>> + Sync) -> Result<()> {
    everywhere_in(World::of(2).without_up().set("lease_ttl", "3s").set("claim_stagger", "10s"), role, tell)
}

fn everywhere_in(plan: WorldPlan, role: &str, tell: impl Fn(&World, &Scene) -> Result<Vec<Stop>> + Sync) -> Result<()> {
    let mut points = crash::points(role)?;
    if role == "restorer" {
        // Told by a story of its own, in which there is such a Node.
        points.retain(|point| point != "old-node-deleted");
        // Beside those that only a restore has: those of an init that lie around the claim, kubeadm and the flip.
        points.extend(["claim-sent", "init-started", "flip-due", "flip-sent", "flip-answered"].map(str::to_owned));
    }
    // Told by a story of its own, in which a new voter serves its clients late: a join may end before that is seen.
    points.retain(|point| point != "lease-given-on");
    ensure!(points.len() >= 10, "the program lists too few points for a {role}: {points:?}");
    let kills = std::env::var("KILLS").unwrap_or_default();
    let scenes = points.into_iter().enumerate().filter_map(|(at, point)| {
        let stops = ways(role, at, &point, &kills);
        (!stops.is_empty()).then_some(Scene { point, stops })
    });
    let (scenes, binary) = (Mutex::new(scenes.rev().collect::<Vec<_>>()), crash::binary()?);
    let next = || scenes.lock().ok().and_then(|mut scenes| scenes.pop());
    // Once one has failed, the rest would only take time.
    let stop_all = |_: &anyhow::Error| scenes.lock().map(|mut scenes| scenes.clear()).unwrap_or_default();
    let work = |world: &World| {
        while let Some(scene) = next() {
            let begun = Instant::now();
            let told = || format!("a {role} stopped at '{}' by {:?}", scene.point, scene.stops);
            let left = tell(world, &scene).with_context(told).inspect_err(stop_all)?;
            ensure!(left.len() < scene.stops.len(), "{}: it was never reached", told());
            println!("{:.1} s: {}", begun.elapsed().as_secs_f64(), told());
            if let (false, Ok(mut scenes)) = (left.is_empty(), scenes.lock()) {
                scenes.push(Scene { stops: left, ..scene });
            }
        }
        Ok(())
    };
    let plan = plan.option("--binary", &binary).set("claim_ttl", "20s");
    std::thread::scope(|scope| {
        let named = || Builder::new().name(format!("kills of a {role}"));
        let start = |_| named().spawn_scoped(scope, || plan.clone().tell(work));
        let workers = (0..WORLDS).map(start).collect::<io::Result<Vec<_>>>()?;
        workers.into_iter().try_for_each(|worker| worker.join().expect("a story does not panic"))
    })
}

/// How a machine is stopped at this point of its list. In the gate one way at every second point, in turn, since both ways at all of them
/// take ten minutes more; a joiner is stopped where a leader is not. `kills` is `all`, or names points: both ways there.
fn ways(role: &str, at: usize, point: &str, kills: &str) -> Vec<Stop> {
    if kills.is_empty() {
        let is_chosen = at.is_multiple_of(2) == (role == "leader");
        let way = if (at / 2).is_multiple_of(2) { Stop::Kill } else { Stop::Hold };
        is_chosen.then_some(way).into_iter().collect()
    } else if kills == "all" || kills.split(',').any(|name| name == point) {
        vec![Stop::Kill, Stop::Hold]
    } else {
        Vec::new()
    }
}

/// Stops a machine at the scene's point, time after time. Returns the ways in which it was not stopped, because it came to
/// its end.
fn stop(world: &World, node: usize, scene: &Scene) -> Result<Vec<Stop>> {
    for (done, how) in scene.stops.iter().enumerate() {
        let run = world.start_up_until(node, *how, &scene.point)?;
        let stopped = match how {
            Stop::Kill => is_killed(run)?,
            Stop::Hold => is_cut_off(world, node, run, &scene.point)?,
        };
        if !stopped {
            return Ok(scene.stops[done..].to_vec());
        }
        if *how == Stop::Hold {
            world.ask(&["boot", &node.to_string(), "--no-up"])?;
        }
    }
    Ok(Vec::new())
}

/// Waits for the end. `false` if it came to its end by itself.
pub fn is_killed(run: Running) -> Result<bool> {
    let ended = run.wait(RUN)?;
    ensure!([0, KILLED].contains(&ended.code), "'kubeboot up' ended with {}: {}", ended.code, ended.text());
    Ok(ended.code == KILLED)
}

/// Waits until it holds, and cuts the machine's power. `false` if it came to its end by itself.
pub fn is_cut_off(world: &World, node: usize, mut run: Running, point: &str) -> Result<bool> {
    let holds = format!("stopped at {point}");
    let held = world.until(&holds, RUN, || {
        let runs = run.runs()?;
        Ok(if run.said()?.contains(&holds) { Some(true) } else { (!runs).then_some(false) })
    })?;
    if !held {
        let ended = run.wait(RUN)?;
        ensure!(ended.code == 0, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        return Ok(false);
    }
    world.cut_power(node)?;
    Ok(true)
}

/// Both machines are one control plane, there was never another, and nothing is left to do.
fn converged(world: &World, before: usize) -> Result<()> {
    world.are_whole(&[1, 2])?;
    World::meant_one_cluster(&world.records()?[before..])?;
    world.have_nothing_to_do(&[1, 2])
}
