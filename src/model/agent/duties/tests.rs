//! Tables: one look in, duties out.

use super::ending::DEAD_AFTER;
use super::nodes::{STALE_AFTER, SeenNode};
use super::*;
use crate::model::machine::group::{Ec2State, GroupMember, Lifecycle};
use crate::model::machine::ids::{ClaimId, Uid};
use crate::model::membership::instances::Presence;
use crate::model::membership::registration::RegistrationPhase;
use crate::model::record::cluster::{Published, RecordState};
use crate::model::record::identity::Identity;

const CLAIM: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

fn id(n: u64) -> InstanceId {
    InstanceId::parse(format!("i-{n:08x}")).unwrap()
}

fn address(n: u64) -> IpAddr {
    IpAddr::from([10, 0, 0, u8::try_from(n).unwrap()])
}

fn claim() -> ClaimId {
    ClaimId::parse(CLAIM).unwrap()
}

fn member(n: u64) -> Member {
    Member { id: MemberId(n), name: format!("n{n}"), peer_addresses: vec![address(n)], learner: false, answers: true }
}

fn registration(n: u64) -> Registration {
    Registration {
        claim_id: Some(claim()),
        member_id: Some(MemberId(n)),
        node_name: format!("n{n}"),
        addresses: vec![address(n)],
        ..Registration::sample(id(n), RegistrationPhase::Joined)
    }
}

fn machine(n: u64) -> GroupMember {
    GroupMember {
        instance: id(n),
        lifecycle: Lifecycle::InService,
        healthy: true,
        ec2: Some(Ec2State::Running),
        addresses: vec![address(n)],
    }
}

/// Three voters that answer, of machines 1 to 3; machine 1 leads.
fn sight() -> Sight {
    let all = || 1..=3;
    Sight {
        me: id(1),
        my_node: "n1".into(),
        region: "eu-central-1".into(),
        record: ClusterRecord {
            claim_id: claim(),
            state: RecordState::Ready(Published::sample(id(1))),
            generation: 1,
            identity: Identity::sample(),
            yielded: Vec::new(),
            retired_claims: Vec::new(),
            superseded: Vec::new(),
        },
        members: Some(Members(all().map(member).collect())),
        judged: Vec::new(),
        registrations: all().map(registration).collect(),
        group: Some(Group {
            name: "g".into(),
            arn: String::new(),
            desired: 3,
            retains: false,
            zones: Vec::new(),
            members: all().map(machine).collect(),
        }),
        instances: Instances(all().map(|n| (id(n), Presence::State(Ec2State::Running))).collect()),
        ready: all().map(address).collect(),
        quiet: BTreeMap::new(),
        silent: BTreeMap::new(),
        nodes: Vec::new(),
        live: Vec::new(),
        replaced: None,
        rules: Rules { gone_grace: Duration::from_mins(5), unhealthy_after: Duration::from_mins(15), has_hook: true },
    }
}

#[test]
fn with_external_etcd_those_are_asked_on_whose_machines_an_api_server_may_run() {
    use RegistrationPhase::{Failed, Initializing, Joined, Joining, Leaving, Left, Reaped, Waiting};
    // (phase, whether it has registered its Node, how it stands in EC2, whether it is asked)
    let rows = [
        (Joined, true, None, true),
        (Joined, true, Some(Ec2State::Running), true),
        (Joined, true, Some(Ec2State::Terminated), false),
        (Joining, false, None, true),
        (Leaving, true, None, true),
        (Initializing, false, None, true),
        // It boots again, or its `up` has failed since.
        (Waiting, true, None, true),
        (Failed, true, None, true),
        (Waiting, false, None, false),
        (Failed, false, None, false),
        (Left, true, None, false),
        (Reaped, true, None, false),
    ];
    for (phase, has_node, state, asked) in rows {
        let mut sight = sight();
        sight.registrations.truncate(1);
        sight.registrations[0].phase = phase;
        sight.registrations[0].node_uid = has_node.then(|| Uid::parse(CLAIM).unwrap());
        sight.instances = Instances(state.clone().map(|state| (id(1), Presence::State(state))).into_iter().collect());
        assert_eq!(sight.serving() == [address(1)], asked, "{phase:?} {has_node} {state:?}");
    }
}

/// What is decided after a change of the look.
fn after(change: impl FnOnce(&mut Sight)) -> Decided {
    let mut sight = sight();
    change(&mut sight);
    decide(&sight)
}

fn in_group(sight: &mut Sight, n: u64) -> &mut GroupMember {
    sight.group.as_mut().unwrap().members.iter_mut().find(|machine| machine.instance == id(n)).unwrap()
}

