//! An upgrade that has begun is taken back, until a machine of the newer image has joined.

use crate::kills::is_killed;
use crate::support::World;
use crate::support::crash::{self, Stop};
use crate::support::upgrades::{NEW, OLD, upgradable};
use anyhow::{Result, ensure};

const BACK: [&str; 4] = ["kubeboot", "upgrade", "--back", "--yes"];

#[test]
fn an_upgrade_is_taken_back_before_a_machine_of_it_has_joined_and_never_after_that() -> Result<()> {
    upgradable(1).option("--binary", &crash::binary()?).tell(|world| {
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
        world.ask(&["terminate", &newer.to_string()])?;
        let back = world.on(1, &BACK)?;
        ensure!(back.code == 0 && back.text().contains(OLD), "{}", back.text());
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
