//! What is there to leave: the members that etcd lists, and, where dead ones are in the way, which of them may be reaped.

use super::{ResetContext, credentials, leadership};
use crate::etcd::{self, Access};
use crate::host::files;
use crate::model::leave::plan::Blocked;
use crate::model::leave::{Leadership, LeaveInput, LeavePlan, NextRemoval, Part, next_removal, plan};
use crate::model::machine::ids::InstanceId;
use crate::model::machine::local::Local;
use crate::model::membership::former::may_matter;
use crate::model::membership::members::{Member, Members};
use crate::model::membership::reaping::ReapVerdict;
use crate::model::membership::registration::Registration;
use crate::model::membership::view::ClusterView;
use crate::node::credentials::{Credentials, MEMBER_ETCD, MEMBER_KUBECONFIG};
use crate::node::group::{GroupWatch, View};
use crate::node::peers;
use crate::node::reaping::Reaper;
use anyhow::{Context, Result};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// The static pod of this machine's etcd, which names the members that there were when it joined.
const MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";
/// The largest manifest, in bytes.
const MANIFEST_LIMIT: u64 = 256 * 1024;
/// How long etcd may take to answer one question; a look asks several.
const ETCD_TIMEOUT: Duration = Duration::from_secs(3);

/// One look, and what follows from it.
pub(crate) struct Survey {
    /// This machine's own credentials, or why there are none.
    pub(crate) credentials: Result<Credentials>,
    /// Where the cluster may be asked: this machine first.
    pub(crate) addresses: Vec<IpAddr>,
    /// The cluster, as far as it answers.
    pub(crate) cluster: ClusterView,
    /// Who leads it.
    pub(super) leadership: Leadership,
    /// What is to be done.
    pub(crate) plan: LeavePlan,
}

impl Survey {
    /// Looks around within the budget. Whoever is silent is told of in the plan.
    pub(crate) async fn take(reset: &ResetContext, local: &Local) -> Self {
        let credentials = credentials::to_leave_with(reset, local).await;
        let mut addresses = reset.facts.machine.addresses.clone();
        addresses.extend(by_manifest().into_iter().filter(|found| !reset.facts.machine.addresses.contains(found)));
        let mut survey = Self {
            cluster: ClusterView::NotAsked,
            leadership: Leadership::default(),
            plan: plan(&reset.leave_input(local, &ClusterView::NotAsked, &[], &Leadership::default())),
            credentials,
            addresses,
        };
        if let LeavePlan::Stay(_) = survey.plan {
            return survey;
        }
        if let Err(error) = reset.clock.within(Part::Look, survey.ask(reset)).await {
            tracing::warn!("{error:#}");
            if survey.cluster == ClusterView::NotAsked {
                survey.cluster = ClusterView::Unknown { why: format!("{error:#}") };
            }
        }
        add_members(&mut survey.addresses, &survey.cluster);
        let judged = survey.judged_if_blocked(reset, local).await;
        survey.plan = plan(&reset.leave_input(local, &survey.cluster, &judged, &survey.leadership));
        survey
    }

    /// Asks etcd by the addresses that this disk knows, and only if none of them answers by those of the group. With
    /// external etcd nothing is asked but who has an API server beside this machine.
    async fn ask(&mut self, reset: &ResetContext) -> Result<()> {
        if reset.facts.external_etcd() {
            self.cluster = ClusterView::External;
            self.addresses.extend(reset.others().await?);
            return Ok(());
        }
        let Ok(credentials) = &self.credentials else {
            let why = self.credentials.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
            self.cluster = ClusterView::Unknown { why };
            return Ok(());
        };
        let access = credentials.etcd.as_ref().context("there are no credentials for etcd")?;
        self.cluster = etcd::observe_within(access, &self.addresses, reset.etcd_timeout()).await;
        if let ClusterView::Unknown { .. } = self.cluster {
            self.addresses.extend(reset.others().await?);
            self.cluster = etcd::observe_within(access, &self.addresses, reset.etcd_timeout()).await;
        }
        let leader = leadership::leader(reset, access, &self.cluster).await;
        self.leadership.leader = leader;
        self.leadership.joined = leadership::joined(reset, &self.cluster, leader).await;
        Ok(())
    }

    /// Which members may be reaped, asked only where some of them are in the way.
    async fn judged_if_blocked(&self, reset: &ResetContext, local: &Local) -> Vec<(Member, ReapVerdict)> {
        let (ClusterView::Listed(members), Ok(credentials)) = (&self.cluster, &self.credentials) else {
            return Vec::new();
        };
        let Some(access) = &credentials.etcd else { return Vec::new() };
        if !matches!(
            next_removal(&reset.leave_input(local, &self.cluster, &[], &self.leadership)),
            NextRemoval::Blocked(Blocked::Silent(_))
        ) {
            return Vec::new();
        }
        let time_limit = reset.clock.left(Part::Look).max(reset.clock.left(Part::Members) / 2);
        let judged = timeout(time_limit, judge(reset, &mut reset.watch(), access, credentials, members)).await;
        match judged.context("AWS and S3 did not answer in time").and_then(|judged| judged) {
            Ok(Judged { verdicts, .. }) => verdicts,
            Err(error) => {
                tracing::warn!(
                    "failed to find out whether the silent members are gone, so none of them is reaped: {error:#}"
                );
                Vec::new()
            }
        }
    }
}

