//! Settings of every wrong kind: refused by name, with where each came from and what is valid, before anything is done.

use crate::support::World;
use anyhow::{Context, Result, ensure};

/// A flag's name, a value that is wrong, and what the error says about it.
const FLAGS: [(&str, &str, &str); 31] = [
    ("cluster", "no spaces", "letters, digits"),
    ("bucket", "s3://kubeboot-demo", "no URL and no ARN"),
    ("bucket", "arn:aws:s3:::kubeboot-demo", "no URL and no ARN"),
    ("bucket", "UPPER", "the name of an S3 bucket"),
    ("prefix", "/demo", "must not begin or end with '/'"),
    ("prefix", "../demo", "'.' or '..'"),
    ("endpoint", "api.demo.internal", "HOST:PORT"),
    ("endpoint", "https://api.demo.internal:6443", "HOST:PORT"),
    ("endpoint", "api.demo.internal:0", "HOST:PORT"),
    ("endpoint", "fd00::1:6443", "in brackets"),
    ("expected-size", "0", "a whole number from 1 to 7"),
    ("expected-size", "8", "a whole number from 1 to 7"),
    ("expected-size", "three", "it is no whole number"),
    ("group", "arn:aws:autoscaling:x:1:autoScalingGroup:2:autoScalingGroupName/demo", "give the name alone, 'demo'"),
    ("region", "eu-central-1a", "its Region would be 'eu-central-1'"),
    ("region", "Frankfurt", "the name of an AWS Region"),
    ("kms-key-id", "my key", "alias/NAME"),
    ("kubeadm-config", "kubeadm.yaml", "it is not absolute"),
    ("extra-shared-files", "/var/lib/x", "below /etc"),
    ("extra-shared-files", "/etc/../root/x", "'..'"),
    ("node-name", "Node_1", "lower case"),
    ("cloud-provider", "aws", "one of: none, external"),
    ("settle-timeout", "600", "600 seconds are '600s'"),
    ("claim-ttl", "1s", "it is too short"),
    ("claim-ttl", "45m", "it must be shorter than deadline"),
    ("lease-ttl", "-5s", "a time with its unit"),
    ("init-attempts", "0", "a whole number from 1 to 10"),
    ("gone-grace", "soon", "a time with its unit"),
    ("deadline", "2 days", "it is too long"),
    ("kubernetes-upgrade", "on", "one of: off, by-image"),
    ("log-level", "loud", "one of: error, warn, info, debug, trace"),
];

#[test]
fn every_wrong_setting_is_refused_by_name_and_nothing_is_done() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        let before = world.before(1)?;
        for (flag, value, why) in FLAGS {
            let argv = ["kubeboot", "up", &format!("--{flag}={value}")];
            let from = format!("flag --{flag}");
            world.refuses(1, &argv, 2, &[&flag.replace('-', "_"), &from, value, why])?;
        }
        let variable = ["env", "KUBEBOOT_EXPECTED_SIZE=none", "kubeboot", "up"];
        world.refuses(1, &variable, 2, &["expected_size", "variable KUBEBOOT_EXPECTED_SIZE", "from 1 to 7"])?;
        before.nothing_at_all_changed()
    })
}

/// The text of a file of settings, and what the error says about it.
const FILES: [(&str, &[&str]); 7] = [
    (
        "",
        &["bucket is not given", "KUBEBOOT_BUCKET", "--bucket", "endpoint is not given", "neither cluster nor prefix"],
    ),
    ("bucket = ", &["bad.toml:1: no valid TOML"]),
    ("cluster = 'a'\nbuket = 'b'\n", &["bad.toml:2", "buket", "bucket"]),
    ("cluster = 'a'\nbucket = 5\nendpoint = 'a:1'\n", &["bucket", "bad.toml:2"]),
    ("cluster = 'a'\nbucket = ['b']\nendpoint = 'a:1'\n", &["bucket", "bad.toml:2", "a list"]),
    ("[cluster]\nname = 'a'\n", &["cluster", "bad.toml:1"]),
    ("cluster = 'a'\ncluster = 'b'\n", &["bad.toml:2", "cluster"]),
];

#[test]
fn every_wrong_file_is_refused_with_its_line_and_nothing_is_done() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        let argv = ["kubeboot", "up", "--config", "/etc/bad.toml"];
        let before = world.before(1)?;
        world.refuses(1, &argv, 2, &["/etc/bad.toml"])?;
        for (text, words) in FILES {
            std::fs::write(world.disk(1)?.join("etc/bad.toml"), text)?;
            world.refuses(1, &argv, 2, words)?;
        }
        std::fs::write(world.disk(1)?.join("etc/bad.toml"), [0xff, 0xfe])?;
        world.refuses(1, &argv, 2, &["/etc/bad.toml", "UTF-8"])?;
        before.nothing_at_all_changed()
    })
}

