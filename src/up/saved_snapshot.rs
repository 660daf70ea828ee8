//! The record's snapshot, brought to this machine before it claims: whoever holds a claim keeps everybody else waiting.

use crate::aws::store::Store;
use crate::aws::{CallFailed, CallFailure};
use crate::exit::{Exit, causes};
use crate::host::files;
use crate::kubeadm::pki;
use crate::model::record::cluster::ClusterRecord;
use crate::model::record::saved::Saved;
use crate::model::restore::etcd_image::numbers;
use crate::model::restore::fit::{ProgramVersions, SnapshotUnfit, fits};
use crate::model::snapshot::Manifest;
use crate::model::up::snapshot::SnapshotHere;
use crate::model::upgrade::KubernetesUpgrade;
use crate::model::version::Release;
use crate::node::Facts;
use crate::node::credentials;
use crate::node::etcdutl::{self, Etcdutl};
use crate::node::fitness::room;
use crate::snapshot::fetch;
use anyhow::{Context, Error, Result, ensure};
use rustix::fs::stat;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Where it lies until it is restored. Only root reads it: it holds every Secret of the cluster.
const FOLDER: &str = "/var/lib/kubeboot/restore";
/// How long this machine waits before it tries again what has failed.
const AGAIN: Duration = Duration::from_secs(10);
/// The same where only an operator, or another version of an object, can change something.
const UNFIT_AGAIN: Duration = Duration::from_mins(1);
/// What must be left on a disk beside the database, in bytes.
const SPARE: u64 = 256 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;

/// The snapshot on this machine, with what restores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FetchedSnapshot {
    /// The digest of its manifest.
    pub(super) digest: String,
    /// The database.
    pub(super) file: PathBuf,
    /// By what it is restored.
    pub(super) etcdutl: Etcdutl,
}

/// Why it is not here.
#[derive(Debug)]
enum Trouble {
    /// That may pass.
    Pending(String),
    /// This machine cannot restore it.
    Unfit(SnapshotUnfit),
}

/// How far this machine is.
#[derive(Debug)]
enum FetchStage {
    Fetching { task: JoinHandle<Result<FetchedSnapshot, Trouble>>, done: Arc<AtomicU64>, total: Arc<AtomicU64> },
    Here(FetchedSnapshot),
    Not { since: Instant, why: Trouble },
}

/// What this run of `up` knows of the record's snapshot.
#[derive(Debug, Default)]
pub(super) struct SavedSnapshot {
    /// The digest of the manifest that it is about, and how far that is.
    now: Option<(String, FetchStage)>,
}

impl Drop for SavedSnapshot {
    /// The next run begins anew, and meanwhile nobody needs what holds every Secret of the cluster.
    fn drop(&mut self) {
        self.forget();
    }
}

impl SavedSnapshot {
    /// Whether the record's snapshot is here. Begins to fetch it, or ends what is not needed any more. Never waits.
    pub(super) async fn look(
        &mut self,
        facts: &Facts,
        bundles: &Store,
        snapshots: &Store,
        record: Option<&ClusterRecord>,
    ) -> SnapshotHere {
        let Some(saved) = record.and_then(ClusterRecord::saved) else {
            self.forget();
            return SnapshotHere::NotFetched;
        };
        let wanted = &saved.snapshot.digest;
        if self.now.as_ref().is_some_and(|(digest, _)| digest != wanted) {
            self.forget();
        }
        let stage = match self.now.take() {
            Some((_, FetchStage::Fetching { task, .. })) if task.is_finished() => match task.await {
                Ok(Ok(here)) => FetchStage::Here(here),
                Ok(Err(why)) => FetchStage::Not { since: Instant::now(), why },
                Err(error) => FetchStage::Not { since: Instant::now(), why: Trouble::Pending(error.to_string()) },
            },
            Some((_, FetchStage::Not { since, why })) if since.elapsed() < why.pause() => {
                FetchStage::Not { since, why }
            }
            Some((_, FetchStage::Here(here))) if here.file.exists() => FetchStage::Here(here),
            Some((_, fetching @ FetchStage::Fetching { .. })) => fetching,
            None | Some((_, FetchStage::Not { .. } | FetchStage::Here(_))) => begin(facts, bundles, snapshots, saved),
        };
        let told = stage.told();
        self.now = Some((wanted.clone(), stage));
        told
    }

