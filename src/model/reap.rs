//! Which members of etcd may be removed by another machine, and why the others may not.
//!
//! A member may go only if its owner is known and certainly gone, nobody lives at its address, it does not answer, and the
//! removal leaves the answering voters at or above the quorum of the rest. A member that nobody can explain is left to an
//! operator.

use super::group::Ec2State;
use super::ids::{InstanceId, Nonce};
use super::instances::{Instances, Seen};
use super::members::{Member, Members};
use super::registration::{Phase, Registration};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What a plan depends on.
#[derive(Debug, Clone)]
pub struct Scene<'a> {
    /// The machine that plans. Its own member is its own business.
    pub me: &'a InstanceId,
    /// A certain list, with who answers.
    pub members: &'a Members,
    /// What the machines said about themselves.
    pub registrations: &'a [Registration],
    /// EC2's word on them.
    pub instances: &'a Instances,
    /// Addresses of every instance that lives, by EC2's word.
    pub live_addresses: &'a BTreeMap<IpAddr, InstanceId>,
    /// Instances in Standby: stopped there is on purpose.
    pub in_standby: &'a [InstanceId],
    /// The nonce of the membership lease as it is held now.
    pub lease: Option<&'a Nonce>,
    /// After so long, absence from EC2's answers is believed.
    pub gone_grace: Duration,
}

/// What is to become of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep(Keep),
    /// It goes.
    Remove(Remove),
}

/// Why a member stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// It answers.
    Answers,
    /// It is this machine's own.
    Own,
    /// No registration explains it: an operator must decide.
    Unexplained,
    /// Its machine is not certainly gone.
    NotGone(InstanceId),
    /// A living instance has its address.
    AddressLives(InstanceId),
    /// Without it fewer voters would answer than the quorum of the rest wants.
    Quorum,
}

/// Why a member goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remove {
    /// Its machine is gone.
    Gone(InstanceId),
    /// It never came into being, and its machine has no lawful join under way.
    GivenUp(InstanceId),
}

/// Judges every member, learners and unstarted members first: the order in which they are to be removed. The quorum rule is
/// applied as if every removal before had been carried out.
#[must_use]
pub fn plan(scene: &Scene<'_>) -> Vec<(Member, Verdict)> {
    let mut left = scene.members.clone();
    let mut order: Vec<&Member> = scene.members.0.iter().collect();
    order.sort_by_key(|member| (member.is_started_voter(), member.id));
    let mut judged = Vec::new();
    for member in order {
        let mut verdict = judge(scene, member);
        if let Verdict::Remove(_) = verdict {
            if left.may_remove(member.id) {
                left.0.retain(|other| other.id != member.id);
            } else {
                verdict = Verdict::Keep(Keep::Quorum);
            }
        }
        judged.push((member.clone(), verdict));
    }
    judged
}

/// What of a plan's members would make etcd refuse a new one once the plan is carried out: a voter that does not answer, or a
/// learner.
#[must_use]
pub fn in_the_way(judged: &[(Member, Verdict)]) -> Option<&(Member, Verdict)> {
    judged.iter().rev().find(|(member, verdict)| match verdict {
        Verdict::Remove(_) => false,
        Verdict::Keep(Keep::Answers | Keep::Own) => member.learner,
        Verdict::Keep(Keep::Unexplained | Keep::NotGone(_) | Keep::AddressLives(_) | Keep::Quorum) => true,
    })
}

/// Judges one member by everything but the quorum.
fn judge(scene: &Scene<'_>, member: &Member) -> Verdict {
    if member.answers {
        return Verdict::Keep(Keep::Answers);
    }
    let owners = owners(scene.registrations.iter(), member);
    let Some(owner) = owners.first().map(|owner| owner.instance.clone()) else {
        return Verdict::Keep(Keep::Unexplained);
    };
    if owners.iter().any(|owner| owner.instance == *scene.me) {
        return Verdict::Keep(Keep::Own);
    }
    let not_gone = owners.iter().find(|owner| !is_gone(scene, &owner.instance));
    let given_up = !member.is_started_voter() && owners.iter().all(|owner| has_given_up(scene, owner));
    match not_gone {
        Some(_) if given_up => return Verdict::Remove(Remove::GivenUp(owner)),
        Some(owner) => return Verdict::Keep(Keep::NotGone(owner.instance.clone())),
        None => {}
    }
    let lives = member.peer_addresses.iter().find_map(|address| scene.live_addresses.get(address));
    match lives {
        // A new machine with a dead one's address: it would find the member in its way, and knows that it is not its own.
        Some(instance) if instance != scene.me => Verdict::Keep(Keep::AddressLives(instance.clone())),
        Some(_) | None => Verdict::Remove(Remove::Gone(owner)),
    }
}

