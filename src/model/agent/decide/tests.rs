//! The design's table, row by row, and every combination of what it depends on.

use super::*;
use crate::model::agent::enough::{NotEnough, Others};
use crate::model::agent::saving::Saving;
use crate::model::agent::step::SaveWhy;
use crate::model::leave::{Leadership, LeaveInput, plan};
use crate::model::machine::ids::{ClaimId, InstanceId, MemberId};
use crate::model::membership::members::{Member, Members};
use crate::model::membership::view::ClusterView;
use std::net::IpAddr;
use std::time::Duration;

fn id(n: u8) -> InstanceId {
    InstanceId::parse(format!("i-0000000{n}")).unwrap()
}

fn address(n: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, n])
}

fn claim() -> ClaimId {
    ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap()
}

/// `V` answering voter, `v` silent voter, `L`/`l` the same for learners; this machine is the first.
pub(in crate::model::agent) fn listed(pattern: &str) -> ClusterView {
    let members = pattern.chars().zip(1u8..).map(|(c, n)| Member {
        id: MemberId(n.into()),
        name: format!("n{n}"),
        peer_addresses: vec![address(n)],
        learner: c.eq_ignore_ascii_case(&'l'),
        answers: c.is_uppercase(),
    });
    let members = Members(members.collect());
    if members.has_quorum() { ClusterView::Listed(members) } else { ClusterView::NoQuorum(members) }
}

fn without_me(pattern: &str) -> ClusterView {
    let ClusterView::Listed(members) = listed(&format!("V{pattern}")) else { panic!("it has a quorum") };
    ClusterView::Listed(Members(members.0.into_iter().skip(1).collect()))
}

fn unknown() -> ClusterView {
    ClusterView::Unknown { why: "nobody answers".into() }
}

pub(in crate::model::agent) fn made() -> Local {
    Local::Made { instance: id(1), claim_id: claim(), member: None }
}

pub(in crate::model::agent) fn half(stage: Stage) -> Local {
    Local::HalfMade { instance: id(1), claim_id: claim(), stage }
}

fn ending() -> Ending {
    Ending { source: "target state Terminated".into(), known_for: Duration::ZERO, retained: false, left: None }
}

/// A machine in its terminate hook, with this on its disk and this cluster around it, whose other voters all serve.
pub(in crate::model::agent) fn seen(local: Local, cluster: ClusterView) -> Observation {
    let addresses = vec![address(1)];
    let input = LeaveInput {
        me: &id(1),
        addresses: &addresses,
        local: &local,
        has_credentials: true,
        cluster: &cluster,
        judged: &[],
        // It leads, so that each plan hands that over: the decisions do not depend on it.
        leadership: &Leadership { leader: Some(MemberId(1)), joined: Vec::new() },
        wipe: false,
    };
    let plan = plan(&input);
    let everybody = 1..=9;
    let others = Others {
        joined: everybody.clone().map(|n| MemberId(n.into())).collect(),
        ready: everybody.map(address).collect(),
        newcomers: Vec::new(),
    };
    Observation {
        ending: Some(ending()),
        hook: HookView::Waits,
        departure: None,
        has_data: !matches!(local, Local::Fresh),
        local,
        registered_member: Some(true),
        claim: ClaimHere::Nothing,
        init_given_up: false,
        is_stopped: false,
        plan,
        cluster,
        addresses,
        others: Some(others),
        others_unknown: String::new(),
        desired: Some(3),
        retains: false,
        alone_for: None,
        saving: Saving::default(),
    }
}

