//! Claims that are lost, and claims that are followed: a holder that is no longer one serves nobody, and each attempt of an init is a
//! claim of its own.

use crate::support::World;
use crate::support::crash;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// Whether somebody accepts connections where a machine's API server would.
fn serves(world: &World, node: usize) -> Result<bool> {
    let status = world.ask(&["status"])?;
    let found = status["nodes"].as_array().into_iter().flatten().find(|each| each["index"] == node);
    let address: IpAddr = found.and_then(|each| each["address"].as_str()).context("an address")?.parse()?;
    Ok(TcpStream::connect_timeout(&SocketAddr::new(address, 6443), Duration::from_secs(1)).is_ok())
}

/// A registration that nobody has written yet.
const UNREADABLE: &str = "control-plane/nodes/i-0123456789abcdef0.json";

/// How often something was wiped on a machine, or is being wiped.
fn wipes(world: &World, node: usize) -> Result<usize> {
    let (id, commands) = (world.id(node)?, world.journal("standin")?);
    let name = world.registration(node)?["node_name"].clone();
    let mine = commands.iter().filter(|each| each["node"] == id.as_str() || each["node"] == name);
    Ok(mine.filter(|each| each["argv"].as_array().is_some_and(|argv| argv.contains(&json!("reset")))).count())
}

#[test]
fn a_holder_that_lost_its_claim_stops_serving_before_anything_is_wiped() -> Result<()> {
    let plan = World::of(2).without_up().set("claim_ttl", "6s").set("lease_ttl", "3s").set("claim_stagger", "1s");
    plan.tell(|world| {
        // Both come as far as an API server that serves.
        for node in [1, 2] {
            world.kubeadm_fault(node, &json!({"init": {"after": "upload-config", "hang": true, "times": 1}}))?;
        }
        world.ask(&["run"])?;
        world.until_kubeadm_fault(1)?;
        ensure!(serves(world, 1)?, "the API server of machine 1 does not answer");
        let (one, two, before) = (world.id(1)?, world.id(2)?, wipes(world, 1)?);

        // Cut off from S3, it cannot know who follows: it serves nobody any more, and keeps what it has made.
        world.fault("cut", &["--service", "s3", "--node", &one])?;
        world.until("machine 2 to take over", RUN, || {
            Ok((world.record()?["holder"]["instance"] == two.as_str()).then_some(()))
        })?;
        world.until("machine 1 to serve nobody any more", Duration::from_secs(60), || {
            Ok((!serves(world, 1)?).then_some(()))
        })?;
        for kept in ["etc/kubernetes/manifests/etcd.yaml", "var/lib/etcd/member/wal"] {
            ensure!(world.disk(1)?.join(kept).exists(), "'{kept}' is gone, though the record was not read");
        }
        ensure!(wipes(world, 1)? == before, "machine 1 was wiped, though the record was not read");
        world.until_kubeadm_fault(2)?;
        world.ask(&["fault", "clear"])?;
        world.until(
            "machine 1 to wipe what nobody will know",
            RUN,
            || Ok((wipes(world, 1)? > before).then_some(())),
        )?;

        // Frozen for longer than its claim lives, the second holder is followed by the first.
        let before = wipes(world, 2)?;
        world.signal_program(2, "kubeboot", Signal::STOP)?;
        world.until(
            "machine 1 to make the cluster",
            RUN,
            || Ok((world.record()?["phase"] == "ready").then_some(())),
        )?;
        ensure!(serves(world, 2)?, "a frozen holder cannot stop anything");
        world.signal_program(2, "kubeboot", Signal::CONT)?;
        world.all_up(&[1, 2])?;
        ensure!(wipes(world, 2)? == before + 1, "machine 2 was not wiped once: {}", world.log(2)?);
        let log = world.log(2)?;
        let (stopped, wiped) =
            (log.rfind("stopping kubelet and what it has started"), log.rfind("wiping this machine"));
        ensure!(stopped.is_some() && stopped < wiped, "it was wiped while it served: {log}");
        ensure!(world.record()?["cluster"]["initialised_by"] == one.as_str(), "{}", world.record()?);
        world.is_one_control_plane(&[1, 2])
    })
}

