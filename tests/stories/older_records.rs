//! An earlier version of the cluster record comes back, as when an operator restores the wrong one. What only follows a later version
//! proves it: nothing but a stop may come of it, until the last version is back.

use crate::support::World;
use crate::support::bucket::{HASH, RECORD};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const UP: [&str; 2] = ["kubeboot", "up"];
const WENT_BACK: &str = "an older version of the cluster record has come back";

/// Writes the last version of the record with this phase anew, and returns it.
fn put_back_the_last(world: &World, phase: &str) -> Result<Value> {
    let versions = world.versions(RECORD)?;
    let is_it = |text: &String| serde_json::from_str::<Value>(text).is_ok_and(|record| record["phase"] == phase);
    let last = versions.iter().rposition(|version| version.as_ref().is_some_and(is_it));
    let last = last.with_context(|| format!("the record was never {phase}"))?;
    world.put_version_back(RECORD, i64::try_from(last)? + 1)?;
    world.record()
}

/// How often `kubeadm init` was run to its end, well or not.
fn inits(world: &World) -> Result<usize> {
    Ok(world.kubeadm()?.into_iter().filter(|command| command.argv[0] == "init").count())
}

#[test]
fn a_claim_put_back_over_a_living_cluster_makes_no_second_one() -> Result<()> {
    // Whoever believed this claim would find its holder silent after three seconds.
    let plan = World::of(4).without_up().set("expected_size", "3").set("settle_timeout", "1s");
    plan.set("claim_ttl", "3s").set("lease_ttl", "3s").set("claim_stagger", "1s").tell(|world| {
        for node in ["1", "2", "3"] {
            world.ask(&["run", node])?;
        }
        world.all_up(&[1, 2, 3])?;
        let (record, first) = (world.record()?, world.id(1)?);
        let older = put_back_the_last(world, "initializing")?;
        let claim = older["claim_id"].as_str().context("a claim")?;
        let words = [WENT_BACK, "registered that there is a cluster of claim", claim, "restore its last version"];

        // A machine that was launched into this, a member, and the holder of that claim with a disk as new.
        for node in [4, 2] {
            world.refuses(node, &UP, 6, &words)?;
        }
        world.ask(&["replace-root", "1", "--no-up"])?;
        world.refuses(1, &UP, 6, &words)?;
        let told = world.on(2, &["kubeboot", "status"])?;
        ensure!(told.code != 0 && told.says(WENT_BACK), "{}", told.text());

        // Registrations are hints that may be gone. The hash is left, which follows a flip only.
        for node in [1, 2, 3] {
            world.remove(&world.registration_key(node)?)?;
        }
        world.refuses(4, &UP, 6, &[WENT_BACK, "a discovery hash is published"])?;
        ensure!(inits(world)? == 1, "there was another init: {:?}", world.kubeadm()?);

        ensure!(put_back_the_last(world, "ready")? == record, "the last version is not back: {}", world.record()?);
        for node in [2, 3, 1, 4] {
            world.run_up(node)?;
        }
        world.all_up(&[1, 2, 3, 4])?;
        ensure!(world.record()? == record, "the record has changed: {}", world.record()?);
        ensure!(record["cluster"]["initialised_by"] == first.as_str(), "{record}");
        world.is_one_control_plane(&[1, 2, 3, 4])
    })
}

#[test]
fn neither_the_claim_of_a_retired_cluster_nor_its_retirement_comes_back_to_life() -> Result<()> {
    let plan = World::of(1).without_up().set("expected_size", "1").set("settle_timeout", "1s").set("gone_grace", "5s");
    plan.set("claim_ttl", "3s").set("lease_ttl", "3s").set("claim_stagger", "1s").tell(|world| {
        world.run_up(1)?;
        world.all_up(&[1])?;
        let claim = world.record()?["claim_id"].as_str().context("a claim")?.to_owned();
        world.ask(&["desired", "0"])?;
        world.ask(&["desired", "1"])?;
        let retired = world.on(2, &["kubeboot", "retire", "--cluster-id", &claim, "--yes"])?;
        ensure!(retired.code == 0, "{}", retired.text());

        // Its machine is gone, so whoever believed this claim would take it over at once.
        world.put_version_back(RECORD, 1)?;
        ensure!(world.record()?["phase"] == "initializing", "{}", world.record()?);
        world.refuses(2, &UP, 6, &[WENT_BACK, "restore its last version"])?;
        put_back_the_last(world, "retired")?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        let second = world.record()?;
        ensure!(second["phase"] == "ready" && second["claim_id"] != claim.as_str(), "{second}");

        // That the first one was retired says nothing of the second one.
        put_back_the_last(world, "retired")?;
        world.ask(&["launch", "--no-up"])?;
        for node in [3, 2] {
            world.refuses(node, &UP, 6, &[WENT_BACK, &world.id(2)?])?;
        }
        world.remove(&world.registration_key(2)?)?;
        ensure!(!world.text(HASH)?.trim().is_empty(), "no hash is published");
        world.refuses(3, &UP, 6, &[WENT_BACK])?;
        ensure!(put_back_the_last(world, "ready")? == second, "the last version is not back: {}", world.record()?);
        for node in [2, 3] {
            world.run_up(node)?;
        }
        world.all_up(&[2, 3])?;
        ensure!(inits(world)? == 2, "there was another init: {:?}", world.kubeadm()?);
        world.are_whole(&[2, 3])
    })
}
