//! Plans of a machine that leaves, for clusters in every state.

use super::*;
use crate::model::machine::ids::ClaimId;
use crate::model::machine::local::Stage;
use crate::model::membership::reaping::{KeepReason, RemovalReason};

fn id(n: u8) -> InstanceId {
    InstanceId::parse(format!("i-0000000{n}")).unwrap()
}

fn address(n: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, n])
}

fn made(owner: u8) -> Local {
    Local::Made { instance: id(owner), claim_id: claim(), member: None }
}

fn claim() -> ClaimId {
    ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap()
}

/// `V` answering voter, `v` silent voter, `L`/`l` the same for learners; IDs and addresses count from 1.
fn members(pattern: &str) -> Members {
    let all = pattern.chars().zip(1u8..).map(|(c, n)| Member {
        id: MemberId(n.into()),
        name: format!("n{n}"),
        peer_addresses: vec![address(n)],
        learner: c.eq_ignore_ascii_case(&'l'),
        answers: c.is_uppercase(),
    });
    Members(all.collect())
}

/// What asking such a cluster gives.
fn listed(pattern: &str) -> ClusterView {
    let members = members(pattern);
    if members.has_quorum() { ClusterView::Listed(members) } else { ClusterView::NoQuorum(members) }
}

/// The verdicts when EC2 says that these machines are gone.
fn gone(cluster: &ClusterView, machines: &[u8]) -> Vec<(Member, ReapVerdict)> {
    let (ClusterView::Listed(members) | ClusterView::NoQuorum(members)) = cluster else { return Vec::new() };
    let judge = |member: &Member| match machines.iter().find(|n| member.id == MemberId(u64::from(**n))) {
        Some(n) => ReapVerdict::Remove(RemovalReason::Gone(id(*n))),
        None => ReapVerdict::Keep(KeepReason::Answers),
    };
    members.0.iter().map(|member| (member.clone(), judge(member))).collect()
}

/// The plan of machine `me` in such a cluster, which another one leads.
fn planned(me: u8, local: &Local, cluster: &ClusterView, dead: &[u8]) -> LeavePlan {
    planned_under(&Leadership::default(), me, local, cluster, dead)
}

/// The plan of machine `me` in such a cluster, led like this.
fn planned_under(leadership: &Leadership, me: u8, local: &Local, cluster: &ClusterView, dead: &[u8]) -> LeavePlan {
    let judged = gone(cluster, dead);
    let (me, addresses, judged) = (&id(me), &[address(me)][..], &judged[..]);
    plan(&LeaveInput { me, addresses, local, has_credentials: true, cluster, judged, leadership, wipe: false })
}

fn names(plan: &LeavePlan) -> Vec<&'static str> {
    match plan {
        LeavePlan::Stay(_) => Vec::new(),
        LeavePlan::Leave(steps) => steps.iter().map(LeaveStep::name).collect(),
    }
}

const FULL: [&str; 5] = ["lease", "register-leaving", "remove-member", "delete-node", "register-left"];

#[test]
fn one_of_several_voters_leaves() {
    for pattern in ["VV", "VVV", "VVVV", "VVVVV", "VVVVVVV", "VVVVv", "VVVv", "vVV", "VVVL", "VVVl"] {
        let me = if pattern.starts_with('v') { 1 } else { 2 };
        let plan = planned(me, &made(me), &listed(pattern), &[]);
        assert_eq!(names(&plan), FULL, "{pattern}");
        let LeavePlan::Leave(steps) = plan else { panic!("{pattern}") };
        assert_eq!(steps[2], LeaveStep::RemoveOwn(MemberId(me.into())), "{pattern}");
    }
}

#[test]
fn the_last_voter_stays_whoever_else_is_listed() {
    for pattern in ["V", "v", "VL", "Vl"] {
        let cluster = listed(pattern);
        assert_eq!(planned(1, &made(1), &cluster, &[2]), LeavePlan::Stay(StayReason::LastVoter), "{pattern}");
    }
    let text = StayReason::LastVoter.to_string();
    assert!(text.contains("never removes itself") && text.contains("stays on its disk"), "{text}");
}

