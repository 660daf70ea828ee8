//! What goes wrong while machines of a newer image come in: kills at every step of the raise, a raise that is taken back, a leader that
//! ends before the rest is done.

use crate::kills::{is_cut_off, is_killed};
use crate::support::World;
use crate::support::crash::{self, Stop};
use crate::support::upgrades::{OLD, upgradable};
use anyhow::{Context, Result, ensure};

/// Releases, each of which may follow the one before, and all of which may run beside [`OLD`].
const LADDER: [&str; 7] = ["v1.35.7", "v1.35.8", "v1.36.0", "v1.36.1", "v1.36.2", "v1.36.3", "v1.36.4"];
/// The points around the write of the version that every machine passes.
const AROUND: [&str; 2] = ["versions-compared", "version-settled"];

#[test]
fn whoever_raises_the_version_may_be_stopped_at_every_step() -> Result<()> {
    let mut points = crash::points_of(&["upgrader"])?;
    ensure!(!points.is_empty(), "the program lists no step of a raise");
    points.extend(AROUND.map(str::to_owned));
    ensure!(points.len() < LADDER.len(), "more steps than releases: {points:?}");
    upgradable(1).option("--binary", &crash::binary()?).tell(|world| {
        world.all_up(&[1])?;
        world.keep_a_word(1)?;
        let (mut members, mut before) = (vec![(1, OLD)], OLD);
        for ((at, point), version) in points.iter().enumerate().zip(LADDER) {
            world.image(version)?;
            let node = world.launch(false)?;
            let told = || format!("stopped at {point}, from {before} to {version}");
            stop(world, node, if at % 2 == 0 { Stop::Kill } else { Stop::Hold }, point).with_context(told)?;
            let now = world.cluster_version(1)?;
            let is_raised = point != "versions-compared";
            ensure!(now == if is_raised { version } else { before }, "{}: the cluster is {now}", told());
            world.are_of(&members).with_context(told)?;
            world.run_up(node)?;
            world.all_up(&[node])?;
            members.push((node, version));
            world.are_of(&members).with_context(told)?;
            before = version;
        }
        world.have_the_word(&members.iter().map(|(node, _)| *node).collect::<Vec<_>>())
    })
}

/// Stops the `up` of a machine at this point; its power is back.
fn stop(world: &World, node: usize, how: Stop, point: &str) -> Result<()> {
    let run = world.start_up_until(node, how, point)?;
    let stopped = match how {
        Stop::Kill => is_killed(run)?,
        Stop::Hold => is_cut_off(world, node, run, point)?,
    };
    ensure!(stopped, "it never came to '{point}'");
    if how == Stop::Hold {
        world.ask(&["boot", &node.to_string(), "--no-up"])?;
    }
    Ok(())
}
