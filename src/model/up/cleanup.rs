//! What a machine that is no member cleans up before it joins, and after a join that failed.
//!
//! **First the member, verified, only then the disk.** The other order costs a cluster of two its quorum for good: etcd
//! waits for the vote of a member whose data nobody has any more.

use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::ids::{EtcdClusterId, InstanceId, MemberId};
use crate::model::machine::local::Local;
use crate::model::membership::data::{DataNeeded, may_delete};
use crate::model::membership::instances::Instances;
use crate::model::membership::member_name::MemberName;
use crate::model::membership::members::Members;
use crate::model::membership::registration::Registration;
use crate::model::membership::view::ClusterView;
use crate::model::up::step::names;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The next thing to clean up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CleanUp {
    /// Nothing yet: the cluster does not let it.
    Wait(Needs),
    /// Remove this member, and ask the cluster again.
    Remove(MemberId),
    /// Wipe the disk, which no member needs any more.
    Wipe,
    /// Nothing: the data must stay.
    Keep(DataNeeded),
    /// Nothing is left.
    Done,
}

/// What has become of the membership lease by the end of an attempt to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseAfter {
    /// This machine holds it, or there is none, because etcd is external.
    Held,
    /// It was given on when etcd had given this machine its vote, or it was lost: others may be changing the membership.
    GivenOn,
}

impl LeaseAfter {
    /// Whether what a failed attempt has left is cleaned up at once. Otherwise the next attempt begins with that, under the lease: two
    /// machines that change the membership at once could each count on the other's voter.
    #[must_use]
    pub fn cleans_up(self) -> bool {
        self == Self::Held
    }
}

/// What cleaning up needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// Voters to answer, of an etcd that has its quorum.
    Voters {
        /// Those that do not answer yet.
        silent: Vec<MemberName>,
    },
    /// As many answering voters as the quorum wants.
    Quorum,
    /// An answer.
    Answer {
        /// Why there is none.
        why: String,
    },
}

/// Decides on what the cluster, whose etcd has this ID, has just said, which of its voters are
/// [starting](crate::model::membership::starting), and what lies on the disk. The machine is no member, so
/// whoever is listed at its address is a member that it once was, or a dead machine that had the address before: nobody else
/// in the network can have it.
#[must_use]
pub fn clean_up(
    me: &InstanceId,
    cluster: &ClusterView,
    cluster_id: Option<EtcdClusterId>,
    starting: &[MemberId],
    addresses: &[IpAddr],
    local: &Local,
    data: &EtcdData,
) -> CleanUp {
    let members = match cluster {
        ClusterView::Listed(members) if members.may_grow(starting) => members,
        ClusterView::External => return without_list(local),
        ClusterView::Listed(members) => return CleanUp::Wait(Needs::Voters { silent: members.silent() }),
        ClusterView::NoQuorum(_) => return CleanUp::Wait(Needs::Quorum),
        ClusterView::Unknown { why } => return CleanUp::Wait(Needs::Answer { why: why.clone() }),
        ClusterView::NotAsked => return CleanUp::Wait(Needs::Answer { why: "it has not been asked yet".into() }),
    };
    let is_own = match local {
        Local::Fresh => true,
        Local::HalfMade { instance, .. } | Local::Made { instance, .. } => instance == me,
        Local::Unexplained { .. } => false,
    };
    match (members.at(addresses), may_delete(data, cluster_id, members, addresses)) {
        (Some(member), _) if is_own => CleanUp::Remove(member.id),
        (_, Err(needed)) => CleanUp::Keep(needed),
        (_, Ok(())) => without_list(local),
    }
}

/// What is left to do once nobody needs the data.
fn without_list(local: &Local) -> CleanUp {
    match local {
        Local::Fresh => CleanUp::Done,
        Local::HalfMade { .. } | Local::Made { .. } | Local::Unexplained { .. } => CleanUp::Wipe,
    }
}

/// What of the cluster's members has to be looked at before joining: none of them where etcd is external.
#[must_use]
pub fn members(cluster: &ClusterView) -> Option<&Members> {
    match cluster {
        ClusterView::Listed(members) => Some(members),
        ClusterView::NoQuorum(_) | ClusterView::External | ClusterView::Unknown { .. } | ClusterView::NotAsked => None,
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Voters { silent } => write!(f, "etcd's voters to answer, which has its quorum: {}", names(silent)),
            Self::Quorum => f.write_str("etcd to have its quorum"),
            Self::Answer { why } => write!(f, "the cluster to answer: {why}"),
        }
    }
}

