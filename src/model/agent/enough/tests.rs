//! Who may go, for clusters in every state.

use super::*;
use crate::model::machine::group::{GroupMember, Lifecycle};

fn address(n: u64) -> IpAddr {
    IpAddr::from([10, 77, 0, u8::try_from(n).unwrap()])
}

fn id(n: u64) -> InstanceId {
    InstanceId::parse(format!("i-0000000{n}")).unwrap()
}

/// `V` answering voter, `v` silent voter, `L`/`l` the same for learners; IDs and addresses count from 1.
fn members(pattern: &str) -> Members {
    let all = pattern.chars().zip(1u64..).map(|(c, n)| Member {
        id: MemberId(n),
        name: format!("n{n}"),
        peer_addresses: vec![address(n)],
        learner: c.eq_ignore_ascii_case(&'l'),
        answers: c.is_uppercase(),
    });
    Members(all.collect())
}

fn others(joined: &[u64], ready: &[u64], newcomers: &[u64]) -> Others {
    Others {
        joined: joined.iter().map(|n| MemberId(*n)).collect(),
        ready: ready.iter().map(|n| address(*n)).collect(),
        newcomers: newcomers.iter().map(|n| id(*n)).collect(),
    }
}

/// The one that leaves is always member 1.
fn judged(pattern: &str, others: &Others, minutes: u64, retained: bool) -> Result<(), NotEnough> {
    let ending = Ending { source: String::new(), known_for: Duration::from_mins(minutes), retained, left: None };
    enough_stays(&members(pattern), MemberId(1), others, &ending)
}

#[test]
fn a_voter_that_serves_must_stay() {
    let rows: [(&str, &[u64], &[u64], bool); 9] = [
        ("VVV", &[2, 3], &[1, 2, 3], true),
        ("VVV", &[2], &[1, 2], true),
        ("VVV", &[2], &[1, 3], false),
        ("VVV", &[], &[1, 2, 3], false),
        ("VVV", &[2, 3], &[1], false),
        ("Vvv", &[2, 3], &[1, 2, 3], false),
        // No API server of the cluster is ready: nobody is served by staying.
        ("VVV", &[2, 3], &[], true),
        ("VVV", &[], &[], true),
        // A learner serves nobody and costs nobody.
        ("LVV", &[2, 3], &[1], true),
    ];
    for (pattern, joined, ready, goes) in rows {
        let expected = if goes { Ok(()) } else { Err(NotEnough::NobodyServes) };
        assert_eq!(judged(pattern, &others(joined, ready, &[]), 0, false), expected, "{pattern} {joined:?} {ready:?}");
    }
}

#[test]
fn a_single_machine_is_left_behind_only_after_ten_minutes_with_one_that_joins() {
    let (alone, helped) = (others(&[2], &[1, 2], &[]), others(&[2], &[1, 2], &[7]));
    let waits = |minutes: u64| {
        let left = Duration::from_mins(10 - minutes);
        Err(NotEnough::Joining { newcomers: vec![id(7)], left })
    };
    assert_eq!(judged("VV", &alone, 0, false), Ok(()));
    assert_eq!(judged("VV", &helped, 0, false), waits(0));
    assert_eq!(judged("VV", &helped, 9, false), waits(9));
    assert_eq!(judged("VV", &helped, 10, false), Ok(()));
    assert_eq!(judged("VVV", &others(&[2, 3], &[2], &[7]), 0, false), Ok(()), "two stay");
}

#[test]
fn a_retained_machine_waits_until_leaving_costs_nothing_but_not_for_ever() {
    let serving = |n| others(&(2..=n).collect::<Vec<_>>(), &(1..=n).collect::<Vec<_>>(), &[]);
    assert_eq!(judged("VVVV", &serving(4), 0, true), Ok(()), "four bear one failure, and so do three");
    assert!(matches!(judged("VVV", &serving(3), 0, true), Err(NotEnough::CostsTolerance { .. })));
    assert_eq!(judged("VVV", &serving(3), 10, true), Ok(()));
    assert_eq!(judged("VVV", &serving(3), 0, false), Ok(()), "a hook is in a hurry");
    assert_eq!(judged("VV", &serving(2), 0, true), Ok(()), "neither two nor one bear any");
}

#[test]
fn others_are_put_together_from_what_everybody_says() {
    let said = |n: u64, phase, member: Option<u64>| Registration {
        addresses: vec![address(n)],
        member_id: member.map(MemberId),
        ..Registration::sample(id(n), phase)
    };
    let registrations = [
        said(1, RegistrationPhase::Joined, Some(1)),
        said(2, RegistrationPhase::Joined, Some(2)),
        said(3, RegistrationPhase::Leaving, Some(3)),
        // Another member has this address by now.
        said(4, RegistrationPhase::Joined, Some(9)),
        said(5, RegistrationPhase::Joined, None),
    ];
    let member = |n, lifecycle: &str| GroupMember {
        instance: id(n),
        lifecycle: Lifecycle::parse(lifecycle),
        healthy: true,
        ec2: None,
        addresses: vec![address(n)],
    };
    let candidates =
        [(1, "InService"), (2, "InService"), (6, "InService"), (7, "Pending:Wait"), (8, "Terminating:Wait")];
    let group = Group {
        name: "g".into(),
        arn: String::new(),
        desired: 3,
        zones: Vec::new(),
        retains: false,
        members: candidates.map(|(n, lifecycle)| member(n, lifecycle)).into(),
    };
    let seen = Others::of(&id(1), &members("VVVVVL"), &registrations, vec![address(2)], Some(&group));
    assert_eq!(seen, others(&[2, 5], &[2], &[6, 7]));
    let unknown = Others::of(&id(1), &members("VV"), &[], Vec::new(), None);
    assert_eq!(unknown, Others::default());
}

#[test]
fn a_spot_notice_waits_for_nobody_and_for_one_that_serves_only_while_there_is_time() {
    let judged = |pattern, others: &Others, seconds| {
        let left = Some(Duration::from_secs(seconds));
        let ending = Ending { source: String::new(), known_for: Duration::ZERO, retained: false, left };
        enough_stays(&members(pattern), MemberId(1), others, &ending)
    };
    assert_eq!(judged("VV", &others(&[2], &[1, 2], &[7]), 120), Ok(()), "nobody who joins is waited for");
    let serves_alone = others(&[2, 3], &[1], &[]);
    assert_eq!(judged("VVV", &serves_alone, 120), Err(NotEnough::NobodyServes));
    assert_eq!(judged("VVV", &serves_alone, 60), Err(NotEnough::NobodyServes));
    assert_eq!(judged("VVV", &serves_alone, 59), Ok(()));
}
