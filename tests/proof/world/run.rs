//! One run of `kubeboot up`: what it knows, and where it is between two steps that others can observe.

use super::bucket;
use super::{Claim, Lea, Life, Line, Listed, Mem, Phase, Rec, Reg, Slot};
use std::collections::BTreeMap;

/// One run of `kubeboot up`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Up {
    pub at: At,
    pub record_seen: Option<(Rec, u16)>,
    pub lease_seen: Option<(Lea, u16)>,
    pub claim: Option<(Rec, u16)>,
    pub lease: Option<(Lea, u16)>,
    pub reg: Reg,
    pub failed: u8,
    pub settled: Option<u16>,
    pub watched: u16,
    /// How long there has been no record.
    pub missing: Option<u16>,
    /// Who answered as an API server, asked before the record is read.
    pub asked: Option<Answers>,
    /// The claim of the record as last read: whoever waits registers it.
    pub following: Option<Claim>,
    pub absent: BTreeMap<Slot, u16>,
    /// EC2's and Auto Scaling's last answers, as the reaper will use them.
    pub view: View,
    /// The record that a join follows.
    pub aim: Option<Rec>,
    pub announced: bool,
    /// Since it was started or, once it has ended, since then; counted only where the unit alone starts `up`.
    pub age: u16,
    /// Whether it last waited for what only an operator may bring back.
    pub for_operator: bool,
    /// For the second rule only: the claim and holder of the record as last read.
    pub read: Option<(Claim, Slot)>,
    /// For the rules on data alone: whether that look has shown a ready record.
    pub under_ready: bool,
    /// Whether the data here is moved aside before the rest is wiped.
    pub keeps: bool,
    /// What the attempt under way restores.
    pub restoring: Option<Line>,
    /// The snapshot that was fetched.
    pub fetched: Option<Line>,
    /// For the same: whether a copy of the data here served where it belongs when its deletion was decided.
    pub twin: bool,
}

/// Who answers as an API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answers {
    Nobody,
    /// Of a cluster that a claim of this record makes or has made.
    OfThisRecord,
    /// Of another cluster, or of one that was given up.
    Another,
}

/// One answer about the group and its instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct View {
    pub group: Vec<(Slot, Listed)>,
    pub states: BTreeMap<Slot, Option<Life>>,
}

/// The position of an `up` between two steps that others can observe.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum At {
    /// To observe and decide.
    Look,
    /// To write the record, or having done so, to learn what came of it.
    Write {
        why: Why,
        body: Rec,
        over: bucket::Condition,
        sent: Option<bucket::Answer>,
    },
    /// To ask whether an API server answers.
    Ask,
    /// To blank the hash of a retired cluster, and then to go on.
    Blank {
        hash: Claim,
        then: Box<Self>,
    },
    /// To stop kubelet and what it started: the claim is lost.
    Halt,
    InitLook,
    InitMark,
    InitRun,
    InitWait,
    Publish,
    MarkMember,
    Wipe {
        emptied: bool,
    },
    Queue,
    TakeLease {
        body: Lea,
        over: bucket::Condition,
        sent: Option<bucket::Answer>,
    },
    JoinLook,
    CleanUp {
        failed: bool,
    },
    CleanWipe {
        failed: bool,
        emptied: bool,
    },
    Reap {
        failed: bool,
    },
    /// To check that a removal is still allowed, or after that, to send it.
    Remove {
        task: Box<Task>,
        checked: bool,
    },
    Forget {
        task: Box<Task>,
    },
    Register,
    JoinMark,
    JoinRun,
    JoinWait,
    Verify,
    MarkJoined,
    Release,
    Keep,
    /// To judge which registrations of others are over, or after that, to move the next one away.
    Former {
        over: Option<Vec<(Slot, Reg)>>,
    },
    Done,
    /// An operator must decide.
    Stopped,
    /// Its deadline has passed.
    Expired,
}

impl At {
    /// Whether `up` has ended here.
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Done | Self::Stopped | Self::Expired)
    }
}

/// Why the record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    Claim,
    Yield,
    Flip,
    Regroup,
}

/// A removal, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Task {
    /// The list that it was decided on, with who answered.
    pub probed: Vec<(Mem, bool)>,
    pub id: u8,
    /// Whose registration is to be marked.
    pub owner: Option<Slot>,
    /// What else the same plan removes.
    pub rest: Vec<(u8, Option<Slot>)>,
    pub blocked: bool,
    pub failed: bool,
    /// This machine's own member, removed before it joins.
    pub own: bool,
    /// Whether it had a vote by the fresh list on which the removal was judged once more.
    pub had_vote: bool,
}

impl Up {
    pub fn new(reg: Option<Reg>) -> Self {
        let reg = reg.filter(|reg| !reg.retired).map_or(Reg::new(), |reg| Reg { phase: Phase::Waiting, ..reg });
        Self {
            at: At::Look,
            record_seen: None,
            lease_seen: None,
            claim: None,
            lease: None,
            reg,
            failed: 0,
            settled: None,
            watched: 0,
            missing: None,
            asked: None,
            following: None,
            absent: BTreeMap::new(),
            view: View::default(),
            aim: None,
            announced: false,
            age: 0,
            for_operator: false,
            read: None,
            under_ready: false,
            twin: false,
            keeps: false,
            restoring: None,
            fetched: None,
        }
    }

    /// Every clock of this process.
    pub fn clocks(&mut self) -> impl Iterator<Item = &mut u16> {
        let Self { record_seen, lease_seen, claim, lease, settled, watched, missing, absent, .. } = self;
        [record_seen.as_mut().map(|seen| &mut seen.1), claim.as_mut().map(|held| &mut held.1)]
            .into_iter()
            .chain([lease_seen.as_mut().map(|seen| &mut seen.1), lease.as_mut().map(|held| &mut held.1)])
            .chain([settled.as_mut(), Some(watched), missing.as_mut()])
            .flatten()
            .chain(absent.values_mut())
    }
}
