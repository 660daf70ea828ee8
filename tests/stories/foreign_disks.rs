//! A disk, or a part of one, that another machine wrote: data that somebody may need stays, and it is said whose it is.

use crate::support::World;
use crate::support::etcd::{MEMBER, VOLUME};
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const UP: [&str; 2] = ["kubeboot", "up"];
const MARKER: &str = "/var/lib/kubeboot/state.json";
/// A disk without its volume of etcd.
const ROOT: [&str; 3] = ["/etc/kubernetes", "/var/lib/kubeboot", "/var/lib/kubelet"];

#[test]
fn another_voters_marker_or_disk_costs_no_voter_its_data() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        // Machine 1's marker over that of the others.
        let first = world.id(1)?;
        for node in [2, 3] {
            let marker = world.disk(node)?.join(MARKER.trim_start_matches('/'));
            std::fs::copy(&marker, world.path(&format!("marker-{node}")))?;
            world.copy_to(1, MARKER, node)?;
        }
        let (written, remedy) = (format!("was written by {first}"), format!("attach this disk to {first}"));
        for node in [2, 3] {
            world.refuses(node, &UP, 6, &[&written, "at this machine's address", &remedy])?;
        }
        for node in [2, 3] {
            let marker = world.disk(node)?.join(MARKER.trim_start_matches('/'));
            std::fs::copy(world.path(&format!("marker-{node}")), &marker)?;
        }
        world.have_nothing_to_do(&[2, 3])?;
        // A silent voter's disk on a fresh machine.
        world.ask(&["kill", "3"])?;
        world.ask(&["launch", "--no-up"])?;
        world.ask(&["kill", "4"])?;
        for path in ROOT.iter().chain(&[VOLUME]) {
            world.copy_to(3, path, 4)?;
        }
        world.boot(4, false)?;
        kubelet_starts_no_etcd(world, 4)?;
        let written = format!("was written by {}", world.id(3)?);
        world.refuses(4, &UP, 6, &[&written, "is listed and does not answer elsewhere"])?;
        ensure!(world.member_folder(4)?.join("wal").is_dir(), "the data of a silent voter is gone");
        // It answers: what lies here is a copy that nobody needs.
        world.boot(3, true)?;
        world.all_up(&[3])?;
        world.run_up(4)?;
        world.all_up(&[4])?;
        world.have_the_word(&[1, 2, 3, 4])?;
        world.is_one_control_plane(&[1, 2, 3, 4])?;
        let log = world.log(4)?;
        let at = |text: &str| log.find(text).with_context(|| format!("no '{text}' in: {log}"));
        ensure!(at("holds the membership lease")? < at("wiping this machine")?, "wiped outside the lease: {log}");
        Ok(())
    })
}

#[test]
fn a_voter_with_the_data_of_another_one_does_not_serve_and_joins_anew_when_it_is_emptied() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        world.ask(&["kill", "2"])?;
        world.ask(&["kill", "3"])?;
        world.delete_on_disk(2, MEMBER)?;
        world.copy_to(3, MEMBER, 2)?;
        world.boot(3, true)?;
        world.all_up(&[3])?;
        world.boot(2, false)?;
        kubelet_starts_no_etcd(world, 2)?;
        let said = [
            "the data of etcd on this disk is that of member",
            "at this machine's address",
            "empty etcd's data directory here",
        ];
        world.refuses(2, &UP, 6, &said)?;
        let status = world.on(2, &["kubeboot", "status", "--json"])?.text();
        ensure!(status.contains("data-of-another"), "{status}");
        world.delete_on_disk(2, MEMBER)?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.have_the_word(&[1, 2, 3])?;
        two_of_three_are_swapped_and_swapped_back(world)?;
        the_marker_names_another_member(world)?;
        world.have_the_word(&[1, 2, 3])?;
        world.is_one_control_plane(&[1, 2, 3])
    })
}

/// With two of three swapped nobody can be asked, and what lies on either disk may be the last copy.
fn two_of_three_are_swapped_and_swapped_back(world: &World) -> Result<()> {
    let commands = world.kubeadm()?;
    world.ask(&["kill", "2"])?;
    world.ask(&["kill", "3"])?;
    swap(world, 2, 3)?;
    for node in [2, 3] {
        world.boot(node, true)?;
        kubelet_starts_no_etcd(world, node)?;
        world.until_logged(node, "attach each disk where it belongs, and delete nothing")?;
        let status = world.on(node, &["kubeboot", "status", "--json"])?.text();
        ensure!(status.contains("data-of-another"), "{status}");
    }
    // As a volume that is attached while the machine runs.
    swap(world, 2, 3)?;
    world.all_up(&[2, 3])?;
    ensure!(world.kubeadm()? == commands, "kubeadm ran: {:?}", world.kubeadm()?);
    Ok(())
}

/// As after an operator who removed its member and added it anew by hand: the marker names the one before.
fn the_marker_names_another_member(world: &World) -> Result<()> {
    let at = |node: usize| anyhow::Ok(world.disk(node)?.join(MARKER.trim_start_matches('/')));
    let read = |node| anyhow::Ok(serde_json::from_slice::<Value>(&std::fs::read(at(node)?)?)?);
    world.ask(&["kill", "2"])?;
    let (mut marker, other) = (read(2)?, read(1)?["member_id"].clone());
    let own = std::mem::replace(&mut marker["member_id"], other);
    std::fs::write(at(2)?, marker.to_string())?;
    world.boot(2, true)?;
    world.all_up(&[2])?;
    ensure!(own.is_string() && read(2)?["member_id"] == own, "{} is not {own}", read(2)?);
    Ok(())
}

fn swap(world: &World, one: usize, other: usize) -> Result<()> {
    let at = |node: usize| anyhow::Ok(world.disk(node)?.join(MEMBER.trim_start_matches('/')));
    let (one, other, between) = (at(one)?, at(other)?, world.path("between"));
    std::fs::rename(&one, &between)?;
    std::fs::rename(&other, &one)?;
    std::fs::rename(&between, &other)?;
    Ok(())
}

/// Waits until kubelet's guard has set the manifests aside.
fn kubelet_starts_no_etcd(world: &World, node: usize) -> Result<()> {
    let manifests = world.disk(node)?.join("etc/kubernetes/manifests");
    world.until(&format!("kubelet's guard on node {node} to keep etcd from starting"), RUN, || {
        let aside = ["etcd.yaml", "kube-apiserver.yaml"].iter().all(|name| !manifests.join(name).exists());
        Ok(aside.then_some(()))
    })
}

#[test]
fn another_machines_disk_without_etcds_data_is_wiped_and_joins() -> Result<()> {
    World::of(2).tell_after_the_first(|world| {
        world.ask(&["kill", "2"])?;
        for path in ROOT {
            world.copy_to(1, path, 2)?;
        }
        world.boot(2, true)?;
        world.all_up(&[2])?;
        let wiped = format!("wiping this machine: its state was written by {}", world.id(1)?);
        ensure!(world.log(2)?.contains(&wiped), "{}", world.log(2)?);
        world.is_one_control_plane(&[1, 2])
    })
}
