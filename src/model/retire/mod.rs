//! Whether a cluster may be retired: given up on purpose, so that the next machines make a new one.
//!
//! It may be only if nothing of it can go on serving: EC2 says that every machine that ever registered is gone for good, and
//! nothing answers. A machine that boots meanwhile is not harmed, whenever the record is flipped: it reads `ready` and finds no
//! voter to join, or it reads `retired` and claims over exactly that version of the record.
//!
//! Here belongs the decision and its refusals. Writing the record does not belong here: see [`record`](super::record).
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the decision on a cluster that its ID names |
//! | `lost.rs` | the decision on a cluster whose record is gone, or has gone back to an older version |
//! | `refusal.rs` | why not, and what to do about it |
//! | `responder.rs` | what still answers, and what to do about it |

mod lost;
mod refusal;
mod responder;

pub use lost::{LostRecordInput, judge_lost};
pub use refusal::RetireRefusal;
pub use responder::{Responder, ServedCluster};

use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::membership::instances::Presence;
use crate::model::membership::registration::RegistrationPhase;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use std::time::Duration;

/// What the decision depends on.
#[derive(Debug, Clone)]
pub struct RetireInput<'a> {
    /// The cluster that the operator means, by its ID: the claim that made it.
    pub cluster_id: &'a ClaimId,
    /// The record; `None` when there is none.
    pub record: Option<&'a ClusterRecord>,
    /// The account and Region in which EC2 was asked.
    pub asked_in: AskedIn,
    /// Every machine that has registered, and the one that initialised.
    pub machines: &'a [RetireMachine],
    /// What still answers.
    pub answers: &'a [Responder],
    /// How long EC2 must not know an instance before it counts as gone.
    pub gone_grace: Duration,
}

/// An account and Region in which EC2 was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedIn {
    /// AWS account.
    pub account: String,
    /// AWS Region.
    pub region: String,
}

/// A machine of the cluster that is to be retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetireMachine {
    /// Its ID.
    pub instance: InstanceId,
    /// What tells of it.
    pub known_by: KnownBy,
    /// The phase of its registration, if that can be read.
    pub last_phase: Option<RegistrationPhase>,
    /// What EC2 says of it; `None` when EC2 was not asked.
    pub ec2: Option<Presence>,
    /// Whether it is this machine, and its disk holds nothing of a control plane.
    pub is_here_and_fresh: bool,
}

/// What tells of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownBy {
    /// Its registration.
    Registration,
    /// The record: it holds the claim, or initialised.
    Record,
    /// The group alone.
    Group,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetireDecision {
    /// Nothing: it is retired already.
    Already,
    /// The record may be flipped to `retired`.
    Allowed,
    /// These machines are missing in EC2's answers, but not yet for `gone_grace`.
    Wait {
        /// Which.
        absent: Vec<InstanceId>,
        /// How long to wait.
        left: Duration,
    },
    /// The record must not be flipped.
    Refused(Vec<RetireRefusal>),
}

impl RetireDecision {
    /// For which machines it waits, and how long yet; `None` where it waits for nobody.
    #[must_use]
    pub fn waits_for(&self) -> Option<(&[InstanceId], Duration)> {
        let Self::Wait { absent, left } = self else { return None };
        Some((absent, *left))
    }
}

/// Decides whether the cluster may be retired.
#[must_use]
pub fn judge(input: &RetireInput<'_>) -> RetireDecision {
    let record = match named_record(input) {
        Ok(record) => record,
        Err(refusal) => return RetireDecision::Refused(vec![refusal]),
    };
    if matches!(record.state, RecordState::Retired(_)) {
        return RetireDecision::Already;
    }
    if let Some(refusal) = asked_elsewhere(&input.asked_in, record) {
        return RetireDecision::Refused(vec![refusal]);
    }
    let Some(holder) = record.holder().map(|holder| &holder.instance) else {
        return judge_remains(Vec::new(), input.machines, input.answers, input.gone_grace);
    };
    // Whoever restores it must be gone, whatever is on its disk yet.
    let mut machines = input.machines.to_vec();
    match machines.iter_mut().find(|machine| machine.instance == *holder) {
        Some(machine) => machine.is_here_and_fresh = false,
        None => machines.push(RetireMachine {
            instance: holder.clone(),
            known_by: KnownBy::Record,
            last_phase: None,
            ec2: None,
            is_here_and_fresh: false,
        }),
    }
    judge_remains(Vec::new(), &machines, input.answers, input.gone_grace)
}

