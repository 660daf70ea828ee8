//! Frees the name of this machine's Node where an earlier owner of the name has left its Node behind.
//!
//! kubeadm refuses to join under the name of a Node that was ready a moment ago. Names follow addresses: a machine that
//! got the address of a dead one has its name, too, and a join that was cut off has left a Node of this very machine.

use super::Facts;
use super::group::View;
use super::peers;
use crate::kube::{KubeNode, Kubeconfig};
use crate::model::membership::registration::Registration;
use anyhow::Result;

/// Deletes the Node under this machine's name, unless it is that of another machine that may live. For machines that have
/// not joined only. Such a Node blocks a join for less than a minute, so a failure is logged and ignored.
pub async fn free(facts: &Facts, kubeconfig: &Kubeconfig, view: &View, registrations: &[Registration]) {
    if let Err(error) = delete(facts, kubeconfig, view, registrations).await {
        tracing::warn!(node = facts.node_name, "failed to see whether the Node's name is free: {error:#}");
    }
}

async fn delete(facts: &Facts, kubeconfig: &Kubeconfig, view: &View, registrations: &[Registration]) -> Result<()> {
    let addresses = peers::seen(view, &facts.machine.instance);
    let client = peers::ready_client(facts, kubeconfig, &addresses).await?;
    let Some(node) = client.node(&facts.node_name).await? else { return Ok(()) };
    if is_stale(&node, facts, view, registrations) {
        client.delete_node(&node.name, &node.uid).await?;
        tracing::info!(
            node = node.name,
            uid = node.uid,
            "deleted the Node that an earlier owner of this name has left"
        );
    }
    Ok(())
}

fn is_stale(node: &KubeNode, facts: &Facts, view: &View, registrations: &[Registration]) -> bool {
    let (me, grace) = (&facts.machine, facts.settings.gone_grace);
    let owner = registrations.iter().find(|found| found.node_uid.as_ref().is_some_and(|uid| uid.as_str() == node.uid));
    match owner {
        Some(owner) => owner.instance == me.instance || view.instances.is_gone(&owner.instance, grace),
        None => is_here(node, facts),
    }
}

/// Whether a Node is this machine's, now or before it was made anew: no other machine in the network can have its address.
#[must_use]
pub fn is_here(node: &KubeNode, facts: &Facts) -> bool {
    let me = &facts.machine;
    node.provider_id.as_deref() == Some(me.provider_id().as_str())
        || node.addresses.iter().any(|address| me.addresses.contains(address))
}
