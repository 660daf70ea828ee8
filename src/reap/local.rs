//! This machine, and what it needs to reap: settings, metadata, record and credentials.

use super::sources::look;
use crate::aws::store::Store;
use crate::bucket::{self, Roll, keys};
use crate::exit::Exit;
use crate::host::short_lived::ShortLived;
use crate::host::systemd::notify;
use crate::kubeadm::state;
use crate::model::machine::local::Local;
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::record::cluster::{ClusterRecord, Published, RecordState};
use crate::model::record::identity::Mismatch;
use crate::model::up::step::Stop;
use crate::node::Facts;
use crate::node::credentials::Credentials;
use crate::node::group::GroupWatch;
use crate::node::lease::Queue;
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow};
use std::net::IpAddr;
use std::path::Path;

/// This machine, and what it needs to ask and to act.
pub(super) struct LocalReap {
    pub(super) facts: Facts,
    pub(super) store: Store,
    pub(super) roll: Roll,
    pub(super) group: GroupWatch,
    pub(super) queue: Queue,
    pub(super) record: ClusterRecord,
    /// This machine's address, if it is a member: its own etcd is asked as well.
    pub(super) own: Option<IpAddr>,
    pub(super) credentials: Credentials,
    /// Credentials that were made for this command alone, removed when it ends.
    _folder: Option<ShortLived>,
}

/// Says why this command waits, in the log and to systemd.
pub(super) fn waiting(reason: &str) {
    tracing::info!("waiting: {reason}");
    notify::status(&format!("waiting: {reason}"));
}

impl LocalReap {
    /// Reads settings, metadata and record, and takes this machine's credentials, or makes some from the PKI bundle.
    ///
    /// # Errors
    /// With the [`Exit`] it should end in.
    pub(super) async fn gather(settings: Settings) -> Result<Self> {
        let facts = Facts::gather(settings).await?;
        if facts.external_etcd() {
            return Err(anyhow!("etcd is external, so its members are not kubeboot's to reap").context(Exit::Usage));
        }
        let session = facts.connect().await?;
        let store = session.store.clone();
        let record = ready_record(&store).await?;
        let me = facts.machine.instance.clone();
        let mut group = GroupWatch::new(&session, me.clone(), facts.settings.group.clone());
        // For the group's ARN. Every look reads the registrations anew: making credentials takes seconds.
        let roll = Roll::new(&store);
        let view = look(&mut group, &facts, &record, &roll.all_readable().await?).await?;
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
            matches!(&local, Local::Made { instance, claim_id, .. } if *instance == me && *claim_id == record.claim_id);
        let (credentials, folder) = if is_member {
            (Credentials::from_disk(&facts, RecordedEtcd::of(&record))?, None)
        } else {
            let (credentials, folder) = made_from_bundle(&facts, &store, &record).await?;
            (credentials, Some(folder))
        };
        Ok(Self {
            queue: Queue::new(store.clone(), me, facts.settings.lease_ttl),
            own: is_member.then_some(facts.node.address),
            store,
            roll,
            group,
            record,
            credentials,
            _folder: folder,
            facts,
        })
    }
}

/// The record of a cluster that exists.
async fn ready_record(store: &Store) -> Result<ClusterRecord> {
    let url = store.url(keys::RECORD);
    let Some((record, _)) = bucket::record::read(store).await? else {
        return Err(anyhow!("there is no cluster record '{url}': correct 'bucket' and 'prefix'").context(Exit::Usage));
    };
    match record.state {
        RecordState::Ready(_) => Ok(record),
        RecordState::Initializing { .. } => {
            Err(anyhow!("the cluster record '{url}' holds a claim and no cluster yet").context(Exit::TryAgain))
        }
        RecordState::Saved(saved) => Err(anyhow!(
            "the cluster of the record '{url}' is saved in '{}' and has no member until the next machines restore it",
            saved.snapshot.key
        )
        .context(Exit::TryAgain)),
        RecordState::Retired(_) => {
            Err(anyhow!("the cluster of the record '{url}' was retired").context(Exit::Operator))
        }
    }
}

/// Credentials that are valid for an hour, for a machine that is no member, in a folder of their own.
async fn made_from_bundle(facts: &Facts, store: &Store, record: &ClusterRecord) -> Result<(Credentials, ShortLived)> {
    let published: &Published = record.published().context("the record names no cluster")?;
    let folder = ShortLived::new("reaping")?;
    let made = Credentials::from_bundle(facts, store, record, published, &folder.path().join("credentials")).await?;
    Ok((made, folder))
}
