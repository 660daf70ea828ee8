//! Leaving while something else goes wrong: it ends within its budget, says what is left behind, and takes along what it can.

use crate::support::World;
use crate::support::bucket::LEASE;
use crate::support::crash::{self, Stop};
use crate::support::leaving::{INCOMPLETE, LEFT, Leaving, STAYED};
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::json;

/// Short enough for a story; the unit's own time-out is far away.
const BUDGET: &str = "12s";
/// Seconds that a run may take beyond its budget: starting, and a busy computer.
const ROOM: f64 = 20.0;

/// Fails if the end came by systemd's time-out or long after the budget: nothing may hang.
fn within_budget(left: &Leaving) -> Result<()> {
    let budget: f64 = BUDGET.trim_end_matches('s').parse()?;
    ensure!(left.exit >= 0 && left.seconds < budget + ROOM, "it took {} s: {}", left.seconds, left.output);
    Ok(())
}

#[test]
fn a_lease_that_another_holds_keeps_nobody() -> Result<()> {
    World::of(3).set("lease_ttl", "10m").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let joiner = json!({
            "schema": 1,
            "holder": {"instance": "i-0000000000000ffff", "nonce": "6f9619ff-8b86-4011-b42d-00c04fc964ff", "purpose": "join"},
            "beat": 7,
        });
        world.put(LEASE, joiner.to_string())?;
        world.goes_down(3, "poweroff")?.is(LEFT, &["going on without the membership lease", "i-0000000000000ffff"])?;
        world.has_left(3, &[1, 2])?;
        ensure!(world.object(LEASE)? == joiner, "another's lease was touched");
        Ok(())
    })
}

#[test]
fn a_dead_member_in_the_way_is_reaped_first() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.ask(&["kill", "3"])?;
        world.ask(&["ec2-state", "3", "terminated"])?;
        world.goes_down(2, "poweroff")?.is(LEFT, &["reaping an etcd member"])?;
        world.has_left(2, &[1])?;
        ensure!(world.registration(3)?["phase"] == "reaped", "{}", world.registration(3)?);
        Ok(())
    })
}

#[test]
fn a_silent_member_that_may_live_costs_nobody_the_quorum() -> Result<()> {
    World::of(3).set("leave_budget", BUDGET).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.ask(&["kill", "3"])?;
        // By hand, while it stays on: what is still a member keeps its Node.
        let name = world.registration(2)?["node_name"].as_str().context("its name")?.to_owned();
        let now = world.on(2, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(i64::from(now.code) == INCOMPLETE && now.text().contains("its Node was kept"), "{}", now.text());
        ensure!(world.nodes(1)?.contains(&name), "the Node of a member is gone: {:?}", world.nodes(1)?);
        let left = world.goes_down(2, "poweroff")?;
        left.is(INCOMPLETE, &["not certainly gone", "did not leave within"])?;
        within_budget(&left)?;
        ensure!(world.registration(2)?["phase"] == "leaving", "{}", world.registration(2)?);
        for node in ["2", "3"] {
            world.ask(&["boot", node])?;
        }
        world.all_up(&[2, 3])?;
        world.are_the_voters(&[1, 2, 3])
    })
}

#[test]
fn aws_may_be_silent_as_a_whole() -> Result<()> {
    World::of(3).set("leave_budget", BUDGET).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.fault("hang", &[])?;
        // The first one: the manifest of its etcd, from when it was alone, names nobody else.
        world.ask(&["imds", "1", "silent=600"])?;
        let left = world.goes_down(1, "poweroff")?;
        left.is(LEFT, &["going on without the membership lease"])?;
        within_budget(&left)?;
        world.ask(&["fault", "clear"])?;
        world.are_the_voters(&[2, 3])?;
        ensure!(world.nodes(2)?.len() == 2, "{:?}", world.nodes(2)?);
        // It could not say so, and is believed all the same when it comes back.
        ensure!(world.registration(1)?["phase"] == "joined", "{}", world.registration(1)?);
        world.ask(&["imds", "1", "normal"])?;
        world.ask(&["boot", "1"])?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn with_most_of_the_budget_gone_the_member_still_goes() -> Result<()> {
    World::of(3).set("leave_budget", BUDGET).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        // Whatever comes before the member takes all of its share and fails, and so does what comes after it.
        world.fault("hang", &[])?;
        world.ask(&["imds", "3", "silent=600"])?;
        let _holder = world.start_on(3, &["flock", "/run/kubeboot/lock", "sleep", "600"])?;
        for node in [1, 2] {
            world.signal_program(node, "apiserver", Signal::STOP)?;
        }
        let left = world.goes_down(3, "poweroff")?;
        left.is(INCOMPLETE, &["without this machine's lock", "without the membership lease", "the Node"])?;
        within_budget(&left)?;
        // Of its 12 seconds, what the members do not use.
        ensure!(left.seconds > 7.0, "it took only {} s: {}", left.seconds, left.output);
        world.are_the_voters(&[1, 2])
    })
}

