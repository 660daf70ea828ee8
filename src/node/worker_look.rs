//! One look of a worker: its disk, `join/`, IMDS and its Node. For `up`, `status` and `check`.

use super::worker_node::{self, WorkerNode};
use super::{Facts, kubelet_health, launch_hook};
use crate::aws::store::Store;
use crate::aws::{CallFailed, imds};
use crate::bucket::JoinObjects;
use crate::exit::Exit;
use crate::host::process::ProcessFailed;
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::worker_state::{self, identity};
use crate::model::joining::{Join, JoinCluster};
use crate::model::worker::decide::{needs_node, needs_token};
use crate::model::worker::revive::NodeView;
use crate::model::worker::snapshot::{CheckState, Fetched, LaunchHookState, WorkerLocal, WorkerPolicy, WorkerSnapshot};
use crate::model::worker::step::{WorkerStep, WorkerWipe};
use crate::settings::{Rejoin, Settings};
use anyhow::{Context, Result};
use aws_config::imds::client::Client;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What one look leaves for the next.
pub struct WorkerLooker {
    imds: Client,
    /// What IMDS has said last of the state that the group wants.
    target: Option<String>,
    /// Whether it has said anything of it.
    is_target_known: bool,
    objects: JoinObjects,
    /// This machine's Node.
    pub node: WorkerNode,
    /// The version of kubelet, once it was asked.
    kubelet: Option<String>,
}

/// What decides beside what is seen, by the settings.
#[must_use]
pub fn policy(settings: &Settings) -> WorkerPolicy {
    let named = !settings.endpoint.host.is_empty();
    WorkerPolicy { endpoint: named.then(|| settings.endpoint.to_string()), rejoins: settings.rejoin == Rejoin::Wipe }
}

/// Asks for the Node of this machine's name in the cluster that it is about to join, by the token, where this step joins one. Whether it was
/// asked for, so that a decision is due anew.
pub async fn asks_for_namesake(facts: &Facts, seen: &mut WorkerSnapshot, step: &WorkerStep) -> bool {
    let joins = matches!(step, WorkerStep::Join | WorkerStep::Wipe(WorkerWipe::Rejoin));
    let (true, Fetched::Read(Ok(Join::Published(cluster))), Fetched::Read(Ok(Join::Published(token)))) =
        (joins, &seen.cluster, &seen.token)
    else {
        return false;
    };
    seen.namesake = worker_node::namesake(facts, cluster, token).await;
    true
}

impl WorkerLooker {
    /// Nothing was looked at yet.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        let (imds, objects) = (imds::client(), JoinObjects::new(store));
        Self { imds, target: None, is_target_known: false, objects, node: WorkerNode::default(), kubelet: None }
    }

    /// Looks. What only `up` knows, such as its pause after a failure, it adds itself; of a hook it is said whether it was answered.
    ///
    /// # Errors
    /// A marker that cannot be understood, a kubelet that does not say its version, or what is wrong with the settings of AWS.
    pub async fn look(&mut self, facts: &Facts) -> Result<WorkerSnapshot> {
        let root = Path::new("/");
        let local = worker_state::observe(root).context(Exit::Operator)?;
        match imds::target_lifecycle_state(&self.imds).await {
            Ok(target) => (self.target, self.is_target_known) = (target, true),
            Err(error) => tracing::debug!("IMDS does not say what is to become of this machine: {error:#}"),
        }
        let cluster = self.cluster(&local).await?;
        let joins = needs_token(&local, &cluster, &policy(&facts.settings), identity);
        let token = if joins { self.objects.token().await? } else { Fetched::NotAsked };
        let me = facts.machine.instance.clone();
        let node = if needs_node(&local, &me) { self.node.look(facts).await } else { NodeView::NotAsked };
        let kubelet_answers = if node == NodeView::Mine { kubelet_health::answers().await } else { None };
        let answered = launch_hook::is_answered(root, &me);
        let has_hook = facts.settings.launch_hook.is_some();
        Ok(WorkerSnapshot {
            node_name: facts.node_name.clone(),
            target: self.target.clone(),
            is_target_known: self.is_target_known,
            cluster,
            token,
            now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            kubelet: self.kubelet_version(joins).await?,
            defects: Vec::new(),
            namesake: NodeView::NotAsked,
            is_cordoned: node == NodeView::Mine && self.node.is_cordoned,
            node,
            kubelet_restarted: self.node.restarted,
            kubelet_answers,
            pause: None,
            source_dest_check: CheckState::Settled,
            hook: if has_hook && !answered { LaunchHookState::Due } else { LaunchHookState::Settled },
            me,
            local,
        })
    }

    /// Which cluster stands below `join/`.
    async fn cluster(&mut self, local: &WorkerLocal) -> Result<Fetched<JoinCluster>, CallFailed> {
        match self.objects.cluster().await {
            // Nothing about a node of a cluster depends on it.
            Err(failed) if matches!(local, WorkerLocal::Joined { .. }) => {
                Ok(Fetched::Silent { why: failed.to_string() })
            }
            asked => asked,
        }
    }

    async fn kubelet_version(&mut self, joins: bool) -> Result<String> {
        if joins && self.kubelet.is_none() {
            match Kubeadm::read_only().kubelet_version().await {
                Ok(version) => self.kubelet = Some(version.to_string()),
                // A machine without kubelet has a defect, which is told before it joins.
                Err(error) if matches!(error.downcast_ref(), Some(ProcessFailed::NotFound { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.kubelet.clone().unwrap_or_default())
    }
}
