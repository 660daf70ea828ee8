//! What was seen, for people and, with `--json`, for programs. `docs/restoring.md` describes every field.

use super::look::RestoreObservation;
use crate::layout::{columns, line, print};
use crate::model::membership::instances::Presence;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::restore::{RestoreDecision, RestoreRefusal};
use crate::model::retire::RetireMachine;
use anyhow::Result;
use serde::Serialize;

/// The shape that this version prints.
const SCHEMA: u32 = 1;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct RestoreReport {
    schema: u32,
    saved: bool,
    phase: &'static str,
    record: String,
    cluster_id: Option<String>,
    kube_system_uid: Option<String>,
    snapshot: Option<RestoredRow>,
    loss: Option<String>,
    machines: Vec<MachineRow>,
    answers: Vec<String>,
    refusals: Vec<Reason>,
}

/// The snapshot.
#[derive(Debug, Serialize)]
struct RestoredRow {
    manifest: String,
    kind: String,
    revision: u64,
    saved_at: String,
    saved_by: String,
    kubernetes_version: String,
    etcd_version: String,
    database_size: u64,
}

/// One machine.
#[derive(Debug, Serialize)]
struct MachineRow {
    instance: String,
    says: Option<RegistrationPhase>,
    heard: Option<String>,
    ec2: String,
}

/// What stands in the way.
#[derive(Debug, Serialize)]
struct Reason {
    code: &'static str,
    text: String,
}

impl RestoreReport {
    /// `saved`: whether the record says so now.
    pub(super) fn new(observed: &RestoreObservation, saved: bool) -> Self {
        let record = observed.remains.record();
        let published = record.and_then(ClusterRecord::known_cluster);
        let refusals = match &observed.verdict {
            RestoreDecision::Refused(refusals) => refusals.as_slice(),
            RestoreDecision::Already | RestoreDecision::Allowed | RestoreDecision::Wait { .. } => &[],
        };
        let reason = |refusal: &RestoreRefusal| Reason { code: refusal.code(), text: refusal.to_string() };
        let [record_at, snapshots] = &observed.places;
        let snapshot = observed.chosen.as_ref().map(|chosen| RestoredRow {
            manifest: format!("{snapshots}{}", chosen.reference.key),
            kind: chosen.manifest.kind.to_string(),
            revision: chosen.manifest.revision,
            saved_at: chosen.manifest.saved_at.clone(),
            saved_by: chosen.manifest.saved_by.to_string(),
            kubernetes_version: chosen.manifest.kubernetes_version.clone(),
            etcd_version: chosen.manifest.etcd_version.clone(),
            database_size: chosen.manifest.database_size,
        });
        let registered = |machine: &RetireMachine| {
            observed.remains.registrations.iter().find(|found| found.instance == machine.instance)
        };
        Self {
            schema: SCHEMA,
            saved,
            phase: record.map_or("none", phase),
            record: record_at.clone(),
            cluster_id: record.map(|record| record.claim_id.to_string()),
            kube_system_uid: published.map(|published| published.kube_system_uid.to_string()),
            snapshot,
            loss: observed.loss.map(|loss| loss.to_string()),
            machines: observed.remains.machines.iter().map(|found| MachineRow::new(found, registered(found))).collect(),
            answers: observed.remains.answers.iter().map(ToString::to_string).collect(),
            refusals: refusals.iter().map(reason).collect(),
        }
    }

    /// Prints it.
    ///
    /// # Errors
    /// A standard output that takes nothing.
    pub(super) fn print(&self, json: bool) -> Result<()> {
        print(self, || self.page(), json)
    }

