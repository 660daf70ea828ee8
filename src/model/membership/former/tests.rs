//! Which registrations may move, and that nothing is proven less when they have.

use super::*;
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::{ClaimId, MemberId};
use crate::model::membership::later_truth::LaterTruth;
use crate::model::membership::members::Member;
use crate::model::membership::reaping::tests::{address, id, registered, terminated, unstarted, voter};
use crate::model::membership::registration::{RegistrationPhase, witnesses};
use crate::model::record::cluster::{Published, RecordState};
use crate::model::record::identity::Identity;

use RegistrationPhase::{Failed, Initializing, Joined, Joining, Leaving, Left, Reaped, Waiting};

const GRACE: Duration = Duration::from_secs(300);
const PHASES: [RegistrationPhase; 8] = [Waiting, Initializing, Joining, Joined, Leaving, Left, Failed, Reaped];

fn claim(n: u8) -> ClaimId {
    ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
}

fn record(n: u8, state: RecordState, retired: &[u8]) -> ClusterRecord {
    ClusterRecord {
        claim_id: claim(n),
        generation: 1,
        identity: Identity::sample(),
        yielded: Vec::new(),
        retired_claims: retired.iter().map(|n| claim(*n)).collect(),
        superseded: Vec::new(),
        state,
    }
}

/// Machine 5 initialised, and is gone as well.
fn ready(n: u8, retired: &[u8]) -> ClusterRecord {
    record(n, RecordState::Ready(Published::sample(id(5))), retired)
}

/// The mover, a voter of cluster 1.
fn mover() -> Registration {
    Registration { claim_id: Some(claim(1)), ..registered(1, Some(1), None) }
}

fn of(n: u8, phase: RegistrationPhase) -> Registration {
    Registration { phase, claim_id: Some(claim(1)), ..registered(n, None, None) }
}

/// What machine 1 moves of the registrations of 2, beside its own, and of 5, beside record and members.
fn moved(
    record: &ClusterRecord,
    own: &Registration,
    other: &Registration,
    members: &[Member],
    ec2: Option<Presence>,
) -> bool {
    let members = Members(members.to_vec());
    let instances = [(other.instance.clone(), ec2)].into_iter().filter_map(|(id, ec2)| Some((id, ec2?))).collect();
    let input = FormerInput {
        me: &id(1),
        addresses: &[address(1)],
        record,
        members: Some(&members),
        instances: &Instances(instances),
        gone_grace: GRACE,
    };
    let all = [own.clone(), other.clone()];
    let over = former(&input, &all);
    assert!(over.iter().all(|found| **found == *other), "its own moved: {over:?}");
    !over.is_empty()
}

#[test]
fn a_registration_moves_only_when_its_machine_is_gone() {
    let absent = |seconds| Some(Presence::AbsentFor(Duration::from_secs(seconds)));
    let state = |state| Some(Presence::State(state));
    // (presence, whether a finished one moves, and whether another one does)
    let rows = [
        (state(Ec2State::Terminated), true, true),
        (state(Ec2State::ShuttingDown), true, true),
        (state(Ec2State::Stopped), false, false),
        (state(Ec2State::Stopping), false, false),
        (state(Ec2State::Running), false, false),
        (state(Ec2State::Other("new".into())), false, false),
        (absent(0), true, false),
        (absent(299), true, false),
        (absent(300), true, true),
        (None, false, false),
    ];
    for (presence, finished, other) in rows {
        for phase in PHASES {
            let expected = if matches!(phase, Left | Reaped) { finished } else { other };
            let found = moved(&ready(1, &[]), &mover(), &of(2, phase), &[voter(1, true)], presence.clone());
            assert_eq!(found, expected, "{phase:?} {presence:?}");
        }
    }
    // Whoever has its address knows that it is gone as soon as EC2 does not show it.
    let replaced = Registration { addresses: vec![address(1)], ..of(2, Joined) };
    assert!(moved(&ready(1, &[]), &mover(), &replaced, &[voter(1, true)], absent(0)));
    assert!(!moved(&ready(1, &[]), &mover(), &replaced, &[voter(1, true)], state(Ec2State::Running)));
    assert!(!moved(&ready(1, &[]), &mover(), &replaced, &[voter(1, true)], None));
}

#[test]
fn what_explains_a_member_stays_until_that_is_gone() {
    let gone = || Some(terminated());
    let with_member = |phase| Registration { member_id: Some(MemberId(2)), ..of(2, phase) };
    let rows = [
        (of(2, Left), vec![voter(1, true)], true),
        (with_member(Reaped), vec![voter(1, true)], true),
        (with_member(Joined), vec![voter(1, true), voter(2, false)], false),
        (with_member(Reaped), vec![voter(1, true), voter(2, false)], false),
        (of(2, Joining), vec![voter(1, true), unstarted(2)], false),
        (of(2, Left), vec![voter(1, true), unstarted(2)], false),
        (of(2, Failed), vec![voter(1, true), unstarted(3)], true),
    ];
    for (found, members, expected) in rows {
        assert_eq!(moved(&ready(1, &[]), &mover(), &found, &members, gone()), expected, "{found:?} {members:?}");
    }
    let initialiser = of(5, Left);
    assert!(!moved(&ready(1, &[]), &mover(), &initialiser, &[voter(1, true)], gone()));
}

/// The records that follow each other where cluster 0 was retired before 1, and 1 before 2.
fn line() -> Vec<Option<ClusterRecord>> {
    let making = || RecordState::Initializing { holder: None, beat: 0, restoring: None };
    let given_up = || RecordState::Retired(Some(Published::sample(id(5))));
    let all = [
        record(0, making(), &[]),
        ready(0, &[]),
        record(0, given_up(), &[]),
        record(1, making(), &[0]),
        ready(1, &[0]),
        record(1, given_up(), &[0]),
        record(2, making(), &[0, 1]),
        ready(2, &[0, 1]),
        record(2, given_up(), &[0, 1]),
    ];
    [None].into_iter().chain(all.map(Some)).collect()
}

