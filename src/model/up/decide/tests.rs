//! Every row of the design's table, and each row's other side.

use super::decide;
use crate::model::machine::defect::Defect;
use crate::model::machine::etcd_data::{EtcdData, EtcdIds};
use crate::model::machine::group::{Ec2State, Group, GroupMember, Lifecycle};
use crate::model::machine::ids::{BootId, ClaimId, EtcdClusterId, InstanceId, MemberId, Nonce};
use crate::model::machine::local::{Local, Stage};
use crate::model::membership::data::DataNeeded;
use crate::model::membership::instances::{Instances, Presence};
use crate::model::membership::later_truth::LaterTruth;
use crate::model::membership::members::{Member, Members};
use crate::model::membership::registration::{Registration, RegistrationPhase, SCHEMA, Versions};
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::{ClusterRecord, Holder, Published, RecordState};
use crate::model::record::former_cluster::FormerCluster;
use crate::model::record::identity::Identity;
use crate::model::record::view::RecordView;
use crate::model::up::snapshot::{ApiServerAt, ApiServerProbe, Policy, Snapshot, SnapshotHere};
use crate::model::up::step::{Over, StandBy, Step, Stop, TakeOver, Wait, Wipe};
use std::net::IpAddr;
use std::time::Duration;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn id(n: u8) -> InstanceId {
    InstanceId::parse(format!("i-0000000{n}")).unwrap()
}

fn address(n: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, n])
}

fn claim(n: u8) -> ClaimId {
    ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
}

fn policy() -> Policy {
    Policy {
        expected_size: None,
        settle_timeout: secs(600),
        claim_stagger: secs(30),
        claim_ttl: secs(60),
        init_attempts: 3,
        gone_grace: secs(300),
        missing_grace: secs(900),
        accept_group: false,
    }
}

fn group(size: u8) -> Group {
    let member = |n| GroupMember {
        instance: id(n),
        lifecycle: Lifecycle::InService,
        healthy: true,
        ec2: Some(Ec2State::Running),
        addresses: vec![address(n)],
    };
    Group {
        name: "g".into(),
        arn: "arn:group".into(),
        desired: 3,
        zones: Vec::new(),
        retains: false,
        members: (1..=size).map(member).collect(),
    }
}

/// Machine `n` of a settled group of three, fresh, with nothing in the bucket.
fn machine(n: u8) -> Snapshot {
    Snapshot {
        me: id(n),
        addresses: vec![address(n)],
        node_name: format!("n{n}"),
        identity: Identity::sample(),
        local: Local::Fresh,
        data: EtcdData::Nothing,
        defects: Vec::new(),
        group: Some(group(3)),
        instances: Instances::default(),
        registrations: Vec::new(),
        unreadable: Vec::new(),
        record: RecordView::Absent,
        record_missing_for: Duration::ZERO,
        hash: None,
        snapshot: SnapshotHere::NotFetched,
        api_servers: ApiServerProbe::Answered(Vec::new()),
        own_claim: None,
        failed_inits: 0,
        settled_for: Some(Duration::ZERO),
        watched_for: Duration::ZERO,
        cluster: ClusterView::NotAsked,
        silent_lately: Vec::new(),
    }
}

fn found(claim_id: ClaimId, state: RecordState, unchanged_for: Duration) -> RecordView {
    let record = ClusterRecord {
        claim_id,
        generation: 1,
        identity: Identity::sample(),
        yielded: Vec::new(),
        retired_claims: Vec::new(),
        superseded: Vec::new(),
        state,
    };
    RecordView::Found { record: Box::new(record), etag: "e".into(), unchanged_for }
}

fn held_by(n: u8, claim_id: u8, unchanged_for: Duration) -> RecordView {
    let boot = BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
    found(
        claim(claim_id),
        RecordState::Initializing { holder: Some(Holder { instance: id(n), boot }), beat: 0, restoring: None },
        unchanged_for,
    )
}

fn published() -> Published {
    Published::sample(id(1))
}

/// The cluster of claim 1, initialised by machine 1.
fn ready() -> RecordView {
    found(claim(1), RecordState::Ready(published()), Duration::ZERO)
}

fn retired() -> RecordView {
    found(claim(1), RecordState::Retired(published().into()), Duration::ZERO)
}

fn half_made(owner: u8, claim_id: u8, stage: Stage) -> Local {
    Local::HalfMade { instance: id(owner), claim_id: claim(claim_id), stage }
}

fn made(owner: u8, claim_id: u8) -> Local {
    Local::Made { instance: id(owner), claim_id: claim(claim_id), member: Some(MemberId(owner.into())) }
}

/// A list of these machines: `(machine, answers)`, started voters all.
fn listed(members: &[(u8, bool)]) -> Members {
    let member = |(n, answers): &(u8, bool)| Member {
        id: MemberId(u64::from(*n)),
        name: format!("n{n}"),
        peer_addresses: vec![address(*n)],
        learner: false,
        answers: *answers,
    };
    Members(members.iter().map(member).collect())
}

/// The data of member `n`.
fn data_of(n: u8) -> EtcdData {
    EtcdData::Of(EtcdIds { member: MemberId(n.into()), cluster: EtcdClusterId(7) })
}

/// The data that an init of machine 1 under this claim has made.
fn data_of_init(claim_id: u8) -> EtcdData {
    EtcdData::Of(EtcdIds::of_init(&claim(claim_id), address(1)))
}

