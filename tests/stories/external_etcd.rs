//! External etcd: kubeboot makes no member and asks for none; the client files are in the bundle.

use crate::support::World;
use crate::support::bucket::{HASH, LEASE};
use crate::support::plan::WorldPlan;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where machines have the client files, as the documents say, and the modes with which these arrive.
const CLIENT_FILES: [(&str, u32); 3] = [
    ("etc/kubernetes/pki/etcd/ca.crt", 0o644),
    ("etc/etcd-client/client.crt", 0o644),
    ("etc/etcd-client/client.key", 0o600),
];
/// What only a machine with an etcd of its own has.
const OF_ETCD: [&str; 3] =
    ["etc/kubernetes/manifests/etcd.yaml", "etc/kubernetes/pki/apiserver-etcd-client.key", "var/lib/etcd"];

/// A world with an etcd outside of the machines, whose client files are on the disks of these.
fn outside(nodes: usize, with_files: &str) -> WorldPlan {
    const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/external-etcd.yaml");
    World::of(nodes).option("--external-etcd", with_files).kubeadm_config(Path::new(DOCUMENTS))
}

#[test]
fn three_machines_share_an_etcd_that_is_not_theirs() -> Result<()> {
    outside(3, "1").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        is_one_control_plane(world, &[1, 2, 3])?;
        let (commands, record) = (world.kubeadm()?, world.record()?);
        ensure!(commands.len() == 3, "not one init and two joins: {commands:?}");
        for node in [1, 2, 3] {
            let again = world.on(node, &["kubeboot", "up"])?;
            ensure!(again.code == 0 && again.stderr.contains("nothing to do"), "{}", again.text());
            let status = world.on(node, &["kubeboot", "status"])?;
            ensure!(status.code == 0, "'kubeboot status' ended with {}: {}", status.code, status.text());
            ensure!(status.stdout.starts_with("healthy, can lose 2"), "{}", status.stdout);
            ensure!(status.says("external, not asked"), "{}", status.stdout);
        }
        // Nothing of it is saved or restored, and every command that would says so.
        for (argv, code) in
            [(&["snapshot", "save"][..], 2), (&["hibernate"], 2), (&["restore", "--latest", "--yes"], 6)]
        {
            world.refuses(1, &[&["kubeboot"], argv].concat(), code, &["etcd is external"])?;
        }
        ensure!(world.kubeadm()? == commands, "the second 'kubeboot up' ran kubeadm");
        ensure!(world.record()? == record, "the second 'kubeboot up' changed the record");
        is_one_control_plane(world, &[1, 2, 3])
    })
}

/// The join of machine 2 hangs after this phase, once; whatever the story does then, both are a cluster in the end.
fn interrupted(phase: &str, story: impl FnOnce(&World) -> Result<()>) -> Result<()> {
    outside(2, "1").tell_in_a_join(phase, |world| {
        story(world)?;
        world.all_up(&[2])?;
        is_one_control_plane(world, &[1, 2])
    })
}

#[test]
fn a_join_killed_once_its_node_is_ready_converges_when_it_is_run_again() -> Result<()> {
    interrupted("control-plane-join", |world| {
        world.kill_program(2, "kubeboot")?;
        ensure!(world.up_ended(2)? != 0, "it was not killed");
        world.kill_program(2, "kubeadm")?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        // kubeadm refuses to join under the name of a Node that is ready, and it takes 40 s to be no longer so. The
        // attempt that was killed has not ended, so it is not among these.
        let joins: Vec<_> = world.kubeadm()?.into_iter().filter(|command| command.argv[0] == "join").collect();
        ensure!(joins.len() == 1 && joins[0].exit == 0, "the second attempt was not the last: {joins:?}");
        ensure!(world.log(2)?.contains("deleted the Node"), "{}", world.log(2)?);
        Ok(())
    })
}

#[test]
fn a_machine_that_loses_power_in_the_middle_of_a_join_goes_on_after_its_boot() -> Result<()> {
    interrupted("control-plane-prepare", |world| {
        world.ask(&["kill", "2"])?;
        world.ask(&["boot", "2", "--up"]).map(drop)
    })
}

