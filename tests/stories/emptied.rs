//! etcd's data is gone from a machine that was a voter: a volume that is not mounted, or an emptied folder. Nobody believes the
//! empty etcd, and no data of the others is lost.

use crate::support::World;
use crate::support::etcd::{MEMBER, VOLUME};
use crate::support::world::RUN;
use anyhow::{Result, ensure};

const GONE: &str = "etcd's data, which is gone from this machine";

/// Fails if a machine was wiped.
fn nobody_was_wiped(world: &World) -> Result<()> {
    let resets: Vec<_> = world.kubeadm()?.into_iter().filter(|command| command.argv[0] == "reset").collect();
    ensure!(resets.is_empty(), "these were wiped: {resets:?}");
    Ok(())
}

/// Fails unless each machine's own API server and etcd are those of the record's cluster.
fn serve_the_records_cluster(world: &World, nodes: &[usize]) -> Result<()> {
    let record = world.record()?;
    for node in nodes {
        let said = world.said(*node)?;
        ensure!(
            said["kube_system"] == record["cluster"]["kube_system_uid"],
            "node {node} serves another cluster: {said}"
        );
        ensure!(said["claim"] == record["claim_id"], "node {node} keeps another claim: {said}");
    }
    Ok(())
}

#[test]
fn the_initialisers_data_is_gone_after_a_power_cut_of_all_and_it_comes_back_first() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        let (record, commands) = (world.record()?, world.kubeadm()?);
        // The volume is not mounted, and is mounted an hour later.
        world.blackout()?;
        world.unmount(1, VOLUME)?;
        world.boot(1, true)?;
        world.until_logged(1, GONE)?;
        ensure!(!world.member_folder(1)?.exists(), "an empty etcd was started");
        world.put_back(1, VOLUME)?;
        world.boot(2, true)?;
        world.boot(3, true)?;
        world.all_up(&[1, 2, 3])?;
        ensure!(world.kubeadm()? == commands, "kubeadm ran: {:?}", world.kubeadm()?);
        world.have_the_word(&[1, 2, 3])?;
        // It was emptied, and nothing comes back.
        world.blackout()?;
        world.delete_on_disk(1, MEMBER)?;
        world.boot(1, true)?;
        world.until(&format!("node 1 says '{GONE}' again"), RUN, || {
            Ok((world.log(1)?.matches(GONE).count() > 1).then_some(()))
        })?;
        ensure!(!world.member_folder(1)?.exists(), "an empty etcd was started");
        world.boot(2, true)?;
        world.boot(3, true)?;
        world.all_up(&[1, 2, 3])?;
        world.have_the_word(&[1, 2, 3])?;
        world.is_one_control_plane(&[1, 2, 3])?;
        serve_the_records_cluster(world, &[1, 2, 3])?;
        ensure!(world.record()? == record, "the record has changed from {record} to {}", world.record()?);
        Ok(())
    })
}

#[test]
fn an_emptied_initialiser_that_serves_all_the_same_is_believed_by_nobody() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        let record = world.record()?;
        world.blackout()?;
        // As on an image whose kubelet has no guard.
        let _ = std::fs::remove_dir_all(world.disk(1)?.join("etc/systemd/system/kubelet.service.d"));
        world.delete_on_disk(1, MEMBER)?;
        world.boot(1, true)?;
        let alone = world.until("node 1 serves an empty cluster", RUN, || {
            let said = world.said(1)?;
            Ok((said["voter"] == true && said["kube_system"].as_str().is_some_and(|uid| !uid.is_empty()))
                .then_some(said))
        })?;
        ensure!(alone["voters_known"] == 1 && alone["kube_system"] != record["cluster"]["kube_system_uid"], "{alone}");
        for node in [2, 3] {
            world.boot(node, true)?;
        }
        world.all_up(&[2, 3])?;
        nobody_was_wiped(world)?;
        world.have_the_word(&[2, 3])?;
        serve_the_records_cluster(world, &[2, 3])?;
        ensure!(world.record()? == record, "the record has changed from {record} to {}", world.record()?);
        Ok(())
    })
}

#[test]
fn a_joiners_data_is_gone_and_then_that_of_two_of_three() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        let record = world.record()?;
        world.ask(&["kill", "3"])?;
        world.delete_on_disk(3, MEMBER)?;
        world.boot(3, true)?;
        world.all_up(&[3])?;
        world.have_the_word(&[1, 2, 3])?;
        world.is_one_control_plane(&[1, 2, 3])?;
        serve_the_records_cluster(world, &[1, 2, 3])?;
        // Two of three: nobody can decide anything, and the only copy stays.
        let commands = world.kubeadm()?;
        world.blackout()?;
        world.set_aside(2, MEMBER)?;
        world.empty_folder(3, VOLUME)?;
        for node in [2, 3, 1] {
            world.boot(node, true)?;
        }
        world.until_logged(2, GONE)?;
        world.until_logged(3, GONE)?;
        // Its etcd runs without a quorum, so it answers no request for the list.
        world.until_logged(1, "waiting for the cluster to answer")?;
        for node in [2, 3] {
            ensure!(!world.member_folder(node)?.exists(), "node {node} has started an empty etcd");
        }
        ensure!(world.kubeadm()? == commands, "kubeadm ran: {:?}", world.kubeadm()?);
        ensure!(world.member_folder(1)?.join("wal").is_dir(), "the only copy is gone");
        // One of them is found again: two of three are a quorum, through which the third one joins anew.
        world.put_back(2, MEMBER)?;
        world.all_up(&[1, 2, 3])?;
        world.have_the_word(&[1, 2, 3])?;
        world.is_one_control_plane(&[1, 2, 3])?;
        ensure!(world.record()? == record, "the record has changed from {record} to {}", world.record()?);
        Ok(())
    })
}
