//! Every kind of change, each by one change to a healthy control plane of three.

use super::super::report::tests::report;
use super::*;
use crate::model::machine::group::{Ec2State, Lifecycle};
use crate::model::machine::ids::{BootId, InstanceId, Nonce};
use crate::model::machine::local::Local;
use crate::model::membership::lease::{Lease, LeaseHolder};
use crate::model::membership::members::Member;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::record::cluster::{Holder, RecordState};
use crate::model::status::sample::*;
use crate::model::status::{EndpointAnswer, Etcd, Known, LeavingUnitState, NodeStatus, StatusInput};
use std::collections::BTreeMap;

type Change = fn(&mut StatusInput);

fn with(changes: &[Change]) -> StatusInput {
    let mut input = healthy();
    changes.iter().for_each(|change| change(&mut input));
    input
}

/// What is told at each look after the first.
fn told(looks: &[&[Change]]) -> Vec<Vec<String>> {
    let mut seen: Option<Seen> = None;
    let mut told = Vec::new();
    for look in looks {
        let now = Seen::new(&report(&with(look)), seen.as_ref());
        told.extend(seen.map(|before| changes(&before, &now)));
        seen = Some(now);
    }
    told
}

/// What is told between two looks, there and back.
fn between(before: &[Change], after: &[Change]) -> (Vec<String>, Vec<String>) {
    let mut told = told(&[before, after, before]).into_iter();
    (told.next().unwrap_or_default(), told.next().unwrap_or_default())
}

fn registrations(input: &mut StatusInput) -> &mut BTreeMap<InstanceId, Known<Registration>> {
    input.registrations.as_mut().unwrap()
}

fn says(input: &mut StatusInput, n: u8, registration: Registration) {
    registrations(input).insert(id(n), Ok(registration));
}

/// A fourth machine, which is in the group and waits.
fn fourth(input: &mut StatusInput) {
    input.group.as_mut().unwrap().as_mut().unwrap().members.push(group_member(4));
    input.ec2.as_mut().unwrap().insert(id(4), Ec2State::Running);
    let waiting = registration(4, RegistrationPhase::Waiting);
    says(input, 4, Registration { waits_for: Some("the membership lease".into()), ..waiting });
    input.here.expected_size = Some(3);
}

fn fourth_joins(input: &mut StatusInput) {
    fourth(input);
    says(input, 4, registration(4, RegistrationPhase::Joining));
}

fn fourth_is_there(input: &mut StatusInput) {
    fourth(input);
    says(input, 4, registration(4, RegistrationPhase::Joined));
    input.etcd = stacked([member(1), member(2), member(3), member(4)]);
    input.here.expected_size = Some(4);
}

fn third_is_silent(input: &mut StatusInput) {
    input.etcd = stacked([member(1), member(2), Member { answers: false, ..member(3) }]);
}

fn etcd_is_silent(input: &mut StatusInput) {
    input.etcd = Ok(Etcd::Silent { asked: 3, why: "connection refused".into() });
}

fn claimed(input: &mut StatusInput, beat: u64) {
    let holder = Holder { instance: id(1), boot: BootId::parse(UID).unwrap() };
    input.record = record(RecordState::Initializing { holder: Some(holder), beat, restoring: None });
}

