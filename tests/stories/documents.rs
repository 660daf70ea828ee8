//! The documents that a machine writes for kubeadm, compared with checked-in ones.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Set to accept what the machines write now as what they should write. Look at the difference before it is committed.
const ACCEPT: &str = "ACCEPT_DOCUMENTS";

#[test]
fn init_and_join_are_told_what_the_operator_and_the_machine_know() -> Result<()> {
    let plan = World::of(2).without_up().set("expected_size", "1").set("settle_timeout", "1s");
    let plan = plan.set("cloud_provider", "external").kubeadm_config(&checked_in("operator.yaml"));
    plan.tell(|world| {
        // kubeadm reads its documents before its first phase; while it hangs there, so can we.
        for (node, command, file) in [(1, "init", "kubeadm-init.yaml"), (2, "join", "kubeadm-join.yaml")] {
            world.kubeadm_fault(node, &json!({command: {"hang": true, "times": 1}}))?;
            world.run_up(node)?;
            world.until_kubeadm_fault(node)?;
            let written = world.root(node)?.join("run/kubeboot/short-lived/up").join(file);
            let text = std::fs::read_to_string(&written).with_context(|| format!("no {}", written.display()))?;
            let mode = written.metadata()?.permissions().mode() & 0o777;
            ensure!(mode == 0o600, "'{}' has mode {mode:o}", written.display());
            let compared = compare(&checked_in(&format!("{command}.yaml")), &anonymous(world, node, &text)?);
            world.kill_program(node, "kubeadm")?;
            world.all_up(&[node])?;
            compared?;
            ensure!(!written.exists(), "'{}' is still there, with what is secret in it", written.display());
        }
        world.is_one_control_plane(&[1, 2])?;
        let log = world.log(2)?;
        ensure!(!log.contains("differs from the cluster's"), "both have the same documents: {log}");
        a_document_that_is_not_the_same_everywhere_is_named(world)
    })
}

fn a_document_that_is_not_the_same_everywhere_is_named(world: &World) -> Result<()> {
    let differs = "'kubeadm KubeletConfiguration' is not the same on all machines";
    let told = world.on(1, &["kubeboot", "status"])?;
    ensure!(!told.says("not the same on all machines"), "nothing differs yet: {}", told.text());
    let file = world.disk(2)?.join("etc/kubeboot/kubeadm.yaml");
    let changed = std::fs::read_to_string(&file)?.replace("maxPods: 64", "maxPods: 65");
    std::fs::write(&file, changed)?;
    world.run_up(2)?;
    world.all_up(&[2])?;
    let told = world.on(1, &["kubeboot", "status"])?;
    ensure!(told.code == 10 && told.says(differs), "the change is not told: {}", told.text());
    Ok(())
}

#[test]
fn documents_are_judged_before_anything_is_claimed() -> Result<()> {
    const GROUP: &str = "apiVersion: kubeadm.k8s.io/v1beta4\nkind:";
    World::of(1).without_up().tell(|world| {
        let up = ["kubeboot", "up", "--kubeadm-config", "/etc/judged.yaml"];
        let named = format!("{GROUP} InitConfiguration\nnodeRegistration: {{name: n1}}\n");
        let both = format!(
            "{GROUP} JoinConfiguration\nnodeRegistration: {{name: n1}}\n---\n{GROUP} ClusterConfiguration\netcd: {{local: \
             {{extraArgs: [{{name: listen-peer-urls, value: 'https://10.0.0.1:2380'}}]}}}}\n"
        );
        let unknown = format!("{GROUP} InitConfiguration\n---\n{GROUP} JoinConfiguration\ncolour: blue\n");
        let files: [(&str, &[&str]); 3] = [
            (&named, &["InitConfiguration: nodeRegistration.name is one machine's own"]),
            (&both, &["JoinConfiguration: nodeRegistration.name is one machine's own", "extraArgs[listen-peer-urls]"]),
            (&unknown, &["kubeadm refuses the kubeadm configuration '/etc/judged.yaml'", "for join: ", "colour"]),
        ];
        for (text, says) in files {
            std::fs::write(world.disk(1)?.join("etc/judged.yaml"), text)?;
            world.refuses(1, &up, 2, says)?;
        }
        ensure!(world.records()?.is_empty(), "it claimed: {:?}", world.records()?);
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1])
    })
}

fn checked_in(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories/documents").join(name)
}

/// The documents without what differs from run to run.
fn anonymous(world: &World, node: usize, text: &str) -> Result<String> {
    let status = world.ask(&["status"])?;
    let me = status["nodes"].as_array().and_then(|nodes| nodes.iter().find(|each| each["index"] == node));
    let me = me.with_context(|| format!("there is no node {node}"))?;
    let mut text = text.to_owned();
    for (field, word) in [("name", "NODE"), ("address", "ADDRESS"), ("id", "INSTANCE")] {
        text = text.replace(me[field].as_str().context("no text")?, word);
    }
    let lines = text.lines().map(|line| match line.trim_start().strip_prefix("\"token\": \"") {
        Some(rest) => line.replace(rest.trim_end_matches(['"', ',']), "TOKEN"),
        None => without_claim(line),
    });
    Ok(lines.map(|line| line + "\n").collect())
}

/// The token of etcd's cluster is the claim, which is a UUID.
fn without_claim(line: &str) -> String {
    let value = line.trim_start().strip_prefix("\"value\": \"").map(|rest| rest.trim_end_matches(['"', ',']));
    match value.filter(|value| uuid::Uuid::parse_str(value).is_ok()) {
        Some(claim) => line.replace(claim, "CLAIM"),
        None => line.to_owned(),
    }
}

fn compare(file: &Path, text: &str) -> Result<()> {
    if std::env::var_os(ACCEPT).is_some() {
        return std::fs::write(file, text).with_context(|| format!("failed to write '{}'", file.display()));
    }
    let wanted = std::fs::read_to_string(file).with_context(|| format!("failed to read '{}'", file.display()))?;
    let differs = wanted.lines().zip(text.lines()).position(|(wanted, found)| wanted != found);
    ensure!(
        wanted == text,
        "kubeadm is told something else than '{}' from line {} on; if that is right, run the story with {ACCEPT}=1:\n{text}",
        file.display(),
        differs.map_or(wanted.lines().count().min(text.lines().count()), |at| at) + 1
    );
    Ok(())
}

#[test]
fn machines_of_one_node_name_are_told_so_before_anything_is_claimed() -> Result<()> {
    let plan = World::of(2).without_up().set("node_name", "one").set("expected_size", "3");
    plan.tell(|world| {
        world.run_up(2)?;
        world.until("the second machine to register", RUN, || Ok(world.registration(2).ok()))?;
        // What it writes from now on is no matter of this story.
        world.signal_program(2, "kubeboot", Signal::TERM)?;
        ensure!(world.up_ended(2)? != 0, "it went on");
        let other = world.id(2)?;
        for (options, code) in [(&["--dry-run"][..], 0), (&[], 2)] {
            let up = [&["kubeboot", "up", "--expected-size", "2"], options].concat();
            world.refuses(1, &up, code, &[&other, "the Node name 'one'", "a 'node_name' of its own"])?;
        }
        ensure!(world.records()?.is_empty(), "it claimed: {:?}", world.records()?);
        ensure!(world.kubeadm()?.is_empty(), "kubeadm ran: {:?}", world.kubeadm()?);
        let up = world.on(1, &["kubeboot", "up", "--expected-size", "2", "--node-name", "two"])?;
        ensure!(up.code == 0, "{}", up.text());
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.are_the_voters(&[1, 2])
    })
}
