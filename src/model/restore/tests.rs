//! Which cluster may be restored, over whom, and who is in the way.

use super::*;
use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::{BootId, ClaimId, MemberId, Nonce};
use crate::model::membership::registration::{RegistrationPhase, Versions};
use crate::model::record::cluster::Holder;
use crate::model::record::identity::Identity;
use crate::model::record::saved::Saved;
use crate::model::retire::RetireRefusal;
use std::net::IpAddr;

const GRACE: Duration = Duration::from_secs(300);
const UUID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

fn id(n: u8) -> InstanceId {
    InstanceId::parse(format!("i-0000000{n}")).unwrap()
}

fn claim(n: u8) -> ClaimId {
    ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
}

/// A record at claim 2, after claim 1.
fn record(state: RecordState) -> ClusterRecord {
    ClusterRecord {
        claim_id: claim(2),
        generation: 2,
        identity: Identity::sample(),
        yielded: Vec::new(),
        retired_claims: Vec::new(),
        superseded: vec![claim(1)],
        state,
    }
}

/// Its snapshot was taken under claim 2.
fn saved_cluster() -> Saved {
    taken_under(2)
}

fn taken_under(claim_id: u8) -> Saved {
    let mut saved = Saved::sample(id(1));
    saved.snapshot.claim = claim(claim_id);
    saved
}

fn ready() -> ClusterRecord {
    record(RecordState::Ready(Published::sample(id(1))))
}

fn restoring(by: Option<u8>) -> ClusterRecord {
    let holder = by.map(|n| Holder { instance: id(n), boot: BootId::parse(UUID).unwrap() });
    record(RecordState::Initializing { holder, beat: 1, restoring: Some(taken_under(1).into()) })
}

fn another() -> SnapshotRef {
    SnapshotRef { key: "another".into(), ..saved_cluster().snapshot }
}

fn says(n: u8, phase: RegistrationPhase, follows: u8, member: bool) -> Registration {
    Registration {
        claim_id: Some(claim(follows)),
        member_id: member.then_some(MemberId(n.into())),
        versions: Versions { record_schema: Some(SCHEMA), ..Versions::default() },
        ..Registration::sample(id(n), phase)
    }
}

fn machine(n: u8, known_by: KnownBy, ec2: Option<Presence>) -> RetireMachine {
    RetireMachine { instance: id(n), known_by, last_phase: None, ec2, is_here_and_fresh: false }
}

fn lives(n: u8, known_by: KnownBy) -> RetireMachine {
    machine(n, known_by, Some(Presence::State(Ec2State::Running)))
}

fn gone(n: u8, known_by: KnownBy) -> RetireMachine {
    machine(n, known_by, Some(Presence::State(Ec2State::Terminated)))
}

fn judged(record: &ClusterRecord, registrations: &[Registration], machines: &[RetireMachine]) -> RestoreDecision {
    let (snapshot, uid) = (another(), Uid::parse(UUID).unwrap());
    judge(&RestoreInput {
        record: Some(record),
        snapshot: Some((&snapshot, &uid)),
        asked_in: AskedIn { account: "123456789012".into(), region: "eu-central-1".into() },
        registrations,
        machines,
        answers: &[],
        gone_grace: GRACE,
    })
}

fn is_refused_as(decision: &RestoreDecision, code: &str) -> bool {
    matches!(decision, RestoreDecision::Refused(refusals) if refusals.iter().any(|refusal| refusal.code() == code))
}

