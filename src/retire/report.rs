//! What was seen, for people and, with `--json`, for programs. `docs/retire.md` describes every field.

use super::finish::Finished;
use super::look::{RetireObservation, RetireObserver};
use crate::bucket::keys;
use crate::bucket::record::StoredRecord;
use crate::layout::{columns, line, print};
use crate::model::membership::instances::Presence;
use crate::model::membership::registration::RegistrationPhase;
use crate::model::record::cluster::{ClusterRecord, Published, RecordState};
use crate::model::retire::{RetireDecision, RetireMachine, RetireRefusal};
use anyhow::Result;
use serde::Serialize;

/// The shape that this version prints.
const SCHEMA: u32 = 1;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct RetireReport {
    schema: u32,
    retired: bool,
    registrations_finished: Vec<String>,
    hash_blanked: bool,
    join_blanked: bool,
    phase: &'static str,
    record: String,
    cluster_id: Option<String>,
    kube_system_uid: Option<String>,
    initialised_by: Option<String>,
    initialised_at: Option<String>,
    pki: Option<String>,
    machines: Vec<RetireRow>,
    answers: Vec<String>,
    refusals: Vec<RetireReason>,
}

/// One machine.
#[derive(Debug, Serialize)]
struct RetireRow {
    instance: String,
    says: Option<RegistrationPhase>,
    ec2: String,
    here_and_fresh: bool,
}

/// What stands in the way.
#[derive(Debug, Serialize)]
struct RetireReason {
    code: &'static str,
    text: String,
}

impl RetireReport {
    /// `finished`: what was done, once the record says `retired`.
    pub(super) fn new(observer: &RetireObserver, observed: &RetireObservation, finished: Option<Finished>) -> Self {
        let store = &observer.session().store;
        let record = match &observed.record {
            StoredRecord::Found(record, _) => Some(record),
            StoredRecord::Nothing | StoredRecord::Deleted => None,
        };
        let retired = finished.is_some();
        let Finished { marked, is_hash_blanked, is_join_blanked } = finished.unwrap_or_default();
        let published: Option<&Published> = record.and_then(ClusterRecord::known_cluster);
        let refusals = match &observed.verdict {
            RetireDecision::Refused(refusals) => refusals.as_slice(),
            RetireDecision::Already | RetireDecision::Allowed | RetireDecision::Wait { .. } => &[],
        };
        let reason = |refusal: &RetireRefusal| RetireReason { code: refusal.code(), text: refusal.to_string() };
        Self {
            schema: SCHEMA,
            retired,
            registrations_finished: marked.iter().map(ToString::to_string).collect(),
            hash_blanked: is_hash_blanked,
            join_blanked: is_join_blanked,
            phase: match &observed.record {
                StoredRecord::Deleted => "deleted",
                StoredRecord::Nothing => "none",
                StoredRecord::Found(ClusterRecord { state: RecordState::Initializing { .. }, .. }, _) => "initializing",
                StoredRecord::Found(ClusterRecord { state: RecordState::Ready(_), .. }, _) => "ready",
                StoredRecord::Found(ClusterRecord { state: RecordState::Saved(_), .. }, _) => "saved",
                StoredRecord::Found(ClusterRecord { state: RecordState::Retired(_), .. }, _) => "retired",
            },
            record: store.url(keys::RECORD),
            cluster_id: record.map(|record| record.claim_id.to_string()),
            kube_system_uid: published.map(|published| published.kube_system_uid.to_string()),
            initialised_by: published.map(|published| published.initialised_by.to_string()),
            initialised_at: published.map(|published| published.initialised_at.clone()),
            pki: published.map(|published| store.url(&published.pki_key)),
            machines: observed.machines.iter().map(RetireRow::new).collect(),
            answers: observed.answers.iter().map(ToString::to_string).collect(),
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
        let mut lines = vec![format!("record       {}, {}", self.record, self.phase)];
        let facts = [
            ("cluster ID", self.cluster_id.clone()),
            ("kube-system", self.kube_system_uid.clone()),
            (
                "made by",
                self.initialised_by
                    .as_ref()
                    .map(|by| format!("{by} at {}", self.initialised_at.as_deref().unwrap_or("?"))),
            ),
            ("keys", self.pki.clone()),
            ("finished", self.finished()),
        ];
        lines.extend(facts.into_iter().filter_map(|(name, fact)| Some(format!("{name:<13}{}", line(&fact?)))));
        lines.push(String::new());
        let mut rows = vec![["INSTANCE", "EC2", "SAYS", ""].map(str::to_owned).to_vec()];
        rows.extend(self.machines.iter().map(RetireRow::cells));
        lines.extend(columns(&rows));
        lines.push(String::new());
        lines.join("\n")
    }
}

impl RetireReport {
    /// What this run has finished of the retired cluster, for people.
    fn finished(&self) -> Option<String> {
        let marked = Some(self.registrations_finished.join(", ")).filter(|marked| !marked.is_empty());
        let hash = self.hash_blanked.then(|| "the discovery hash was taken away".to_owned());
        let join = self.join_blanked.then(|| "what workers join with was taken away".to_owned());
        let done: Vec<String> =
            marked.map(|marked| format!("the registrations of {marked}")).into_iter().chain(hash).chain(join).collect();
        match (self.retired, done.is_empty()) {
            (false, _) => None,
            (true, true) => Some("nothing was left to do".to_owned()),
            (true, false) => Some(done.join("; ")),
        }
    }
}

impl RetireRow {
    fn new(machine: &RetireMachine) -> Self {
        let ec2 = match &machine.ec2 {
            Some(Presence::State(state)) => state.to_string(),
            Some(Presence::AbsentFor(_)) => "absent".to_owned(),
            None => "?".to_owned(),
        };
        Self {
            instance: machine.instance.to_string(),
            says: machine.last_phase,
            ec2,
            here_and_fresh: machine.is_here_and_fresh,
        }
    }

