//! One look at everything that restoring depends on.

use super::choose::{Chosen, choose};
use crate::aws::Session;
use crate::model::record::saved::SnapshotRef;
use crate::model::restore::loss::{LastKnown, Loss};
use crate::model::restore::{RestoreDecision, RestoreInput, judge};
use crate::model::snapshot::Manifest;
use crate::node::remains::{Remains, RemainsObserver, Whose};
use crate::settings::Settings;
use crate::snapshot::{catalog, decided, verify};
use anyhow::{Context, Result};
use std::time::{Duration, SystemTime};

/// Looks again and again, and remembers since when EC2 leaves machines out.
pub(super) struct RestoreObserver {
    remains: RemainsObserver,
    /// The snapshot that was named; `None` for the latest.
    named: Option<String>,
}

/// What was seen, and what it means.
#[derive(Debug, Clone)]
pub(super) struct RestoreObservation {
    pub(super) remains: Remains,
    /// The snapshot that is meant.
    pub(super) chosen: Option<Chosen>,
    /// What would be lost, where a snapshot was chosen.
    pub(super) loss: Option<Loss>,
    /// Where snapshots and the record are, for people.
    pub(super) places: [String; 2],
    pub(super) verdict: RestoreDecision,
}

impl RestoreObservation {
    /// The snapshot, as the record would name it.
    pub(super) fn reference(&self) -> Option<&SnapshotRef> {
        self.chosen.as_ref().map(|chosen| &chosen.reference)
    }
}

impl RestoreObserver {
    /// Connects to AWS.
    ///
    /// # Errors
    /// No Region, no credentials, no answer.
    pub(super) async fn new(settings: Settings, named: Option<String>) -> Result<Self> {
        Ok(Self { remains: RemainsObserver::new(settings, Whose::Recorded).await?, named })
    }

    /// The connection to AWS.
    pub(super) fn session(&self) -> &Session {
        &self.remains.session
    }

    /// Looks. The record is read first, and its version is the condition of the write: what follows is never older.
    ///
    /// # Errors
    /// AWS refuses or does not answer, or the named snapshot is none.
    pub(super) async fn look(&mut self) -> Result<RestoreObservation> {
        let remains = self.remains.look().await?;
        let session = &self.remains.session;
        let chosen = choose(&session.snapshots, self.named.as_deref(), remains.record()).await?;
        let loss = match &chosen {
            Some(chosen) => {
                let latest = catalog::latest_of(&session.snapshots, &chosen.manifest.kube_system_uid).await?;
                let known = last_known(&remains, &chosen.manifest, latest.as_ref().map(|found| &found.manifest));
                Some(Loss::of(chosen.manifest.kind, chosen.manifest.revision, known))
            }
            None => None,
        };
        let verdict = judge(&RestoreInput {
            record: remains.record(),
            snapshot: chosen.as_ref().map(|chosen| (&chosen.reference, &chosen.manifest.kube_system_uid)),
            asked_in: self.remains.asked_in.clone(),
            registrations: &remains.registrations,
            machines: &remains.machines,
            answers: &remains.answers,
            gone_grace: self.remains.settings.gone_grace,
        });
        let places = [session.store.url(crate::bucket::keys::RECORD), session.snapshots.url("")];
        Ok(RestoreObservation { remains, chosen, loss, places, verdict })
    }

    /// Reads the chosen snapshot whole, and compares its digests: machines could not restore one that is damaged, and would stop.
    ///
    /// # Errors
    /// S3's; with `Exit::Operator` when it is not what was saved.
    pub(super) async fn verify(&self, observed: &RestoreObservation) -> Result<()> {
        let Some(chosen) = &observed.chosen else { return Ok(()) };
        tracing::info!("reading the snapshot to see that it is whole");
        let verified = verify(&self.session().snapshots, &chosen.manifest, &mut |_| Ok(())).await;
        verified.context("choose another one by --snapshot KEY: 'kubeboot snapshot list' shows them").map_err(decided)
    }
}

/// What tells of the cluster after the snapshot. Times are the machines' own, for people.
fn last_known(remains: &Remains, manifest: &Manifest, latest: Option<&Manifest>) -> LastKnown {
    let time = |text: &str| humantime::parse_rfc3339(text).ok();
    let taken = time(&manifest.saved_at);
    let heard = remains
        .registrations
        .iter()
        .filter(|machine| machine.was_voter())
        .filter_map(|machine| time(&machine.updated))
        .max();
    let other = latest.and_then(|latest| time(&latest.saved_at));
    let last: Option<SystemTime> = heard.into_iter().chain(other).max();
    let heard_after = taken.zip(last).map(|(taken, last)| last.duration_since(taken).unwrap_or(Duration::ZERO));
    LastKnown { revision: latest.map(|latest| latest.revision.max(manifest.revision)), heard_after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::record::StoredRecord;
    use crate::model::machine::ids::InstanceId;
    use crate::model::membership::registration::{Registration, RegistrationPhase};
    use crate::model::snapshot::SnapshotKind;

    #[test]
    fn the_loss_is_counted_to_the_last_word_of_a_voter_or_of_a_later_snapshot() {
        let machine = |phase, updated: &str| Registration {
            updated: updated.into(),
            ..Registration::sample(InstanceId::parse("i-00000001").unwrap(), phase)
        };
        let manifest =
            |revision, at: &str| Manifest { saved_at: at.into(), ..Manifest::sample(revision, SnapshotKind::Routine) };
        let chosen = manifest(100, "2026-01-01T00:00:00Z");
        let later = manifest(150, "2026-01-01T00:15:00Z");
        let rows = [
            (vec![], None, None, None),
            (vec![machine(RegistrationPhase::Joined, "2026-01-01T00:05:00Z")], None, None, Some(5)),
            (vec![machine(RegistrationPhase::Joined, "2025-12-31T00:00:00Z")], Some(&chosen), Some(100), Some(0)),
            (vec![machine(RegistrationPhase::Waiting, "2026-01-02T00:00:00Z")], Some(&later), Some(150), Some(15)),
            (vec![machine(RegistrationPhase::Joined, "not a time")], Some(&later), Some(150), Some(15)),
        ];
        for (registrations, latest, revision, minutes) in rows {
            let remains = Remains {
                record: StoredRecord::Nothing,
                registrations,
                hash: None,
                group_arn: None,
                machines: vec![],
                answers: vec![],
            };
            let heard_after = minutes.map(|minutes: u64| Duration::from_secs(60 * minutes));
            assert_eq!(last_known(&remains, &chosen, latest), LastKnown { revision, heard_after }, "{remains:?}");
        }
    }
}
