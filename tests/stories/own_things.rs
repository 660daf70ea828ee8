//! Something of a member's own was lost: its Node, that one's marks, its files, its volume. `up` repairs what it may repair, and `status` and
//! `check` name it.

use crate::support::World;
use crate::support::etcd::VOLUME;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const ROLE: &str = "node-role.kubernetes.io/control-plane";
const NO_BALANCER: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The name of a machine's Node.
fn node_name(world: &World, node: usize) -> Result<String> {
    let registration = world.registration(node)?;
    registration["node_name"].as_str().map(str::to_owned).with_context(|| format!("no name: {registration}"))
}

/// The Node of a machine.
fn its_node(world: &World, node: usize) -> Result<Value> {
    world.node_object(1, &node_name(world, node)?)
}

/// Changes the Node of a machine, as somebody with `kubectl` would.
fn change(world: &World, node: usize, how: impl FnOnce(&mut Value)) -> Result<()> {
    let mut found = its_node(world, node)?;
    how(&mut found);
    world.put_node_object(1, &node_name(world, node)?, &found)
}

/// Fails unless the Node of a machine has both labels and the taint of kubeadm.
fn is_marked(world: &World, node: usize) -> Result<()> {
    let found = its_node(world, node)?;
    let labels = &found["metadata"]["labels"];
    ensure!(labels[ROLE] == "" && labels[NO_BALANCER] == "", "it has not the labels: {found}");
    let taints = found["spec"]["taints"].as_array().context("taints")?;
    ensure!(taints.contains(&json!({"key": ROLE, "effect": "NoSchedule"})), "it has not the taint: {found}");
    Ok(())
}

#[test]
fn a_deleted_node_lost_marks_and_a_late_volume_come_back_and_what_an_operator_took_away_does_not() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let commands = world.kubeadm()?;
        // Workloads shall run on the first machine.
        change(world, 1, |found| found["spec"]["taints"] = json!([]))?;
        let deleted = node_name(world, 2)?;
        let before = its_node(world, 2)?["metadata"]["uid"].clone();
        world.etcdctl(1, &["del", &format!("/registry/nodes/{deleted}")])?;
        let late = json!({"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule", "timeAdded": "2026-01-02T03:04:05Z"});
        change(world, 3, |found| {
            found["metadata"]["labels"] = json!({"kept": "yes"});
            found["spec"]["taints"] = json!([late]);
        })?;
        let unmarked = node_name(world, 3)?;
        // On a busy computer an API server may not answer in time.
        let named = [&format!("knows no Node '{deleted}'"), &format!("the Node '{unmarked}' of"), "'kubeboot up' there"];
        world.until(&format!("'kubeboot status' says {named:?}"), RUN, || {
            let status = world.on(1, &["kubeboot", "status"])?;
            Ok((status.stdout.starts_with("degraded") && named.iter().all(|said| status.says(said))).then_some(()))
        })?;
        let said_by_check = [
            (1, "somebody took that away"),
            (2, "knows no Node"),
            (3, "is not marked as a control-plane node: it lacks the label"),
        ];
        for (node, said) in said_by_check {
            // On a busy computer a check may have no answer in its time.
            world.until(&format!("'kubeboot check' of node {node} says '{said}'"), RUN, || {
                Ok(world.on(node, &["kubeboot", "check"])?.says(said).then_some(()))
            })?;
        }
        for (node, said) in [(1, "it is left so"), (2, "restarting kubelet"), (3, "marked the Node")] {
            let up = world.on(node, &["kubeboot", "up"])?;
            ensure!(up.code == 0 && up.stderr.contains(said), "'kubeboot up' of node {node}: {}", up.text());
        }
        ensure!(its_node(world, 1)?["spec"]["taints"] == json!([]), "{}", its_node(world, 1)?);
        is_marked(world, 2)?;
        is_marked(world, 3)?;
        let (new, marked) = (its_node(world, 2)?, its_node(world, 3)?);
        ensure!(new["metadata"]["uid"] != before, "the Node was not registered anew: {new}");
        ensure!(world.registration(2)?["node_uid"] == new["metadata"]["uid"], "{}", world.registration(2)?);
        ensure!(marked["metadata"]["labels"]["kept"] == "yes", "another label is gone: {marked}");
        ensure!(marked["spec"]["taints"].as_array().is_some_and(|all| all.contains(&late)), "a taint is gone: {marked}");
        let status = world.on(1, &["kubeboot", "status"])?;
        ensure!(status.code == 0, "{}", status.text());
        ensure!(world.kubeadm()? == commands, "kubeadm ran: {:?}", world.kubeadm()?);
        world.have_nothing_to_do(&[1, 2, 3])?;
        a_volume_that_systemd_knows_of_is_waited_for(world)?;
        world.is_one_control_plane(&[1, 2, 3])
    })
}

