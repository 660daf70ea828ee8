//! `kubeboot upgrade --back`: takes a raised version back, as long as no machine of it has joined.
//!
//! A machine of it that was ended an hour ago is one that EC2 does not know any more, and its registration may still say that it joins. As
//! everywhere, it counts as gone once EC2 has left it out for `gone_grace`.

use crate::aws::with_exit;
use crate::bucket::{self, Roll, keys};
use crate::exit::Exit;
use crate::host::confirm::confirm;
use crate::host::lock::{self, Lock};
use crate::kube::{Client, ClusterConfiguration, ConfigWrite};
use crate::layout::tell;
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::membership::instances::Instances;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::upgrade::{BackVerdict, way_back};
use crate::model::version::Release;
use crate::node::Facts;
use crate::node::credentials::Credentials;
use crate::node::group::GroupWatch;
use crate::node::lease::{Queue, release};
use crate::node::peers;
use crate::node::remains;
use crate::node::upgrade_look::{self, Others, Places};
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow, ensure};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// This member, and what it asks.
struct Here {
    facts: Facts,
    record: ClusterRecord,
    roll: Roll,
    group: GroupWatch,
    credentials: Credentials,
    client: Client,
}

/// What was read, in this order, and what follows.
struct Judged {
    cluster: ClusterConfiguration,
    verdict: BackVerdict,
}

/// Takes the version back.
///
/// # Errors
/// With the [`Exit`] it ends in: why it cannot be taken back, and how to go on instead.
pub(super) async fn run(settings: Settings, yes: bool) -> Result<()> {
    back(settings, yes).await.map_err(with_exit)
}

async fn back(settings: Settings, yes: bool) -> Result<()> {
    let deadline = Instant::now() + settings.deadline;
    let facts = Facts::gather(settings).await?;
    let session = facts.connect().await?;
    let store = session.store.clone();
    let url = store.url(keys::RECORD);
    let record = match bucket::record::read(&store).await? {
        Some((record, _)) if matches!(record.state, RecordState::Ready(_)) => record,
        Some(_) => return Err(anyhow!("the record '{url}' shows no cluster that serves now").context(Exit::Operator)),
        None => {
            return Err(
                anyhow!("there is no cluster record '{url}': correct 'bucket' and 'prefix'").context(Exit::Usage)
            );
        }
    };
    let credentials = Credentials::from_disk(&facts, RecordedEtcd::of(&record))
        .context("failed to find a member's credentials here: run it on a member of the cluster, as root")
        .context(Exit::Usage)?;
    let local = SocketAddr::new(facts.node.address, facts.api_port());
    let mut here = Here {
        client: Client::new(&credentials.kubeconfig, local)?,
        roll: Roll::new(&store),
        group: GroupWatch::new(&session, facts.machine.instance.clone(), facts.settings.group.clone()),
        record,
        credentials,
        facts,
    };
    let judged = remains::settled(deadline, async || here.judge().await, Judged::waits_for).await?;
    let (from, to) = match judged.verdict {
        BackVerdict::Nothing { cluster } => {
            tell(&format!("The cluster is v{cluster}, as its API servers are: there is no upgrade to take back."));
            return Ok(());
        }
        BackVerdict::Refuse(refusal) => return Err(anyhow!("{refusal}").context(Exit::Operator)),
        BackVerdict::Wait { machines, .. } => return Err(anyhow!(unknown(&machines)).context(Exit::TryAgain)),
        BackVerdict::Back { from, to } => (from, to),
    };
    tell(&format!(
        "This takes the upgrade from v{to} to v{from} back: the cluster's configuration names v{to} again, machines of that image join, and \
         those of v{from} raise it again."
    ));
    confirm(yes).await?;
    let time_limit = deadline.saturating_duration_since(Instant::now());
    // A person takes minutes, in which the agent may want this machine's lock to leave by.
    let _lock = Lock::acquire(Path::new(lock::PATH), "kubeboot upgrade", time_limit, waiting).await?;
    let mut queue = Queue::new(store, here.facts.machine.instance.clone(), here.facts.settings.lease_ttl);
    let time_limit = deadline.saturating_duration_since(Instant::now());
    let instances = here.group.last().instances.clone();
    let taken = queue.take_within("upgrade", &instances, time_limit, waiting).await?;
    let (mut held, _) = taken.map_err(|reason| anyhow!("gave up waiting for {reason}").context(Exit::TryAgain))?;
    let written = held.while_holding(here.take_back()).await;
    release(*held).await;
    let (from, to) = written.context("lost the membership lease").context(Exit::TryAgain)??;
    tell(&format!("The cluster's configuration names v{to} again, no longer v{from}."));
    Ok(())
}

