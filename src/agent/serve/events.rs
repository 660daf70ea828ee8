//! Writes Events on this machine's Node: best effort, never in the way of anything else.

use super::board::Board;
use crate::host::boottime;
use crate::kube::Kubeconfig;
use crate::kubeadm::worker_state::KUBELET_CONF;
use crate::model::agent::served::Source;
use crate::model::agent::served::events::{Ledger, NodeEvent, of_up};
use crate::node::credentials::MEMBER_KUBECONFIG;
use crate::node::{Facts, peers, up_end, worker_node};
use crate::reset::survey::by_manifest;
use crate::settings::Role;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long it may take to write one.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Between two looks at how `kubeboot up` has ended: one small file.
const UP_INTERVAL: Duration = Duration::from_secs(10);
/// The longest part of the Node's name that becomes part of an Event's name.
const NAME: usize = 200;

/// Writes what comes, and what `kubeboot up` ends with, for ever.
pub(super) async fn write_all(facts: Facts, board: Board, mut events: mpsc::Receiver<NodeEvent>) -> Infallible {
    let (mut ledger, mut up) = (Ledger::default(), None);
    let mut tick = interval(UP_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            Some(event) = events.recv() => Some(event),
            _ = tick.tick() => {
                let ended = up_end::load();
                of_up(std::mem::replace(&mut up, ended), ended)
            }
        };
        let Some(event) = event.filter(|event| ledger.is_new(event, boottime::now())) else { continue };
        // A machine that never was a node has no credentials, and nobody looks for its Node.
        if !credentials(&facts).exists() {
            tracing::debug!("no Event is written, for this machine has no credentials for an API server");
            continue;
        }
        let written = timeout(TIMEOUT, write(&facts, &event)).await;
        let written = written.context("no API server has answered in time").and_then(|written| written);
        board.hear(Source::Events, written.is_ok());
        match written {
            Ok(()) => tracing::debug!("wrote the Event {}", event.reason),
            Err(error) => tracing::info!("failed to write the Event {}, going on without: {error:#}", event.reason),
        }
    }
}

/// By which this machine asks an API server.
fn credentials(facts: &Facts) -> &'static Path {
    Path::new(match facts.settings.role {
        Role::ControlPlane => MEMBER_KUBECONFIG,
        Role::Worker => KUBELET_CONF,
    })
}

/// A worker's goes to the endpoint, by its kubelet's credentials, which may write Events.
async fn write(facts: &Facts, event: &NodeEvent) -> Result<()> {
    let event = object(&facts.node_name, event, SystemTime::now());
    match facts.settings.role {
        Role::ControlPlane => write_to_control_plane(facts, &event).await,
        Role::Worker => worker_node::client(facts)?.create_event(&event).await,
    }
}

/// To the first API server of the cluster that is ready: after a machine has left, its own is none of them.
async fn write_to_control_plane(facts: &Facts, event: &Value) -> Result<()> {
    let kubeconfig = Kubeconfig::read(Path::new(MEMBER_KUBECONFIG))?;
    let mut addresses = facts.machine.addresses.clone();
    addresses.extend(by_manifest().into_iter().filter(|other| !facts.machine.addresses.contains(other)));
    let client = peers::ready_client(facts, &kubeconfig, &addresses).await?;
    client.create_event(event).await
}

/// The Event as kubelet would write it: in the namespace `default`, about a Node whose UID is its name, by which `kubectl describe node` finds it.
fn object(node: &str, event: &NodeEvent, now: SystemTime) -> Value {
    about(&json!({"kind": "Node", "name": node, "uid": node}), node, node, event, now)
}

/// An Event about an object that is in no namespace, from the machine of this Node. `name` is what the Event's own name begins with.
pub(in crate::agent) fn about(involved: &Value, name: &str, node: &str, event: &NodeEvent, now: SystemTime) -> Value {
    let nanoseconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let time = humantime::format_rfc3339_seconds(now).to_string();
    let short: String = name.chars().take(NAME).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": format!("{}.{nanoseconds:x}", short.trim_end_matches(['.', '-'])), "namespace": "default"},
        "involvedObject": involved,
        "reason": event.reason,
        "message": event.message,
        "type": if event.is_warning { "Warning" } else { "Normal" },
        "source": {"component": "kubeboot", "host": node},
        "reportingComponent": "kubeboot",
        "reportingInstance": node,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_about_the_node_and_found_by_its_name() {
        let event = NodeEvent { reason: "LeftCluster", is_warning: false, message: "why".into(), key: "left" };
        let now = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_001);
        let made = object("n1.internal", &event, now);
        assert_eq!(made["metadata"], json!({"name": "n1.internal.17979cfe362a0001", "namespace": "default"}));
        assert_eq!(made["involvedObject"], json!({"kind": "Node", "name": "n1.internal", "uid": "n1.internal"}));
        assert_eq!((&made["type"], &made["reason"]), (&json!("Normal"), &json!("LeftCluster")));
        assert_eq!(made["lastTimestamp"], "2023-11-14T22:13:20Z");
        let long = object(&format!("{}.internal", "a".repeat(199)), &NodeEvent { is_warning: true, ..event }, now);
        let name = long["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        assert!(name.len() < 253 && !name.contains(".."), "{name}");
        assert_eq!(long["type"], "Warning");
    }
}
