//! What the agent serves over HTTP, and the Events that it writes.

use crate::support::World;
use crate::support::agent::HOOK;
use crate::support::command::Running;
use crate::support::http::PORT;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

/// Where the stand-in's API servers keep Events.
const EVENTS: &str = "/registry/events/default/";

#[test]
fn a_healthy_machine_serves_every_path_and_a_scrape_costs_no_call_to_aws() -> Result<()> {
    World::of(3).with_terminate_hook().tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let agent = started(world, 1)?;
        // Whoever leads reads what lies in the bucket, once a minute.
        world.until("the agent leads and has looked around", RUN, || {
            Ok(agent.said()?.contains("leads: nothing to do").then_some(()))
        })?;
        world.metrics_say(
            1,
            &[
                "kubeboot_agent_state{state=\"watching\"} 1.0",
                "kubeboot_etcd_role{role=\"voter\"} 1.0",
                "kubeboot_etcd_voters 3.0",
                "kubeboot_etcd_voters_answering 3.0",
                "kubeboot_etcd_quorum 2.0",
                "kubeboot_etcd_has_quorum 1.0",
                "kubeboot_etcd_up 1.0",
                "kubeboot_etcd_alarms{alarm=\"nospace\"} 0.0",
                "kubeboot_etcd_database_size_bytes ",
                "kubeboot_etcd_database_quota_bytes ",
                "kubeboot_up_exit_code 0.0",
                "kubeboot_up_stopped 0.0",
                "kubeboot_certificate_end_timestamp_seconds{file=\"/etc/kubernetes/pki/apiserver.crt\"} ",
                "kubeboot_build_info{version=",
                "# EOF",
            ],
        )?;
        // The agent itself asks S3 once a minute, which may be while it is scraped.
        let calls = world.until("a scrape asks S3 for nothing", RUN, || {
            let before = s3_calls(world, 1)?;
            world.agent_says(1, "/metrics")?;
            let after = s3_calls(world, 1)?;
            Ok((before == after).then_some(after))
        })?;
        for (path, expected) in [("/livez", 200), ("/readyz", 200), ("/", 200), ("/nothing", 404)] {
            let (status, body) = world.agent_says(1, path)?;
            ensure!(status == expected, "{path}: {status} {body}");
        }
        let (status, served) = world.agent_says(1, "/status")?;
        ensure!(status == 200, "{status} {served}");
        ensure!(s3_calls(world, 1)? > calls, "the report asks S3, so that counting its calls proves something");
        // On a busy computer whoever is asked may answer too late for one of the two.
        world.until("the agent serves what 'kubeboot status --json' prints", RUN, || {
            let printed = world.on(1, &["kubeboot", "status", "--json"])?.stdout;
            let (served, printed) = (world.agent_says(1, "/status")?.1, serde_json::from_str(&printed)?);
            Ok(are_the_same(&serde_json::from_str(&served)?, &printed).then_some(()))
        })?;
        ensure!(!agent.said()?.contains("WARN"), "{}", agent.said()?);
        Ok(())
    })
}

/// Whether two reports say the same, as far as they do not tell the time.
fn are_the_same(served: &Value, printed: &Value) -> bool {
    let fields = ["schema", "place", "endpoint", "record", "group", "etcd", "registrations", "discovery_hash"];
    fields.iter().all(|field| served[field] == printed[field])
        && served["verdict"]["outcome"] == printed["verdict"]["outcome"]
}

#[test]
fn without_etcd_metrics_are_still_served_and_say_so() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let _agent = started(world, 1)?;
        world.metrics_say(1, &["kubeboot_etcd_up 1.0"])?;
        world.signal_program(1, "etcd", Signal::STOP)?;
        world.metrics_say(1, &["kubeboot_etcd_up 0.0", "kubeboot_etcd_has_quorum 1.0", "voters_answering 2.0"])?;
        world.ask(&["kill", "2"])?;
        world.metrics_say(
            1,
            &["kubeboot_etcd_up 0.0", "kubeboot_etcd_has_quorum 0.0", "kubeboot_etcd_role{role=\"unknown\"} 1.0"],
        )?;
        let (status, body) = world.agent_says(1, "/readyz")?;
        ensure!(status == 200, "the agent itself sees what it must: {status} {body}");
        Ok(())
    })
}

#[test]
fn a_held_termination_is_a_metric_and_an_event() -> Result<()> {
    World::of(3).with_terminate_hook().set("lease_ttl", "3s").tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let agent = started(world, 3)?;
        world.ask(&["kill", "1"])?;
        world.ask(&["terminate", "3"])?;
        world.until_agent_says(&agent, "without it too few voters would answer")?;
        world.metrics_say(
            3,
            &["kubeboot_agent_state{state=\"holding\"} 1.0", "kubeboot_agent_hold{reason=\"blocked\"} 1.0"],
        )?;
        world.until_event(2, 3, "TerminationHeld", "too few voters would answer")?;
        world.ask(&["boot", "1"])?;
        world.all_up(&[1])?;
        world.until_event(2, 3, "LeavingCluster", "this machine leaves its cluster")?;
        world.until_terminated(3, &agent)?;
        world.has_left(3, &[1, 2])
    })
}

