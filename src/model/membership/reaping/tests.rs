//! Which members may be removed, and which stay.

use super::*;
use crate::model::membership::registration::{RegistrationPhase, SCHEMA, Versions};

pub(in crate::model) fn id(n: u8) -> InstanceId {
    InstanceId::parse(format!("i-0000000{n}")).unwrap()
}

fn nonce(n: u8) -> Nonce {
    Nonce::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
}

pub(in crate::model) fn address(n: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, n])
}

pub(in crate::model) fn voter(n: u8, answers: bool) -> Member {
    Member { id: MemberId(n.into()), name: format!("n{n}"), peer_addresses: vec![address(n)], learner: false, answers }
}

pub(in crate::model) fn unstarted(n: u8) -> Member {
    Member { name: String::new(), learner: true, ..voter(n, false) }
}

pub(in crate::model) fn registered(n: u8, member_id: Option<u8>, lease: Option<u8>) -> Registration {
    Registration {
        schema: SCHEMA,
        instance: id(n),
        phase: if member_id.is_some() { RegistrationPhase::Joined } else { RegistrationPhase::Joining },
        claim_id: None,
        ready_claim: None,
        lease_nonce: lease.map(nonce),
        node_name: format!("n{n}"),
        node_uid: None,
        provider_id: String::new(),
        addresses: vec![address(n)],
        member_id: member_id.map(|id| MemberId(id.into())),
        versions: Versions::default(),
        waits_for: None,
        retired: false,
        hook: None,
        upgraded: None,
        digests: Default::default(),
        last_error: None,
        since: String::new(),
        updated: String::new(),
        later: Default::default(),
    }
}

/// Three registered voters, the third silent, judged by machine 9 under lease 5.
pub(in crate::model) struct World {
    pub(in crate::model) members: Members,
    pub(in crate::model) registrations: Vec<Registration>,
    pub(in crate::model) instances: Instances,
    pub(in crate::model) live: BTreeMap<IpAddr, InstanceId>,
    pub(in crate::model) standby: Vec<InstanceId>,
}

