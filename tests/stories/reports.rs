//! `kubeboot status` and `kubeboot check` in a world whose state is known. Each line of theirs has a test beside the code; these
//! stories test that they work on a real machine, and their exit codes.

use crate::support::World;
use crate::support::command::{Ended, Running};
use crate::support::strangers::ENDPOINT;
use crate::support::world::{RUN, members};
use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn status_tells_a_healthy_control_plane_from_a_degraded_one_and_a_lost_quorum() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        status_is(world, "healthy, can lose 1", 0)?;
        let told = world.on(1, &["kubeboot", "status"])?.stdout;
        ensure!(told.contains(" answers, this cluster, ready\n"), "a client finds the cluster at the endpoint: {told}");
        world.stranger(ENDPOINT, "401")?;
        let foreign = world.on(1, &["kubeboot", "status", "--json"])?;
        ensure!(foreign.code == 10 && foreign.says("endpoint-not-trusted"), "{}", foreign.text());
        world.no_strangers()?;
        world.stranger(ENDPOINT, "closed")?;
        let silent = world.on(1, &["kubeboot", "status"])?;
        ensure!(silent.code == 0 && silent.says("does not answer from here"), "{}", silent.text());
        world.no_strangers()?;
        world.ask(&["kill", "3"])?;
        status_is(world, "degraded", 10)?;
        world.ask(&["kill", "2"])?;
        status_is(world, "quorum lost", 11)
    })
}

#[test]
fn whoever_watches_sees_a_machine_come_in_and_ends_it_by_hand() -> Result<()> {
    World::of(2).tell_after_the_first(|world| {
        // Who reads no more is not waited for until the next look.
        let all = world.on(1, &["sh", "-c", "kubeboot status --watch --interval 1h | head -n 1"])?;
        ensure!(all.code == 0 && all.stdout.starts_with("degraded"), "{}", all.text());
        let people = world.start_on(1, &["kubeboot", "status", "--watch"])?;
        let programs = world.start_on(2, &["kubeboot", "status", "--json", "--watch"])?;
        let second = world.id(2)?;
        shows(world, &people, &["\nthis machine  ", "has no vote"])?;
        shows(world, &programs, &["\n"])?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        shows(
            world,
            &people,
            &[&format!("Z {second}: says "), &format!("Z {second}: etcd "), "-> 2 of 2 voters answering"],
        )?;
        shows(world, &programs, &["\"answering\":2"])?;
        reads_nothing_twice(world, 1)?;
        // Nobody answers: both are ended while they look.
        world.fault("hang", &["--service", "s3"])?;
        world.until("they look", RUN, || {
            Ok(world.ask(&["fault", "list"])?[0]["hits"].as_u64().filter(|hits| *hits > 1))
        })?;
        world.signal_program(1, "kubeboot", Signal::INT)?;
        world.signal_program(2, "kubeboot", Signal::TERM)?;
        let (told, documents) = (people.wait(RUN)?, programs.wait(RUN)?);
        ensure!(told.code == 0 && documents.code == 0, "{}{}", told.text(), documents.text());
        ensure!(told.stdout.matches("INSTANCE").count() == 1, "the page comes once: {}", told.stdout);
        let documents: Vec<Value> = documents.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let is_whole = |document: &Value| members(document, "nodes").count() == 2 && document["verdict"].is_object();
        ensure!(documents.len() > 1 && documents.iter().all(is_whole), "a document each time: {documents:?}");
        Ok(())
    })
}

/// Waits for three more looks of a machine: each of the two registrations may have changed before the first of them, and is not read
/// again.
fn reads_nothing_twice(world: &World, node: usize) -> Result<()> {
    let (before, id) = (world.journal("requests")?.len(), world.id(node)?);
    let calls = world.until("it looks three times more", RUN, || {
        let calls = world.journal("requests")?.into_iter().skip(before);
        let own: Vec<Value> = calls.filter(|call| call["node"] == id.as_str()).collect();
        let looks = own.iter().filter(|call| call["action"] == "ListObjectsV2").count();
        Ok((looks > 3).then_some(own))
    })?;
    let of_registration = |call: &&Value| call["key"].as_str().is_some_and(|key| key.contains("control-plane/nodes/"));
    let reads = calls.iter().filter(|call| call["action"] == "GetObject").filter(of_registration).count();
    ensure!(reads <= 2, "{reads} reads of two registrations: {calls:?}");
    Ok(())
}

/// Waits until a command has printed all of these.
fn shows(world: &World, running: &Running, texts: &[&str]) -> Result<()> {
    world.until(&format!("it prints {texts:?}"), RUN, || {
        let printed = running.printed()?;
        Ok(texts.iter().all(|text| printed.contains(text)).then_some(()))
    })
}