/// The text of a file of kubeadm documents, and what the error says about it.
const DOCUMENTS: [(&str, &[&str]); 6] = [
    ("not: [yaml", &["kubeadm.yaml"]),
    ("apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\n", &["v1beta3", "kubeadm config migrate"]),
    ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\ncertificateKey: 'aa'\n", &["certificateKey"]),
    (
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\ncontrolPlaneEndpoint: other:6443\n",
        &["controlPlaneEndpoint", "other:6443"],
    ),
    (
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: {tlsBootstrapToken: x}\n",
        &["discovery"],
    ),
    (
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\netcd: {local: {extraArgs: [{name: \
         strict-reconfig-check, value: 'false'}]}}\n",
        &["strict-reconfig-check"],
    ),
];

#[test]
fn kubeadm_documents_that_contradict_kubeboot_are_refused_by_name() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        let argv = ["kubeboot", "up", "--kubeadm-config", "/etc/kubeadm.yaml"];
        let before = world.before(1)?;
        world.refuses(1, &argv, 2, &["/etc/kubeadm.yaml"])?;
        for (text, words) in DOCUMENTS {
            std::fs::write(world.disk(1)?.join("etc/kubeadm.yaml"), text)?;
            world.refuses(1, &argv, 2, words)?;
        }
        before.nothing_at_all_changed()
    })
}

/// What the units get from systemd, whoever runs a command by hand gets, too.
#[test]
fn every_command_by_hand_obeys_the_units_own_variables() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        let (disk, moved) = (world.disk(1)?, "bucket");
        let config = std::fs::read_to_string(disk.join("etc/kubeboot/config.toml"))?;
        let (bucket, rest): (Vec<&str>, Vec<&str>) = config.lines().partition(|line| line.starts_with(moved));
        std::fs::write(disk.join("etc/kubeboot/config.toml"), rest.join("\n"))?;
        let value = bucket.first().and_then(|line| line.split_once('=')).context("a bucket")?.1.trim();
        let up = world.on(1, &["kubeboot", "up"])?;
        ensure!(up.code == 2 && up.stderr.contains("bucket is not given"), "{}", up.text());
        let variables = format!("# the bucket\nKUBEBOOT_BUCKET={value}\nno variable\nKUBEBOOT_LOG_LEVEL=debug\n");
        std::fs::write(disk.join("etc/kubeboot/environment"), variables)?;
        for (argv, code) in [
            (&["kubeboot", "up", "--dry-run"][..], 0),
            (&["kubeboot", "up"], 0),
            (&["kubeboot", "status"], 0),
            (&["kubeboot", "check"], 0),
            (&["kubeboot", "reap", "--dry-run"], 0),
            (&["kubeboot", "reset", "--now", "--dry-run"], 0),
            (&["kubeboot", "retire", "--lost-record", "--yes"], 2),
        ] {
            let ended = match argv {
                ["kubeboot", "check"] => world.check(1, &[], || Ok(()))?,
                _ => world.on(1, argv)?,
            };
            ensure!(ended.code == code, "{argv:?} ended with {}: {}", ended.code, ended.text());
            ensure!(
                ended.stderr.contains("/etc/kubeboot/environment:3 is no NAME=VALUE"),
                "{argv:?}: {}",
                ended.text()
            );
        }
        // What is set by hand wins.
        let elsewhere = world.on(1, &["env", "KUBEBOOT_BUCKET=kubeboot-elsewhere", "kubeboot", "up", "--dry-run"])?;
        ensure!(
            elsewhere.code == 4 && elsewhere.text().contains("create the bucket"),
            "{}: {}",
            elsewhere.code,
            elsewhere.text()
        );
        Ok(())
    })
}

#[test]
fn a_dry_run_says_what_comes_next_and_touches_nothing() -> Result<()> {
    let plan = World::of(2).without_up().set("expected_size", "1");
    plan.tell(|world| {
        let foretold = |node: usize, word: &str| -> Result<()> {
            let before = world.before(node)?;
            let ended = world.on(node, &["kubeboot", "up", "--dry-run"])?;
            ensure!(ended.code == 0 && ended.stdout.starts_with(word), "not '{word}' but: {}", ended.text());
            before.nothing_at_all_changed()
        };
        foretold(1, "wait: waiting for the group to settle: 2 candidates, 1 expected")?;
        world.ask(&["lifecycle", "2", "Standby"])?;
        foretold(1, "claim: ")?;
        foretold(2, "stand-by: ")?;
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.ask(&["lifecycle", "2", "InService"])?;
        foretold(1, "keep: ")?;
        foretold(2, "join: ")
    })
}
