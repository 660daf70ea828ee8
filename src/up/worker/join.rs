//! One `kubeadm join` of a worker: marked first, the token in a file for root alone that is gone afterwards.

use super::context::{DISCOVERY, DOCUMENT, WorkerContext};
use crate::exit::Exit;
use crate::host::files;
use crate::host::short_lived::ShortLived;
use crate::kube::written::{Cluster, Proof, kubeconfig};
use crate::kubeadm::attempt::Failure;
use crate::kubeadm::last_words::last_words;
use crate::kubeadm::pki;
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::wipe::{self, MemberData};
use crate::kubeadm::worker_state::{BOOTSTRAP_CONF, KUBELET_CONF, WorkerMarker, WorkerStage, identity};
use crate::model::joining::{Join, JoinCluster, JoinToken};
use crate::model::up::back_off::back_off;
use crate::model::worker::snapshot::{Fetched, LaunchHookState, WorkerSnapshot};
use crate::model::worker::step::WorkerWipe;
use crate::node::Facts;
use crate::node::credentials::UP;
use crate::node::point::Point;
use crate::node::{kubelet_health, worker_node};
use crate::up::failed_attempt::{FailedAttempt, another_wipe};
use crate::up::init::progress;
use crate::up::time_left::for_attempt;
use crate::up::{POLL_INTERVAL, StepOutcome, Waiting, terminating};
use anyhow::{Context, Result};
use std::path::Path;
use tokio::time::Instant;

impl WorkerContext {
    /// Joins. A failure is told, and tried again after a pause that grows to a minute.
    pub(super) async fn join(&mut self, seen: &WorkerSnapshot, deadline: Instant) -> Result<StepOutcome> {
        let (Fetched::Read(Ok(Join::Published(cluster))), Fetched::Read(Ok(Join::Published(token)))) =
            (&seen.cluster, &seen.token)
        else {
            return Ok(StepOutcome::Again);
        };
        let attempt = attempt(&self.facts, &self.kubeadm, cluster, token, deadline);
        match self.hook.beside(seen.hook, attempt).await {
            Ok(()) => Ok(StepOutcome::Again),
            Err(error) => self.after_failure(&error, deadline).await,
        }
    }

    /// What kubelet said is told while it is still there; the next pass wipes.
    async fn after_failure(&mut self, error: &anyhow::Error, deadline: Instant) -> Result<StepOutcome> {
        let mut failed = FailedAttempt::after(self.failed.as_ref(), error, deadline);
        if failed.exit == Exit::Kubeadm && waits_for_its_certificate().await {
            failed.exit = Exit::TryAgain;
            failed.text.push_str("; kubelet runs here, and its request for a certificate was not approved: see the leader by 'kubeboot status' on a control-plane machine");
        }
        tracing::error!("{}", failed.text);
        if error.downcast_ref::<Failure>().is_some() {
            for line in last_words(self.facts.documents.cri_socket()).await {
                tracing::error!("{line}");
            }
        }
        self.count_failure();
        let (reason, exit) = (failed.text.clone(), failed.exit);
        self.failed = Some(failed);
        if error.downcast_ref::<Exit>() == Some(&Exit::Usage) {
            return Err(anyhow::anyhow!(reason).context(Exit::Usage));
        }
        Ok(StepOutcome::Wait(Waiting { reason, pause: POLL_INTERVAL, exit }))
    }

    /// The next attempt comes after a pause that grows with every one that no Node has come of.
    fn count_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.next_attempt = Some(Instant::now() + back_off(self.failures));
    }

    /// Wipes this machine: the marker goes last.
    ///
    /// # Errors
    /// Names the step that failed.
    pub(super) async fn wipe(&mut self, why: &WorkerWipe, hook: LaunchHookState) -> Result<StepOutcome> {
        // An attempt that has failed was counted.
        if *why == WorkerWipe::HalfMade && self.next_attempt.is_none_or(|next| next <= Instant::now()) {
            self.count_failure();
        }
        let socket = self.facts.documents.cri_socket();
        let wiped = wipe::wipe(&self.kubeadm, None, socket, MemberData::Removed);
        if let Err(error) = self.hook.beside(hook, wiped).await {
            self.failed_wipes = self.failed_wipes.saturating_add(1);
            return Ok(StepOutcome::Wait(another_wipe(&error, self.failed_wipes)));
        }
        Point::WorkerWiped.reached();
        WorkerMarker::remove(Path::new("/"))?;
        self.looker.node = Default::default();
        Ok(StepOutcome::Again)
    }

    /// Opens the Node for new pods, which kubeboot had closed.
    ///
    /// # Errors
    /// The machine goes for good, or no API server does that.
    pub(super) async fn uncordon(&mut self) -> Result<StepOutcome> {
        terminating::must_not_be_leaving(&self.facts)?;
        worker_node::client(&self.facts)?.uncordon().await?;
        Point::NodeOpened.reached();
        tracing::info!(node = self.facts.node_name, "opened the Node for new pods");
        Ok(StepOutcome::Again)
    }

    /// Writes down that this machine is a node of its cluster.
    ///
    /// # Errors
    /// The marker cannot be read or written.
    pub(super) fn mark_joined(&mut self) -> Result<StepOutcome> {
        let root = Path::new("/");
        let mut marker = WorkerMarker::load(root)?.context("the marker of this worker is gone")?;
        marker.stage = WorkerStage::Joined;
        marker.save(root)?;
        (self.failures, self.failed) = (0, None);
        Ok(StepOutcome::Again)
    }
}

/// Whether kubelet runs here with the bootstrap token alone: then the attempt has failed for want of somebody who approves, and so it does on
/// every machine.
async fn waits_for_its_certificate() -> bool {
    let is_there = |file: &str| Path::new(file).exists();
    is_there(BOOTSTRAP_CONF) && !is_there(KUBELET_CONF) && kubelet_health::answers().await == Some(true)
}

/// One `kubeadm join`, to its end.
async fn attempt(
    facts: &Facts,
    kubeadm: &Kubeadm,
    cluster: &JoinCluster,
    token: &JoinToken,
    deadline: Instant,
) -> Result<()> {
    let time_limit = for_attempt(deadline)?;
    // Gone with the attempt, whatever comes of it: it holds the token.
    let (root, folder) = (Path::new("/"), ShortLived::sole(UP)?);
    let (discovery, document) = (folder.path().join(DISCOVERY), folder.path().join(DOCUMENT));
    let text = facts.documents.join_worker(&facts.node, &discovery).context(Exit::Usage)?;
    pki::save_operator_pki(root)?;
    let marker = WorkerMarker::new(&facts.machine.instance, WorkerStage::Joining, identity(cluster));
    marker.save(root)?;
    Point::JoinMarked.reached();
    files::write(&discovery, discovery_file(cluster, token)?.as_bytes(), 0o600)?;
    files::write(&document, text.as_bytes(), 0o600)?;
    Point::JoinConfigured.reached();
    let told = Some(&token.token);
    let mut attempt = kubeadm.join(&document, None, told, time_limit, |phase| progress("kubeadm join", &phase))?;
    Point::JoinStarted.reached();
    attempt.wait().await?;
    Point::JoinEnded.reached();
    Ok(())
}

/// The file by which kubeadm finds and trusts the cluster and shows the token: a secret.
fn discovery_file(cluster: &JoinCluster, token: &JoinToken) -> Result<String> {
    let authority = cluster.ca_pem.as_bytes();
    let place = Cluster { name: "kubernetes", endpoint: cluster.endpoint.clone(), server_name: None, authority };
    kubeconfig(&place, "kubeboot-worker", &Proof::Token(&token.token))
}