#[test]
fn no_machine_that_ever_had_a_vote_may_live_and_newcomers_that_wait_are_no_obstacle() {
    use KnownBy::{Group, Record, Registration as Said};
    use RegistrationPhase::{Failed, Initializing, Joined, Joining, Leaving, Left, Waiting};
    let began_to_join = |phase| {
        let nonce = Nonce::parse("00000000-0000-4000-8000-000000000001").unwrap();
        Some(Registration { lease_nonce: Some(nonce), ..says(5, phase, 2, false) })
    };
    // (what it says, what tells of it, whether it is in the way)
    let rows = [
        (Some(says(5, Joined, 2, true)), Said, true),
        (Some(says(5, Joined, 2, false)), Said, true),
        (Some(says(5, Leaving, 2, true)), Said, true),
        (Some(says(5, Waiting, 2, true)), Said, true),
        (Some(says(5, Failed, 2, true)), Said, true),
        (Some(says(5, Left, 2, true)), Said, true),
        (Some(says(5, Joined, 9, true)), Said, true),
        (None, Said, true),
        (None, Record, true),
        (Some(says(5, Waiting, 2, false)), Said, false),
        (Some(says(5, Joining, 2, false)), Said, false),
        (Some(says(5, Initializing, 2, false)), Said, false),
        (None, Group, false),
        // It was promoted, and could register nothing since it began to join.
        (began_to_join(Joining), Said, true),
        (began_to_join(Waiting), Said, true),
        (began_to_join(Failed), Said, true),
        (began_to_join(Left), Said, false),
    ];
    for over in [ready(), record(RecordState::Saved(saved_cluster())), restoring(None)] {
        for (said, known_by, in_the_way) in &rows {
            let registrations: Vec<Registration> = said.iter().cloned().collect();
            let machines = [gone(1, Record), lives(5, *known_by)];
            let decision = judged(&over, &registrations, &machines);
            assert_eq!(is_refused_as(&decision, "lives"), *in_the_way, "{said:?} {known_by:?}: {decision:?}");
            assert_eq!(decision == RestoreDecision::Allowed, !in_the_way, "{said:?} {known_by:?}: {decision:?}");
            let machines = [gone(1, Record), gone(5, *known_by)];
            assert_eq!(judged(&over, &registrations, &machines), RestoreDecision::Allowed, "{said:?} {known_by:?}");
        }
    }
    // It was set aside after an earlier restore.
    for over in [ready(), record(RecordState::Saved(saved_cluster()))] {
        let decision = judged(&over, &[says(5, Joined, 1, true)], &[gone(1, Record), lives(5, Said)]);
        assert_eq!(decision, RestoreDecision::Allowed, "{over:?}");
    }
    // Claim 3 restores, or was given up for another snapshot, what was saved under claim 2; claim 1 was before that.
    let after = |state| ClusterRecord { claim_id: claim(3), superseded: vec![claim(1), claim(2)], ..record(state) };
    let holder = None;
    let restoring = RecordState::Initializing { holder, beat: 0, restoring: Some(taken_under(2).into()) };
    for over in [after(restoring), after(RecordState::Saved(taken_under(2)))] {
        for (served, in_the_way) in [(1, false), (2, true), (3, true)] {
            let decision = judged(&over, &[says(5, Joined, served, true)], &[gone(1, Record), lives(5, Said)]);
            assert_eq!(is_refused_as(&decision, "lives"), in_the_way, "{served}: {decision:?}");
        }
    }
    // Once it is restored, they are voters of nothing.
    let restored = after(RecordState::Ready(Published::sample(id(1))));
    for served in [1, 2] {
        let decision = judged(&restored, &[says(5, Joined, served, true)], &[gone(1, Record), lives(5, Said)]);
        assert_eq!(decision, RestoreDecision::Allowed);
    }
    // A snapshot that is older than the claim under which the cluster served last.
    let older = record(RecordState::Saved(taken_under(1)));
    let decision = judged(&older, &[says(5, Joined, 1, true)], &[gone(1, Record), lives(5, Said)]);
    assert!(is_refused_as(&decision, "lives"), "{decision:?}");
    // The first voter, whatever it says of itself.
    let first = [says(1, Waiting, 2, false)];
    assert!(is_refused_as(&judged(&ready(), &first, &[lives(1, Said)]), "lives"));
}

#[test]
fn a_restore_under_way_is_its_holders_until_that_is_gone() {
    let over = restoring(Some(4));
    let first = gone(1, KnownBy::Record);
    let waits = [says(4, RegistrationPhase::Initializing, 2, false)];
    assert!(is_refused_as(&judged(&over, &waits, &[first.clone(), lives(4, KnownBy::Registration)]), "lives"));
    assert!(is_refused_as(&judged(&over, &[], &[first.clone(), lives(4, KnownBy::Group)]), "lives"));
    assert!(is_refused_as(&judged(&over, &[], std::slice::from_ref(&first)), "not-known"), "nobody asked about it");
    assert_eq!(judged(&over, &waits, &[first.clone(), gone(4, KnownBy::Registration)]), RestoreDecision::Allowed);
    let absent = machine(4, KnownBy::Record, Some(Presence::AbsentFor(Duration::from_secs(100))));
    let wait = RestoreDecision::Wait { absent: vec![id(4)], left: Duration::from_secs(200) };
    assert_eq!(judged(&over, &[], &[first, absent]), wait);
}

