//! Snapshots of etcd: saved by hand and by the leader among the agents, listed, verified; and what is never taken for one.

use crate::support::World;
use crate::support::command::Ended;
use crate::support::plan::WorldPlan;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The folder of the snapshots, below the prefix.
const FOLDER: &str = "snapshots/";

impl World {
    fn snapshot(&self, node: usize, words: &[&str], code: i32) -> Result<Ended> {
        let ended = self.on(node, &[&["kubeboot", "snapshot"], words].concat())?;
        ensure!(ended.code == code, "'snapshot {}' ended with {}: {}", words.join(" "), ended.code, ended.text());
        Ok(ended)
    }

    /// What `snapshot list` tells.
    fn snapshots(&self, node: usize) -> Result<Vec<Value>> {
        let listed = self.snapshot(node, &["list", "--json"], 0)?;
        let listed: Value = serde_json::from_str(&listed.stdout)?;
        Ok(listed["snapshots"].as_array().cloned().unwrap_or_default())
    }

    /// The keys of all snapshots and manifests, below the prefix.
    fn snapshot_keys(&self) -> Result<Vec<String>> {
        let keys = self.keys()?.into_iter();
        Ok(keys.filter_map(|key| key.find(FOLDER).map(|at| key[at..].to_owned())).collect())
    }

    /// The uploads that were begun, and those that were aborted.
    fn uploads(&self) -> Result<(usize, usize)> {
        let asked = self.journal("requests")?;
        let count = |action| asked.iter().filter(|call| call["action"] == action).count();
        Ok((count("CreateMultipartUpload"), count("AbortMultipartUpload")))
    }
}

/// One machine with data in its etcd.
fn one() -> WorldPlan {
    World::of(1).that_waits()
}

fn key(snapshot: &Value) -> Result<&str> {
    snapshot["key"].as_str().context("it has a key")
}

#[test]
fn what_is_saved_while_others_write_is_listed_and_verified() -> Result<()> {
    World::of(2).that_waits().tell(|world| {
        world.all_up(&[1, 2])?;
        let none = world.snapshot(1, &["verify", "--latest"], 6)?;
        ensure!(none.stderr.contains("no confirmed snapshot"), "{}", none.text());
        world.keep_a_word(1)?;
        let script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); etcdctl --endpoints https://$STANDIN_ADDRESS:2379 \
                      --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/healthcheck-client.crt \
                      --key /etc/kubernetes/pki/etcd/healthcheck-client.key put /story/$i x; done";
        let writer = world.start_on(2, &["sh", "-c", script])?;
        world.until("somebody writes", RUN, || Ok((!world.etcd_value(1, "/story/3")?.is_empty()).then_some(())))?;
        let saved = world.snapshot(1, &["save"], 0)?;
        ensure!(saved.stdout.contains("saved revision") && saved.stdout.contains("s3://"), "{}", saved.text());
        let again = world.snapshot(2, &["save"], 0)?;
        ensure!(writer.wait(RUN)?.code == 0, "the writer has failed");
        let listed = world.snapshots(1)?;
        let [newest, oldest] = &listed[..] else { anyhow::bail!("{listed:?}") };
        ensure!(newest["revision"].as_u64() > oldest["revision"].as_u64(), "{listed:?}");
        ensure!(again.stdout.contains(key(newest)?), "{}", again.text());
        ensure!(newest["latest"] == true && oldest["latest"] == false && oldest["own"] == true, "{listed:?}");
        ensure!(newest["saved_by"] == json!(world.id(2)?) && newest["kind"] == "routine", "{newest}");
        ensure!(newest["kube_system_uid"] == world.record()?["cluster"]["kube_system_uid"], "{newest}");
        let verified = world.snapshot(2, &["verify", "--latest"], 0)?;
        ensure!(verified.stdout.contains(&format!("revision {}", newest["revision"])), "{}", verified.text());
        world.snapshot(1, &["verify", key(oldest)?], 0)?;
        let page = world.snapshot(1, &["list"], 0)?;
        ensure!(page.stdout.matches("(latest)").count() == 1, "{}", page.text());
        let check = world.check(1, &[], || Ok(()))?;
        ensure!(check.stdout.contains("snapshots/"), "{}", check.text());
        Ok(())
    })
}

