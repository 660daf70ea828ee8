//! Which cluster may be retired, and that a machine which boots meanwhile is harmed in no order.

use super::*;
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::BootId;
use crate::model::record::cluster::{Holder, Published};
use crate::model::record::identity::Identity;
use crate::model::record::saved::Saved;

const GRACE: Duration = Duration::from_secs(300);

fn id(n: u8) -> InstanceId {
    InstanceId::parse(format!("i-0000000{n}")).unwrap()
}

fn claim(n: u8) -> ClaimId {
    ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
}

fn record(state: RecordState) -> ClusterRecord {
    let (claim_id, identity) = (claim(1), Identity::sample());
    ClusterRecord {
        claim_id,
        generation: 1,
        identity,
        yielded: Vec::new(),
        retired_claims: Vec::new(),
        superseded: Vec::new(),
        state,
    }
}

fn published() -> Published {
    Published::sample(id(1))
}

fn asked_in(account: &str, region: &str) -> AskedIn {
    AskedIn { account: account.into(), region: region.into() }
}

/// The decision for cluster 1, with the right ID, account and Region.
fn judged(state: RecordState, machines: &[RetireMachine], answers: &[Responder]) -> RetireDecision {
    judge(&RetireInput {
        cluster_id: &claim(1),
        record: Some(&record(state)),
        asked_in: asked_in("123456789012", "eu-central-1"),
        machines,
        answers,
        gone_grace: GRACE,
    })
}

fn machine(n: u8, ec2: Option<Presence>) -> RetireMachine {
    RetireMachine {
        instance: id(n),
        known_by: KnownBy::Registration,
        last_phase: Some(RegistrationPhase::Joined),
        ec2,
        is_here_and_fresh: false,
    }
}

fn lives_refusal(n: u8, ec2: &str) -> RetireRefusal {
    let says = Some(RegistrationPhase::Joined);
    RetireRefusal::Lives { instance: id(n), known_by: KnownBy::Registration, says, ec2: ec2.into() }
}

fn state(state: Ec2State) -> Option<Presence> {
    Some(Presence::State(state))
}

#[test]
fn every_machine_must_be_gone_for_good() {
    let lives = |ec2: &str| RetireDecision::Refused(vec![lives_refusal(1, ec2)]);
    let wait = |left| RetireDecision::Wait { absent: vec![id(1)], left: Duration::from_secs(left) };
    let absent = |secs| Some(Presence::AbsentFor(Duration::from_secs(secs)));
    let rows = [
        (state(Ec2State::Terminated), RetireDecision::Allowed),
        (state(Ec2State::ShuttingDown), RetireDecision::Allowed),
        (state(Ec2State::Running), lives("running")),
        (state(Ec2State::Pending), lives("pending")),
        (state(Ec2State::Stopping), lives("stopping")),
        (state(Ec2State::Stopped), lives("stopped")),
        (state(Ec2State::Other("new".into())), lives("new")),
        (absent(0), wait(300)),
        (absent(299), wait(1)),
        (absent(300), RetireDecision::Allowed),
        (None, RetireDecision::Refused(vec![RetireRefusal::NotKnown { instance: id(1) }])),
    ];
    for (ec2, expected) in rows {
        let machines = [machine(1, ec2.clone()), machine(2, state(Ec2State::Terminated))];
        assert_eq!(judged(RecordState::Ready(published()), &machines, &[]), expected, "{ec2:?}");
    }
}

#[test]
fn the_longest_grace_is_waited_for_unless_a_machine_runs() {
    let absent = |n, secs| machine(n, Some(Presence::AbsentFor(Duration::from_secs(secs))));
    let two = [absent(1, 100), absent(2, 200), absent(3, 300)];
    let expected = RetireDecision::Wait { absent: vec![id(1), id(2)], left: Duration::from_secs(200) };
    assert_eq!(judged(RecordState::Ready(published()), &two, &[]), expected);
    let lives = [absent(1, 100), machine(2, state(Ec2State::Running))];
    let verdict = judged(RecordState::Ready(published()), &lives, &[]);
    assert_eq!(verdict, RetireDecision::Refused(vec![lives_refusal(2, "running")]));
}

