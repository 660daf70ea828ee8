//! Joining: under the membership lease, with nothing of an earlier attempt left, seen through until this machine is a
//! started voter of the very cluster that the record means.

use super::attempt::{self, Announced, Watched};
use super::compare::Settled;
use super::context::UpContext;
use super::init::{READY_INTERVAL, READY_TIMEOUT, marker, ready_uid};
use super::{POLL_INTERVAL, StepOutcome, Waiting, jittered, time_left};
use crate::bucket::Held;
use crate::exit::Exit;
use crate::kube::Client;
use crate::kubeadm::attempt::Failure;
use crate::kubeadm::pki;
use crate::kubeadm::state::{Marker, MarkerStage};
use crate::model::duration::in_words;
use crate::model::machine::group::Group;
use crate::model::machine::ids::{MemberId, Nonce};
use crate::model::membership::instances::Instances;
use crate::model::membership::lease::Lease;
use crate::model::membership::starting::TAKEN_BESIDE;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, Published};
use crate::model::record::view::RecordView;
use crate::model::up::back_off::back_off;
use crate::model::up::cleanup::LeaseAfter;
use crate::model::up::snapshot::Snapshot;
use crate::model::up::step::Step;
use crate::node::Facts;
use crate::node::data_dir_drop_ins;
use crate::node::lease::{Queued, release};
use crate::node::peers;
use crate::node::point::Point;
use anyhow::{Context, Result, bail, ensure};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two reads of another machine's lease.
const LEASE_POLL_INTERVAL: Duration = Duration::from_millis(450);
/// Reads of the lease alone in one pass, so that a machine in the queue asks S3 four times a second at the most.
const LEASE_POLLS: u32 = 3;

/// What one attempt to join goes by.
#[derive(Clone, Copy)]
struct JoinAttempt<'a> {
    /// The record, as it was when this was decided.
    record: &'a ClusterRecord,
    /// What it publishes.
    published: &'a Published,
    group: &'a Group,
    /// The holding of the membership lease; `None` where etcd is external.
    nonce: Option<&'a Nonce>,
    /// Whether etcd has been told of this machine's member.
    announced: &'a Announced,
    /// When this run ends.
    deadline: Instant,
}

impl UpContext {
    /// Queues for the lease and joins.
    pub(super) async fn join(&mut self, seen: &Snapshot, deadline: Instant) -> Result<StepOutcome> {
        let (RecordView::Found { record, .. }, Some(group)) = (&seen.record, &seen.group) else {
            return Ok(StepOutcome::Again);
        };
        let Some(published) = record.published() else { return Ok(StepOutcome::Again) };
        self.refuse_foreign_data_dir()?;
        self.report.stopwatch.enter("comparing versions");
        if let Some(reason) = self.compare_with_cluster(group).await? {
            return Ok(StepOutcome::Wait(Waiting { reason, pause: POLL_INTERVAL, exit: Exit::TryAgain }));
        }
        let announced = Announced::default();
        if self.facts.external_etcd() {
            // Nobody's membership changes, so nobody has to queue.
            let attempt = JoinAttempt { record, published, group, nonce: None, announced: &announced, deadline };
            let joined = self.watched_join(attempt).await;
            return self.ended(joined, group, LeaseAfter::Held, deadline).await;
        }
        self.report.stopwatch.enter("waiting for the membership lease");
        let (held, nonce) = match self.queue(&seen.instances).await? {
            Queued::Mine(held, nonce) => (held, nonce),
            Queued::Wait(reason) => {
                self.prefetch.begin(&self.facts);
                return Ok(StepOutcome::Queue(Waiting { reason, pause: LEASE_POLL_INTERVAL, exit: Exit::TryAgain }));
            }
        };
        tracing::info!(lease = %nonce, "this machine holds the membership lease");
        Point::LeaseTaken.reached();
        let mut lease = Some(*held);
        let joined = {
            let nonce = Some(&nonce);
            let work =
                self.watched_join(JoinAttempt { record, published, group, nonce, announced: &announced, deadline });
            let mut work = std::pin::pin!(work);
            under_lease(&mut lease, work.as_mut(), &announced).await
        };
        let Some(mut held) = lease else {
            let outcome = self.ended(joined, group, LeaseAfter::GivenOn, deadline).await;
            Point::LeaseReleased.reached();
            return outcome;
        };
        let outcome = match held.while_holding(self.ended(joined, group, LeaseAfter::Held, deadline)).await {
            Ok(outcome) => outcome,
            Err(lost) => {
                tracing::warn!(%lost, "lost the membership lease while cleaning up, the next attempt goes on with that");
                self.membership.next_join = Some(Instant::now() + back_off(self.membership.failed_joins));
                let soon = self.too_early().map(|waiting| Waiting { pause: POLL_INTERVAL, ..waiting });
                Ok(soon.map_or(StepOutcome::Again, StepOutcome::Wait))
            }
        };
        release(held).await;
        Point::LeaseReleased.reached();
        outcome
    }

