//! One observation of a machine that may be on its way out.

use super::enough::Others;
use super::hook::HookView;
use super::saving::Saving;
use crate::model::leave::questions::AwsIntent;
use crate::model::leave::{InGroup, InstanceStates, LeavePlan, without_pool};
use crate::model::machine::group::Lifecycle;
use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::machine::local::{Local, Stage};
use crate::model::machine::notices::SpotNotice;
use crate::model::membership::members::Members;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// Everything that the agent's next step depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What ends this machine; `None` while nothing does. Then nothing else is looked at.
    pub ending: Option<Ending>,
    /// The terminate hook.
    pub hook: HookView,
    /// How far this machine has left, by the durable marker of leaving.
    pub departure: Option<Departure>,
    /// What kubeboot's marker says.
    pub local: Local,
    /// Whether etcd's data folder holds data of a member, whoever's, or nobody can tell.
    pub has_data: bool,
    /// Whether this machine is registered with an etcd member that may still be listed, by [`may_be_listed`]; `None` when its registration
    /// cannot be read.
    pub registered_member: Option<bool>,
    /// What the record, read now, says of a claim of this machine.
    pub claim: ClaimHere,
    /// Whether this process has stopped what an unpublished init has started here, and given its claim back.
    pub init_given_up: bool,
    /// Whether kubelet is stopped; asked only of a machine whose init was published.
    pub is_stopped: bool,
    /// The plan for leaving.
    pub plan: LeavePlan,
    /// The cluster by which that plan was made.
    pub cluster: ClusterView,
    /// This machine's private addresses.
    pub addresses: Vec<IpAddr>,
    /// Who would stay; `None` while that is not known, with the reason in [`Observation::others_unknown`].
    pub others: Option<Others>,
    /// Why it is not known who would stay.
    pub others_unknown: String,
    /// The group's desired capacity, as far as it is known.
    pub desired: Option<usize>,
    /// Whether the group keeps a machine whose terminate hook is abandoned, as far as that is known.
    pub retains: bool,
    /// For how long the group has had no other candidate than this machine; `None` while it has one, or is not known.
    pub alone_for: Option<Duration>,
    /// What is known of saving the cluster.
    pub saving: Saving,
}

/// Whether a registration tells of a member that nobody has seen to be gone, of a cluster that was not given up.
#[must_use]
pub fn may_be_listed(said: &Registration) -> bool {
    !said.retired
        && said.member_id.is_some()
        && !matches!(said.phase, RegistrationPhase::Left | RegistrationPhase::Reaped)
}

impl Observation {
    /// This machine's member and the list that names it.
    #[must_use]
    pub fn own_member(&self) -> Option<(&Members, MemberId)> {
        let ClusterView::Listed(members) = &self.cluster else { return None };
        members.at(&self.addresses).map(|own| (members, own.id))
    }
}

/// That this machine is being terminated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Who says so, in words.
    pub source: String,
    /// How long this process has known it.
    pub known_for: Duration,
    /// Whether the group retains the machine: its hook is over, it runs on, and another one takes its place.
    pub retained: bool,
    /// How long EC2 leaves this machine, by a Spot notice. No hook holds it longer.
    pub left: Option<Duration>,
}

impl Ending {
    /// What IMDS and the group say together, with the Spot notice, if there is one, and what is left of it.
    #[must_use]
    pub fn of(states: &InstanceStates, spot: Option<(&SpotNotice, Duration)>, known_for: Duration) -> Option<Self> {
        let spot = spot.filter(|(notice, _)| notice.is_for_good());
        let source = match (spot, states.intent()) {
            (Some((notice, _)), _) => notice.to_string(),
            (None, AwsIntent::Terminate(source)) => source,
            (None, AwsIntent::Stop | AwsIntent::Standby | AwsIntent::Run | AwsIntent::Unknown(_)) => return None,
        };
        let retained = matches!(&states.lifecycle, Some(InGroup::As(state)) if state.is_retained());
        Some(Self { source, known_for, retained, left: spot.map(|(_, left)| left) })
    }
}

