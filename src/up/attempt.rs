//! One `kubeadm join`, watched: the machine behind the endpoint's name, and this machine's member as soon as it shows.

use super::init::progress;
use super::time_left;
use crate::etcd;
use crate::host::{files, hosts};
use crate::kubeadm::run::Kubeadm;
use crate::model::duration::in_words;
use crate::model::membership::view::ClusterView;
use crate::node::Facts;
use crate::node::credentials::{Credentials, UP_FOLDER};
use crate::node::peers;
use crate::node::point::Point;
use crate::node::registrar::Registrar;
use anyhow::{Context, Result, bail};
use std::cell::Cell;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Between two looks at the machine behind the endpoint's name, and at the member list.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Whether etcd has accepted this machine as a member, and has given it its vote.
#[derive(Debug, Default)]
pub(super) struct Announced {
    accepted: Cell<bool>,
    promoted: Notify,
}

impl Announced {
    /// Whether it is accepted.
    pub(super) fn is_set(&self) -> bool {
        self.accepted.get()
    }

    /// Returns once a certain list has shown it as a voter, with a name or without: from then on this join changes the membership no more.
    pub(super) async fn vote(&self) {
        self.promoted.notified().await;
    }
}

/// What is watched while kubeadm is at work.
#[derive(Clone, Copy)]
pub(super) struct Watched<'a> {
    /// The other control-plane machines.
    pub(super) peers: &'a [IpAddr],
    /// What becomes of this machine's member.
    pub(super) announced: &'a Announced,
    /// For how long etcd may take to accept it, where that is less than kubeadm's own four minutes: beside a voter that is starting, and
    /// may never come to serve.
    pub(super) patience: Option<Duration>,
}

/// Runs `kubeadm join` to its end.
pub(super) async fn run(
    facts: &Facts,
    kubeadm: &Kubeadm,
    credentials: &Credentials,
    watched: Watched<'_>,
    registrar: &mut Registrar,
    deadline: Instant,
) -> Result<()> {
    let Watched { peers, announced, .. } = watched;
    let folder = Path::new(UP_FOLDER);
    let config = folder.join("kubeadm-join.yaml");
    let document = facts.documents.join(&facts.cluster, &facts.node, &credentials.kubeconfig_path)?;
    files::write(&config, document.as_bytes(), 0o600)?;
    Point::JoinConfigured.reached();
    let hosts = HostsFile::new(facts, credentials, peers).await?;
    let time_limit = time_left::for_attempt(deadline)?;
    let hosts_path = hosts.as_ref().map(|hosts| hosts.path.as_path());
    let mut attempt = kubeadm.join(&config, hosts_path, None, time_limit, |phase| progress("kubeadm join", &phase))?;
    Point::JoinStarted.reached();
    let ended = {
        let watching = watch(facts, credentials, watched, hosts, registrar);
        tokio::select! {
            biased;
            ended = attempt.wait() => ended,
            NotTaken { after } = watching => {
                attempt.kill().await?;
                announced.accepted.set(announced.is_set() || attempt.announced());
                bail!(
                    "etcd has not taken this machine within {}, beside a voter that had just been made one: kubeadm was stopped",
                    in_words(after)
                );
            }
        }
    };
    // kubeadm's own word counts for going on without the lease, even if the list did not show the member in time.
    announced.accepted.set(announced.is_set() || attempt.announced());
    ended?;
    Point::JoinEnded.reached();
    Ok(())
}

/// etcd has not taken this machine in time.
struct NotTaken {
    after: Duration,
}

/// Keeps the endpoint's name on a machine that answers, registers the member as soon as it is listed, and tells of its vote.
async fn watch(
    facts: &Facts,
    credentials: &Credentials,
    Watched { peers, announced, patience }: Watched<'_>,
    mut hosts: Option<HostsFile>,
    registrar: &mut Registrar,
) -> NotTaken {
    let mut has_vote = false;
    let began = Instant::now();
    loop {
        sleep(WATCH_INTERVAL).await;
        if let Some(hosts) = &mut hosts
            && let Err(error) = hosts.follow(facts, credentials, peers).await
        {
            tracing::warn!("failed to keep the endpoint on a machine that answers: {error:#}");
        }
        if let (Some(access), false) = (&credentials.etcd, has_vote)
            && let ClusterView::Listed(members) = etcd::observe(access, peers).await
            && let Some(member) = members.at(&facts.machine.addresses)
        {
            if !announced.accepted.replace(true) {
                registrar.member(member.id).await;
            }
            has_vote = !member.learner;
            if has_vote {
                announced.promoted.notify_one();
            }
        }
        if let (Some(after), false) = (patience, announced.is_set())
            && began.elapsed() >= after
        {
            return NotTaken { after };
        }
    }
}

/// The hosts file that kubeadm alone sees: the endpoint's name is a control-plane machine that answers.
struct HostsFile {
    path: PathBuf,
    target: IpAddr,
}

impl HostsFile {
    /// `None` when the endpoint is an address, which is used as it is.
    async fn new(facts: &Facts, credentials: &Credentials, peers: &[IpAddr]) -> Result<Option<Self>> {
        if facts.cluster.host.parse::<IpAddr>().is_ok() {
            return Ok(None);
        }
        let target = peers::ready_api_server(&credentials.kubeconfig, peers, facts.api_port()).await?;
        let file = Self { path: Path::new(UP_FOLDER).join("hosts"), target };
        file.write(facts)?;
        Ok(Some(file))
    }

    fn write(&self, facts: &Facts) -> Result<()> {
        let machine = std::fs::read_to_string("/etc/hosts").context("failed to read '/etc/hosts'")?;
        hosts::write_in_place(&self.path, &hosts::with_address(&machine, &facts.cluster.host, self.target))
    }

    /// Moves the name to another machine if this one no longer answers.
    async fn follow(&mut self, facts: &Facts, credentials: &Credentials, peers: &[IpAddr]) -> Result<()> {
        let port = facts.api_port();
        if peers::ready_api_server(&credentials.kubeconfig, &[self.target], port).await.is_ok() {
            return Ok(());
        }
        if let Ok(other) = peers::ready_api_server(&credentials.kubeconfig, peers, port).await {
            tracing::info!(from = %self.target, to = %other, "the endpoint's name leads to another machine now");
            self.target = other;
            self.write(facts)?;
        }
        Ok(())
    }
}