#[test]
fn a_snapshot_that_was_cut_short_changed_or_is_anothers_is_refused() -> Result<()> {
    one().tell(|world| {
        world.all_up(&[1])?;
        world.snapshot(1, &["save"], 0)?;
        let listed = world.snapshots(1)?;
        let object = key(&listed[0])?.to_owned();
        let manifest = object.replace(".db.zst", ".json");
        let (whole, told) = (world.bytes(&object)?, world.object(&manifest)?);
        let refused = |words: &str| -> Result<()> {
            let ended = world.snapshot(1, &["verify", &object], 6)?;
            ensure!(ended.stderr.contains(words), "it does not say '{words}': {}", ended.text());
            Ok(())
        };
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            world.put(&object, &flipped)?;
            refused("it is not what was saved")?;
        }
        world.put(&object, &whole[..whole.len() - 1])?;
        refused("it ends after")?;
        world.put(&object, [&whole[..], b"x"].concat())?;
        refused("it has more than")?;
        world.put(&object, &whole)?;
        for (field, value, words) in [
            ("database_digest", json!(format!("sha256:{}", "0".repeat(64))), "its manifest says"),
            ("kube_system_uid", json!("00000000-0000-4000-8000-000000000001"), "a snapshot of another cluster"),
            ("revision", json!(1), "another snapshot than its key"),
            ("schema", json!(2), "it has schema 2"),
        ] {
            let mut changed = told.clone();
            changed[field] = value;
            world.put(&manifest, changed.to_string())?;
            refused(words)?;
        }
        let latest = world.snapshot(1, &["verify", "--latest"], 6)?;
        ensure!(latest.stderr.contains("no confirmed snapshot"), "{}", latest.text());
        world.put(&manifest, told.to_string())?;
        world.snapshot(1, &["verify", &object], 0)?;
        let unknown = world.snapshot(1, &["verify", "yesterday"], 6)?;
        ensure!(unknown.stderr.contains("no name of a snapshot"), "{}", unknown.text());
        Ok(())
    })
}

#[test]
fn s3_that_denies_halfway_ends_the_upload_and_leaves_nothing_that_could_be_restored() -> Result<()> {
    one().tell(|world| {
        world.all_up(&[1])?;
        for (action, words) in [
            ("CreateMultipartUpload", "failed to begin"),
            ("UploadPart", "failed to write a part of"),
            ("CompleteMultipartUpload", "failed to complete"),
        ] {
            let (begun, aborted) = world.uploads()?;
            world.fault("error=403/AccessDenied", &["--service", "s3", "--action", action, "--times", "1"])?;
            let denied = world.snapshot(1, &["save"], 4)?;
            ensure!(denied.stderr.contains(words) && denied.stderr.contains("AccessDenied"), "{}", denied.text());
            let (begun, aborted) = (world.uploads()?.0 - begun, world.uploads()?.1 - aborted);
            ensure!(begun == 1 && aborted == usize::from(action != "CreateMultipartUpload"), "{action}: {aborted}");
            ensure!(world.snapshot_keys()?.is_empty(), "{:?}", world.snapshot_keys()?);
        }
        // An object without a manifest is no snapshot.
        world.fault(
            "error=403/AccessDenied",
            &["--service", "s3", "--action", "PutObject", "--key", "*.json", "--times", "1"],
        )?;
        world.snapshot(1, &["save"], 4)?;
        ensure!(world.snapshot_keys()?.len() == 1 && world.snapshots(1)?.is_empty(), "{:?}", world.snapshot_keys()?);
        // An answer that is lost, or a server that is busy, ends nothing.
        for effect in ["lost-reply", "error=503/SlowDown", "error-after=500/InternalError"] {
            for action in ["UploadPart", "CompleteMultipartUpload"] {
                world.fault(effect, &["--service", "s3", "--action", action, "--times", "1"])?;
            }
            world.snapshot(1, &["save"], 0)?;
        }
        world.every_fault_was_met()?;
        ensure!(world.snapshots(1)?.len() == 3, "{:?}", world.snapshots(1)?);
        world.snapshot(1, &["verify", "--latest"], 0)?;
        Ok(())
    })
}