fn silences(sight: &mut Sight, n: u64) -> &mut Member {
    let member = sight.members.as_mut().unwrap().0.iter_mut().find(|member| member.id == MemberId(n)).unwrap();
    member.answers = false;
    member
}

fn removes(sight: &mut Sight, n: u64) {
    sight.members.as_mut().unwrap().0.retain(|member| member.id != MemberId(n));
}

/// Machine 3 waits in its terminate hook, and its agent is dead.
fn ends(sight: &mut Sight) {
    in_group(sight, 3).lifecycle = Lifecycle::parse("Terminating:Wait");
    sight.quiet.insert(id(3), DEAD_AFTER);
}

fn take_out() -> Vec<Duty> {
    vec![Duty::TakeOut(member(3), id(3))]
}

#[test]
fn while_all_is_well_there_is_nothing_to_do() {
    assert_eq!(after(|_| {}), Decided::default());
}

#[test]
fn what_the_rules_of_reaping_remove_is_removed_and_what_they_keep_is_said() {
    let decided = after(|sight| {
        let silent = silences(sight, 3).clone();
        sight.judged = vec![
            (member(2), ReapVerdict::Keep(KeepReason::Answers)),
            (silent, ReapVerdict::Remove(RemovalReason::Gone(id(3)))),
            (member(4), ReapVerdict::Keep(KeepReason::Unexplained)),
        ];
    });
    let gone = Member { answers: false, ..member(3) };
    assert_eq!(decided.duties, [Duty::Reap(gone, RemovalReason::Gone(id(3)))]);
    assert!(decided.waits[0].contains("no registration explains it"), "{:?}", decided.waits);
}

#[test]
fn a_machine_that_the_group_ends_is_taken_out_when_its_agent_has_been_dead_for_two_minutes() {
    for state in ["Terminating", "Terminating:Wait", "Terminating:Proceed"] {
        let decided = after(|sight| {
            ends(sight);
            in_group(sight, 3).lifecycle = Lifecycle::parse(state);
        });
        assert_eq!(decided.duties, take_out(), "{state}: {:?}", decided.waits);
    }
    let early = after(|sight| {
        ends(sight);
        sight.quiet.insert(id(3), DEAD_AFTER - Duration::from_millis(1));
    });
    assert_eq!(early.duties, []);
    assert!(early.waits[0].contains("if its agent gives no sign of life for 2 min"), "{:?}", early.waits);
    // Never seen so by this leader.
    let unseen = after(|sight| {
        ends(sight);
        sight.quiet.clear();
    });
    assert_eq!(unseen.duties, []);
}

#[test]
fn a_retained_machine_is_taken_out_when_that_costs_no_tolerance_or_after_ten_minutes() {
    let retained = |minutes| {
        after(|sight| {
            ends(sight);
            in_group(sight, 3).lifecycle = Lifecycle::parse("Terminating:Retained");
            sight.quiet.insert(id(3), Duration::from_mins(minutes));
        })
    };
    assert_eq!(retained(9).duties, []);
    assert_eq!(retained(10).duties, take_out());
}

#[test]
fn an_unhealthy_machine_is_taken_out_only_while_its_etcd_is_silent() {
    let unhealthy = |silent: bool| {
        after(|sight| {
            in_group(sight, 3).healthy = false;
            sight.quiet.insert(id(3), DEAD_AFTER);
            if silent {
                silences(sight, 3);
            }
        })
    };
    assert_eq!(unhealthy(true).duties, [Duty::TakeOut(Member { answers: false, ..member(3) }, id(3))]);
    assert_eq!(unhealthy(false).duties, []);
}

#[test]
fn nobody_is_taken_out_where_not_enough_would_stay_or_its_member_may_be_anothers() {
    type Change = fn(&mut Sight);
    let rows: [(&str, Change); 9] = [
        ("the quorum of the rest", |sight| {
            silences(sight, 2);
        }),
        ("nobody else is joined", |sight| {
            for found in &mut sight.registrations[..2] {
                found.phase = RegistrationPhase::Joining;
            }
        }),
        ("nobody else serves", |sight| sight.ready = vec![address(3)]),
        ("no API server has answered", |sight| sight.ready.clear()),
        ("another registration explains it, too", |sight| {
            let other = Registration { member_id: Some(MemberId(3)), ..registration(9) };
            sight.registrations.push(other);
        }),
        ("it is this machine's own", |sight| sight.me = id(3)),
        ("its cluster is not the record's", |sight| {
            sight.registrations[2].claim_id = Some(ClaimId::parse("00000000-0000-4000-8000-000000000009").unwrap());
        }),
        ("etcd is external", |sight| sight.members = None),
        ("EC2 says that it is gone: reaping decides", |sight| {
            sight.instances.0.insert(id(3), Presence::State(Ec2State::Terminated));
        }),
    ];
    for (why, change) in rows {
        let decided = after(|sight| {
            ends(sight);
            change(sight);
        });
        assert_eq!(decided.duties, [], "{why}");
    }
}