#[test]
fn a_claim_taken_over_finds_what_the_first_one_has_left_in_etcd() -> Result<()> {
    let plan = outside(2, "1,2").without_up().set("claim_ttl", "4s").set("claim_stagger", "1s");
    plan.tell(|world| {
        world.kubeadm_fault(1, &json!({"init": {"after": "mark-control-plane", "hang": true, "times": 1}}))?;
        world.ask(&["run"])?;
        world.until_kubeadm_fault(1)?;
        world.ask(&["kill", "1"])?;
        world.all_up(&[2])?;
        // Its Node of the first claim is still in that etcd, and its client files are its own.
        world.ask(&["boot", "1", "--up"])?;
        world.all_up(&[1])?;
        ensure!(world.record()?["cluster"]["initialised_by"] == world.id(2)?.as_str(), "{}", world.record()?);
        is_one_control_plane(world, &[1, 2])
    })
}

#[test]
fn a_reset_by_hand_is_followed_by_a_join() -> Result<()> {
    outside(2, "1").tell(|world| {
        world.all_up(&[1, 2])?;
        let reset = world.on(2, &["kubeadm", "reset", "-f"])?;
        ensure!(reset.code == 0 && reset.stdout.contains("Assuming external etcd"), "{}", reset.text());
        world.run_up(2)?;
        world.all_up(&[2])?;
        is_one_control_plane(world, &[1, 2])
    })
}

#[test]
fn after_a_power_cut_of_everybody_there_is_nothing_to_do() -> Result<()> {
    outside(2, "1").tell(|world| {
        world.all_up(&[1, 2])?;
        let commands = world.kubeadm()?;
        for verb in [&["kill"][..], &["boot", "--up"]] {
            for node in ["1", "2"] {
                world.ask(&[&verb[..1], &[node], &verb[1..]].concat())?;
            }
        }
        world.all_up(&[1, 2])?;
        ensure!(world.kubeadm()? == commands, "kubeadm ran after the power cut: {:?}", world.kubeadm()?);
        is_one_control_plane(world, &[1, 2])
    })
}

/// Fails unless one init made a cluster that all of these machines serve, and none of them has to do with etcd but by
/// the same client files.
fn is_one_control_plane(world: &World, nodes: &[usize]) -> Result<()> {
    let inits = world.kubeadm()?.into_iter().filter(|command| command.argv[0] == "init" && command.exit == 0).count();
    ensure!(inits == 1, "kubeadm init succeeded {inits} times, not once");
    let record = world.record()?;
    ensure!(record["phase"] == "ready", "the record is not ready: {record}");
    ensure!(
        record["cluster"]["ca_hashes"][0] == world.text(HASH)?.trim_end(),
        "the published hash is not the record's"
    );
    ensure!(!world.keys()?.iter().any(|key| key.ends_with(LEASE)), "somebody queued for the membership lease");
    let standin = world.journal("standin")?;
    let asked = standin.iter().find(|line| line["argv"].to_string().contains("etcd-healthcheck-client"));
    ensure!(asked.is_none(), "somebody made a certificate to ask etcd with: {asked:?}");
    for node in nodes {
        let registration = world.registration(*node)?;
        ensure!(registration["phase"] == "joined", "node {node} has not registered as joined: {registration}");
        ensure!(registration["claim_id"] == record["claim_id"], "node {node} follows another claim: {registration}");
        ensure!(registration["member_id"].is_null(), "node {node} believes that it has a member: {registration}");
        is_in_the_cluster(world, *node, &record).with_context(|| format!("node {node}"))?;
    }
    Ok(())
}

/// Fails unless the machine has joined this very cluster and has of etcd the client files alone, the same as everybody.
fn is_in_the_cluster(world: &World, node: usize, record: &Value) -> Result<()> {
    let disk = world.disk(node)?;
    let marker: Value = serde_json::from_slice(&std::fs::read(disk.join("var/lib/kubeboot/state.json"))?)?;
    ensure!(marker["stage"] == "member", "it is no member: {marker}");
    ensure!(marker["kube_system_uid"] == record["cluster"]["kube_system_uid"], "of another cluster: {marker}");
    ensure!(disk.join("etc/kubernetes/manifests/kube-apiserver.yaml").exists(), "it has no API server");
    for path in OF_ETCD {
        ensure!(!disk.join(path).exists(), "it has '{path}'");
    }
    let given = world.path("etcd");
    for (path, mode) in CLIENT_FILES {
        let file = disk.join(path);
        let name = file.file_name().context("a file has a name")?;
        ensure!(
            std::fs::read(&file)? == std::fs::read(given.join(name))?,
            "its '{path}' is not the one that was given"
        );
        let found = file.metadata()?.permissions().mode() & 0o777;
        ensure!(found == mode, "its '{path}' has mode {found:o}, not {mode:o}");
    }
    Ok(())
}