#[test]
fn dead_members_are_reaped_first_only_where_they_block() {
    let full_with = |id: u8| LeaveStep::Reap(MemberId(id.into()), RemovalReason::Gone(self::id(id)));
    let rows: [(&str, &[u8], Vec<LeaveStep>); 5] = [
        ("VVv", &[3], vec![full_with(3), LeaveStep::RemoveOwn(MemberId(1))]),
        ("VVVvv", &[4, 5], vec![full_with(4), LeaveStep::RemoveOwn(MemberId(1))]),
        ("VVVVv", &[5], vec![LeaveStep::RemoveOwn(MemberId(1))]),
        ("VVVv", &[4], vec![LeaveStep::RemoveOwn(MemberId(1))]),
        ("VVVl", &[4], vec![LeaveStep::RemoveOwn(MemberId(1))]),
    ];
    for (pattern, dead, removals) in rows {
        let LeavePlan::Leave(steps) = planned(1, &made(1), &listed(pattern), dead) else { panic!("{pattern}") };
        assert_eq!(steps[2..steps.len() - 2], removals, "{pattern}");
    }
}

#[test]
fn a_leader_hands_over_right_before_its_own_removal() {
    use LeaveStep::{MoveLeader, RemoveOwn};
    /// Cluster, dead machines, who leads, steps between registering and the Node.
    type Row<'a> = (&'a str, &'a [u8], Option<MemberId>, Vec<LeaveStep>);
    let (me, other, third) = (MemberId(1), MemberId(2), MemberId(3));
    let reap = |id: u8| LeaveStep::Reap(MemberId(id.into()), RemovalReason::Gone(self::id(id)));
    let rows: [Row<'_>; 7] = [
        ("VVV", &[], Some(me), vec![MoveLeader(other), RemoveOwn(me)]),
        ("VV", &[], Some(me), vec![MoveLeader(other), RemoveOwn(me)]),
        ("VvVV", &[], Some(me), vec![MoveLeader(third), RemoveOwn(me)]),
        ("VVv", &[3], Some(me), vec![reap(3), MoveLeader(other), RemoveOwn(me)]),
        ("VVV", &[], Some(other), vec![RemoveOwn(me)]),
        ("VVV", &[], None, vec![RemoveOwn(me)]),
        // It stays for now, so it goes on leading.
        ("VVv", &[], Some(me), vec![LeaveStep::RemoveOwnWhenPossible(Blocked::Silent(vec![third]))]),
    ];
    for (pattern, dead, leader, expected) in rows {
        let leadership = Leadership { leader, joined: Vec::new() };
        let planned = planned_under(&leadership, 1, &made(1), &listed(pattern), dead);
        let LeavePlan::Leave(steps) = planned else { panic!("{pattern}") };
        assert_eq!(steps[2..steps.len() - 2], expected, "{pattern}, led by {leader:?}");
    }
    let last = Leadership { leader: Some(me), joined: vec![me, other] };
    for pattern in ["V", "VL"] {
        let planned = planned_under(&last, 1, &made(1), &listed(pattern), &[]);
        assert_eq!(planned, LeavePlan::Stay(StayReason::LastVoter), "{pattern}");
    }
}

#[test]
fn no_removal_goes_below_the_quorum_of_the_rest() {
    let silent = |ids: &[u64]| Blocked::Silent(ids.iter().map(|id| MemberId(*id)).collect());
    let lost = |answering, voters| Blocked::NoQuorum { answering, voters };
    let rows: [(&str, &[u8], Blocked); 6] = [
        ("VVv", &[], silent(&[3])),
        // A learner blocks nothing: to reap it would not help.
        ("VVvl", &[4], silent(&[3])),
        ("VVVvv", &[], silent(&[4, 5])),
        ("Vv", &[2], lost(1, 2)),
        ("Vvv", &[2, 3], lost(1, 3)),
        ("VVvvv", &[3, 4, 5], lost(2, 5)),
    ];
    for (pattern, dead, why) in rows {
        let LeavePlan::Leave(steps) = planned(1, &made(1), &listed(pattern), dead) else { panic!("{pattern}") };
        assert_eq!(steps[2], LeaveStep::RemoveOwnWhenPossible(why), "{pattern}");
        assert_eq!(steps.iter().map(LeaveStep::name).collect::<Vec<_>>(), FULL, "the rest is tried all the same");
    }
    let unknown = ClusterView::Unknown { why: "no answer".into() };
    assert_eq!(names(&planned(1, &made(1), &unknown, &[])), FULL);
}

