//! Machines of two versions of kubeboot in one group, as while the group replaces its machines: what a later version has written, and
//! by `dev/versions-side-by-side` the version before itself.

use crate::support::World;
use crate::support::bucket::RECORD;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const STRANGER: &str = "control-plane/nodes/i-0123456789abcdef0.json";

/// This registration, as a later version may write it.
fn later(registration: &Value, instance: &str) -> Value {
    let mut later = registration.clone();
    (later["instance"], later["phase"]) = (json!(instance), json!("hibernating"));
    later["sleep"] = json!({"state": "deep"});
    later
}

#[test]
fn nobody_makes_a_cluster_beside_a_phase_that_nobody_knows_and_with_a_cluster_it_holds_nobody_up() -> Result<()> {
    let plan = World::of(2).without_up().set("expected_size", "1").set("settle_timeout", "1s").set("lease_ttl", "3s");
    plan.tell(|world| {
        let stranger = json!({
            "schema": 1, "instance": "i-0123456789abcdef0", "phase": "hibernating", "node_name": "n", "provider_id": "",
            "addresses": [], "versions": {"kubeboot": "99.0.0"}, "since": "", "updated": "", "sleep": {"state": "deep"},
        });
        world.put(STRANGER, stranger.to_string())?;
        world.run_up(1)?;
        world.until_logged(1, "i-0123456789abcdef0 to say something")?;
        world.until_logged(1, "if a newer kubeboot wrote them, install it here")?;
        ensure!(world.text(RECORD).is_err(), "there is a record: {}", world.record()?);
        world.remove(STRANGER)?;
        world.all_up(&[1])?;

        let said = later(&world.registration(1)?, &world.id(1)?);
        world.put(&world.registration_key(1)?, said.to_string())?;
        world.put(STRANGER, stranger.to_string())?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        ensure!(world.registration(1)? == said, "it was rewritten: {}", world.registration(1)?);
        ensure!(world.object(STRANGER)? == stranger, "it was rewritten: {}", world.object(STRANGER)?);
        let told = world.on(2, &["kubeboot", "status"])?;
        ensure!(told.stdout.contains("hibernating"), "{}", told.text());
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_record_of_a_later_schema_stops_every_command_that_goes_by_it() -> Result<()> {
    World::of(2).tell_after_the_first(|world| {
        let record = world.record()?;
        let mut later = record.clone();
        (later["schema"], later["saved"]) = (json!(3), json!({"key": "snapshots/1"}));
        world.put(RECORD, later.to_string())?;
        let claim = record["claim_id"].as_str().context("a claim")?;
        let commands: [&[&str]; 4] = [
            &["kubeboot", "up"],
            &["kubeboot", "reap"],
            &["kubeboot", "retire", "--cluster-id", claim, "--yes"],
            &["kubeboot", "retire", "--lost-record", "--yes"],
        ];
        for node in [1, 2] {
            for command in commands {
                let told = world.refuses(node, command, 6, &["schema 3", "install the version that wrote it"])?;
                ensure!(!told.stderr.contains("restore"), "an older version is to be put back: {}", told.text());
            }
            for command in ["status", "check"] {
                let told = world.on(node, &["kubeboot", command])?;
                let text = told.text();
                ensure!(told.code != 0 && text.contains("schema 3") && !text.contains("restore its last"), "{text}");
            }
        }
        ensure!(world.record()? == later, "the record was written: {}", world.record()?);
        Ok(())
    })
}

/// The two versions: that of before, and this one.
fn versions() -> Result<[String; 2]> {
    let before =
        std::env::var("KUBEBOOT_BEFORE").context("KUBEBOOT_BEFORE names no binary: dev/versions-side-by-side")?;
    Ok([before, "kubeboot".to_owned()])
}

/// Three machines boot at once, the odd ones with one version, the other with the other; then each is replaced by one of the other.
fn side_by_side([odd, even]: [String; 2]) -> Result<()> {
    World::of(3).without_up().set("claim_stagger", "1s").tell(|world| {
        let version = |node: usize| if node % 2 == 1 { &odd } else { &even };
        let boot = |node: usize| world.start_on(node, &[version(node), "up"]);
        let booted: Vec<_> = (1..=3).map(boot).collect::<Result<_>>()?;
        for up in booted {
            let ended = up.wait(RUN)?;
            ensure!(ended.code == 0, "{}", ended.text());
        }
        world.is_one_control_plane(&[1, 2, 3])?;
        for node in 1..=3 {
            // Node 4 takes the place of node 1: one more, so of the other version.
            world.ask(&["replace", &node.to_string(), "--no-up"])?;
            let ended = boot(node + 3)?.wait(RUN)?;
            ensure!(ended.code == 0, "{}", ended.text());
            let again = world.on(node + 3, &[version(node), "up"])?;
            ensure!(again.code == 0, "a voter of the other version: {}", again.text());
            ensure!(
                world.on(node + 3, &[version(node), "status"])?.code == 0,
                "{}",
                world.on(node + 3, &[version(node), "status"])?.text()
            );
        }
        world.is_one_control_plane(&[4, 5, 6])
    })
}

#[test]
#[ignore = "it takes the binary of the version before: dev/versions-side-by-side"]
fn the_version_before_makes_the_cluster_and_this_one_joins() -> Result<()> {
    side_by_side(versions()?)
}

#[test]
#[ignore = "it takes the binary of the version before: dev/versions-side-by-side"]
fn this_version_makes_the_cluster_and_the_version_before_joins() -> Result<()> {
    let [before, now] = versions()?;
    side_by_side([now, before])
}