/// What machine `n` registered under this claim.
fn registered(n: u8, phase: RegistrationPhase, claim_id: u8, member_id: Option<u8>) -> Registration {
    Registration {
        schema: SCHEMA,
        instance: id(n),
        phase,
        claim_id: Some(claim(claim_id)),
        ready_claim: None,
        lease_nonce: None,
        node_name: String::new(),
        node_uid: None,
        provider_id: String::new(),
        addresses: Vec::new(),
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

fn decided(seen: &Snapshot) -> Step {
    decide(seen, &policy())
}

#[test]
fn who_is_no_candidate_stands_by_whatever_the_record_says() {
    let states = ["Terminating", "Terminating:Wait", "Standby", "Warmed:Running", "Detached", "SomethingNew"];
    for record in [RecordView::Absent, RecordView::Vanished, held_by(1, 1, secs(999)), ready(), retired()] {
        for state in states {
            let mut seen = Snapshot { record: record.clone(), ..machine(1) };
            seen.group.as_mut().unwrap().members[0].lifecycle = Lifecycle::parse(state);
            assert_eq!(decided(&seen), Step::StandBy(StandBy::Lifecycle(Lifecycle::parse(state))));
        }
        let nowhere = Snapshot { record: record.clone(), group: None, ..machine(1) };
        assert_eq!(decided(&nowhere), Step::StandBy(StandBy::NotInGroup));
        let elsewhere = Snapshot { record: record.clone(), ..machine(9) };
        assert_eq!(decided(&elsewhere), Step::StandBy(StandBy::NotInGroup));
        let mut unhealthy = Snapshot { record, ..machine(1) };
        unhealthy.group.as_mut().unwrap().members[0].healthy = false;
        assert_eq!(decided(&unhealthy), Step::StandBy(StandBy::Unhealthy));
    }
}

#[test]
fn state_of_another_instance_without_etcd_data_is_wiped_whatever_the_record_says() {
    let listed = ClusterView::Listed(listed(&[(1, true), (2, true)]));
    for record in [RecordView::Absent, RecordView::Vanished, held_by(1, 1, secs(0)), ready(), retired()] {
        for local in [made(9, 1), half_made(9, 1, Stage::Joining), half_made(9, 1, Stage::Initializing)] {
            for data in [EtcdData::Nothing, EtcdData::Elsewhere] {
                let seen = Snapshot { record: record.clone(), local: local.clone(), data, ..machine(1) };
                let seen = Snapshot { cluster: listed.clone(), ..seen };
                assert_eq!(decided(&seen), Step::Wipe(Wipe::AnotherInstances(id(9))));
            }
        }
    }
}

#[test]
fn data_under_another_instances_marker_goes_only_by_a_certain_list_that_does_not_need_it() {
    let list = |members| ClusterView::Listed(listed(members));
    let stop = |needed| Step::Stop(Stop::ForeignData { owner: id(9), needed });
    let wait = |why: &str| Step::Wait(Wait::ForeignData { owner: id(9), why: why.into() });
    let silent_9 = [(2, true), (3, true), (9, false)];
    // (the record, the list, whose data lies here, the step of machine 1)
    let rows = [
        // The member is not listed, or answers at its own address: nobody needs this copy.
        (ready(), list(&[(2, true), (3, true)]), data_of(9), Step::Join),
        (ready(), list(&[(2, true), (3, true), (9, true)]), data_of(9), Step::Join),
        // A listed voter's disk.
        (ready(), list(&silent_9), data_of(9), stop(Some(DataNeeded::OfMember(MemberId(9))))),
        // This machine's own data under another's marker.
        (
            ready(),
            list(&[(1, false), (2, true), (3, true)]),
            data_of(1),
            stop(Some(DataNeeded::ListedHere(MemberId(1)))),
        ),
        (
            ready(),
            list(&[(1, true), (2, true), (3, true)]),
            data_of(9),
            stop(Some(DataNeeded::ListedHere(MemberId(1)))),
        ),
        (
            ready(),
            list(&[(2, true), (3, true)]),
            EtcdData::Unreadable { why: "w".into() },
            stop(Some(DataNeeded::Unreadable { why: "w".into() })),
        ),
        // No certain list yet.
        (ready(), ClusterView::Unknown { why: "w".into() }, data_of(9), wait("w")),
        (ready(), ClusterView::NoQuorum(listed(&silent_9)), data_of(9), wait("quorum lost: 2 of 3 answers")),
        (ready(), list(&[(2, false), (3, true)]), data_of(9), wait("these voters do not answer: 2 (n2, 10.77.0.2)")),
        // Nobody to ask: it may be the last copy.
        (ready(), ClusterView::External, data_of(9), stop(None)),
        (RecordView::Absent, ClusterView::NotAsked, data_of(9), stop(None)),
        (RecordView::Vanished, ClusterView::NotAsked, data_of(9), stop(None)),
        (held_by(1, 1, secs(0)), ClusterView::NotAsked, data_of(9), stop(None)),
        (retired(), ClusterView::NotAsked, data_of(9), stop(None)),
    ];
    for (record, cluster, data, step) in rows {
        for local in [made(9, 1), half_made(9, 1, Stage::Joining), half_made(9, 1, Stage::Initializing)] {
            let (record, cluster, data) = (record.clone(), cluster.clone(), data.clone());
            let seen = Snapshot { record, cluster, data, local, ..machine(1) };
            assert_eq!(decided(&seen), step, "{seen:?}");
        }
    }
}

#[test]
fn own_state_of_another_cluster_stops() {
    let stop = |former| Step::Stop(Stop::OtherCluster { local: claim(7), former });
    let other = || FormerCluster::Other { claim_id: claim(1), generation: 1 };
    let of_7 = |state| found(claim(7), state, Duration::ZERO);
    let listed = ClusterView::Listed(listed(&[(1, true)]));
    let rows = [
        (RecordView::Absent, FormerCluster::NoRecord),
        (held_by(1, 1, secs(0)), other()),
        (held_by(2, 1, secs(999)), other()),
        (ready(), other()),
        (retired(), other()),
        (of_7(RecordState::Retired(published().into())), FormerCluster::Retired),
        (held_by(2, 7, secs(0)), FormerCluster::NotYetMade),
    ];
    for (record, former) in rows {
        for local in [made(1, 7), half_made(1, 7, Stage::Joining)] {
            let own_claim = Some(claim(1));
            let seen = Snapshot { record: record.clone(), local, own_claim, cluster: listed.clone(), ..machine(1) };
            let seen = Snapshot { record_missing_for: secs(900), ..seen };
            assert_eq!(decided(&seen), stop(former.clone()), "{:?}", seen.record);
        }
    }
    let lost_record = Snapshot { local: half_made(1, 7, Stage::Initializing), ..machine(1) };
    assert_eq!(decided(&lost_record), Step::Wait(Wait::Record), "S3 may show the record again");
    let lost_record = Snapshot { record_missing_for: secs(900), ..lost_record };
    assert_eq!(
        decided(&lost_record),
        stop(FormerCluster::NoRecord),
        "a claim was written once, so the record was deleted"
    );
}

#[test]
fn state_that_nobody_can_explain_stops() {
    let local = Local::Unexplained { found: vec!["/etc/kubernetes/admin.conf".into()] };
    for record in [RecordView::Absent, held_by(1, 1, secs(0)), ready(), retired()] {
        let seen = Snapshot { record, local: local.clone(), ..machine(1) };
        assert!(matches!(decided(&seen), Step::Stop(Stop::Unexplained { .. })));
    }
}

#[test]
fn a_record_that_is_gone_is_waited_for_and_then_an_operator_decides() {
    let gone = Snapshot { record: RecordView::Vanished, ..machine(1) };
    let voted = |phase, member_id| Snapshot { registrations: vec![registered(2, phase, 1, member_id)], ..machine(1) };
    // (what was seen, the voters that are named)
    let rows = [
        (gone, vec![]),
        (voted(RegistrationPhase::Joined, None), vec![id(2)]),
        (voted(RegistrationPhase::Leaving, None), vec![id(2)]),
        (voted(RegistrationPhase::Failed, Some(2)), vec![id(2)]),
        // A hash only follows a cluster.
        (Snapshot { hash: Some("sha256:00".into()), ..machine(1) }, vec![]),
    ];
    for (seen, voters) in rows {
        let after = |seconds| Snapshot { record_missing_for: secs(seconds), ..seen.clone() };
        for seconds in [0, 899] {
            assert_eq!(decided(&after(seconds)), Step::Wait(Wait::Record), "{:?}", seen.registrations);
        }
        assert_eq!(decided(&after(900)), Step::Stop(Stop::RecordGone { witnesses: voters }));
    }
    assert_eq!(decided(&voted(RegistrationPhase::Waiting, None)), Step::Claim(Over::Nothing), "it never had a vote");
    let mut retired = voted(RegistrationPhase::Joined, Some(2));
    retired.registrations[0].retired = true;
    assert_eq!(decided(&retired), Step::Claim(Over::Nothing), "its cluster was given up");
}

#[test]
fn an_older_version_of_the_record_makes_no_cluster() {
    let registration = |n, claim_id| LaterTruth::Registration { instance: id(n), claim_id: claim(claim_id) };
    let stop = |later| Step::Stop(Stop::RecordWentBack(later));
    let vacant = found(claim(1), RecordState::Initializing { holder: None, beat: 4, restoring: None }, secs(999));
    let claims = [held_by(1, 1, secs(0)), held_by(2, 1, secs(0)), held_by(2, 1, secs(999)), vacant];
    let proofs = [
        (RegistrationPhase::Joined, None),
        (RegistrationPhase::Left, Some(3)),
        (RegistrationPhase::Reaped, Some(3)),
        (RegistrationPhase::Leaving, Some(3)),
    ];
    for record in claims.clone() {
        for own_claim in [None, Some(claim(1))] {
            let base = Snapshot { record: record.clone(), own_claim, ..machine(1) };
            for (phase, member_id) in proofs {
                let seen = Snapshot { registrations: vec![registered(3, phase, 1, member_id)], ..base.clone() };
                assert_eq!(decided(&seen), stop(registration(3, 1)), "{phase:?}");
            }
            let hash = Snapshot { hash: Some("sha256:00".into()), ..base.clone() };
            assert_eq!(decided(&hash), stop(LaterTruth::Hash));
            // Also of a cluster that was given up since.
            let mut given_up = registered(3, RegistrationPhase::Joined, 1, Some(3));
            given_up.retired = true;
            let seen = Snapshot { registrations: vec![given_up], ..base.clone() };
            assert_eq!(decided(&seen), stop(registration(3, 1)));
            // A machine that saw it ready tells of it in every phase, and of every other cluster that was not given up.
            for (phase, told) in
                [(RegistrationPhase::Failed, 1), (RegistrationPhase::Waiting, 1), (RegistrationPhase::Waiting, 2)]
            {
                let found = Registration { ready_claim: Some(claim(told)), ..registered(3, phase, 1, None) };
                let seen = Snapshot { registrations: vec![found], ..base.clone() };
                assert_eq!(decided(&seen), stop(registration(3, told)), "{phase:?} {told}");
            }
            let member_of_another = vec![registered(3, RegistrationPhase::Joined, 2, Some(3))];
            let another = Snapshot { registrations: member_of_another, ..base.clone() };
            assert_eq!(decided(&another), stop(registration(3, 2)));
            // Neither an init that was cut off and goes down, nor a cluster that was given up before this claim.
            let harmless = [
                (registered(3, RegistrationPhase::Left, 1, None), Vec::new()),
                (registered(3, RegistrationPhase::Leaving, 1, None), Vec::new()),
                (registered(3, RegistrationPhase::Initializing, 1, None), Vec::new()),
                (registered(3, RegistrationPhase::Joined, 2, Some(3)), vec![claim(2)]),
                (Registration { retired: true, ..registered(3, RegistrationPhase::Joined, 2, Some(3)) }, Vec::new()),
            ];
            for (found, retired_claims) in harmless {
                let RecordView::Found { mut record, etag, unchanged_for } = base.record.clone() else { unreachable!() };
                record.retired_claims = retired_claims;
                let record = RecordView::Found { record, etag, unchanged_for };
                let seen = Snapshot { registrations: vec![found], record, ..base.clone() };
                assert!(!matches!(decided(&seen), Step::Stop(_)), "{seen:?}");
            }
        }
    }
    // A retired cluster explains its own machines and its own hash, and no others.
    let later = |n, claim_id| vec![registered(n, RegistrationPhase::Joined, claim_id, Some(n))];
    let over = |registrations, hash: Option<&str>| Snapshot {
        record: retired(),
        registrations,
        hash: hash.map(str::to_owned),
        ..machine(1)
    };
    assert_eq!(decided(&over(later(3, 2), None)), stop(registration(3, 2)));
    for phase in [RegistrationPhase::Failed, RegistrationPhase::Waiting] {
        let voter = vec![registered(3, phase, 2, Some(3))];
        assert_eq!(
            decided(&over(voter, None)),
            stop(registration(3, 2)),
            "a stopped voter of the version before: {phase:?}"
        );
    }
    assert_eq!(decided(&over(later(3, 1), None)), Step::Claim(Over::Retired));
    assert_eq!(decided(&over(Vec::new(), Some("sha256:00"))), Step::Claim(Over::Retired));
    assert_eq!(decided(&over(Vec::new(), Some("sha256:01"))), stop(LaterTruth::Hash));
    let mut lost = found(claim(9), RecordState::Retired(None), Duration::ZERO);
    if let RecordView::Found { record, .. } = &mut lost {
        record.retired_claims = vec![claim(2)];
    }
    let seen = Snapshot { record: lost, ..over(later(3, 2), Some("sha256:01")) };
    assert_eq!(decided(&seen), Step::Claim(Over::Retired), "what was given up with a lost record is named in it");
}

#[test]
fn nobody_claims_over_nothing_beside_an_api_server_that_answers() {
    let at = vec![
        ApiServerAt { instance: None, address: "api:6443".into() },
        ApiServerAt { instance: Some(id(2)), address: "10.77.0.2:6443".into() },
    ];
    for (record, over) in [(RecordView::Absent, Over::Nothing), (retired(), Over::Retired)] {
        let base = Snapshot { record, ..machine(1) };
        let answered =
            |at: &[ApiServerAt]| Snapshot { api_servers: ApiServerProbe::Answered(at.into()), ..base.clone() };
        for one in [&at[..], &at[..1], &at[1..]] {
            assert_eq!(decided(&answered(one)), Step::Stop(Stop::ClusterAnswers { at: one.into() }));
            let unsettled = Snapshot { settled_for: None, group: Some(group(2)), ..answered(one) };
            assert!(matches!(decided(&unsettled), Step::Stop(Stop::ClusterAnswers { .. })), "before the group settles");
        }
        assert_eq!(decided(&answered(&[])), Step::Claim(over));
        let pending = Snapshot { api_servers: ApiServerProbe::Pending, ..base.clone() };
        assert_eq!(decided(&pending), Step::Wait(Wait::ApiServers));
        let unsettled = Snapshot { settled_for: None, group: Some(group(2)), ..pending };
        assert!(matches!(decided(&unsettled), Step::Wait(Wait::Settle { .. })), "both are waited for at once");
    }
    // An API server that a claim of this record started is no other cluster.
    for record in [held_by(2, 1, secs(999)), ready()] {
        let seen = Snapshot { record, api_servers: ApiServerProbe::Answered(at.clone()), ..machine(1) };
        assert!(!matches!(decided(&seen), Step::Stop(_)));
    }
}

#[test]
fn what_an_init_left_is_wiped_only_where_the_data_is_that_inits() {
    let ours = |record, data| Snapshot { record, data, local: half_made(1, 7, Stage::Initializing), ..machine(1) };
    let mine = found(claim(7), RecordState::Initializing { holder: None, beat: 0, restoring: None }, Duration::ZERO);
    for record in [held_by(2, 1, secs(0)), mine, ready(), retired()] {
        for data in [EtcdData::Nothing, EtcdData::Elsewhere, data_of_init(7)] {
            assert!(matches!(decided(&ours(record.clone(), data)), Step::Wipe(_)), "{record:?}");
        }
        for data in [data_of(1), data_of_init(1), EtcdData::Unreadable { why: "w".into() }] {
            let stop = Step::Stop(Stop::ForeignData { owner: id(1), needed: None });
            assert_eq!(decided(&ours(record.clone(), data)), stop, "{record:?}");
        }
    }
}

#[test]
fn a_member_whose_data_is_gone_joins_anew_where_the_others_can_remove_it_and_waits_else() {
    let list = |members| ClusterView::Listed(listed(members));
    let wait = |why: &str| Step::Wait(Wait::DataGone { why: why.into() });
    let rows = [
        (list(&[(1, false), (2, true), (3, true)]), Step::Rejoin),
        (list(&[(2, true), (3, true)]), Step::Wipe(Wipe::NotListed)),
        (list(&[(1, true), (2, false)]), wait("these voters do not answer: 2 (n2, 10.77.0.2)")),
        (ClusterView::NoQuorum(listed(&[(1, false), (2, true), (3, false)])), wait("quorum lost: 1 of 3 answers")),
        (ClusterView::Unknown { why: "w".into() }, wait("w")),
        (ClusterView::NotAsked, wait("they have not been asked yet")),
    ];
    for local in [made(1, 1), half_made(1, 1, Stage::Initializing)] {
        for (cluster, step) in rows.clone() {
            let seen = Snapshot { record: ready(), local: local.clone(), cluster, ..machine(1) };
            assert_eq!(decided(&seen), step, "{seen:?}");
        }
    }
    assert!(Wait::DataGone { why: String::new() }.needs_operator_at_deadline());
}

#[test]
fn a_member_with_the_data_of_another_one_is_not_kept() {
    let members = ClusterView::Listed(listed(&[(1, true), (2, true), (3, true)]));
    let of = |data| Snapshot { record: ready(), local: made(1, 1), cluster: members.clone(), data, ..machine(1) };
    assert_eq!(decided(&of(data_of(1))), Step::Keep);
    assert_eq!(decided(&of(EtcdData::Unreadable { why: "w".into() })), Step::Keep, "nobody knows that it is another's");
    for found in [2, 9] {
        let stop = Stop::DataOfAnother { found: MemberId(found.into()), listed: MemberId(1) };
        assert_eq!(decided(&of(data_of(found))), Step::Stop(stop));
    }
}

#[test]
fn where_nobody_lists_it_the_marker_says_whose_data_it_should_be() {
    let (found, own) = (MemberId(2), MemberId(1));
    let of = |local, cluster, data| Snapshot { record: ready(), local, cluster, data, ..machine(1) };
    let unmarked = || Local::Made { instance: id(1), claim_id: claim(1), member: None };
    let silent = || ClusterView::Unknown { why: "w".into() };
    let two_swapped = || ClusterView::NoQuorum(listed(&[(1, false), (2, false), (3, true)]));
    for (cluster, why) in [(silent(), "w"), (two_swapped(), "quorum lost: 1 of 3 answers")] {
        let other = Step::Wait(Wait::DataOfAnother { found, own, why: why.into() });
        assert_eq!(decided(&of(made(1, 1), cluster.clone(), data_of(2))), other);
        for plain in [of(made(1, 1), cluster.clone(), data_of(1)), of(unmarked(), cluster, data_of(2))] {
            assert!(matches!(decided(&plain), Step::Wait(Wait::Cluster { .. } | Wait::Quorum { .. })), "{plain:?}");
        }
    }
    // What is certainly listed counts more than a marker.
    let members = ClusterView::Listed(listed(&[(1, true), (2, true), (3, true)]));
    let older = Local::Made { instance: id(1), claim_id: claim(1), member: Some(MemberId(9)) };
    assert_eq!(decided(&of(older, members, data_of(1))), Step::Keep);
}

#[test]
fn a_machine_with_a_defect_begins_nothing_and_ends_and_cleans_up_what_it_has_begun() {
    let defects = vec![Defect::new("no runtime", "start it")];
    let cluster = ClusterView::Listed(listed(&[(2, true), (3, true)]));
    let own = Some(claim(1));
    // Record, own claim, disk, and whether it waits to be mended.
    let rows = [
        (RecordView::Absent, None, Local::Fresh, true),
        (retired(), None, Local::Fresh, true),
        (held_by(9, 1, secs(999)), None, Local::Fresh, true),
        (held_by(1, 1, Duration::ZERO), None, Local::Fresh, true),
        (ready(), None, Local::Fresh, true),
        // Another candidate follows only when a claim that this process holds is given up, and what an attempt left is in the way.
        (held_by(1, 1, Duration::ZERO), own.clone(), Local::Fresh, false),
        (held_by(1, 2, Duration::ZERO), Some(claim(2)), half_made(1, 1, Stage::Initializing), false),
        (ready(), None, half_made(1, 1, Stage::Joining), false),
        (held_by(2, 1, Duration::ZERO), None, Local::Fresh, false),
    ];
    for (record, own_claim, local, waits) in rows {
        let seen = Snapshot { record, own_claim, local, cluster: cluster.clone(), ..machine(1) };
        let well = decided(&seen);
        assert_eq!(well.wants_fit_machine(&seen.local), waits, "{well}");
        let seen = Snapshot { defects: defects.clone(), ..seen };
        let expected = if waits { Step::Wait(Wait::Unfit { defects: defects.clone() }) } else { well };
        assert_eq!(decided(&seen), expected, "{seen:?}");
    }
    let emptied = Snapshot { record: ready(), local: made(1, 1), data: EtcdData::Nothing, ..machine(1) };
    let emptied = Snapshot { cluster: ClusterView::Listed(listed(&[(1, false), (2, true), (3, true)])), ..emptied };
    assert_eq!(decided(&emptied), Step::Rejoin);
    let unmounted = Snapshot { defects: vec![Defect::new("the volume", "mount it")], ..emptied };
    let Step::Wait(Wait::DataGone { why }) = decided(&unmounted) else {
        panic!("its volume comes later: {unmounted:?}")
    };
    assert!(why.contains("the volume") && why.contains("mount it"), "{why}");
    let member = Snapshot { record: ready(), local: made(1, 1), data: data_of(1), ..machine(1) };
    let member = Snapshot { cluster: ClusterView::Listed(listed(&[(1, true)])), defects, ..member };
    assert_eq!(decided(&member), Step::Keep, "a member is judged by its cluster");
}

#[test]
fn nothing_makes_a_cluster_beside_a_registration_that_says_nothing() {
    let bases = [
        (RecordView::Absent, None),
        (retired(), None),
        (held_by(1, 1, Duration::ZERO), Some(claim(1))),
        (held_by(1, 1, Duration::ZERO), None),
        (held_by(9, 1, secs(999)), None),
    ];
    for (record, own_claim) in bases {
        let seen = Snapshot { record, own_claim, ..machine(1) };
        assert!(decided(&seen).makes_a_cluster(), "{seen:?}");
        let seen = Snapshot { unreadable: vec![id(7)], ..seen };
        assert_eq!(decided(&seen), Step::Wait(Wait::Registrations { instances: vec![id(7)] }));
        // Nor while nobody here knows what a machine's phase means.
        let phase = serde_json::from_str("\"hibernating\"").unwrap();
        let later = Registration { phase, claim_id: None, ..registered(8, RegistrationPhase::Waiting, 1, None) };
        let seen = Snapshot { registrations: vec![later.clone()], ..seen };
        assert_eq!(decided(&seen), Step::Wait(Wait::Registrations { instances: vec![id(7), id(8)] }));
        let retired = Registration { retired: true, ..later };
        let seen = Snapshot { registrations: vec![retired], unreadable: Vec::new(), ..seen };
        assert!(decided(&seen).makes_a_cluster(), "{seen:?}");
    }
    let members = ClusterView::Listed(listed(&[(2, true)]));
    let joins = Snapshot { record: ready(), cluster: members, unreadable: vec![id(7)], ..machine(1) };
    assert_eq!(decided(&joins), Step::Join, "with a cluster they are hints");
}

#[test]
fn what_an_init_left_stays_beside_the_hash_of_another_cluster_than_the_ready_records() {
    // The record of a cluster that was given up is back, and nobody has registered the flip of what lies here.
    let of = |hash: Option<&str>| Snapshot {
        record: ready(),
        data: data_of_init(7),
        hash: hash.map(str::to_owned),
        local: half_made(1, 7, Stage::Initializing),
        ..machine(1)
    };
    assert_eq!(decided(&of(Some("sha256:01"))), Step::Stop(Stop::RecordWentBack(LaterTruth::Hash)));
    for hash in [None, Some("sha256:00")] {
        assert_eq!(decided(&of(hash)), Step::Wipe(Wipe::Deposed(claim(7))), "{hash:?}");
    }
    let fresh =
        Snapshot { cluster: ClusterView::Listed(listed(&[(2, true)])), local: Local::Fresh, ..of(Some("sha256:01")) };
    assert_eq!(decided(&fresh), Step::Join, "nobody decides by the hash alone");
}

#[test]
fn what_an_init_left_stays_where_somebody_says_that_its_cluster_was_made() {
    let local = half_made(1, 2, Stage::Initializing);
    let of = |registrations, record| Snapshot {
        record,
        local: local.clone(),
        data: data_of_init(2),
        registrations,
        ..machine(1)
    };
    let deposed = Step::Wipe(Wipe::Deposed(claim(2)));
    assert_eq!(decided(&of(vec![registered(3, RegistrationPhase::Waiting, 2, None)], ready())), deposed);
    let saw = Registration { ready_claim: Some(claim(2)), ..registered(3, RegistrationPhase::Waiting, 1, None) };
    for told in [saw, registered(3, RegistrationPhase::Joined, 2, Some(3))] {
        let later = LaterTruth::Registration { instance: id(3), claim_id: claim(2) };
        assert_eq!(decided(&of(vec![told.clone()], ready())), Step::Stop(Stop::RecordWentBack(later)), "{told:?}");
        let RecordView::Found { mut record, etag, unchanged_for } = ready() else { panic!("it is found") };
        record.retired_claims = [claim(2)].into();
        assert_eq!(decided(&of(vec![told], RecordView::Found { record, etag, unchanged_for })), deposed, "given up");
    }
}

#[test]
fn data_of_another_etcd_is_no_affair_of_this_list() {
    let of = |local| Snapshot {
        record: ready(),
        local,
        cluster: ClusterView::Listed(listed(&[(2, true), (3, true), (4, true)])),
        data: EtcdData::Of(EtcdIds { member: MemberId(9), cluster: EtcdClusterId(8) }),
        ..machine(1)
    };
    let needed = || DataNeeded::OfAnotherCluster(EtcdClusterId(8));
    assert_eq!(decided(&of(made(1, 1))), Step::Stop(Stop::DataNeeded(needed())));
    let foreign = Stop::ForeignData { owner: id(9), needed: Some(needed()) };
    assert_eq!(decided(&of(made(9, 5))), Step::Stop(foreign));
}

#[test]
fn a_stop_lets_the_launch_hook_run_out_and_a_wait_keeps_it() {
    assert!(!Step::Stop(Stop::RecordGone { witnesses: vec![] }).keeps_hook_alive());
    for step in [Step::Wait(Wait::Quorum { answering: 1, voters: 3 }), Step::StandBy(StandBy::NotInGroup), Step::Join] {
        assert!(step.keeps_hook_alive(), "{step}");
    }
}

#[test]
fn what_proves_a_cluster_is_read_right_before_another_is_made_and_again_before_the_record_is_called_old() {
    let behind = || Step::Stop(Stop::RecordWentBack(LaterTruth::Hash));
    for step in [
        Step::Claim(Over::Nothing),
        Step::TakeOver(TakeOver::Terminated(id(2))),
        Step::Resume,
        Step::Init,
        Step::Restore,
    ] {
        assert!(step.wants_anew(true) && !step.wants_anew(false), "{step}");
    }
    assert!(
        behind().wants_anew(true) && behind().wants_anew(false),
        "a flip may have come between record and evidence"
    );
    for deposed in [Wipe::Deposed(claim(1)), Wipe::Superseded(claim(1))].map(Step::Wipe) {
        assert!(deposed.wants_anew(true) && !deposed.wants_anew(false), "whether its cluster was made");
    }
    for step in [Step::Join, Step::Keep, Step::Wait(Wait::Record), Step::Stop(Stop::RecordGone { witnesses: vec![] })] {
        assert!(!step.wants_anew(true), "{step}");
    }
}

#[test]
fn a_member_that_is_not_listed_keeps_data_that_a_listed_one_needs() {
    let list = |members| ClusterView::Listed(listed(members));
    let of = |cluster, data| Snapshot { record: ready(), local: made(1, 1), cluster, data, ..machine(1) };
    let without_me = || list(&[(2, true), (3, true), (4, false)]);
    assert_eq!(decided(&of(without_me(), data_of(1))), Step::Wipe(Wipe::NotListed));
    assert_eq!(decided(&of(without_me(), data_of(2))), Step::Wipe(Wipe::NotListed), "member 2 answers elsewhere");
    let stop = |needed| Step::Stop(Stop::DataNeeded(needed));
    assert_eq!(decided(&of(without_me(), data_of(4))), stop(DataNeeded::OfMember(MemberId(4))));
    let unreadable = EtcdData::Unreadable { why: "w".into() };
    assert_eq!(decided(&of(without_me(), unreadable)), stop(DataNeeded::Unreadable { why: "w".into() }));
}

#[test]
fn without_a_cluster_the_settled_group_claims_by_rank() {
    for (record, over) in [(RecordView::Absent, Over::Nothing), (retired(), Over::Retired)] {
        // (machine, settled for, step)
        let rows = [
            (1, 0, Step::Claim(over.clone())),
            (2, 0, Step::Wait(Wait::Turn { rank: 1, left: secs(30) })),
            (2, 29, Step::Wait(Wait::Turn { rank: 1, left: secs(1) })),
            (2, 30, Step::Claim(over.clone())),
            (3, 59, Step::Wait(Wait::Turn { rank: 2, left: secs(1) })),
            (3, 60, Step::Claim(over.clone())),
        ];
        for (n, settled_for, step) in rows {
            let seen = Snapshot { record: record.clone(), settled_for: Some(secs(settled_for)), ..machine(n) };
            assert_eq!(decided(&seen), step, "machine {n} after {settled_for}s");
        }
    }
}

#[test]
fn a_group_that_does_not_match_is_waited_for_and_then_taken_as_it_is() {
    // (candidates, expected by setting, watched for, step)
    let settle = |candidates, expected| Step::Wait(Wait::Settle { candidates, expected });
    let rows = [
        (2, None, 0, settle(2, 3)),
        (4, None, 599, settle(4, 3)),
        (3, Some(5), 599, settle(3, 5)),
        (2, None, 600, Step::Claim(Over::Nothing)),
        (4, None, 600, Step::Claim(Over::Nothing)),
        (5, Some(5), 0, Step::Claim(Over::Nothing)),
    ];
    for (size, expected_size, watched_for, step) in rows {
        let seen = Snapshot { group: Some(group(size)), watched_for: secs(watched_for), ..machine(1) };
        let policy = Policy { expected_size, ..policy() };
        assert_eq!(decide(&seen, &policy), step, "{size} of {expected_size:?} after {watched_for}s");
    }
    let second = Snapshot { group: Some(group(2)), watched_for: secs(629), settled_for: None, ..machine(2) };
    assert_eq!(decided(&second), Step::Wait(Wait::Turn { rank: 1, left: secs(1) }), "turns count from the time-out");
}

#[test]
fn a_retired_record_binds_nobody_but_follows_every_claim() {
    let foreign = Snapshot {
        identity: Identity { endpoint: "other:1".into(), ..Identity::sample() },
        record: retired(),
        ..machine(1)
    };
    assert_eq!(decided(&foreign), Step::Claim(Over::Retired));
    let left_over = Snapshot { local: half_made(1, 7, Stage::Initializing), record: retired(), ..machine(1) };
    assert_eq!(decided(&left_over), Step::Wipe(Wipe::Deposed(claim(7))));
}

#[test]
fn an_own_claim_is_taken_over_before_anything_else() {
    let record = held_by(1, 1, secs(0));
    for local in [Local::Fresh, half_made(1, 1, Stage::Initializing), half_made(1, 7, Stage::Initializing)] {
        for own_claim in [None, Some(claim(7))] {
            let seen = Snapshot { record: record.clone(), local: local.clone(), own_claim, ..machine(1) };
            assert_eq!(decided(&seen), Step::Resume);
        }
    }
    let mine = |local, failed_inits| Snapshot {
        record: record.clone(),
        own_claim: Some(claim(1)),
        local,
        failed_inits,
        ..machine(1)
    };
    assert_eq!(decided(&mine(Local::Fresh, 0)), Step::Init);
    assert_eq!(decided(&mine(Local::Fresh, 2)), Step::Init);
    assert_eq!(decided(&mine(Local::Fresh, 3)), Step::Yield);
    assert_eq!(
        decided(&mine(half_made(1, 1, Stage::Initializing), 3)),
        Step::Wipe(Wipe::FailedInit),
        "wiped before stepping down"
    );
    assert_eq!(decided(&mine(half_made(1, 7, Stage::Initializing), 0)), Step::Wipe(Wipe::Deposed(claim(7))));
}

#[test]
fn a_beating_holder_is_waited_for_and_a_dead_one_followed_by_rank() {
    let terminated = Instances([(id(1), Presence::State(Ec2State::Terminated))].into());
    let absent = Instances([(id(1), Presence::AbsentFor(secs(9999)))].into());
    let silent = |seconds| Step::TakeOver(TakeOver::Silent(id(1), secs(seconds)));
    // (machine, EC2, unchanged for, step)
    let rows = [
        (2, &Instances::default(), 59, Step::Wait(Wait::Holder { instance: id(1) })),
        (2, &absent, 59, Step::Wait(Wait::Holder { instance: id(1) })),
        (2, &Instances::default(), 60, silent(60)),
        (3, &Instances::default(), 60, Step::Wait(Wait::Turn { rank: 1, left: secs(30) })),
        (3, &Instances::default(), 90, silent(90)),
        (2, &terminated, 0, Step::TakeOver(TakeOver::Terminated(id(1)))),
        (3, &terminated, 29, Step::Wait(Wait::Turn { rank: 1, left: secs(1) })),
        (3, &terminated, 30, Step::TakeOver(TakeOver::Terminated(id(1)))),
    ];
    for (n, instances, unchanged_for, step) in rows {
        let seen = Snapshot { record: held_by(1, 1, secs(unchanged_for)), instances: instances.clone(), ..machine(n) };
        assert_eq!(decided(&seen), step, "machine {n} after {unchanged_for}s");
    }
}

#[test]
fn a_deposed_holder_wipes_and_goes_on_as_anybody_else() {
    let local = half_made(1, 7, Stage::Initializing);
    for record in [held_by(2, 1, secs(0)), held_by(2, 1, secs(999)), ready()] {
        let seen = Snapshot { record, local: local.clone(), ..machine(1) };
        assert_eq!(decided(&seen), Step::Wipe(Wipe::Deposed(claim(7))));
    }
}

#[test]
fn after_a_yield_the_others_try_first() {
    let vacant = |unchanged_for| {
        let record =
            found(claim(1), RecordState::Initializing { holder: None, beat: 4, restoring: None }, unchanged_for);
        let RecordView::Found { mut record, etag, unchanged_for } = record else { unreachable!("just made") };
        record.yielded = vec![id(1)];
        RecordView::Found { record, etag, unchanged_for }
    };
    let turn = |rank, left| Step::Wait(Wait::Turn { rank, left: secs(left) });
    let rows = [
        (2, 0, Step::Claim(Over::Vacant)),
        (3, 29, turn(1, 1)),
        (3, 30, Step::Claim(Over::Vacant)),
        (1, 89, turn(2, 1)),
        (1, 90, Step::Claim(Over::Vacant)),
    ];
    for (n, unchanged_for, step) in rows {
        assert_eq!(decided(&Snapshot { record: vacant(secs(unchanged_for)), ..machine(n) }), step, "machine {n}");
    }
    let left_over = Snapshot { record: vacant(secs(0)), local: half_made(1, 1, Stage::Initializing), ..machine(1) };
    assert_eq!(decided(&left_over), Step::Wipe(Wipe::FailedInit));
}

#[test]
fn a_member_of_a_ready_cluster_is_kept_wiped_or_waits_by_what_the_list_says() {
    let all = listed(&[(1, true), (2, true), (3, true)]);
    let without_me = listed(&[(2, true), (3, true)]);
    let mut learner = all.clone();
    learner.0[0].learner = true;
    let rows = [
        (ClusterView::Listed(all.clone()), Step::Keep),
        (ClusterView::External, Step::Keep),
        (ClusterView::Listed(without_me.clone()), Step::Wipe(Wipe::NotListed)),
        (ClusterView::Listed(learner), Step::Wait(Wait::OwnMember)),
        (ClusterView::NoQuorum(without_me), Step::Wait(Wait::Quorum { answering: 2, voters: 2 })),
        (ClusterView::Unknown { why: "w".into() }, Step::Wait(Wait::Cluster { why: "w".into() })),
    ];
    // The flip has landed and nobody lived to write it down: the same as a member.
    for local in [made(1, 1), half_made(1, 1, Stage::Initializing)] {
        for (cluster, step) in rows.clone() {
            let seen = Snapshot { record: ready(), local: local.clone(), cluster, data: data_of(1), ..machine(1) };
            assert_eq!(decided(&seen), step, "{local:?}");
        }
    }
}

#[test]
fn who_is_no_member_joins_a_cluster_with_a_quorum_and_never_touches_one_without() {
    let unknown = ClusterView::Unknown { why: "w".into() };
    let rows = [
        (ClusterView::Listed(listed(&[(1, true)])), Step::Join),
        (ClusterView::Listed(listed(&[(1, true), (3, true), (4, false)])), Step::Join),
        (
            ClusterView::Listed(listed(&[(1, true), (3, false), (4, false)])),
            Step::Wait(Wait::Voters { silent: listed(&[(3, false), (4, false)]).silent() }),
        ),
        (ClusterView::NoQuorum(listed(&[(1, true), (3, false)])), Step::Wait(Wait::Quorum { answering: 1, voters: 2 })),
        (ClusterView::External, Step::Join),
        (unknown, Step::Wait(Wait::Cluster { why: "w".into() })),
    ];
    for local in [Local::Fresh, half_made(2, 1, Stage::Joining)] {
        for (cluster, step) in rows.clone() {
            let seen = Snapshot { record: ready(), local: local.clone(), cluster, ..machine(2) };
            assert_eq!(decided(&seen), step, "{local:?}");
        }
        // Who is starting keeps nobody out of a cluster that can be read through its quorum.
        let silent = listed(&[(1, true), (3, false)]);
        let rows = [
            (ClusterView::Listed(silent.clone()), Step::Join),
            (ClusterView::NoQuorum(silent), Step::Wait(Wait::Quorum { answering: 1, voters: 2 })),
        ];
        for (cluster, step) in rows {
            let registrations = vec![registered(3, RegistrationPhase::Joining, 1, Some(3))];
            let silent_lately = vec![MemberId(3)];
            let seen = Snapshot { record: ready(), local: local.clone(), cluster, ..machine(2) };
            let seen = Snapshot { registrations, silent_lately, ..seen };
            assert_eq!(decided(&seen), step, "{local:?}");
        }
    }
    assert!(Wait::Quorum { answering: 1, voters: 3 }.needs_operator_at_deadline());
}

#[test]
fn nobody_initialises_over_a_ready_record_even_when_every_voter_is_gone() {
    let gone = |n| (id(n), Presence::State(Ec2State::Terminated));
    let registration = |n, phase, member_id| registered(n, phase, 1, member_id);
    let base = Snapshot {
        record: ready(),
        cluster: ClusterView::Unknown { why: "w".into() },
        registrations: vec![
            registration(1, RegistrationPhase::Joined, None),
            registration(4, RegistrationPhase::Failed, Some(4)),
            registration(2, RegistrationPhase::Waiting, None),
        ],
        instances: Instances([gone(1), gone(4)].into()),
        ..machine(2)
    };
    assert_eq!(decided(&base), Step::Stop(Stop::AllVotersGone { instances: vec![id(1), id(4)] }));
    let wait = Step::Wait(Wait::Cluster { why: "w".into() });
    let one_lives = Instances([gone(1), (id(4), Presence::State(Ec2State::Stopped))].into());
    assert_eq!(decided(&Snapshot { instances: one_lives, ..base.clone() }), wait);
    let one_unseen = Instances([gone(4)].into());
    assert_eq!(decided(&Snapshot { instances: one_unseen, ..base.clone() }), wait);
    let began_to_join = |n| {
        let nonce = Nonce::parse("00000000-0000-4000-8000-000000000001").unwrap();
        Registration { lease_nonce: Some(nonce), ..registration(n, RegistrationPhase::Joining, None) }
    };
    let with = |found| Snapshot { registrations: [base.registrations.clone(), vec![found]].concat(), ..base.clone() };
    assert_eq!(decided(&with(began_to_join(3))), wait, "it may be a voter that could not say so");
    let own = Step::Stop(Stop::AllVotersGone { instances: vec![id(1), id(4)] });
    assert_eq!(decided(&with(began_to_join(2))), own, "this machine knows its own disk");
    let i_was_one = Snapshot { local: made(2, 1), data: data_of(2), ..base };
    assert_eq!(decided(&i_was_one), wait, "who has the data waits for the cluster to come back");
}

#[test]
fn a_record_of_another_identity_is_a_settings_error_and_of_another_group_an_operators() {
    type Change = fn(&mut Identity);
    let changes: [(&str, Change); 4] = [
        ("account", |identity| identity.account = "x".into()),
        ("region", |identity| identity.region = "x".into()),
        ("endpoint", |identity| identity.endpoint = "x".into()),
        ("service_subnet", |identity| identity.service_subnet = "x".into()),
    ];
    for record in [ready(), held_by(1, 1, secs(999))] {
        for (field, change) in changes {
            let mut seen = Snapshot { record: record.clone(), ..machine(1) };
            change(&mut seen.identity);
            let Step::Stop(stop) = decided(&seen) else { panic!("{field} did not stop") };
            assert!(stop.is_about_settings());
            assert!(stop.to_string().contains(field), "{stop}");
        }
        let mut seen = Snapshot { record, ..machine(1) };
        seen.identity.group_arn = "arn:other".into();
        let Step::Stop(stop @ Stop::OtherGroup(_)) = decided(&seen) else { panic!("the group did not stop") };
        assert!(!stop.is_about_settings());
        assert_eq!(decide(&seen, &Policy { accept_group: true, ..policy() }), Step::AcceptGroup);
    }
}

#[test]
fn two_machines_that_live_are_not_one_node() {
    use Ec2State::{Running, ShuttingDown};
    use Lifecycle::InService;
    use RegistrationPhase::{Joined, Left, Waiting};
    let terminating = || Lifecycle::Other("Terminating".into());
    let stop = || Step::Stop(Stop::NameShared { other: id(1), node_name: "n2".into() });
    let rows = [
        // The other's name, its phase, what group and EC2 say of it, whether that is in the way.
        ("n2", Waiting, InService, Some(Running), true),
        ("n2", Joined, InService, Some(Running), true),
        ("n1", Joined, InService, Some(Running), false),
        ("n2", Left, InService, Some(Running), false),
        ("n2", Joined, terminating(), Some(Running), false),
        ("n2", Joined, InService, Some(ShuttingDown), false),
        ("n2", Joined, InService, None, false),
    ];
    for (name, phase, lifecycle, ec2, in_the_way) in rows {
        let mut seen = Snapshot {
            record: ready(),
            cluster: ClusterView::Listed(listed(&[(1, true)])),
            registrations: vec![
                Registration { node_name: "n2".into(), ..registered(2, Waiting, 1, None) },
                Registration { node_name: name.into(), ..registered(1, phase, 1, None) },
            ],
            ..machine(2)
        };
        let other = &mut seen.group.as_mut().unwrap().members[0];
        (other.lifecycle, other.ec2) = (lifecycle, ec2);
        assert_eq!(decided(&seen) == stop(), in_the_way, "{name} {phase:?}: {:?}", decided(&seen));
        seen.local = made(2, 1);
        seen.cluster = ClusterView::Listed(listed(&[(1, true), (2, true)]));
        assert_ne!(decided(&seen), stop(), "a member keeps what it has");
    }
    assert!(Stop::NameShared { other: id(1), node_name: "n2".into() }.is_about_settings());
}

#[test]
fn every_step_has_its_name_in_the_list() {
    let steps = [
        Step::StandBy(StandBy::NotInGroup),
        Step::Wait(Wait::OwnMember),
        Step::Wipe(Wipe::NotListed),
        Step::Claim(Over::Nothing),
        Step::TakeOver(TakeOver::Terminated(id(1))),
        Step::Resume,
        Step::Init,
        Step::Restore,
        Step::Yield,
        Step::AcceptGroup,
        Step::Rejoin,
        Step::Join,
        Step::SetAside { claim_id: claim(1) },
        Step::Keep,
        Step::Stop(Stop::RecordGone { witnesses: Vec::new() }),
    ];
    assert_eq!(steps.each_ref().map(Step::name), Step::NAMES);
}

mod saved;
