//! What ends a machine, and what becomes of an init that was not published.

use super::*;
use crate::model::machine::ids::{BootId, ClaimId, MemberId};
use crate::model::membership::registration::RegistrationPhase;
use crate::model::record::cluster::{Holder, Published};
use crate::model::record::identity::Identity;

#[test]
fn imds_or_the_group_ends_a_machine_and_nothing_else_does() {
    let rows = [
        (None, None, None),
        (Some("InService"), Some("InService"), None),
        (Some("Standby"), Some("Standby"), None),
        (Some("Detached"), None, None),
        (Some("SomethingNew"), Some("SomethingNew"), None),
        (Some("Terminated"), None, Some(false)),
        (Some("Terminated"), Some("InService"), Some(false)),
        (None, Some("Terminating"), Some(false)),
        (None, Some("Terminating:Wait"), Some(false)),
        (Some("InService"), Some("Terminating:Proceed"), Some(false)),
        (Some("Terminated"), Some("Terminating:Retained"), Some(true)),
        (None, Some("Terminating:Retained"), Some(true)),
        // It is in a warm pool, stays there, or is terminated there.
        (Some("Warmed:Running"), Some("Warmed:Running"), None),
        (Some("Warmed:Stopped"), Some("Warmed:Pending:Wait"), None),
        (Some("Warmed:Terminated"), None, Some(false)),
        (Some("Warmed:Terminated"), Some("Warmed:Running"), Some(false)),
        (None, Some("Warmed:Terminating"), Some(false)),
        (None, Some("Warmed:Terminating:Wait"), Some(false)),
        (None, Some("Warmed:Terminated"), Some(false)),
    ];
    for (target, lifecycle, expected) in rows {
        let states = InstanceStates {
            target: target.map(str::to_owned),
            lifecycle: lifecycle.map(|word| InGroup::As(Lifecycle::parse(word))),
            ec2: None,
        };
        let ending = Ending::of(&states, None, Duration::from_secs(7));
        assert_eq!(ending.as_ref().map(|ending| ending.retained), expected, "{target:?} {lifecycle:?}");
        assert!(ending.is_none_or(|ending| ending.known_for == Duration::from_secs(7) && !ending.source.is_empty()));
    }
    let nowhere = InstanceStates { lifecycle: Some(InGroup::No), ..InstanceStates::default() };
    assert_eq!(Ending::of(&nowhere, None, Duration::ZERO), None);
}

#[test]
fn a_spot_notice_ends_a_machine_by_itself_and_only_one_that_goes_for_good() {
    let left = Duration::from_secs(90);
    let notice = |action: &str| SpotNotice::parse(&format!(r#"{{"action": "{action}"}}"#)).unwrap();
    let serves = InstanceStates { target: Some("InService".into()), ..InstanceStates::default() };
    let ended = InstanceStates { target: Some("Terminated".into()), ..InstanceStates::default() };
    let rows = [
        (&serves, "terminate", Some((Some(left), "Spot"))),
        (&ended, "terminate", Some((Some(left), "Spot"))),
        (&serves, "stop", None),
        (&serves, "hibernate", None),
        (&serves, "explode", None),
        (&ended, "stop", Some((None, "target state"))),
    ];
    for (states, action, expected) in rows {
        let ending = Ending::of(states, Some((&notice(action), left)), Duration::ZERO);
        assert_eq!(ending.as_ref().map(|ending| ending.left), expected.map(|(left, _)| left), "{action}");
        let (source, words) = (ending.map(|ending| ending.source), expected.map_or("", |(_, words)| words));
        assert!(source.is_none_or(|source| source.contains(words)), "{action}");
    }
}

#[test]
fn a_registered_member_may_be_listed_until_somebody_saw_it_gone() {
    use RegistrationPhase::{Failed, Joined, Joining, Leaving, Left, Reaped, Waiting};
    let me = InstanceId::parse("i-00000001").unwrap();
    let mut said = Registration::sample(me, Waiting);
    for phase in [Waiting, Joining, Joined, Failed, Leaving] {
        said.phase = phase;
        said.member_id = Some(MemberId(7));
        assert!(may_be_listed(&said), "{:?}", said.phase);
        said.member_id = None;
        assert!(!may_be_listed(&said), "{:?}", said.phase);
    }
    for phase in [Left, Reaped] {
        said.phase = phase;
        said.member_id = Some(MemberId(7));
        assert!(!may_be_listed(&said), "{:?}", said.phase);
    }
    (said.phase, said.retired) = (Joined, true);
    assert!(!may_be_listed(&said), "its cluster was given up");
}

#[test]
fn a_claim_is_given_up_only_if_nothing_says_that_it_was_published() {
    let id = |n: u8| InstanceId::parse(format!("i-0000000{n}")).unwrap();
    let claim = |n: u8| ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap();
    let record = |n, state| ClusterRecord {
        claim_id: claim(n),
        generation: 1,
        identity: Identity::sample(),
        yielded: Vec::new(),
        retired_claims: Vec::new(),
        superseded: Vec::new(),
        state,
    };
    let held = |n, by| {
        let boot = BootId::parse("00000000-0000-4000-8000-0000000000b0").unwrap();
        record(
            n,
            RecordState::Initializing { holder: Some(Holder { instance: id(by), boot }), beat: 1, restoring: None },
        )
    };
    let ready = |n| record(n, RecordState::Ready(Published::sample(id(2))));
    let half = |stage| Local::HalfMade { instance: id(1), claim_id: claim(1), stage };
    let (init, join) = (half(Stage::Initializing), half(Stage::Joining));
    let made = Local::Made { instance: id(1), claim_id: claim(1), member: None };
    let unknown = |found: &ClaimHere| matches!(found, ClaimHere::Unknown(_));
    let of = |record: Option<&ClusterRecord>, local: &Local| ClaimHere::of(record, &[], local, &id(1));
    let rows = [
        (Some(held(1, 1)), &init, ClaimHere::Mine),
        (Some(held(2, 1)), &init, ClaimHere::Mine),
        (Some(held(1, 2)), &init, ClaimHere::Superseded),
        (Some(held(2, 2)), &init, ClaimHere::Superseded),
        (Some(ready(2)), &init, ClaimHere::Superseded),
        (Some(ready(1)), &init, ClaimHere::Flipped),
        (Some(held(1, 1)), &Local::Fresh, ClaimHere::Mine),
        (Some(held(1, 2)), &Local::Fresh, ClaimHere::Nothing),
        (None, &Local::Fresh, ClaimHere::Nothing),
        (Some(ready(1)), &join, ClaimHere::Nothing),
        (Some(ready(1)), &made, ClaimHere::Nothing),
        (None, &made, ClaimHere::Nothing),
    ];
    for (record, local, expected) in rows {
        assert_eq!(of(record.as_ref(), local), expected, "{record:?} {local:?}");
    }
    assert!(unknown(&of(None, &init)), "a record that is gone says nothing");
    let joined = Registration { claim_id: Some(claim(1)), ..Registration::sample(id(3), RegistrationPhase::Joined) };
    for older in [held(2, 2), held(1, 1)] {
        let found = ClaimHere::of(Some(&older), std::slice::from_ref(&joined), &init, &id(1));
        assert!(unknown(&found), "an older record has come back: {older:?} {found:?}");
    }
    assert_eq!(ClaimHere::of(Some(&ready(1)), &[joined], &init, &id(1)), ClaimHere::Flipped);
}