/// Decides by what remains of the cluster: machines that are not gone, and whatever answers.
pub(in crate::model) fn judge_remains(
    mut refusals: Vec<RetireRefusal>,
    machines: &[RetireMachine],
    answers: &[Responder],
    gone_grace: Duration,
) -> RetireDecision {
    refusals.extend(machines.iter().filter_map(not_gone));
    refusals.extend(answers.iter().cloned().map(RetireRefusal::Answers));
    if !refusals.is_empty() {
        return RetireDecision::Refused(refusals);
    }
    let absent: Vec<(&InstanceId, Duration)> =
        machines.iter().filter_map(|machine| grace_left(machine, gone_grace)).collect();
    match absent.iter().map(|(_, left)| *left).max() {
        Some(left) => {
            RetireDecision::Wait { absent: absent.into_iter().map(|(instance, _)| instance.clone()).collect(), left }
        }
        None => RetireDecision::Allowed,
    }
}

/// The record, if it is that of the cluster that the operator names.
fn named_record<'a>(input: &RetireInput<'a>) -> Result<&'a ClusterRecord, RetireRefusal> {
    let record = input.record.ok_or(RetireRefusal::NoRecord)?;
    match &record.state {
        RecordState::Initializing { restoring: None, .. } => {
            Err(RetireRefusal::NoCluster { claim_id: record.claim_id.clone() })
        }
        RecordState::Initializing { restoring: Some(_), .. }
        | RecordState::Ready(_)
        | RecordState::Saved(_)
        | RecordState::Retired(_)
            if record.claim_id != *input.cluster_id =>
        {
            Err(RetireRefusal::OtherCluster { cluster_id: record.claim_id.clone() })
        }
        RecordState::Initializing { restoring: Some(_), .. }
        | RecordState::Ready(_)
        | RecordState::Saved(_)
        | RecordState::Retired(_) => Ok(record),
    }
}

pub(in crate::model) fn asked_elsewhere(here: &AskedIn, record: &ClusterRecord) -> Option<RetireRefusal> {
    let identity = &record.identity;
    let differs = |field, record: &str, here: &str| {
        (record != here).then(|| RetireRefusal::AskedElsewhere {
            field,
            record: record.to_owned(),
            here: here.to_owned(),
        })
    };
    differs("account", &identity.account, &here.account).or_else(|| differs("region", &identity.region, &here.region))
}

/// Refuses a machine that is not gone. One that is stopped counts, because it can be started again.
fn not_gone(machine: &RetireMachine) -> Option<RetireRefusal> {
    let instance = machine.instance.clone();
    match &machine.ec2 {
        // Its disk was examined and is empty, so it holds no vote, although EC2 shows it as running.
        _ if machine.is_here_and_fresh => None,
        Some(Presence::State(state)) if state.is_final() => None,
        Some(Presence::State(state)) => Some(RetireRefusal::Lives {
            instance,
            known_by: machine.known_by,
            says: machine.last_phase,
            ec2: state.to_string(),
        }),
        Some(Presence::AbsentFor(_)) => None,
        None => Some(RetireRefusal::NotKnown { instance }),
    }
}

/// How long the machine must still be missing in EC2's answers before it counts as gone.
fn grace_left(machine: &RetireMachine, grace: Duration) -> Option<(&InstanceId, Duration)> {
    match &machine.ec2 {
        Some(Presence::AbsentFor(absent)) => {
            grace.checked_sub(*absent).filter(|left| !left.is_zero()).map(|left| (&machine.instance, left))
        }
        Some(Presence::State(_)) | None => None,
    }
}

impl KnownBy {
    /// What it says of the machine.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "has registered",
            Self::Record => "is named in the cluster record",
            Self::Group => "is in the group",
        }
    }
}

#[cfg(test)]
mod tests;
