//! The report: what was seen and what was judged, in the shape that `--json` prints. The page for people is made from
//! it, too, so that the two cannot differ. Every field is told in `docs/status.md`, which a test compares with this.
//!
//! A source that said nothing is `{"unknown": "why"}`. What does not apply is null, never left out.

mod machine;
mod sources;

pub(super) use machine::{Member, Node};
pub(super) use sources::{Etcd, Expiry, Group, Here, Record};

use crate::exit::Health;
use crate::model::verdict::{self, Known, Seen, machines};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// The shape that this version prints.
const SCHEMA: u32 = 1;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    pub(super) at: String,
    pub(super) place: String,
    pub(super) endpoint: String,
    pub(super) verdict: Verdict,
    pub(super) here: Here,
    pub(super) record: Source<Option<Record>>,
    pub(super) discovery_hash: Source<Option<String>>,
    pub(super) lease: Source<Option<LeaseHolder>>,
    pub(super) group: Source<Option<Group>>,
    pub(super) etcd: Source<Etcd>,
    pub(super) registrations: Source<usize>,
    pub(super) nodes: Vec<Node>,
}

/// What a source said, or why it said nothing.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Source<T> {
    Known(T),
    Unknown { unknown: String },
}

impl<T> Source<T> {
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
pub(super) struct Verdict {
    outcome: &'static str,
    exit_code: u8,
    pub(super) text: String,
    can_lose: Option<usize>,
    pub(super) reasons: Vec<Reason>,
}

/// One reason.
#[derive(Debug, Serialize)]
pub(super) struct Reason {
    code: &'static str,
    instance: Option<String>,
    pub(super) text: String,
}

/// Who may change etcd's membership.
#[derive(Debug, Serialize)]
pub(super) struct LeaseHolder {
    pub(super) instance: String,
    pub(super) purpose: String,
}

impl Report {
    /// Puts everything together.
    pub(super) fn new(place: String, seen: &Seen, verdict: &verdict::Verdict, health: Health, at: SystemTime) -> Self {
        let machines = machines(seen);
        let holder = |lease: &crate::model::lease::Lease| {
            let holder = lease.holder.as_ref();
            holder.map(|held| LeaseHolder { instance: held.instance.to_string(), purpose: held.purpose.clone() })
        };
        Self {
            schema: SCHEMA,
            at: humantime::format_rfc3339_seconds(at).to_string(),
            place,
            endpoint: seen.here.endpoint.clone(),
            verdict: Verdict::new(verdict, health),
            here: Here::new(&seen.here),
            record: Source::of(&seen.record, |record| record.as_ref().map(Record::new)),
            discovery_hash: Source::of(&seen.hash, Clone::clone),
            lease: Source::of(&seen.lease, |lease| lease.as_ref().and_then(holder)),
            group: Source::of(&seen.group, |group| group.as_ref().map(|group| Group::new(group, &seen.here))),
            etcd: Etcd::source(&seen.etcd, &machines),
            registrations: Source::of(&seen.registrations, BTreeMap::len),
            nodes: machines.iter().map(|machine| Node::new(machine, &machines, seen)).collect(),
        }
    }
}

impl Verdict {
    fn new(verdict: &verdict::Verdict, health: Health) -> Self {
        let reason = |reason: &verdict::Reason| Reason {
            code: reason.code(),
            instance: reason.instance().map(ToString::to_string),
            text: reason.to_string(),
        };
        Self {
            outcome: verdict.outcome.name(),
            exit_code: health.number(),
            text: verdict.to_string(),
            can_lose: verdict.can_lose,
            reasons: verdict.reasons.iter().map(reason).collect(),
        }
    }
}

#[cfg(test)]
pub(in crate::status) mod tests;
