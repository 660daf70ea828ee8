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
use crate::model::membership::view::ClusterView;
use crate::model::up::cleanup::{self, CleanUp, clean_up};
use crate::node::point::Point;
use crate::node::reaping::Reaper;
use crate::node::{former_node, node_name, peers};
use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

/// How often cleaning up after a failed join is tried at once.
const CLEAN_UP_ATTEMPTS: u32 = 10;

impl UpContext {
    /// Removes what is left of an earlier attempt, then the members of machines that are gone, which block every join, and
    /// last the Node under this machine's name, which no kubelet here can register again by now. A reason to wait if the cluster
    /// does not allow it yet.
    pub(super) async fn clean_up(&mut self, group: &Group, lease: Option<&Nonce>) -> Result<Option<String>> {
        let cluster = loop {
            let cluster = self.ask_cluster(&peers::addresses(group, &self.facts.machine.instance)).await;
            self.membership.probe.remember(&cluster);
            let machine = &self.facts.machine;
            let access = self.membership.credentials.as_ref().and_then(|(_, credentials)| credentials.etcd.as_ref());
            let recorded = access.map(|access| access.recorded.cluster);
            let (local, data) = (self.local()?, self.data());
            match clean_up(&machine.instance, &cluster, recorded, &machine.addresses, &local, &data) {
                CleanUp::Wait(needs) => return Ok(Some(needs.to_string())),
                CleanUp::Remove(stale) => self.remove_own(&cluster, stale).await?,
                CleanUp::Wipe => {
                    Point::OwnMemberRemoved.reached();
                    let documents = &self.facts.documents;
                    let wiped =
                        wipe::wipe(&self.kubeadm, documents.data_dir(), documents.cri_socket(), MemberData::Removed)
                            .await;
                    wiped?;
                    break cluster;
                }
                CleanUp::Keep(needed) => return Ok(Some(format!("an operator: {needed}"))),
                CleanUp::Done => {
                    Point::OwnMemberRemoved.reached();
                    break cluster;
                }
            }
        };
        Point::DiskClean.reached();
        let registrations = self.roll.all_readable().await?;
        let blocking_member = match cleanup::members(&cluster) {
            Some(members) => self.reap(members, lease, &registrations).await?,
            None => None,
        };
        self.bury_former_owners(cleanup::members(&cluster), &registrations).await?;
        Point::DeadReaped.reached();
        self.delete_stale_node(&registrations).await?;
        Point::NameFree.reached();
        Ok(blocking_member)
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
        &mut self,
        members: &Members,
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
        reaper.reap(members, registrations).await
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

    /// A failed attempt must not leave a member behind: it would block every other join.
    pub(super) async fn after_failure(
        &mut self,
        error: anyhow::Error,
        group: &Group,
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
        if began {
            self.retry_clean_up(group).await;
        }
        let next = failed.followed_by(error, failures);
        self.report.failed = Some(failed);
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
