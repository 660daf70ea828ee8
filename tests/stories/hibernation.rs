//! A group that is set to zero: its last voter isolates itself, saves the cluster, has the record say so, and goes. What goes wrong on the
//! way loses nothing: the cluster serves again, or it is saved.

use crate::support::World;
use crate::support::bucket::RECORD;
use crate::support::crash::{self, Stop};
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicBool, Ordering};

/// No lifecycle rule ends what stands here.
const FINAL_SNAPSHOTS: &str = "snapshots/final-";
/// Manifests that are withheld from kubelet.
const WITHHELD: &str = "var/lib/kubeboot/manifests-withheld";
const MANIFESTS: &str = "etc/kubernetes/manifests";

#[test]
fn a_group_that_is_set_to_zero_is_saved_with_every_write_that_was_acknowledged() -> Result<()> {
    World::of(3).with_agents().set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        let ready = world.record()?;
        let stop = AtomicBool::new(false);
        let acknowledged = std::thread::scope(|scope| {
            let writer = scope.spawn(|| write_until(world, &[1, 2, 3], &stop));
            let ended = world.ask(&["desired", "0"]).and_then(|_| world.until_saved());
            stop.store(true, Ordering::Relaxed);
            let written = writer.join().expect("it does not panic");
            ended.map(|()| written)
        })?;
        for node in [1, 2, 3] {
            world.until_gone(node)?;
            world.has_continued(node)?;
        }
        let saved = world.record()?;
        println!("the last write that was acknowledged has revision {acknowledged}: {}", saved["snapshot"]);
        ensure!(acknowledged > 0 && saved["snapshot"]["revision"].as_u64() >= Some(acknowledged), "{saved}");
        for field in ["claim_id", "identity", "cluster"] {
            ensure!(saved[field] == ready[field], "{field}: {} then {}", ready[field], saved[field]);
        }
        let manifest = world.final_manifest()?;
        ensure!(manifest["kube_system_uid"] == ready["cluster"]["kube_system_uid"], "{manifest}");
        let left: Vec<bool> =
            (1..=3).map(|node| Ok(world.registration(node)?["phase"] == "left")).collect::<Result<_>>()?;
        ensure!(left.iter().filter(|left| **left).count() == 2, "two leave, and the last one saves: {left:?}");
        // The morning after.
        world.ask(&["desired", "3"])?;
        world.all_up(&[4, 5, 6])?;
        world.have_the_word(&[4, 5, 6])?;
        world.are_the_voters(&[4, 5, 6])?;
        for fact in ["kube_system_uid", "ca_hashes"] {
            let now = &world.record()?["cluster"][fact];
            ensure!(*now == ready["cluster"][fact], "{fact}: {} then {now}", ready["cluster"][fact]);
        }
        World::meant_one_cluster(&world.records()?)
    })
}

/// Writes one number after the other through whichever of these machines takes it, and returns the revision of the last one that was
/// acknowledged.
fn write_until(world: &World, nodes: &[usize], stop: &AtomicBool) -> u64 {
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        for node in nodes {
            let written =
                world.etcdctl(*node, &["--command-timeout=2s", "--write-out=json", "put", "/story/count", "x"]);
            let answer: Option<Value> = written.ok().and_then(|text| serde_json::from_str(&text).ok());
            last = answer.and_then(|answer| answer["header"]["revision"].as_u64()).unwrap_or(last).max(last);
        }
    }
    last
}

/// An API server that is killed leaves keys behind whose leases run out while the snapshot is on its way.
#[test]
fn a_save_that_takes_longer_than_the_leases_of_what_was_killed_is_a_save() -> Result<()> {
    World::of(1).with_agents().that_waits().tell(|world| {
        world.all_up(&[1])?;
        world.fault("delay=20", &["--action", "UploadPart"])?;
        world.ask(&["desired", "0"])?;
        world.until_saved()?;
        world.until_gone(1)
    })
}

#[test]
fn a_group_that_wants_machines_again_before_the_record_is_written_goes_on_as_before() -> Result<()> {
    for point in ["api-server-withheld", "etcd-isolated", "snapshot-taken", "snapshot-verified"] {
        World::of(1).with_terminate_hook().option("--binary", &crash::binary()?).set("lease_ttl", "3s").tell(
            |world| {
                world.all_up(&[1])?;
                world.keep_a_word(1)?;
                let ready = world.record()?;
                let agent = world.start_agent_pausing(1, point)?;
                world.until_agent_says(&agent, "the group says InService")?;
                world.ask(&["desired", "0"])?;
                world.until_agent_says(&agent, &format!("stopped at {point}"))?;
                world.ask(&["desired", "1"])?;
                agent.go_on()?;
                world
                    .all_up(&[2])
                    .with_context(|| format!("raised at {point}: {}", agent.said().unwrap_or_default()))?;
                world.until_terminated(1, &agent)?;
                world.has_left(1, &[2])?;
                world.have_the_word(&[2])?;
                ensure!(world.records()?.iter().all(|record| record["phase"] != "saved"), "it was saved");
                ensure!(world.record()?["claim_id"] == ready["claim_id"], "{}", world.record()?);
                ensure!(agent.said()?.contains("wants machines again"), "{}", agent.said()?);
                Ok(())
            },
        )?;
    }
    Ok(())
}