/// The others have a quorum, and could remove the member: its data is only not there yet.
fn a_volume_that_systemd_knows_of_is_waited_for(world: &World) -> Result<()> {
    world.keep_a_word(1)?;
    let commands = world.kubeadm()?;
    let units = world.disk(3)?.join("etc/systemd/system");
    std::fs::write(units.join("var-lib-etcd.mount"), "[Mount]\nWhat=/dev/nvme1n1\nWhere=/var/lib/etcd\n")?;
    world.ask(&["kill", "3"])?;
    world.unmount(3, VOLUME)?;
    world.boot(3, true)?;
    world.until_logged(3, "'/var/lib/etcd' is on a volume that is not mounted: var-lib-etcd.mount is inactive")?;
    says(world, 3, "status", &["etcd's data is gone from this machine", "mount the volume"])?;
    // On a busy computer a check may have no answer in its time.
    world.until("'kubeboot check' of node 3 names data and volume", RUN, || {
        let check = world.check(3, &[], || Ok(()))?.text();
        let named = ["etcd's data is gone from its disk", "systemctl start 'var-lib-etcd.mount'"];
        Ok(named.iter().all(|text| check.contains(text)).then_some(()))
    })?;
    world.put_back(3, VOLUME)?;
    world.all_up(&[3])?;
    ensure!(world.kubeadm()? == commands, "it was wiped: {:?}", world.kubeadm()?);
    world.have_the_word(&[1, 2, 3])
}

/// A file that is on every control-plane machine.
const CA_KEY: &str = "/etc/kubernetes/pki/ca.key";
const ADMIN: &str = "/etc/kubernetes/admin.conf";
const MANIFESTS: &str = "/etc/kubernetes/manifests";
const UP_BRIEFLY: [&str; 8] = ["kubeboot", "up", "--claim-ttl", "3s", "--lease-ttl", "3s", "--deadline", "8s"];

/// Runs a shell's words on a machine.
fn shell(world: &World, node: usize, script: &str) -> Result<()> {
    let ended = world.on(node, &["sh", "-c", script])?;
    ensure!(ended.code == 0, "{script}: {}", ended.text());
    Ok(())
}

/// Runs `kubeboot` with one word on a machine; whatever it ends with, it must say each of these texts.
fn says(world: &World, node: usize, word: &str, texts: &[&str]) -> Result<i32> {
    let ended = world.on(node, &["kubeboot", word])?;
    for text in texts {
        ensure!(ended.says(text), "'kubeboot {word}' of node {node} does not say '{text}': {}", ended.text());
    }
    Ok(ended.code)
}