impl Lifecycle {
    /// Whether the group has ended the machine's hook and keeps the machine.
    #[must_use]
    pub fn is_retained(&self) -> bool {
        matches!(self, Self::Other(word) if word == "Terminating:Retained")
    }

    /// Whether the machine waits in a terminate hook, in a warm pool or outside.
    #[must_use]
    pub fn waits_to_end(&self) -> bool {
        matches!(self, Self::Other(word) if without_pool(word) == "Terminating:Wait")
    }

    /// Whether the group is terminating the machine, in a warm pool or outside.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        matches!(self, Self::Other(word) if without_pool(word).starts_with("Terminating"))
    }

    /// Whether the group has not come to the terminate hook of a machine that IMDS says it is to terminate.
    #[must_use]
    pub fn is_ahead_of_end(&self) -> bool {
        match self {
            Self::Pending | Self::PendingWait | Self::PendingProceed | Self::InService => true,
            Self::Other(word) => {
                let in_pool = ["Warmed:Running", "Warmed:Stopped", "Warmed:Hibernated"].contains(&word.as_str());
                in_pool || without_pool(word) == "Terminating"
            }
        }
    }
}

/// How far a machine has left its cluster for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Departure {
    /// It has begun to leave, and may still be listed.
    Leaving,
    /// A certain list was seen to lack it.
    Left,
}

impl Departure {
    /// Whether the marker of leaving that was found keeps `kubeboot up` away: any does, after a reboot as well. Only an operator's command
    /// removes it.
    #[must_use]
    pub fn keeps_up_away(found: Option<Self>) -> bool {
        match found {
            Some(Self::Leaving | Self::Left) => true,
            None => false,
        }
    }
}

/// What the record, read now, says of a claim under which this machine has begun an init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimHere {
    /// There is none: this machine's disk is of no unfinished init, and no claim is its own.
    Nothing,
    /// The claim is still this machine's, and was never flipped.
    Mine,
    /// The claim was never flipped, and the record has gone on without it.
    Superseded,
    /// The claim has become the cluster of the record.
    Flipped,
    /// Not known; with the reason.
    Unknown(String),
}

impl ClaimHere {
    /// What this record says to the machine `me` with this state on its disk. No record: `None`. The registrations may tell of a later
    /// record than the one that was read.
    #[must_use]
    pub fn of(record: Option<&ClusterRecord>, registrations: &[Registration], local: &Local, me: &InstanceId) -> Self {
        let held = record.and_then(ClusterRecord::holder).is_some_and(|holder| holder.instance == *me);
        let claim = match local {
            Local::HalfMade { claim_id, stage: Stage::Initializing, instance } if instance == me => claim_id,
            Local::Fresh if held => return Self::Mine,
            Local::Fresh | Local::HalfMade { .. } | Local::Made { .. } | Local::Unexplained { .. } => {
                return Self::Nothing;
            }
        };
        let Some(record) = record else { return Self::Unknown("there is no cluster record".to_owned()) };
        let is_past = record.gives_up(claim) || record.supersedes(claim);
        let witness = registrations.iter().find(|found| !is_past && found.proves_flip_of(claim));
        match (&record.state, witness) {
            (RecordState::Ready(_), _) if record.claim_id == *claim => Self::Flipped,
            (_, Some(witness)) => Self::Unknown(format!(
                "{} says that it was, and the cluster record does not: restore its last version",
                witness.instance
            )),
            (RecordState::Initializing { .. }, None) if held => Self::Mine,
            // A retired record follows every claim before it, and so does a saved one.
            (
                RecordState::Initializing { .. }
                | RecordState::Ready(_)
                | RecordState::Saved(_)
                | RecordState::Retired(_),
                None,
            ) => Self::Superseded,
        }
    }
}

#[cfg(test)]
mod tests;