#[test]
fn what_is_removed_before_counts_for_who_stays() {
    // Of five, two are gone: without them the other two have a quorum when machine 3 goes, and beside them they have none.
    let with_two_gone = |reaped: bool| {
        after(|sight| {
            ends(sight);
            for n in [4, 5] {
                let gone = Member { answers: false, ..member(n) };
                sight.members.as_mut().unwrap().0.push(gone.clone());
                sight.registrations.push(registration(n));
                let why = RemovalReason::Gone(id(n));
                sight.judged.extend(reaped.then_some((gone, ReapVerdict::Remove(why))));
            }
        })
    };
    let reaped = with_two_gone(true);
    assert!(matches!(reaped.duties[..], [Duty::Reap(..), Duty::Reap(..), Duty::TakeOut(..)]), "{reaped:?}");
    assert_eq!(with_two_gone(false).duties, []);
}

#[test]
fn the_hook_of_a_dead_agent_is_completed_only_when_its_machine_is_listed_no_more() {
    type Change = fn(&mut Sight);
    let complete = [Duty::CompleteHook(id(3))];
    let rows: [(&str, Change, &[Duty]); 7] = [
        ("it was taken out", |_| {}, &complete),
        ("no hook is named", |sight| sight.rules.has_hook = false, &[]),
        ("it is retained", |sight| in_group(sight, 3).lifecycle = Lifecycle::parse("Terminating:Retained"), &[]),
        ("the agent lives", |sight| sight.quiet.clear(), &[]),
        (
            "a member is at its address",
            |sight| {
                sight.members.as_mut().unwrap().0.push(Member { name: "n9".into(), id: MemberId(9), ..member(3) });
            },
            &[],
        ),
        (
            "it has registered nothing",
            |sight| {
                sight.registrations.pop();
            },
            &complete,
        ),
        (
            "it has registered nothing, and a member is at its address",
            |sight| {
                sight.registrations.pop();
                sight.members.as_mut().unwrap().0.push(Member { name: "n9".into(), id: MemberId(9), ..member(3) });
            },
            &[],
        ),
    ];
    for (why, change, expected) in rows {
        let decided = after(|sight| {
            ends(sight);
            removes(sight, 3);
            sight.registrations[2].member_id = None;
            sight.registrations[2].node_name = "n3".into();
            change(sight);
        });
        assert_eq!(decided.duties, expected, "{why}: {:?}", decided.waits);
    }
}

/// The Node of machine 9, which is terminated.
fn node() -> SeenNode {
    SeenNode {
        name: "n9".into(),
        uid: "u9".into(),
        version: "7".into(),
        ready: false,
        provider_id: Some(format!("aws:///eu-central-1a/{}", id(9))),
        addresses: vec![address(9)],
        heartbeat: Some(1000),
        unchanged: STALE_AFTER,
    }
}

fn with_node(change: impl FnOnce(&mut Sight, &mut SeenNode)) -> bool {
    let decided = after(|sight| {
        let mut node = node();
        sight.instances.0.insert(id(9), Presence::State(Ec2State::Terminated));
        change(sight, &mut node);
        sight.nodes = vec![node];
    });
    matches!(decided.duties[..], [Duty::DeleteNode(..)])
}

