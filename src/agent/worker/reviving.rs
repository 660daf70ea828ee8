//! A worker whose Node is gone although its kubelet runs: it is restarted, which registers the Node anew.

use super::{NODE_INTERVAL, OWN_NODE_INTERVAL, WorkerAgent, spread};
use crate::host::lock::{self, Lock};
use crate::host::systemd::unit;
use crate::kubeadm::quiesce::KUBELET;
use crate::kubeadm::worker_state;
use crate::model::worker::decide::awaited;
use crate::model::worker::revive::{NodeView, Unregistered, restarts_kubelet, unregistered};
use crate::model::worker::snapshot::{ClusterIdentity, Fetched, WorkerLocal};
use crate::model::worker::step::WorkerWait;
use crate::node::departure;
use crate::node::worker_node::WorkerNode;
use std::path::Path;
use tokio::time::Instant;

impl WorkerAgent {
    /// Restarts kubelet where this machine is a node of a cluster that has had no Node of it for two minutes.
    pub(super) async fn revive(&mut self) {
        if Instant::now() < self.next_look {
            return;
        }
        self.next_look = Instant::now() + spread(NODE_INTERVAL);
        let (root, me) = (Path::new("/"), &self.facts.machine.instance);
        // One that cannot be read is `up`'s to tell.
        let here = match worker_state::observe(root) {
            Ok(WorkerLocal::Joined { instance, cluster }) if instance == *me => Some(cluster),
            _ => None,
        };
        let leaves = !matches!(departure::load(root, me), Ok(None));
        // An `up` at work restarts it itself, and only once.
        let Some(here) = here.filter(|_| !Lock::is_held(Path::new(lock::PATH))) else {
            (self.node, self.awaited) = (WorkerNode::default(), None);
            return;
        };
        let node = self.node.look(&self.facts).await;
        if node == NodeView::Mine {
            self.next_look = Instant::now() + spread(OWN_NODE_INTERVAL);
        }
        // An API server that does not answer is no business of an agent that drains nothing.
        let awaited = awaited(&node, &self.facts.node_name, self.node.restarted);
        self.awaited = awaited
            .filter(|what| !matches!(what, WorkerWait::ApiServer { .. }))
            .map(|what| format!("waiting for {what}"));
        if !restarts_kubelet(&node, self.node.restarted, leaves) {
            return;
        }
        let name = self.facts.node_name.clone();
        if let Some(why) = self.unregistered(&here).await {
            self.awaited = Some(format!("no API server has the Node '{name}', and kubelet is not restarted: {why}"));
            return;
        }
        tracing::warn!(
            "no API server has had the Node '{name}' of this machine for two minutes: restarting kubelet, which registers it only when it \
             starts"
        );
        match unit::restart(KUBELET).await {
            Ok(()) => self.node.restarted = true,
            Err(error) => tracing::warn!("{error:#}"),
        }
    }

    /// What keeps this machine, a node of the cluster `here`, from registering anew, asked now.
    async fn unregistered(&mut self, here: &ClusterIdentity) -> Option<Unregistered> {
        let asked = self.objects.cluster().await;
        let published = asked.unwrap_or_else(|failed| Fetched::Silent { why: failed.to_string() });
        unregistered(here, &published, worker_state::identity)
    }
}
