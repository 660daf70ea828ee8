//! Whether data of an etcd member may be deleted, by a certain list: never a listed member's, whatever marker lies beside it.

use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::ids::{EtcdClusterId, MemberId};
use crate::model::membership::members::Members;
use std::fmt;
use std::net::IpAddr;

/// Why data must stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataNeeded {
    /// etcd lists a member at this machine's address: it has to be removed first.
    ListedHere(MemberId),
    /// It is the data of a listed member that does not answer elsewhere: it may be the last copy.
    OfMember(MemberId),
    /// It is the data of another etcd cluster, of which this list says nothing.
    OfAnotherCluster(EtcdClusterId),
    /// Nobody can tell whose it is.
    Unreadable {
        /// Why not.
        why: String,
    },
}

/// Whether the data on a machine with these addresses may be deleted. `cluster` is the etcd that the list is of, by the record; its
/// list says nothing of the data of any other. Data of a member that answers at another address is a copy that nobody needs.
///
/// # Errors
/// Why it must stay.
pub fn may_delete(
    data: &EtcdData,
    cluster: Option<EtcdClusterId>,
    members: &Members,
    mine: &[IpAddr],
) -> Result<(), DataNeeded> {
    if let Some(member) = members.at(mine) {
        return Err(DataNeeded::ListedHere(member.id));
    }
    match data {
        EtcdData::Nothing | EtcdData::Elsewhere => Ok(()),
        EtcdData::Unreadable { why } => Err(DataNeeded::Unreadable { why: why.clone() }),
        EtcdData::Of(ids) if Some(ids.cluster) != cluster => Err(DataNeeded::OfAnotherCluster(ids.cluster)),
        EtcdData::Of(ids) => match members.0.iter().find(|member| member.id == ids.member) {
            Some(member) if !member.answers => Err(DataNeeded::OfMember(member.id)),
            Some(_) | None => Ok(()),
        },
    }
}

impl fmt::Display for DataNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListedHere(member) => write!(f, "etcd lists member {member} at this machine's address"),
            Self::OfMember(member) => {
                write!(f, "the data is that of etcd member {member}, which is listed and does not answer elsewhere")
            }
            Self::OfAnotherCluster(cluster) => {
                write!(f, "the data is that of another etcd cluster, {cluster}, which may need it")
            }
            Self::Unreadable { why } => write!(f, "nobody can tell whose data it is: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::etcd_data::EtcdIds;
    use crate::model::machine::ids::EtcdClusterId;
    use crate::model::membership::members::Member;

    #[test]
    fn a_listed_members_data_stays_unless_the_member_answers_elsewhere() {
        let address = |n: u8| IpAddr::from([10, 77, 0, n]);
        let member = |(n, answers): (u8, bool)| Member {
            id: MemberId(n.into()),
            name: format!("n{n}"),
            peer_addresses: vec![address(n)],
            learner: false,
            answers,
        };
        let members = Members([(1, true), (2, false), (3, true)].map(member).into());
        let of = |n: u64| EtcdData::Of(EtcdIds { member: MemberId(n), cluster: EtcdClusterId(7) });
        let unreadable = EtcdData::Unreadable { why: "w".into() };
        let other = || Err(DataNeeded::OfAnotherCluster(EtcdClusterId(8)));
        // (data, machine, verdict)
        let rows = [
            (EtcdData::Nothing, 9, Ok(())),
            (EtcdData::Elsewhere, 9, Ok(())),
            (of(9), 9, Ok(())),
            (of(1), 9, Ok(())),
            (of(2), 9, Err(DataNeeded::OfMember(MemberId(2)))),
            (EtcdData::Of(EtcdIds { member: MemberId(9), cluster: EtcdClusterId(8) }), 9, other()),
            (EtcdData::Of(EtcdIds { member: MemberId(1), cluster: EtcdClusterId(8) }), 9, other()),
            (unreadable, 9, Err(DataNeeded::Unreadable { why: "w".into() })),
            (EtcdData::Nothing, 2, Err(DataNeeded::ListedHere(MemberId(2)))),
            (of(9), 1, Err(DataNeeded::ListedHere(MemberId(1)))),
        ];
        for (data, here, expected) in rows {
            assert_eq!(
                may_delete(&data, Some(EtcdClusterId(7)), &members, &[address(here)]),
                expected,
                "{data:?} on {here}"
            );
        }
    }

    #[test]
    fn data_that_stays_says_why() {
        let rows = [
            (DataNeeded::ListedHere(MemberId(1)), "etcd lists member 1 at this machine's address"),
            (
                DataNeeded::OfMember(MemberId(1)),
                "the data is that of etcd member 1, which is listed and does not answer elsewhere",
            ),
            (
                DataNeeded::OfAnotherCluster(EtcdClusterId(0xc1)),
                "the data is that of another etcd cluster, c1, which may need it",
            ),
            (DataNeeded::Unreadable { why: "w".into() }, "nobody can tell whose data it is: w"),
        ];
        for (needed, text) in rows {
            assert_eq!(needed.to_string(), text);
        }
    }
}
