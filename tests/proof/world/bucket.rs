//! The bucket: conditional writes, late writes, lost replies. The real `judge` decides what a reply means.

use super::{Claim, Lea, Line, Luck, Rec, RecState, Reg, Rule, Slot, World, slips};
use kubeboot::model::record::conditional_write::{self, Object, Reply, WriteStep, Written, judge};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Bucket {
    pub record: Option<Rec>,
    pub lease: Option<Lea>,
    pub regs: BTreeMap<Slot, Reg>,
    /// Writes that may still land.
    pub flights: Vec<Flight>,
    /// The claim of the cluster that was made since the last retirement.
    pub made: Option<Claim>,
    /// The claims under which it was made before that: it was restored since.
    pub earlier: BTreeSet<Claim>,
    /// The last claim whose cluster was given up: claims are numbered in the order in which they are made.
    pub ended: Claim,
    /// Whose `kube-system` every cluster has that was ready since the last retirement.
    pub uid: Option<Claim>,
    /// The claims under which a restore was begun.
    pub tokens: BTreeSet<Claim>,
    /// The machines that have written that the cluster is saved.
    pub savers: BTreeSet<Slot>,
    /// The last snapshot that the leader has saved.
    pub snapshot: Option<Line>,
    /// The published discovery hash, by the claim of the first init of its cluster.
    pub hash: Option<Claim>,
    /// Whether S3 shows a delete marker on the record.
    pub deleted: bool,
    /// Versions of the record, while one may come back.
    pub past: BTreeSet<Rec>,
    /// What the objects were before somebody put one of them back.
    pub last: Option<Box<slips::Last>>,
}

/// An object that more than one machine writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Body {
    Record(Rec),
    Lease(Lea),
}

/// A condition: the headers that go out, with the body that has the `ETag`. No two bodies of a key are ever equal, so a
/// body is as good as its `ETag`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Condition {
    pub none_match: bool,
    pub matches: Option<Body>,
    /// For [`judge`], which knows what was meant.
    pub meant: Option<Body>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flight {
    pub by: Slot,
    pub body: Body,
    pub over: Condition,
}

/// The answer to a write, before the process reads the object back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    Written,
    PreconditionFailed,
    Nothing,
}

impl Body {
    /// Its bytes: equal for equal bodies alone.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Record(rec) => {
                let none = Line { uid: 0, made: 0, by: 0, at: 0, writes: 0 };
                let (kind, who, beat, line) = match rec.state {
                    RecState::Initializing { holder, beat, restoring } => {
                        let kind = if restoring.is_some() { 4 } else { 0 };
                        (kind, holder.unwrap_or(u8::MAX), beat, restoring.unwrap_or(none))
                    }
                    RecState::Ready { by, at, uid } => (1, by, at, Line { uid, ..none }),
                    RecState::Retired { by, at, uid } => (2, by, at, Line { uid, ..none }),
                    RecState::Saved(line) => (3, 0, 0, line),
                };
                let Line { uid, made, by, at, writes } = line;
                let mut bytes = vec![0, rec.claim, rec.group, kind, who, beat, rec.fences, uid, made, by, at, writes];
                let lists = [&rec.yielded, &rec.retired, &rec.superseded];
                bytes.extend(lists.map(|list| u8::try_from(list.len()).unwrap_or(u8::MAX)));
                bytes.extend(lists.into_iter().flatten());
                bytes
            }
            Self::Lease(lea) => {
                let (by, nonce) = lea.holder.unwrap_or((u8::MAX, 0));
                let ([high, low], [more, less]) = (nonce.to_be_bytes(), lea.beat.to_be_bytes());
                vec![1, by, high, low, more, less]
            }
        }
    }

    /// Parses these bytes; `None` where they are none of this world's.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        Some(match bytes {
            [0, claim, group, kind, who, beat, fences, uid, made, by, at, writes, yielded, retired, _, lists @ ..] => {
                let (yielded, retired) = (usize::from(*yielded), usize::from(*retired));
                let line = Line { uid: *uid, made: *made, by: *by, at: *at, writes: *writes };
                let holder = (*who != u8::MAX).then_some(*who);
                Self::Record(Rec {
                    claim: *claim,
                    group: *group,
                    yielded: lists.get(..yielded)?.to_vec(),
                    retired: lists.get(yielded..yielded + retired)?.to_vec(),
                    superseded: lists.get(yielded + retired..)?.to_vec(),
                    fences: *fences,
                    state: match kind {
                        0 => RecState::Initializing { holder, beat: *beat, restoring: None },
                        1 => RecState::Ready { by: *who, at: *beat, uid: *uid },
                        2 => RecState::Retired { by: *who, at: *beat, uid: *uid },
                        3 => RecState::Saved(line),
                        _ => RecState::Initializing { holder, beat: *beat, restoring: Some(line) },
                    },
                })
            }
            [1, by, high, low, more, less] => {
                let (nonce, beat) = (u16::from_be_bytes([*high, *low]), u16::from_be_bytes([*more, *less]));
                Self::Lease(Lea { holder: (*by != u8::MAX).then_some((*by, nonce)), beat })
            }
            _ => return None,
        })
    }

    pub fn etag(&self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn rec(self) -> Rec {
        match self {
            Self::Record(rec) => rec,
            Self::Lease(_) => unreachable!("the record's key holds records"),
        }
    }

    pub fn lea(self) -> Lea {
        match self {
            Self::Lease(lea) => lea,
            Self::Record(_) => unreachable!("the lease's key holds leases"),
        }
    }
}

