//! Thousands of machines that are gone: a living one does not pay for them, in requests.

use crate::support::World;
use crate::support::bucket::PREFIX;
use crate::support::command::Ended;
use crate::support::leaving::LEFT;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NODES: &str = "control-plane/nodes/";
const FORMER: &str = "control-plane/former/";

/// How many values EC2 takes in one filter.
const IN_ONE_CALL: usize = 200;

#[test]
fn what_is_in_the_former_folder_costs_nothing() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.fill(FORMER, 0..5000)?;
        let status = Calls::of(world, 1, || succeeds(world.on(1, &["kubeboot", "status"])?))?;
        status.are_at_most(&[("read a registration", 3), ("list", 2), ("DescribeInstances", 1)])?;
        // A machine dies, and another one leaves, which has to reap that one first.
        world.ask(&["kill", "3"])?;
        world.ask(&["ec2-state", "3", "terminated"])?;
        let leaving = Calls::of(world, 2, || world.goes_down(2, "poweroff")?.is(LEFT, &["reaping an etcd member"]))?;
        world.has_left(2, &[1])?;
        leaving.are_at_most(&[("read a registration", 12), ("list", 20), ("DescribeInstances", 3)])?;
        world.ask(&["launch", "--up"])?;
        let joining = Calls::of(world, 4, || world.all_up(&[4]))?;
        world.are_the_voters(&[1, 4])?;
        // Each of the four that there were, a few times: they change, and each says of itself what it does.
        joining.are_at_most(&[("read a registration", 40)])?;
        for calls in [status, leaving, joining] {
            ensure!(
                calls.0.iter().all(|call| !is_below(call, FORMER) || call["action"] != "GetObject"),
                "{:?}",
                calls.0
            );
        }
        ensure!(world.below(FORMER)?.len() >= 5000, "somebody has deleted former registrations");
        Ok(())
    })
}

#[test]
fn finished_registrations_are_read_once_and_moved_away() -> Result<()> {
    const FINISHED: usize = 500;
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.fill(NODES, 0..FINISHED)?;
        // Each source has five seconds, which emulated ones may need for less: what it says is no matter here.
        let status = Calls::of(world, 1, || world.on(1, &["kubeboot", "status"]).map(drop))?;
        let asked = FINISHED.div_ceil(IN_ONE_CALL) + 1;
        status.are_at_most(&[("read a registration", FINISHED + 3), ("list", 2), ("DescribeInstances", asked)])?;
        status.reads_each_once()?;
        world.ask(&["kill", "3"])?;
        world.ask(&["ec2-state", "3", "terminated"])?;
        let leaving = Calls::of(world, 2, || world.goes_down(2, "poweroff")?.is(LEFT, &["reaping an etcd member"]))?;
        world.has_left(2, &[1])?;
        // Of those whose member is gone, EC2 is not asked.
        leaving.are_at_most(&[("read a registration", FINISHED + 12), ("DescribeInstances", 3)])?;
        world.ask(&["ec2-state", "2", "terminated"])?;
        world.ask(&["launch", "--up"])?;
        world.all_up(&[4])?;
        // Its own run, and after that each next one of a member, moves what it comes to in its time.
        for _ in 0..10 {
            if world.below(NODES)?.len() <= 2 {
                break;
            }
            let run = Calls::of(world, 4, || succeeds(world.on(4, &["kubeboot", "up"])?))?;
            // Once to know it, once more before it is moved.
            run.are_at_most(&[("read a registration", 2 * FINISHED + 10), ("DescribeInstances", asked + 2)])?;
        }
        // The initialiser's stays, and the mover's own.
        let mut expected = vec![world.registration_key(1)?, world.registration_key(4)?];
        expected.sort();
        ensure!(world.below(NODES)? == expected, "{:?}", world.below(NODES)?);
        ensure!(world.below(FORMER)?.len() == FINISHED + 2, "{} were moved", world.below(FORMER)?.len());
        ensure!(world.registration(3)?["phase"] == "reaped", "{}", world.registration(3)?);
        ensure!(world.registration(2)?["phase"] == "left", "{}", world.registration(2)?);
        let joined = Calls::of(world, 4, || succeeds(world.on(4, &["kubeboot", "up"])?))?;
        joined.are_at_most(&[("read a registration", 4), ("DescribeInstances", 2)])
    })
}

