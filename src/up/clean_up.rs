//! Cleans up before a join and after one that failed: first this machine's member, then its disk, then the members of machines
//! that are gone, then the Node under its name.

use super::context::UpContext;
use super::failed_attempt::FailedAttempt;
use super::time_left::cut_short;
use super::{POLL_INTERVAL, StepOutcome};
use crate::etcd;
use crate::exit::{Exit, causes};
use crate::kubeadm::last_words::last_words;
use crate::kubeadm::wipe::{self, MemberData, WipeFailed};
use crate::model::machine::group::Group;
use crate::model::machine::ids::{MemberId, Nonce};
use crate::model::machine::local::Local;
use crate::model::membership::members::Members;
use crate::model::membership::registration::Registration;
use crate::model::membership::starting::starting;
use crate::model::membership::view::ClusterView;
use crate::model::up::back_off::back_off;
use crate::model::up::cleanup::{self, CleanUp, LeaseAfter, clean_up};
use crate::node::point::Point;
use crate::node::reaping::Reaper;
use crate::node::{former_node, node_name, peers};
use anyhow::{Context, Result};
use std::sync::atomic::Ordering;
use tokio::join;
use tokio::time::{Instant, sleep};

/// How often cleaning up after a failed join is tried at once.
const CLEAN_UP_ATTEMPTS: u32 = 10;

impl UpContext {
    /// Removes what is left of an earlier attempt, then the members of machines that are gone, which block every join, and
    /// last the Node under this machine's name, which no kubelet here can register again by now. A reason to wait if the cluster
    /// does not allow it yet.
    pub(super) async fn clean_up(&mut self, group: &Group, lease: Option<&Nonce>) -> Result<Option<String>> {
        let others = peers::addresses(group, &self.facts.machine.instance);
        // Armed before any member changes, and while the members are asked for.
        let mut leaving_unit = std::mem::take(&mut self.membership.leaving_unit);
        let (mut cluster, ()) = join!(self.ask_cluster(&others), leaving_unit.arm());
        self.membership.leaving_unit = leaving_unit;
        let silent_lately = loop {
            self.membership.probe.remember(&cluster);
            let silent_lately = self.membership.silent_lately(&cluster);
            let starting = self.starting(&cluster, &silent_lately).await?;
            let machine = &self.facts.machine;
            let access = self.membership.credentials.as_ref().and_then(|(_, credentials)| credentials.etcd.as_ref());
            let recorded = access.map(|access| access.recorded.cluster);
            let (local, data) = (self.local()?, self.data());
            match clean_up(&machine.instance, &cluster, recorded, &starting, &machine.addresses, &local, &data) {
                CleanUp::Wait(needs) => return Ok(Some(needs.to_string())),
                CleanUp::Remove(stale) => {
                    self.remove_own(&cluster, stale).await?;
                    cluster = self.ask_cluster(&others).await;
                }
                CleanUp::Wipe => {
                    Point::OwnMemberRemoved.reached();
                    let documents = &self.facts.documents;
                    let wiped =
                        wipe::wipe(&self.kubeadm, documents.data_dir(), documents.cri_socket(), MemberData::Removed)
                            .await;
                    wiped?;
                    break silent_lately;
                }
                CleanUp::Keep(needed) => return Ok(Some(format!("an operator: {needed}"))),
                CleanUp::Done => {
                    Point::OwnMemberRemoved.reached();
                    break silent_lately;
                }
            }
        };
        Point::DiskClean.reached();
        let registrations = self.roll.all_readable().await?;
        let dead = async {
            let blocking_member = match cleanup::members(&cluster) {
                Some(members) => self.reap(members, &silent_lately, lease, &registrations).await?,
                None => None,
            };
            self.bury_former_owners(cleanup::members(&cluster), &registrations).await?;
            Point::DeadReaped.reached();
            anyhow::Ok(blocking_member)
        };
        // Whoever was listed at this machine's address is removed by now, and this name is nobody else's.
        let (dead, freed) = join!(dead, self.delete_stale_node(&registrations));
        freed?;
        Point::NameFree.reached();
        dead
    }

    /// The voters that are starting, where that matters.
    async fn starting(&self, cluster: &ClusterView, silent_lately: &[MemberId]) -> Result<Vec<MemberId>> {
        match cleanup::members(cluster).filter(|members| !members.has_quorum() && !silent_lately.is_empty()) {
            Some(members) => Ok(starting(silent_lately, members, &self.roll.all_readable().await?)),
            None => Ok(Vec::new()),
        }
    }

    /// Deletes the Nodes, whatever their names, of machines that had this one's address before, and marks their registrations. Their
    /// member, if they had one, is gone by now: whoever is listed at this address is removed first.
    async fn bury_former_owners(&self, members: Option<&Members>, registrations: &[Registration]) -> Result<()> {
        let (machine, view) = (&self.facts.machine, self.group.last());
        let former =
            cleanup::former_owners(&machine.instance, &machine.addresses, registrations, members, &view.instances);
        let (_, credentials) =
            self.membership.credentials.as_ref().context("there are no credentials for the cluster")?;
        former_node::bury(&self.facts, &self.store, &credentials.kubeconfig, view, &former).await;
        Ok(())
    }

