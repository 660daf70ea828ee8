//! What a machine leaves behind in Kubernetes when its member is gone: its Node. Names are used again with addresses,
//! so only the object that is certainly that machine's is deleted.

use super::Facts;
use super::group::View;
use super::peers;
use super::registrar::rfc3339;
use crate::aws::store::Store;
use crate::bucket::registrations;
use crate::kube::{Client, Deleted, KubeNode, Kubeconfig};
use crate::model::membership::registration::Registration;
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::time::timeout;

/// How long the membership lease is held for it.
const BURY_TIMEOUT: Duration = Duration::from_secs(15);

/// What became of a machine's Node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeGone {
    /// It is deleted.
    Deleted,
    /// There was none under its name.
    NotThere,
    /// Another machine's Node has that name by now, and stays.
    Anothers,
}

/// Deletes the Node of the machine that this registration is of.
///
/// # Errors
/// The API server does not answer, or refuses.
pub async fn delete_node(client: &Client, machine: &Registration) -> Result<NodeGone> {
    let Some(node) = client.node(&machine.node_name).await? else { return Ok(NodeGone::NotThere) };
    if !is_of(&node, machine) {
        return Ok(NodeGone::Anothers);
    }
    match client.delete_node(&node.name, &node.uid).await? {
        Deleted::Done => {
            tracing::info!(node = node.name, uid = node.uid, "deleted the Node of a machine that is gone");
            Ok(NodeGone::Deleted)
        }
        Deleted::NotThere => Ok(NodeGone::NotThere),
        Deleted::AnotherOne => Ok(NodeGone::Anothers),
    }
}

/// Deletes the Nodes of machines that are gone and whose members are gone, and marks their registrations. None of that holds a join up
/// for long, so a failure is logged and ignored; what it leaves, the next one who looks tries again.
pub async fn bury(facts: &Facts, store: &Store, kubeconfig: &Kubeconfig, view: &View, machines: &[&Registration]) {
    if machines.is_empty() {
        return;
    }
    let work = async {
        let client = peers::ready_client(facts, kubeconfig, &peers::seen(view, &facts.machine.instance)).await?;
        for machine in machines {
            delete_node(&client, machine).await?;
            if registrations::mark_reaped(store, machine, rfc3339()).await? {
                tracing::info!(instance = %machine.instance, "reaped what a machine has left that had this address before");
            }
        }
        anyhow::Ok(())
    };
    let ended = timeout(BURY_TIMEOUT, work).await.context("it took too long").and_then(|ended| ended);
    if let Err(error) = ended {
        tracing::warn!("failed to reap what machines have left that had this address before: {error:#}");
    }
}

/// Whether this Node is that machine's: by its UID where that was registered, or else by the provider ID.
fn is_of(node: &KubeNode, machine: &Registration) -> bool {
    match &machine.node_uid {
        Some(uid) => node.uid == uid.as_str(),
        None => node.provider_id.as_deref() == Some(machine.provider_id.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::{InstanceId, Uid};
    use crate::model::machine::node_marks::NodeMarks;
    use crate::model::membership::registration::RegistrationPhase;

    const UID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
    const PROVIDER: &str = "aws:///eu-central-1a/i-00000001";

    fn node(uid: &str, provider_id: Option<&str>) -> KubeNode {
        KubeNode {
            name: "n1".into(),
            uid: uid.into(),
            ready: true,
            silent: false,
            provider_id: provider_id.map(str::to_owned),
            kubelet_version: None,
            addresses: Vec::new(),
            marks: NodeMarks::default(),
            is_cordoned: false,
        }
    }

    fn machine(node_uid: Option<&str>) -> Registration {
        Registration {
            node_uid: node_uid.map(|uid| Uid::parse(uid).unwrap()),
            provider_id: PROVIDER.into(),
            ..Registration::sample(InstanceId::parse("i-00000001").unwrap(), RegistrationPhase::Joined)
        }
    }

    #[test]
    fn a_node_is_a_machines_by_uid_or_else_by_provider_id_and_never_by_name() {
        let other = "00000000-8b86-4011-b42d-00c04fc964ff";
        let rows = [
            (node(UID, None), machine(Some(UID)), true),
            (node(other, Some(PROVIDER)), machine(Some(UID)), false),
            (node(UID, Some(PROVIDER)), machine(None), true),
            (node(UID, Some("aws:///eu-central-1a/i-00000002")), machine(None), false),
            (node(UID, None), machine(None), false),
        ];
        for (node, machine, same) in rows {
            assert_eq!(is_of(&node, &machine), same, "{node:?} {machine:?}");
        }
    }
}
