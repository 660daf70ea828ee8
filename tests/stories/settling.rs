//! When a group counts as whole, and what becomes of one that never does.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Result, ensure};

#[test]
fn a_group_that_is_too_small_waits_until_it_is_whole() -> Result<()> {
    World::of(1).option("--desired", "2").tell(|world| {
        world.until_logged(1, "1 candidates, 2 expected")?;
        ensure!(world.keys()?.iter().all(|key| !key.ends_with("cluster.json")), "it claimed: {:?}", world.keys()?);
        world.ask(&["desired", "2"])?;
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_machine_that_waits_pulls_its_images_meanwhile_unless_it_is_told_not_to() -> Result<()> {
    const PULLED: &str = "while this machine waited";
    World::of(1).option("--desired", "2").tell(|world| {
        world.until_logged(1, PULLED)?;
        let images = std::fs::read_to_string(world.disk(1)?.join("var/lib/containerd/images"))?;
        ensure!(images.contains("/kube-apiserver:") && images.contains("/etcd:"), "{images}");
        ensure!(
            world.kubeadm()?.iter().all(|command| !["init", "join"].contains(&command.argv[0].as_str())),
            "{:?}",
            world.kubeadm()?
        );
        world.ask(&["desired", "2"])?;
        world.all_up(&[1, 2])?;
        let log = world.log(1)?;
        ensure!(log.matches(PULLED).count() == 1, "{log}");
        let told = log.lines().filter(|line| line.contains("this run took")).collect::<Vec<_>>();
        ensure!(told.len() == 1 && told[0].contains("waiting for the group"), "{told:?}");
        ensure!(told[0].contains("kubeadm init"), "{told:?}");
        world.is_one_control_plane(&[1, 2])
    })?;
    World::of(1).set("prefetch", "false").option("--desired", "2").tell(|world| {
        world.until_logged(1, "1 candidates, 2 expected")?;
        world.ask(&["desired", "2"])?;
        world.all_up(&[1, 2])?;
        ensure!(!world.log(1)?.contains(PULLED) && !world.log(2)?.contains(PULLED), "{}", world.log(1)?);
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_group_that_is_too_large_waits_until_the_surplus_is_on_its_way_out() -> Result<()> {
    World::of(2).option("--desired", "1").tell(|world| {
        world.until_logged(1, "2 candidates, 1 expected")?;
        world.until_logged(2, "2 candidates, 1 expected")?;
        ensure!(world.keys()?.iter().all(|key| !key.ends_with("cluster.json")), "it claimed: {:?}", world.keys()?);
        world.ask(&["lifecycle", "1", "Terminating:Wait"])?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[2])?;
        // Whoever is on its way out ends at once, and touches nothing.
        ensure!(world.up_ended(1)? == 3, "{}", world.log(1)?);
        ensure!(world.log(1)?.contains("this machine is being terminated"), "{}", world.log(1)?);
        ensure!(!world.disk(1)?.join("etc/kubernetes/manifests/etcd.yaml").exists(), "node 1 has run kubeadm");
        Ok(())
    })
}

#[test]
fn a_group_that_never_settles_is_taken_as_it_is_with_a_warning() -> Result<()> {
    World::of(1).set("expected_size", "3").set("settle_timeout", "3s").tell(|world| {
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1])?;
        let log = world.log(1)?;
        let warned = log.lines().any(|line| line.contains("WARN") && line.contains("settle"));
        ensure!(warned, "no warning says that the group has not settled:\n{log}");
        Ok(())
    })
}

#[test]
fn a_lower_instance_id_that_arrives_late_joins() -> Result<()> {
    World::of(1).tell(|world| {
        world.all_up(&[1])?;
        world.ask(&["launch", "--id", "i-00000000000000001"])?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])?;
        ensure!(world.record()?["cluster"]["initialised_by"] == world.id(1)?.as_str(), "{}", world.record()?);
        Ok(())
    })
}

#[test]
fn a_machine_outside_any_group_stands_by_until_its_deadline() -> Result<()> {
    World::of(1).without_up().set("claim_ttl", "3s").set("lease_ttl", "3s").set("deadline", "4s").tell(|world| {
        world.ask(&["leave-group", "1"])?;
        world.refuses(
            1,
            &["kubeboot", "up"],
            3,
            &["deadline", "Auto Scaling does not list this instance in a group"],
        )?;
        world.until("nothing runs any more", RUN, || {
            Ok(world.processes(1)?.iter().all(|p| p.argv[0] != "kubeboot").then_some(()))
        })
    })
}

#[test]
fn a_machine_that_waits_for_the_group_asks_s3_once_a_second() -> Result<()> {
    World::of(1).option("--desired", "2").tell(|world| {
        world.until_logged(1, "1 candidates, 2 expected")?;
        let times = world.s3_reads(1, 12)?;
        let seconds = times[11] - times[0];
        // Within an eighth of it, so that identical machines do not ask in step; and every ten seconds what the machines say of
        // themselves: a list, and one request for the only one there is.
        ensure!(seconds >= 7.0 * 0.875, "12 requests in {seconds:.1} s");
        Ok(())
    })
}