impl World {
    /// Calls `judge` with the input of this machine, which holds lease 5.
    pub(in crate::model) fn with_input<T>(&self, me: &InstanceId, judge: impl FnOnce(&ReapInput<'_>) -> T) -> T {
        judge(&ReapInput {
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

pub(in crate::model) fn world(third: Presence) -> World {
    World {
        members: Members(vec![voter(1, true), voter(2, true), voter(3, false)]),
        registrations: (1..=3).map(|n| registered(n, Some(n), Some(n))).collect(),
        instances: Instances([(id(3), third)].into()),
        live: [(address(1), id(1)), (address(2), id(2)), (address(9), id(9))].into(),
        standby: Vec::new(),
    }
}

fn verdict(world: &World, member: u8) -> ReapVerdict {
    let judged = world.with_input(&id(9), plan);
    judged.into_iter().find(|(found, _)| found.id == MemberId(member.into())).unwrap().1
}

pub(in crate::model) fn terminated() -> Presence {
    Presence::State(Ec2State::Terminated)
}

#[test]
fn a_silent_voter_goes_only_if_its_machine_is_certainly_gone() {
    let gone = || ReapVerdict::Remove(RemovalReason::Gone(id(3)));
    let stays = || ReapVerdict::Keep(KeepReason::NotGone(id(3)));
    let rows = [
        (terminated(), gone()),
        (Presence::State(Ec2State::ShuttingDown), gone()),
        (Presence::State(Ec2State::Stopped), gone()),
        (Presence::AbsentFor(Duration::from_secs(300)), gone()),
        (Presence::AbsentFor(Duration::from_secs(299)), stays()),
        (Presence::State(Ec2State::Running), stays()),
        (Presence::State(Ec2State::Stopping), stays()),
        (Presence::State(Ec2State::Other("new".into())), stays()),
    ];
    for (presence, expected) in rows {
        assert_eq!(verdict(&world(presence.clone()), 3), expected, "{presence:?}");
    }
    let not_asked = World { instances: Instances::default(), ..world(terminated()) };
    assert_eq!(verdict(&not_asked, 3), stays());
    let standby = World { standby: vec![id(3)], ..world(Presence::State(Ec2State::Stopped)) };
    assert_eq!(verdict(&standby, 3), stays(), "stopped in Standby is on purpose");
}

#[test]
fn a_member_that_answers_stays_whatever_ec2_says() {
    let mut world = world(terminated());
    world.members.0[2].answers = true;
    assert_eq!(verdict(&world, 3), ReapVerdict::Keep(KeepReason::Answers));
    assert_eq!(verdict(&world, 1), ReapVerdict::Keep(KeepReason::Answers));
}

#[test]
fn a_removal_never_costs_the_quorum() {
    let mut world = world(terminated());
    world.members.0[1].answers = false;
    assert_eq!(verdict(&world, 3), ReapVerdict::Keep(KeepReason::Quorum), "one of three answers");
    world.members.0.push(voter(4, true));
    world.members.0.push(voter(5, true));
    world.instances.0.insert(id(2), terminated());
    world.live.remove(&address(2));
    assert_eq!(verdict(&world, 2), ReapVerdict::Remove(RemovalReason::Gone(id(2))), "two dead of five");
    assert_eq!(verdict(&world, 3), ReapVerdict::Remove(RemovalReason::Gone(id(3))));
    world.members.0[4].answers = false;
    assert_eq!(verdict(&world, 2), ReapVerdict::Keep(KeepReason::Quorum), "three of five dead: none may go");
}

#[test]
fn a_member_is_protected_by_a_running_instance_with_its_address_except_the_judging_one() {
    let mut world = world(terminated());
    world.live.insert(address(3), id(7));
    assert_eq!(verdict(&world, 3), ReapVerdict::Keep(KeepReason::AddressLives(id(7))));
    world.live.insert(address(3), id(9));
    assert_eq!(verdict(&world, 3), ReapVerdict::Remove(RemovalReason::Gone(id(3))));
}

#[test]
fn a_member_that_no_registration_explains_is_left_to_an_operator() {
    let mut world = world(terminated());
    world.registrations.retain(|found| found.instance != id(3));
    assert_eq!(verdict(&world, 3), ReapVerdict::Keep(KeepReason::Unexplained));
    // The address alone does not explain a member: the name must be the same.
    world.registrations.push(Registration { node_name: "other".into(), ..registered(3, None, Some(5)) });
    assert_eq!(verdict(&world, 3), ReapVerdict::Keep(KeepReason::Unexplained));
    world.registrations.push(registered(3, Some(8), Some(5)));
    assert_eq!(verdict(&world, 3), ReapVerdict::Keep(KeepReason::Unexplained), "it says it is another member");
}

#[test]
fn a_registration_without_a_member_id_matches_by_name_and_address() {
    let mut world = world(terminated());
    world.registrations[2] = registered(3, None, Some(3));
    assert_eq!(verdict(&world, 3), ReapVerdict::Remove(RemovalReason::Gone(id(3))));
}

#[test]
fn a_registration_without_a_member_id_matches_in_any_phase() {
    let mut world = world(terminated());
    for (member, nonce) in [(unstarted(3), Some(3)), (voter(3, false), Some(3)), (voter(3, false), None)] {
        world.members.0[2] = member;
        world.registrations[2] = Registration { phase: RegistrationPhase::Waiting, ..registered(3, None, nonce) };
        assert_eq!(verdict(&world, 3), ReapVerdict::Remove(RemovalReason::Gone(id(3))));
    }
    // Another machine that waits with its address protects the member: it removes it itself.
    world.registrations.push(Registration {
        phase: RegistrationPhase::Waiting,
        node_name: "n3".into(),
        addresses: vec![address(3)],
        ..registered(8, None, None)
    });
    assert_eq!(verdict(&world, 3), ReapVerdict::Keep(KeepReason::NotGone(id(8))));
}

#[test]
fn a_learner_whose_join_was_given_up_is_removed_even_if_its_machine_runs() {
    let mut world = world(Presence::State(Ec2State::Running));
    world.members.0[2] = unstarted(3);
    world.live.insert(address(3), id(3));
    world.registrations[2] = registered(3, None, Some(4));
    assert_eq!(verdict(&world, 3), ReapVerdict::Remove(RemovalReason::GivenUp(id(3))), "another holds its lease");
    world.registrations[2] = registered(3, None, Some(5));
    assert_eq!(verdict(&world, 3), ReapVerdict::Keep(KeepReason::NotGone(id(3))), "its lease is current");
    world.members.0[2] = voter(3, false);
    world.registrations[2] = registered(3, None, Some(4));
    assert_eq!(verdict(&world, 3), ReapVerdict::Keep(KeepReason::NotGone(id(3))), "a started voter is never given up");
    world.members.0[2] = Member { name: String::new(), ..voter(3, false) };
    assert_eq!(verdict(&world, 3), ReapVerdict::Keep(KeepReason::NotGone(id(3))), "nor one that has no name yet");
}

#[test]
fn a_silent_voter_or_a_learner_that_stays_blocks_the_next_join() {
    let learner = |answers| Member { learner: true, ..voter(4, answers) };
    let rows = [
        (voter(3, true), ReapVerdict::Keep(KeepReason::Answers), false),
        (learner(true), ReapVerdict::Keep(KeepReason::Answers), true),
        (voter(3, false), ReapVerdict::Keep(KeepReason::Own), false),
        (learner(false), ReapVerdict::Keep(KeepReason::Own), true),
        (voter(3, false), ReapVerdict::Keep(KeepReason::Unexplained), true),
        (voter(3, false), ReapVerdict::Keep(KeepReason::NotGone(id(3))), true),
        (voter(3, false), ReapVerdict::Keep(KeepReason::AddressLives(id(7))), true),
        (voter(3, false), ReapVerdict::Keep(KeepReason::Quorum), true),
        (voter(3, false), ReapVerdict::Remove(RemovalReason::Gone(id(3))), false),
        (unstarted(3), ReapVerdict::Remove(RemovalReason::GivenUp(id(3))), false),
    ];
    for (member, verdict, expected) in rows {
        let judged = [(voter(1, true), ReapVerdict::Keep(KeepReason::Answers)), (member, verdict)];
        assert_eq!(blocking_member(&judged, &[]), expected.then_some(&judged[1]), "{judged:?}");
    }
}

#[test]
fn a_voter_that_is_starting_keeps_nobody_out() {
    let nameless = |learner| Member { name: String::new(), learner, ..voter(3, false) };
    let not_gone = || ReapVerdict::Keep(KeepReason::NotGone(id(3)));
    let (young, old): (&[MemberId], &[MemberId]) = (&[MemberId(3)], &[]);
    // (the member, its verdict, who is starting, whether it blocks)
    let rows = [
        (nameless(false), not_gone(), young, false),
        (voter(3, false), not_gone(), young, false),
        (nameless(false), not_gone(), old, true),
        (nameless(false), ReapVerdict::Keep(KeepReason::Unexplained), young, true),
        (nameless(false), ReapVerdict::Keep(KeepReason::AddressLives(id(7))), young, true),
        (nameless(true), not_gone(), young, true),
    ];
    for (member, verdict, starting, expected) in rows {
        let judged = [(voter(1, true), ReapVerdict::Keep(KeepReason::Answers)), (member, verdict)];
        assert_eq!(blocking_member(&judged, starting), expected.then_some(&judged[1]), "{judged:?}");
    }
}

#[test]
fn learners_are_removed_first() {
    let mut world = world(terminated());
    world.members.0.push(unstarted(4));
    world.registrations.push(registered(4, None, Some(4)));
    world.instances.0.insert(id(4), terminated());
    let judged = world.with_input(&id(9), plan);
    let removed = judged.iter().filter(|(_, verdict)| matches!(verdict, ReapVerdict::Remove(_)));
    let order: Vec<_> = removed.map(|(member, _)| member.id.0).collect();
    assert_eq!(order, [4, 3]);
}
