//! A record that is gone, or that somebody has put back to an earlier version: nobody claims over it, and an operator gives the
//! cluster up.

use crate::support::World;
use crate::support::bucket::{HASH, RECORD};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const UP_BRIEFLY: [&str; 8] = ["kubeboot", "up", "--claim-ttl", "3s", "--lease-ttl", "3s", "--deadline", "8s"];
const LOST: [&str; 4] = ["kubeboot", "retire", "--lost-record", "--yes"];
const LOST_JSON: [&str; 5] = ["kubeboot", "retire", "--lost-record", "--yes", "--json"];

/// A cluster of two loses its power and is terminated, and one new machine is launched, on which nothing has run yet.
fn everything_lost(story: impl FnOnce(&World, &str) -> Result<()>) -> Result<()> {
    World::of(2).without_up().set("gone_grace", "5s").tell(|world| {
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        let claim = world.record()?["claim_id"].as_str().context("a claim")?.to_owned();
        for node in [1, 2] {
            world.cut_power(node)?;
        }
        world.ask(&["desired", "0"])?;
        world.ask(&["desired", "1"])?;
        story(world, &claim)
    })
}

/// Runs a command on machine 3 that must end well, and returns its report.
fn report(world: &World, argv: &[&str]) -> Result<Value> {
    let ended = world.on(3, argv)?;
    ensure!(ended.code == 0, "{argv:?} ended with {}: {}", ended.code, ended.text());
    serde_json::from_str(&ended.stdout).with_context(|| format!("no JSON: {}", ended.text()))
}

/// Machine 3 makes a new cluster, with what the old one has left beside it.
fn a_new_cluster(world: &World, generation: u64) -> Result<()> {
    for node in [1, 2] {
        let old = world.registration(node)?;
        ensure!(old["retired"] == true && old["phase"] == "joined", "node {node} is not finished: {old}");
    }
    world.run_up(3)?;
    world.all_up(&[3])?;
    world.are_the_voters(&[3])?;
    let record = world.record()?;
    ensure!(record["phase"] == "ready" && record["generation"] == generation, "{record}");
    ensure!(record["cluster"]["ca_hashes"][0] == world.text(HASH)?.trim_end(), "the hash is {:?}", world.text(HASH)?);
    Ok(())
}

/// The record gives up the cluster of this claim, and does not say what it was.
fn is_given_up(world: &World, claim: &str, generation: u64) -> Result<()> {
    let record = world.record()?;
    ensure!(record["phase"] == "retired" && record["generation"] == generation, "{record}");
    ensure!(record["retired_claims"][0] == claim && record["claim_id"] != claim, "{record}");
    ensure!(record.get("cluster").is_none(), "{record}");
    ensure!(world.text(HASH)?.trim().is_empty(), "the hash is {:?}", world.text(HASH)?);
    Ok(())
}

