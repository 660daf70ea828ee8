//! Reaping on a machine of the group: what is seen from here, and what is done under the membership lease.

use super::report::Done;
use crate::aws::store::Store;
use crate::bucket::{self, keys, registrations};
use crate::etcd::{self, Access};
use crate::exit::Exit;
use crate::host::files;
use crate::host::systemd::notify;
use crate::kubeadm::state;
use crate::model::identity::Mismatch;
use crate::model::ids::{InstanceId, MemberId, Nonce};
use crate::model::lease::Lease;
use crate::model::local::Local;
use crate::model::members::{Member, Members};
use crate::model::reap::by_hand::{self, Lawful, Refusal, soon_gone};
use crate::model::reap::{Verdict, plan};
use crate::model::record::{ClusterRecord, Published, State};
use crate::model::registration::Registration;
use crate::model::snapshot::ClusterView;
use crate::model::step::Stop;
use crate::node::credentials::{Credentials, FOLDER};
use crate::node::group::{GroupWatch, View};
use crate::node::lease::{Queue, release};
use crate::node::reaping::Reaper;
use crate::node::{Facts, peers};
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long etcd may take to elect a leader, or a voter to come back, before that counts as an answer.
const ETCD_PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks while something is waited for.
const PAUSE: Duration = Duration::from_secs(1);

/// This machine, and what it needs to ask and to act.
pub(super) struct Here {
    facts: Facts,
    pub(super) store: Store,
    group: GroupWatch,
    queue: Queue,
    pub(super) record: ClusterRecord,
    /// This machine's address, if it is a member: its own etcd is asked as well.
    own: Option<IpAddr>,
    credentials: Credentials,
    /// Holds credentials that were made for this command alone, and ends them with it.
    _folder: Option<TempDir>,
}

/// One look.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) members: Members,
    pub(super) view: View,
    pub(super) registrations: Vec<Registration>,
}

/// Tells a reason for waiting, in the log and to systemd.
pub(super) fn waiting(reason: &str) {
    tracing::info!("waiting: {reason}");
    notify::status(&format!("waiting: {reason}"));
}

/// As if this command held the lease: then every join of an earlier holder was given up.
///
/// # Errors
/// Never in practice.
pub(super) fn fresh_nonce() -> Result<Nonce> {
    Nonce::parse(uuid::Uuid::new_v4().to_string()).context("a UUID is a nonce")
}

impl Here {
    /// Reads settings, metadata and record, and takes this machine's credentials, or makes some from the PKI bundle.
    ///
    /// # Errors
    /// With the [`Exit`] it should end in.
    pub(super) async fn gather(settings: Settings) -> Result<Self> {
        let facts = Facts::gather(settings).await?;
        if facts.external_etcd() {
            return Err(anyhow!("etcd is external, so its members are not kubeboot's to reap").context(Exit::Usage));
        }
        let (sdk, store) = facts.connect().await?;
        let record = ready_record(&store).await?;
        let me = facts.machine.instance.clone();
        let mut group = GroupWatch::new(&sdk, me.clone(), facts.settings.group.clone());
        let view = look(&mut group, &facts, &record, &registrations(&store).await?).await?;
        let arn = view.group.map(|group| group.arn).unwrap_or_default();
        match record.identity.mismatch(&facts.identity(&arn)) {
            None => {}
            Some(Mismatch::Settings(found)) => {
                return Err(anyhow!("{}", Stop::OtherIdentity(found)).context(Exit::Usage));
            }
            Some(Mismatch::Group(found)) => return Err(anyhow!("{}", Stop::OtherGroup(found)).context(Exit::Operator)),
        }
        let local = state::observe(Path::new("/"), facts.documents.data_dir()).context(Exit::Operator)?;
        let is_member =
            matches!(&local, Local::Made { instance, claim_id } if *instance == me && *claim_id == record.claim_id);
        let (credentials, folder) = if is_member {
            (Credentials::from_disk(&facts)?, None)
        } else {
            let (credentials, folder) = made_from_bundle(&facts, &store, &record).await?;
            (credentials, Some(folder))
        };
        Ok(Self {
            queue: Queue::new(store.clone(), me, facts.settings.lease_ttl),
            own: is_member.then_some(facts.node.address),
            store,
            group,
            record,
            credentials,
            _folder: folder,
            facts,
        })
    }

    /// Looks at everything a plan depends on.
    ///
    /// # Errors
    /// With [`Exit::Operator`] when etcd has lost its quorum, [`Exit::TryAgain`] when it does not answer; AWS' own.
    pub(super) async fn observe(&mut self) -> Result<Seen> {
        let registrations = registrations(&self.store).await?;
        let view = look(&mut self.group, &self.facts, &self.record, &registrations).await?;
        let members = self.members(&self.peers(&view)).await?;
        Ok(Seen { members, view, registrations })
    }

