//! Who may go, and who stays.

use super::*;
use crate::model::ids::MemberId;
use crate::model::registration::{Phase, SCHEMA, Versions};

pub(super) fn id(n: u8) -> InstanceId {
    InstanceId::parse(format!("i-0000000{n}")).unwrap()
}

fn nonce(n: u8) -> Nonce {
    Nonce::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
}

pub(super) fn address(n: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, n])
}

pub(super) fn voter(n: u8, answers: bool) -> Member {
    Member { id: MemberId(n.into()), name: format!("n{n}"), peer_addresses: vec![address(n)], learner: false, answers }
}

pub(super) fn unstarted(n: u8) -> Member {
    Member { name: String::new(), learner: true, ..voter(n, false) }
}

pub(super) fn registered(n: u8, member_id: Option<u8>, lease: Option<u8>) -> Registration {
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
pub(super) struct World {
    pub(super) members: Members,
    pub(super) registrations: Vec<Registration>,
    pub(super) instances: Instances,
    pub(super) live: BTreeMap<IpAddr, InstanceId>,
    pub(super) standby: Vec<InstanceId>,
}

impl World {
    /// What this machine, holding lease 5, makes of it.
    pub(super) fn seen_by<T>(&self, me: &InstanceId, look: impl FnOnce(&Scene<'_>) -> T) -> T {
        look(&Scene {
            me,
            members: &self.members,
            registrations: &self.registrations,
            instances: &self.instances,
            live_addresses: &self.live,
            in_standby: &self.standby,
            lease: Some(&nonce(5)),
            gone_grace: Duration::from_secs(300),
        })
    }
}

pub(super) fn world(third: Seen) -> World {
    World {
        members: Members(vec![voter(1, true), voter(2, true), voter(3, false)]),
        registrations: (1..=3).map(|n| registered(n, Some(n), Some(n))).collect(),
        instances: Instances([(id(3), third)].into()),
        live: [(address(1), id(1)), (address(2), id(2)), (address(9), id(9))].into(),
        standby: Vec::new(),
    }
}

fn verdict(world: &World, member: u8) -> Verdict {
    let judged = world.seen_by(&id(9), plan);
    judged.into_iter().find(|(found, _)| found.id == MemberId(member.into())).unwrap().1
}

pub(super) fn terminated() -> Seen {
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
fn a_machine_that_crashed_as_a_new_member_waited_again_and_died_is_found_in_any_phase() {
    let mut world = world(terminated());
    for (member, nonce) in [(unstarted(3), Some(3)), (voter(3, false), Some(3)), (voter(3, false), None)] {
        world.members.0[2] = member;
        world.registrations[2] = Registration { phase: Phase::Waiting, ..registered(3, None, nonce) };
        assert_eq!(verdict(&world, 3), Verdict::Remove(Remove::Gone(id(3))));
    }
    // Another that waits at its address may still need the member gone, but that is its own to do.
    world.registrations.push(Registration {
        phase: Phase::Waiting,
        node_name: "n3".into(),
        addresses: vec![address(3)],
        ..registered(8, None, None)
    });
    assert_eq!(verdict(&world, 3), Verdict::Keep(Keep::NotGone(id(8))));
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
    let judged = world.seen_by(&id(9), plan);
    let removed = judged.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Remove(_)));
    let order: Vec<_> = removed.map(|(member, _)| member.id.0).collect();
    assert_eq!(order, [4, 3]);
}