#[test]
fn the_rows_of_the_table() {
    let answer = |why| AgentStep::Answer(why);
    let never = |local: Local, registered| Observation {
        has_data: false,
        registered_member: registered,
        ..seen(local, unknown())
    };
    let claims = |claim: ClaimHere| Observation {
        claim,
        registered_member: Some(false),
        ..seen(half(Stage::Initializing), unknown())
    };
    let rows: Vec<(&str, Observation, AgentStep)> = vec![
        ("external etcd: its Node is deleted first", seen(made(), ClusterView::External), AgentStep::Leave),
        ("never begun", never(Local::Fresh, Some(false)), answer(Answer::NeverMember)),
        ("never begun, and S3 is silent", never(Local::Fresh, None), answer(Answer::NeverMember)),
        (
            "nothing of kubeboot's, beside data of an etcd or a volume that is not mounted",
            Observation { has_data: true, ..never(Local::Fresh, Some(false)) },
            AgentStep::Hold(Hold::Data),
        ),
        (
            "wiped by hand, and registered as a member",
            never(Local::Fresh, Some(true)),
            AgentStep::Hold(Hold::Registered),
        ),
        (
            "the same, and a join was begun",
            Observation { plan: LeavePlan::Stay(StayReason::NotBegun), ..never(half(Stage::Joining), Some(true)) },
            AgentStep::Hold(Hold::Registered),
        ),
        ("a join without a member", never(half(Stage::Joining), Some(false)), answer(Answer::NeverMember)),
        ("an init that is still this machine's", claims(ClaimHere::Mine), AgentStep::StepDown),
        ("an init that was superseded", claims(ClaimHere::Superseded), AgentStep::StepDown),
        (
            "the same, stopped",
            Observation { init_given_up: true, ..claims(ClaimHere::Superseded) },
            answer(Answer::InitGivenUp),
        ),
        (
            "a claim that came back after that",
            Observation { init_given_up: true, ..claims(ClaimHere::Mine) },
            AgentStep::StepDown,
        ),
        (
            "the same marker beside a member's data",
            Observation { registered_member: Some(true), ..claims(ClaimHere::Superseded) },
            AgentStep::Hold(Hold::Registered),
        ),
        (
            "an init that was published when all had been stopped",
            Observation { is_stopped: true, ..claims(ClaimHere::Flipped) },
            AgentStep::ServeAgain,
        ),
        ("a certain list lacks it", seen(made(), without_me("VV")), AgentStep::Leave),
        ("a member, and enough stays", seen(made(), listed("VVV")), AgentStep::Leave),
        ("half made, and enough stays", seen(half(Stage::Joining), listed("VVV")), AgentStep::Leave),
        ("a learner", seen(half(Stage::Joining), listed("LVV")), AgentStep::Leave),
        (
            "it was seen to be gone before",
            Observation { departure: Some(Departure::Left), ..seen(made(), unknown()) },
            answer(Answer::Left),
        ),
        (
            "it has begun to leave before",
            Observation { departure: Some(Departure::Leaving), ..seen(made(), listed("VVV")) },
            AgentStep::Leave,
        ),
        ("the last one", seen(made(), listed("V")), AgentStep::Hold(Hold::LastVoter { desired: Some(3) })),
        (
            "the last one, and the group wants none",
            Observation { desired: Some(0), ..seen(made(), listed("V")) },
            AgentStep::Save(SaveWhy::NoneWanted),
        ),
        (
            "half made, and the last",
            seen(half(Stage::Initializing), listed("V")),
            AgentStep::Hold(Hold::LastVoter { desired: Some(3) }),
        ),
    ];
    for (row, observation, expected) in rows {
        assert_eq!(decide(&observation), expected, "{row}");
    }
}

#[test]
fn what_is_not_certain_holds_and_says_why() {
    let rows: Vec<(Observation, &str)> = vec![
        (seen(made(), unknown()), "the etcd members are not known: nobody answers"),
        (Observation { retains: true, ..seen(made(), listed("Vvv")) }, "quorum lost: 1 of 3 answers"),
        (seen(made(), listed("VVv")), "too few voters would answer"),
        (seen(half(Stage::Joining), listed("VVv")), "too few voters would answer"),
        (
            Observation { claim: ClaimHere::Unknown("S3".into()), ..seen(half(Stage::Initializing), unknown()) },
            "was published: S3",
        ),
        (Observation { claim: ClaimHere::Flipped, ..seen(half(Stage::Initializing), unknown()) }, "no etcd answers"),
        (
            Observation { registered_member: None, has_data: false, ..seen(half(Stage::Joining), unknown()) },
            "not known",
        ),
        (
            Observation { has_data: true, registered_member: Some(false), ..seen(half(Stage::Joining), unknown()) },
            "not known",
        ),
        (seen(Local::Unexplained { found: vec!["/x".into()] }, unknown()), "no marker of kubeboot's"),
        (seen(Local::Made { instance: id(2), claim_id: claim(), member: None }, unknown()), "written by i-00000002"),
        (
            Observation { others: None, others_unknown: "S3 is silent".into(), ..seen(made(), listed("VVV")) },
            "who would stay: S3 is silent",
        ),
        (
            Observation {
                others: Some(Others { ready: vec![address(1)], ..Others::default() }),
                ..seen(made(), listed("VVV"))
            },
            "nobody would serve",
        ),
    ];
    for (observation, words) in rows {
        let step = decide(&observation);
        assert!(matches!(step, AgentStep::Hold(_)) && step.to_string().contains(words), "{step}: {words}");
    }
    let newcomers = vec![id(7)];
    let others = Others { newcomers: newcomers.clone(), ..seen(made(), listed("VV")).others.unwrap() };
    let joining = Observation { others: Some(others), ..seen(made(), listed("VV")) };
    let left = Duration::from_mins(10);
    assert_eq!(decide(&joining), AgentStep::Hold(Hold::NotEnough(NotEnough::Joining { newcomers, left })));
}