#[test]
fn who_goes_for_good_as_the_last_voter_or_without_a_quorum_uploads_what_it_has() {
    let unknown = ClusterView::Unknown { why: "w".into() };
    let rows = [
        (listed("V"), true),
        (listed("Vv"), true),
        (listed("Vvv"), true),
        (listed("VV"), false),
        (listed("VVv"), false),
        // Whether there is a quorum is not known.
        (unknown, false),
    ];
    for (cluster, wanted) in rows {
        let plan = planned(1, &made(1), &cluster, &[]);
        assert_eq!(plan.wants_last_copy(), wanted, "{cluster:?}: {plan:?}");
    }
    assert!(!planned(1, &Local::Fresh, &listed("V"), &[]).wants_last_copy());
}

#[test]
fn every_list_of_five_keeps_its_quorum_or_its_last_voter() {
    // Every cluster of up to five voters, in every state, with every set of dead machines: etcd would commit each planned removal,
    // and at least one voter keeps the data.
    for voters in 1..=5u32 {
        for answering in 0..1 << voters {
            for dead in 0..1u8 << voters {
                let pattern: String = (0..voters).map(|n| if answering >> n & 1 == 1 { 'V' } else { 'v' }).collect();
                let dead: Vec<u8> = (0..5u8).filter(|n| dead >> n & 1 == 1).map(|n| n + 1).collect();
                let cluster = listed(&pattern);
                let LeavePlan::Leave(steps) = planned(1, &made(1), &cluster, &dead) else { continue };
                let mut left = members(&pattern);
                for step in steps {
                    let (LeaveStep::Reap(id, _) | LeaveStep::RemoveOwn(id)) = step else { continue };
                    assert!(matches!(cluster, ClusterView::Listed(_)), "{pattern} {dead:?}: there is no quorum");
                    assert!(left.may_remove(id), "{pattern} {dead:?}: {id}");
                    left.0.retain(|member| member.id != id);
                    assert!(left.has_quorum(), "{pattern} {dead:?}: {id}");
                }
                assert!(left.voters().count() > 0, "{pattern} {dead:?}");
            }
        }
    }
}

#[test]
fn a_machine_that_is_not_listed_only_deletes_its_node() {
    let plan = planned(4, &made(4), &listed("VVV"), &[]);
    assert_eq!(names(&plan), ["register-leaving", "delete-node", "register-left"]);
    // A list that was not read through a quorum does not prove that a member is missing.
    assert_eq!(names(&planned(4, &made(4), &listed("Vvv"), &[])), FULL);
}

#[test]
fn a_machine_that_was_stopped_while_joining_removes_its_learner() {
    let joining = Local::HalfMade { instance: id(4), claim_id: claim(), stage: Stage::Joining };
    for pattern in ["VVVL", "VVVl"] {
        let LeavePlan::Leave(steps) = planned(4, &joining, &listed(pattern), &[]) else { panic!("{pattern}") };
        assert_eq!(steps[2], LeaveStep::RemoveOwn(MemberId(4)), "{pattern}");
    }
    assert_eq!(names(&planned(4, &joining, &listed("VVV"), &[]))[0], "register-leaving");
    let initializing = Local::HalfMade { instance: id(1), claim_id: claim(), stage: Stage::Initializing };
    assert_eq!(planned(1, &initializing, &listed("V"), &[]), LeavePlan::Stay(StayReason::LastVoter));
}