    /// Begins to join anew, because etcd's data on this machine is gone: from here on its member is one of an earlier attempt, which
    /// is removed under the lease.
    pub(super) fn rejoin(&mut self, seen: &Snapshot) -> Result<StepOutcome> {
        let RecordView::Found { record, .. } = &seen.record else { return Ok(StepOutcome::Again) };
        joining_marker(&self.facts, record).save(Path::new("/"))?;
        // A member's own credentials may be gone with its certificates.
        self.membership.credentials = None;
        Ok(StepOutcome::Again)
    }

    /// Takes the lease as soon as it is this machine's turn; after a few looks, says whose turn it is.
    async fn queue(&mut self, instances: &Instances) -> Result<Queued> {
        for _ in 1..LEASE_POLLS {
            match self.membership.lease.take("join", instances).await? {
                mine @ Queued::Mine(..) => return Ok(mine),
                Queued::Wait(_) => sleep(jittered(LEASE_POLL_INTERVAL)).await,
            }
        }
        self.membership.lease.take("join", instances).await
    }

    /// After an attempt the cluster is asked anew. A failed attempt is cleaned up.
    async fn ended(
        &mut self,
        joined: Result<StepOutcome>,
        group: &Group,
        lease: LeaseAfter,
        deadline: Instant,
    ) -> Result<StepOutcome> {
        self.membership.probe.forget();
        match joined {
            Ok(outcome) => Ok(outcome),
            Err(error) => self.after_failure(error, group, lease, deadline).await,
        }
    }

    /// One attempt. If kubeadm was at work, what the machine's own logs say of its failure is told while that is still there.
    async fn watched_join(&mut self, attempt: JoinAttempt<'_>) -> Result<StepOutcome> {
        let joined = self.attempt_join(attempt).await;
        if let Err(error) = &joined
            && (attempt.announced.is_set() || error.downcast_ref::<Failure>().is_some())
        {
            self.tell_last_words(error).await;
        }
        joined
    }