impl Condition {
    /// The condition as the real code puts it into headers. `seen` is what was read.
    pub fn of(condition: &conditional_write::Condition, seen: Option<&Body>) -> Self {
        let headers = condition.headers();
        Self {
            none_match: headers.if_none_match == Some("*"),
            matches: headers.if_match.and(seen.cloned()),
            meant: match condition {
                conditional_write::Condition::Absent => None,
                conditional_write::Condition::Unchanged(_) => seen.cloned(),
            },
        }
    }

    fn real(&self) -> conditional_write::Condition {
        self.meant
            .as_ref()
            .map_or(conditional_write::Condition::Absent, |body| conditional_write::Condition::Unchanged(body.etag()))
    }
}

impl World {
    fn stored(&self, like: &Body) -> Option<Body> {
        match like {
            Body::Record(_) => self.bucket.record.clone().map(Body::Record),
            Body::Lease(_) => self.bucket.lease.map(Body::Lease),
        }
    }

    /// S3's own part in a write: whether the condition holds, and if so, the write.
    fn take(&mut self, by: Slot, body: &Body, over: &Condition) -> Answer {
        let stored = self.stored(body);
        let held = match (&over.matches, over.none_match) {
            (Some(body), _) => stored.as_ref() == Some(body),
            (None, true) => stored.is_none(),
            (None, false) => true,
        };
        if !held {
            return Answer::PreconditionFailed;
        }
        match body {
            Body::Record(rec) => {
                self.judge_record(by, rec);
                self.bucket.record = Some(rec.clone());
                self.bucket.deleted = false;
                // A new line: what was there before is no longer the truth.
                if let Some(last) = &mut self.bucket.last {
                    last.record = Some(rec.clone());
                    last.regs.clear();
                }
                if self.left.objects > 0 {
                    self.bucket.past.insert(rec.clone());
                }
            }
            Body::Lease(lea) => self.bucket.lease = Some(*lea),
        }
        self.settle_flights();
        Answer::Written
    }

    /// Forgets writes that can never land any more, and sorts the rest, whose order does not matter.
    pub fn settle_flights(&mut self) {
        let mut flights = std::mem::take(&mut self.bucket.flights);
        flights.retain(|flight| match (&flight.over.matches, flight.over.none_match) {
            (Some(body), _) => self.stored(&flight.body).as_ref() == Some(body),
            (None, true) => self.stored(&flight.body).is_none(),
            (None, false) => true,
        });
        flights.sort();
        flights.dedup();
        self.bucket.flights = flights;
    }

    /// A late write lands.
    pub fn land(&mut self, at: u8) {
        if usize::from(at) < self.bucket.flights.len() {
            let flight = self.bucket.flights.remove(at.into());
            self.take(flight.by, &flight.body, &flight.over);
        }
    }

