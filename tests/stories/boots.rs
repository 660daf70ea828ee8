//! Groups of every size boot and become one control plane; later runs find nothing to do.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Result, ensure};

#[test]
fn one_machine_becomes_a_control_plane() -> Result<()> {
    World::of(1).tell(|world| {
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1])
    })
}

#[test]
fn three_machines_become_one_control_plane_and_stay_it() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.is_one_control_plane(&[1, 2, 3])?;
        let (commands, record) = (world.kubeadm()?, world.record()?);
        for node in [1, 2, 3] {
            let again = world.on(node, &["kubeboot", "up"])?;
            ensure!(again.code == 0, "the second 'kubeboot up' of node {node}: {}", again.text());
            ensure!(again.stderr.contains("nothing to do"), "{}", again.stderr);
        }
        ensure!(world.kubeadm()? == commands, "the second 'kubeboot up' ran kubeadm");
        ensure!(world.record()? == record, "the second 'kubeboot up' changed the record");
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn five_machines_become_one_control_plane() -> Result<()> {
    World::of(5).tell(|world| {
        world.all_up(&[1, 2, 3, 4, 5])?;
        world.is_one_control_plane(&[1, 2, 3, 4, 5])
    })
}

#[test]
fn two_runs_at_once_on_one_machine_take_turns() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        let runs = [world.start_on(1, &["kubeboot", "up"])?, world.start_on(1, &["kubeboot", "up"])?];
        let mut said = String::new();
        for run in runs {
            let ended = run.wait(RUN)?;
            ensure!(ended.code == 0, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
            said += &ended.stderr;
        }
        ensure!(said.contains("waiting: this machine's lock is held by"), "nobody waited for the other:\n{said}");
        world.is_one_control_plane(&[1])
    })
}
