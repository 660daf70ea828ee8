//! The state of the control plane: a plain function of what the sources said.
//!
//! Here belongs the verdict with its reasons. Asking the sources and printing do not belong here.
//!
//! | file | what it holds |
//! |---|---|
//! | `input.rs` | what the sources said |
//! | `machines.rs` | every machine that a source mentions, with its member |
//! | `cluster.rs` | everything that is wrong, the most severe first |
//! | `endpoint.rs` | what a client finds at the endpoint |
//! | `nodes.rs` | the Nodes of the control plane |
//! | `zones.rs` | whether one availability zone holds the quorum |
//! | `upgrade.rs` | how far an upgrade of Kubernetes has come |
//! | `record.rs` | what is wrong with the record and with what lies on this disk |
//! | `reason.rs` | the reasons, with what an operator can do |
//!
//! | verdict | when |
//! |---|---|
//! | split | API servers of two clusters answer, or of another one than the record means |
//! | no cluster | the record says so: nobody has claimed yet, one machine initialises, or it was retired |
//! | quorum lost | fewer voters answer than the quorum needs, or none; every machine that had a vote is gone; with external etcd, no API server is ready |
//! | healthy | every source answers, and nothing is missing or about to be |
//! | degraded | the control plane works, and one of these conditions does not hold |
//! | cannot tell | neither etcd nor any API server says anything |

mod cluster;
mod endpoint;
mod input;
mod machines;
mod nodes;
mod reason;
mod record;
mod upgrade;
#[cfg(test)]
mod upgrade_tests;
mod zones;

pub use endpoint::{EndpointAddress, EndpointAnswer, EndpointServes};
pub use machines::{Ec2Answer, StatusMachine, is_explained, machines};
pub use reason::{CERTIFICATE_DAYS, RetainedAs, StatusReason, StatusSource};
pub use upgrade::{upgrade, versions};

pub use zones::{VoterZones, voter_zones};

pub use input::{
    ApiServer, AsideCopy, CertificateExpiry, Etcd, Known, LeavingUnitState, LostFiles, MemberStatus, NodeStatus,
    SnapshotStatus, StatusInput, StatusOrigin, ThisMachine,
};

use crate::model::machine::ids::InstanceId;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::record::cluster::{ClusterRecord, RecordState};
use crate::model::record::saved::Saved;
use std::fmt;

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusVerdict {
    /// In one word.
    pub outcome: StatusOutcome,
    /// How many voters can be lost before writes stop; `None` when that is not known. With external etcd: how many
    /// ready API servers can be lost.
    pub can_lose: Option<usize>,
    /// What is wrong, the most severe first; empty when healthy.
    pub reasons: Vec<StatusReason>,
}

/// The verdict without its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusOutcome {
    /// Nothing is wrong.
    Healthy,
    /// It works, and something is missing or about to be.
    Degraded,
    /// There is no cluster yet, or no longer.
    NoCluster(NoCluster),
    /// Writes are impossible.
    QuorumLost(QuorumLoss),
    /// Another cluster than the record's answers.
    Split {
        /// Whether the record's cluster answers as well.
        both: bool,
    },
    /// The sources do not answer.
    CannotTell {
        /// How many machines have registered as joined; `None` when the registrations are not known.
        joined: Option<usize>,
    },
}

/// Why there is no cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCluster {
    /// Nobody has claimed it.
    Unclaimed,
    /// The record was deleted, and nothing else says that there is a cluster.
    RecordDeleted,
    /// There is none of this record, and an API server answers.
    AnotherAnswers,
    /// It is being initialised.
    Initializing {
        /// The machine that initialises it; `None` after the last one stepped down.
        holder: Option<InstanceId>,
        /// The number of the claim, counted from 1.
        generation: u64,
        /// How often this claim was renewed.
        beat: u64,
        /// The snapshot from which it is restored; `None` for a new cluster.
        restores: Option<String>,
    },
    /// It lives in a snapshot.
    Saved {
        /// Key of the snapshot's manifest.
        snapshot: String,
        /// The revision in it.
        revision: u64,
        /// When it was taken, by the clock of the machine that took it.
        taken_at: String,
    },
    /// It was retired.
    Retired,
}

/// How the quorum was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuorumLoss {
    /// Too few voters answer.
    Silent {
        /// How many answer.
        answering: usize,
        /// How many there are.
        voters: usize,
    },
    /// None of the machines that were asked answers.
    Nobody {
        /// How many were asked.
        asked: usize,
    },
    /// EC2 says that every machine that had a vote is gone.
    Gone {
        /// How many there were.
        voters: usize,
    },
    /// etcd is external, and no API server is ready.
    NoApiServer,
}