#[test]
fn whatever_answers_prevents_it_whatever_ec2_says() {
    let endpoint = |serves| Responder::Endpoint { endpoint: "api:6443".into(), address: None, status: 200, serves };
    let another = endpoint(ServedCluster::AnotherCa { hashes: vec!["sha256:01".into()] });
    let listens = Responder::Machine { instance: id(2), address: "10.0.0.2".parse().unwrap(), port: 2379 };
    for answer in [endpoint(ServedCluster::ThisCa), another, endpoint(ServedCluster::Unknown), listens] {
        let gone = [machine(1, state(Ec2State::Terminated))];
        let verdict = judged(RecordState::Ready(published()), &gone, std::slice::from_ref(&answer));
        assert_eq!(verdict, RetireDecision::Refused(vec![RetireRefusal::Answers(answer)]));
    }
}

#[test]
fn this_machine_is_judged_by_its_disk() {
    let here = RetireMachine { is_here_and_fresh: true, ..machine(9, state(Ec2State::Running)) };
    let gone = machine(1, state(Ec2State::Terminated));
    assert_eq!(judged(RecordState::Ready(published()), &[gone.clone(), here.clone()], &[]), RetireDecision::Allowed);
    let not_fresh = RetireMachine { is_here_and_fresh: false, ..here };
    let verdict = judged(RecordState::Ready(published()), &[gone, not_fresh], &[]);
    assert_eq!(verdict, RetireDecision::Refused(vec![lives_refusal(9, "running")]));
}

#[test]
fn only_the_named_cluster_is_retired_and_only_from_its_account_and_region() {
    let boot = BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
    let holder = Some(Holder { instance: id(1), boot });
    let refused = |refusal| RetireDecision::Refused(vec![refusal]);
    let elsewhere = |field, record: &str, here: &str| {
        refused(RetireRefusal::AskedElsewhere { field, record: record.into(), here: here.into() })
    };
    let (account, region) = ("123456789012", "eu-central-1");
    let here = || asked_in(account, region);
    let ready = || Some(record(RecordState::Ready(published())));
    let retired = || Some(record(RecordState::Retired(published().into())));
    let claimed = |holder, restoring| Some(record(RecordState::Initializing { holder, beat: 3, restoring }));
    let initializing = claimed(holder.clone(), None);
    let of_saved = || Some(Box::new(Saved::sample(id(1))));
    let restoring = || claimed(holder.clone(), of_saved());
    let saved = || Some(record(RecordState::Saved(Saved::sample(id(1)))));
    let rows = [
        (None, 1, here(), refused(RetireRefusal::NoRecord)),
        (initializing, 1, here(), refused(RetireRefusal::NoCluster { claim_id: claim(1) })),
        (restoring(), 1, here(), RetireDecision::Allowed),
        (claimed(None, of_saved()), 1, here(), RetireDecision::Allowed),
        (restoring(), 2, here(), refused(RetireRefusal::OtherCluster { cluster_id: claim(1) })),
        (restoring(), 1, asked_in("2", region), elsewhere("account", account, "2")),
        (saved(), 1, here(), RetireDecision::Allowed),
        (saved(), 2, here(), refused(RetireRefusal::OtherCluster { cluster_id: claim(1) })),
        (saved(), 1, asked_in("2", region), elsewhere("account", account, "2")),
        (ready(), 2, here(), refused(RetireRefusal::OtherCluster { cluster_id: claim(1) })),
        (retired(), 2, here(), refused(RetireRefusal::OtherCluster { cluster_id: claim(1) })),
        (retired(), 1, here(), RetireDecision::Already),
        (ready(), 1, here(), RetireDecision::Allowed),
        (ready(), 1, asked_in("2", region), elsewhere("account", account, "2")),
        (ready(), 1, asked_in(account, "us-east-1"), elsewhere("region", region, "us-east-1")),
    ];
    for (record, named, asked_in, expected) in rows {
        let input = RetireInput {
            cluster_id: &claim(named),
            record: record.as_ref(),
            asked_in,
            machines: &[machine(1, state(Ec2State::Terminated))],
            answers: &[],
            gone_grace: GRACE,
        };
        assert_eq!(judge(&input), expected, "{input:?}");
    }
}

