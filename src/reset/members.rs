//! Removes this machine's member: one look, one decision, one removal, again and again until a certain list lacks it or it
//! cannot go.

use super::survey::{Judged, Survey, add_members, judge};
use super::{ResetContext, leadership};
use crate::etcd::{self, Access};
use crate::host::systemd::notify;
use crate::model::leave::plan::Blocked;
use crate::model::leave::{Leadership, NextRemoval, Part, next_removal};
use crate::model::machine::ids::MemberId;
use crate::model::machine::local::Local;
use crate::model::membership::members::Members;
use crate::model::membership::reaping::RemovalReason;
use crate::model::membership::view::ClusterView;
use crate::node::credentials::Credentials;
use crate::node::group::GroupWatch;
use anyhow::{Context, Result, bail};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Between two looks after something did not work: an election takes a second or two.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What became of this machine's member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    /// A certain list lacks it.
    Gone,
    /// It is the last voter, and stays.
    LastVoter,
}

/// Removes what is in the way and then this machine's own member, for as long as the budget allows.
///
/// # Errors
/// It is, or may be, listed at the end; with what was in the way last.
pub(crate) async fn remove(reset: &ResetContext, survey: &Survey, local: &Local) -> Result<Removed> {
    let credentials = match &survey.credentials {
        Ok(credentials) => credentials,
        Err(error) => bail!("{error:#}"),
    };
    let access = credentials.etcd.as_ref().context("there are no credentials for etcd")?;
    let mut last = "etcd was not asked".to_owned();
    let addresses = survey.addresses.clone();
    let leadership = Some(survey.leadership.clone());
    let mut work =
        Work { reset, addresses, local, access, credentials, watch: reset.watch(), judged: None, leadership };
    let time_limit = reset.clock.left(Part::Members);
    match timeout(time_limit, work.until_done(&mut last)).await {
        Ok(removed) => Ok(removed),
        Err(_) => bail!("this machine's etcd member is still listed, or may be: {last}"),
    }
}

struct Work<'a> {
    reset: &'a ResetContext,
    addresses: Vec<IpAddr>,
    local: &'a Local,
    access: &'a Access,
    credentials: &'a Credentials,
    watch: GroupWatch,
    judged: Option<Judged>,
    /// Who leads; `None` once this machine has tried to hand over.
    leadership: Option<Leadership>,
}

impl Work<'_> {
    async fn until_done(&mut self, last: &mut String) -> Removed {
        loop {
            match self.pass().await {
                Ok(Some(removed)) => return removed,
                Ok(None) => continue,
                Err(error) => {
                    let why = format!("{error:#}");
                    if why != *last {
                        tracing::warn!("cannot leave yet: {why}");
                        notify::status(&format!("leaving: {why}"));
                    }
                    *last = why;
                }
            }
            sleep(RETRY_INTERVAL).await;
        }
    }

    /// One look, one decision, one step.
    async fn pass(&mut self) -> Result<Option<Removed>> {
        let cluster = etcd::observe(self.access, &self.addresses).await;
        add_members(&mut self.addresses, &cluster);
        if let Some(known) = &mut self.leadership {
            known.leader = leadership::leader(self.reset, self.access, &cluster).await;
        }
        match (self.next(&cluster), &cluster) {
            (NextRemoval::Gone, _) => Ok(Some(Removed::Gone)),
            (NextRemoval::LastVoter, _) => Ok(Some(Removed::LastVoter)),
            (NextRemoval::MoveLeader(to), ClusterView::Listed(_)) => {
                self.leadership = None;
                leadership::hand_over(self.reset, self.access, &cluster, to).await;
                Ok(None)
            }
            (NextRemoval::RemoveOwn(id), ClusterView::Listed(members)) => {
                tracing::info!(member = %id, "removing this machine's etcd member");
                etcd::remove_verified(self.access, members, id).await?;
                tracing::info!(member = %id, "a member that stays lists this machine no longer");
                Ok(Some(Removed::Gone))
            }
            (NextRemoval::Reap(id, why), ClusterView::Listed(members)) => {
                self.reap(members, id, &why).await.map(|()| None)
            }
            (NextRemoval::Blocked(why @ Blocked::Silent(_)), ClusterView::Listed(members)) => {
                // Judged anew in each pass: machines go, and members begin to answer.
                self.judged = Some(judge(self.reset, &mut self.watch, self.access, self.credentials, members).await?);
                match self.next(&cluster) {
                    NextRemoval::Reap(..) => Ok(None),
                    _ => bail!("{why}"),
                }
            }
            (NextRemoval::Blocked(why), _) => bail!("{why}"),
            (NextRemoval::MoveLeader(_) | NextRemoval::RemoveOwn(_) | NextRemoval::Reap(..), _) => {
                bail!("the member list is not certain")
            }
        }
    }

    /// What is to be done about this list, by all that was judged so far.
    fn next(&self, cluster: &ClusterView) -> NextRemoval {
        let judged = self.judged.as_ref().map_or(&[][..], |judged| &judged.verdicts);
        let unknown = Leadership::default();
        let leadership = self.leadership.as_ref().unwrap_or(&unknown);
        next_removal(&self.reset.leave_input(self.local, cluster, judged, leadership))
    }

    async fn reap(&self, members: &Members, id: MemberId, why: &RemovalReason) -> Result<()> {
        let Judged { verdicts, registrations, view } = self.judged.as_ref().context("the members were not judged")?;
        let (member, _) = verdicts
            .iter()
            .find(|(member, _)| member.id == id)
            .with_context(|| format!("etcd member {id} was not judged"))?;
        let reaper = self.reset.reaper(self.access, self.credentials, view);
        reaper.reap_member(members, member, why, registrations).await.map(drop)
    }
}