#[test]
fn a_hook_that_cannot_be_answered_is_let_alone() {
    let left = |hook, retained| Observation {
        hook,
        ending: Some(Ending { retained, ..ending() }),
        departure: Some(Departure::Left),
        ..seen(made(), unknown())
    };
    let rows = [
        (HookView::Unnamed, false, Rest::Unnamed),
        (HookView::Ahead, false, Rest::Ahead),
        (HookView::Over, false, Rest::Over),
        (HookView::Over, true, Rest::Retained),
        (HookView::Unnamed, true, Rest::Retained),
    ];
    for (hook, retained, rest) in rows {
        let step = decide(&left(hook, retained));
        assert_eq!(step, AgentStep::Rest(Answer::Left, rest));
        assert!(!step.wants_lock() && !step.to_string().is_empty());
    }
    // Whether the hook waits changes nothing of the leaving itself.
    for hook in [HookView::Unnamed, HookView::Ahead, HookView::Over, HookView::Waits] {
        assert_eq!(decide(&Observation { hook, ..seen(made(), listed("VVV")) }), AgentStep::Leave);
    }
}

/// Rules 14 and 15 over every combination of what a decision depends on.
#[test]
fn in_every_combination_the_hook_is_answered_only_by_who_is_no_member_for_certain() {
    let locals = [
        Local::Fresh,
        half(Stage::Joining),
        half(Stage::Initializing),
        made(),
        Local::Unexplained { found: vec!["/x".into()] },
        Local::Made { instance: id(2), claim_id: claim(), member: None },
    ];
    let clusters = [
        ClusterView::NotAsked,
        unknown(),
        ClusterView::External,
        without_me("VV"),
        listed("V"),
        listed("VV"),
        listed("VVv"),
        listed("Vvv"),
        listed("LVV"),
    ];
    let claims = [
        ClaimHere::Nothing,
        ClaimHere::Mine,
        ClaimHere::Superseded,
        ClaimHere::Flipped,
        ClaimHere::Unknown("S3".into()),
    ];
    let mut cells = 0;
    for local in &locals {
        for cluster in &clusters {
            for claim in &claims {
                for bits in 0u8..64 {
                    let flag = |bit: u8| bits >> bit & 1 == 1;
                    let base = seen(local.clone(), cluster.clone());
                    let observation = Observation {
                        has_data: flag(0),
                        registered_member: if flag(1) { None } else { Some(flag(2)) },
                        init_given_up: flag(3),
                        others: base.others.clone().filter(|_| flag(4)),
                        is_stopped: flag(5),
                        claim: claim.clone(),
                        retains: flag(5),
                        alone_for: Some(Duration::from_mins(10)),
                        ending: Some(Ending { known_for: Duration::from_mins(10), ..ending() }),
                        ..base
                    };
                    check(&observation);
                    cells += 1;
                }
            }
        }
    }
    assert_eq!(cells, 6 * 9 * 5 * 64);
}

fn check(seen: &Observation) {
    let step = decide(seen);
    assert_eq!(decide(&Observation { ending: None, ..seen.clone() }), AgentStep::Watch);
    let nothing_known = !seen.has_data && seen.registered_member == Some(false);
    match &step {
        AgentStep::Answer(Answer::NeverMember) => {
            assert!(seen.local == Local::Fresh || nothing_known, "{seen:?}");
            assert!(!seen.has_data && seen.registered_member != Some(true), "{seen:?}");
            assert!(!matches!(seen.claim, ClaimHere::Mine | ClaimHere::Unknown(_)), "{seen:?}");
        }
        AgentStep::Answer(Answer::InitGivenUp) => {
            assert!(seen.init_given_up && seen.claim == ClaimHere::Superseded, "{seen:?}");
            assert!(seen.registered_member != Some(true), "{seen:?}");
        }
        AgentStep::Answer(Answer::Left | Answer::Saved) => panic!("nobody saw it gone: {seen:?}"),
        AgentStep::Save(_) => {
            assert!(seen.plan == LeavePlan::Stay(StayReason::LastVoter) && seen.desired == Some(0), "{seen:?}");
        }
        AgentStep::Settle => panic!("nothing was begun: {seen:?}"),
        AgentStep::Upload => assert!(matches!(seen.cluster, ClusterView::NoQuorum(_)) && !seen.retains, "{seen:?}"),
        AgentStep::Leave => {
            let listed = seen.own_member().is_some();
            assert!(!listed || seen.others.is_some(), "{seen:?}");
            let certain = matches!(seen.cluster, ClusterView::Listed(_) | ClusterView::External);
            assert!(certain, "{seen:?}");
        }
        AgentStep::StepDown => assert!(matches!(seen.claim, ClaimHere::Mine | ClaimHere::Superseded), "{seen:?}"),
        AgentStep::ServeAgain => assert!(seen.claim == ClaimHere::Flipped && seen.is_stopped, "{seen:?}"),
        AgentStep::Hold(_) => assert!(!step.to_string().is_empty()),
        AgentStep::Abandon => {
            assert!(seen.retains && seen.plan == LeavePlan::Stay(StayReason::LastVoter), "{seen:?}");
            let ending = Some(Ending { left: Some(Duration::from_secs(1)), ..ending() });
            assert_ne!(decide(&Observation { ending, ..seen.clone() }), AgentStep::Abandon);
        }
        AgentStep::Watch | AgentStep::Rest(..) => panic!("it is ending, and its hook waits: {seen:?}"),
    }
    assert_eq!(step.wants_lock(), !matches!(step, AgentStep::Hold(_)), "{step:?}");
    assert!(!step.name().is_empty());
}