fn lines(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[test]
fn each_change_is_a_line_and_so_is_its_end() {
    let (third, fourth_id) = (id(3), id(4));
    type Row = (&'static [Change], &'static [Change], Vec<String>, Vec<String>);
    let machine =
        |id: &InstanceId, texts: &[&str]| texts.iter().map(|text| format!("{id}: {text}")).collect::<Vec<_>>();
    let rows: Vec<Row> = vec![
        (&[], &[], vec![], vec![]),
        (
            &[|input| input.here.expected_size = Some(3)],
            &[fourth],
            [
                lines(&["now degraded, can lose 1"]),
                lines(&[&format!("problem: {fourth_id} has no vote: it waits for the membership lease")]),
                lines(&["group demo: 3 candidates, 3 expected -> demo: 4 candidates, 3 expected"]),
                machine(
                    &fourth_id,
                    &["new: 10.0.1.14, EC2 running, group InService, says waiting, waits for the membership lease"],
                ),
            ]
            .concat(),
            [
                lines(&["now healthy, can lose 1"]),
                lines(&[&format!("no more: {fourth_id} has no vote: it waits for the membership lease")]),
                lines(&["group demo: 4 candidates, 3 expected -> demo: 3 candidates, 3 expected"]),
                machine(&fourth_id, &["not there any more"]),
            ]
            .concat(),
        ),
        (
            &[fourth],
            &[fourth_joins],
            machine(&fourth_id, &["says waiting -> joining", "waits no more"]),
            machine(&fourth_id, &["says joining -> waiting", "waits for the membership lease"]),
        ),
        (
            &[|input| {
                let waiting = registration(3, RegistrationPhase::Waiting);
                says(input, 3, Registration { waits_for: Some("its turn".into()), ..waiting });
            }],
            &[|input| {
                let waiting = registration(3, RegistrationPhase::Waiting);
                let (waits_for, last_error) = (Some("the quorum".into()), Some("kubeadm failed".into()));
                says(input, 3, Registration { waits_for, last_error, ..waiting });
            }],
            machine(&third, &["waits for the quorum", "last error: kubeadm failed"]),
            machine(&third, &["waits for its turn", "no error any more"]),
        ),
        (
            &[],
            &[third_is_silent],
            [
                lines(&["now degraded, can lose 0"]),
                vec![format!("problem: {}", problem(&[third_is_silent]))],
                lines(&["etcd 3 of 3 voters answering, quorum 2 -> 2 of 3 voters answering, quorum 2"]),
                machine(&third, &["etcd voter -> silent voter"]),
            ]
            .concat(),
            [
                lines(&["now healthy, can lose 1"]),
                vec![format!("no more: {}", problem(&[third_is_silent]))],
                lines(&["etcd 2 of 3 voters answering, quorum 2 -> 3 of 3 voters answering, quorum 2"]),
                machine(&third, &["etcd silent voter -> voter"]),
            ]
            .concat(),
        ),
        (
            &[],
            &[|input| {
                let server = input.api_servers.as_mut().unwrap().get_mut(&id(3)).unwrap();
                server.node = Ok(Some(NodeStatus { ready: false, kubelet_version: None, ..node_status() }));
                input.ec2.as_mut().unwrap().insert(id(3), Ec2State::Stopping);
                input.group.as_mut().unwrap().as_mut().unwrap().members[2].healthy = false;
            }],
            [
                lines(&["group demo: 3 candidates, 3 expected -> demo: 2 candidates, 3 expected"]),
                machine(
                    &third,
                    &[
                        "EC2 running -> stopping",
                        "group InService -> InService, unhealthy",
                        "kubelet ready -> not ready",
                    ],
                ),
            ]
            .concat(),
            [
                lines(&["group demo: 2 candidates, 3 expected -> demo: 3 candidates, 3 expected"]),
                machine(
                    &third,
                    &[
                        "EC2 stopping -> running",
                        "group InService, unhealthy -> InService",
                        "kubelet not ready -> ready",
                    ],
                ),
            ]
            .concat(),
        ),
        (
            &[],
            &[|input| {
                input.endpoint.as_mut().unwrap()[0].answer = EndpointAnswer::Silent { why: "timed out".into() };
            }],
            lines(&["endpoint 10.0.9.9: answers, this cluster, ready -> does not answer from here"]),
            lines(&["endpoint 10.0.9.9: does not answer from here -> answers, this cluster, ready"]),
        ),
        (
            &[],
            &[|input| {
                let holder = LeaseHolder { instance: id(2), nonce: Nonce::parse(UID).unwrap(), purpose: "join".into() };
                let before = Lease::parse(br#"{"schema": 1, "holder": null, "beat": 1}"#).unwrap();
                input.lease = Ok(Some(Lease::taken(Some(&before), holder)));
                input.here.leaving_unit = Ok(LeavingUnitState::NotArmed);
                input.here.local = Ok(Local::Fresh);
            }],
            vec![
                format!("lease free -> {} holds it to join", id(2)),
                "this machine: state member -> fresh".to_owned(),
                "this machine: leaving unit armed -> not armed".to_owned(),
            ],
            vec![
                format!("lease {} holds it to join -> free", id(2)),
                "this machine: state fresh -> member".to_owned(),
                "this machine: leaving unit not armed -> armed".to_owned(),
            ],
        ),
    ];
    for (before, after, there, back) in rows {
        assert_eq!(between(before, after), (there, back));
    }
}

/// The first reason of what was changed so.
fn problem(changes: &[Change]) -> String {
    report(&with(changes)).verdict.reasons[0].text.clone()
}

#[test]
fn the_record_is_told_by_its_phase_its_claim_and_its_holder() {
    let told = told(&[
        &[|input| input.record = Ok(None), |input| input.etcd = Err("none".into()), nobody_has_registered],
        &[|input| claimed(input, 1), |input| input.etcd = Err("none".into()), nobody_has_registered],
        &[|input| claimed(input, 9), |input| input.etcd = Err("none".into()), nobody_has_registered],
    ]);
    let initialises = format!("record none -> initializing, claim number 2, held by {}", id(1));
    assert!(told[0].contains(&initialises), "{told:?}");
    assert!(told[0][0].starts_with("now no cluster yet: "), "{told:?}");
    assert_eq!(told[1], lines(&[]), "a beat is no change");
}

fn nobody_has_registered(input: &mut StatusInput) {
    input.registrations = Ok(BTreeMap::new());
    input.hash = Ok(None);
    input.here.local = Ok(Local::Fresh);
}

#[test]
fn what_differs_at_each_look_is_no_change() {
    let rows: [(Change, Change); 5] = [
        (
            |input| input.here.certificates = Ok(vec![certificate(20)]),
            |input| input.here.certificates = Ok(vec![certificate(19)]),
        ),
        (
            |input| input.api_servers.as_mut().unwrap().get_mut(&id(2)).unwrap().ready = Err("refused".into()),
            |input| input.api_servers.as_mut().unwrap().get_mut(&id(2)).unwrap().ready = Err("timed out".into()),
        ),
        (
            |input| says(input, 2, registration(2, RegistrationPhase::Joined)),
            |input| {
                let updated = "2026-01-02T04:00:00Z".into();
                says(input, 2, Registration { updated, ..registration(2, RegistrationPhase::Joined) });
            },
        ),
        (
            |input| input.lease = Err("no answer within 5 s".into()),
            |input| input.lease = Err("failed to read the object".into()),
        ),
        (
            |input| input.endpoint.as_mut().unwrap()[0].answer = EndpointAnswer::Silent { why: "timed out".into() },
            |input| input.endpoint.as_mut().unwrap()[0].answer = EndpointAnswer::Silent { why: "refused".into() },
        ),
    ];
    for (at, (before, after)) in rows.into_iter().enumerate() {
        assert_eq!(told(&[&[before], &[after]]), [lines(&[])], "row {at}");
    }
}

#[test]
fn a_source_that_says_nothing_is_told_once_and_takes_nothing_away() {
    // A voter falls silent; nobody can be asked; then all are there, and one more machine.
    let told = told(&[
        &[third_is_silent],
        &[etcd_is_silent],
        &[|input| input.etcd = Err("no answer within 5 s".into())],
        &[third_is_silent],
        &[],
    ]);
    assert!(told[0].contains(&"etcd: unknown: connection refused".to_owned()), "{told:?}");
    assert!(told[1].is_empty(), "{told:?}");
    assert!(told[2].contains(&"etcd: known now".to_owned()), "{told:?}");
    let about_the_voter =
        |lines: &[String]| lines.iter().any(|line| line.contains("voter") || line.contains("etcd member"));
    assert!(!told[..3].iter().any(|lines| about_the_voter(lines)), "{told:?}");
    assert!(told[3].contains(&format!("{}: etcd silent voter -> voter", id(3))), "{told:?}");
    assert!(told[3].contains(&format!("no more: {}", problem(&[third_is_silent]))), "{told:?}");
}

#[test]
fn what_happened_while_a_source_said_nothing_is_told_when_it_does_again() {
    let dark: Change = |input| input.registrations = Err("denied".into());
    let told = told(&[&[fourth], &[fourth, dark], &[fourth, dark], &[fourth_joins]]);
    let instance = id(4);
    assert!(told[0].contains(&"the registrations: unknown: denied".to_owned()), "{told:?}");
    assert!(told[1].is_empty(), "{told:?}");
    assert!(told[2].contains(&"the registrations: known now".to_owned()), "{told:?}");
    assert!(told[2].contains(&format!("{instance}: says waiting -> joining")), "{told:?}");
    let rest = told[..2].concat();
    assert!(!rest.iter().any(|line| line.contains("not there any more") || line.contains("no more")), "{rest:?}");
}

#[test]
fn a_registration_that_cannot_be_read_takes_nothing_away() {
    let told = told(&[
        &[fourth],
        &[fourth, |input| drop(registrations(input).insert(id(4), Err("denied".into())))],
        &[fourth],
    ]);
    assert_eq!(told[0], [format!("{}: what it says cannot be read", id(4))]);
    assert_eq!(told[1], [format!("{}: what it says can be read again", id(4))]);
}

#[test]
fn several_changes_come_in_the_order_of_the_page() {
    let told = told(&[
        &[|input| input.here.expected_size = Some(3)],
        &[
            fourth_is_there,
            |input| input.lease = Err("denied".into()),
            |input| {
                input.group.as_mut().unwrap().as_mut().unwrap().members[0].lifecycle = Lifecycle::Pending;
                input.endpoint.as_mut().unwrap()[0].answer = EndpointAnswer::Silent { why: "refused".into() };
            },
        ],
    ]);
    let begins: Vec<String> = told[0].iter().map(|line| line.chars().take(15).collect()).collect();
    let first = |n: u8| id(n).to_string().chars().take(15).collect::<String>();
    let expected =
        ["the membership ".to_owned(), "endpoint 10.0.9".into(), "group demo: 3 c".into(), "etcd 3 of 3 vot".into()];
    assert_eq!(begins, [&expected[..], &[first(1), first(4)]].concat(), "{told:?}");
}

#[test]
fn the_same_problem_with_another_number_is_one_line() {
    let told = told(&[&[|input| input.here.expected_size = Some(4)], &[|input| input.here.expected_size = Some(5)]]);
    let problems: Vec<&String> = told[0].iter().filter(|line| line.contains("voters, ")).collect();
    assert_eq!(problems, ["problem: etcd has 3 voters, 5 expected"], "{told:?}");
    assert!(!told[0].iter().any(|line| line.starts_with("no more")), "{told:?}");
}
