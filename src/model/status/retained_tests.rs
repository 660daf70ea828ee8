//! Machines that their group ends and has kept.

use super::sample::*;
use super::tests::{verdict_of, with};
use super::*;
use crate::model::machine::group::{Ec2State, GroupMember, Lifecycle};
use crate::model::membership::registration::RegistrationPhase::{self, Joined, Left, Reaped};

/// What is said of machine 4, which the group has kept.
fn said_of(phase: Option<RegistrationPhase>, etcd: Known<Etcd>) -> (String, Option<RetainedAs>) {
    let input = with(|input| {
        let lifecycle = Lifecycle::Other("Terminating:Retained".into());
        let all = &mut input.group.as_mut().unwrap().as_mut().unwrap().members;
        all.push(GroupMember { lifecycle, ..group_member(4) });
        input.ec2.as_mut().unwrap().insert(id(4), Ec2State::Running);
        let registered = phase.map(|phase| (id(4), Ok(registration(4, phase))));
        input.registrations.as_mut().unwrap().extend(registered);
        input.etcd = etcd;
    });
    let found = judge(&input).reasons.into_iter().find(|reason| reason.code() == "retained");
    let membership = found.as_ref().map(|found| match found {
        StatusReason::Retained { membership, .. } => *membership,
        other => panic!("{other:?}"),
    });
    (found.map(|found| found.to_string()).unwrap_or_default(), membership)
}

#[test]
fn a_machine_that_the_group_has_kept_is_named_with_what_it_still_is_and_what_ends_it() {
    let three = || stacked([member(1), member(2), member(3)]);
    let four = || stacked([member(1), member(2), member(3), member(4)]);
    let silent = || Known::<Etcd>::Err("no answer".to_owned());
    let end = "aws autoscaling terminate-instance-in-auto-scaling-group --instance-id i-";
    let rows = [
        (Some(Joined), four(), RetainedAs::Member, "leaves once enough stays"),
        (Some(Left), three(), RetainedAs::Left, end),
        (Some(Reaped), three(), RetainedAs::Left, end),
        (Some(Joined), three(), RetainedAs::Unclear, "once nobody needs its data"),
        (Some(Left), silent(), RetainedAs::Unclear, end),
        (Some(Left), Ok(Etcd::External), RetainedAs::Left, "at your cost"),
        (Some(Joined), Ok(Etcd::External), RetainedAs::Member, "systemctl status kubeboot-agent"),
        // It ended before it had joined.
        (None, Ok(Etcd::External), RetainedAs::Unclear, "once nobody needs its data"),
    ];
    for (phase, etcd, membership, words) in rows {
        let told = format!("{phase:?} {etcd:?}");
        let (text, found) = said_of(phase, etcd);
        assert_eq!(found, Some(membership), "{told}");
        assert!(text.starts_with(&format!("{} is retained by its group", id(4))) && text.contains(words), "{text}");
        let may_end = membership != RetainedAs::Member;
        assert_eq!(text.contains(end), may_end, "a member is not to be ended yet: {text}");
    }
}

#[test]
fn one_that_is_gone_or_only_being_ended_is_not_retained() {
    assert_eq!(verdict_of(&healthy()).1, Vec::<&str>::new());
    let rows = [("Terminating:Wait", Ec2State::Running), ("Terminating:Retained", Ec2State::Terminated)];
    for (lifecycle, ec2) in rows {
        let input = with(|input| {
            let all = &mut input.group.as_mut().unwrap().as_mut().unwrap().members;
            all.push(GroupMember { lifecycle: Lifecycle::Other(lifecycle.into()), ..group_member(4) });
            input.ec2.as_mut().unwrap().insert(id(4), ec2);
            input.registrations.as_mut().unwrap().insert(id(4), Ok(registration(4, Left)));
        });
        assert_eq!(verdict_of(&input).1, Vec::<&str>::new(), "{lifecycle}");
    }
}