    /// One attempt: under the lease, or without one where etcd is somebody else's.
    async fn attempt_join(&mut self, attempt: JoinAttempt<'_>) -> Result<StepOutcome> {
        let JoinAttempt { record, published, group, nonce, announced, deadline } = attempt;
        self.report.stopwatch.enter("cleaning up");
        let same = match self.read_record().await? {
            RecordView::Found { record: now, .. } => *now == *record,
            RecordView::Absent | RecordView::Vanished => false,
        };
        if !same {
            return Ok(StepOutcome::Again);
        }
        if let Some(reason) = self.clean_up(group, nonce).await? {
            let pause = self.membership.blocked.pause(&reason);
            return Ok(StepOutcome::Wait(Waiting { reason, pause, exit: Exit::Operator }));
        }
        if let Some(waiting) = self.too_early() {
            return Ok(StepOutcome::Wait(waiting));
        }
        // Queueing and cleaning up may have taken the rest of the time. Nothing was begun by now.
        if let Some(waiting) = time_left::too_late(&Step::Join, deadline) {
            return Ok(StepOutcome::Queue(waiting));
        }
        // What is left of an earlier attempt is cleaned up on any machine; a new one begins on one that is fit.
        if !self.fitness.defects(&self.facts, &self.store, true).await.is_empty() {
            return Ok(StepOutcome::Again);
        }
        self.report.stopwatch.enter("join");
        self.prefetch.end();
        self.membership.leaving_unit.arm().await;
        data_dir_drop_ins::install(self.facts.documents.data_dir()).await;
        Point::LeavingArmed.reached();
        self.report
            .registrar
            .joining(&record.claim_id, nonce)
            .await
            .context("failed to register the join before it begins")?;
        Point::JoiningRegistered.reached();
        match self.settle_version(published, group).await? {
            Settled::Join => {}
            Settled::Wait(reason) => {
                // Who raises the cluster's version next under the lease must not wait for one that does not join now.
                self.report.registrar.waiting(Some(&record.claim_id), &reason).await;
                let pause = self.membership.blocked.pause(&reason);
                return Ok(StepOutcome::Wait(Waiting { reason, pause, exit: Exit::TryAgain }));
            }
        }
        Point::VersionSettled.reached();
        let root = Path::new("/");
        let (_, credentials) =
            self.membership.credentials.as_ref().context("there are no credentials for the cluster")?;
        let bundle = credentials.bundle.as_ref().context("there is no PKI bundle to join with")?;
        pki::save_operator_pki(root)?;
        joining_marker(&self.facts, record).save(root)?;
        Point::JoinMarked.reached();
        bundle.install(root)?;
        Point::PkiInstalled.reached();
        let peers = peers::addresses(group, &self.facts.machine.instance);
        self.report.stopwatch.enter("kubeadm join");
        let patience = self.membership.beside_starting.load(Ordering::Relaxed).then_some(TAKEN_BESIDE);
        let watched = Watched { peers: &peers, announced, patience };
        attempt::run(&self.facts, &self.kubeadm, credentials, watched, &mut self.report.registrar, deadline).await?;
        self.report.stopwatch.enter("its own control plane");
        let member = self.own_started_voter(&peers).await?;
        Point::VoterSeen.reached();
        let (_, credentials) =
            self.membership.credentials.as_ref().context("there are no credentials for the cluster")?;
        let local =
            Client::new(&credentials.kubeconfig, SocketAddr::new(self.facts.node.address, self.facts.api_port()))?;
        let uid = ready_uid(&local).await?;
        ensure!(
            uid == published.kube_system_uid,
            "the local API server serves the cluster with kube-system {uid}, the cluster record means {}",
            published.kube_system_uid
        );
        if self.facts.external_etcd() {
            let node = local.node(&self.facts.node_name).await?;
            ensure!(node.is_some(), "kubeadm join has ended, but there is no Node '{}'", self.facts.node_name);
        }
        Point::OwnApiReady.reached();
        self.mark_member(&record.claim_id, published, member)?;
        tracing::info!(member = member.map(|id| id.to_string()), "this machine has joined");
        // From here on this machine uses its own credentials.
        self.membership.credentials = None;
        Ok(StepOutcome::Again)
    }

    /// The rest of the pause after a failed join that was cleaned up only now.
    fn too_early(&self) -> Option<Waiting> {
        let pause = self.membership.next_join?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        let failed = self.report.failed.as_ref()?;
        Some(failed.again_after(pause))
    }

    /// This machine's member, which etcd must list as a started voter: the exit code of kubeadm does not prove that. An answer that is not
    /// certain says nothing against it, and a join that has succeeded is not undone for want of one while etcd elects a leader.
    async fn own_started_voter(&self, peers: &[IpAddr]) -> Result<Option<MemberId>> {
        let end = Instant::now() + READY_TIMEOUT;
        loop {
            let why = match own_member(&self.ask_cluster(peers).await, &self.facts.machine.addresses) {
                MemberAfterJoin::None => return Ok(None),
                MemberAfterJoin::Voter(id) => return Ok(Some(id)),
                MemberAfterJoin::Missing => bail!("kubeadm join has ended, but etcd does not list this machine"),
                MemberAfterJoin::NotYet(why) => why,
            };
            ensure!(Instant::now() < end, "kubeadm join has ended, but {why}, for {}", in_words(READY_TIMEOUT));
            sleep(READY_INTERVAL).await;
        }
    }
}

