//! Nothing secret is where others could read it: arguments, logs, the bucket's plain objects, files.

use crate::support::World;
use crate::support::bucket::PREFIX;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the arguments of all processes are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long two machines may take.
const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn nothing_secret_is_where_others_can_read_it() -> Result<()> {
    // At the most talkative level.
    World::of(2).set("log_level", "trace").tell(|world| {
        let said = arguments_while_up(world, &[1, 2])?;
        world.all_up(&[1, 2])?;
        let secrets = secrets(world)?;
        ensure!(said.iter().any(|line| line.contains("kubeadm")), "no process was seen: {said:?}");
        for line in &said {
            secrets.must_not_be_in("the arguments of a process", line)?;
        }
        for file in logs(world)? {
            secrets.must_not_be_in(&file.display().to_string(), &text(&file)?)?;
        }
        for key in world.keys()?.iter().filter(|key| !key.contains("/pki/")) {
            let below = key.trim_start_matches(PREFIX).trim_start_matches('/');
            secrets.must_not_be_in(key, &world.text(below)?)?;
        }
        for node in [1, 2] {
            readable_by_others(&world.disk(node)?, &secrets)?;
            readable_by_others(&world.root(node)?.join("run"), &secrets)?;
        }
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn nothing_secret_outlives_a_command_that_was_killed() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        world.kubeadm_fault(1, &json!({"init": {"hang": true, "times": 1}}))?;
        world.run_up(1)?;
        world.until_kubeadm_fault(1)?;
        let folder = world.root(1)?.join("run/kubeboot/short-lived");
        let token = folder.join("up/kubeadm-init.yaml");
        ensure!(token_in(&text(&token)?).is_some(), "this story looks for the token in the wrong place");
        let status = ["kubeboot", "status"];
        world.on(1, &status)?;
        ensure!(token.exists(), "it was taken away from under a command that works");
        // What others leave that make themselves credentials, and one of those who works.
        let works = ["flock", "/run/kubeboot/short-lived/leaving-2-1", "sleep", "600"];
        for name in ["leaving-1-1", "leaving-2-1"] {
            std::fs::create_dir_all(folder.join(name).join("credentials/pki"))?;
            std::fs::write(folder.join(name).join("credentials/pki/ca.key"), "key")?;
        }
        let _works = world.start_on(1, &works)?;
        world.kill_program(1, "kubeboot")?;
        ensure!(world.up_ended(1)? != 0, "it was not killed");
        ensure!(token.exists(), "a process that is killed removes nothing");
        // Any command removes it, also one that has no lock.
        world.on(1, &status)?;
        let left: Vec<_> = std::fs::read_dir(&folder)?.flatten().map(|entry| entry.file_name()).collect();
        ensure!(left == ["leaving-2-1"], "{left:?} is left in '{}'", folder.display());
        world.run_up(1)?;
        world.all_up(&[1])?;
        ensure!(!folder.join("up").exists(), "'up' has left what it needed");
        world.is_one_control_plane(&[1])
    })
}

/// The arguments of every process of these machines, seen again and again until `up` has ended on all of them.
fn arguments_while_up(world: &World, nodes: &[usize]) -> Result<BTreeSet<String>> {
    let (mut seen, end) = (BTreeSet::new(), Instant::now() + PATIENCE);
    loop {
        for node in nodes {
            seen.extend(world.processes(*node)?.into_iter().map(|process| process.argv.join(" ")));
        }
        let events = world.journal("events")?;
        if events.iter().filter(|event| event["event"] == "up-ended").count() == nodes.len() {
            return Ok(seen);
        }
        ensure!(Instant::now() < end, "'kubeboot up' still runs after {} s", PATIENCE.as_secs());
        std::thread::sleep(LOOK);
    }
}

/// What nobody may read: the text of every key, and whatever looks like a key or a token.
struct Secrets(Vec<String>);

fn secrets(world: &World) -> Result<Secrets> {
    let pki = world.disk(1)?.join("etc/kubernetes/pki");
    let mut lines = Vec::new();
    for key in ["ca.key", "front-proxy-ca.key", "etcd/ca.key", "sa.key"] {
        let pem = std::fs::read_to_string(pki.join(key)).with_context(|| format!("no {key}"))?;
        // The second line of a PEM block is the first that is the key's own.
        lines.push(pem.lines().nth(1).context("an empty key")?.to_owned());
    }
    Ok(Secrets(lines))
}

impl Secrets {
    fn must_not_be_in(&self, place: &str, text: &str) -> Result<()> {
        ensure!(!text.contains("PRIVATE KEY-----"), "{place} holds a private key");
        for secret in &self.0 {
            ensure!(!text.contains(secret), "{place} holds the text of a key");
        }
        ensure!(token_in(text).is_none(), "{place} holds what looks like a bootstrap token: {:?}", token_in(text));
        Ok(())
    }
}

/// A word of the shape of a bootstrap token (`[a-z0-9]{6}.[a-z0-9]{16}`), which always has digits in it.
fn token_in(text: &str) -> Option<&str> {
    let is_part = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_'));
    words.into_iter().find(|word| {
        let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
        has_digit && word.split_once('.').is_some_and(|(id, secret)| is_part(id, 6) && is_part(secret, 16))
    })
}

/// Every log of the world and its machines.
fn logs(world: &World) -> Result<Vec<PathBuf>> {
    let mut files =
        ["daemon.log", "events.jsonl", "requests.jsonl", "standin.jsonl"].map(|name| world.path(name)).to_vec();
    for node in [1, 2] {
        let disk = world.disk(node)?;
        files.push(disk.parent().context("a machine's folder")?.join("console.log"));
        files.extend(files_below(&disk.join("var/log"))?);
    }
    Ok(files)
}

/// Fails if a file that others than root may read holds something secret.
fn readable_by_others(folder: &Path, secrets: &Secrets) -> Result<()> {
    for file in files_below(folder)? {
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            secrets.must_not_be_in(&file.display().to_string(), &text(&file)?)?;
        }
    }
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let (path, kind) =
            (entry.as_ref().map(std::fs::DirEntry::path), entry.as_ref().map(std::fs::DirEntry::file_type));
        match (path, kind) {
            (Ok(path), Ok(Ok(kind))) if kind.is_dir() => files.extend(files_below(&path)?),
            (Ok(path), Ok(Ok(kind))) if kind.is_file() => files.push(path),
            _ => {}
        }
    }
    Ok(files)
}

fn text(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("failed to read '{}'", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn a_token_is_found_where_there_is_one() {
    for text in ["token=abcdef.0123456789abcdef", "\"abcdef.0123456789abcdef\"", "--token 0a0a0a.aaaaaaaaaaaaaaaa"] {
        assert!(token_in(text).is_some(), "{text}");
    }
    for text in ["abcdef.0123456789abcde", "kube-apiserver.yaml", "system.slice", "v1.36.1"] {
        assert!(token_in(text).is_none(), "{text}");
    }
}