    /// The same, once EC2 has left out for long enough whom it leaves out, or `deadline` has passed.
    ///
    /// # Errors
    /// As [`Here::observe`].
    pub(super) async fn settled(&mut self, deadline: Instant) -> Result<Seen> {
        let mut told = None;
        loop {
            let seen = self.observe().await?;
            let nonce = fresh_nonce()?;
            let soon = self
                .reaper(&seen, &nonce)?
                .with_scene(&seen.members, &seen.registrations, |scene| soon_gone(scene, &plan(scene)));
            let Some((instance, left)) = soon.filter(|_| Instant::now() < deadline) else { return Ok(seen) };
            if told.as_ref() != Some(&instance) {
                let left = humantime::format_duration(Duration::from_secs(left.as_secs() + 1));
                waiting(&format!("EC2 does not know {instance}; that is believed after another {left} (gone_grace)"));
                told = Some(instance);
            }
            sleep(PAUSE).await;
        }
    }

    /// The plan, if this nonce were the lease's.
    pub(super) fn plan(&self, seen: &Seen, nonce: &Nonce) -> Result<Vec<(Member, Verdict)>> {
        Ok(self.reaper(seen, nonce)?.with_scene(&seen.members, &seen.registrations, plan))
    }

    /// The same for one member that was named; `None` when it is not listed.
    pub(super) fn judged(&self, seen: &Seen, id: MemberId, nonce: &Nonce) -> Result<Option<Result<Lawful, Refusal>>> {
        let reaper = self.reaper(seen, nonce)?;
        Ok(reaper.with_scene(&seen.members, &seen.registrations, |scene| by_hand::by_hand(scene, id)))
    }

    /// The lease's nonce as it is now, for a plan that is not carried out.
    ///
    /// # Errors
    /// S3's.
    pub(super) async fn lease_nonce(&self) -> Result<Nonce> {
        let object = self.store.get(keys::LEASE).await?;
        let lease = object.and_then(|object| Lease::parse(&object.body).ok());
        match lease.and_then(|lease| lease.holder) {
            Some(holder) => Ok(holder.nonce),
            None => fresh_nonce(),
        }
    }

    /// Removes what the rules remove, under the lease.
    ///
    /// # Errors
    /// With [`Exit::TryAgain`] when the lease was not to be had or was lost, or a removal failed.
    pub(super) async fn reap(
        &mut self,
        seen: &Seen,
        deadline: Instant,
    ) -> Result<(Seen, Vec<(Member, Verdict)>, Vec<Done>)> {
        let (mut held, nonce) = self.lease(seen, deadline).await?;
        let ended = held.while_holding(self.carry_out(&nonce)).await;
        release(*held).await;
        ended.context("lost the membership lease; what was done stands above").context(Exit::TryAgain)?
    }

    async fn carry_out(&mut self, nonce: &Nonce) -> Result<(Seen, Vec<(Member, Verdict)>, Vec<Done>)> {
        let seen = self.observe().await?;
        let reaper = self.reaper(&seen, nonce)?;
        let plan = reaper.with_scene(&seen.members, &seen.registrations, plan);
        let (mut now, mut done) = (seen.members.clone(), Vec::new());
        for (member, verdict) in &plan {
            let Verdict::Remove(why) = verdict else { continue };
            let taken = reaper.take_away(&now, member, why, &seen.registrations).await.context(Exit::TryAgain)?;
            done.push(Done { id: member.id, node: taken.1 });
            now = taken.0;
        }
        Ok((seen, plan, done))
    }

    /// Removes one member that an operator has named, under the lease, if that is still lawful by then.
    ///
    /// # Errors
    /// As [`Here::reap`], and with [`Exit::Operator`] when it is not.
    pub(super) async fn reap_one(&mut self, seen: &Seen, id: MemberId, deadline: Instant) -> Result<Option<Done>> {
        let (mut held, nonce) = self.lease(seen, deadline).await?;
        let ended = held.while_holding(self.carry_out_one(id, &nonce)).await;
        release(*held).await;
        ended.context("lost the membership lease").context(Exit::TryAgain)?
    }