impl StatusOutcome {
    /// The verdict in one or two words, which never change.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::NoCluster(_) => "no cluster",
            Self::QuorumLost(_) => "quorum lost",
            Self::Split { .. } => "split",
            Self::CannotTell { .. } => "cannot tell",
        }
    }
}

impl StatusVerdict {
    /// The verdict without what differs at each look although nothing has changed: how often a claim was renewed.
    #[must_use]
    pub fn lasting(&self) -> Self {
        let outcome = match self.outcome.clone() {
            StatusOutcome::NoCluster(NoCluster::Initializing { holder, generation, beat: _, restores }) => {
                StatusOutcome::NoCluster(NoCluster::Initializing { holder, generation, beat: 0, restores })
            }
            other => other,
        };
        Self { outcome, ..self.clone() }
    }
}

impl fmt::Display for StatusVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.outcome.name())?;
        match &self.outcome {
            StatusOutcome::Healthy | StatusOutcome::Degraded => match self.can_lose {
                Some(nodes) => write!(f, ", can lose {nodes}"),
                None => Ok(()),
            },
            StatusOutcome::NoCluster(why) => write!(f, "{why}"),
            StatusOutcome::QuorumLost(lost) => write!(f, ": {lost}"),
            StatusOutcome::Split { both: true } => f.write_str(": API servers of two clusters answer"),
            StatusOutcome::Split { both: false } => f.write_str(": the cluster that answers is not the record's"),
            StatusOutcome::CannotTell { joined: Some(1) } => f.write_str(": 1 machine says that it is a voter"),
            StatusOutcome::CannotTell { joined: Some(joined) } => {
                write!(f, ": {joined} machines say that they are voters")
            }
            StatusOutcome::CannotTell { joined: None } => f.write_str(": neither etcd nor the bucket answers"),
        }
    }
}

impl fmt::Display for NoCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclaimed => f.write_str(" yet: nobody has claimed it"),
            Self::RecordDeleted => f.write_str(": its record was deleted"),
            Self::AnotherAnswers => f.write_str(" of this prefix, and an API server answers all the same"),
            Self::Initializing { holder: Some(holder), generation, beat, restores: None } => {
                write!(f, " yet: {holder} initialises it (claim {generation}, beat {beat})")
            }
            Self::Initializing { holder: Some(holder), generation, beat, restores: Some(snapshot) } => {
                write!(f, " yet: {holder} restores it from {snapshot} (claim {generation}, beat {beat})")
            }
            Self::Initializing { holder: None, generation, restores: None, .. } => {
                write!(f, " yet: the holder of claim {generation} stepped down, another machine follows")
            }
            Self::Initializing { holder: None, generation, restores: Some(snapshot), .. } => write!(
                f,
                " yet: the holder of claim {generation} stepped down, another machine restores it from {snapshot}"
            ),
            Self::Saved { snapshot, revision, taken_at } => write!(
                f,
                " at the moment: it is saved in {snapshot} (revision {revision}, {taken_at}), and the next machines of the group restore it"
            ),
            Self::Retired => f.write_str(": it was retired, and nobody has claimed a new one"),
        }
    }
}

impl fmt::Display for QuorumLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { answering: 1, voters } => write!(f, "1 of {voters} answers"),
            Self::Silent { answering, voters } => write!(f, "{answering} of {voters} answer"),
            Self::Nobody { asked: 1 } => f.write_str("the only machine that could be asked does not answer"),
            Self::Nobody { asked } => write!(f, "none of {asked} machines answers"),
            Self::Gone { voters: 1 } => f.write_str("the only machine that had a vote is gone"),
            Self::Gone { voters } => write!(f, "all {voters} machines that had a vote are gone"),
            Self::NoApiServer => f.write_str("no API server is ready"),
        }
    }
}

/// Judges the input.
#[must_use]
pub fn judge(input: &StatusInput) -> StatusVerdict {
    let machines = machines(input);
    match no_cluster(input, &machines) {
        Some(why) => {
            let reasons = cluster::without_cluster(input, &machines);
            StatusVerdict { outcome: StatusOutcome::NoCluster(why), can_lose: None, reasons }
        }
        None => {
            let reasons = cluster::reasons(input, &machines);
            let (outcome, can_lose) = outcome(input, &machines, &reasons);
            StatusVerdict { outcome, can_lose, reasons }
        }
    }
}

/// Whether a cluster that was made while the sources were asked would explain what they say: an API server answers where nobody has
/// claimed, or the record is older than what stands beside it. Then they are asked once more.
#[must_use]
pub fn wants_anew(input: &StatusInput) -> bool {
    !input.beside.is_empty() || !record::went_back(input, &machines(input)).is_empty()
}