/// Carries out a join under the lease, and gives that on as soon as the join changes the membership no more: kubeadm goes on for as long
/// again, and who comes next may begin meanwhile. `lease` is empty afterwards if it was given on or lost.
async fn under_lease(
    lease: &mut Option<Held<Lease>>,
    mut work: Pin<&mut impl Future<Output = Result<StepOutcome>>>,
    announced: &Announced,
) -> Result<StepOutcome> {
    let Some(held) = lease else { return work.await };
    let until_vote = async {
        tokio::select! {
            biased;
            joined = work.as_mut() => Some(joined),
            () = announced.vote() => None,
        }
    };
    match held.while_holding(until_vote).await {
        Ok(Some(joined)) => joined,
        Ok(None) => {
            tracing::info!("etcd has given this machine its vote, the membership lease goes to the next");
            let given_on = async {
                if let Some(held) = lease.take() {
                    release(held).await;
                }
                Point::LeaseGivenOn.reached();
            };
            tokio::join!(work, given_on).0
        }
        Err(lost) if announced.is_set() => {
            *lease = None;
            tracing::warn!(%lost, "lost the membership lease after etcd had accepted this machine, going on: etcd serialises");
            work.await
        }
        Err(lost) => {
            *lease = None;
            Err(anyhow::Error::from(lost).context("lost the membership lease, starting over"))
        }
    }
}

/// This machine's member after a join that has succeeded.
#[derive(Debug, PartialEq, Eq)]
enum MemberAfterJoin {
    /// There is none, because etcd is external.
    None,
    /// It is a started voter.
    Voter(MemberId),
    /// A certain list lacks it.
    Missing,
    /// Nothing else is certain, or it has not started yet, for this reason.
    NotYet(String),
}

/// What the cluster says of the member at these addresses.
fn own_member(cluster: &ClusterView, addresses: &[IpAddr]) -> MemberAfterJoin {
    match cluster {
        ClusterView::External => MemberAfterJoin::None,
        ClusterView::Listed(members) => match members.at(addresses) {
            Some(member) if member.is_started_voter() => MemberAfterJoin::Voter(member.id),
            Some(member) => MemberAfterJoin::NotYet(format!("etcd member {} is no started voter", member.id)),
            None => MemberAfterJoin::Missing,
        },
        ClusterView::NoQuorum(_) => MemberAfterJoin::NotYet("etcd has lost its quorum".into()),
        ClusterView::Unknown { why } => MemberAfterJoin::NotYet(format!("etcd does not answer: {why}")),
        ClusterView::NotAsked => MemberAfterJoin::NotYet("etcd was not asked".into()),
    }
}

/// The marker of a join. It names the etcd, so that this machine can leave it while nobody can read the record.
fn joining_marker(facts: &Facts, record: &ClusterRecord) -> Marker {
    let mut marker = marker(facts, &record.claim_id, MarkerStage::Joining);
    marker.etcd_cluster_id = record.published().and_then(|published| published.etcd_cluster_id);
    marker
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::membership::members::{Member, Members};

    #[test]
    fn only_a_certain_list_that_lacks_it_undoes_a_join_that_has_succeeded() {
        let mine = [IpAddr::from([10, 77, 0, 3])];
        let listed = |name: &str, learner| {
            let member =
                Member { id: MemberId(3), name: name.into(), peer_addresses: mine.into(), learner, answers: true };
            Members(vec![member])
        };
        // What the cluster says, and whether it is asked again: nothing else, or for how it ends.
        let rows = [
            (ClusterView::External, Some(MemberAfterJoin::None)),
            (ClusterView::Listed(listed("n3", false)), Some(MemberAfterJoin::Voter(MemberId(3)))),
            (ClusterView::Listed(Members(Vec::new())), Some(MemberAfterJoin::Missing)),
            (ClusterView::Listed(listed("n3", true)), None),
            (ClusterView::Listed(listed("", false)), None),
            (ClusterView::NoQuorum(listed("n3", false)), None),
            (ClusterView::NoQuorum(Members(Vec::new())), None),
            (ClusterView::Unknown { why: "no leader".into() }, None),
            (ClusterView::NotAsked, None),
        ];
        for (cluster, expected) in rows {
            let found = own_member(&cluster, &mine);
            match expected {
                Some(expected) => assert_eq!(found, expected, "{cluster:?}"),
                None => assert!(matches!(found, MemberAfterJoin::NotYet(_)), "{cluster:?}: {found:?}"),
            }
        }
    }
}