#[test]
fn a_machine_that_was_stopped_before_it_had_credentials_has_nothing_to_leave() {
    let half_made = |stage| Local::HalfMade { instance: id(4), claim_id: claim(), stage };
    let unknown = || ClusterView::Unknown { why: "there are no credentials".into() };
    let node_alone = ["register-leaving", "delete-node", "register-left"];
    let (me, addresses) = (id(4), [address(4)]);
    let rows = [
        // (state on the disk, has credentials, cluster, plan)
        (half_made(Stage::Joining), false, ClusterView::NotAsked, Err(StayReason::NotBegun)),
        (half_made(Stage::Joining), false, unknown(), Err(StayReason::NotBegun)),
        (half_made(Stage::Joining), false, ClusterView::External, Err(StayReason::NotBegun)),
        (half_made(Stage::Initializing), false, unknown(), Err(StayReason::NotBegun)),
        // An init that nobody knows of. One whose flip landed is listed by an etcd that keeps its claim.
        (half_made(Stage::Initializing), true, unknown(), Err(StayReason::InitNotFinished)),
        (half_made(Stage::Initializing), true, listed("VVVV"), Ok(&FULL[..])),
        (half_made(Stage::Joining), true, unknown(), Ok(&FULL[..])),
        (half_made(Stage::Joining), true, listed("VVVl"), Ok(&FULL[..])),
        (half_made(Stage::Joining), true, listed("VVV"), Ok(&node_alone[..])),
        // A member that has lost its credentials is still a member.
        (made(4), false, unknown(), Ok(&FULL[..])),
        (made(2), false, unknown(), Err(StayReason::AnotherInstances(id(2)))),
    ];
    for (local, has_credentials, cluster, expected) in rows {
        let (local, cluster) = (&local, &cluster);
        let leadership = &Leadership::default();
        let (me, addresses, judged) = (&me, &addresses[..], &[][..]);
        let input = LeaveInput { me, addresses, local, has_credentials, cluster, judged, leadership, wipe: false };
        let planned = plan(&input);
        match expected {
            Ok(steps) => assert_eq!(names(&planned), steps, "{local:?} {has_credentials} {cluster:?}"),
            Err(why) => assert_eq!(planned, LeavePlan::Stay(why), "{local:?} {has_credentials} {cluster:?}"),
        }
    }
    let text = StayReason::NotBegun.to_string();
    assert!(text.contains("nothing to leave") && text.contains("'kubeboot up' cleans up"), "{text}");
}

#[test]
fn with_external_etcd_no_member_is_removed() {
    let plan = planned(1, &made(1), &ClusterView::External, &[]);
    assert_eq!(names(&plan), ["register-leaving", "delete-node", "register-left"]);
}

#[test]
fn state_that_is_not_this_machines_is_left_alone() {
    let cluster = listed("VVV");
    let unexplained = Local::Unexplained { found: vec!["/etc/kubernetes/admin.conf".into()] };
    let rows = [
        (Local::Fresh, StayReason::NothingHere),
        (unexplained, StayReason::Unexplained),
        (made(2), StayReason::AnotherInstances(id(2))),
        (
            Local::HalfMade { instance: id(2), claim_id: claim(), stage: Stage::Joining },
            StayReason::AnotherInstances(id(2)),
        ),
    ];
    for (local, why) in rows {
        assert_eq!(planned(1, &local, &cluster, &[]), LeavePlan::Stay(why), "{local:?}");
    }
}

#[test]
fn a_wipe_that_an_operator_wants_is_the_last_step() {
    let (me, addresses, local, cluster) = (id(1), [address(1)], made(1), listed("VVV"));
    let input = LeaveInput {
        me: &me,
        addresses: &addresses,
        local: &local,
        has_credentials: true,
        cluster: &cluster,
        judged: &[],
        leadership: &Leadership::default(),
        wipe: true,
    };
    assert_eq!(names(&plan(&input)), [&FULL[..], &["wipe"]].concat());
}
