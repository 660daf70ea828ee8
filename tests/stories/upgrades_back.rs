//! An upgrade that has begun is taken back, until a machine of the newer image has joined.

use crate::kills::is_killed;
use crate::support::World;
use crate::support::command::Running;
use crate::support::crash::{self, Stop};
use crate::support::upgrades::{NEW, OLD, upgradable};
use crate::support::world::RUN;
use anyhow::{Result, ensure};

const BACK: [&str; 4] = ["kubeboot", "upgrade", "--back", "--yes"];

#[test]
fn an_upgrade_is_taken_back_before_a_machine_of_it_has_joined_and_never_after_that() -> Result<()> {
    upgradable(1).option("--binary", &crash::binary()?).set("gone_grace", "2s").tell(|world| {
        world.all_up(&[1])?;
        nothing_to_take_back(world)?;
        world.image(NEW)?;
        let newer = world.launch(false)?;
        ensure!(is_killed(world.start_up_until(newer, Stop::Kill, "version-settled")?)?, "it was not killed");
        ensure!(world.cluster_version(1)? == NEW, "the version was not raised");
        let alive = [world.id(newer)?, "would raise the cluster's version again".into(), "end these machines".into()];
        world.refuses(1, &BACK, 6, &alive.each_ref().map(String::as_str))?;

        world.image(OLD)?;
        let older = world.launch(false)?;
        world.refuses(older, &["kubeboot", "up"], 6, &["'kubeboot upgrade --back' on a member"])?;
        world.refuses(older, &BACK, 2, &["run it on a member of the cluster"])?;
        // Of another one nothing is left but its word: EC2 forgets who has ended.
        let forgotten = "i-0dead000000000001";
        let mut told = world.registration(newer)?;
        (told["instance"], told["phase"]) = (forgotten.into(), "joining".into());
        world.put(&format!("control-plane/nodes/{forgotten}.json"), told.to_string())?;
        world.ask(&["terminate", &newer.to_string()])?;
        let back = world.on(1, &BACK)?;
        ensure!(back.code == 0 && back.text().contains(OLD), "{}", back.text());
        let waited = format!("EC2 does not know {forgotten}; what it leaves out counts as gone after another ");
        ensure!(back.text().contains(&waited), "{}", back.text());
        ensure!(world.cluster_version(1)? == OLD, "the cluster is {}", world.cluster_version(1)?);
        nothing_to_take_back(world)?;
        world.run_up(older)?;
        world.all_up(&[older])?;
        world.are_of(&[(1, OLD), (older, OLD)])?;

        world.image(NEW)?;
        let again = world.launch(true)?;
        world.all_up(&[again])?;
        let joined = [world.id(again)?, "an API server never goes back".into(), "from the newer image".into()];
        world.refuses(1, &BACK, 6, &joined.each_ref().map(String::as_str))?;
        ensure!(world.cluster_version(1)? == NEW, "the cluster is {}", world.cluster_version(1)?);
        world.are_of(&[(1, OLD), (older, OLD), (again, NEW)])
    })
}

fn nothing_to_take_back(world: &World) -> Result<()> {
    let written = world.cluster_version_written(1)?;
    let back = world.on(1, &BACK)?;
    ensure!(back.code == 0 && back.text().contains("there is no upgrade to take back"), "{}", back.text());
    ensure!(world.cluster_version_written(1)? == written, "the cluster's configuration was written");
    Ok(())
}

#[test]
fn a_frozen_machine_raises_nothing_over_one_that_has_begun_to_join_since() -> Result<()> {
    upgradable(1).option("--binary", &crash::binary()?).tell(|world| {
        world.all_up(&[1])?;
        world.image(NEW)?;
        let newer = world.launch(false)?;
        let raises = paused(world, newer, "versions-compared")?;
        world.image(OLD)?;
        let older = world.launch(false)?;
        let _joins = paused(world, older, "version-settled")?;
        let written = world.cluster_version_written(1)?;
        // Its write is late: the other one has compared versions, and its kubeadm is about to read the configuration.
        raises.go_on()?;
        world.until_agent_says(
            &raises,
            "machines of another version to have joined before the cluster's version is raised",
        )?;
        ensure!(world.cluster_version_written(1)? == written, "the late write was done");
        // It takes the lease again and again, and in between says that it waits: nobody else has to wait for it.
        let turns = |log: &str| log.matches("this machine holds the membership lease").count();
        let before = turns(&world.log(newer)?);
        world.until("it has had its turn again", RUN, || Ok((turns(&world.log(newer)?) > before + 2).then_some(())))?;
        world.until("it says again that it waits", RUN, || {
            let told = world.registration(newer)?;
            let waits =
                told["waits_for"].as_str().is_some_and(|reason| reason.starts_with("machines of another version"));
            Ok((waits && told["phase"] == "waiting").then_some(()))
        })?;
        ensure!(world.cluster_version(1)? == OLD, "the cluster is {}", world.cluster_version(1)?);
        world.kill_program(newer, "kubeboot")?;
        world.kill_program(older, "kubeboot")?;
        for node in [older, newer] {
            world.run_up(node)?;
            world.all_up(&[node])?;
        }
        world.are_of(&[(1, OLD), (older, OLD), (newer, NEW)])
    })
}

/// Starts `kubeboot up` on a machine, and sees that it stands still at this point.
fn paused(world: &World, node: usize, point: &str) -> Result<Running> {
    let run = world.start_up_pausing(node, point)?;
    let stands = format!("stopped at {point}");
    world.until(&stands, RUN, || Ok(run.said()?.contains(&stands).then_some(())))?;
    Ok(run)
}