#[test]
fn only_a_cluster_that_was_and_a_snapshot_of_it_are_restored() {
    let uid = Uid::parse(UUID).unwrap();
    let other = Uid::parse("00000000-8b86-4011-b42d-00c04fc964ff").unwrap();
    let snapshot = another();
    let plain = record(RecordState::Initializing { holder: None, beat: 0, restoring: None });
    let retired = record(RecordState::Retired(None));
    let external = record(RecordState::Ready(Published { etcd_cluster_id: None, ..Published::sample(id(1)) }));
    let (ready, saved) = (ready(), record(RecordState::Saved(saved_cluster())));
    let own = saved_cluster().snapshot;
    let judged = |record, snapshot, account: &str| {
        judge(&RestoreInput {
            record,
            snapshot,
            asked_in: AskedIn { account: account.into(), region: "eu-central-1".into() },
            registrations: &[],
            machines: &[],
            answers: &[],
            gone_grace: GRACE,
        })
    };
    let (here, this) = ("123456789012", Some((&snapshot, &uid)));
    let rows = [
        (None, this, here, "no-record"),
        (Some(&plain), this, here, "no-cluster"),
        (Some(&retired), this, here, "retired"),
        (Some(&external), this, here, "external-etcd"),
        (Some(&ready), None, here, "no-snapshot"),
        (Some(&ready), Some((&snapshot, &other)), here, "other-cluster"),
        (Some(&saved), Some((&snapshot, &other)), here, "other-cluster"),
        (Some(&ready), this, "000000000000", "asked-elsewhere"),
    ];
    for (record, snapshot, account, code) in rows {
        let decision = judged(record, snapshot, account);
        assert!(is_refused_as(&decision, code), "{record:?}: {decision:?} is not {code}");
    }
    assert_eq!(judged(Some(&saved), Some((&own, &uid)), here), RestoreDecision::Already);
    assert_eq!(judged(Some(&saved), this, here), RestoreDecision::Allowed, "another one");
    assert_eq!(judged(Some(&ready), this, here), RestoreDecision::Allowed);
}

#[test]
fn nothing_is_restored_beside_what_answers_or_cannot_read_the_record() {
    let answers = [Responder::Machine { instance: id(5), address: IpAddr::from([10, 77, 0, 5]), port: 2379 }];
    let (snapshot, uid, over) = (another(), Uid::parse(UUID).unwrap(), ready());
    let input = |registrations, answers| RestoreInput {
        record: Some(&over),
        snapshot: Some((&snapshot, &uid)),
        asked_in: AskedIn { account: "123456789012".into(), region: "eu-central-1".into() },
        registrations,
        machines: &[],
        answers,
        gone_grace: GRACE,
    };
    assert!(is_refused_as(&judge(&input(&[], &answers)), "answers"));
    let earlier = Registration { versions: Versions::default(), ..says(5, RegistrationPhase::Waiting, 2, false) };
    let earlier = [earlier];
    assert!(is_refused_as(&judge(&input(&earlier, &[])), "earlier-versions"));
    let machines = [gone(5, KnownBy::Registration)];
    let input = RestoreInput { machines: &machines, ..input(&earlier, &[]) };
    assert_eq!(judge(&input), RestoreDecision::Allowed, "it is gone");
}

#[test]
fn every_refusal_says_what_to_do() {
    let uid = || Uid::parse(UUID).unwrap();
    let rows = [
        (RestoreRefusal::NoRecord, "restore the record's last version first", true),
        (RestoreRefusal::NoCluster { claim_id: claim(1) }, "is taken over by the next machine", false),
        (RestoreRefusal::Retired { cluster_id: claim(1) }, "put the record's version before that back", false),
        (RestoreRefusal::ExternalEtcd, "restore it with its own tools", false),
        (RestoreRefusal::NoSnapshot, "see 'kubeboot snapshot list', or name one by --snapshot KEY", true),
        (RestoreRefusal::OtherCluster { snapshot: uid(), record: uid() }, "choose one of this cluster", true),
        (RestoreRefusal::HolderUnknown { instance: id(1) }, "wait for it, or terminate it and try again", false),
        (RestoreRefusal::EarlierVersions { instances: vec![id(1), id(2)] }, "i-00000001, i-00000002 live with", false),
        (RestoreRefusal::Remains(RetireRefusal::NotKnown { instance: id(1) }), "try again", false),
    ];
    for (refusal, text, usage) in rows {
        assert!(refusal.to_string().contains(text), "{refusal}");
        assert_eq!(refusal.is_about_usage(), usage, "{refusal}");
    }
}
