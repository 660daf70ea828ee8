//! The Nodes of the control plane: whether each is there, marked, and its machine's own.

use super::input::StatusInput;
use super::machines::StatusMachine;
use super::reason::StatusReason;
use crate::model::machine::node_marks::{NodeState, judge};
use crate::model::membership::registration::RegistrationPhase;

/// What is wrong with the Nodes of machines that have joined, each by the API server of its own machine.
pub(super) fn reasons(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Vec<StatusReason> {
    let cluster = input.record.iter().flatten().find_map(|record| record.published());
    let Some(cluster) = cluster.map(|published| &published.kube_system_uid) else { return Vec::new() };
    let serves = |machine: &&StatusMachine<'_>| {
        let server = machine.api_server;
        server.is_some_and(|server| server.ready.is_ok() && server.kube_system_uid.as_ref() == Ok(cluster))
    };
    let living = machines.iter().filter(|machine| machine.is_live_candidate());
    living.filter(serves).filter_map(|machine| reason(input, machine)).collect()
}

fn reason(input: &StatusInput, machine: &StatusMachine<'_>) -> Option<StatusReason> {
    let says = machine.registered().filter(|says| says.phase == RegistrationPhase::Joined)?;
    let found = machine.api_server?.node.as_ref().ok()?.as_ref();
    let found = found.map(|node| (node.provider_id.as_deref(), &node.marks));
    let (instance, node) = (machine.instance.clone(), says.node_name.clone());
    // Which taints a Node should have is no reason: workloads may run on the control plane because somebody wants that.
    match judge(found, instance.as_str(), input.here.marks_nodes.then_some(&[])) {
        NodeState::Whole | NodeState::Changed(_) => None,
        NodeState::Missing => Some(StatusReason::NodeMissing { instance, node }),
        NodeState::Unmarked(_) => Some(StatusReason::NodeUnmarked { instance, node }),
        NodeState::OfAnother { provider_id } => Some(StatusReason::NodeOfAnother { instance, node, provider_id }),
    }
}