#[test]
fn aws_may_refuse_everything() -> Result<()> {
    // Nobody is waited for here, so the budget is the ordinary one: of a short one a busy computer needs all for the questions.
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        world.fault("error=403/AccessDenied", &[])?;
        let left = world.goes_down(2, "poweroff")?;
        left.is(LEFT, &["AWS does not say"])?;
        within_budget(&left)?;
        world.ask(&["fault", "clear"])?;
        world.are_the_voters(&[1])
    })
}

#[test]
fn without_api_servers_the_member_goes_and_the_node_is_told_of() -> Result<()> {
    World::of(2).set("leave_budget", BUDGET).tell(|world| {
        world.all_up(&[1, 2])?;
        world.signal_program(1, "apiserver", Signal::STOP)?;
        let left = world.goes_down(2, "poweroff")?;
        left.is(INCOMPLETE, &["the Node", "may still be there"])?;
        within_budget(&left)?;
        world.signal_program(1, "apiserver", Signal::CONT)?;
        world.are_the_voters(&[1])?;
        ensure!(world.registration(2)?["phase"] == "left", "{}", world.registration(2)?);
        ensure!(world.nodes(1)?.len() == 2, "{:?}", world.nodes(1)?);
        world.ask(&["boot", "2"])?;
        world.all_up(&[2])?;
        world.are_the_voters(&[1, 2])
    })
}

#[test]
fn with_etcd_silent_everywhere_it_ends_and_nothing_is_lost() -> Result<()> {
    World::of(3).set("leave_budget", BUDGET).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        for node in [1, 2, 3] {
            world.signal_program(node, "etcd", Signal::STOP)?;
        }
        let reset = world.on(3, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(i64::from(reset.code) == INCOMPLETE, "{}", reset.text());
        ensure!(world.disk(3)?.join("var/lib/etcd/member").exists(), "wiped, and perhaps still listed");
        let left = world.goes_down(3, "poweroff")?;
        left.is(INCOMPLETE, &["did not leave within"])?;
        within_budget(&left)?;
        for node in [1, 2] {
            world.signal_program(node, "etcd", Signal::CONT)?;
        }
        world.ask(&["boot", "3"])?;
        world.all_up(&[3])?;
        world.are_the_voters(&[1, 2, 3])
    })
}

#[test]
fn its_own_etcd_may_be_dead_and_aws_silent() -> Result<()> {
    World::of(3).set("leave_budget", BUDGET).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.signal_program(3, "etcd", Signal::STOP)?;
        // Nobody names the others but the manifest of its own etcd.
        world.fault("hang", &[])?;
        let left = world.goes_down(3, "poweroff")?;
        left.is(LEFT, &[])?;
        within_budget(&left)?;
        world.ask(&["fault", "clear"])?;
        world.are_the_voters(&[1, 2])
    })
}

#[test]
fn an_up_at_work_is_ended_and_its_learner_goes_along() -> Result<()> {
    World::of(3).without_up().set("expected_size", "2").set("settle_timeout", "1s").tell(|world| {
        for node in [1, 2] {
            world.run_up(node)?;
            world.all_up(&[node])?;
        }
        world.kubeadm_fault(3, &json!({"join": {"after": "etcd-join", "hang": true, "times": 1}}))?;
        world.run_up(3)?;
        world.until_kubeadm_fault(3)?;
        let left = world.goes_down(3, "stop")?;
        ensure!(left.output.contains("starts neither"), "{}", left.output);
        let ended = world.reset_with_jobs(3, "301 poweroff.target start waiting\n")?;
        ensure!(ended.text().contains("ending the kubeboot that holds this machine's lock"), "{}", ended.text());
        ensure!(i64::from(ended.code) == LEFT, "{}", ended.text());
        let working = world.processes(3)?.into_iter().filter(|process| process.argv.iter().any(|word| word == "join"));
        ensure!(working.count() == 0, "kubeadm join still runs");
        world.are_the_voters(&[1, 2])
    })
}

