//! Whether this machine's Node is there and marked, where this machine is a member.

use super::Check;
use super::finding::{Finding, Found};
use super::input::CheckInput;
use crate::kube::{Client, Kubeconfig};
use crate::kubeadm::state;
use crate::model::machine::local::Local;
use crate::model::machine::node_marks::{NodeState, judge};
use crate::node::credentials::MEMBER_KUBECONFIG;
use std::net::SocketAddr;
use std::path::Path;

pub(super) const CHECKS: &[Check] = &[Check { name: "own-node", run: |input| Box::pin(own_node(input)) }];

/// Whether the Node of this machine is there, by its own API server.
async fn own_node(input: &CheckInput) -> Found {
    let (facts, record) = (input.facts.needed()?, input.record.needed()?.as_ref());
    let local = state::observe(Path::new("/"), facts.documents.data_dir()).map_err(|error| Finding::error(&error))?;
    let published = record.and_then(|record| record.published());
    let (Some(published), Local::Made { .. }) = (published, local) else {
        return Ok(vec![Finding::ok("not asked: this machine is no member of a cluster")]);
    };
    input.needs_root()?;
    let kubeconfig = Kubeconfig::read(Path::new(MEMBER_KUBECONFIG)).map_err(|error| Finding::error(&error))?;
    let client = Client::new(&kubeconfig, SocketAddr::new(facts.node.address, facts.api_port()))
        .map_err(|error| Finding::error(&error))?;
    let name = &facts.node_name;
    let node =
        client.node(name).await.map_err(|error| Finding::unanswered(format!("{error:#}"), "see 'kubeboot status'"))?;
    let taints = facts.documents.node_taints(published.initialised_by == facts.machine.instance);
    let found = node.as_ref().map(|node| (node.provider_id.as_deref(), &node.marks));
    Ok(vec![told(name, judge(found, facts.machine.instance.as_str(), taints.as_deref()))])
}

fn told(name: &str, state: NodeState) -> Finding {
    match state {
        NodeState::Whole => Finding::ok(format!("the Node '{name}' is there, and marked")),
        NodeState::Changed(lacking) => Finding::ok(format!(
            "the Node '{name}' lacks {lacking}: somebody took that away, and 'kubeboot up' leaves it so"
        )),
        NodeState::Missing => Finding::warning(
            format!("this machine's API server knows no Node '{name}'"),
            "run 'kubeboot up', which has kubelet register it anew, and marks it",
        ),
        NodeState::Unmarked(lacking) => Finding::warning(
            format!("the Node '{name}' is not marked as a control-plane node: it lacks {lacking}"),
            "run 'kubeboot up', which marks it anew, as kubeadm does",
        ),
        NodeState::OfAnother { provider_id } => Finding::failed(
            format!("the Node '{name}' has the provider ID '{provider_id}' of another instance"),
            format!("if that is gone, run 'kubectl delete node {name}', and then 'kubeboot up'"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use crate::exit::Exit;
    use crate::model::machine::node_marks::{Lacking, Taint};

    #[test]
    fn what_up_repairs_is_a_warning_and_what_is_anothers_a_failure() {
        let lacking = || Lacking { labels: Vec::new(), taints: vec![Taint::of_control_plane()] };
        let rows = [
            (NodeState::Whole, CheckVerdict::Ok, "is there"),
            (NodeState::Changed(lacking()), CheckVerdict::Ok, "lacks the taint node-role"),
            (NodeState::Missing, CheckVerdict::Warning, "knows no Node 'n1'"),
            (NodeState::Unmarked(lacking()), CheckVerdict::Warning, "it lacks the taint node-role"),
            (
                NodeState::OfAnother { provider_id: "aws:///a/i-2".into() },
                CheckVerdict::Failed(Exit::Usage),
                "'aws:///a/i-2'",
            ),
        ];
        for (state, verdict, text) in rows {
            let found = told("n1", state);
            assert_eq!((found.verdict, found.remedy.is_some()), (verdict, verdict != CheckVerdict::Ok), "{found:?}");
            assert!(found.text.contains(text), "{found:?}");
        }
    }
}