/// The registrations that explain a member: the one that names its ID, or else those of its name (where it has one) and address
/// that name no other member.
pub fn owners<'a>(
    registrations: impl Iterator<Item = &'a Registration> + Clone,
    member: &Member,
) -> Vec<&'a Registration> {
    let named: Vec<_> = registrations.clone().filter(|found| found.member_id == Some(member.id)).collect();
    if !named.is_empty() {
        return named;
    }
    registrations
        .filter(|found| found.member_id.is_none() && has_begun_to_join(found))
        .filter(|found| !member.is_started() || found.node_name == member.name)
        .filter(|found| member.is_at(&found.addresses))
        .collect()
}

/// Whether a machine may have become a member before it could say which. Who waits has not, unless an earlier run of it held
/// the lease: that one's nonce stays said until the machine is wiped.
fn has_begun_to_join(registration: &Registration) -> bool {
    registration.phase != Phase::Waiting || registration.lease_nonce.is_some()
}

/// Gone for good, or stopped where nobody meant it to come back.
fn is_gone(scene: &Scene<'_>, instance: &InstanceId) -> bool {
    let stopped = matches!(scene.instances.0.get(instance), Some(Seen::State(Ec2State::Stopped)));
    scene.instances.is_gone(instance, scene.gone_grace) || (stopped && !scene.in_standby.contains(instance))
}

/// Whether the lease under which it registered its join is another's by now, so that it will start over.
fn has_given_up(scene: &Scene<'_>, owner: &Registration) -> bool {
    owner.lease_nonce.is_some() && scene.lease.is_some() && owner.lease_nonce.as_ref() != scene.lease
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep(Keep::Answers) => f.write_str("kept: it answers"),
            Self::Keep(Keep::Own) => f.write_str("kept: it is this machine's own"),
            Self::Keep(Keep::Unexplained) => f.write_str("kept: no registration explains it, an operator must decide"),
            Self::Keep(Keep::NotGone(owner)) => write!(f, "kept: its machine {owner} is not certainly gone"),
            Self::Keep(Keep::AddressLives(other)) => write!(f, "kept: the living instance {other} has its address"),
            Self::Keep(Keep::Quorum) => f.write_str("kept: without it fewer voters would answer than the quorum wants"),
            Self::Remove(why) => write!(f, "removed: {why}"),
        }
    }
}