/// Asks machine 1, for people and for programs. On a busy computer whoever is asked may answer too late for one look.
fn status_is(world: &World, verdict: &str, code: i32) -> Result<()> {
    let said = format!("'kubeboot status' says '{verdict}', with exit code {code}");
    let told = world.until(&said, RUN, || {
        let told = world.on(1, &["kubeboot", "status"])?;
        Ok((told.code == code && told.stdout.starts_with(verdict)).then_some(told))
    })?;
    for node in [1, 2, 3] {
        ensure!(told.stdout.contains(&world.id(node)?), "node {node} is not told of: {}", told.stdout);
    }
    world.until(&format!("the same in JSON: {code}"), RUN, || {
        let parsed = world.on(1, &["kubeboot", "status", "--json"])?;
        let parsed: Value = serde_json::from_str(&parsed.stdout)?;
        Ok((parsed["verdict"]["exit_code"] == code).then_some(()))
    })
}

#[test]
fn check_finds_a_ready_machine_ready_and_names_what_is_missing() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        let before = world.before(1)?;
        let ready = check(world, &[])?;
        ensure!(ready.code == 0 && ready.stdout.contains("0 failed"), "{}", ready.text());
        ensure!(!ready.stdout.contains("drop-in"), "{}", ready.stdout);
        ensure!(versioning(world)?["verdict"] == "ok", "the bucket keeps versions: {}", versioning(world)?);
        world.ask(&["s3", "versioning", "Suspended"])?;
        let told = versioning(world)?;
        ensure!(told["verdict"] == "warning" && told["remedy"] == "switch on versioning", "it keeps none: {told}");
        world.fault("ignore-conditions", &["--service", "s3"])?;
        let unfit = check(world, &["--json"])?;
        let parsed: Value = serde_json::from_str(&unfit.stdout)?;
        let failed: Vec<&Value> = findings(&parsed).filter(|finding| finding["verdict"] == "failed").collect();
        ensure!(failed.len() == 1 && failed[0]["check"] == "conditional-writes", "{parsed}");
        ensure!(unfit.code == 2 && parsed["exit"] == 2, "exit code {}: {parsed}", unfit.code);
        // It writes scratch objects, and takes them away again.
        ensure!(world.keys()?.is_empty(), "{:?} are left in the bucket", world.keys()?);
        before.the_disk_is_the_same()
    })
}

#[test]
fn check_looks_at_an_image_without_asking_anybody() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        // What would be said of AWS, of the metadata service or of the settings would be a finding more.
        let told = |code: i32| -> Result<Value> {
            let ended = world.check(1, &["--image", "--json", "--bucket", "s3://no-name"], || Ok(()))?;
            ensure!(ended.code == code, "exit code {}: {}", ended.code, ended.text());
            Ok(serde_json::from_str(&ended.stdout)?)
        };
        let verdict = |told: &Value, check: &str| {
            let found = findings(told).find(|one| one["check"] == check && one["verdict"] != "ok");
            found.map(|one| format!("{} {}", one["verdict"], one["text"])).unwrap_or_default()
        };
        let asked = world.journal("requests")?.len();
        let bare = told(0)?;
        ensure!(verdict(&bare, "image-containers").contains("not here"), "{bare}");
        let pull = "kubeadm config images pull --kubernetes-version \"$(kubeadm version --output short)\"";
        ensure!(world.on(1, &["sh", "-c", pull])?.code == 0, "the images are not pulled");
        let pulled = told(0)?;
        ensure!(verdict(&pulled, "image-containers").is_empty(), "{pulled}");
        world.on(1, &["sh", "-c", "mkdir -p /etc/kubernetes/pki && echo a >/etc/kubernetes/pki/ca.crt"])?;
        let baked = told(2)?;
        ensure!(verdict(&baked, "image-state").contains("/etc/kubernetes/pki"), "{baked}");
        ensure!(world.journal("requests")?.len() == asked, "AWS was asked");
        Ok(())
    })
}

/// Runs `kubeboot check` on an empty bucket.
fn check(world: &World, options: &[&str]) -> Result<Ended> {
    world.check(1, options, || world.empty_the_bucket())
}

/// What `kubeboot check --json` says, one after the other.
fn findings(checked: &Value) -> impl Iterator<Item = &Value> {
    checked["findings"].as_array().into_iter().flatten()
}

/// What `kubeboot check` finds about the bucket's versions.
fn versioning(world: &World) -> Result<Value> {
    let checked = serde_json::from_str(&check(world, &["--json"])?.stdout)?;
    Ok(findings(&checked).find(|one| one["check"] == "bucket-versioning").cloned().unwrap_or_default())
}

#[test]
fn what_needs_no_settings_works_without_any() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        std::fs::remove_file(world.disk(1)?.join("etc/kubeboot/config.toml"))?;
        for (argv, word) in [
            (&["kubeboot", "--version"][..], "kubeboot"),
            (&["kubeboot", "--help"], "Usage"),
            (&["kubeboot", "up", "--help"], "--accept-group"),
            (&["kubeboot", "completions", "bash"], "complete"),
        ] {
            let ended = world.on(1, argv)?;
            ensure!(ended.code == 0 && ended.stdout.contains(word), "{argv:?}: {}", ended.text());
        }
        let ended = world.on(1, &["kubeboot", "upp"])?;
        ensure!(ended.code == 2 && ended.stderr.contains("upp"), "{}", ended.text());
        Ok(())
    })
}