#[test]
fn a_stop_of_up_is_a_metric_and_an_event() -> Result<()> {
    World::of(1).tell(|world| {
        world.all_up(&[1])?;
        let _agent = started(world, 1)?;
        world.metrics_say(1, &["kubeboot_up_stopped 0.0"])?;
        world.refuses(1, &["kubeboot", "up", "--endpoint", "other.demo.internal:6443"], 2, &["endpoint"])?;
        world.until_event(1, 1, "UpStopped", "exit code 2")?;
        world.metrics_say(1, &["kubeboot_up_exit_code 2.0", "kubeboot_up_stopped 1.0"])?;
        let ended = world.on(1, &["kubeboot", "up"])?;
        ensure!(ended.code == 0, "{}", ended.text());
        world.metrics_say(1, &["kubeboot_up_exit_code 0.0", "kubeboot_up_stopped 0.0"])
    })
}

#[test]
fn an_agent_whose_port_is_taken_works_and_says_so_until_the_port_is_free() -> Result<()> {
    World::of(1).with_terminate_hook().tell(|world| {
        world.all_up(&[1])?;
        let first = world.start_on(1, &["kubeboot", "agent", "--log-level", "debug"])?;
        world.until_agent_says(&first, "serving state and metrics at")?;
        let second = world.start_agent(1)?;
        let taken = format!("nothing is served at 'agent_listen' = '{}:{PORT}'", world.address(1, "loopback")?);
        world.until_agent_says(&second, &taken)?;
        let working = format!("leaves for the terminate hook '{HOOK}'; {taken}");
        world.until_agent_says(&second, &working)?;
        world.signal_program_with(1, "kubeboot", "--log-level", Signal::TERM)?;
        ensure!(first.wait(RUN)?.code == 0, "an agent ends well when it is asked to");
        world.until_agent_says(&second, "serving state and metrics at")?;
        let off = world.start_on(1, &["kubeboot", "agent", "--agent-listen", "off"])?;
        world.until_agent_says(&off, "the group says InService")?;
        ensure!(!off.said()?.contains("agent_listen") && !off.said()?.contains("serving"), "{}", off.said()?);
        let refused = world.on(1, &["kubeboot", "agent", "--agent-listen", "localhost:4040"])?;
        ensure!(refused.code == 2 && refused.text().contains("'127.0.0.1:4040' would do"), "{}", refused.text());
        Ok(())
    })
}

/// The agent of a machine, once it serves and has looked around.
fn started(world: &World, node: usize) -> Result<Running> {
    let agent = world.start_agent(node)?;
    world.until_agent_says(&agent, "serving state and metrics at")?;
    world.until_agent_says(&agent, "the group says InService")?;
    Ok(agent)
}

/// How often a machine has asked S3.
fn s3_calls(world: &World, node: usize) -> Result<usize> {
    let id = world.id(node)?;
    let requests = world.journal("requests")?;
    Ok(requests.iter().filter(|call| call["node"] == id.as_str() && call["service"] == "s3").count())
}

impl World {
    /// Waits until the metrics of a machine have all of these.
    fn metrics_say(&self, node: usize, lines: &[&str]) -> Result<()> {
        let mut last = String::new();
        let waited = self.until("the metrics say so", RUN, || {
            let (status, body) = self.agent_says(node, "/metrics")?;
            ensure!(status == 200 && body.ends_with("# EOF\n"), "{status} {body}");
            let all = lines.iter().all(|line| body.contains(line));
            last = body;
            Ok(all.then_some(()))
        });
        waited.with_context(|| format!("{lines:?} in:\n{last}"))
    }

    /// The Events on a machine's Node, by the etcd of another one.
    fn events(&self, asked: usize, node: usize) -> Result<Vec<Value>> {
        let name = self.registration(node)?["node_name"].clone();
        let text = self.etcdctl(asked, &["get", "--prefix", "--print-value-only", EVENTS])?;
        let all = text.lines().filter(|line| !line.is_empty()).map(serde_json::from_str::<Value>);
        let all: Vec<Value> = all.collect::<Result<_, _>>().with_context(|| format!("no Events: {text}"))?;
        Ok(all.into_iter().filter(|event| event["involvedObject"]["name"] == name).collect())
    }

    /// Waits for an Event on a machine's Node.
    fn until_event(&self, asked: usize, node: usize, reason: &str, words: &str) -> Result<()> {
        self.until(&format!("the Event {reason}"), RUN, || {
            let found = self.events(asked, node)?.into_iter().find(|event| {
                event["reason"] == reason && event["message"].as_str().is_some_and(|message| message.contains(words))
            });
            Ok(found.map(drop))
        })
    }
}