    /// Sends a write. `None`: 409, so that nothing was decided.
    pub fn send(&mut self, by: Slot, body: &Body, over: &Condition, luck: Luck) -> Option<Answer> {
        match luck {
            Luck::Conflict => match self.verdict(body, over, &Reply::Conflict, None) {
                WriteStep::Again => None,
                WriteStep::ReadBack => Some(Answer::Nothing),
                // S3 has decided nothing, so any other verdict is wrong.
                WriteStep::Won(_) | WriteStep::Lost(_) | WriteStep::Gone => {
                    self.breaks(Rule::Verdict);
                    None
                }
            },
            Luck::Late => {
                self.bucket.flights.push(Flight { by, body: body.clone(), over: over.clone() });
                self.settle_flights();
                Some(Answer::Nothing)
            }
            Luck::Lost => {
                self.take(by, body, over);
                Some(Answer::Nothing)
            }
            Luck::Fine | Luck::Fails | Luck::Without(_) | Luck::Nobody | Luck::Unlisted => {
                Some(self.take(by, body, over))
            }
        }
    }

    fn verdict(&self, body: &Body, over: &Condition, reply: &Reply, read: Option<Option<&Object>>) -> WriteStep {
        judge(&body.bytes(), &over.real(), reply, read)
    }

    /// What an answer means, with a read if needed. `None`: send again.
    pub fn learn(&mut self, body: &Body, over: &Condition, answer: Answer, luck: Luck) -> Option<Written> {
        let reply = match answer {
            Answer::Written => Reply::Written(body.etag()),
            Answer::PreconditionFailed => Reply::PreconditionFailed,
            Answer::Nothing => Reply::NoAnswer,
        };
        let mut next = self.verdict(body, over, &reply, None);
        if next == WriteStep::ReadBack {
            if luck == Luck::Lost {
                return Some(Written::Unknown);
            }
            let found = self.stored(body).map(|body| Object { etag: body.etag(), body: body.bytes() });
            next = self.verdict(body, over, &reply, Some(found.as_ref()));
        }
        match next {
            WriteStep::Won(etag) => Some(Written::Ours(etag)),
            WriteStep::Lost(object) => {
                let flies = self.bucket.flights.iter().any(|flight| flight.body == *body && flight.over == *over);
                if flies || self.stored(body).as_ref() == Some(body) {
                    self.breaks(Rule::Verdict);
                    return None;
                }
                Some(Written::Others(object))
            }
            WriteStep::Gone => Some(Written::Gone),
            WriteStep::ReadBack | WriteStep::Again => None,
        }
    }

    /// Checks the first rule, and the part of the second that shows in the record.
    fn judge_record(&mut self, by: Slot, next: &Rec) {
        let before = self.bucket.record.clone();
        let was = before.as_ref().map(|rec| (rec.claim, rec.state));
        self.judge_line(by, before.as_ref(), next);
        match (was, next.state) {
            (
                Some((claim, RecState::Ready { by: of, .. })),
                RecState::Ready { by: now, .. }
                | RecState::Retired { by: now, .. }
                | RecState::Saved(Line { by: now, .. }),
            ) => {
                if claim != next.claim || of != now {
                    self.breaks(Rule::Identity);
                }
            }
            (Some((_, RecState::Ready { .. })), RecState::Initializing { .. }) => self.breaks(Rule::Identity),
            (_, RecState::Ready { by: of, uid, .. }) => {
                if self.bucket.made.is_some_and(|claim| claim != next.claim && !next.superseded.contains(&claim)) {
                    self.breaks(Rule::OneReady);
                }
                let before = self.bucket.made.replace(next.claim).filter(|claim| *claim != next.claim);
                self.bucket.earlier.extend(before);
                let own = was.is_some_and(|(claim, state)| {
                    claim == next.claim
                        && matches!(state, RecState::Initializing { holder: Some(holder), .. } if holder == by)
                });
                let is_it = |cluster: &super::Cluster| cluster.key && cluster.uid == uid;
                if !own || of != by || !self.clusters.get(&next.claim).is_some_and(is_it) {
                    self.breaks(Rule::OwnFlip);
                }
            }
            (_, RecState::Initializing { .. } | RecState::Saved(_) | RecState::Retired { .. }) => {}
        }
        if matches!(next.state, RecState::Retired { .. }) {
            (self.bucket.made, self.bucket.ended) = (None, next.claim);
            (self.bucket.uid, self.bucket.snapshot) = (None, None);
        }
    }
}