/// Whether these registrations keep everybody from claiming beside this record, or from going on with its claim.
fn is_proven(record: Option<&ClusterRecord>, registrations: &[&Registration]) -> bool {
    let registrations = registrations.iter().copied();
    match record {
        None => !witnesses(registrations).is_empty(),
        Some(record) => LaterTruth::than(record, registrations, None).is_some(),
    }
}

/// Whatever one registration may say.
fn whatever() -> Vec<Registration> {
    let claims = [None, Some(0), Some(1), Some(2)].map(|n| n.map(claim));
    let mut all = Vec::new();
    for phase in PHASES {
        for (claim_id, ready_claim) in claims.iter().flat_map(|one| claims.iter().map(move |other| (one, other))) {
            for (member, retired) in [(false, false), (false, true), (true, false), (true, true)] {
                let (claim_id, ready_claim) = (claim_id.clone(), ready_claim.clone());
                let member_id = member.then_some(MemberId(2));
                all.push(Registration {
                    phase,
                    claim_id,
                    ready_claim,
                    member_id,
                    retired,
                    ..registered(2, None, None)
                });
            }
        }
    }
    all
}

/// The same, said by the mover.
fn own_of(said: Registration) -> Registration {
    let member_id = said.member_id.map(|_| MemberId(1));
    Registration { instance: id(1), node_name: "n1".into(), addresses: vec![address(1)], member_id, ..said }
}

#[test]
fn nothing_is_proven_less_by_any_version_of_the_record_when_one_has_moved() {
    let (mut moves, voters, gone) = (0, [voter(1, true)], || Some(terminated()));
    let (line, others) = (line(), whatever());
    for now in line.iter().flatten() {
        let movers = whatever().into_iter().map(own_of);
        for own in movers.filter(|own| moved(now, own, &of_no_cluster(), &voters, gone())) {
            // Under these versions the mover's own registration is no proof.
            let silent: Vec<_> = line.iter().filter(|then| !is_proven(then.as_ref(), &[&own])).collect();
            for other in others.iter().filter(|other| moved(now, &own, other, &voters, gone())) {
                moves += 1;
                let lost = silent.iter().find(|then| is_proven(then.as_ref(), &[&own, other]));
                assert_eq!(lost, None, "{own:?} {other:?} at {now:?}");
            }
        }
    }
    assert!(moves > 10_000, "{moves} moves");
}

/// A finished registration that tells of no cluster.
fn of_no_cluster() -> Registration {
    Registration { claim_id: None, ..of(2, Left) }
}

#[test]
fn only_a_member_that_lives_moves_anything_and_only_beside_a_ready_record() {
    let over = of(2, Left);
    let moves =
        |record: &ClusterRecord, own: Registration| moved(record, &own, &over, &[voter(1, true)], Some(terminated()));
    let rows = [
        (mover(), true),
        // It knows the cluster, and is about to join.
        (Registration { ready_claim: Some(claim(1)), ..of(1, Joining) }, true),
        (of(1, Joining), false),
        (of(1, Waiting), false),
        (Registration { phase: Left, ..mover() }, false),
        (Registration { phase: Reaped, ..mover() }, false),
        (Registration { retired: true, ..mover() }, false),
        (Registration { claim_id: Some(claim(2)), ..mover() }, false),
        (registered(3, Some(3), None), false),
    ];
    for (own, expected) in rows {
        assert_eq!(moves(&ready(1, &[]), own.clone()), expected, "{own:?}");
    }
    for state in [RecordState::Initializing { holder: None, beat: 0, restoring: None }, RecordState::Retired(None)] {
        assert!(!moves(&record(1, state, &[]), mover()));
    }
}

#[test]
fn ec2_is_asked_about_whoever_may_still_decide_something() {
    let listed = |members: Vec<Member>| Some(ClusterView::Listed(Members(members)));
    let with_member = |phase| Registration { member_id: Some(MemberId(2)), ..of(2, phase) };
    let unknown = || Some(ClusterView::Unknown { why: String::new() });
    let rows = [
        (of(2, Left), None, false),
        (of(2, Left), Some(ClusterView::External), false),
        (of(2, Left), listed(vec![voter(1, true)]), false),
        (of(2, Left), listed(vec![voter(1, true), unstarted(2)]), true),
        (with_member(Reaped), listed(vec![voter(1, true)]), false),
        (with_member(Reaped), listed(vec![voter(1, true), voter(2, false)]), true),
        (with_member(Reaped), unknown(), true),
        (of(2, Left), unknown(), true),
    ];
    for (found, cluster, expected) in rows {
        let all = [mover(), found.clone()];
        assert_eq!(may_matter(&found, &all, cluster.as_ref()), expected, "{found:?} {cluster:?}");
    }
    for phase in PHASES.into_iter().filter(|phase| !matches!(phase, Left | Reaped)) {
        for cluster in [None, listed(vec![voter(1, true)]), unknown(), Some(ClusterView::NotAsked)] {
            assert!(may_matter(&of(2, phase), &[of(2, phase)], cluster.as_ref()), "{phase:?} {cluster:?}");
        }
    }
    let all = [mover(), of(2, Left), of(3, Joined), of(5, Joined)];
    assert_eq!(doubtful(&id(1), &ready(1, &[]), &all, |instance| *instance == id(3)), [id(2)]);
}
