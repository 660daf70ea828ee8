//! Sees that this machine's Node is there and marked. `src/model/machine/node_marks.rs` says what is repaired and what is left alone.

use super::{POLL_INTERVAL, Waiting};
use crate::exit::Exit;
use crate::host::systemd::unit;
use crate::kube::{Client, KubeNode, Marking};
use crate::kubeadm::quiesce::KUBELET;
use crate::model::machine::node_marks::{NodeState, judge};
use crate::node::Facts;
use anyhow::Result;
use std::time::Duration;
use tokio::time::Instant;

/// How long kubelet has to register its Node by itself: it does so within seconds of its start, and never again.
const REGISTERING: Duration = Duration::from_secs(10);

/// What this run of `up` knows of its Node beside what it reads at each pass.
#[derive(Debug, Default)]
pub struct OwnNode {
    /// Since when the Node has been missing.
    missing_since: Option<Instant>,
    /// Whether kubelet was restarted because of that.
    restarted: bool,
}

impl OwnNode {
    /// The Node, once it is there and marked, by this machine's own API server, which serves the record's cluster. Before that: what is
    /// waited for. `initialised`: whether this machine has made the cluster.
    ///
    /// # Errors
    /// The API server does not answer or refuses, or kubelet cannot be restarted.
    pub(super) async fn look(
        &mut self,
        local: &Client,
        facts: &Facts,
        initialised: bool,
    ) -> Result<Result<KubeNode, Waiting>> {
        let name = &facts.node_name;
        let Some(node) = local.node(name).await? else { return Ok(Err(self.missing(name).await?)) };
        *self = Self::default();
        let taints = facts.documents.node_taints(initialised);
        let found = Some((node.provider_id.as_deref(), &node.marks));
        match judge(found, facts.machine.instance.as_str(), taints.as_deref()) {
            NodeState::Whole | NodeState::Missing => {}
            NodeState::OfAnother { provider_id } => tracing::warn!(
                "the Node '{name}' has the provider ID '{provider_id}' of another instance: if that is gone, run 'kubectl delete node {name}' \
                 and then 'kubeboot up', which has kubelet register this machine's own"
            ),
            NodeState::Changed(lacking) => {
                tracing::info!("the Node '{name}' lacks {lacking}: somebody took that away, and it is left so");
            }
            NodeState::Unmarked(lacking) => {
                return Ok(match local.mark_node(&node, &lacking).await? {
                    Marking::Done => {
                        tracing::warn!("marked the Node '{name}' as a control-plane node: it lacked {lacking}");
                        Ok(node)
                    }
                    Marking::Changed => {
                        Err(waiting(format!("the Node '{name}', which somebody changes, to be marked")))
                    }
                });
            }
        }
        Ok(Ok(node))
    }

    /// What is waited for while there is no Node. kubelet is restarted once.
    async fn missing(&mut self, name: &str) -> Result<Waiting> {
        let missing_for = self.missing_since.get_or_insert_with(Instant::now).elapsed();
        if self.restarted {
            return Ok(waiting(format!(
                "kubelet, which was restarted, to register the Node '{name}': see 'journalctl -u kubelet'"
            )));
        }
        if missing_for >= REGISTERING {
            tracing::warn!(
                "the API server knows no Node '{name}': restarting kubelet, which registers it only when it starts"
            );
            unit::restart(KUBELET).await?;
            self.restarted = true;
        }
        Ok(waiting(format!("kubelet to register the Node '{name}', which the API server does not know")))
    }
}

fn waiting(reason: String) -> Waiting {
    Waiting { reason, pause: POLL_INTERVAL, exit: Exit::TryAgain }
}
