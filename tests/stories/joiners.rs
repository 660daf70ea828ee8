//! Machines that join: behind a load balancer without targets, through failures, and not with another minor version.

use crate::support::World;
use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

#[test]
fn everybody_joins_while_the_load_balancer_refuses_everybody() -> Result<()> {
    World::of(3).option("--lb", "none").tell(|world| {
        let hosts = std::fs::read(world.disk(2)?.join("etc/hosts"))?;
        world.all_up(&[1, 2, 3])?;
        world.is_one_control_plane(&[1, 2, 3])?;
        ensure!(std::fs::read(world.disk(2)?.join("etc/hosts"))? == hosts, "the machine's own hosts file was changed");
        Ok(())
    })
}

/// As measured with etcd 3.6: a promoted voter serves its clients seconds later, and a join lasts longer than a lease.
#[test]
fn voters_that_serve_late_and_joins_that_outlast_the_lease_make_one_control_plane() -> Result<()> {
    let plan = World::of(3).without_up().env("STANDIN_ETCD_LATE", "5").set("lease_ttl", "6s");
    plan.tell(|world| {
        for node in [1, 2, 3] {
            world.kubeadm_fault(node, &json!({"join": {"after": "control-plane-join", "seconds": 4}}))?;
        }
        world.ask(&["run"])?;
        world.all_up(&[1, 2, 3])?;
        for node in [1, 2, 3] {
            let log = world.log(node)?;
            ensure!(!log.contains("quorum lost"), "node {node} takes a late voter for a lost one: {log}");
        }
        let joins = world.kubeadm()?.into_iter().filter(|command| command.argv[0] == "join").count();
        ensure!(joins == 2, "two machines joined {joins} times");
        world.is_one_control_plane(&[1, 2, 3])
    })
}

/// The join of machine 2 hangs after this phase, once; whatever the story does then, both are a cluster in the end.
fn interrupted(phase: &str, story: impl FnOnce(&World) -> Result<()>) -> Result<()> {
    World::of(2).tell_in_a_join(phase, |world| {
        story(world)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn kubeadm_killed_before_etcd_knew_the_machine_is_started_again() -> Result<()> {
    interrupted("kubelet-start", |world| world.kill_program(2, "kubeadm"))
}

#[test]
fn kubeadm_killed_after_etcd_accepted_the_machine_is_started_again() -> Result<()> {
    interrupted("etcd-join", |world| world.kill_program(2, "kubeadm"))
}

#[test]
fn kubeboot_killed_in_the_middle_of_a_join_goes_on_when_it_is_started_again() -> Result<()> {
    World::of(2).tell_in_a_join("etcd-join", |world| {
        world.kill_program(2, "kubeboot")?;
        ensure!(world.up_ended(2)? != 0, "it was not killed");
        let credentials = world.root(2)?.join("run/kubeboot/short-lived/up/credentials");
        ensure!(credentials.exists(), "this story looks for them in the wrong place");
        // The next start removes them, even if it comes to nothing.
        let up = world.on(2, &["kubeboot", "up", "--claim-ttl", "3s", "--lease-ttl", "3s", "--deadline", "4s"])?;
        ensure!(up.code == 3 || up.code == 5, "{}", up.text());
        ensure!(!credentials.exists(), "credentials are left in '{}'", credentials.display());
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn kubeboot_asked_to_stop_in_the_middle_of_a_join_leaves_no_credentials_and_goes_on_when_it_is_started_again()
-> Result<()> {
    interrupted("etcd-join", |world| {
        let credentials = world.root(2)?.join("run/kubeboot/short-lived/up/credentials");
        ensure!(credentials.exists(), "this story looks for them in the wrong place");
        world.signal_program(2, "kubeboot", Signal::TERM)?;
        ensure!(world.up_ended(2)? != 0, "it went on");
        ensure!(!credentials.exists(), "credentials were left in '{}'", credentials.display());
        world.run_up(2)
    })
}

#[test]
fn a_machine_that_loses_power_in_the_middle_of_a_join_goes_on_after_its_boot() -> Result<()> {
    interrupted("etcd-join", |world| {
        world.ask(&["kill", "2"])?;
        world.ask(&["boot", "2", "--up"]).map(drop)
    })
}

#[test]
fn a_join_that_always_fails_leaves_no_member_behind() -> Result<()> {
    World::of(2).set("claim_ttl", "3s").set("lease_ttl", "3s").tell_after_the_first(|world| {
        world.kubeadm_fault(2, &json!({"join": {"after": "etcd-join", "exit": 1}}))?;
        let ended = world.on(2, &["kubeboot", "up", "--deadline", "25s"])?;
        ensure!(ended.code == 5, "'kubeboot up' ended with {}: {}", ended.code, ended.text());
        ensure!(ended.stderr.contains("deadline") && ended.stderr.contains("kubeadm join"), "{}", ended.stderr);
        // With pauses of 2, 4 and 8 s, or fewer on a busy computer.
        let attempts = ended.stderr.matches("join failed").count();
        ensure!(attempts <= 4, "{attempts} attempts in 25 s: {}", ended.stderr);
        world.are_the_voters(&[1])?;
        world.run_up(2)?;
        world.until_logged(2, "another attempt, in about 2 s, after a failed join")?;
        world.until_logged(2, "join failed with the same error, 2 times in all")?;
        world.until_logged(2, "another attempt, in about 4 s, after a failed join")?;
        world.kubeadm_fault(2, &Value::Null)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn another_minor_version_stops_before_it_touches_etcd() -> Result<()> {
    World::of(2).tell_after_the_first(|world| {
        world.pretend(2, "STANDIN_KUBEADM_VERSION", "v1.35.4")?;
        world.refuses(2, &["kubeboot", "up"], 6, &["v1.35.4", "v1.36.1", "minor version"])?;
        world.are_the_voters(&[1])
    })
}

#[test]
fn a_proxy_is_for_aws_alone() -> Result<()> {
    // Nobody listens there: whatever went through it would fail.
    World::of(2).env("HTTPS_PROXY", "http://127.0.0.1:9").env("HTTP_PROXY", "http://127.0.0.1:9").tell(|world| {
        world.all_up(&[1, 2])?;
        world.is_one_control_plane(&[1, 2])?;
        let manifest = std::fs::read_to_string(world.disk(2)?.join("etc/kubernetes/manifests/kube-apiserver.yaml"))?;
        ensure!(!manifest.contains("PROXY"), "kubeadm has seen the proxy: {manifest}");
        Ok(())
    })
}

#[test]
fn a_machine_in_the_queue_asks_s3_four_times_a_second_at_the_most() -> Result<()> {
    World::of(3).tell_in_a_join("kubelet-start", |world| {
        world.run_up(3)?;
        world.until_logged(3, "waiting for the membership lease")?;
        let times = world.s3_reads(3, 60)?;
        let seconds = times[59] - times[0];
        ensure!(seconds >= 59.0 / 4.0, "60 requests in {seconds:.1} s");
        Ok(())
    })
}
