//! Which rows of the decide table and which verdicts of the reaper were taken, and which were refused where they could have
//! been taken: over everything that was checked in this process.

use kubeboot::model::agent::{AgentStep, Answer, Hold};
use kubeboot::model::membership::later_truth::LaterTruth;
use kubeboot::model::membership::members::Member;
use kubeboot::model::membership::reaping::{KeepReason, ReapVerdict, RemovalReason};
use kubeboot::model::record::cluster::RecordState;
use kubeboot::model::record::view::RecordView;
use kubeboot::model::up::snapshot::Snapshot;
use kubeboot::model::up::step::{Over, StandBy, Step, Stop, TakeOver, Wait, Wipe};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

const SITUATIONS: usize = 8;

/// The names of the rows; a row's number is its index here.
pub const ROWS: [&str; 51] = [
    "stand by: not in the group",
    "stand by: lifecycle",
    "stand by: unhealthy",
    "wait: settle",
    "wait: turn",
    "wait: holder",
    "wait: cluster",
    "wait: quorum",
    "wait: own member",
    "wipe: another instance's",
    "wipe: deposed",
    "wipe: failed init",
    "wipe: not listed",
    "claim: nothing",
    "claim: retired",
    "claim: vacant",
    "take over: terminated",
    "take over: silent",
    "resume",
    "init",
    "yield",
    "accept group",
    "join",
    "keep",
    "stop: other identity",
    "stop: other group",
    "stop: other cluster",
    "stop: unexplained",
    "stop: record gone",
    "stop: all voters gone",
    "stop: record went back, by a registration",
    "stop: record went back, by the hash",
    "stop: cluster answers",
    "stop: foreign data",
    "stop: data needed",
    "wait: record",
    "wait: API servers",
    "wait: data gone",
    "wait: foreign data",
    "rejoin",
    "stop: data of another",
    "wait: data of another",
    "wait: voters",
    "wait: registrations",
    "wait: unfit",
    "restore",
    "claim: saved",
    "set aside",
    "wipe: superseded",
    "wait: snapshot",
    "wait: snapshot unfit",
];

pub const VERDICTS: [&str; 8] = [
    "keep: answers",
    "keep: own",
    "keep: unexplained",
    "keep: not gone",
    "keep: address lives",
    "keep: quorum",
    "remove: gone",
    "remove: given up",
];

/// What an agent may decide, and why it holds. It always ends here, and its hook waits, so it neither watches nor rests.
pub const AGENT: [&str; 17] = [
    "agent: step down",
    "agent: leave",
    "agent: answer, never a member",
    "agent: answer, init given up",
    "agent: answer, left",
    "agent: hold, last voter",
    "agent: hold, blocked",
    "agent: hold, not enough",
    "agent: hold, others unknown",
    "agent: hold, claim unknown",
    "agent: hold, disk or data",
    "agent: hold, registered",
    "agent: serve again",
    "agent: save",
    "agent: settle",
    "agent: answer, saved",
    "agent: hold, superseded",
];

static STEPS: [AtomicU64; SITUATIONS] = [const { AtomicU64::new(0) }; SITUATIONS];
static JUDGED: AtomicU64 = AtomicU64::new(0);
static AGENTS: AtomicU64 = AtomicU64::new(0);
static QUEUED: AtomicU64 = AtomicU64::new(0);

const fn row(step: &Step) -> usize {
    match step {
        Step::StandBy(StandBy::NotInGroup) => 0,
        Step::StandBy(StandBy::Lifecycle(_)) => 1,
        Step::StandBy(StandBy::Unhealthy) => 2,
        Step::Wait(Wait::Settle { .. }) => 3,
        Step::Wait(Wait::Turn { .. }) => 4,
        Step::Wait(Wait::Holder { .. }) => 5,
        Step::Wait(Wait::Cluster { .. }) => 6,
        Step::Wait(Wait::Quorum { .. }) => 7,
        Step::Wait(Wait::OwnMember) => 8,
        Step::Wipe(Wipe::AnotherInstances(_)) => 9,
        Step::Wipe(Wipe::Deposed(_)) => 10,
        Step::Wipe(Wipe::FailedInit) => 11,
        Step::Wipe(Wipe::NotListed) => 12,
        Step::Claim(Over::Nothing) => 13,
        Step::Claim(Over::Retired) => 14,
        Step::Claim(Over::Vacant) => 15,
        Step::TakeOver(TakeOver::Terminated(_)) => 16,
        Step::TakeOver(TakeOver::Silent(..)) => 17,
        Step::Resume => 18,
        Step::Init => 19,
        Step::Yield => 20,
        Step::AcceptGroup => 21,
        Step::Join => 22,
        Step::Keep => 23,
        Step::Stop(Stop::OtherIdentity(_)) => 24,
        Step::Stop(Stop::OtherGroup(_)) => 25,
        Step::Stop(Stop::OtherCluster { .. }) => 26,
        Step::Stop(Stop::Unexplained { .. }) => 27,
        Step::Stop(Stop::RecordGone { .. }) => 28,
        Step::Stop(Stop::AllVotersGone { .. }) => 29,
        Step::Stop(Stop::RecordWentBack(LaterTruth::Registration { .. })) => 30,
        Step::Stop(Stop::RecordWentBack(LaterTruth::Hash)) => 31,
        Step::Stop(Stop::ClusterAnswers { .. }) => 32,
        Step::Stop(Stop::ForeignData { .. }) => 33,
        Step::Stop(Stop::DataNeeded(_)) => 34,
        Step::Wait(Wait::Record) => 35,
        Step::Wait(Wait::ApiServers) => 36,
        Step::Wait(Wait::DataGone { .. }) => 37,
        Step::Wait(Wait::ForeignData { .. }) => 38,
        Step::Rejoin => 39,
        Step::Stop(Stop::DataOfAnother { .. }) => 40,
        Step::Wait(Wait::DataOfAnother { .. }) => 41,
        Step::Wait(Wait::Voters { .. }) => 42,
        Step::Wait(Wait::Registrations { .. }) => 43,
        Step::Wait(Wait::Unfit { .. }) => 44,
        Step::Restore => 45,
        Step::Claim(Over::Saved) => 46,
        Step::SetAside { .. } => 47,
        Step::Wipe(Wipe::Superseded(_)) => 48,
        Step::Wait(Wait::Snapshot { .. }) => 49,
        Step::Wait(Wait::SnapshotUnfit(_)) => 50,
        // Here a name goes with an address, and those that live have addresses of their own.
        Step::Stop(Stop::NameShared { .. }) => panic!("two machines of one name"),
    }
}

