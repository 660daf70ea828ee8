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
use crate::host::systemd::mounts::units_of;
use crate::host::systemd::unit;
use crate::kubeadm::quiesce::KUBELET;
use crate::kubeadm::run::Kubeadm;
use crate::model::machine::defect::Defect;
use crate::model::up::back_off::back_off;
use futures::join;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;
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
    early: Early,
}

/// One look.
#[derive(Debug)]
struct Look {
    at: Instant,
    defects: Vec<Defect>,
    /// Whether there was a cluster, which brings some files.
    bundle: bool,
}

/// Questions that were asked before anybody needs the answers, and since when.
#[derive(Debug, Default)]
struct Early(Option<(Instant, JoinHandle<Vec<Defect>>)>);

impl Early {
    /// Whether nothing was wrong, a moment ago. What was wrong then may be mended by now: it is asked for again. Serves once.
    async fn was_well(&mut self) -> bool {
        let Some((asked, task)) = self.0.take() else { return false };
        if asked.elapsed() >= GOOD_FOR {
            task.abort();
            return false;
        }
        task.await.is_ok_and(|defects| defects.is_empty())
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.0 {
            task.abort();
        }
    }
}

impl Fitness {
    /// Asks runtime, systemd and S3 in the background, once in a run, for the step that may need the answers soon.
    pub fn begin(&mut self, facts: &Facts, store: &Store) {
        if self.last.is_none() && self.early.0.is_none() {
            self.early.0 = Some((Instant::now(), tokio::spawn(Questions::of(facts, store).ask())));
        }
    }

    /// What is wrong with this machine: by a new look, or by the last one where that is young enough. `bundle`: there is a cluster,
    /// whose bundle brings files.
    pub async fn defects(&mut self, facts: &Facts, store: &Store, bundle: bool) -> Vec<Defect> {
        if let Some(last) = &self.last
            && last.bundle == bundle
            && last.at.elapsed() < self.serves_for(last)
        {
            return last.defects.clone();
        }
        let mut defects = match self.early.was_well().await {
            true => Vec::new(),
            false => Questions::of(facts, store).ask().await,
        };
        defects.extend(on_disk(facts, bundle));
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

/// What runtime, systemd and S3 are asked for.
struct Questions {
    cri_socket: Option<String>,
    data_dir: Option<PathBuf>,
    store: Store,
    /// A key under which nothing is.
    nothing: String,
}

impl Questions {
    fn of(facts: &Facts, store: &Store) -> Self {
        Self {
            cri_socket: facts.documents.cri_socket().map(str::to_owned),
            data_dir: facts.documents.data_dir().map(Path::to_path_buf),
            store: store.clone(),
            nothing: keys::scratch(facts.machine.instance.as_str(), "clock"),
        }
    }

    /// All at the same time.
    async fn ask(self) -> Vec<Defect> {
        let (runtime, units, clock) = join!(
            answering_runtime(self.cri_socket.as_deref()),
            units(self.data_dir.as_deref()),
            clock_by(&self.store, &self.nothing)
        );
        runtime.into_iter().chain(units).chain(clock).collect()
    }
}

/// What this machine's own disk says.
fn on_disk(facts: &Facts, bundle: bool) -> impl Iterator<Item = Defect> {
    let documents = &facts.documents;
    let room = documents.data_dir().and_then(|folder| room(folder).ok()?.defect(folder));
    let files = wrong_host_files(Path::new("/"), documents, &facts.settings.extra_shared_files, bundle);
    let files = files.into_iter().filter(|file| file.certain).map(|file| file.defect);
    room.into_iter().chain(missing_kubelet()).chain(files)
}

/// What is wrong with a worker: it needs no etcd and no files of a control plane.
pub async fn worker_defects(facts: &Facts) -> Vec<Defect> {
    let (runtime, units) = join!(answering_runtime(facts.documents.cri_socket()), units(None));
    let files = facts.documents.worker_host_files();
    let files = wrong_files(Path::new("/"), &files).into_iter().filter(|file| file.certain);
    let files = files.map(|file| file.defect);
    runtime.into_iter().chain(units).chain(missing_kubelet()).chain(files).collect()
}

async fn answering_runtime(given: Option<&str>) -> Option<Defect> {
    timeout(TIMEOUT, runtime::certain_problem(given)).await.unwrap_or_default()
}

/// What is wrong with kubelet's unit and with the volumes below this folder, by one question to systemd.
async fn units(data_dir: Option<&Path>) -> Vec<Defect> {
    let volumes = data_dir.map(units_of).unwrap_or_default();
    let names: Vec<&str> = std::iter::once(KUBELET).chain(volumes.iter().map(String::as_str)).collect();
    let Ok(units) = unit::show_all(&names).await else { return Vec::new() };
    let mut units = units.into_iter();
    let kubelet = units.next().and_then(|unit| installed(&unit).err());
    let volume = data_dir.and_then(|folder| volume::volume_by(folder, volumes, units));
    kubelet.into_iter().chain(volume).collect()
}

fn missing_kubelet() -> Option<Defect> {
    let missing = Kubeadm::read_only().must_have_kubelet().err();
    missing.map(|error| Defect::new(error.to_string(), kubelet::REMEDY))
}

async fn clock_by(store: &Store, nothing: &str) -> Option<Defect> {
    let theirs = timeout(TIMEOUT, store.time(nothing)).await.ok()?.ok()?;
    clock(SystemTime::now(), theirs).defect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(failures: u32, defects: &[Defect]) -> Fitness {
        let last = Some(Look { at: Instant::now(), defects: defects.to_vec(), bundle: false });
        Fitness { last, failures, early: Early::default() }
    }

    #[tokio::test]
    async fn what_was_asked_early_serves_once_while_it_is_young_and_good() {
        let asked = |at, found: &[Defect]| {
            let found = found.to_vec();
            Early(Some((at, tokio::spawn(async { found }))))
        };
        let now = Instant::now();
        let mut well = asked(now, &[]);
        assert!(well.was_well().await);
        assert!(!well.was_well().await, "it has served");
        assert!(!asked(now, &[Defect::new("w", "r")]).was_well().await, "it may be mended by now");
        let before = now.checked_sub(GOOD_FOR).expect("the computer has run for longer");
        assert!(!asked(before, &[]).was_well().await, "it is old");
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