#[test]
fn a_join_that_was_cut_off_before_kubeadm_had_credentials_has_nothing_to_leave() -> Result<()> {
    let plan = World::of(2).without_up().option("--binary", &crash::binary()?).set("lease_ttl", "3s");
    plan.set("expected_size", "1").set("settle_timeout", "1s").tell(|world| {
        world.run_up(1)?;
        world.all_up(&[1])?;
        let cut_off = world.start_up_until(2, Stop::Kill, "join-configured")?.wait(RUN)?;
        ensure!(cut_off.code == 137, "it was not killed: {}", cut_off.text());
        let before = world.before(2)?;
        let ended = world.reset_with_jobs(2, "301 poweroff.target start waiting\n")?;
        ensure!(i64::from(ended.code) == STAYED, "{}", ended.text());
        ensure!(ended.text().contains("this machine is no member and has no Node"), "{}", ended.text());
        world.refuses(2, &["kubeboot", "reset", "--now", "--yes"], 6, &["'kubeboot up' cleans up"])?;
        before.nothing_at_all_changed()?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.are_the_voters(&[1, 2])
    })
}

#[test]
fn killed_in_the_middle_it_comes_back_as_new_or_as_it_was() -> Result<()> {
    World::of(3).set("leave_budget", "30s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        // First before anything was removed: everybody who could serve the removal stands still.
        for signal in [Signal::TERM, Signal::KILL] {
            for node in [1, 2] {
                world.signal_program(node, "etcd", Signal::STOP)?;
            }
            killed(world, 3, signal, "leaving")?;
            for node in [1, 2] {
                world.signal_program(node, "etcd", Signal::CONT)?;
            }
            world.ask(&["boot", "3"])?;
            world.all_up(&[3])?;
            world.are_the_voters(&[1, 2, 3])?;
        }
        // Then after the removal, while it waits for an API server.
        for node in [1, 2] {
            world.signal_program(node, "apiserver", Signal::STOP)?;
        }
        killed(world, 3, Signal::KILL, "no member")?;
        for node in [1, 2] {
            world.signal_program(node, "apiserver", Signal::CONT)?;
        }
        world.ask(&["boot", "3"])?;
        world.all_up(&[3])?;
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn two_resets_at_once_do_not_end_each_other() -> Result<()> {
    // Long enough for the second to come while the first still waits, however busy the machine is.
    World::of(3).set("leave_budget", "30s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        for node in [1, 2] {
            world.signal_program(node, "etcd", Signal::STOP)?;
        }
        std::thread::scope(|threads| {
            let first = threads.spawn(|| world.reset_with_jobs(3, "301 poweroff.target start waiting\n"));
            world.until("leaving", crate::support::world::RUN, || {
                Ok((world.registration(3)?["phase"] == "leaving").then_some(()))
            })?;
            let second = world.on(3, &["kubeboot", "reset", "--now", "--yes"])?;
            ensure!(second.code == 3 && second.text().contains("kubeboot reset"), "{}", second.text());
            let first = first.join().expect("it does not panic")?;
            ensure!(i64::from(first.code) == INCOMPLETE, "{}", first.text());
            Ok(())
        })?;
        for node in [1, 2] {
            world.signal_program(node, "etcd", Signal::CONT)?;
        }
        world.are_the_voters(&[1, 2, 3])
    })
}

/// The machine goes down, and its `kubeboot reset` is ended when it has come so far.
fn killed(world: &World, node: usize, signal: Signal, when: &str) -> Result<()> {
    let left = std::thread::scope(|threads| {
        let going = threads.spawn(|| world.goes_down(node, "poweroff"));
        world.until(when, crate::support::world::RUN, || {
            let reached = match when {
                "leaving" => world.registration(node)?["phase"] == "leaving",
                _ => world.are_the_voters(&[1, 2]).is_ok(),
            };
            Ok(reached.then_some(()))
        })?;
        world.signal_program(node, "kubeboot", signal)?;
        going.join().expect("it does not panic")
    })?;
    ensure!(left.exit != LEFT, "it was through before it could be ended: {left:?}");
    Ok(())
}

#[test]
fn a_full_disk_keeps_nobody() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        let fill = "mount -t tmpfs -o size=4k full /run/kubeboot && ! head -c 100000 /dev/zero >/run/kubeboot/full";
        let filled = world.on(2, &["sh", "-c", fill])?;
        ensure!(filled.code == 0, "{}", filled.text());
        world.goes_down(2, "poweroff")?.is(LEFT, &["going on without this machine's lock"])?;
        world.has_left(2, &[1])
    })
}
