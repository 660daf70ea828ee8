//! The context of one `up` of a worker: everything it holds while it loops, and what one look finds.

use super::hook::WorkerHook;
use crate::aws::CallFailed;
use crate::aws::imds;
use crate::bucket::JoinObjects;
use crate::exit::Exit;
use crate::host::files;
use crate::host::lock::Lock;
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::worker_state::{self, WorkerMarker, identity};
use crate::model::joining::{Join, JoinCluster, JoinToken};
use crate::model::worker::decide::decide;
use crate::model::worker::revive::NodeView;
use crate::model::worker::snapshot::{Fetched, WorkerLocal, WorkerPolicy, WorkerSnapshot};
use crate::model::worker::step::WorkerStep;
use crate::node::credentials::FOLDER;
use crate::node::worker_node::WorkerNode;
use crate::node::{Facts, fitness, kubelet_health};
use crate::settings::Rejoin;
use crate::up::failed_attempt::FailedAttempt;
use crate::up::source_dest_check::SourceDestCheck;
use crate::up::wait_log::WaitLog;
use anyhow::{Context, Result};
use aws_config::imds::client::Client as Imds;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The file by which kubeadm finds the cluster and shows the token.
pub(super) const DISCOVERY: &str = "worker-discovery.conf";
/// The document of `kubeadm join`.
pub(super) const DOCUMENT: &str = "kubeadm-join.yaml";

/// Everything that one `up` of a worker holds.
pub(super) struct WorkerContext {
    pub(super) facts: Facts,
    policy: WorkerPolicy,
    pub(super) kubeadm: Kubeadm,
    imds: Imds,
    /// What IMDS has said last of the state that the group wants.
    target: Option<String>,
    objects: JoinObjects,
    pub(super) node: WorkerNode,
    pub(super) hook: WorkerHook,
    /// The version of kubelet, once it was asked.
    kubelet: Option<String>,
    pub(super) check: SourceDestCheck,
    /// How many attempts to join have failed in a row, and when the next one is due.
    pub(super) failures: u32,
    pub(super) next_attempt: Option<Instant>,
    pub(super) failed: Option<FailedAttempt>,
    pub(super) wait_log: WaitLog,
    announced: Option<WorkerStep>,
    /// Whether this `up` works here, and not only says what it would do.
    works: bool,
}

impl Drop for WorkerContext {
    /// Also when this run is asked to stop in the middle. What a killed one has left, the next one removes when it begins.
    fn drop(&mut self) {
        if self.works {
            tidy();
        }
    }
}

/// Removes what was needed only while kubeadm worked: the token above all.
pub(super) fn tidy() {
    for name in [DISCOVERY, DOCUMENT] {
        if let Err(error) = files::remove(&Path::new(FOLDER).join(name)) {
            tracing::warn!("{error:#}");
        }
    }
}

impl WorkerContext {
    /// Connects to AWS.
    ///
    /// # Errors
    /// A proxy variable that is no URL.
    pub(super) async fn new(facts: Facts, lock: Option<&Lock>) -> Result<Self> {
        let session = facts.connect().await?;
        let settings = &facts.settings;
        let named = !settings.endpoint.host.is_empty();
        let context = Self {
            policy: WorkerPolicy {
                endpoint: named.then(|| settings.endpoint.to_string()),
                rejoins: settings.rejoin == Rejoin::Wipe,
            },
            kubeadm: lock.map_or_else(Kubeadm::read_only, Kubeadm::new),
            imds: imds::client(),
            target: None,
            objects: JoinObjects::new(&session.store),
            node: WorkerNode::default(),
            hook: WorkerHook::new(&session, &facts),
            kubelet: None,
            check: SourceDestCheck::new(&session, &facts),
            failures: 0,
            next_attempt: None,
            failed: None,
            wait_log: WaitLog::default(),
            announced: None,
            works: lock.is_some(),
            facts,
        };
        if context.works {
            tidy();
        }
        Ok(context)
    }