/// The registrations that earlier owners of this machine's addresses have left, and that nobody has finished: by now no other machine
/// can have these, so an instance that EC2 does not know is gone at once, without the grace that its absence takes elsewhere. Whose
/// member is still listed, at another address, is left to whoever reaps that.
#[must_use]
pub fn former_owners<'a>(
    me: &InstanceId,
    addresses: &[IpAddr],
    registrations: &'a [Registration],
    members: Option<&Members>,
    instances: &Instances,
) -> Vec<&'a Registration> {
    let is_listed = |found: &Registration| {
        members.is_some_and(|members| members.0.iter().any(|member| found.member_id == Some(member.id)))
    };
    let had_ours = |found: &Registration| found.addresses.iter().any(|address| addresses.contains(address));
    let former = registrations.iter().filter(|found| found.instance != *me && !found.is_finished() && had_ours(found));
    former.filter(|found| !is_listed(found) && instances.is_gone(&found.instance, Duration::ZERO)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::etcd_data::EtcdIds;
    use crate::model::machine::ids::ClaimId;
    use crate::model::machine::local::Stage;
    use crate::model::membership::members::Member;

    const ETCD: Option<EtcdClusterId> = Some(EtcdClusterId(7));

    fn listed(members: &[(u8, bool)]) -> Members {
        let member = |(n, answers): &(u8, bool)| Member {
            id: MemberId(u64::from(*n)),
            name: format!("n{n}"),
            peer_addresses: vec![IpAddr::from([10, 77, 0, *n])],
            learner: false,
            answers: *answers,
        };
        Members(members.iter().map(member).collect())
    }

    #[test]
    fn first_the_member_then_the_disk_and_neither_on_not_knowing() {
        let mine = [IpAddr::from([10, 77, 0, 3])];
        let me = InstanceId::parse("i-00000003").unwrap();
        let half_made = Local::HalfMade {
            instance: me.clone(),
            claim_id: ClaimId::parse("00000000-0000-4000-8000-000000000001").unwrap(),
            stage: Stage::Joining,
        };
        let unknown = ClusterView::Unknown { why: "w".into() };
        let with_me = ClusterView::Listed(listed(&[(1, true), (2, true), (3, false)]));
        let without_me = ClusterView::Listed(listed(&[(1, true), (2, true)]));
        let no_quorum = listed(&[(1, true), (2, false)]);
        let remove = CleanUp::Remove(MemberId(3));
        let quorum = CleanUp::Wait(Needs::Quorum);
        let voters = CleanUp::Wait(Needs::Voters { silent: listed(&[(2, false)]).silent() });
        let answer = |why: &str| CleanUp::Wait(Needs::Answer { why: why.into() });
        // (cluster, with something on the disk, with nothing on it)
        let rows = [
            (with_me, remove.clone(), remove),
            (without_me, CleanUp::Wipe, CleanUp::Done),
            (ClusterView::External, CleanUp::Wipe, CleanUp::Done),
            (ClusterView::Listed(no_quorum.clone()), voters.clone(), voters),
            (ClusterView::NoQuorum(no_quorum), quorum.clone(), quorum),
            (unknown, answer("w"), answer("w")),
            (ClusterView::NotAsked, answer("it has not been asked yet"), answer("it has not been asked yet")),
        ];
        for (cluster, half, fresh) in rows {
            let next = |local| clean_up(&me, &cluster, ETCD, &[], &mine, local, &EtcdData::Nothing);
            assert_eq!((next(&half_made), next(&Local::Fresh)), (half, fresh), "{cluster:?}");
            assert_eq!(members(&cluster).is_some(), matches!(cluster, ClusterView::Listed(_)), "{cluster:?}");
        }
        // A voter that is starting holds nobody up, and this machine's own goes, when it is that.
        let rows = [(2, CleanUp::Wipe), (3, CleanUp::Remove(MemberId(3)))];
        for (starting, expected) in rows {
            let cluster = ClusterView::Listed(listed(&[(1, true), (starting, false)]));
            let starting = [MemberId(starting.into())];
            let next = clean_up(&me, &cluster, ETCD, &starting, &mine, &half_made, &EtcdData::Nothing);
            assert_eq!(next, expected, "{cluster:?}");
        }
    }

    #[test]
    fn data_that_a_listed_member_needs_stays_whatever_the_marker_says() {
        let mine = [IpAddr::from([10, 77, 0, 3])];
        let id = |n: u8| InstanceId::parse(format!("i-0000000{n}")).unwrap();
        let claim_id = || ClaimId::parse("00000000-0000-4000-8000-000000000001").unwrap();
        let of = |n: u8| Local::HalfMade { instance: id(n), claim_id: claim_id(), stage: Stage::Joining };
        let data = |n: u64| EtcdData::Of(EtcdIds { member: MemberId(n), cluster: EtcdClusterId(7) });
        let list = |members| ClusterView::Listed(listed(members));
        let keep = |needed| CleanUp::Keep(needed);
        // (whose marker, whose data, the list, what is next)
        let rows = [
            (3, 9, list(&[(1, true), (2, true)]), CleanUp::Wipe),
            (9, 9, list(&[(1, true), (2, true)]), CleanUp::Wipe),
            (9, 1, list(&[(1, true), (2, true)]), CleanUp::Wipe),
            (3, 4, list(&[(1, true), (2, true), (4, false)]), keep(DataNeeded::OfMember(MemberId(4)))),
            (9, 4, list(&[(1, true), (2, true), (4, false)]), keep(DataNeeded::OfMember(MemberId(4)))),
            // This machine's own member goes first, but not on the word of another's marker.
            (3, 3, list(&[(1, true), (2, true), (3, false)]), CleanUp::Remove(MemberId(3))),
            (9, 3, list(&[(1, true), (2, true), (3, false)]), keep(DataNeeded::ListedHere(MemberId(3)))),
            // No list of etcd's members concerns what is here.
            (9, 3, ClusterView::External, CleanUp::Wipe),
        ];
        for (owner, member, cluster, expected) in rows {
            assert_eq!(
                clean_up(&id(3), &cluster, ETCD, &[], &mine, &of(owner), &data(member)),
                expected,
                "{owner} {member} {cluster:?}"
            );
        }
    }

    #[test]
    fn who_had_this_address_before_is_buried_once_it_is_gone() {
        use crate::model::machine::group::Ec2State;
        use crate::model::membership::instances::Presence;
        use crate::model::membership::registration::RegistrationPhase::{
            Failed, Joined, Leaving, Left, Reaped, Waiting,
        };
        let id = |n: u8| InstanceId::parse(format!("i-0000000{n}")).unwrap();
        let gone = Some(Presence::State(Ec2State::Terminated));
        let absent = Some(Presence::AbsentFor(Duration::ZERO));
        let runs = Some(Presence::State(Ec2State::Running));
        // (whose, its last octet, its phase, what EC2 says, whether it is buried)
        let rows = [
            (4, 3, Joined, gone.clone(), true),
            (4, 3, Leaving, gone.clone(), true),
            (4, 3, Failed, gone.clone(), true),
            (4, 3, Waiting, absent, true),
            (4, 3, Joined, runs, false),
            (4, 3, Joined, None, false),
            (4, 5, Joined, gone.clone(), false),
            (4, 3, Left, gone.clone(), false),
            (4, 3, Reaped, gone.clone(), false),
            (3, 3, Joined, gone, false),
        ];
        for (owner, octet, phase, presence, expected) in rows {
            let addresses = vec![IpAddr::from([10, 77, 0, octet])];
            let member_id = Some(MemberId(7));
            let registration = Registration { addresses, member_id, ..Registration::sample(id(owner), phase) };
            let instances = Instances(presence.into_iter().map(|presence| (id(owner), presence)).collect());
            let found = [registration];
            let former = |members: &Members| {
                former_owners(&id(3), &[IpAddr::from([10, 77, 0, 3])], &found, Some(members), &instances).len()
            };
            assert_eq!(former(&Members(Vec::new())) == 1, expected, "{owner} {octet} {phase:?}");
            let own = Member {
                id: MemberId(7),
                name: String::new(),
                peer_addresses: Vec::new(),
                learner: false,
                answers: false,
            };
            assert_eq!(former(&Members(vec![own])), 0, "its member is listed: {owner} {octet} {phase:?}");
        }
    }

    #[test]
    fn whoever_has_given_the_lease_on_takes_it_again_before_it_cleans_up() {
        assert!(LeaseAfter::Held.cleans_up() && !LeaseAfter::GivenOn.cleans_up());
    }

    #[test]
    fn what_is_waited_for_is_said() {
        assert_eq!(Needs::Quorum.to_string(), "etcd to have its quorum");
        let voters = Needs::Voters { silent: listed(&[(2, false)]).silent() };
        assert_eq!(voters.to_string(), "etcd's voters to answer, which has its quorum: 2 (n2, 10.77.0.2)");
        assert_eq!(Needs::Answer { why: "w".into() }.to_string(), "the cluster to answer: w");
    }
}
