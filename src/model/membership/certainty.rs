//! Which etcd a member list belongs to, and whether it may be believed.
//!
//! An etcd whose data was lost starts anew under the same member and cluster IDs, alone, and lists itself only. So the header of
//! an answer proves nothing by itself: the claim that made the cluster is kept under a key in etcd, and an empty etcd has no key.

use crate::model::machine::ids::{ClaimId, EtcdClusterId, MemberId};
use crate::model::membership::members::Members;
use crate::model::record::cluster::ClusterRecord;
use std::fmt;
use std::net::IpAddr;

/// The key under which the claim that made the cluster stands in its etcd.
pub const CLAIM_KEY: &str = "/kubeboot/claim";

/// The etcd that the record means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEtcd {
    /// The claim that made it.
    pub claim: ClaimId,
    /// Its cluster ID.
    pub cluster: EtcdClusterId,
}

impl RecordedEtcd {
    /// What a record says of its cluster's etcd; `None` where there is no cluster, or etcd is external.
    #[must_use]
    pub fn of(record: &ClusterRecord) -> Option<Self> {
        let cluster = record.published()?.etcd_cluster_id?;
        Some(Self { claim: record.claim_id.clone(), cluster })
    }
}

/// What one member answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdAnswer {
    /// The address that was asked.
    pub asked: IpAddr,
    /// The member that answers, by the header of its answer.
    pub member: MemberId,
    /// Its cluster, by the same header.
    pub cluster: EtcdClusterId,
    /// The claim that its etcd keeps.
    pub claim: ClaimKey,
    /// Its member list.
    pub members: Members,
}

/// What a read of [`CLAIM_KEY`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimKey {
    /// The member could not read through a quorum.
    NotRead,
    /// There is no such key.
    Missing,
    /// The value, as it stands there.
    Value(String),
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certainty {
    /// The list is that of the record's cluster, with every change that was committed before.
    Certain,
    /// A member of the record's cluster remembers it, and reaches no quorum: good for counting only.
    Remembered,
    /// The key is missing. Whether this is the record's etcd, the API server beside it can tell.
    KeyMissing,
    /// It is not the record's etcd, or not that member's answer.
    Refused(Refused),
}

/// Why an answer is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Its header names another cluster.
    OtherCluster {
        /// The address that was asked.
        asked: IpAddr,
        /// The cluster in the header.
        cluster: EtcdClusterId,
    },
    /// Its etcd keeps another claim.
    OtherClaim {
        /// The address that was asked.
        asked: IpAddr,
        /// What stands under the key.
        claim: String,
    },
    /// The member that answers is not listed under the address that was asked.
    NotListedThere {
        /// The address that was asked.
        asked: IpAddr,
        /// The member that answered.
        member: MemberId,
    },
}

/// Judges one answer by what the record says.
#[must_use]
pub fn certainty(recorded: &RecordedEtcd, answer: &EtcdAnswer) -> Certainty {
    let asked = answer.asked;
    if answer.cluster != recorded.cluster {
        return Certainty::Refused(Refused::OtherCluster { asked, cluster: answer.cluster });
    }
    let listed = answer.members.0.iter().find(|member| member.id == answer.member);
    if !listed.is_some_and(|member| member.is_at(&[asked])) {
        return Certainty::Refused(Refused::NotListedThere { asked, member: answer.member });
    }
    match &answer.claim {
        ClaimKey::NotRead => Certainty::Remembered,
        ClaimKey::Missing => Certainty::KeyMissing,
        ClaimKey::Value(value) if value == recorded.claim.as_str() => Certainty::Certain,
        ClaimKey::Value(value) => {
            Certainty::Refused(Refused::OtherClaim { asked, claim: value.chars().take(80).collect() })
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCluster { asked, cluster } => {
                write!(f, "etcd at {asked} is of another cluster than the record's: its cluster ID is {cluster}")
            }
            Self::OtherClaim { asked, claim } => {
                write!(f, "etcd at {asked} is of another cluster than the record's: it keeps claim '{claim}'")
            }
            Self::NotListedThere { asked, member } => {
                write!(f, "etcd at {asked} answers as member {member}, which is not listed under that address")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::membership::members::Member;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 77, 0, n])
    }

    fn claim(n: u8) -> ClaimId {
        ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
    }

    /// What member `n` at its own address answers; the list has members 1 to 3.
    fn answer(n: u8) -> EtcdAnswer {
        let member = |n: u8| Member {
            id: MemberId(n.into()),
            name: format!("n{n}"),
            peer_addresses: vec![address(n)],
            learner: false,
            answers: true,
        };
        EtcdAnswer {
            asked: address(n),
            member: MemberId(n.into()),
            cluster: EtcdClusterId(7),
            claim: ClaimKey::Value(claim(1).to_string()),
            members: Members([1, 2, 3].map(member).into()),
        }
    }

    #[test]
    fn a_list_is_certain_only_by_header_address_and_key() {
        let recorded = RecordedEtcd { claim: claim(1), cluster: EtcdClusterId(7) };
        let refused = Certainty::Refused;
        let alone = |mut answer: EtcdAnswer| {
            answer.members.0.retain(|member| member.id == answer.member);
            answer
        };
        let rows = [
            (answer(1), Certainty::Certain),
            (EtcdAnswer { claim: ClaimKey::NotRead, ..answer(1) }, Certainty::Remembered),
            (EtcdAnswer { claim: ClaimKey::Missing, ..answer(1) }, Certainty::KeyMissing),
            // An etcd that lost its data: the same IDs, itself alone, and no key.
            (alone(EtcdAnswer { claim: ClaimKey::Missing, ..answer(1) }), Certainty::KeyMissing),
            (
                EtcdAnswer { cluster: EtcdClusterId(8), ..answer(1) },
                refused(Refused::OtherCluster { asked: address(1), cluster: EtcdClusterId(8) }),
            ),
            (
                EtcdAnswer { claim: ClaimKey::Value(claim(2).to_string()), ..answer(1) },
                refused(Refused::OtherClaim { asked: address(1), claim: claim(2).to_string() }),
            ),
            // A member's data under another address: a clone of its volume, or swapped disks.
            (
                EtcdAnswer { asked: address(2), ..answer(1) },
                refused(Refused::NotListedThere { asked: address(2), member: MemberId(1) }),
            ),
            (
                EtcdAnswer { asked: address(2), claim: ClaimKey::NotRead, ..answer(1) },
                refused(Refused::NotListedThere { asked: address(2), member: MemberId(1) }),
            ),
            (
                EtcdAnswer { member: MemberId(9), ..answer(1) },
                refused(Refused::NotListedThere { asked: address(1), member: MemberId(9) }),
            ),
        ];
        for (answer, expected) in rows {
            assert_eq!(certainty(&recorded, &answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn an_answer_that_is_not_believed_says_why() {
        let rows = [
            (
                Refused::OtherCluster { asked: address(1), cluster: EtcdClusterId(8) },
                "etcd at 10.77.0.1 is of another cluster than the record's: its cluster ID is 8",
            ),
            (
                Refused::OtherClaim { asked: address(1), claim: "x".into() },
                "etcd at 10.77.0.1 is of another cluster than the record's: it keeps claim 'x'",
            ),
            (
                Refused::NotListedThere { asked: address(1), member: MemberId(0xa9) },
                "etcd at 10.77.0.1 answers as member a9, which is not listed under that address",
            ),
        ];
        for (refused, text) in rows {
            assert_eq!(refused.to_string(), text);
        }
    }
}