#[test]
fn the_last_voter_is_given_to_a_group_that_keeps_it_once_nobody_has_come_for_ten_minutes() {
    let minutes = |n| Some(Duration::from_mins(n));
    let known = |minutes| Ending { known_for: Duration::from_mins(minutes), ..ending() };
    let ten = Some(known(10));
    let alone = Observation { retains: true, alone_for: minutes(10), ending: ten, ..seen(made(), listed("V")) };
    assert_eq!(decide(&alone), AgentStep::Abandon);
    assert!(AgentStep::Abandon.wants_lock() && AgentStep::Abandon.to_string().contains("with ABANDON"));
    let hold = |desired| AgentStep::Hold(Hold::LastVoter { desired });
    let ends = |ending| Observation { ending: Some(ending), ..alone.clone() };
    let rows: Vec<(&str, Observation, AgentStep)> = vec![
        ("not for so long", Observation { alone_for: minutes(9), ..alone.clone() }, AgentStep::Hold(Hold::Alone)),
        ("alone before that", ends(known(9)), AgentStep::Hold(Hold::Alone)),
        ("one has come, or nobody knows", Observation { alone_for: None, ..alone.clone() }, hold(Some(3))),
        ("the group would end it", Observation { retains: false, ..alone.clone() }, hold(Some(3))),
        (
            "the group wants none, and nothing holds it yet",
            Observation { desired: Some(0), hook: HookView::Ahead, ..alone.clone() },
            hold(Some(0)),
        ),
        (
            "the group wants none",
            Observation { desired: Some(0), ..alone.clone() },
            AgentStep::Save(SaveWhy::NoneWanted),
        ),
        ("nobody knows what the group wants", Observation { desired: None, ..alone.clone() }, hold(None)),
        ("the hook is not there yet", Observation { hook: HookView::Ahead, ..alone.clone() }, hold(Some(3))),
        ("the hook was answered", Observation { hook: HookView::Over, ..alone.clone() }, hold(Some(3))),
        ("there is no hook", Observation { hook: HookView::Unnamed, ..alone.clone() }, hold(Some(3))),
        ("it is kept already", ends(Ending { retained: true, ..known(10) }), hold(Some(3))),
        ("EC2 takes it", ends(Ending { left: minutes(2), ..known(1) }), AgentStep::Hold(Hold::LastVoterTaken)),
        (
            "EC2 takes it, and half of the time is over",
            ends(Ending { left: minutes(1), ..known(1) }),
            AgentStep::Save(SaveWhy::NothingRetains),
        ),
        (
            "others vote",
            Observation { retains: true, alone_for: minutes(10), ..seen(made(), listed("VV")) },
            AgentStep::Leave,
        ),
        (
            "the quorum is lost",
            Observation { retains: true, alone_for: minutes(10), ..seen(made(), listed("Vvv")) },
            decide(&Observation { retains: true, ..seen(made(), listed("Vvv")) }),
        ),
    ];
    for (row, observation, expected) in rows {
        assert_eq!(decide(&observation), expected, "{row}");
    }
}

#[test]
fn a_spot_notice_leaves_at_once_and_needs_no_hook() {
    let spot = |hook, newcomers: Vec<InstanceId>, seconds| {
        let base = seen(made(), listed("VV"));
        let others = Others { newcomers, ..base.others.clone().unwrap() };
        let ending = Ending { left: Some(Duration::from_secs(seconds)), ..ending() };
        Observation { ending: Some(ending), hook, others: Some(others), ..base }
    };
    for hook in [HookView::Unnamed, HookView::Ahead, HookView::Over, HookView::Waits] {
        for seconds in [120, 1, 0] {
            assert_eq!(decide(&spot(hook.clone(), vec![id(7)], seconds)), AgentStep::Leave, "{hook:?} {seconds}");
        }
    }
}
