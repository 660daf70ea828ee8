//! Voters that do not answer, and machines at which another member does.

use super::sample::*;
use super::tests::{silent, verdict_of, with, without_quorum};
use super::*;
use crate::model::machine::group::Ec2State;
use crate::model::membership::members::{Member, Members};

#[test]
fn a_silent_voter_has_its_remedy_only_while_the_others_have_a_quorum() {
    let told = |input: &StatusInput| {
        judge(input).reasons.iter().map(ToString::to_string).find(|reason| reason.contains("does not answer"))
    };
    let remedy = "run 'kubeboot reset --now' there, and then 'systemctl start kubeboot'";
    let rows = [
        (with(|input| input.etcd = stacked([member(1), member(2), silent(3)])), true),
        (with(|input| input.etcd = without_quorum([member(1), silent(2), silent(3)])), false),
        (
            with(|input| {
                input.etcd = stacked([member(1), member(2), silent(3)]);
                input.ec2.as_mut().unwrap().insert(id(3), Ec2State::Terminated);
            }),
            false,
        ),
    ];
    for (input, expected) in rows {
        let told = told(&input).unwrap_or_default();
        assert_eq!(told.contains(remedy), expected, "{told}");
    }
}

#[test]
fn who_runs_another_members_data_is_no_silent_voter() {
    let report = |at| MemberStatus { at: Some(at), ..MemberStatus::default() };
    let scene = |third: Member, found: u8, at: u8| {
        with(|input| {
            input.etcd = Ok(Etcd::Stacked {
                members: Members(vec![member(1), member(2), third]),
                certain: true,
                reports: [(member_id(1), report(address(1))), (member_id(found), report(address(at)))].into(),
            });
        })
    };
    let rows = [
        (scene(silent(3), 2, 3), Some(member_id(2)), "answers-as-another"),
        (scene(silent(3), 2, 2), None, "member-silent"),
        (scene(silent(3), 9, 3), Some(member_id(9)), "answers-as-another"),
    ];
    for (input, expected, code) in rows {
        let machines = machines(&input);
        let third = machines.iter().find(|machine| *machine.instance == id(3)).unwrap();
        assert_eq!((third.answers_as, verdict_of(&input).1), (expected, vec![code]));
    }
    let all_well = scene(member(3), 2, 3);
    assert!(machines(&all_well).iter().all(|machine| machine.answers_as.is_none()), "it answers itself");
}
