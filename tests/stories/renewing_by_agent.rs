//! Certificates near their end, which the agents renew: one machine at a time, and while everybody answers.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

/// Where the Lease lies in etcd.
const LEASE: &str = "/registry/leases/kube-system/kubeboot-renew";
const DUE: [&str; 2] = ["front-proxy-client", "scheduler.conf"];
const DONE: &str = "the certificates that were due are renewed";

#[test]
fn three_agents_renew_what_ends_soon_one_machine_after_the_other() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        for node in 1..=3 {
            world.shorten(node, "480h", &DUE)?;
        }
        // The first one cannot finish: what it has ended comes back by its kubelet alone.
        world.renews(1, &["systemctl", "stop", "kubelet"], 0, &[])?;
        let first = world.start_agent(1)?;
        world.until_agent_says(&first, "restarting kube-scheduler")?;
        let (second, third) = (world.start_agent(2)?, world.start_agent(3)?);
        let held = format!("'{}' holds the Lease", world.id(1)?);
        world.until_agent_says(&second, &held)?;
        world.until_agent_says(&third, &held)?;
        ensure!(world.renewed(2)?.is_empty() && world.renewed(3)?.is_empty(), "two machines renew at once");
        world.renews(1, &["systemctl", "start", "kubelet"], 0, &[])?;
        for (node, agent) in (1..).zip([&first, &second, &third]) {
            world.until_agent_says(agent, DONE)?;
            let mut renewed = world.renewed(node)?;
            renewed.sort();
            ensure!(renewed == DUE, "{renewed:?}, and not {DUE:?}: {}", agent.said()?);
            ensure!(agent.said()?.contains("restarted kube-scheduler"), "{}", agent.said()?);
        }
        let lease: Value = serde_json::from_str(&world.etcd_value(1, LEASE)?).context("a Lease")?;
        ensure!(lease["spec"]["leaseTransitions"] == 2, "each of the three has held it: {lease}");
        ensure!(lease["spec"]["holderIdentity"].as_str().is_none_or(str::is_empty), "somebody keeps it: {lease}");
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn an_agent_waits_for_a_silent_voter_until_the_last_week() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.shorten(1, "480h", &["front-proxy-client"])?;
        world.ask(&["kill", "3"])?;
        let agent = world.start_agent(1)?;
        world.until_agent_says(&agent, "certificates are not renewed for now")?;
        ensure!(agent.said()?.contains("does not answer"), "{}", agent.said()?);
        ensure!(world.renewed(1)?.is_empty(), "{:?}", world.renewed(1)?);
        let held = world.etcd_value(1, LEASE)?;
        world.signal_program(1, "kubeboot", Signal::TERM)?;
        agent.wait(RUN)?;
        // In the last week nobody is asked, and no Lease is waited for.
        world.shorten(1, "160h", &["etcd-peer"])?;
        let agent = world.start_agent(1)?;
        world.until_agent_says(&agent, DONE)?;
        ensure!(agent.said()?.contains("without asking whether every etcd voter answers"), "{}", agent.said()?);
        ensure!(world.renewed(1)?.len() == 2, "{:?}", world.renewed(1)?);
        ensure!(world.etcd_value(1, LEASE)? == held, "it has taken the Lease");
        world.ask(&["boot", "3"])?;
        world.all_up(&[3])?;
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn a_renewal_under_way_ends_when_its_machine_is_taken() -> Result<()> {
    World::of(2).set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2])?;
        world.shorten(2, "480h", &DUE)?;
        // What it has ended does not come back, and it would wait for that.
        world.renews(2, &["systemctl", "stop", "kubelet"], 0, &[])?;
        let agent = world.start_agent(2)?;
        world.until_agent_says(&agent, "restarting kube-scheduler")?;
        world.announce(2, &["spot"])?;
        world.until_agent_says(&agent, "this machine has left its cluster")?;
        let said = agent.said()?;
        ensure!(!said.contains("lock is held") && !said.contains("did not come back"), "{said}");
        world.has_left(2, &[1])
    })
}