    /// Observes and decides.
    ///
    /// # Errors
    /// A marker that cannot be understood, a kubelet that does not say its version, or what is wrong with the settings of AWS.
    pub(super) async fn look(&mut self) -> Result<(WorkerSnapshot, WorkerStep)> {
        let mut seen = self.observe().await?;
        let mut step = decide(&seen, &self.policy, identity);
        // This machine itself is looked at only where it is about to join.
        if matches!(step, WorkerStep::Join | WorkerStep::SwitchOffCheck) && seen.local == WorkerLocal::Fresh {
            seen.defects = fitness::worker_defects(&self.facts).await;
            step = decide(&seen, &self.policy, identity);
        }
        Ok((seen, step))
    }

    async fn observe(&mut self) -> Result<WorkerSnapshot> {
        let root = Path::new("/");
        let local = worker_state::observe(root).context(Exit::Operator)?;
        let marker = WorkerMarker::load(root).context(Exit::Operator)?;
        match imds::target_lifecycle_state(&self.imds).await {
            Ok(target) => self.target = target,
            Err(error) => tracing::debug!("IMDS does not say what is to become of this machine: {error:#}"),
        }
        let (cluster, token) = self.join_objects(&local).await?;
        let me = self.facts.machine.instance.clone();
        let asks = match &local {
            WorkerLocal::Joined { instance, .. } => *instance == me,
            WorkerLocal::Joining { instance, has_credentials, .. } => *instance == me && *has_credentials,
            WorkerLocal::Fresh | WorkerLocal::OfControlPlane | WorkerLocal::Unexplained { .. } => false,
        };
        let node = if asks { self.node.look(&self.facts).await } else { NodeView::NotAsked };
        let kubelet_answers = if node == NodeView::Mine { kubelet_health::answers().await } else { None };
        Ok(WorkerSnapshot {
            node_name: self.facts.node_name.clone(),
            target: self.target.clone(),
            cluster,
            token,
            now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            kubelet: self.kubelet_version(&local).await?,
            defects: Vec::new(),
            node,
            kubelet_restarted: self.node.restarted,
            kubelet_answers,
            pause: self
                .next_attempt
                .map(|at| at.saturating_duration_since(Instant::now()))
                .filter(|left| !left.is_zero()),
            source_dest_check: self.check.state(),
            hook: self.hook.state(marker.is_some_and(|marker| marker.instance == me && marker.hook_answered)),
            me,
            local,
        })
    }

    /// What stands below `join/`. One that has joined needs to know only whether it names another cluster, and no token.
    async fn join_objects(
        &mut self,
        local: &WorkerLocal,
    ) -> Result<(Fetched<JoinCluster>, Fetched<JoinToken>), CallFailed> {
        let joined = matches!(local, WorkerLocal::Joined { .. });
        let cluster = match self.objects.cluster().await {
            // Nothing about a node of a cluster depends on it.
            Err(failed) if joined => Fetched::Silent { why: failed.to_string() },
            asked => asked?,
        };
        let token = match (local, &cluster) {
            (WorkerLocal::Fresh, Fetched::Read(Ok(Join::Published(_)))) => self.objects.token().await?,
            (_, _) => Fetched::NotAsked,
        };
        Ok((cluster, token))
    }

    async fn kubelet_version(&mut self, local: &WorkerLocal) -> Result<String> {
        if let (None, WorkerLocal::Fresh) = (&self.kubelet, local) {
            let version = self.kubeadm.kubelet_version().await.context(Exit::Usage)?;
            self.kubelet = Some(version.to_string());
        }
        Ok(self.kubelet.clone().unwrap_or_default())
    }

    /// Logs every new step once. Waits are reported by themselves.
    pub(super) fn announce(&mut self, step: &WorkerStep) {
        let is_wait = matches!(step, WorkerStep::Wait(_) | WorkerStep::StandBy { .. } | WorkerStep::Done);
        if !is_wait && self.announced.as_ref() != Some(step) {
            tracing::info!(step = step.name(), "{step}");
            crate::host::systemd::notify::status(&step.to_string());
            self.wait_log.clear();
        }
        self.announced = Some(step.clone());
    }
}
