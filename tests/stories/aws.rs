//! S3 and the other services: refusing, silent, slow, and a bucket on which nothing works.

use crate::support::World;
use crate::support::bucket::RECORD;
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The documented grace of a denial and of a machine that no group lists; and how much later `up` may end on a busy computer.
const GRACE: Duration = Duration::from_secs(120);
const LATE: Duration = Duration::from_secs(60);

#[test]
fn what_does_not_pass_ends_after_its_grace_with_the_remedy() -> Result<()> {
    World::of(3).without_up().that_waits().tell(|world| {
        world.fault("error=403/AccessDenied", &["--service", "s3", "--node", &world.id(1)?])?;
        world.ask(&["leave-group", "3"])?;
        let begun = Instant::now();
        let denied = world.start_on(1, &["kubeboot", "up"])?;
        let missing = world.start_on(2, &["kubeboot", "up", "--bucket", "kubeboot-elsewhere"])?;
        let unlisted = world.start_on(3, &["kubeboot", "up"])?;
        for (run, code, words) in [
            (denied, 4, ["AccessDenied", "allow 's3:GetObject'", "AWS has refused for 2 min"]),
            (missing, 4, ["kubeboot-elsewhere", "create the bucket, or correct the setting 'bucket'", "2 min"]),
            (unlisted, 2, ["has not listed this instance", "launch it from the group", "the setting 'group'"]),
        ] {
            let ended = run.wait(RUN)?;
            ensure!(ended.code == code, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
            for word in words {
                ensure!(ended.stderr.contains(word), "it does not say '{word}': {}", ended.stderr);
            }
        }
        let took = begun.elapsed();
        ensure!(took >= GRACE && took < GRACE + LATE, "that was borne for {took:?}");
        ensure!(world.kubeadm()?.is_empty(), "kubeadm ran: {:?}", world.kubeadm()?);
        Ok(())
    })
}

#[test]
fn a_slow_bucket_keeps_nobody_from_asking_who_is_in_the_group() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        world.fault("delay=3", &["--service", "s3", "--key", "*/cluster.json", "--times", "1"])?;
        let dry = world.on(1, &["kubeboot", "up", "--dry-run"])?;
        ensure!(dry.code == 0 && dry.stdout.starts_with("claim: "), "{}", dry.text());
        let calls = world.journal("requests")?;
        let first = |action: &str, key: &str, when: &str| {
            let key_of = |call: &Value| call["key"].as_str().unwrap_or_default().to_owned();
            let call = calls.iter().find(|call| call["action"] == action && key_of(call).ends_with(key));
            call.and_then(|call| call[when].as_f64())
        };
        let (record, group) = (first("GetObject", RECORD, "time"), first("DescribeAutoScalingGroups", "", "arrived"));
        ensure!(
            record.is_some() && group.is_some() && group < record,
            "the group was asked for after the record: {calls:?}"
        );
        let id = world.id(1)?;
        let own = calls
            .iter()
            .find(|call| call["action"] == "GetObject" && call["key"].as_str().is_some_and(|key| key.contains(&id)));
        ensure!(own.is_none(), "what only says something is not asked who this machine was: {own:?}");
        Ok(())
    })
}

#[test]
fn what_passes_is_waited_out() -> Result<()> {
    World::of(2).without_up().tell(|world| {
        world.fault("error=403/AccessDenied", &["--service", "s3", "--times", "4"])?;
        world.fault("error=503/SlowDown", &["--service", "s3", "--times", "8"])?;
        world.fault("cut", &["--service", "s3", "--times", "4"])?;
        world.fault("error=400/Throttling", &["--service", "autoscaling", "--times", "4"])?;
        world.fault("error=503/RequestLimitExceeded", &["--service", "ec2", "--times", "4"])?;
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_bucket_that_wants_the_encryption_to_be_named_gets_it_with_every_write() -> Result<()> {
    World::of(2).without_up().tell(|world| {
        let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let names_none = json!({"StringNotEquals": {"s3:x-amz-server-side-encryption": ["AES256", "aws:kms"]}});
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "*", "Condition": names_none});
        let (role, key) = ("arn:aws:iam::123456789012:role/machine", "arn:aws:kms:eu-central-1:123456789012:key/bucket");
        let policies = json!({
            "role": role, "policies": [{"Statement": [everything]}], "bucket": {"Statement": [deny]},
            "bucket_key": key, "keys": {key: {"Statement": [{"Effect": "Allow", "Principal": {"AWS": role}, "Action": "kms:*", "Resource": "*"}]}},
        });
        world.judge_by(&policies)?;
        let refused = world.on(1, &["kubeboot", "check"])?;
        ensure!(refused.code != 0 && refused.stdout.contains("'server_side_encryption' sends it"), "{}", refused.text());
        for node in [1, 2] {
            let file = world.disk(node)?.join("etc/kubeboot/environment");
            std::fs::write(file, "KUBEBOOT_SERVER_SIDE_ENCRYPTION=AES256\n")?;
        }
        world.ask(&["run"])?;
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_bucket_that_ignores_conditions_is_refused() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        world.fault("ignore-conditions", &["--service", "s3"])?;
        let ended = world.on(1, &["kubeboot", "up"])?;
        ensure!(ended.code == 2, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        ensure!(ended.stderr.contains("condition"), "{}", ended.stderr);
        ensure!(!world.keys()?.iter().any(|key| key.ends_with(RECORD)), "it claimed all the same");
        ensure!(world.kubeadm()?.is_empty(), "kubeadm ran: {:?}", world.kubeadm()?);
        Ok(())
    })
}
