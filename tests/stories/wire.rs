//! Faults on the wire to S3, Auto Scaling, EC2 and the metadata services: each class of them once for every kind of call,
//! and still one init, one cluster, and the right hash.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use serde_json::json;

/// The kinds of writes of the cluster record, which differ by their bodies only.
const CLAIM: &str = "*\"beat\": 0,*";
const BEAT: &str = "*\"beat\": [1-9]*";
const FLIP: &str = "*\"phase\": \"ready\"*";

/// Every kind of write that `up` sends, as a fault picks it.
const WRITES: [[&str; 4]; 7] = [
    ["--key", "*/cluster.json", "--body", CLAIM],
    ["--key", "*/cluster.json", "--body", BEAT],
    ["--key", "*/cluster.json", "--body", FLIP],
    ["--key", "*/membership-lease.json", "--action", "PutObject"],
    ["--key", "*/pki/*", "--action", "PutObject"],
    ["--key", "*/nodes/i-*.json", "--action", "PutObject"],
    ["--key", "*/discovery-token-ca-cert-hash", "--action", "PutObject"],
];

/// Two machines, and each of these effects once for every kind of write.
fn every_write_meets(effects: &[&str], claim_ttl: &str, story: impl FnOnce(&World) -> Result<()>) -> Result<()> {
    World::of(2).without_up().set("claim_ttl", claim_ttl).tell(|world| {
        for effect in effects {
            for which in WRITES {
                world.fault(effect, &[&which[..], &["--times", "1"]].concat())?;
            }
        }
        // However fast this computer is, the claim is held for long enough to beat: the bundle's write, or the read that
        // follows it, takes its time.
        world.fault("delay=4", &["--key", "*/pki/*", "--times", "1"])?;
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])?;
        world.every_fault_was_met()?;
        story(world)
    })
}

#[test]
fn writes_whose_replies_are_lost_are_read_back() -> Result<()> {
    every_write_meets(&["lost-reply"], "6s", |_| Ok(()))
}

#[test]
fn writes_whose_replies_lie_are_read_back() -> Result<()> {
    every_write_meets(&["error-after=500/InternalError"], "6s", |_| Ok(()))
}

#[test]
fn answers_that_decide_nothing_are_asked_for_again() -> Result<()> {
    let effects = ["error=409/ConditionalRequestConflict", "error=500/InternalError", "error=503/SlowDown", "cut"];
    every_write_meets(&effects, "6s", |_| Ok(()))
}

#[test]
fn denials_that_pass_are_waited_out() -> Result<()> {
    every_write_meets(&["error=403/AccessDenied"], "6s", |_| Ok(()))
}

#[test]
fn writes_that_hang_are_given_up_and_sent_again() -> Result<()> {
    every_write_meets(&["hang", "delay=1"], "30s", |_| Ok(()))
}

#[test]
fn writes_that_arrive_late_find_their_conditions_void() -> Result<()> {
    every_write_meets(&["late=5"], "6s", |world| {
        let landed = world.landed(WRITES.len())?;
        ensure!(landed.iter().all(|(_, status)| *status == 412), "a late write went through: {landed:?}");
        world.is_one_control_plane(&[1, 2])
    })
}

/// The one write that was made late has met a condition that no longer held, and is not what the record says.
fn it_lost(world: &World) -> Result<()> {
    let landed = world.landed(1)?;
    ensure!(landed.len() == 1 && landed[0].1 == 412, "the late write went through: {landed:?}");
    let (record, winner) = (world.record()?, world.id(2)?);
    ensure!(record["cluster"]["initialised_by"] == winner.as_str(), "the record is not node 2's: {record}");
    Ok(())
}

/// From the next write of this body on, nothing that node 1 writes into the record arrives in time: the first one lands so
/// many seconds later, the others never.
fn node_1_is_late(world: &World, body: &str, seconds: u32) -> Result<()> {
    let id = world.id(1)?;
    world.fault(
        &format!("late={seconds}"),
        &["--key", "*/cluster.json", "--body", body, "--node", &id, "--times", "1"],
    )?;
    world.fault("cut", &["--key", "*/cluster.json", "--body", body, "--node", &id])
}