#[test]
fn a_retirement_that_is_cut_off_is_finished_by_the_next_run() -> Result<()> {
    everything_lost(|world, claim| {
        let retire = ["kubeboot", "retire", "--cluster-id", claim, "--yes", "--json"];
        let second = format!("*/nodes/{}.json", world.id(2)?);
        world.fault("error=403/AccessDenied", &["--action", "PutObject", "--key", &second, "--times", "1"])?;
        let cut = world.on(3, &retire)?;
        ensure!(cut.code == 4 && cut.stderr.contains("run this again"), "it ended with {}: {}", cut.code, cut.text());
        ensure!(world.record()?["phase"] == "retired", "{}", world.record()?);
        ensure!(world.registration(2)?["retired"] != true, "the story proves nothing: {}", world.registration(2)?);
        let again = report(world, &retire)?;
        let finished: Vec<&str> =
            again["registrations_finished"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        ensure!(finished.contains(&world.id(2)?.as_str()) && again["hash_blanked"] == true, "{again}");
        ensure!(world.text(HASH)?.trim().is_empty(), "the hash is {:?}", world.text(HASH)?);
        let third = report(world, &retire)?;
        ensure!(third["registrations_finished"] == serde_json::json!([]) && third["hash_blanked"] == false, "{third}");
        a_new_cluster(world, 2)
    })
}

#[test]
fn a_deleted_record_is_waited_for_and_then_given_up_by_an_operator() -> Result<()> {
    everything_lost(|world, claim| {
        world.remove(RECORD)?;
        world.refuses(3, &UP_BRIEFLY, 6, &["the cluster record control-plane/cluster.json to come back"])?;
        let named = ["kubeboot", "retire", "--cluster-id", claim, "--yes"];
        world.refuses(3, &named, 2, &["restore the record's last version", "'kubeboot retire --lost-record'"])?;
        world.refuses(3, &LOST[..3], 2, &["If any later version of the record can be had", "add --yes"])?;
        let elsewhere = [&LOST[..], &["--prefix", "nothing-here"]].concat();
        world.refuses(3, &elsewhere, 2, &["nothing under this prefix says that there ever was"])?;
        let unknown = [&LOST[..], &["--group", "another"]].concat();
        world.refuses(3, &unknown, 2, &["--group NAME"])?;
        // The reply to the one write is lost; what stands in the bucket counts.
        world.fault("lost-reply", &["--action", "PutObject", "--key", "*/cluster.json", "--times", "1"])?;
        let given_up = report(world, &LOST_JSON)?;
        ensure!(given_up["retired"] == true && given_up["phase"] == "retired", "{given_up}");
        is_given_up(world, claim, 1)?;
        let again = report(world, &LOST_JSON)?;
        ensure!(again["retired"] == true && again["registrations_finished"] == serde_json::json!([]), "{again}");
        a_new_cluster(world, 2)
    })
}

#[test]
fn a_record_that_was_put_back_over_a_dead_cluster_is_given_up_by_an_operator() -> Result<()> {
    everything_lost(|world, claim| {
        world.put_version_back(RECORD, 1)?;
        ensure!(world.record()?["phase"] == "initializing", "{}", world.record()?);
        let words = ["an older version of the cluster record has come back", "'kubeboot retire --lost-record'"];
        world.refuses(3, &UP_BRIEFLY, 6, &words)?;
        let status = world.on(3, &["kubeboot", "status"])?;
        ensure!(status.says(words[0]), "{}", status.text());
        ensure!(report(world, &LOST_JSON)?["hash_blanked"] == true, "the hash was not taken away");
        is_given_up(world, claim, 2)?;
        a_new_cluster(world, 3)
    })
}

#[test]
fn a_lost_record_is_not_given_up_while_a_machine_of_its_cluster_lives() -> Result<()> {
    World::of(2).without_up().tell(|world| {
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        world.ask(&["launch"])?;
        let (one, two, three) = (world.id(1)?, world.id(2)?, world.id(3)?);
        world.remove(RECORD)?;
        let lives = |id: &str| format!("{id} has registered as 'joined' and is running: terminate it");
        let words = [&lives(&one)[..], &lives(&two), "an API server answers at", "accepts connections at port 2379"];
        let ended = world.refuses(3, &LOST, 6, &words)?;
        ensure!(!ended.text().contains(&three), "the machine on which it runs is fresh: {}", ended.text());
        world.put_version_back(RECORD, 1)?;
        world.refuses(3, &LOST, 6, &words)?;
        // The last version, which the story put back twice: before the deletion it was the one that is meant.
        let ready = world.versions(RECORD)?.into_iter().flatten().rfind(|text| text.contains("\"ready\""));
        world.put(RECORD, &ready.context("a ready record")?)?;
        world.refuses(3, &LOST, 2, &["which is retired by --cluster-id"])?;
        // A newcomer in the group could be about to make a cluster: only the one on which this runs was looked at.
        world.ask(&["launch"])?;
        world.remove(RECORD)?;
        let newcomer = format!("{} is in the group and is running: terminate it", world.id(4)?);
        world.refuses(3, &LOST, 6, &[&newcomer]).map(drop)
    })
}