#[test]
fn whoever_restores_the_cluster_must_be_gone_whatever_is_on_its_disk() {
    let holder = Holder { instance: id(2), boot: BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap() };
    let restoring = Some(Box::new(Saved::sample(id(1))));
    let over = || RecordState::Initializing { holder: Some(holder.clone()), beat: 3, restoring: restoring.clone() };
    let first = machine(1, state(Ec2State::Terminated));
    let holds = |ec2| [first.clone(), machine(2, state(ec2))];
    assert_eq!(judged(over(), &holds(Ec2State::Terminated), &[]), RetireDecision::Allowed);
    let lives = RetireDecision::Refused(vec![lives_refusal(2, "running")]);
    assert_eq!(judged(over(), &holds(Ec2State::Running), &[]), lives);
    let here = RetireMachine { is_here_and_fresh: true, ..machine(2, state(Ec2State::Running)) };
    assert_eq!(judged(over(), &[first.clone(), here.clone()], &[]), lives, "it may begin at any moment");
    let vacant = RecordState::Initializing { holder: None, beat: 3, restoring: restoring.clone() };
    assert_eq!(judged(vacant, &[first.clone(), here], &[]), RetireDecision::Allowed);
    let unasked = RetireDecision::Refused(vec![RetireRefusal::NotKnown { instance: id(2) }]);
    assert_eq!(judged(over(), std::slice::from_ref(&first), &[]), unasked);
    assert_eq!(
        judged(over(), &holds(Ec2State::Stopped), &[]),
        RetireDecision::Refused(vec![lives_refusal(2, "stopped")])
    );
}

/// The record as S3 holds it, changed under If-Match only: its body, and how often it was written.
#[derive(Clone)]
struct Cell(ClusterRecord, u32);

impl Cell {
    fn replace(&mut self, next: Option<ClusterRecord>, read: u32) -> bool {
        let lands = next.is_some() && read == self.1;
        if let (Some(next), true) = (next, lands) {
            *self = Self(next, self.1 + 1);
        }
        lands
    }
}

/// `R` reads for the retirement, `W` writes it; `r` reads for a machine that boots, `c` claims by that, `f` flips.
fn played(order: &str) -> Cell {
    use crate::model::record::claim::{claimed, flipped, retired};
    let holder = Holder { instance: id(5), boot: BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap() };
    let mut cell = Cell(record(RecordState::Ready(published())), 0);
    let (mut ours, mut theirs) = (cell.clone(), cell.clone());
    for step in order.chars() {
        match step {
            'R' => ours = cell.clone(),
            'W' => _ = cell.replace(retired(&ours.0), ours.1),
            'r' => theirs = cell.clone(),
            'c' if matches!(theirs.0.state, RecordState::Retired(_)) => {
                let next = claimed(Some(&theirs.0), claim(5), holder.clone(), theirs.0.identity.clone());
                _ = cell.replace(Some(next), theirs.1);
                theirs = cell.clone();
            }
            'f' if theirs.0.claim_id == claim(5) => _ = cell.replace(flipped(&theirs.0, published()), theirs.1),
            _ => {}
        }
    }
    cell
}

#[test]
fn a_machine_that_boots_meanwhile_is_harmed_in_no_order() {
    let (ready, retired) = (RecordState::Ready(published()), RecordState::Retired(published().into()));
    let rows = [
        ("RrcfW", 1, &retired), // It read `ready`, and claims nothing.
        ("rRWcf", 1, &retired), // The same, with the record changed meanwhile.
        ("RWrcf", 5, &ready),   // It read `retired`, and makes the next cluster.
        ("RWrRWcf", 5, &ready), // A second retirement of the retired changes nothing.
        ("RWrcRWf", 5, &ready), // Nor does one that comes while the next claim is held.
        ("RRWrcfW", 5, &ready), // A late write of the first retirement does not land on the next cluster.
    ];
    for (order, claim_id, state) in rows {
        let Cell(record, _) = played(order);
        assert_eq!((&record.claim_id, &record.state), (&claim(claim_id), state), "{order}");
    }
}