/// Nobody renews a claim whose flip was sent: cut off from S3 at that moment, its holder serves only until others may follow.
#[test]
fn a_holder_whose_flip_was_lost_stops_serving_and_begins_anew() -> Result<()> {
    cut_off_at_its_flip("cut", |world, text| {
        ensure!(!text.contains("started kubelet again"), "{text}");
        world.are_whole(&[1])
    })
}

#[test]
fn a_holder_whose_flip_has_landed_unseen_stops_serving_and_serves_again() -> Result<()> {
    cut_off_at_its_flip("lost-reply", |world, text| {
        ensure!(text.contains("started kubelet again"), "{text}");
        world.is_one_control_plane(&[1])
    })
}

/// What becomes of the write that flips the record is `effect`, and no read comes through until the machine serves no more.
fn cut_off_at_its_flip(effect: &str, then: impl Fn(&World, &str) -> Result<()>) -> Result<()> {
    let plan = World::of(1).without_up().option("--binary", &crash::binary()?).set("claim_ttl", "6s");
    plan.tell(|world| {
        let mut run = world.start_up_pausing(1, "flip-due")?;
        world.until("the flip to be due", RUN, || Ok(run.said()?.contains("stopped at flip-due").then_some(())))?;
        ensure!(serves(world, 1)?, "it does not serve");
        let id = world.id(1)?;
        world.fault(effect, &["--service", "s3", "--action", "PutObject", "--node", &id])?;
        world.fault("cut", &["--service", "s3", "--action", "GetObject", "--node", &id])?;
        world.until("machine 1 to serve nobody any more", Duration::from_secs(60), || {
            run.go_on()?;
            Ok((!serves(world, 1)?).then_some(()))
        })?;
        ensure!(world.disk(1)?.join("var/lib/etcd/member/wal").exists(), "wiped, though the record was not read");
        world.ask(&["fault", "clear"])?;
        // Another attempt comes to the same point.
        world.until("'kubeboot up' to end", RUN, || {
            run.go_on()?;
            Ok((!run.runs()?).then_some(()))
        })?;
        let ended = run.wait(RUN)?;
        ensure!(ended.code == 0, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        ensure!(serves(world, 1)?, "it does not serve");
        then(world, &ended.text())
    })
}

#[test]
fn each_attempt_of_an_init_has_a_claim_and_an_etcd_of_its_own() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        world.kubeadm_fault(1, &json!({"init": {"after": "etcd", "exit": 1, "times": 1}}))?;
        // What nobody can read may tell of a cluster.
        world.put(UNREADABLE, "{\"schema\": 99}")?;
        world.run_up(1)?;
        world.until_logged(1, "the registrations control-plane/nodes/ of i-0123456789abcdef0 to say something")?;
        ensure!(world.records()?.is_empty(), "it claimed: {:?}", world.records()?);
        world.remove(UNREADABLE)?;
        world.all_up(&[1])?;
        let log = world.log(1)?;
        let (stopped, wiped) = (log.find("stopping kubelet and what it has started"), log.find("wiping this machine"));
        ensure!(stopped.is_some() && stopped < wiped, "what a failed init began went on: {log}");
        let claims: BTreeMap<i64, Value> = world
            .records()?
            .iter()
            .map(|record| (record["generation"].as_i64().unwrap_or_default(), record["claim_id"].clone()))
            .collect();
        let record = world.record()?;
        ensure!(claims.keys().eq(&[1, 2]), "there were other claims than two: {claims:?}");
        ensure!(claims[&1] != claims[&2] && record["claim_id"] == claims[&2], "{claims:?} {record}");
        let manifest = std::fs::read_to_string(world.disk(1)?.join("etc/kubernetes/manifests/etcd.yaml"))?;
        let token = format!("--initial-cluster-token={}", claims[&2].as_str().context("a claim")?);
        ensure!(manifest.contains(&token), "etcd was not started with {token}: {manifest}");
        let outcome = world.outcome()?;
        ensure!(outcome[0]["cluster"] == record["cluster"]["etcd_cluster_id"], "{outcome:?} {record}");
        ensure!(outcome[0]["claim"] == claims[&2], "etcd keeps another claim: {outcome:?}");
        world.is_one_control_plane(&[1])
    })
}