/// Adds the listed members to the addresses that can be asked: once this machine's member is gone, only they can say so.
pub(crate) fn add_members(addresses: &mut Vec<IpAddr>, cluster: &ClusterView) {
    let (ClusterView::Listed(members) | ClusterView::NoQuorum(members)) = cluster else { return };
    for address in members.0.iter().flat_map(|member| &member.peer_addresses) {
        if !addresses.contains(address) {
            addresses.push(*address);
        }
    }
}

/// Which members may be reaped, and from what that follows.
pub(crate) struct Judged {
    pub(crate) verdicts: Vec<(Member, ReapVerdict)>,
    pub(crate) registrations: Vec<Registration>,
    pub(crate) view: View,
}

/// Judges the members of a certain list by the registrations, the group and what EC2 says.
///
/// # Errors
/// S3 or AWS does not answer: then no member may be reaped.
pub(crate) async fn judge(
    reset: &ResetContext,
    watch: &mut GroupWatch,
    access: &Access,
    credentials: &Credentials,
    members: &Members,
) -> Result<Judged> {
    let registrations = reset.roll.all_readable().await?;
    let listed = ClusterView::Listed(members.clone());
    let may_matter = |found: &&Registration| may_matter(found, &registrations, Some(&listed));
    let others: Vec<InstanceId> = registrations.iter().filter(may_matter).map(|found| found.instance.clone()).collect();
    let view = watch.look(&others, None).await?;
    let verdicts = reset.reaper(access, credentials, &view).judge(members, &registrations);
    Ok(Judged { verdicts, registrations, view })
}

impl ResetContext {
    pub(crate) fn leave_input<'a>(
        &'a self,
        local: &'a Local,
        cluster: &'a ClusterView,
        judged: &'a [(Member, ReapVerdict)],
        leadership: &'a Leadership,
    ) -> LeaveInput<'a> {
        let machine = &self.facts.machine;
        let has_credentials = self.has_credentials();
        let (me, addresses) = (&machine.instance, &machine.addresses[..]);
        LeaveInput { me, addresses, local, has_credentials, cluster, judged, leadership, wipe: self.now }
    }

    /// Whether kubeadm has made here what it announces a member with, and what a Node is registered by; or anything that
    /// comes later, should those have been lost.
    fn has_credentials(&self) -> bool {
        let data = self.facts.documents.data_dir();
        let later = [Some(PathBuf::from(MANIFEST)), data.map(|data| data.join("member"))];
        let of_etcd = data.map(|_| Path::new(MEMBER_ETCD).join("healthcheck-client.key"));
        let needed = [Some(PathBuf::from(MEMBER_KUBECONFIG)), of_etcd];
        needed.iter().flatten().all(|file| file.exists()) || later.iter().flatten().any(|file| file.exists())
    }

    /// The addresses of the group's other machines, by AWS.
    async fn others(&self) -> Result<Vec<IpAddr>> {
        let view = self.watch().look(&[], None).await?;
        Ok(peers::seen(&view, &self.facts.machine.instance))
    }

    pub(crate) fn watch(&self) -> GroupWatch {
        GroupWatch::new(&self.session, self.facts.machine.instance.clone(), self.facts.settings.group.clone())
    }

    pub(crate) fn reaper<'a>(&'a self, access: &'a Access, credentials: &'a Credentials, view: &'a View) -> Reaper<'a> {
        let kubeconfig = &credentials.kubeconfig;
        Reaper { facts: &self.facts, store: &self.session.store, access, kubeconfig, view, own: None, lease: None }
    }

    /// The same within what is left of the budget.
    pub(crate) fn etcd_timeout(&self) -> Duration {
        ETCD_TIMEOUT.min(self.clock.left(Part::Look) / 3)
    }
}

/// Addresses of the members that the manifest of this machine's etcd names.
pub(crate) fn by_manifest() -> Vec<IpAddr> {
    let manifest = files::read_bounded(Path::new(MANIFEST), MANIFEST_LIMIT).ok();
    manifest.and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| initial_cluster(&text)).unwrap_or_default()
}

/// The addresses in `--initial-cluster=NAME=https://ADDRESS:2380,...`.
fn initial_cluster(manifest: &str) -> Vec<IpAddr> {
    let flag =
        manifest.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix("--initial-cluster="));
    let members = flag.unwrap_or_default().split(',');
    members.filter_map(|member| etcd::list::host(member.split_once('=')?.1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_names_the_members_of_the_time_when_it_was_written() -> Result<()> {
        let manifest = "spec:\n  containers:\n  - command:\n    - etcd\n    \
             - --initial-cluster=n1=https://10.77.0.11:2380,n2=https://[fd00::2]:2380,n3=https://10.77.0.13:2380\n    \
             - --initial-cluster-state=existing\n";
        let expected: [IpAddr; 3] = ["10.77.0.11".parse()?, "fd00::2".parse()?, "10.77.0.13".parse()?];
        assert_eq!(initial_cluster(manifest), expected);
        for bad in ["", "- --initial-cluster=", "- --initial-cluster=n1", "- --initial-cluster=n1=https://name:2380,,"]
        {
            assert!(initial_cluster(bad).is_empty(), "{bad}");
        }
        Ok(())
    }
}