    /// The snapshot, if it is here.
    pub(super) fn here(&self) -> Option<&FetchedSnapshot> {
        match &self.now {
            Some((_, FetchStage::Here(here))) => Some(here),
            Some((_, FetchStage::Fetching { .. } | FetchStage::Not { .. })) | None => None,
        }
    }

    /// Ends what is under way, and removes what was fetched.
    pub(super) fn forget(&mut self) {
        self.stop();
        Self::remove();
    }

    /// Removes what this or an earlier run has fetched.
    pub(super) fn remove() {
        if Path::new(FOLDER).exists()
            && let Err(error) = std::fs::remove_dir_all(FOLDER)
        {
            tracing::warn!("failed to remove '{FOLDER}': {error}");
        }
    }

    fn stop(&mut self) {
        if let Some((_, FetchStage::Fetching { task, .. })) = self.now.take() {
            task.abort();
        }
    }
}

impl Trouble {
    fn pause(&self) -> Duration {
        match self {
            Self::Pending(_) => AGAIN,
            Self::Unfit(_) => UNFIT_AGAIN,
        }
    }
}

impl FetchStage {
    fn told(&self) -> SnapshotHere {
        match self {
            Self::Fetching { done, total, .. } => {
                let (done, total) = (done.load(Ordering::Relaxed) / MIB, total.load(Ordering::Relaxed) / MIB);
                SnapshotHere::Pending { why: format!("it is being fetched, {done} of {total} MiB") }
            }
            Self::Here(here) => SnapshotHere::Fetched { digest: here.digest.clone() },
            Self::Not { why: Trouble::Pending(why), .. } => SnapshotHere::Pending { why: why.clone() },
            Self::Not { why: Trouble::Unfit(why), .. } => SnapshotHere::Unfit(why.clone()),
        }
    }
}