#[test]
fn a_node_goes_only_with_its_machine() {
    let absent = |minutes| Presence::AbsentFor(Duration::from_mins(minutes));
    type Change<'a> = &'a dyn Fn(&mut Sight, &mut SeenNode);
    let is = |presence: Presence| {
        move |sight: &mut Sight, _: &mut SeenNode| {
            sight.instances.0.insert(id(9), presence.clone());
        }
    };
    let lives = |launched: Option<u64>| {
        move |sight: &mut Sight, _: &mut SeenNode| {
            sight.instances.0.insert(id(9), absent(5));
            sight.live = vec![(address(9), launched)];
        }
    };
    let named = |phase: RegistrationPhase| {
        move |sight: &mut Sight, _: &mut SeenNode| {
            let other = Registration { node_name: "n9".into(), phase, ..registration(2) };
            sight.registrations[1] = other;
        }
    };
    let rows: [(&str, Change<'_>, bool); 20] = [
        ("terminated", &|_, _| {}, true),
        ("shutting down", &is(Presence::State(Ec2State::ShuttingDown)), false),
        ("stopped", &is(Presence::State(Ec2State::Stopped)), false),
        ("running", &is(Presence::State(Ec2State::Running)), false),
        ("EC2 was not asked", &|sight, _| sight.instances = Instances::default(), false),
        ("absent for the grace", &is(absent(5)), true),
        ("absent for less", &is(absent(4)), false),
        ("absent, its address lives, launched before its last heartbeat", &lives(Some(1000)), false),
        ("absent, its address lives, launched after it", &lives(Some(1001)), true),
        ("absent, its address lives, launched nobody knows when", &lives(None), false),
        ("ready", &|_, node| node.ready = true, false),
        ("its lease is fresh", &|_, node| node.unchanged = STALE_AFTER - Duration::from_millis(1), false),
        ("no provider ID", &|_, node| node.provider_id = None, false),
        ("another cloud's", &|_, node| node.provider_id = Some("gce://x/i-00000009".into()), false),
        ("another Region's", &|sight, _| sight.region = "us-east-1".into(), false),
        ("this machine's own name", &|sight, _| sight.my_node = "n9".into(), false),
        (
            "a living machine has registered its UID",
            &|sight, node| {
                node.uid = "00000000-0000-4000-8000-000000000009".into();
                sight.registrations[1].node_uid = Some(Uid::parse(node.uid.clone()).unwrap());
            },
            false,
        ),
        ("a living voter has its name", &named(RegistrationPhase::Joined), false),
        ("a newcomer waits for its name", &named(RegistrationPhase::Waiting), true),
        ("a machine that is gone has registered it", &|sight, _| sight.registrations.push(registration(9)), true),
    ];
    for (why, change, expected) in rows {
        assert_eq!(with_node(change), expected, "{why}");
    }
}

#[test]
fn a_voter_that_hangs_is_replaced_alone_and_not_twice_in_an_hour() {
    let quarter = Duration::from_mins(15);
    type Change<'a> = &'a dyn Fn(&mut Sight);
    let waits = |text: &'static str| move |sight: &mut Sight| in_group(sight, 2).lifecycle = Lifecycle::parse(text);
    let ago = |minutes| move |sight: &mut Sight| sight.replaced = Some(Duration::from_mins(minutes));
    let rows: [(&str, Change<'_>, bool); 19] = [
        ("alone", &|_| {}, true),
        ("for less than the setting", &|sight| sight.silent.clear(), false),
        ("the setting is off", &|sight| sight.rules.unhealthy_after = Duration::ZERO, false),
        ("it answers again", &|sight| sight.members.as_mut().unwrap().0[2].answers = true, false),
        ("another is silent, too", &|sight| drop(silences(sight, 2).clone()), false),
        (
            "two of five are silent",
            &|sight| {
                for n in [4, 5] {
                    sight.members.as_mut().unwrap().0.push(member(n));
                    sight.registrations.push(registration(n));
                    sight.group.as_mut().unwrap().members.push(machine(n));
                    sight.ready.push(address(n));
                }
                silences(sight, 4);
            },
            false,
        ),
        ("another is not joined", &|sight| sight.registrations[1].phase = RegistrationPhase::Joining, false),
        ("nobody else serves", &|sight| sight.ready = vec![address(3)], false),
        ("one was replaced", &ago(59), false),
        ("one was replaced an hour ago", &ago(60), true),
        ("one comes", &waits("Pending"), false),
        ("one goes", &waits("Terminating:Wait"), false),
        ("one is in Standby", &waits("Standby"), true),
        ("one is retained and still a member", &waits("Terminating:Retained"), false),
        (
            "one is retained and out",
            &|sight| {
                let mut out = machine(9);
                out.lifecycle = Lifecycle::parse("Terminating:Retained");
                sight.group.as_mut().unwrap().members.push(out);
            },
            true,
        ),
        ("it is stopped", &|sight| in_group(sight, 3).ec2 = Some(Ec2State::Stopped), false),
        ("it is in Standby", &|sight| in_group(sight, 3).lifecycle = Lifecycle::parse("Standby"), false),
        ("it is not of the group", &|sight| sight.group.as_mut().unwrap().members.truncate(2), false),
        ("nobody knows whose it is", &|sight| sight.registrations.truncate(2), false),
    ];
    for (why, change, expected) in rows {
        let decided = after(|sight| {
            silences(sight, 3);
            sight.silent.insert(MemberId(3), quarter);
            change(sight);
        });
        let expected = if expected { vec![Duty::Replace(id(3))] } else { Vec::new() };
        assert_eq!(decided.duties, expected, "{why}: {:?}", decided.waits);
    }
}