fn waiting(reason: &str) {
    tracing::info!("waiting: {reason}");
}

fn unknown(machines: &[String]) -> String {
    format!("EC2 does not know {}, which counts as gone after gone_grace only: try again", machines.join(", "))
}

impl Judged {
    /// The machines that EC2 does not know, and how long it must still leave them out before they count as gone.
    fn waits_for(&self) -> Option<(&[String], Duration)> {
        match &self.verdict {
            BackVerdict::Wait { machines, left } => Some((machines, *left)),
            BackVerdict::Nothing { .. } | BackVerdict::Back { .. } | BackVerdict::Refuse(_) => None,
        }
    }
}

impl Here {
    /// Reads everything anew, and writes.
    async fn take_back(&mut self) -> Result<(Release, Release)> {
        let Judged { cluster, verdict } = self.judge().await?;
        let (from, to) = match verdict {
            BackVerdict::Back { from, to } => (from, to),
            BackVerdict::Nothing { .. } => {
                return Err(anyhow!("somebody else has taken it back meanwhile").context(Exit::TryAgain));
            }
            BackVerdict::Refuse(refusal) => return Err(anyhow!("{refusal}").context(Exit::Operator)),
            BackVerdict::Wait { machines, .. } => return Err(anyhow!(unknown(&machines)).context(Exit::TryAgain)),
        };
        let mark = format!("{} {}", self.facts.machine.instance, uuid::Uuid::new_v4());
        match self.client.write_kubeadm_config(&cluster, &mark, Some(to)).await.context(Exit::TryAgain)? {
            ConfigWrite::Done => Ok((from, to)),
            ConfigWrite::Changed => {
                Err(anyhow!("somebody has written kubeadm-config meanwhile: try again").context(Exit::TryAgain))
            }
        }
    }

    /// In this order, as [`crate::model::upgrade`] says: the configuration, registrations, members, API servers.
    async fn judge(&mut self) -> Result<Judged> {
        let published = self.record.published().context("the record names no cluster")?;
        let uid = self.client.kube_system_uid().await.context(Exit::TryAgain)?;
        ensure!(
            uid == published.kube_system_uid.as_str(),
            "this machine's API server serves another cluster than the record's"
        );
        let cluster = self.client.kubeadm_config().await.context(Exit::TryAgain)?;
        let version = upgrade_look::cluster_version(&cluster).context(Exit::Operator)?;
        let (registrations, unreadable) = self.roll.all_or_none().await?;
        let about: Vec<_> = registrations.iter().map(|told| told.instance.clone()).chain(unreadable.clone()).collect();
        let view = self.group.look_now(&about, self.facts.settings.expected_size).await?;
        let instances: &Instances = &view.instances;
        let others = Others {
            me: &self.facts.machine.instance,
            registrations: &registrations,
            unreadable: &unreadable,
            instances,
            grace: self.facts.settings.gone_grace,
        };
        let places = match &self.credentials.etcd {
            None => {
                let own = self.facts.node.address;
                Places::at(others.joined().into_iter().chain([own]), &registrations)
            }
            Some(access) => {
                let mut peers = peers::seen(&view, &self.facts.machine.instance);
                peers.insert(0, self.facts.node.address);
                match crate::etcd::observe(access, &peers).await {
                    // This machine's own API server counts, too.
                    ClusterView::Listed(members) => Places::of_members(&members, &[], &registrations),
                    ClusterView::NotAsked
                    | ClusterView::External
                    | ClusterView::Unknown { .. }
                    | ClusterView::NoQuorum(_) => {
                        return Err(
                            anyhow!("etcd does not list its members: see 'kubeboot status'").context(Exit::TryAgain)
                        );
                    }
                }
            }
        };
        let servers =
            places.ask(&self.credentials.kubeconfig, self.facts.api_port(), self.credentials.etcd.as_ref()).await;
        Ok(Judged { verdict: way_back(version, &servers, &others.machines()), cluster })
    }
}
