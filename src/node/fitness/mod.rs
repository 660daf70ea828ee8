//! Whether this machine can carry a control plane: looked at before a claim is written and before the queue for the lease, and by
//! `kubeboot check`.
//!
//! One file for each thing that is looked at. Who does not answer (systemd, S3) is no defect: only what certainly fails keeps a machine
//! out. Of what only may be wrong, swap and paths without a type among it, `kubeboot check` warns.

mod authority;
mod clock;
mod disk;
mod host_files;
mod kubelet;
mod runtime;
mod volume;

pub use authority::foreign_authority;
pub use clock::{Offset, clock};
pub use disk::{Room, room};
pub use host_files::{WrongFile, wrong_files, wrong_host_files};
pub use kubelet::installed;
pub use runtime::{container_runtime, listening};
pub use volume::{volume, volume_for_certain};

use super::Facts;
use crate::aws::store::Store;
use crate::bucket::keys;
use crate::host::process::ProcessFailed;
use crate::kubeadm::quiesce::KUBELET;
use crate::kubeadm::run::Kubeadm;
use crate::model::machine::defect::Defect;
use crate::model::up::back_off::back_off;
use futures::join;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout};

/// How long a machine that was found well is not looked at again: it may stand in the queue for the lease for minutes.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// The longest pause between two looks at a machine with a defect, so that it comes in soon after it is mended.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long each question may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What one run of `up` has found out about this machine.
#[derive(Debug, Default)]
pub struct Fitness {
    last: Option<Look>,
    /// How many looks in a row have found a defect.
    failures: u32,
}

/// One look.
#[derive(Debug)]
struct Look {
    at: Instant,
    defects: Vec<Defect>,
    /// Whether there was a cluster, which brings some files.
    bundle: bool,
}

impl Fitness {
    /// What is wrong with this machine: by a new look, or by the last one where that is young enough. `bundle`: there is a cluster,
    /// whose bundle brings files.
    pub async fn defects(&mut self, facts: &Facts, store: &Store, bundle: bool) -> Vec<Defect> {
        if let Some(last) = &self.last
            && last.bundle == bundle
            && last.at.elapsed() < self.serves_for(last)
        {
            return last.defects.clone();
        }
        let defects = look(facts, store, bundle).await;
        self.failures = if defects.is_empty() { 0 } else { self.failures.saturating_add(1) };
        self.last = Some(Look { at: Instant::now(), defects: defects.clone(), bundle });
        defects
    }

    /// How long to wait before a machine with a defect is looked at again.
    #[must_use]
    pub fn pause(&self) -> Duration {
        back_off(self.failures).min(LONGEST_PAUSE)
    }

    /// Whether the last look has found a defect.
    #[must_use]
    pub fn is_unfit(&self) -> bool {
        self.last.as_ref().is_some_and(|last| !last.defects.is_empty())
    }

    /// Shorter than the pause with its jitter, so that every look of a machine that waits is a new one.
    fn serves_for(&self, last: &Look) -> Duration {
        if last.defects.is_empty() { GOOD_FOR } else { self.pause() / 2 }
    }
}

/// Looks at everything, all at the same time.
async fn look(facts: &Facts, store: &Store, bundle: bool) -> Vec<Defect> {
    let documents = &facts.documents;
    let (runtime, kubelet, clock, volume) = join!(
        answering_runtime(documents.cri_socket()),
        installed_kubelet(),
        clock_by(facts, store),
        volume(documents.data_dir())
    );
    let room = documents.data_dir().and_then(|folder| room(folder).ok()?.defect(folder));
    let files = wrong_host_files(Path::new("/"), documents, &facts.settings.extra_shared_files, bundle);
    let files = files.into_iter().filter(|file| file.certain).map(|file| file.defect);
    [runtime, kubelet, clock, volume, room].into_iter().flatten().chain(files).collect()
}

/// What is wrong with a worker: it needs no etcd and no files of a control plane.
pub async fn worker_defects(facts: &Facts) -> Vec<Defect> {
    let (runtime, kubelet) = join!(answering_runtime(facts.documents.cri_socket()), installed_kubelet());
    let files = facts.documents.worker_host_files();
    let files = wrong_files(Path::new("/"), &files).into_iter().filter(|file| file.certain);
    [runtime, kubelet].into_iter().flatten().chain(files.map(|file| file.defect)).collect()
}

async fn answering_runtime(given: Option<&str>) -> Option<Defect> {
    timeout(TIMEOUT, runtime::certain_problem(given)).await.unwrap_or_default()
}

async fn installed_kubelet() -> Option<Defect> {
    let unit = crate::host::systemd::unit::show(KUBELET).await.ok();
    if let Some(defect) = unit.and_then(|unit| installed(&unit).err()) {
        return Some(defect);
    }
    let asked = timeout(TIMEOUT, Kubeadm::read_only().kubelet_version()).await.ok()?;
    // A disk that is still being filled is slow to start programs.
    let missing = |error: &anyhow::Error| matches!(error.downcast_ref(), Some(ProcessFailed::NotFound { .. }));
    asked.err().filter(missing).map(|error| Defect::new(format!("{error:#}"), kubelet::REMEDY))
}

async fn clock_by(facts: &Facts, store: &Store) -> Option<Defect> {
    let key = keys::scratch(facts.machine.instance.as_str(), "clock");
    let theirs = timeout(TIMEOUT, store.time(&key)).await.ok()?.ok()?;
    clock(SystemTime::now(), theirs).defect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(failures: u32, defects: &[Defect]) -> Fitness {
        Fitness { last: Some(Look { at: Instant::now(), defects: defects.to_vec(), bundle: false }), failures }
    }

    #[test]
    fn a_machine_with_a_defect_is_looked_at_anew_after_every_pause_and_one_that_is_well_seldom() {
        let defect = [Defect::new("w", "r")];
        let rows = [(1, 2), (2, 4), (4, 16), (5, 30), (100, 30)];
        for (failures, seconds) in rows {
            let fitness = found(failures, &defect);
            assert_eq!(fitness.pause(), Duration::from_secs(seconds), "{failures}");
            assert!(fitness.is_unfit());
            // The shortest pause with its jitter.
            assert!(
                fitness.last.as_ref().is_some_and(|last| fitness.serves_for(last) < fitness.pause().mul_f64(0.875))
            );
        }
        let well = found(0, &[]);
        assert!(!well.is_unfit() && well.last.as_ref().is_some_and(|last| well.serves_for(last) == GOOD_FOR));
    }
}