    async fn carry_out_one(&mut self, id: MemberId, nonce: &Nonce) -> Result<Option<Done>> {
        let seen = self.observe().await?;
        let why = match self.judged(&seen, id, nonce)? {
            None => return Ok(None),
            Some(Ok(why)) => why,
            Some(Err(refusal)) => return Err(super::refused(id, &refusal)),
        };
        let reaper = self.reaper(&seen, nonce)?;
        let member = seen.members.0.iter().find(|member| member.id == id).context("the member is listed")?;
        let node = match &why {
            Lawful::ByRule(why) => {
                reaper.take_away(&seen.members, member, why, &seen.registrations).await.context(Exit::TryAgain)?.1
            }
            Lawful::Unexplained => {
                tracing::warn!(member = %id, "removing an etcd member by hand: {why}");
                reaper.remove(&seen.members, id).await.context(Exit::TryAgain)?;
                None
            }
        };
        Ok(Some(Done { id, node }))
    }

    /// The membership lease, waited for until `deadline`.
    async fn lease(&mut self, seen: &Seen, deadline: Instant) -> Result<(Box<bucket::Held<Lease>>, Nonce)> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let taken = self.queue.take_within("reap", &seen.view.instances, patience, waiting).await?;
        taken.map_err(|reason| anyhow!("gave up waiting for {reason}").context(Exit::TryAgain))
    }

    fn reaper<'a>(&'a self, seen: &'a Seen, lease: &'a Nonce) -> Result<Reaper<'a>> {
        Ok(Reaper {
            facts: &self.facts,
            store: &self.store,
            access: self.access()?,
            kubeconfig: &self.credentials.kubeconfig,
            view: &seen.view,
            own: self.own,
            lease: Some(lease),
        })
    }

    fn access(&self) -> Result<&Access> {
        self.credentials.etcd.as_ref().context("there are no credentials for etcd")
    }

    /// Those that may answer, this machine first.
    fn peers(&self, view: &View) -> Vec<IpAddr> {
        self.own.into_iter().chain(peers::seen(view, &self.facts.machine.instance)).collect()
    }

    /// A certain list with a quorum behind it.
    async fn members(&self, peers: &[IpAddr]) -> Result<Members> {
        let end = Instant::now() + ETCD_PATIENCE;
        let mut told = false;
        loop {
            let error = match etcd::observe(self.access()?, peers).await {
                ClusterView::Listed(members) if members.has_quorum() => return Ok(members),
                ClusterView::Listed(members) | ClusterView::NoQuorum(members) => anyhow!(
                    "etcd: quorum lost: {} of {} answers: no member can be removed; bring voters back first, 'kubeboot status' shows them",
                    members.answering(),
                    members.voters().count()
                )
                .context(Exit::Operator),
                ClusterView::Unknown { why } => anyhow!("etcd does not answer: {why}").context(Exit::TryAgain),
                ClusterView::External | ClusterView::NotAsked => anyhow!("etcd was not asked"),
            };
            if Instant::now() >= end {
                return Err(error);
            }
            if !std::mem::replace(&mut told, true) {
                waiting(&format!("etcd to answer with a quorum, for at most {}s", ETCD_PATIENCE.as_secs()));
            }
            sleep(PAUSE).await;
        }
    }
}

async fn registrations(store: &Store) -> Result<Vec<Registration>> {
    let entries = registrations::all(store).await?;
    Ok(entries.into_iter().filter_map(|entry| entry.registration.ok()).collect())
}

/// The group, and EC2's word on everybody who has registered.
async fn look(group: &mut GroupWatch, facts: &Facts, record: &ClusterRecord, all: &[Registration]) -> Result<View> {
    let mut others: Vec<InstanceId> = all.iter().map(|found| found.instance.clone()).collect();
    others.extend(record.published().map(|published| published.initialised_by.clone()));
    Ok(group.look(&others, facts.settings.expected_size).await?)
}

/// The record of a cluster that exists.
async fn ready_record(store: &Store) -> Result<ClusterRecord> {
    let url = store.url(keys::RECORD);
    let Some((record, _)) = bucket::record::read(store).await? else {
        return Err(anyhow!("there is no cluster record '{url}': correct 'bucket' and 'prefix'").context(Exit::Usage));
    };
    match record.state {
        State::Ready(_) => Ok(record),
        State::Initializing { .. } => {
            Err(anyhow!("the cluster record '{url}' holds a claim and no cluster yet").context(Exit::TryAgain))
        }
        State::Retired(_) => Err(anyhow!("the cluster of the record '{url}' was retired").context(Exit::Operator)),
    }
}

/// Credentials of an hour for a machine that is no member, in a folder of their own.
async fn made_from_bundle(facts: &Facts, store: &Store, record: &ClusterRecord) -> Result<(Credentials, TempDir)> {
    let published: &Published = record.published().context("the record names no cluster")?;
    files::private_dir(Path::new(FOLDER))?;
    let folder = tempfile::tempdir_in(FOLDER).context("failed to make a folder for credentials")?;
    let made = Credentials::from_bundle(facts, store, record, published, &folder.path().join("credentials")).await?;
    Ok((made, folder))
}