/// Why there is no cluster, by the record; `None` when there is one. While a claim is held, an etcd that answers is a half-made
/// one; without a claim it is a cluster whose record was lost or retired. A missing record is also a lost one if a registration or
/// the published hash says that there was a cluster. A record that went back does not say whether there is one.
fn no_cluster(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Option<NoCluster> {
    if !record::went_back(input, machines).is_empty() {
        return None;
    }
    let runs = cluster::has_quorum(input);
    let is_told_of = || {
        record::published_hash(input).is_some()
            || machines.iter().filter_map(StatusMachine::registered).any(Registration::tells_of_a_cluster)
    };
    match input.record.as_ref().ok()? {
        None if runs || is_told_of() => None,
        None if input.record_deleted => Some(NoCluster::RecordDeleted),
        None if !input.beside.is_empty() => Some(NoCluster::AnotherAnswers),
        None => Some(NoCluster::Unclaimed),
        Some(ClusterRecord { state: RecordState::Initializing { holder, beat, restoring }, generation, .. }) => {
            let holder = holder.as_ref().map(|holder| holder.instance.clone());
            let restores = restoring.as_ref().map(|saved| saved.snapshot.key.clone());
            Some(NoCluster::Initializing { holder, generation: *generation, beat: *beat, restores })
        }
        Some(ClusterRecord { state: RecordState::Saved(Saved { snapshot, .. }), .. }) => Some(NoCluster::Saved {
            snapshot: snapshot.key.clone(),
            revision: snapshot.revision,
            taken_at: snapshot.taken_at.clone(),
        }),
        Some(ClusterRecord { state: RecordState::Retired(_), .. }) if runs => None,
        Some(ClusterRecord { state: RecordState::Retired(_), .. }) if !input.beside.is_empty() => {
            Some(NoCluster::AnotherAnswers)
        }
        Some(ClusterRecord { state: RecordState::Retired(_), .. }) => Some(NoCluster::Retired),
        Some(ClusterRecord { state: RecordState::Ready(_), .. }) => None,
    }
}

fn outcome(
    input: &StatusInput,
    machines: &[StatusMachine<'_>],
    reasons: &[StatusReason],
) -> (StatusOutcome, Option<usize>) {
    let fine = if reasons.is_empty() { StatusOutcome::Healthy } else { StatusOutcome::Degraded };
    let api_servers = machines.iter().filter(|m| m.api_server.is_some_and(|server| server.ready.is_ok())).count();
    let others = reasons.iter().filter(|reason| matches!(reason, StatusReason::OtherCluster { .. })).count();
    let is_behind_endpoint = reasons.iter().any(|reason| matches!(reason, StatusReason::EndpointOtherCluster { .. }));
    if others > 0 || is_behind_endpoint {
        let served =
            machines.iter().filter(|m| m.api_server.is_some_and(|server| server.kube_system_uid.is_ok())).count();
        return (StatusOutcome::Split { both: served > others }, None);
    }
    match &input.etcd {
        Ok(Etcd::Stacked { members, certain, .. }) if *certain || members.has_quorum() => {
            (fine, Some(members.fault_tolerance()))
        }
        Ok(Etcd::Stacked { members, .. }) => {
            let (answering, voters) = (members.answering(), members.voters().count());
            (StatusOutcome::QuorumLost(QuorumLoss::Silent { answering, voters }), None)
        }
        Ok(Etcd::External) if api_servers == 0 && input.api_servers.is_ok() => {
            (StatusOutcome::QuorumLost(QuorumLoss::NoApiServer), None)
        }
        Ok(Etcd::External) if api_servers > 0 => (fine, Some(api_servers - 1)),
        Ok(Etcd::Silent { .. }) | Err(_) if api_servers > 0 => (StatusOutcome::Degraded, None),
        etcd => match (cluster::lost_voters(input, machines), etcd) {
            (Some(voters), _) => (StatusOutcome::QuorumLost(QuorumLoss::Gone { voters }), None),
            (None, Ok(Etcd::Silent { asked, .. })) => {
                (StatusOutcome::QuorumLost(QuorumLoss::Nobody { asked: *asked }), None)
            }
            (None, _) => (StatusOutcome::CannotTell { joined: joined(input, machines) }, None),
        },
    }
}

/// How many machines have registered as joined and are not gone.
fn joined(input: &StatusInput, machines: &[StatusMachine<'_>]) -> Option<usize> {
    input.registrations.as_ref().ok()?;
    let credible = input.leaves_out_only_what_is_gone();
    let says_so = |says: &Registration| says.phase == RegistrationPhase::Joined;
    Some(
        machines
            .iter()
            .filter(|machine| !machine.is_past(credible) && machine.registered().is_some_and(says_so))
            .count(),
    )
}

#[cfg(test)]
mod retained_tests;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod silent_tests;
#[cfg(test)]
mod tests;
