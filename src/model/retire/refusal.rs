//! Why a cluster may not be retired, each with what an operator can do.

use super::KnownBy;
use super::responder::Responder;
use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::membership::registration::RegistrationPhase;
use std::fmt;

/// Why a cluster may not be retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetireRefusal {
    /// There is no record.
    NoRecord,
    /// There is no record, and nothing says that there ever was one.
    NothingLost,
    /// The record was to be lost, and says that there is a cluster.
    RecordReady {
        /// The cluster.
        cluster_id: ClaimId,
    },
    /// Nothing names the group whose machines must be gone.
    NoGroup,
    /// There is a claim and no cluster yet.
    NoCluster {
        /// The claim.
        claim_id: ClaimId,
    },
    /// The record is another cluster's.
    OtherCluster {
        /// The record's cluster.
        cluster_id: ClaimId,
    },
    /// EC2 was asked in another account or Region, where the machines of this cluster cannot be seen.
    AskedElsewhere {
        /// What differs.
        field: &'static str,
        /// What the record says.
        record: String,
        /// The account or Region that was asked.
        here: String,
    },
    /// EC2 was asked in another Region than the one in which a machine registered.
    RegisteredElsewhere {
        /// The machine.
        instance: InstanceId,
        /// Its zone, as it registered it.
        zone: String,
        /// The Region that was asked.
        here: String,
    },
    /// A machine is not gone for good.
    Lives {
        /// Which.
        instance: InstanceId,
        /// What tells of it.
        known_by: KnownBy,
        /// The phase of its registration, if that can be read.
        says: Option<RegistrationPhase>,
        /// EC2's state of it.
        ec2: String,
    },
    /// EC2 did not answer.
    NotKnown {
        /// The machine.
        instance: InstanceId,
    },
    /// Something answers.
    Answers(Responder),
}

impl RetireRefusal {
    /// A code for programs. It stays the same when the text changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRecord => "no-record",
            Self::NothingLost => "nothing-lost",
            Self::RecordReady { .. } => "record-ready",
            Self::NoGroup => "no-group",
            Self::NoCluster { .. } => "no-cluster",
            Self::OtherCluster { .. } => "other-cluster",
            Self::AskedElsewhere { .. } | Self::RegisteredElsewhere { .. } => "asked-elsewhere",
            Self::Lives { .. } => "lives",
            Self::NotKnown { .. } => "not-known",
            Self::Answers(_) => "answers",
        }
    }

    /// Whether the remedy is to change a setting or an argument.
    #[must_use]
    pub fn is_about_usage(&self) -> bool {
        match self {
            Self::NoRecord
            | Self::NothingLost
            | Self::RecordReady { .. }
            | Self::NoGroup
            | Self::OtherCluster { .. }
            | Self::AskedElsewhere { .. }
            | Self::RegisteredElsewhere { .. } => true,
            Self::NoCluster { .. } | Self::Lives { .. } | Self::NotKnown { .. } | Self::Answers(_) => false,
        }
    }
}

impl fmt::Display for RetireRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord => f.write_str(
                "there is no cluster record: correct 'bucket' and 'prefix'; if they are right, restore the record's last version, or, if that \
                 cannot be had, run 'kubeboot retire --lost-record'",
            ),
            Self::NothingLost => f.write_str(
                "nothing under this prefix says that there ever was a cluster record: correct 'bucket' and 'prefix'; if they are right, there \
                 is nothing to retire, and 'kubeboot up' makes a cluster",
            ),
            Self::RecordReady { cluster_id } => write!(
                f,
                "the cluster record is there: it is that of the cluster {cluster_id}, which is retired by --cluster-id {cluster_id}"
            ),
            Self::NoGroup => f.write_str(
                "Auto Scaling knows of no group whose machines must be gone: name it by the setting 'group' (--group NAME), or run this on a \
                 machine of it",
            ),
            Self::NoCluster { claim_id } => write!(
                f,
                "the record holds claim {claim_id} and no cluster yet, and nothing says that it ever was further, so there is nothing to \
                 retire: a claim whose holder is gone is taken over by the next machine"
            ),
            Self::OtherCluster { cluster_id } => write!(
                f,
                "the record is that of the cluster {cluster_id}: correct --cluster-id, or 'bucket' and 'prefix'; 'kubeboot status' shows the \
                 record"
            ),
            Self::AskedElsewhere { field, record, here } => write!(
                f,
                "the cluster record has {field} '{record}', AWS was asked in {field} '{here}', where the cluster's machines cannot be seen: \
                 correct the setting 'region' or the credentials"
            ),
            Self::RegisteredElsewhere { instance, zone, here } => write!(
                f,
                "{instance} registered from the zone '{zone}', AWS was asked in region '{here}', where it cannot be seen: correct the \
                 setting 'region'"
            ),
            Self::Lives { instance, known_by, says, ec2 } => {
                write!(f, "{instance} {}", known_by.as_str())?;
                says.map_or(Ok(()), |says| write!(f, " as '{}'", says.as_str()))?;
                write!(
                    f,
                    " and is {ec2}: terminate it (desired capacity 0 keeps the group from launching another one)"
                )
            }
            Self::NotKnown { instance } => {
                write!(f, "EC2 did not say whether {instance} is gone: try again")
            }
            Self::Answers(answer) => write!(f, "{answer}: {}", answer.remedy()),
        }
    }
}