/// The records under which a row can be compared with its other side.
fn situation(seen: &Snapshot) -> usize {
    match &seen.record {
        RecordView::Absent => 0,
        RecordView::Vanished => 1,
        RecordView::Found { record, .. } => match &record.state {
            RecordState::Initializing { holder: None, .. } => 2,
            RecordState::Initializing { holder: Some(holder), .. } if holder.instance == seen.me => 3,
            RecordState::Initializing { holder: Some(_), .. } => 4,
            RecordState::Ready(_) => 5,
            RecordState::Retired(_) => 6,
            RecordState::Saved(_) => 7,
        },
    }
}

pub fn decided(seen: &Snapshot, step: &Step) {
    set(&STEPS[situation(seen)], row(step));
}

pub fn judged(judged: &[(Member, ReapVerdict)]) {
    for (_, verdict) in judged {
        let row = match verdict {
            ReapVerdict::Keep(KeepReason::Answers) => 0,
            ReapVerdict::Keep(KeepReason::Own) => 1,
            ReapVerdict::Keep(KeepReason::Unexplained) => 2,
            ReapVerdict::Keep(KeepReason::NotGone(_)) => 3,
            ReapVerdict::Keep(KeepReason::AddressLives(_)) => 4,
            ReapVerdict::Keep(KeepReason::Quorum) => 5,
            ReapVerdict::Remove(RemovalReason::Gone(_)) => 6,
            ReapVerdict::Remove(RemovalReason::GivenUp(_)) => 7,
        };
        set(&JUDGED, row);
    }
}

pub fn agent_decided(step: &AgentStep) {
    let row = match step {
        AgentStep::StepDown => 0,
        AgentStep::Leave => 1,
        AgentStep::Answer(Answer::NeverMember) => 2,
        AgentStep::Answer(Answer::InitGivenUp) => 3,
        AgentStep::Answer(Answer::Left) => 4,
        AgentStep::Hold(
            Hold::LastVoter { .. } | Hold::LastVoterTaken | Hold::Alone | Hold::NotSaved(_) | Hold::Isolated(_),
        ) => 5,
        AgentStep::Hold(Hold::Blocked(_)) | AgentStep::Upload => 6,
        AgentStep::Hold(Hold::NotEnough(_)) => 7,
        AgentStep::Hold(Hold::OthersUnknown(_)) => 8,
        AgentStep::Hold(Hold::ClaimUnknown(_)) => 9,
        AgentStep::Hold(Hold::Disk(_) | Hold::Data) => 10,
        AgentStep::Hold(Hold::Registered) => 11,
        AgentStep::ServeAgain => 12,
        AgentStep::Save(_) => 13,
        AgentStep::Settle => 14,
        AgentStep::Answer(Answer::Saved) => 15,
        AgentStep::Hold(Hold::Superseded) => 16,
        AgentStep::Watch | AgentStep::Rest(..) | AgentStep::Abandon => return,
    };
    set(&AGENTS, row);
}

pub fn queued(taken: bool) {
    set(&QUEUED, usize::from(taken));
}

fn set(bits: &AtomicU64, row: usize) {
    let bit = 1 << row;
    if bits.load(Ordering::Relaxed) & bit == 0 {
        bits.fetch_or(bit, Ordering::Relaxed);
    }
}

/// Rows that were never taken, and rows that were taken wherever their record was seen: their other side was never seen.
pub fn missing() -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let seen: Vec<u64> = STEPS.iter().map(|bits| bits.load(Ordering::Relaxed)).collect();
    let mut never = BTreeSet::new();
    let mut always = BTreeSet::new();
    for (row, name) in ROWS.iter().enumerate() {
        let bit = 1_u64 << row;
        let taken: Vec<u64> = seen.iter().copied().filter(|bits| bits & bit != 0).collect();
        if taken.is_empty() {
            never.insert(*name);
        } else if taken.iter().all(|bits| *bits == bit) {
            always.insert(*name);
        }
    }
    let judged = JUDGED.load(Ordering::Relaxed);
    never.extend(VERDICTS.iter().enumerate().filter(|(row, _)| judged & (1 << row) == 0).map(|(_, name)| *name));
    let agents = AGENTS.load(Ordering::Relaxed);
    never.extend(AGENT.iter().enumerate().filter(|(row, _)| agents & (1 << row) == 0).map(|(_, name)| *name));
    for (row, name) in ["queue: wait", "queue: take"].into_iter().enumerate() {
        if QUEUED.load(Ordering::Relaxed) & (1 << row) == 0 {
            never.insert(name);
        }
    }
    (never, always)
}

/// For the report: in how many situations each row was taken.
pub fn table() -> BTreeMap<&'static str, usize> {
    let taken = |row: usize| STEPS.iter().filter(|bits| bits.load(Ordering::Relaxed) & (1 << row) != 0).count();
    ROWS.iter().enumerate().map(|(row, name)| (*name, taken(row))).collect()
}