#[test]
fn without_a_quorum_only_an_unconfirmed_snapshot_is_saved_and_it_is_never_the_latest() -> Result<()> {
    World::of(2).that_waits().tell(|world| {
        world.all_up(&[1, 2])?;
        world.snapshot(1, &["save"], 0)?;
        world.keep_a_word(1)?;
        world.ask(&["kill", "2"])?;
        let refused = world.snapshot(1, &["save"], 3)?;
        ensure!(refused.stderr.contains("snapshot save --unconfirmed"), "{}", refused.text());
        let saved = world.snapshot(1, &["save", "--unconfirmed"], 0)?;
        ensure!(saved.stdout.contains("it is unconfirmed"), "{}", saved.text());
        let listed = world.snapshots(1)?;
        let kinds: Vec<_> = listed.iter().map(|each| (&each["kind"], &each["latest"])).collect();
        ensure!(kinds == [(&json!("unconfirmed"), &json!(false)), (&json!("routine"), &json!(true))], "{listed:?}");
        world.snapshot(1, &["verify", key(&listed[0])?], 0)?;
        // With its etcd gone its database file serves.
        world.kill_program(1, "etcd")?;
        let from_file = world.snapshot(1, &["save", "--unconfirmed"], 0)?;
        ensure!(from_file.stdout.contains("saved revision 0"), "{}", from_file.text());
        let listed = world.snapshots(1)?;
        let of_file = listed.iter().find(|each| each["revision"] == 0).context("it is listed")?;
        world.snapshot(1, &["verify", key(of_file)?], 0)?;
        Ok(())
    })
}

#[test]
fn the_leader_saves_by_itself_and_another_one_under_way_is_waited_for() -> Result<()> {
    World::of(2).set("snapshot_interval", "1h").that_waits().tell(|world| {
        world.all_up(&[1, 2])?;
        let agents = [world.start_agent(1)?, world.start_agent(2)?];
        world.until("the leader has saved", RUN, || Ok((!world.snapshots(1)?.is_empty()).then_some(())))?;
        let said = || -> Result<Vec<bool>> {
            agents.iter().map(|agent| Ok(agent.said()?.contains("saved revision"))).collect()
        };
        world.until("it says so", RUN, || Ok(said()?.contains(&true).then_some(())))?;
        ensure!(said()?.iter().filter(|said| **said).count() == 1, "both say so");
        world.snapshot(2, &["verify", "--latest"], 0)?;
        // Two on one machine: the second gives way.
        world.fault("delay=8", &["--service", "s3", "--action", "UploadPart", "--times", "1"])?;
        let first = world.start_on(1, &["kubeboot", "snapshot", "save"])?;
        world.until("the first uploads", RUN, || Ok((world.uploads()?.0 == 2).then_some(())))?;
        let second = world.snapshot(1, &["save"], 3)?;
        ensure!(second.stderr.contains("another snapshot is under way on this machine"), "{}", second.text());
        ensure!(first.wait(RUN)?.code == 0, "the first has failed");
        // Two on two machines harm nobody.
        let both = [
            world.start_on(1, &["kubeboot", "snapshot", "save"])?,
            world.start_on(2, &["kubeboot", "snapshot", "save"])?,
        ];
        for each in both {
            let ended = each.wait(RUN)?;
            ensure!(ended.code == 0, "{}", ended.text());
        }
        let listed = world.snapshots(1)?;
        ensure!(listed.len() == 4 && listed.iter().filter(|each| each["latest"] == true).count() == 1, "{listed:?}");
        Ok(())
    })
}
