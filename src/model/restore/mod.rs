//! Whether a cluster may be restored from a snapshot by an operator's word, and what would be lost.
//!
//! It is judged like `retire`: no machine that ever had a vote lives, and nothing answers. Machines that never had one, and wait, are no
//! obstacle: they are the ones that restore it.
//!
//! Here belongs the decision, its refusals, and what a machine needs to restore. Writing the record does not belong here: see
//! [`record`](super::record); and who restores when is `up`'s.
//!
//! | file | what it holds |
//! |---|---|
//! | [`etcd_image`] | which etcd this machine starts |
//! | `mod.rs` | the decision |
//! | `refusal.rs` | why not, and what to do about it |
//! | [`loss`] | what would be lost |
//! | [`fit`] | whether a machine's programs can restore a snapshot |

pub mod etcd_image;
pub mod fit;
pub mod loss;
mod refusal;

pub use refusal::RestoreRefusal;

use crate::model::machine::ids::{InstanceId, Uid};
use crate::model::membership::instances::Presence;
use crate::model::membership::record_schema::cannot_read;
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::{ClusterRecord, Published, RecordState, SCHEMA};
use crate::model::record::saved::SnapshotRef;
use crate::model::retire::{
    AskedIn, KnownBy, Responder, RetireDecision, RetireMachine, asked_elsewhere, judge_remains,
};
use std::time::Duration;

/// What the decision depends on.
#[derive(Debug, Clone)]
pub struct RestoreInput<'a> {
    /// The record; `None` when there is none.
    pub record: Option<&'a ClusterRecord>,
    /// The chosen snapshot, and the UID of `kube-system` by its manifest; `None` when there is none to choose.
    pub snapshot: Option<(&'a SnapshotRef, &'a Uid)>,
    /// The account and Region in which EC2 was asked.
    pub asked_in: AskedIn,
    /// What the machines said about themselves, as far as it can be read.
    pub registrations: &'a [Registration],
    /// Every machine that has registered, or that the record names, with EC2's word on it.
    pub machines: &'a [RetireMachine],
    /// What still answers.
    pub answers: &'a [Responder],
    /// How long EC2 must not know an instance before it counts as gone.
    pub gone_grace: Duration,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreDecision {
    /// Nothing: the cluster is saved in that very snapshot, and the next machines restore it.
    Already,
    /// The record may say that the cluster is saved in the snapshot.
    Allowed,
    /// These machines are missing in EC2's answers, but not yet for `gone_grace`.
    Wait {
        /// Which.
        absent: Vec<InstanceId>,
        /// How long to wait.
        left: Duration,
    },
    /// The record must stay what it is.
    Refused(Vec<RestoreRefusal>),
}

impl RestoreDecision {
    /// For which machines it waits, and how long yet; `None` where it waits for nobody.
    #[must_use]
    pub fn waits_for(&self) -> Option<(&[InstanceId], Duration)> {
        let Self::Wait { absent, left } = self else { return None };
        Some((absent, *left))
    }
}

/// Decides whether the cluster may be restored from the snapshot.
#[must_use]
pub fn judge(input: &RestoreInput<'_>) -> RestoreDecision {
    let (record, snapshot) = match meant(input) {
        Ok(meant) => meant,
        Err(refusal) => return RestoreDecision::Refused(vec![refusal]),
    };
    if matches!(&record.state, RecordState::Saved(saved) if saved.snapshot == *snapshot) {
        return RestoreDecision::Already;
    }
    let voters: Vec<RetireMachine> =
        input.machines.iter().filter(|machine| may_vote(machine, record, input.registrations)).cloned().collect();
    let mut refusals = Vec::new();
    // The holder of a restore is its cluster's first voter.
    if let Some(holder) = record.holder().map(|holder| &holder.instance)
        && input.machines.iter().all(|machine| machine.instance != *holder)
    {
        refusals.push(RestoreRefusal::HolderUnknown { instance: holder.clone() });
    }
    let earlier = earlier_versions(input);
    if !earlier.is_empty() {
        refusals.push(RestoreRefusal::EarlierVersions { instances: earlier });
    }
    match judge_remains(Vec::new(), &voters, input.answers, input.gone_grace) {
        RetireDecision::Refused(remains) => {
            refusals.extend(remains.into_iter().map(RestoreRefusal::Remains));
            RestoreDecision::Refused(refusals)
        }
        _ if !refusals.is_empty() => RestoreDecision::Refused(refusals),
        RetireDecision::Wait { absent, left } => RestoreDecision::Wait { absent, left },
        RetireDecision::Already | RetireDecision::Allowed => RestoreDecision::Allowed,
    }
}

/// The record of a cluster that can come back, and a snapshot of that cluster.
fn meant<'a>(input: &RestoreInput<'a>) -> Result<(&'a ClusterRecord, &'a SnapshotRef), RestoreRefusal> {
    let record = input.record.ok_or(RestoreRefusal::NoRecord)?;
    let published: &Published = match &record.state {
        RecordState::Retired(_) => return Err(RestoreRefusal::Retired { cluster_id: record.claim_id.clone() }),
        RecordState::Initializing { restoring: None, .. } => {
            return Err(RestoreRefusal::NoCluster { claim_id: record.claim_id.clone() });
        }
        RecordState::Initializing { restoring: Some(saved), .. } => &saved.published,
        RecordState::Saved(saved) => &saved.published,
        RecordState::Ready(published) => published,
    };
    if published.etcd_cluster_id.is_none() {
        return Err(RestoreRefusal::ExternalEtcd);
    }
    let (snapshot, uid) = input.snapshot.ok_or(RestoreRefusal::NoSnapshot)?;
    if *uid != published.kube_system_uid {
        return Err(RestoreRefusal::OtherCluster { snapshot: uid.clone(), record: published.kube_system_uid.clone() });
    }
    match asked_elsewhere(&input.asked_in, record) {
        Some(refusal) => Err(RestoreRefusal::Remains(refusal)),
        None => Ok((record, snapshot)),
    }
}

/// Whether the machine may have a vote in the cluster that the record knows. One that was superseded before has none: its etcd is another.
fn may_vote(machine: &RetireMachine, record: &ClusterRecord, registrations: &[Registration]) -> bool {
    if machine.known_by == KnownBy::Record || record.holder().is_some_and(|holder| holder.instance == machine.instance)
    {
        return true;
    }
    let says = registrations.iter().find(|found| found.instance == machine.instance);
    match (machine.known_by, says) {
        (KnownBy::Group, None) => false,
        // What it says cannot be read.
        (KnownBy::Record | KnownBy::Registration, None) => true,
        (_, Some(says)) => {
            let is_past = says.claim_id.as_ref().is_some_and(|claim| record.is_past(claim));
            let is_its_initialiser =
                record.known_cluster().is_some_and(|published| published.initialised_by == machine.instance);
            is_its_initialiser || says.may_have_voted() && !is_past
        }
    }
}

/// The machines that live and would stop at a record of a saved cluster.
fn earlier_versions(input: &RestoreInput<'_>) -> Vec<InstanceId> {
    let is_gone = |instance: &InstanceId| {
        let machine = input.machines.iter().find(|machine| machine.instance == *instance);
        machine.is_some_and(|machine| match &machine.ec2 {
            Some(Presence::State(state)) => state.is_final(),
            Some(Presence::AbsentFor(_)) => true,
            None => false,
        })
    };
    cannot_read(SCHEMA, input.registrations, &[], is_gone)
}

#[cfg(test)]
mod tests;