/// Waits until node 1 has sent what will be late.
fn until_sent(world: &World) -> Result<()> {
    world.until("node 1 sends the write that will be late", RUN, || {
        let rules = world.ask(&["fault", "list"])?;
        Ok((rules[0]["hits"] == 1).then_some(()))
    })
}

#[test]
fn a_late_claim_loses_to_the_claim_that_came_before_it() -> Result<()> {
    World::of(2).without_up().set("claim_stagger", "2s").tell(|world| {
        node_1_is_late(world, CLAIM, 15)?;
        world.ask(&["run"])?;
        world.all_up(&[2, 1])?;
        it_lost(world)?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_late_beat_does_not_raise_a_dead_holder() -> Result<()> {
    let plan = World::of(2).without_up().set("claim_ttl", "4s").set("claim_stagger", "1s");
    plan.tell(|world| {
        world.kubeadm_fault(1, &json!({"init": {"after": "upload-config", "hang": true, "times": 1}}))?;
        node_1_is_late(world, BEAT, 15)?;
        world.ask(&["run"])?;
        until_sent(world)?;
        world.ask(&["kill", "1"])?;
        world.all_up(&[2])?;
        it_lost(world)?;
        world.ask(&["boot", "1", "--up"])?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_late_flip_of_a_holder_that_was_followed_makes_no_cluster() -> Result<()> {
    let plan = World::of(2).without_up().set("claim_ttl", "4s").set("claim_stagger", "1s");
    plan.tell(|world| {
        node_1_is_late(world, FLIP, 20)?;
        // It lives and goes on, but cannot even take its own claim over: nothing of it arrives.
        world.ask(&["run"])?;
        until_sent(world)?;
        world.fault("cut", &["--key", "*/cluster.json", "--action", "PutObject", "--node", &world.id(1)?])?;
        world.all_up(&[2, 1])?;
        it_lost(world)?;
        world.are_whole(&[1, 2])?;
        ensure!(world.log(1)?.contains("was followed by another"), "{}", world.log(1)?);
        Ok(())
    })
}

#[test]
fn reads_are_repeated_whatever_becomes_of_them() -> Result<()> {
    World::of(2).without_up().tell(|world| {
        let effects = [
            "error=500/InternalError",
            "error=503/SlowDown",
            "error=403/AccessDenied",
            "cut",
            "truncate",
            "hang",
            "delay=1",
        ];
        for effect in effects {
            for key in ["*/cluster.json", "*/membership-lease.json", "*/pki/*", "*/nodes/i-*.json"] {
                world.fault(effect, &["--action", "GetObject", "--key", key, "--times", "1"])?;
            }
            world.fault(effect, &["--action", "ListObjectsV2", "--times", "1"])?;
        }
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])?;
        world.every_fault_was_met()
    })
}

#[test]
fn a_group_that_answers_badly_is_asked_again() -> Result<()> {
    World::of(2).without_up().tell(|world| {
        let calls = [
            ["--service", "autoscaling", "--action", "DescribeAutoScalingInstances"],
            ["--service", "autoscaling", "--action", "DescribeAutoScalingGroups"],
            ["--service", "ec2", "--action", "DescribeInstances"],
        ];
        let effects = ["error=500/InternalFailure", "cut", "truncate", "hang"];
        for effect in effects {
            for call in calls {
                world.fault(effect, &[&call[..], &["--times", "1"]].concat())?;
            }
        }
        for (call, code) in calls.iter().zip(["AccessDenied", "Throttling", "RequestLimitExceeded"]) {
            world.fault(&format!("error=400/{code}"), &[&call[..], &["--times", "1"]].concat())?;
        }
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])?;
        world.every_fault_was_met()
    })
}

#[test]
fn a_metadata_service_that_answers_badly_is_asked_again() -> Result<()> {
    World::of(2).without_up().tell(|world| {
        let keys = [
            "api/token",
            "dynamic/instance-identity/document",
            "meta-data/local-hostname",
            "meta-data/iam/security-credentials/*",
        ];
        let effects = ["error=503/Busy", "error=401/Unauthorized", "cut", "truncate", "hang", "delay=0.5"];
        for effect in effects {
            for key in keys {
                world.fault(effect, &["--service", "imds", "--key", key, "--times", "1"])?;
            }
        }
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])?;
        world.every_fault_was_met()
    })
}