#[test]
fn an_old_machine_of_a_restored_cluster_serves_nobody_keeps_its_data_and_joins_when_an_operator_says_so() -> Result<()>
{
    World::of(1).set("claim_stagger", "1s").set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1])?;
        world.keep_a_word(1)?;
        let saved = world.on(1, &["kubeboot", "snapshot", "save"])?;
        ensure!(saved.code == 0, "{}", saved.text());
        world.etcdctl(1, &["put", "/story/later", "lost"])?;
        world.put(RECORD, world.saved_by_hand()?.to_string())?;
        // It has data of a cluster that lives in a snapshot, and so it does after a reboot.
        for _again in 0..2 {
            let refused = world.on(1, &["kubeboot", "up"])?;
            ensure!(refused.code == 6 && refused.text().contains("lives on from a snapshot"), "{}", refused.text());
            let running = world.on(1, &["crictl", "ps", "--name", "etcd|kube-apiserver", "--quiet"])?;
            ensure!(running.code == 0 && running.stdout.trim().is_empty(), "{}", running.text());
            ensure!(world.disk(1)?.join("var/lib/etcd/member").exists(), "its data is gone");
            world.cut_power(1)?;
            world.boot(1, false)?;
        }
        world.refuses(1, &["kubeboot", "reset", "--now", "--yes"], 6, &["the cluster lives in a snapshot"])?;
        world.ask(&["desired", "2"])?;
        world.all_up(&[2])?;
        world.have_the_word(&[2])?;
        ensure!(world.etcd_value(2, "/story/later")?.is_empty(), "it was written after the snapshot");
        world.refuses(1, &["kubeboot", "up"], 6, &["lives on from a snapshot"])?;
        world.are_the_voters(&[2])?;
        let wiped = world.on(1, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(wiped.code == 0 && !world.disk(1)?.join(WITHHELD).exists(), "{}", wiped.text());
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.are_the_voters(&[1, 2])?;
        world.have_the_word(&[1, 2])
    })
}

#[test]
fn a_snapshot_that_is_denied_is_told_and_the_cluster_serves_again() -> Result<()> {
    World::of(1).with_terminate_hook().tell(|world| {
        world.all_up(&[1])?;
        world.keep_a_word(1)?;
        let agent = world.start_agent(1)?;
        world.until_agent_says(&agent, "the group says InService")?;
        world.ask(&["fault", "add", "error=403/AccessDenied", "--service", "s3", "--key", "*/snapshots/*"])?;
        world.ask(&["desired", "0"])?;
        world.until_agent_says(&agent, "the cluster is not saved yet")?;
        ensure!(world.record()?["phase"] == "ready", "{}", world.record()?);
        world.until("the API server serves again", RUN, || {
            Ok(world.on(1, &["kubeboot", "status"])?.says("1 voter").then_some(()))
        })?;
        world.have_the_word(&[1])?;
        let disk = world.disk(1)?;
        ensure!(
            !disk.join(WITHHELD).exists() && disk.join(MANIFESTS).join("kube-apiserver.yaml").exists(),
            "not put back"
        );
        ensure!(world.hook_calls("CompleteLifecycleAction", 1)?.is_empty(), "the hook was completed");
        // Once S3 lets it, it saves and goes.
        world.ask(&["fault", "clear"])?;
        world.until_terminated(1, &agent)?;
        world.until_saved()?;
        world.has_continued(1)
    })
}

impl World {
    /// Waits until the record says that the cluster is saved.
    pub fn until_saved(&self) -> Result<()> {
        self.until("the record says 'saved'", RUN, || Ok((self.record()?["phase"] == "saved").then_some(())))
    }

    /// The record of a cluster that an operator restores from its only snapshot, whatever still lives.
    fn saved_by_hand(&self) -> Result<Value> {
        let keys = self.manifest_keys()?;
        let key = keys.first().context("there is no snapshot")?;
        let (text, manifest, mut record) = (self.text(key)?, self.object(key)?, self.record()?);
        let digest = Sha256::digest(text.as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        record["schema"] = 2.into();
        record["phase"] = "saved".into();
        record["snapshot"] = json!({
            "key": key,
            "digest": format!("sha256:{digest}"),
            "revision": manifest["revision"],
            "kubernetes_version": manifest["kubernetes_version"],
            "etcd_version": manifest["etcd_version"],
            "claim": manifest["claim"],
            "taken_by": manifest["saved_by"],
            "taken_at": manifest["saved_at"],
        });
        Ok(record)
    }

    /// The manifest that the record names, which must be there with its snapshot, and final.
    pub fn final_manifest(&self) -> Result<Value> {
        let record = self.record()?;
        let key =
            record["snapshot"]["key"].as_str().with_context(|| format!("{RECORD} names no snapshot: {record}"))?;
        ensure!(key.starts_with(FINAL_SNAPSHOTS), "{key}");
        let manifest = self.object(key)?;
        ensure!(manifest["kind"] == "final" && manifest["revision"] == record["snapshot"]["revision"], "{manifest}");
        let database = manifest["key"].as_str().context("the key of the database")?;
        ensure!(self.keys()?.iter().any(|found| found.ends_with(database)), "there is no '{database}'");
        Ok(manifest)
    }

    /// Starts the agent of a machine, and stops it at this point.
    pub fn stop_agent_at(&self, node: usize, how: Stop, point: &str) -> Result<()> {
        let agent = self.start_agent_until(node, how, point)?;
        self.until_agent_says(&agent, &format!("stopped at {point}"))?;
        match how {
            Stop::Kill => agent.wait(RUN).map(drop),
            Stop::Hold => {
                self.cut_power(node)?;
                self.boot(node, false)
            }
        }
    }
}
