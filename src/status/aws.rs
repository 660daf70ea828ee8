//! What AWS says: the bucket, the group, EC2.

use super::origin::Place;
use super::within::within;
use crate::aws::store::Stored;
use crate::aws::{CallFailed, Session, ec2};
use crate::bucket::{Roll, keys};
use crate::model::machine::group::Group;
use crate::model::machine::ids::{InstanceId, Uid};
use crate::model::membership::lease::Lease;
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::{ClusterRecord, Published};
use crate::model::status::{Known, SnapshotStatus, StatusInput, machines};
use crate::node::instances::InstancesWatch;
use crate::node::own_authorities;
use crate::settings::Settings;
use crate::snapshot::last;
use anyhow::Result;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A way to AWS with what was read through it, and the group that the settings name.
pub(super) struct AwsAnswers {
    session: Session,
    roll: Roll,
    instances: InstancesWatch,
    group: Option<String>,
    /// The group that Auto Scaling has named for this instance: it is asked for that once.
    own_group: OnceLock<String>,
    last_snapshot: Mutex<Option<(Instant, Uid, SnapshotStatus)>>,
}

/// How long one look at the snapshots serves, where `status` looks again and again.
const SNAPSHOTS_SERVE: Duration = Duration::from_secs(60);

impl AwsAnswers {
    /// Connects to AWS. Without a Region every question to it fails, and the report says so at each.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub(super) async fn connect(settings: &Settings, place: &Place) -> Result<Self> {
        let machine = place.here.machine.as_ref().ok();
        let session = Session::connect(settings, machine.map(|machine| machine.region.as_str())).await?;
        Ok(Self {
            roll: Roll::new(&session.store),
            instances: InstancesWatch::new(&session),
            session,
            group: settings.group.clone(),
            own_group: OnceLock::new(),
            last_snapshot: Mutex::default(),
        })
    }

    /// Whether it is known which Region to ask.
    pub(super) fn has_region(&self) -> bool {
        self.session.region().is_ok()
    }

    /// The cluster record, and whether S3 shows a delete marker in its place.
    pub(super) async fn record(&self) -> (Known<Option<ClusterRecord>>, bool) {
        match within(self.session.store.read(keys::RECORD)).await {
            Ok(Stored::Object(object)) => {
                (ClusterRecord::parse(&object.body).map(Some).map_err(|error| error.to_string()), false)
            }
            Ok(Stored::Nothing) => (Ok(None), false),
            Ok(Stored::Deleted) => (Ok(None), true),
            Err(why) => (Err(why), false),
        }
    }

    /// The published discovery hash.
    pub(super) async fn hash(&self) -> Known<Option<String>> {
        Ok(self.object(keys::HASH).await?.map(|body| String::from_utf8_lossy(&body).trim_end().to_owned()))
    }

    /// Whether this machine's own files are why nobody answers it, as in [`own_authorities::at_fault`].
    pub(super) async fn own_fault(&self, why: &str, published: &Published) -> Option<String> {
        within(async { Ok::<_, Infallible>(own_authorities::at_fault(why, &self.session.store, published).await) })
            .await
            .ok()
            .flatten()
    }

    /// The membership lease.
    pub(super) async fn lease(&self) -> Known<Option<Lease>> {
        self.object(keys::LEASE).await?.map(|body| Lease::parse(&body)).transpose()
    }

    /// What the machines say about themselves.
    pub(super) async fn registrations(&self) -> Known<BTreeMap<InstanceId, Known<Registration>>> {
        let all = within(self.roll.all()).await?;
        Ok(all.into_iter().map(|entry| (entry.instance, entry.registration)).collect())
    }

    /// The group of the settings, or else the one that Auto Scaling names for this instance.
    pub(super) async fn group(&self, here: Option<&InstanceId>) -> Known<Option<Group>> {
        within(async {
            let name = match (self.group.as_ref().or_else(|| self.own_group.get()), here) {
                (Some(name), _) => Some(name.clone()),
                (None, Some(instance)) => self.session.group_name_of(instance).await?,
                (None, None) => None,
            };
            let Some(name) = name else { return Ok::<_, CallFailed>(None) };
            let group = self.session.group(&name).await?;
            if group.is_some() {
                // Kept where it was kept before.
                let _ = self.own_group.set(name);
            }
            Ok(group)
        })
        .await
    }

    /// The group that the record names, where this machine is in none and the settings name none.
    pub(super) async fn recorded_group(&self, input: &StatusInput) -> Known<Option<Group>> {
        let record = input.record.as_ref().ok().and_then(Option::as_ref);
        match record.and_then(|record| record.identity.group_name()) {
            Some(name) if self.group.is_none() => within(self.session.group(name)).await,
            None if self.group.is_none() && input.here.instance().is_none() => {
                Err("neither the setting 'group' nor a cluster record names it".to_owned())
            }
            Some(_) | None => Ok(None),
        }
    }

    /// What EC2 says of every instance that was mentioned so far.
    pub(super) async fn instances(&mut self, input: &StatusInput) -> Known<BTreeMap<InstanceId, ec2::Described>> {
        let ids: Vec<InstanceId> = machines(input).into_iter().map(|machine| machine.instance.clone()).collect();
        within(self.instances.describe(&ids)).await
    }

    /// The last snapshot of the cluster with this UID; nothing where there is no cluster. One look at the bucket serves for a minute.
    pub(super) async fn snapshots(&self, uid: Option<&Uid>, interval: Duration) -> Known<Option<SnapshotStatus>> {
        let Some(uid) = uid else { return Ok(None) };
        let mut known = self.last_snapshot.lock().await;
        if let Some((at, of, last)) = &*known
            && of == uid
            && at.elapsed() < SNAPSHOTS_SERVE
        {
            return Ok(Some(SnapshotStatus { interval, age: last.age.later(at.elapsed()), ..*last }));
        }
        let found = within(last(&self.session.snapshots, &self.session.store, uid)).await?;
        let manifest = found.manifest.as_ref();
        let last = manifest.map(|manifest| (manifest.revision, manifest.database_size));
        let status = SnapshotStatus { age: found.age, interval, last };
        *known = Some((Instant::now(), uid.clone(), status));
        Ok(Some(status))
    }

    async fn object(&self, key: &str) -> Known<Option<Vec<u8>>> {
        Ok(within(self.session.store.get(key)).await?.map(|object| object.body))
    }
}
