//! The bucket: conditional writes, late writes, lost replies. The real `judge` decides what a reply means.

use super::{Claim, Lea, Luck, Rec, RecState, Reg, Rule, Slot, World, slips};
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
    /// The last claim whose cluster was given up: claims are numbered in the order in which they are made.
    pub ended: Claim,
    /// The published discovery hash, by the claim of its cluster.
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
                let (kind, who, beat) = match rec.state {
                    RecState::Initializing { holder, beat } => (0, holder.unwrap_or(u8::MAX), beat),
                    RecState::Ready { by, at } => (1, by, at),
                    RecState::Retired { by, at } => (2, by, at),
                };
                let mut bytes = vec![0, rec.claim, rec.group, kind, who, beat];
                bytes.push(u8::try_from(rec.yielded.len()).unwrap_or(u8::MAX));
                bytes.extend(rec.yielded.iter().chain(&rec.retired));
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
            [0, claim, group, kind, who, beat, yielded, slots @ ..] => Self::Record(Rec {
                claim: *claim,
                group: *group,
                yielded: slots.get(..usize::from(*yielded))?.to_vec(),
                retired: slots.get(usize::from(*yielded)..)?.to_vec(),
                state: match kind {
                    0 => RecState::Initializing { holder: (*who != u8::MAX).then_some(*who), beat: *beat },
                    1 => RecState::Ready { by: *who, at: *beat },
                    _ => RecState::Retired { by: *who, at: *beat },
                },
            }),
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
        match (was, next.state) {
            (
                Some((claim, RecState::Ready { by: of, .. })),
                RecState::Ready { by: now, .. } | RecState::Retired { by: now, .. },
            ) => {
                if claim != next.claim || of != now {
                    self.breaks(Rule::Identity);
                }
            }
            (Some((_, RecState::Ready { .. })), RecState::Initializing { .. }) => self.breaks(Rule::Identity),
            (_, RecState::Ready { by: of, .. }) => {
                if self.bucket.made.is_some_and(|claim| claim != next.claim) {
                    self.breaks(Rule::OneReady);
                }
                self.bucket.made = Some(next.claim);
                let own = was.is_some_and(|(claim, state)| {
                    claim == next.claim
                        && matches!(state, RecState::Initializing { holder: Some(holder), .. } if holder == by)
                });
                if !own || of != by || !self.clusters.get(&next.claim).is_some_and(|cluster| cluster.key) {
                    self.breaks(Rule::OwnFlip);
                }
            }
            (_, RecState::Initializing { .. } | RecState::Retired { .. }) => {}
        }
        if matches!(next.state, RecState::Retired { .. }) {
            (self.bucket.made, self.bucket.ended) = (None, next.claim);
        }
    }
}
