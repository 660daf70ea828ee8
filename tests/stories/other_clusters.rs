//! There is a cluster behind the endpoint already, and the record under this prefix is not its, or is gone: nobody makes a second
//! one, and everybody says what was found. What is no API server is no obstacle.

use crate::support::World;
use crate::support::bucket::RECORD;
use crate::support::strangers::ENDPOINT;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

const UP: [&str; 2] = ["kubeboot", "up"];
const THERE_IS_ONE: &str = "there is a cluster already, and this record is not its";
/// A run with a prefix that no cluster has.
const ANOTHER: [&str; 4] = ["kubeboot", "up", "--prefix", "another"];

/// Fails if anybody has claimed anything under the other prefix.
fn nothing_is_claimed_there(world: &World) -> Result<()> {
    let keys = world.keys()?;
    ensure!(
        !keys.iter().any(|key| key.starts_with("another/") && key.ends_with(RECORD)),
        "there is a record: {keys:?}"
    );
    Ok(())
}

/// Every object of the bucket, with its text as base64.
fn everything(world: &World) -> Result<Vec<(String, Vec<u8>)>> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let read = |key: String| {
        let body = world.ask(&["s3", "get", &key])?["body"].as_str().context("a body")?.to_owned();
        Ok((key, STANDARD.decode(body)?))
    };
    world.keys()?.into_iter().map(read).collect()
}

/// Writes these objects anew.
fn restore(world: &World, objects: &[(String, Vec<u8>)]) -> Result<()> {
    let file = world.path("restored");
    for (key, body) in objects {
        std::fs::write(&file, body)?;
        world.ask(&["s3", "put", key, &file.display().to_string()])?;
    }
    Ok(())
}

#[test]
fn whoever_answers_as_an_api_server_is_a_cluster_and_nothing_else_is() -> Result<()> {
    World::of(2).without_up().set("expected_size", "1").set("settle_timeout", "1s").tell(|world| {
        for status in ["401", "403"] {
            world.stranger(ENDPOINT, status)?;
            let ways_out = ["correct 'bucket' and 'prefix'", "restore its record's last version", "correct 'endpoint'"];
            let words = [&[THERE_IS_ONE, "the endpoint api.demo.internal:6443"][..], &ways_out].concat();
            world.refuses(1, &UP, 6, &words)?;
            world.no_strangers()?;
        }
        // At a machine of the group only, behind a load balancer that has not noticed.
        world.stranger("2", "403")?;
        let ended = world.refuses(1, &UP, 6, &[THERE_IS_ONE, &world.id(2)?])?;
        ensure!(!ended.text().contains("at the endpoint"), "nobody answers there: {}", ended.text());
        world.no_strangers()?;

        // What load balancers without targets do, and another program's TLS.
        world.stranger(ENDPOINT, "silent")?;
        world.stranger("2", "other")?;
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.no_strangers()?;
        world.is_one_control_plane(&[1])?;

        // A machine with another prefix, behind the endpoint that serves this cluster.
        let first = world.id(1)?;
        let ended = world.on(2, &ANOTHER)?;
        ensure!(ended.code == 6, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        ensure!(ended.text().contains(THERE_IS_ONE) && ended.text().contains(&first), "{}", ended.text());
        nothing_is_claimed_there(world)?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_record_that_is_gone_is_waited_for_and_an_emptied_prefix_is_no_chance() -> Result<()> {
    World::of(2).tell_after_the_first(|world| {
        let (record, written) = (world.record()?, world.records()?.len());
        world.remove(RECORD)?;
        world.run_up(2)?;
        world.until_logged(2, "the cluster record control-plane/cluster.json to come back")?;
        let briefly = ["kubeboot", "up", "--claim-ttl", "3s", "--lease-ttl", "3s", "--deadline", "6s"];
        // A member waits, too, and touches nothing.
        let member = world.before(1)?;
        let ended = world.on(1, &briefly)?;
        ensure!(ended.code == 6, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        ensure!(
            ended.stderr.contains("the cluster record control-plane/cluster.json to come back"),
            "{}",
            ended.stderr
        );
        member.the_disk_is_the_same()?;
        ensure!(world.records()?.len() == written, "somebody wrote a record: {:?}", world.records()?);
        world.undelete(RECORD)?;
        world.run_up(1)?;
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])?;

        // Not even a delete marker tells that there was a record.
        let objects = everything(world)?;
        world.forget_all_objects()?;
        world.ask(&["launch", "--no-up"])?;
        let words = [THERE_IS_ONE, &world.id(1)?, &world.id(2)?, "an API server answers at"];
        // That nobody is left with a registration is not what stops it.
        world.until("everybody to answer", Duration::from_secs(60), || {
            let ended = world.on(3, &UP)?;
            ensure!(ended.code == 6, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
            Ok(words.iter().all(|word| ended.text().contains(word)).then_some(()))
        })?;
        let keys = world.keys()?;
        ensure!(!keys.iter().any(|key| key.ends_with(RECORD)), "somebody wrote a record: {keys:?}");
        restore(world, &objects)?;
        world.run_up(3)?;
        world.all_up(&[3])?;
        ensure!(world.record()? == record, "the record has changed: {}", world.record()?);
        world.is_one_control_plane(&[1, 2, 3])
    })
}