impl fmt::Display for Remove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(owner) => write!(f, "its machine {owner} is gone"),
            Self::GivenUp(owner) => write!(f, "the join of {owner} was given up"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::MemberId;
    use crate::model::registration::{SCHEMA, Versions};

    fn id(n: u8) -> InstanceId {
        InstanceId::parse(format!("i-0000000{n}")).unwrap()
    }

    fn nonce(n: u8) -> Nonce {
        Nonce::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
    }

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 77, 0, n])
    }

    fn voter(n: u8, answers: bool) -> Member {
        Member {
            id: MemberId(n.into()),
            name: format!("n{n}"),
            peer_addresses: vec![address(n)],
            learner: false,
            answers,
        }
    }

    fn unstarted(n: u8) -> Member {
        Member { name: String::new(), learner: true, ..voter(n, false) }
    }

    fn registered(n: u8, member_id: Option<u8>, lease: Option<u8>) -> Registration {
        Registration {
            schema: SCHEMA,
            instance: id(n),
            phase: if member_id.is_some() { Phase::Joined } else { Phase::Joining },
            claim_id: None,
            lease_nonce: lease.map(nonce),
            node_name: format!("n{n}"),
            node_uid: None,
            provider_id: String::new(),
            addresses: vec![address(n)],
            member_id: member_id.map(|id| MemberId(id.into())),
            versions: Versions::default(),
            waits_for: None,
            last_error: None,
            since: String::new(),
            updated: String::new(),
        }
    }

    /// Three voters, the third silent, every one registered, looked at by machine 9 under lease 5.
    struct World {
        members: Members,
        registrations: Vec<Registration>,
        instances: Instances,
        live: BTreeMap<IpAddr, InstanceId>,
        standby: Vec<InstanceId>,
    }

    fn world(third: Seen) -> World {
        World {
            members: Members(vec![voter(1, true), voter(2, true), voter(3, false)]),
            registrations: (1..=3).map(|n| registered(n, Some(n), Some(n))).collect(),
            instances: Instances([(id(3), third)].into()),
            live: [(address(1), id(1)), (address(2), id(2)), (address(9), id(9))].into(),
            standby: Vec::new(),
        }
    }

    fn verdict(world: &World, member: u8) -> Verdict {
        let (me, lease) = (id(9), nonce(5));
        let scene = Scene {
            me: &me,
            members: &world.members,
            registrations: &world.registrations,
            instances: &world.instances,
            live_addresses: &world.live,
            in_standby: &world.standby,
            lease: Some(&lease),
            gone_grace: Duration::from_secs(300),
        };
        let judged = plan(&scene);
        judged.into_iter().find(|(found, _)| found.id == MemberId(member.into())).unwrap().1
    }

    fn terminated() -> Seen {
        Seen::State(Ec2State::Terminated)
    }

    #[test]
    fn a_silent_voter_goes_only_if_its_machine_is_certainly_gone() {
        let gone = || Verdict::Remove(Remove::Gone(id(3)));
        let stays = || Verdict::Keep(Keep::NotGone(id(3)));
        let rows = [
            (terminated(), gone()),
            (Seen::State(Ec2State::ShuttingDown), gone()),
            (Seen::State(Ec2State::Stopped), gone()),
            (Seen::AbsentFor(Duration::from_secs(300)), gone()),
            (Seen::AbsentFor(Duration::from_secs(299)), stays()),
            (Seen::State(Ec2State::Running), stays()),
            (Seen::State(Ec2State::Stopping), stays()),
            (Seen::State(Ec2State::Other("new".into())), stays()),
        ];
        for (seen, expected) in rows {
            assert_eq!(verdict(&world(seen.clone()), 3), expected, "{seen:?}");
        }
        let not_asked = World { instances: Instances::default(), ..world(terminated()) };
        assert_eq!(verdict(&not_asked, 3), stays());
        let standby = World { standby: vec![id(3)], ..world(Seen::State(Ec2State::Stopped)) };
        assert_eq!(verdict(&standby, 3), stays(), "stopped in Standby is on purpose");
    }

    #[test]
    fn who_answers_stays_whatever_ec2_says() {
        let mut world = world(terminated());
        world.members.0[2].answers = true;
        assert_eq!(verdict(&world, 3), Verdict::Keep(Keep::Answers));
        assert_eq!(verdict(&world, 1), Verdict::Keep(Keep::Answers));
    }

    #[test]
    fn a_removal_never_costs_the_quorum() {
        let mut world = world(terminated());
        world.members.0[1].answers = false;
        assert_eq!(verdict(&world, 3), Verdict::Keep(Keep::Quorum), "one of three answers");
        world.members.0.push(voter(4, true));
        world.members.0.push(voter(5, true));
        world.instances.0.insert(id(2), terminated());
        world.live.remove(&address(2));
        assert_eq!(verdict(&world, 2), Verdict::Remove(Remove::Gone(id(2))), "two dead of five");
        assert_eq!(verdict(&world, 3), Verdict::Remove(Remove::Gone(id(3))));
        world.members.0[4].answers = false;
        assert_eq!(verdict(&world, 2), Verdict::Keep(Keep::Quorum), "three of five dead: none may go");
    }

    #[test]
    fn a_living_machine_at_its_address_protects_a_member_and_my_own_does_not() {
        let mut world = world(terminated());
        world.live.insert(address(3), id(7));
        assert_eq!(verdict(&world, 3), Verdict::Keep(Keep::AddressLives(id(7))));
        world.live.insert(address(3), id(9));
        assert_eq!(verdict(&world, 3), Verdict::Remove(Remove::Gone(id(3))));
    }

    #[test]
    fn a_member_that_nobody_explains_is_left_to_an_operator() {
        let mut world = world(terminated());
        world.registrations.retain(|found| found.instance != id(3));
        assert_eq!(verdict(&world, 3), Verdict::Keep(Keep::Unexplained));
        // The address alone explains nothing: another name, another member.
        world.registrations.push(Registration { node_name: "other".into(), ..registered(3, None, Some(5)) });
        assert_eq!(verdict(&world, 3), Verdict::Keep(Keep::Unexplained));
        world.registrations.push(registered(3, Some(8), Some(5)));
        assert_eq!(verdict(&world, 3), Verdict::Keep(Keep::Unexplained), "it says it is another member");
    }

    #[test]
    fn a_machine_that_died_before_it_named_its_member_is_found_by_name_and_address() {
        let mut world = world(terminated());
        world.registrations[2] = registered(3, None, Some(3));
        assert_eq!(verdict(&world, 3), Verdict::Remove(Remove::Gone(id(3))));
    }

    #[test]
    fn a_machine_that_crashed_while_it_joined_waited_again_and_died_is_found_by_its_nonce() {
        let mut world = world(terminated());
        world.members.0[2] = unstarted(3);
        world.registrations[2] = Registration { phase: Phase::Waiting, ..registered(3, None, Some(3)) };
        assert_eq!(verdict(&world, 3), Verdict::Remove(Remove::Gone(id(3))));
        world.registrations[2].lease_nonce = None;
        assert_eq!(verdict(&world, 3), Verdict::Keep(Keep::Unexplained), "it never held the lease");
    }

    #[test]
    fn a_learner_goes_when_its_join_was_given_up_even_if_its_machine_lives() {
        let mut world = world(Seen::State(Ec2State::Running));
        world.members.0[2] = unstarted(3);
        world.live.insert(address(3), id(3));
        world.registrations[2] = registered(3, None, Some(4));
        assert_eq!(verdict(&world, 3), Verdict::Remove(Remove::GivenUp(id(3))), "its lease is another's by now");
        world.registrations[2] = registered(3, None, Some(5));
        assert_eq!(verdict(&world, 3), Verdict::Keep(Keep::NotGone(id(3))), "its lease is current");
        world.members.0[2] = voter(3, false);
        world.registrations[2] = registered(3, None, Some(4));
        assert_eq!(verdict(&world, 3), Verdict::Keep(Keep::NotGone(id(3))), "a started voter is never given up");
    }

    #[test]
    fn a_silent_voter_or_a_learner_that_stays_is_in_the_way_of_the_next() {
        let learner = |answers| Member { learner: true, ..voter(4, answers) };
        let rows = [
            (voter(3, true), Verdict::Keep(Keep::Answers), false),
            (learner(true), Verdict::Keep(Keep::Answers), true),
            (voter(3, false), Verdict::Keep(Keep::Own), false),
            (learner(false), Verdict::Keep(Keep::Own), true),
            (voter(3, false), Verdict::Keep(Keep::Unexplained), true),
            (voter(3, false), Verdict::Keep(Keep::NotGone(id(3))), true),
            (voter(3, false), Verdict::Keep(Keep::AddressLives(id(7))), true),
            (voter(3, false), Verdict::Keep(Keep::Quorum), true),
            (voter(3, false), Verdict::Remove(Remove::Gone(id(3))), false),
            (unstarted(3), Verdict::Remove(Remove::GivenUp(id(3))), false),
        ];
        for (member, verdict, expected) in rows {
            let judged = [(voter(1, true), Verdict::Keep(Keep::Answers)), (member, verdict)];
            assert_eq!(in_the_way(&judged), expected.then_some(&judged[1]), "{judged:?}");
        }
    }

    #[test]
    fn learners_go_first() {
        let mut world = world(terminated());
        world.members.0.push(unstarted(4));
        world.registrations.push(registered(4, None, Some(4)));
        world.instances.0.insert(id(4), terminated());
        let (me, lease) = (id(9), nonce(5));
        let scene = Scene {
            me: &me,
            members: &world.members,
            registrations: &world.registrations,
            instances: &world.instances,
            live_addresses: &world.live,
            in_standby: &[],
            lease: Some(&lease),
            gone_grace: Duration::from_secs(300),
        };
        let judged = plan(&scene);
        let removed = judged.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Remove(_)));
        let order: Vec<_> = removed.map(|(member, _)| member.id.0).collect();
        assert_eq!(order, [4, 3]);
    }
}