#[test]
fn a_machine_that_has_left_and_is_still_there_keeps_its_registration() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        succeeds(world.on(2, &["kubeboot", "reset", "--now", "--yes"])?)?;
        succeeds(world.on(3, &["kubeboot", "up"])?)?;
        ensure!(world.object(&world.registration_key(2)?)?["phase"] == "left", "{}", world.registration(2)?);
        succeeds(world.on(2, &["kubeboot", "up"])?)?;
        world.are_whole(&[1, 2, 3])
    })
}

#[test]
fn with_the_former_folder_expired_an_older_record_is_still_found_out() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.ask(&["replace", "2"])?;
        world.all_up(&[4])?;
        let moved = world.below(FORMER)?;
        ensure!(!moved.is_empty(), "nothing was moved, so this proves nothing");
        for key in &moved {
            world.remove(key)?;
        }
        // The version before the flip.
        let making = world.records()?.into_iter().rfind(|record| record["phase"] == "initializing");
        world.put(crate::support::bucket::RECORD, making.context("there was a claim")?.to_string())?;
        world.ask(&["launch", "--up"])?;
        world.until_logged(5, "registered that there is a cluster of claim")?;
        world.are_the_voters_known(3, &[1, 3, 4])
    })
}

fn succeeds(ended: Ended) -> Result<()> {
    ensure!(ended.code == 0, "{}", ended.text());
    Ok(())
}

/// What one machine has asked AWS for during something.
struct Calls(Vec<Value>);

impl Calls {
    /// Those that `work` made on this machine.
    fn of(world: &World, node: usize, work: impl FnOnce() -> Result<()>) -> Result<Self> {
        let before = world.journal("requests")?.len();
        work()?;
        let id = world.id(node)?;
        let calls = world.journal("requests")?.into_iter().skip(before);
        Ok(Self(calls.filter(|call| call["node"] == id.as_str()).collect()))
    }

    /// Fails if there were more calls of a kind than these.
    fn are_at_most(&self, limits: &[(&str, usize)]) -> Result<()> {
        for (kind, most) in limits {
            let calls: Vec<_> = self.0.iter().filter(|call| is(call, kind)).collect();
            ensure!(calls.len() <= *most, "{} times '{kind}', at most {most} are ordinary: {calls:?}", calls.len());
        }
        Ok(())
    }

    fn reads_each_once(&self) -> Result<()> {
        let mut reads: BTreeMap<&str, usize> = BTreeMap::new();
        for call in self.0.iter().filter(|call| is(call, "read a registration")) {
            *reads.entry(call["key"].as_str().unwrap_or_default()).or_default() += 1;
        }
        ensure!(!reads.is_empty() && reads.values().all(|times| *times == 1), "{reads:?}");
        Ok(())
    }
}

fn is(call: &Value, kind: &str) -> bool {
    match kind {
        "read a registration" => call["action"] == "GetObject" && is_below(call, NODES),
        "list" => call["action"] == "ListObjectsV2",
        action => call["action"] == action,
    }
}

fn is_below(call: &Value, folder: &str) -> bool {
    call["key"].as_str().is_some_and(|key| key.starts_with(&format!("{PREFIX}/{folder}")))
}

impl World {
    /// Puts finished registrations of machines that EC2 does not know into a folder. They tell of this cluster.
    fn fill(&self, folder: &str, numbers: std::ops::Range<usize>) -> Result<()> {
        let claim = self.record()?["claim_id"].clone();
        let bodies = numbers.map(|n| {
            let instance = format!("i-0dead{n:012}");
            let body = json!({
                "schema": 1, "instance": instance, "phase": "left", "claim_id": claim, "ready_claim": claim,
                "node_name": format!("gone-{n}"), "provider_id": format!("aws:///eu-central-1a/{instance}"),
                "addresses": [format!("10.99.{}.{}", n / 250, n % 250)], "versions": {"kubeboot": "0.1.0"},
                "since": "2026-01-02T03:04:05Z", "updated": "2026-01-02T03:04:05Z",
            });
            (format!("{folder}{instance}.json"), body.to_string())
        });
        self.put_all(bodies)
    }

    /// The keys below a folder.
    fn below(&self, folder: &str) -> Result<Vec<String>> {
        let keys = self.keys()?.into_iter();
        let own = keys.filter_map(|key| key.strip_prefix(PREFIX)?.strip_prefix('/').map(str::to_owned));
        Ok(own.filter(|key| key.starts_with(folder) && key.ends_with(".json")).collect())
    }
}
