//! Machines whose disk or programs are not as kubeboot left them, or that it cannot work with.

use crate::support::World;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::path::Path;
use std::process::Command;

const UP: [&str; 2] = ["kubeboot", "up"];

#[test]
fn state_that_nobody_can_explain_is_left_alone() -> Result<()> {
    World::of(1).tell(|world| {
        world.all_up(&[1])?;
        let marker = world.disk(1)?.join("var/lib/kubeboot/state.json");
        let text = std::fs::read_to_string(&marker)?;
        std::fs::remove_file(&marker)?;
        world.refuses(1, &UP, 6, &["/etc/kubernetes/manifests/etcd.yaml", "without kubeboot's own marker"])?;
        for garbage in ["", "garbage", "{\"schema\": 2}"] {
            std::fs::write(&marker, garbage)?;
            world.refuses(1, &UP, 6, &["/var/lib/kubeboot/state.json"])?;
        }
        std::fs::write(&marker, text)?;
        ensure!(world.on(1, &UP)?.code == 0, "the member is no member any more");
        world.is_one_control_plane(&[1])
    })
}

#[test]
fn a_machine_made_from_another_nodes_image_is_wiped_and_joins() -> Result<()> {
    World::of(2).tell_after_the_first(|world| {
        // The image: the disk of a live member, copied while machine 2 is off.
        world.ask(&["kill", "2"])?;
        for folder in ["etc/kubernetes", "var/lib/etcd", "var/lib/kubeboot", "var/lib/kubelet"] {
            copy(&world.disk(1)?.join(folder), &world.disk(2)?.join(folder))?;
        }
        world.ask(&["boot", "2", "--up"])?;
        world.all_up(&[2])?;
        // It is the data of a listed member, which answers: a copy, deleted under the lease.
        let log = world.log(2)?;
        let at = |text: &str| log.find(text).with_context(|| format!("no '{text}' in: {log}"));
        ensure!(at("holds the membership lease")? < at("wiping this machine")?, "wiped outside the lease: {log}");
        world.is_one_control_plane(&[1, 2])
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").args([from, to]).status().context("failed to run 'cp'")?;
    ensure!(copied.success(), "failed to copy '{}' to '{}'", from.display(), to.display());
    Ok(())
}

#[test]
fn an_older_kubeadm_is_refused() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        world.pretend(1, "STANDIN_KUBEADM_VERSION", "v1.32.9")?;
        let before = world.before(1)?;
        world.refuses(1, &UP, 2, &["v1.32.9", "1.33 or newer"])?;
        before.nothing_at_all_changed()
    })
}

#[test]
fn an_endpoint_that_leads_nowhere_is_waited_for_and_nobody_initialises() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        let times = ["--claim-ttl", "3s", "--lease-ttl", "3s", "--deadline", "9s"];
        let argv = [&["kubeboot", "up", "--endpoint", "api.nowhere.invalid:6443"][..], &times].concat();
        world.refuses(1, &argv, 3, &["api.nowhere.invalid", "endpoint"]).map(drop)
    })
}

#[test]
fn after_a_power_cut_of_everybody_there_is_nothing_to_do() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let commands = world.kubeadm()?;
        for node in ["1", "2", "3"] {
            world.ask(&["kill", node])?;
        }
        for node in ["1", "2", "3"] {
            world.ask(&["boot", node, "--up"])?;
        }
        world.all_up(&[1, 2, 3])?;
        ensure!(world.kubeadm()? == commands, "kubeadm ran after the power cut: {:?}", world.kubeadm()?);
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn a_reset_by_hand_is_followed_by_a_join() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        // kubeadm's own reset removes the member and keeps no data.
        let reset = world.on(2, &["kubeadm", "reset", "-f"])?;
        ensure!(reset.code == 0, "{}", reset.text());
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_fault_of_init_is_told_with_kubeadms_own_words() -> Result<()> {
    World::of(1).without_up().set("claim_ttl", "6s").set("lease_ttl", "6s").tell(|world| {
        world.kubeadm_fault(1, &json!({"init": {"after": "preflight", "exit": 2}}))?;
        // Having stepped down, it does not come to its next turn.
        let argv = ["kubeboot", "up", "--init-attempts", "1", "--claim-stagger", "1m", "--deadline", "15s"];
        let ended = world.on(1, &argv)?;
        ensure!(ended.code == 5, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        ensure!(ended.stderr.contains("the world ordered this command to fail here"), "{}", ended.stderr);
        ensure!(world.record()?["phase"] == "initializing", "{}", world.record()?);
        Ok(())
    })
}