#[test]
fn lost_files_of_a_member_are_made_anew_and_moved_manifests_are_named() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        let (record, commands) = (world.record()?, world.kubeadm()?);
        let members = [world.registration(2)?["member_id"].clone(), world.registration(3)?["member_id"].clone()];
        // All of it, on a machine that runs; and again over a power cut.
        shell(world, 2, "rm -rf /etc/kubernetes")?;
        says(world, 2, "status", &["has lost /etc/kubernetes/pki/ca.crt", "run 'kubeboot up'"])?;
        says(world, 2, "check", &["has lost /etc/kubernetes/pki/ca.crt"])?;
        ensure!(says(world, 2, "up", &["put back from the bundle", "kubeadm made", "is a voter"])? == 0, "{}", world.log(2)?);
        world.ask(&["kill", "2"])?;
        world.delete_on_disk(2, "/etc/kubernetes")?;
        world.boot(2, true)?;
        world.all_up(&[2])?;
        // One of each kind, and a half of a pair.
        shell(world, 3, "cd /etc/kubernetes && rm pki/ca.key pki/sa.pub pki/apiserver.key pki/etcd/peer.crt scheduler.conf && : > admin.conf")?;
        says(world, 3, "status", &["has lost /etc/kubernetes/pki/ca.key"])?;
        ensure!(says(world, 3, "up", &["put back from the bundle: /etc/kubernetes/pki/ca.key"])? == 0, "{}", world.log(3)?);
        for node in [2, 3] {
            ensure!(std::fs::read(world.disk(node)?.join(&CA_KEY[1..]))? == std::fs::read(world.disk(1)?.join(&CA_KEY[1..]))?, "{node}");
            ensure!(std::fs::metadata(world.disk(node)?.join(&ADMIN[1..]))?.len() > 0, "node {node} has no admin.conf");
            says(world, node, "check", &["this member has all its files"])?;
        }
        // An authority that is there is another one's: nothing is made with it.
        shell(world, 3, "cp -a /etc/kubernetes /root/kept && cd /etc/kubernetes/pki && cp front-proxy-ca.crt ca.crt && rm apiserver.crt")?;
        let up = world.on(3, &UP_BRIEFLY)?;
        ensure!(up.code != 0 && up.text().contains("is not the cluster's authority"), "{}", up.text());
        ensure!(!world.disk(3)?.join("etc/kubernetes/pki/apiserver.crt").exists(), "it was signed by another authority");
        shell(world, 3, "rm -rf /etc/kubernetes && mv /root/kept /etc/kubernetes")?;
        world.run_up(3)?;
        world.all_up(&[1, 2, 3])?;
        ensure!(world.kubeadm()? == commands, "a machine was wiped or joined: {:?}", world.kubeadm()?);
        let now = [world.registration(2)?["member_id"].clone(), world.registration(3)?["member_id"].clone()];
        ensure!(now == members, "they are other members: {now:?}, not {members:?}");
        world.have_the_word(&[1, 2, 3])?;
        world.is_one_control_plane(&[1, 2, 3])?;
        world.have_nothing_to_do(&[1, 2, 3])?;
        ensure!(world.record()? == record, "the record has changed from {record} to {}", world.record()?);
        // Somebody works on etcd: nothing is started in between. The command that is named leads out.
        shell(world, 2, &format!("mv {MANIFESTS} /root/manifests && mkdir {MANIFESTS}"))?;
        let named = ["has lost /etc/kubernetes/manifests/", "kubeboot reset --now"];
        says(world, 2, "status", &named)?;
        says(world, 2, "check", &named)?;
        let up = world.on(2, &UP_BRIEFLY)?;
        ensure!(up.code != 0 && named.iter().all(|text| up.text().contains(text)), "{}", up.text());
        ensure!(std::fs::read_dir(world.disk(2)?.join(&MANIFESTS[1..]))?.next().is_none(), "it started them");
        shell(world, 2, "kubeboot reset --now --yes")?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.have_the_word(&[1, 2, 3])?;
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn a_member_whose_own_authority_is_another_one_accuses_nobody_else() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        shell(
            world,
            2,
            "cd /etc/kubernetes/pki && cp etcd/ca.crt /root/kept.crt && cp front-proxy-ca.crt etcd/ca.crt",
        )?;
        let accused =
            ["trusts nobody of its cluster", "/etc/kubernetes/pki/etcd/ca.crt", "the others are not at fault"];
        let named = |text: &str| accused.iter().all(|words| text.contains(words));
        for command in ["status", "check"] {
            // On a busy computer it may have no answer in its time.
            world.until(&format!("'kubeboot {command}' accuses this machine"), RUN, || {
                Ok(named(&world.on(2, &["kubeboot", command, "--json"])?.stdout).then_some(()))
            })?;
        }
        let up = world.on(2, &UP_BRIEFLY)?;
        ensure!(up.code != 0 && named(&up.text()), "{}", up.text());
        shell(world, 2, "cp /root/kept.crt /etc/kubernetes/pki/etcd/ca.crt")?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])
    })
}