    /// The page for people.
    pub(super) fn page(&self) -> String {
        let phase = if self.saved { "saved" } else { self.phase };
        let mut lines = vec![format!("record       {}, {phase}", self.record)];
        let of = |snapshot: &RestoredRow| {
            format!(
                "{}, revision {}, {}, saved at {} by {}",
                snapshot.manifest, snapshot.revision, snapshot.kind, snapshot.saved_at, snapshot.saved_by
            )
        };
        let versions = |snapshot: &RestoredRow| {
            format!("Kubernetes {}, etcd {}", snapshot.kubernetes_version, snapshot.etcd_version)
        };
        let facts = [
            ("cluster ID", self.cluster_id.clone()),
            ("kube-system", self.kube_system_uid.clone()),
            ("snapshot", self.snapshot.as_ref().map(of)),
            ("versions", self.snapshot.as_ref().map(versions)),
            ("loss", self.loss.clone()),
        ];
        lines.extend(facts.into_iter().filter_map(|(name, fact)| Some(format!("{name:<13}{}", line(&fact?)))));
        lines.push(String::new());
        let mut rows = vec![["INSTANCE", "EC2", "SAYS", "LAST HEARD"].map(str::to_owned).to_vec()];
        rows.extend(self.machines.iter().map(MachineRow::cells));
        lines.extend(columns(&rows));
        lines.push(String::new());
        lines.join("\n")
    }
}

impl MachineRow {
    fn new(machine: &RetireMachine, registered: Option<&Registration>) -> Self {
        let ec2 = match &machine.ec2 {
            Some(Presence::State(state)) => state.to_string(),
            Some(Presence::AbsentFor(_)) => "absent".to_owned(),
            None => "?".to_owned(),
        };
        let heard = registered.map(|found| found.updated.clone());
        Self { instance: machine.instance.to_string(), says: machine.last_phase, heard, ec2 }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.instance.clone(),
            line(&self.ec2),
            self.says.as_ref().map_or("-", RegistrationPhase::as_str).to_owned(),
            line(self.heard.as_deref().unwrap_or("-")),
        ]
    }
}

fn phase(record: &ClusterRecord) -> &'static str {
    match record.state {
        RecordState::Initializing { .. } => "initializing",
        RecordState::Ready(_) => "ready",
        RecordState::Saved(_) => "saved",
        RecordState::Retired(_) => "retired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documented::{codes, names, paths, words};

    const DOCUMENT: &str = include_str!("../../docs/restoring.md");

    fn report() -> RestoreReport {
        let snapshot = RestoredRow {
            manifest: "s3://my-bucket/demo/snapshots/x.json".into(),
            kind: "routine".into(),
            revision: 1234,
            saved_at: "2026-01-01T00:00:00Z".into(),
            saved_by: "i-00000001".into(),
            kubernetes_version: "v1.36.1".into(),
            etcd_version: "3.6.8".into(),
            database_size: 4096,
        };
        let machine = MachineRow {
            instance: "i-00000001".into(),
            says: Some(RegistrationPhase::Joined),
            heard: Some("2026-01-01T00:05:00Z".into()),
            ec2: "terminated".into(),
        };
        RestoreReport {
            schema: SCHEMA,
            saved: false,
            phase: "ready",
            record: "s3://my-bucket/demo/control-plane/cluster.json".into(),
            cluster_id: Some("6f9619ff-8b86-4011-b42d-00c04fc964ff".into()),
            kube_system_uid: Some("0d3c3a46-2f0f-4a44-a3d3-6a6a1f6a9a55".into()),
            snapshot: Some(snapshot),
            loss: Some("all that was written after the snapshot is lost".into()),
            machines: vec![machine],
            answers: vec!["the endpoint answers".into()],
            refusals: vec![Reason { code: "answers", text: String::new() }],
        }
    }

    #[test]
    fn every_field_and_code_is_documented_and_there() -> Result<()> {
        assert_eq!(paths(&serde_json::to_value(report())?), names(DOCUMENT, "--json"));
        let own = codes(include_str!("../model/restore/refusal.rs"));
        let remains = codes(include_str!("../model/retire/refusal.rs"));
        let told = words(DOCUMENT, "--json", "refusals[].code");
        assert!(own.iter().all(|code| told.contains(code)), "{own:?} {told:?}");
        assert!(told.iter().all(|code| own.contains(code) || remains.contains(code)), "{told:?}");
        Ok(())
    }

    #[test]
    fn the_page_tells_what_is_restored_and_what_is_lost() {
        let page = report().page();
        for text in [
            "revision 1234",
            "i-00000001  terminated  joined",
            "2026-01-01T00:05:00Z",
            "is lost",
            "Kubernetes v1.36.1, etcd 3.6.8",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }
}