fn begin(facts: &Facts, bundles: &Store, snapshots: &Store, saved: &Saved) -> FetchStage {
    let (facts, bundles, snapshots, saved) = (facts.clone(), bundles.clone(), snapshots.clone(), saved.clone());
    let (done, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (so_far, all) = (Arc::clone(&done), Arc::clone(&total));
    let task = tokio::spawn(async move {
        let told = |at: crate::snapshot::Progress| {
            so_far.store(at.done, Ordering::Relaxed);
            all.store(at.total.unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        };
        bring(&facts, &bundles, &snapshots, &saved, told).await
    });
    FetchStage::Fetching { task, done, total }
}

/// Everything that is seen to before a claim: versions, programs, room, the snapshot itself.
async fn bring(
    facts: &Facts,
    bundles: &Store,
    snapshots: &Store,
    saved: &Saved,
    mut told: impl FnMut(crate::snapshot::Progress) -> Result<()> + Send,
) -> Result<FetchedSnapshot, Trouble> {
    let image = etcdutl::image(facts).await.map_err(|error| no_program(&error))?;
    let here = ProgramVersions {
        kubernetes: release(&facts.documents.installed_version(&facts.cluster))?,
        etcd: image.version,
    };
    let wrote = ProgramVersions {
        kubernetes: release(&saved.snapshot.kubernetes_version)?,
        etcd: numbers(&saved.snapshot.etcd_version).ok_or_else(|| damaged("its manifest tells no version of etcd"))?,
    };
    let by_image = facts.settings.kubernetes_upgrade == KubernetesUpgrade::ByImage;
    fits(wrote, here, by_image).map_err(Trouble::Unfit)?;
    let manifest = manifest(snapshots, saved).await?;
    let etcdutl = Etcdutl::find(facts, &image).await.map_err(|error| no_program(&error))?;
    has_room(facts.documents.data_dir(), manifest.database_size).map_err(|error| pending(&error))?;
    // Read again under the claim; here it is only seen that it can be.
    credentials::fetch(facts, bundles, &saved.published).await.map_err(|error| no_keys(&error))?;
    let file = Path::new(FOLDER).join("snapshot.db");
    // What an earlier run has left may be of another snapshot.
    files::private_dir(Path::new(FOLDER))
        .and_then(|()| files::remove_contents(Path::new(FOLDER)))
        .map_err(|error| pending(&error))?;
    fetch(snapshots, &manifest, &file, &mut told).await.map_err(|error| not_fetched(&error))?;
    Ok(FetchedSnapshot { digest: saved.snapshot.digest.clone(), file, etcdutl })
}

/// The manifest that the record means.
async fn manifest(snapshots: &Store, saved: &Saved) -> Result<Manifest, Trouble> {
    let (key, wanted) = (&saved.snapshot.key, &saved.snapshot.digest);
    let object = snapshots.get(key).await.map_err(|failed| not_fetched(&failed.into()))?;
    let object = object.ok_or_else(|| damaged(&format!("its manifest '{}' is missing", snapshots.url(key))))?;
    let digest = pki::digest(&object.body);
    if digest != *wanted {
        return Err(damaged(&format!(
            "its manifest '{}' has digest {digest}, the cluster record says {wanted}",
            snapshots.url(key)
        )));
    }
    let manifest = Manifest::parse(key, &object.body).map_err(|error| damaged(&error.to_string()))?;
    if manifest.kube_system_uid != saved.published.kube_system_uid {
        return Err(damaged("it is of another cluster"));
    }
    Ok(manifest)
}

/// Whether the database fits twice: as it is fetched, and restored.
fn has_room(data_dir: Option<&Path>, size: u64) -> Result<()> {
    let existing = |path: &Path| path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned();
    let (fetched, data) = (existing(Path::new(FOLDER)), existing(data_dir.unwrap_or(Path::new("/"))));
    let device = |path: &Path| {
        stat(path).map(|found| found.st_dev).with_context(|| format!("failed to look at '{}'", path.display()))
    };
    let places = if device(&fetched)? == device(&data)? { vec![(fetched, 2)] } else { vec![(fetched, 1), (data, 1)] };
    for (path, copies) in places {
        let free = room(&path).with_context(|| format!("failed to look at '{}'", path.display()))?.bytes;
        let needed = size.saturating_mul(copies).saturating_add(SPARE);
        ensure!(
            free >= needed,
            "there is no room for it at '{}': {} MiB are free, {} MiB are needed: make room, or give the machines a larger disk",
            path.display(),
            free / MIB,
            needed / MIB
        );
    }
    Ok(())
}

/// What it means that S3's answer, or what came with it, is none to restore from.
fn not_fetched(error: &Error) -> Trouble {
    match error.downcast_ref::<CallFailed>().map(|failed| failed.kind) {
        // There is no such object, or nobody can read it: its KMS key is disabled or deleted.
        Some(CallFailure::Rejected) => damaged(&causes(error).join(": ")),
        Some(CallFailure::Denied) => {
            let why = causes(error).join(": ");
            Trouble::Pending(format!(
                "{why}; where a KMS key encrypts it, allow 'kms:Decrypt' with that key, too (without s3:ListBucket S3 says this of a missing \
                 object as well: see 'kubeboot snapshot list')"
            ))
        }
        Some(
            CallFailure::Credentials
            | CallFailure::Clock
            | CallFailure::Region
            | CallFailure::NoSuchBucket
            | CallFailure::Throttled
            | CallFailure::NoAnswer,
        ) => pending(error),
        None => {
            let may_pass = error.downcast_ref::<Exit>().is_some();
            let is_disk = error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(is_of_disk));
            if may_pass || is_disk { pending(error) } else { damaged(&causes(error).join(": ")) }
        }
    }
}

/// Whether an error is the disk's, and not what was read.
fn is_of_disk(error: &std::io::Error) -> bool {
    error.raw_os_error().is_some()
}

fn release(version: &str) -> Result<Release, Trouble> {
    Release::parse(version).ok_or_else(|| damaged(&format!("'{}' is no version", version.escape_debug())))
}

fn pending(error: &Error) -> Trouble {
    Trouble::Pending(causes(error).join(": "))
}

fn damaged(why: &str) -> Trouble {
    Trouble::Unfit(SnapshotUnfit::Damaged { why: why.to_owned() })
}

/// What it means that the bundle of the record's keys cannot be used.
fn no_keys(error: &Error) -> Trouble {
    match not_fetched(error) {
        Trouble::Unfit(_) => Trouble::Unfit(SnapshotUnfit::Keys { why: causes(error).join(": ") }),
        pending @ Trouble::Pending(_) => pending,
    }
}

fn no_program(error: &Error) -> Trouble {
    Trouble::Unfit(SnapshotUnfit::NoProgram { why: causes(error).join(": ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_two_copies_is_asked_for_before_anything_is_fetched() -> Result<()> {
        let folder = tempfile::tempdir()?;
        has_room(Some(&folder.path().join("not/there/yet")), 1)?;
        let refused = has_room(Some(folder.path()), u64::MAX / 4).err().context("there cannot be so much")?;
        assert!(refused.to_string().contains("MiB are needed: make room"), "{refused}");
        Ok(())
    }

    #[test]
    fn what_s3_rejects_is_left_to_an_operator_and_what_it_denies_names_the_permission() {
        let told = |kind| {
            let failed = CallFailed { kind, ..CallFailed::silent("read", "s3://b/snapshots/1.db.zst", "s3:GetObject") };
            let detail = "NoSuchKey: there is none".into();
            not_fetched(&Error::new(CallFailed { detail, ..failed }).context("failed to fetch the snapshot"))
        };
        match told(CallFailure::Rejected) {
            Trouble::Unfit(why @ SnapshotUnfit::Damaged { .. }) => {
                let why = why.to_string();
                assert!(why.contains("NoSuchKey") && why.contains("kubeboot restore --snapshot KEY"), "{why}");
            }
            other => panic!("nobody is told what to do: {other:?}"),
        }
        match no_keys(&anyhow::anyhow!("the PKI bundle has another digest")) {
            Trouble::Unfit(SnapshotUnfit::Keys { why }) => assert!(why.contains("another digest"), "{why}"),
            other => panic!("nobody is told of the keys: {other:?}"),
        }
        match told(CallFailure::Denied) {
            Trouble::Pending(why) => {
                assert!(why.contains("allow 's3:GetObject'") && why.contains("'kms:Decrypt'"), "{why}");
            }
            other @ Trouble::Unfit(_) => panic!("a role may not have reached every place yet: {other:?}"),
        }
        for kind in [CallFailure::NoAnswer, CallFailure::Throttled, CallFailure::NoSuchBucket] {
            assert!(matches!(told(kind), Trouble::Pending(_)), "{kind:?}");
        }
        assert!(matches!(not_fetched(&anyhow::anyhow!("another digest")), Trouble::Unfit(_)));
        assert!(matches!(not_fetched(&anyhow::anyhow!("late").context(Exit::TryAgain)), Trouble::Pending(_)));
        let full = Error::new(std::io::Error::from_raw_os_error(28)).context("failed to write");
        assert!(matches!(not_fetched(&full), Trouble::Pending(_)));
    }

    #[test]
    fn what_is_wrong_with_the_disk_may_pass_and_what_was_read_does_not() {
        assert!(is_of_disk(&std::io::Error::from_raw_os_error(28)));
        assert!(!is_of_disk(&std::io::Error::other("it is not what was saved")));
        let passes = pending(&anyhow::anyhow!("no answer")).pause();
        assert!(passes < damaged("w").pause());
    }
}
