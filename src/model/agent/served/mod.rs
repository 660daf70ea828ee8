//! What the agent serves: its state as others may read it, and what follows from that for `/livez`, `/readyz` and `/metrics`, and for
//! Events.
//!
//! Times are counted since the boot; [`Clock`] makes those of the calendar from them.

pub mod events;
pub mod machine;
pub mod metrics;
pub mod snapshot;
#[cfg(test)]
mod tests;
pub mod upgrade;

use super::step::{AgentStep, Answer, Hold};
use snapshot::SnapshotSeen;
use std::collections::BTreeMap;
use std::time::Duration;
use upgrade::UpgradeSeen;

/// After this time without a sign of life the agent counts as one that hangs: the `WatchdogSec=` of its unit.
pub const LIVE: Duration = Duration::from_secs(120);
/// How old IMDS' last answer may be while nothing ends this machine: it is asked every two seconds.
pub const FRESH: Duration = Duration::from_secs(30);

/// What the agent does with its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// Nothing ends the machine.
    Watching,
    /// The machine is being terminated, and stays for now.
    Holding(HoldReason),
    /// It gives a claim back that was never published.
    SteppingDown,
    /// It leaves its cluster.
    Leaving,
    /// Nothing keeps the machine any more.
    Done(Answer),
}

impl AgentState {
    /// The words of the label `state`.
    pub const NAMES: [&str; 5] = ["watching", "holding", "stepping_down", "leaving", "done"];

    /// What a step means.
    #[must_use]
    pub fn of(step: &AgentStep) -> Self {
        match step {
            AgentStep::Watch => Self::Watching,
            AgentStep::Hold(why) => Self::Holding(HoldReason::of(why)),
            AgentStep::StepDown => Self::SteppingDown,
            // Until its kubelet runs nobody can say what would stay.
            AgentStep::ServeAgain => Self::Holding(HoldReason::Blocked),
            // The group keeps it: it is as much the last voter afterwards.
            AgentStep::Abandon => Self::Holding(HoldReason::LastVoter),
            AgentStep::Leave | AgentStep::Save(_) => Self::Leaving,
            AgentStep::Settle => Self::Holding(HoldReason::LastVoter),
            AgentStep::Upload => Self::Holding(HoldReason::Blocked),
            AgentStep::Answer(why) | AgentStep::Rest(why, _) => Self::Done(*why),
        }
    }

    /// One of [`AgentState::NAMES`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::Holding(_) => "holding",
            Self::SteppingDown => "stepping_down",
            Self::Leaving => "leaving",
            Self::Done(_) => "done",
        }
    }

    /// Why it holds.
    #[must_use]
    pub fn hold(self) -> Option<HoldReason> {
        match self {
            Self::Holding(why) => Some(why),
            Self::Watching | Self::SteppingDown | Self::Leaving | Self::Done(_) => None,
        }
    }
}

/// Why a machine that is being terminated stays, as a word of few: the log has the sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldReason {
    /// It is the last voter.
    LastVoter,
    /// Its member cannot be removed at the moment.
    Blocked,
    /// Too little would stay.
    NotEnough,
    /// It is not known who would stay.
    OthersUnknown,
    /// It is not known whether its init was published.
    ClaimUnknown,
    /// Its disk is of no member, and it is registered as one.
    Registered,
    /// It may be a member by what lies on its disk.
    Disk,
    /// Data of an etcd that nothing here explains.
    Data,
    /// Another machine has saved or restored the cluster, and this one's data is kept.
    Superseded,
    /// Pods of a worker that are not evicted.
    Pods,
    /// The last attempt to find out or to leave has failed.
    Failed,
}

impl HoldReason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::LastVoter,
        Self::Blocked,
        Self::NotEnough,
        Self::OthersUnknown,
        Self::ClaimUnknown,
        Self::Registered,
        Self::Disk,
        Self::Data,
        Self::Superseded,
        Self::Pods,
        Self::Failed,
    ];

    /// Without what differs from machine to machine.
    #[must_use]
    pub fn of(hold: &Hold) -> Self {
        match hold {
            Hold::LastVoter { .. } | Hold::LastVoterTaken | Hold::Alone => Self::LastVoter,
            Hold::NotSaved(_) | Hold::Isolated(_) => Self::Failed,
            Hold::Registered => Self::Registered,
            Hold::Blocked(_) => Self::Blocked,
            Hold::NotEnough(_) => Self::NotEnough,
            Hold::OthersUnknown(_) => Self::OthersUnknown,
            Hold::ClaimUnknown(_) => Self::ClaimUnknown,
            Hold::Disk(_) => Self::Disk,
            Hold::Data => Self::Data,
            Hold::Superseded => Self::Superseded,
        }
    }

    /// Its word in the label `reason`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LastVoter => "last_voter",
            Self::Blocked => "blocked",
            Self::NotEnough => "not_enough",
            Self::OthersUnknown => "others_unknown",
            Self::ClaimUnknown => "claim_unknown",
            Self::Registered => "registered",
            Self::Disk => "disk",
            Self::Data => "data",
            Self::Superseded => "superseded",
            Self::Pods => "pods",
            Self::Failed => "failed",
        }
    }
}

