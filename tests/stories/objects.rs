//! Objects in the bucket that kubeboot did not write: it stops, reports what it found and what to do, and changes nothing.

use crate::support::World;
use crate::support::bucket::{HASH, LEASE, RECORD};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const UP: [&str; 2] = ["kubeboot", "up"];
/// More bytes than any object of kubeboot's has.
const LARGE: usize = 3 * 1024 * 1024;
const A_UUID: &str = "00000000-1111-4222-8333-444444444444";

/// Machine 1 is the cluster; machine 2 has never run anything.
fn a_cluster_and_a_fresh_machine(story: impl FnOnce(&World) -> Result<()>) -> Result<()> {
    World::of(2).set("lease_ttl", "3s").tell_after_the_first(story)
}

/// A JSON object with one place in it replaced.
fn with(object: &Value, place: &str, value: Value) -> Result<String> {
    let mut object = object.clone();
    *object.pointer_mut(place).with_context(|| format!("there is no '{place}'"))? = value;
    Ok(object.to_string())
}

#[test]
fn a_record_that_is_none_stops_everybody() -> Result<()> {
    a_cluster_and_a_fresh_machine(|world| {
        let record = world.record()?;
        let mut more = record.clone();
        more["colour"] = json!("blue");
        let mut without_cluster = record.clone();
        without_cluster.as_object_mut().context("an object")?.remove("cluster");
        let texts = [
            String::new(),
            "hello".to_owned(),
            "{\"schema\": 1,".repeat(LARGE / 13),
            "null".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            record.to_string()[..200].to_owned(),
            more.to_string(),
            without_cluster.to_string(),
            with(&record, "/phase", json!("exploded"))?,
            with(&record, "/claim_id", json!("../../etc/passwd"))?,
            with(&record, "/schema", json!("one"))?,
            with(&record, "/schema", json!(0))?,
        ];
        for text in texts {
            world.put(RECORD, &text)?;
            for node in [1, 2] {
                world.refuses(node, &UP, 6, &["control-plane/cluster.json", "it is not a cluster record"])?;
            }
        }
        world.put(RECORD, &with(&record, "/schema", json!(3))?)?;
        for node in [1, 2] {
            world.refuses(node, &UP, 6, &["schema 3", "install the version that wrote it"])?;
        }
        Ok(())
    })
}

#[test]
fn a_record_of_another_cluster_stops_everybody() -> Result<()> {
    a_cluster_and_a_fresh_machine(|world| {
        let record = world.record()?;
        let rows = [
            ("account", "210987654321"),
            ("region", "us-east-1"),
            ("endpoint", "api.other.internal:6443"),
            ("service_subnet", "10.200.0.0/16"),
        ];
        for (field, value) in rows {
            world.put(RECORD, &with(&record, &format!("/identity/{field}"), json!(value))?)?;
            for node in [1, 2] {
                world.refuses(node, &UP, 2, &[field, value, "another cluster's record"])?;
            }
        }
        world.put(RECORD, &with(&record, "/identity/group_arn", json!("arn:aws:autoscaling:other"))?)?;
        for node in [1, 2] {
            world.refuses(node, &UP, 6, &["arn:aws:autoscaling:other", "kubeboot up --accept-group"])?;
        }
        let accepted = world.on(1, &["kubeboot", "up", "--accept-group"])?;
        ensure!(accepted.code == 0, "{}", accepted.text());
        ensure!(world.record()? == record, "the group was not put right: {}", world.record()?);
        world.is_one_control_plane(&[1])
    })
}

#[test]
fn own_state_of_another_cluster_is_an_operators_to_decide() -> Result<()> {
    a_cluster_and_a_fresh_machine(|world| {
        let record = world.record()?;
        let rows = [
            ("/claim_id", A_UUID, "claim"),
            ("/phase", "retired", "given up by 'kubeboot retire'"),
            ("/cluster/kube_system_uid", A_UUID, "two clusters"),
        ];
        for (place, value, word) in rows {
            world.put(RECORD, &with(&record, place, json!(value))?)?;
            world.refuses(1, &UP, 6, &[word])?;
        }
        world.put(RECORD, record.to_string())?;
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1])
    })
}

#[test]
fn a_bundle_that_is_not_the_records_is_not_used() -> Result<()> {
    a_cluster_and_a_fresh_machine(|world| {
        let record = world.record()?;
        let key = record["cluster"]["pki_key"].as_str().context("no key")?;
        let bundle = world.text(key)?;
        world.remove(key)?;
        world.refuses(2, &UP, 6, &["PKI bundle", key, "is missing"])?;
        world.put(key, "garbage")?;
        world.refuses(2, &UP, 6, &["PKI bundle", key, "digest"])?;
        // Even a bundle whose digest is the record's must make sense.
        let parsed: Value = serde_json::from_str(&bundle)?;
        let texts = [
            "garbage".to_owned(),
            "{}".to_owned(),
            with(&parsed, "/schema", json!(2))?,
            with(&parsed, "/claim_id", json!(A_UUID))?,
        ];
        for text in texts {
            world.put(key, &text)?;
            world.put(RECORD, &with(&record, "/cluster/pki_digest", json!(digest(&text)))?)?;
            world.refuses(2, &UP, 6, &["PKI bundle", key])?;
        }
        world.put(key, &bundle)?;
        world.put(RECORD, record.to_string())?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])
    })
}

/// As the record writes it.
fn digest(text: &str) -> String {
    let hex: Vec<String> = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", hex.concat())
}

#[test]
fn garbage_where_only_hints_stand_holds_nobody_up() -> Result<()> {
    a_cluster_and_a_fresh_machine(|world| {
        let newer = with(&world.registration(1)?, "/schema", json!(2))?;
        world.put(&world.registration_key(1)?, &newer)?;
        world.put(&world.registration_key(2)?, "garbage")?;
        world.put("control-plane/nodes/i-0123456789abcdef0.json", "garbage")?;
        world.put("control-plane/nodes/i-0123456789abcdef1.json", "x".repeat(LARGE))?;
        world.put("control-plane/nodes/not-an-instance", "{}")?;
        world.put(LEASE, "x".repeat(LARGE))?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_wrong_hash_is_repaired_by_the_next_run() -> Result<()> {
    World::of(1).tell(|world| {
        world.all_up(&[1])?;
        let hash = world.text(HASH)?;
        for text in ["sha256:0000\n", ""] {
            world.put(HASH, text)?;
            let again = world.on(1, &UP)?;
            ensure!(again.code == 0 && again.stderr.contains("repairing"), "{}", again.text());
            ensure!(world.text(HASH)? == hash, "the hash is {:?}", world.text(HASH)?);
        }
        world.remove(HASH)?;
        ensure!(world.on(1, &UP)?.code == 0 && world.text(HASH)? == hash, "a missing hash was not published again");
        Ok(())
    })
}

#[test]
fn a_record_that_is_deleted_under_way_is_waited_for_and_nobody_claims_meanwhile() -> Result<()> {
    World::of(2).without_up().tell(|world| {
        world.kubeadm_fault(1, &json!({"init": {"after": "etcd", "hang": true, "times": 1}}))?;
        world.ask(&["run"])?;
        world.until_kubeadm_fault(1)?;
        world.until_logged(2, "to initialise")?;
        world.remove(RECORD)?;
        for node in [1, 2] {
            world.until_logged(node, "control-plane/cluster.json to come back: it is gone")?;
        }
        let keys = world.keys()?;
        ensure!(!keys.iter().any(|key| key.ends_with(RECORD)), "the record was written again: {keys:?}");
        world.undelete(RECORD)?;
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])
    })
}