    /// Deletes a Node that an earlier owner of this machine's name has left.
    async fn delete_stale_node(&self, registrations: &[Registration]) -> Result<()> {
        let (_, credentials) =
            self.membership.credentials.as_ref().context("there are no credentials for the cluster")?;
        node_name::free(&self.facts, &credentials.kubeconfig, self.group.last(), registrations).await;
        Ok(())
    }

    /// Removes the members of machines that are gone. What stays in the way is a reason to wait: etcd refuses a new
    /// member while a voter does not answer or a learner is about, and kubeadm takes four minutes to say so.
    async fn reap(
        &self,
        members: &Members,
        silent_lately: &[MemberId],
        lease: Option<&Nonce>,
        registrations: &[Registration],
    ) -> Result<Option<String>> {
        let (_, credentials) =
            self.membership.credentials.as_ref().context("there are no credentials for the cluster")?;
        let reaper = Reaper {
            facts: &self.facts,
            store: &self.store,
            access: credentials.etcd.as_ref().context("there are no credentials for etcd")?,
            kubeconfig: &credentials.kubeconfig,
            view: self.group.last(),
            own: None,
            lease,
        };
        let blocking = reaper.reap(members, silent_lately, registrations).await;
        let beside = !starting(silent_lately, members, registrations).is_empty();
        self.membership.beside_starting.store(beside, Ordering::Relaxed);
        blocking
    }

    /// Removes the member that an earlier owner of this address has left.
    async fn remove_own(&mut self, cluster: &ClusterView, stale: MemberId) -> Result<()> {
        let members = cleanup::members(cluster).context("the cluster has not listed its members")?;
        let (_, credentials) =
            self.membership.credentials.as_ref().context("there are no credentials for the cluster")?;
        let access = credentials.etcd.as_ref().context("there are no credentials for etcd")?;
        tracing::warn!(member = %stale, "removing the etcd member that an earlier life of this address has left");
        etcd::remove_verified(access, members, stale).await?;
        self.report.registrar.no_member();
        Ok(())
    }

    /// Logs what kubelet and the containers that have ended said last, before a wipe removes it. Once for each error.
    pub(super) async fn tell_last_words(&self, error: &anyhow::Error) {
        let text = causes(error).join(": ");
        if self.report.failed.as_ref().is_some_and(|failed| failed.text == text) {
            return;
        }
        for words in last_words(self.facts.documents.cri_socket()).await {
            tracing::warn!("before the failure, {words}");
        }
    }

    /// A failed attempt must not leave a member behind: it would block every other join. Without the lease, which was lost or given
    /// on, nothing is cleaned up here: the next attempt comes soon, takes it again, and begins with that.
    pub(super) async fn after_failure(
        &mut self,
        error: anyhow::Error,
        group: &Group,
        lease: LeaseAfter,
        deadline: Instant,
    ) -> Result<StepOutcome> {
        if error.downcast_ref::<Exit>().is_some() {
            return Err(error);
        }
        let began = matches!(self.local()?, Local::HalfMade { .. });
        let failed = FailedAttempt::after(self.report.failed.as_ref(), &error, deadline);
        self.membership.failed_joins = self.membership.failed_joins.saturating_add(1);
        let failures = self.membership.failed_joins;
        if !cut_short(&error, deadline) && self.report.failed.as_ref() == Some(&failed) {
            tracing::error!("join failed with the same error, {failures} times in all");
        } else {
            tracing::error!("join failed: {}", causes(&error).join(": "));
        }
        self.report.registrar.failed(&failed.text).await;
        self.membership.next_join = None;
        // A wipe that has failed may take as long again: with the lease held that is for the next attempt.
        let cleans_up = lease.cleans_up() && error.downcast_ref::<WipeFailed>().is_none();
        let mut next = failed.followed_by(error, failures);
        // Before the clean-up, in the middle of which the lease may be lost.
        self.report.failed = Some(failed);
        if began && cleans_up {
            self.retry_clean_up(group).await;
        } else if began && !lease.cleans_up() {
            tracing::warn!("what this join has left is cleaned up once this machine has the membership lease again");
            self.membership.next_join = Some(Instant::now() + back_off(failures));
            if let Ok(waiting) = &mut next {
                waiting.pause = waiting.pause.min(POLL_INTERVAL);
            }
        }
        next.map(StepOutcome::Wait)
    }

    /// Cleans up after a failed attempt, for as long as etcd may take to elect a leader or to see its members again. What
    /// cannot be done by then, the next attempt begins with; until then this machine's disk is left as it is.
    async fn retry_clean_up(&mut self, group: &Group) {
        for attempt in 1..=CLEAN_UP_ATTEMPTS {
            match self.clean_up(group, None).await {
                Ok(None) => return,
                // What is in the way of the next attempt is another machine's affair.
                Ok(Some(_)) if matches!(self.local(), Ok(Local::Fresh)) => return,
                Ok(Some(reason)) => tracing::warn!(attempt, "cleaning up after the failed join waits for {reason}"),
                // It is in nobody's way by now, and a wipe may take minutes: with the lease held that is for the next attempt.
                Err(error) if error.downcast_ref::<WipeFailed>().is_some() => {
                    return tracing::warn!("failed to clean up after the failed join: {error:#}");
                }
                Err(error) => tracing::warn!(attempt, "failed to clean up after the failed join: {error:#}"),
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}