/// Whom the agent asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The instance's metadata service.
    Imds,
    /// The Auto Scaling group.
    Group,
    /// etcd, for a list through its quorum.
    Etcd,
    /// The certificates on this machine's disk.
    Certificates,
    /// An API server, to write an Event.
    Events,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Imds, Self::Group, Self::Etcd, Self::Certificates, Self::Events];

    /// Its word in the label `source`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Imds => "imds",
            Self::Group => "group",
            Self::Etcd => "etcd",
            Self::Certificates => "certificates",
            Self::Events => "events",
        }
    }
}

/// How a source has answered so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Its last answer.
    pub answered: Option<Duration>,
    /// How often it gave none, since the agent began.
    pub failures: u64,
}

impl Heard {
    /// Takes one more answer in, or none.
    pub fn hear(&mut self, answered: bool, now: Duration) {
        match answered {
            true => self.answered = Some(now),
            false => self.failures = self.failures.saturating_add(1),
        }
    }
}

/// What the agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSeen {
    /// When this agent began.
    pub began: Duration,
    /// What it does.
    pub state: AgentState,
    /// Since when it does that.
    pub since: Duration,
    /// Since when it has known that the machine is being terminated; `None` while nothing ends it.
    pub ending: Option<Duration>,
    /// When its last pass ended; `None` before the first.
    pub passed: Option<Duration>,
    /// Whether IMDS or the group has said what is to become of this machine.
    pub is_known: bool,
    /// How those have answered whom it asks.
    pub sources: BTreeMap<Source, Heard>,
    /// What it knows of the snapshots of etcd while it leads.
    pub snapshots: Option<SnapshotSeen>,
    /// What it knows of the rest of an upgrade while it leads.
    pub upgrade: Option<UpgradeSeen>,
}

impl AgentSeen {
    /// An agent that begins now.
    #[must_use]
    pub fn beginning(now: Duration) -> Self {
        let (state, sources) = (AgentState::Watching, BTreeMap::new());
        Self {
            began: now,
            state,
            since: now,
            ending: None,
            passed: None,
            is_known: false,
            sources,
            snapshots: None,
            upgrade: None,
        }
    }

    /// Takes in what a pass has decided. Another reason to hold is no other state.
    pub fn passes(&mut self, state: AgentState, now: Duration) {
        if state.name() != self.state.name() {
            self.since = now;
        }
        // An attempt to leave that fails, and the next one, change the state and not this.
        self.ending = (state != AgentState::Watching).then(|| self.ending.unwrap_or(now));
        self.state = state;
        self.passed = Some(now);
    }

    /// How a source has answered.
    #[must_use]
    pub fn heard(&self, source: Source) -> Heard {
        self.sources.get(&source).copied().unwrap_or_default()
    }

    /// Why the agent does not see what it must; `None` if it does. In all states but watching it is known that something ends the machine.
    #[must_use]
    pub fn not_ready(&self, now: Duration) -> Option<String> {
        if self.passed.is_none() {
            return Some("the agent has not looked around yet".to_owned());
        }
        if self.state != AgentState::Watching {
            return None;
        }
        match self.heard(Source::Imds).answered {
            None => Some("IMDS has not answered yet".to_owned()),
            Some(at) if now.saturating_sub(at) >= FRESH => {
                Some(format!("IMDS has not answered for {} seconds", now.saturating_sub(at).as_secs()))
            }
            Some(_) if !self.is_known => {
                Some("neither IMDS nor the group has said what is to become of this machine".to_owned())
            }
            Some(_) => None,
        }
    }
}

/// Whether a process that gave this last sign of life counts as alive.
#[must_use]
pub fn is_live(last_alive: Duration, now: Duration) -> bool {
    now.saturating_sub(last_alive) < LIVE
}

/// The calendar's time for a time since the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Now, since the boot.
    pub now: Duration,
    /// Now, since 1970.
    pub unix: Duration,
}

impl Clock {
    /// Seconds since 1970.
    #[must_use]
    pub fn unix(self, at: Duration) -> f64 {
        self.unix.saturating_sub(self.now.saturating_sub(at)).as_secs_f64()
    }
}
