//! Saving the cluster on its last voter, by the order of [`saving`]: isolated first, then a snapshot that is read back, and only then the
//! record says `saved`. Killed at any point, the next agent finds what was done, and the record decides.

use super::look::Looker;
use crate::aws::CallFailed;
use crate::aws::store::Written;
use crate::bucket::keys;
use crate::etcd::{self, Access, ReadBefore};
use crate::host::systemd::notify;
use crate::kubeadm::pki;
use crate::kubeadm::withheld::{Mark, Why};
use crate::model::agent::SaveWhy;
use crate::model::machine::ids::{ClaimId, InstanceId, MemberId};
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::membership::members::Members;
use crate::model::membership::record_schema::cannot_read;
use crate::model::record::claim;
use crate::model::record::cluster::SCHEMA;
use crate::model::record::conditional_write::Condition;
use crate::model::record::saved::SnapshotRef;
use crate::model::saving::{self, SaveFindings, SaveStep, SnapshotTaken};
use crate::model::snapshot::manifest::SnapshotOrigin;
use crate::model::snapshot::{Manifest, SnapshotKind};
use crate::node::isolation;
use crate::node::point::Point;
use crate::node::settling::{self, RecordNow, Settled, WRITE_TIMEOUT};
use crate::reset::ResetContext;
use crate::snapshot::{self, DatabaseSource, Progress};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::convert::Infallible;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::sleep;

/// How often the group is asked while the snapshot is on its way.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// What became of it: whether the machine goes on as before, and then why the cluster was not saved.
pub(super) type Saved = (Settled, Option<anyhow::Error>);

/// Saves the cluster of this claim, whose last voter this machine is.
///
/// # Errors
/// It is not known what the record says: what is isolated stays so, and the next attempt begins with the record.
pub(super) async fn save(looker: &mut Looker, reset: &ResetContext, claim: &ClaimId, why: SaveWhy) -> Result<Saved> {
    Point::SaveDue.reached();
    let too_old = too_old(reset).await;
    let mut work = Work {
        looker,
        reset,
        claim,
        why,
        origin: None,
        isolated: None,
        is_server_gone: false,
        snapshot: None,
        failed: None,
    };
    let too_old = too_old.unwrap_or_else(|error| {
        match work.looker.ending.as_ref().is_some_and(|(ending, _)| ending.left.is_some()) {
            // A Spot instance has one attempt.
            true => tracing::warn!(
                "it is not known whether every machine can read the record of a saved cluster: {error:#}"
            ),
            false => work.failed = Some(error),
        }
        Vec::new()
    });
    loop {
        let found = settling::find(&reset.session.store, claim).await;
        let wanted = work.is_wanted().await;
        let step = saving::next(&work.findings(&found, wanted, &too_old)?);
        match step {
            SaveStep::EndForGood | SaveStep::Hold(_) | SaveStep::PutBack { .. } => {
                let why = work.failed.take().or_else(|| not_saved(&step));
                let settled = settling::act(&reset.facts, &reset.session.store, claim, found, step).await;
                if let (Some(why), Ok(Settled::PutBack) | Err(_)) = (&why, &settled) {
                    tracing::error!("the cluster is not saved: {why:#}");
                }
                return Ok((settled?, why));
            }
            step => {
                if let Err(error) = work.act(&step, &found).await {
                    work.failed = Some(error);
                }
            }
        }
    }
}

/// Why nothing is saved, by the plan.
fn not_saved(step: &SaveStep) -> Option<anyhow::Error> {
    match step {
        SaveStep::PutBack { why, .. } => Some(anyhow!("{why}")),
        SaveStep::EndForGood
        | SaveStep::Hold(_)
        | SaveStep::IsolateApiServer
        | SaveStep::IsolateEtcd
        | SaveStep::List
        | SaveStep::RemoveLearner(_)
        | SaveStep::TakeSnapshot
        | SaveStep::WriteSaved => None,
    }
}

