//! The report: what was seen and what was judged, in the shape that `--json` prints. The page for people is made from
//! it, too, so that the two cannot differ. `docs/status.md` describes every field, which a
//! test compares with this.
//!
//! A source that said nothing is `{"unknown": "why"}`. What does not apply is null, never left out.

mod endpoint;
mod machine;
mod sources;
mod upgrade;

pub(super) use endpoint::AtEndpoint;
pub(super) use machine::{Kubelet, Member, Node, Place, Says};
pub(super) use sources::{Etcd, Expiry, Group, Here, Record, Snapshots};
pub(super) use upgrade::Upgrade;

use crate::exit::Health;
use crate::model::membership::lease::Lease;
use crate::model::status::{self, Known, StatusInput, StatusMachine, machines};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// The shape that this version prints.
const SCHEMA: u32 = 1;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct StatusReport {
    schema: u32,
    pub(super) at: String,
    pub(super) place: String,
    pub(super) endpoint: String,
    pub(super) endpoint_answers: ReportedSource<Vec<AtEndpoint>>,
    pub(super) verdict: ReportedVerdict,
    pub(super) here: Here,
    pub(super) record: ReportedSource<Option<Record>>,
    pub(super) discovery_hash: ReportedSource<Option<String>>,
    pub(super) lease: ReportedSource<Option<ReportedHolder>>,
    pub(super) group: ReportedSource<Option<Group>>,
    pub(super) etcd: ReportedSource<Etcd>,
    pub(super) snapshots: ReportedSource<Option<Snapshots>>,
    pub(super) upgrade: ReportedSource<Option<Upgrade>>,
    pub(super) registrations: ReportedSource<usize>,
    pub(super) nodes: Vec<Node>,
}

/// What a source said, or why it said nothing.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ReportedSource<T> {
    Known(T),
    Unknown { unknown: String },
}

impl<T> ReportedSource<T> {
    /// No answer.
    fn unknown(why: &str) -> Self {
        Self::Unknown { unknown: why.to_owned() }
    }

    /// Takes over an answer.
    fn of<S>(answer: &Known<S>, read: impl FnOnce(&S) -> T) -> Self {
        match answer {
            Ok(found) => Self::Known(read(found)),
            Err(why) => Self::unknown(why),
        }
    }
}

/// The verdict.
#[derive(Debug, Serialize)]
pub(super) struct ReportedVerdict {
    outcome: &'static str,
    exit_code: u8,
    pub(super) text: String,
    /// The text without what differs at each look.
    #[serde(skip)]
    pub(super) lasting: String,
    can_lose: Option<usize>,
    pub(super) reasons: Vec<ReportedReason>,
}

/// One reason.
#[derive(Debug, Serialize)]
pub(super) struct ReportedReason {
    pub(super) code: &'static str,
    pub(super) instance: Option<String>,
    pub(super) text: String,
    /// The text without what differs at each look.
    #[serde(skip)]
    pub(super) lasting: String,
}

/// Who may change etcd's membership.
#[derive(Debug, Serialize)]
pub(super) struct ReportedHolder {
    pub(super) instance: String,
    pub(super) purpose: String,
    pub(super) gone: bool,
}

impl StatusReport {
    /// Puts everything together.
    pub(super) fn new(
        place: String,
        input: &StatusInput,
        verdict: &status::StatusVerdict,
        health: Health,
        at: SystemTime,
    ) -> Self {
        let machines = machines(input);
        Self {
            schema: SCHEMA,
            at: humantime::format_rfc3339_seconds(at).to_string(),
            place,
            endpoint: input.here.endpoint.clone(),
            endpoint_answers: ReportedSource::of(&input.endpoint, |all| {
                all.iter().map(|at| AtEndpoint::new(at, input.recorded_uid())).collect()
            }),
            verdict: ReportedVerdict::new(verdict, health),
            here: Here::new(&input.here),
            record: ReportedSource::of(&input.record, |record| record.as_ref().map(Record::new)),
            discovery_hash: ReportedSource::of(&input.hash, Clone::clone),
            lease: ReportedSource::of(&input.lease, |lease| {
                lease.as_ref().and_then(|lease| holder(lease, &machines, input))
            }),
            group: ReportedSource::of(&input.group, |group| {
                group.as_ref().map(|group| Group::new(group, input, &machines))
            }),
            etcd: Etcd::source(&input.etcd, &machines),
            snapshots: ReportedSource::of(&input.snapshots, |found| found.as_ref().map(Snapshots::new)),
            upgrade: ReportedSource::of(&input.upgrade, |_| status::upgrade(input).as_ref().map(Upgrade::new)),
            registrations: ReportedSource::of(&input.registrations, BTreeMap::len),
            nodes: machines.iter().map(|machine| Node::new(machine, &machines, input)).collect(),
        }
    }
}

fn holder(lease: &Lease, machines: &[StatusMachine<'_>], input: &StatusInput) -> Option<ReportedHolder> {
    let held = lease.holder.as_ref()?;
    let machine = machines.iter().find(|machine| *machine.instance == held.instance);
    let gone = machine.is_some_and(|machine| machine.is_past(input.leaves_out_only_what_is_gone()));
    Some(ReportedHolder { instance: held.instance.to_string(), purpose: held.purpose.clone(), gone })
}

impl ReportedVerdict {
    fn new(verdict: &status::StatusVerdict, health: Health) -> Self {
        let reason = |reason: &status::StatusReason| ReportedReason {
            code: reason.code(),
            instance: reason.instance().map(ToString::to_string),
            text: reason.to_string(),
            lasting: reason.lasting().to_string(),
        };
        Self {
            outcome: verdict.outcome.name(),
            exit_code: health.number(),
            text: verdict.to_string(),
            lasting: verdict.lasting().to_string(),
            can_lose: verdict.can_lose,
            reasons: verdict.reasons.iter().map(reason).collect(),
        }
    }
}

#[cfg(test)]
pub(in crate::status) mod tests;
