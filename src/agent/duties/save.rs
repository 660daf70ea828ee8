//! Saving etcd, as often as the settings say. It runs beside the other duties: a large database takes minutes.
//!
//! Two leaders that save at once make two snapshots, and harm nobody.

use super::Scene;
use super::look::Look;
use crate::host::boottime;
use crate::model::agent::served::snapshot::SnapshotSeen;
use crate::model::snapshot::{Freshness, Manifest, SnapshotAge, SnapshotKind};
use crate::snapshot::{LastSnapshot, last, save_own};
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// How long looking for the last snapshot may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);
/// After a failure it is tried again so much later.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// What one leader knows of snapshots, and the one that it takes.
pub(super) struct Saver<'a> {
    scene: &'a Scene,
    /// At most one.
    saving: JoinSet<Result<Manifest>>,
    /// What was last found in the bucket, and when.
    known: Option<(SnapshotAge, Instant)>,
    not_before: Instant,
    seen: SnapshotSeen,
}

impl<'a> Saver<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        let seen = SnapshotSeen { interval: scene.facts.settings.snapshot_interval, ..SnapshotSeen::default() };
        Self { scene, saving: JoinSet::new(), known: None, not_before: Instant::now(), seen }
    }

    /// Whether there is anything to do at all.
    fn is_on(&self) -> bool {
        !self.seen.interval.is_zero() && !self.scene.facts.external_etcd()
    }

    /// Sees how the snapshot under way has ended, and begins the next one when it is due.
    pub(super) async fn pass(&mut self, look: &Look) {
        if !self.is_on() {
            return;
        }
        self.ended();
        if !self.saving.is_empty() || Instant::now() < self.not_before {
            return;
        }
        match self.freshness(look).await {
            Ok(freshness) if freshness.is_due() => self.begin(look),
            Ok(_) => {}
            Err(error) => self.failed("cannot find out how old the last snapshot of etcd is", &error),
        }
    }

    /// Sees how the snapshot under way has ended.
    pub(super) fn ended(&mut self) {
        let Some(ended) = self.saving.try_join_next() else { return };
        match ended.context("it was cut off").and_then(|ended| ended) {
            Ok(saved) => {
                tracing::info!(key = saved.key, "saved revision {} of etcd", saved.revision);
                // The bucket says how old it is.
                self.known = None;
            }
            Err(error) => self.failed("etcd was not saved", &error),
        }
    }

    /// By what is known, as long as that is enough: the bucket is asked when a snapshot may be due.
    async fn freshness(&mut self, look: &Look) -> Result<Freshness> {
        let interval = self.seen.interval;
        if let Some((age, at)) = self.known {
            let freshness = age.later(at.elapsed()).judged(interval);
            if !freshness.is_due() {
                return Ok(freshness);
            }
        }
        let published = look.sight.record.published().context("the record names no cluster")?;
        let session = &self.scene.session;
        let found = timeout(LOOK_TIMEOUT, last(&session.snapshots, &session.store, &published.kube_system_uid)).await;
        let LastSnapshot { age, manifest } = found.context("no answer in time")??;
        self.known = Some((age, Instant::now()));
        self.seen.found(age, manifest.as_ref(), boottime::now());
        self.scene.board.saves(Some(self.seen));
        Ok(age.judged(interval))
    }

    fn begin(&mut self, look: &Look) {
        let (facts, session) = (self.scene.facts.clone(), self.scene.session.clone());
        let record = look.sight.record.clone();
        tracing::info!("saves etcd to {}", session.snapshots.url(crate::model::snapshot::name::FOLDER));
        self.saving.spawn(async move {
            save_own(&facts, &session, &record, SnapshotKind::Routine, super::super::COMMAND, &mut |_| Ok(())).await
        });
    }

    fn failed(&mut self, what: &str, error: &anyhow::Error) {
        tracing::warn!("{what}, which is tried again: {error:#}");
        self.not_before = Instant::now() + RETRY_INTERVAL;
        self.seen.failed(boottime::now());
        self.scene.board.saves(Some(self.seen));
    }
}

impl Drop for Saver<'_> {
    /// Who leads no longer knows nothing of it.
    fn drop(&mut self) {
        self.scene.board.saves(None);
    }
}