    fn cells(&self) -> Vec<String> {
        let here = if self.here_and_fresh { "this machine, whose disk holds nothing of a cluster" } else { "" };
        vec![
            self.instance.clone(),
            line(&self.ec2),
            self.says.as_ref().map_or("-", RegistrationPhase::as_str).to_owned(),
            here.to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documented::{codes, names, paths, words};

    const DOCUMENT: &str = include_str!("../../docs/retire.md");

    fn report() -> RetireReport {
        let row = RetireRow {
            instance: "i-00000001".into(),
            says: Some(RegistrationPhase::Joined),
            ec2: "stopped".into(),
            here_and_fresh: false,
        };
        RetireReport {
            schema: SCHEMA,
            retired: false,
            registrations_finished: vec!["i-00000001".into()],
            hash_blanked: false,
            join_blanked: false,
            phase: "ready",
            record: "s3://my-bucket/demo/control-plane/cluster.json".into(),
            cluster_id: Some("6f9619ff-8b86-4011-b42d-00c04fc964ff".into()),
            kube_system_uid: Some("0d3c3a46-2f0f-4a44-a3d3-6a6a1f6a9a55".into()),
            initialised_by: Some("i-00000001".into()),
            initialised_at: Some("2026-01-01T00:00:00Z".into()),
            pki: Some("s3://my-bucket/demo/control-plane/pki/x.json".into()),
            machines: vec![row],
            answers: vec!["the endpoint answers".into()],
            refusals: vec![RetireReason { code: "answers", text: String::new() }],
        }
    }

    #[test]
    fn every_field_and_code_is_documented_and_there() -> Result<()> {
        assert_eq!(paths(&serde_json::to_value(report())?), names(DOCUMENT, "--json"));
        let codes = codes(include_str!("../model/retire/refusal.rs"));
        assert_eq!(codes, words(DOCUMENT, "--json", "refusals[].code"));
        Ok(())
    }
}