/// The machines that live and could not read the record.
async fn too_old(reset: &ResetContext) -> Result<Vec<InstanceId>> {
    let (registrations, unreadable) = reset.roll.all_or_none().await?;
    let named = registrations.iter().map(|found| &found.instance).chain(&unreadable);
    let view = reset.watch().look(&named.cloned().collect::<Vec<_>>(), None).await?;
    let is_gone = |instance: &InstanceId| view.instances.is_gone(instance, Duration::ZERO);
    Ok(cannot_read(SCHEMA, &registrations, &unreadable, is_gone))
}

/// What this run has done, and seen.
struct Work<'a> {
    looker: &'a mut Looker,
    reset: &'a ResetContext,
    claim: &'a ClaimId,
    why: SaveWhy,
    is_server_gone: bool,
    /// What is known of the cluster, asked while its API server may still say it.
    origin: Option<SnapshotOrigin>,
    isolated: Option<Isolated>,
    snapshot: Option<(Manifest, SnapshotTaken)>,
    /// What has gone wrong: then nothing is saved by this run.
    failed: Option<anyhow::Error>,
}

/// An etcd that is asked on the loopback.
struct Isolated {
    access: Access,
    origin: SnapshotOrigin,
    members: Option<Members>,
}

impl Work<'_> {
    async fn is_wanted(&mut self) -> bool {
        if self.failed.is_none() {
            self.failed = self.looker.must_be_saved(self.reset, self.why).await.err();
        }
        self.failed.is_none()
    }

    fn findings<'a>(&'a self, found: &RecordNow, wanted: bool, too_old: &'a [InstanceId]) -> Result<SaveFindings<'a>> {
        let members = self.isolated.as_ref().and_then(|isolated| isolated.members.as_ref());
        let own = members.and_then(|members| members.at(&[self.reset.facts.node.address]));
        Ok(SaveFindings {
            record: found.record.clone(),
            wanted,
            too_old,
            is_server_gone: self.is_server_gone,
            is_etcd_alone: self.isolated.is_some(),
            own: own.map_or(MemberId(0), |member| member.id),
            members,
            snapshot: self.snapshot.as_ref().map(|(_, taken)| *taken),
            may_be_sent: settling::may_be_sent(&self.reset.facts)?,
        })
    }

    async fn act(&mut self, step: &SaveStep, found: &RecordNow) -> Result<()> {
        let facts = &self.reset.facts;
        match step {
            SaveStep::IsolateApiServer => {
                let (record, _) = found.stored()?;
                let published = record.published().context("the cluster record does not say 'ready'")?;
                self.origin = Some(snapshot::origin(facts, record, published).await);
                notify::status("saving the cluster: ending the API server");
                isolation::begin(facts, self.claim)?;
                isolation::end_api_server(facts).await?;
                self.is_server_gone = true;
            }
            SaveStep::IsolateEtcd => {
                notify::status("saving the cluster: keeping etcd to the loopback");
                let (record, _) = found.stored()?;
                let recorded = RecordedEtcd::of(record).context("the cluster record names no etcd cluster")?;
                let origin = self.origin.clone().context("it is not known what is saved")?;
                let access = isolation::isolate_etcd(facts, &recorded).await?;
                self.isolated = Some(Isolated { access, origin, members: None });
            }
            SaveStep::List => self.list().await?,
            SaveStep::RemoveLearner(learner) => {
                tracing::warn!(member = %learner, "removing a learner before the cluster is saved");
                let isolated = self.isolated()?;
                let members = isolated.members.as_ref().context("etcd was not asked")?;
                etcd::remove_verified(&isolated.access, members, *learner).await?;
                self.list().await?;
            }
            SaveStep::TakeSnapshot => self.take_snapshot().await?,
            SaveStep::WriteSaved => self.write(found).await?,
            SaveStep::EndForGood | SaveStep::Hold(_) | SaveStep::PutBack { .. } => {}
        }
        Ok(())
    }

    fn isolated(&self) -> Result<&Isolated> {
        self.isolated.as_ref().context("etcd is not isolated")
    }

    async fn list(&mut self) -> Result<()> {
        let own = self.reset.facts.node.address;
        let listed = etcd::alone::members(&self.isolated()?.access, own).await?;
        if let Some(isolated) = &mut self.isolated {
            isolated.members = Some(listed);
        }
        Ok(())
    }

    /// Takes the final snapshot, reads it back, and reads the revision once more.
    async fn take_snapshot(&mut self) -> Result<()> {
        Point::AloneSeen.reached();
        let (isolated, own) = (self.isolated()?, self.reset.facts.node.address);
        let store = &self.reset.session.snapshots;
        let source = DatabaseSource::Member(etcd::snapshot(&isolated.access, own, ReadBefore::Linearizable).await?);
        let before = source.revision();
        let origin = isolated.origin.clone();
        // Gigabytes take minutes, and nothing serves meanwhile.
        let called_off = OnceLock::new();
        let says = |word: &'static str| {
            let called_off = &called_off;
            move |progress: Progress| {
                notify::status(&told(word, progress));
                called_off.get().map_or(Ok(()), |why: &String| Err(anyhow!("{why}")))
            }
        };
        let transferred = async {
            let manifest = snapshot::save(source, SnapshotKind::Final, origin, store, &mut says("uploading")).await?;
            Point::SnapshotTaken.reached();
            snapshot::verify(store, &manifest, &mut says("reading back")).await?;
            Ok::<Manifest, anyhow::Error>(manifest)
        };
        let manifest = tokio::select! {
            manifest = transferred => manifest?,
            never = call_off(self.looker, self.reset, self.why, &called_off) => match never {},
        };
        let isolated = self.isolated()?;
        let after = etcd::alone::revision_but_for_leases(&isolated.access, own, before).await?;
        self.snapshot = Some((manifest, SnapshotTaken { before, after, is_verified: true }));
        Point::SnapshotVerified.reached();
        Ok(())
    }

    /// Writes `saved` over the very record that was judged, once it was seen that nothing has changed meanwhile.
    async fn write(&self, found: &RecordNow) -> Result<()> {
        let (reset, isolated, own) = (self.reset, self.isolated()?, self.reset.facts.node.address);
        let (manifest, taken) = self.snapshot.as_ref().context("there is no snapshot")?;
        isolation::must_be_isolated(&reset.facts).await?;
        let now = etcd::alone::revision_but_for_leases(&isolated.access, own, taken.after).await?;
        ensure!(now == taken.after, "etcd went on from revision {} to {now} after it was saved", taken.after);
        notify::status("saving the cluster: writing the record");
        let (record, etag) = found.stored()?;
        let next = claim::saved(record, reference(manifest)).context("the cluster record is of no cluster")?;
        Mark::new(&reset.facts.machine.instance, self.claim, Why::Writing).save(Path::new("/"))?;
        Point::SavedDue.reached();
        let condition = Condition::Unchanged(etag.to_owned());
        let written = reset.session.store.write(keys::RECORD, &next.to_bytes(), &condition, WRITE_TIMEOUT).await;
        Point::SavedSent.reached();
        match written? {
            Written::Ours(_) => {
                tracing::warn!(snapshot = manifest.key, "saved the cluster: the next machines restore it");
                Point::SavedAnswered.reached();
                Ok(())
            }
            Written::Others(_) => bail!("the cluster record was changed meanwhile"),
            Written::Gone => bail!("the cluster record is gone"),
            Written::Unknown => bail!("S3 does not say whether the cluster record was written"),
        }
    }
}

/// Says why the cluster is not to be saved any more, as soon as the group says so. A call that fails says nothing: the next step asks again.
async fn call_off(
    looker: &mut Looker,
    reset: &ResetContext,
    why: SaveWhy,
    called_off: &OnceLock<String>,
) -> Infallible {
    loop {
        sleep(WATCH_INTERVAL).await;
        if let Err(error) = looker.must_be_saved(reset, why).await
            && error.downcast_ref::<CallFailed>().is_none()
        {
            called_off.get_or_init(|| format!("{error:#}"));
        }
    }
}

/// The snapshot, as the record names it.
fn reference(manifest: &Manifest) -> SnapshotRef {
    let digest = pki::digest(&manifest.to_bytes());
    SnapshotRef::of(manifest, manifest.manifest_key(), digest)
}

fn told(word: &str, Progress { done, total }: Progress) -> String {
    const MIB: u64 = 1024 * 1024;
    let total = total.map(|total| format!(" of {} MiB", total / MIB)).unwrap_or_default();
    format!("saving the cluster: {word}, {} MiB{total}", done / MIB)
}
