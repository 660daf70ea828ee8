//! Every verdict and every reason, each by one change to a healthy control plane of three.

use super::sample::*;
use super::*;
use crate::model::machine::group::{Ec2State, GroupMember};
use crate::model::machine::ids::{BootId, Uid};
use crate::model::membership::members::{Member, Members};
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::Holder;
use std::collections::BTreeMap;

fn silent(n: u8) -> Member {
    Member { answers: false, ..member(n) }
}

fn without_quorum(members: impl IntoIterator<Item = Member>) -> Known<Etcd> {
    Ok(Etcd::Stacked { members: Members(members.into_iter().collect()), certain: false, reports: BTreeMap::new() })
}

/// A healthy control plane with one change.
fn with(change: impl FnOnce(&mut StatusInput)) -> StatusInput {
    let mut seen = healthy();
    change(&mut seen);
    seen
}

fn registrations(seen: &mut StatusInput) -> &mut BTreeMap<InstanceId, Known<Registration>> {
    seen.registrations.as_mut().unwrap()
}

fn candidates(seen: &mut StatusInput) -> &mut Vec<GroupMember> {
    &mut seen.group.as_mut().unwrap().as_mut().unwrap().members
}

fn api_servers(seen: &mut StatusInput) -> &mut BTreeMap<InstanceId, ApiServer> {
    seen.api_servers.as_mut().unwrap()
}

fn why<T>() -> Known<T> {
    Err("no answer".into())
}

/// The first line, and the codes of the reasons.
fn told(seen: &StatusInput) -> (String, Vec<&'static str>) {
    let verdict = judge(seen);
    (verdict.to_string(), verdict.reasons.iter().map(StatusReason::code).collect())
}

#[test]
fn what_is_healthy() {
    let one = with(|seen| {
        seen.etcd = stacked([member(1)]);
        candidates(seen).truncate(1);
        seen.here.expected_size = Some(1);
    });
    let gone_before = with(|seen| {
        registrations(seen).insert(id(4), Ok(registration(4, RegistrationPhase::Reaped)));
        registrations(seen).insert(id(5), Err("garbage".into()));
        seen.ec2.as_mut().unwrap().insert(id(4), Ec2State::Terminated);
    });
    let kubelet_without_network = with(|seen| {
        api_servers(seen).get_mut(&id(2)).unwrap().node = Some(NodeStatus { ready: false, kubelet_version: None });
    });
    let rows = [
        (healthy(), "healthy, can lose 1"),
        (one, "healthy, can lose 0"),
        (gone_before, "healthy, can lose 1"),
        (kubelet_without_network, "healthy, can lose 1"),
        (with(|seen| seen.here.leaving_unit = Ok(LeavingUnitState::NotInstalled)), "healthy, can lose 1"),
        (with(|seen| seen.lease = why()), "healthy, can lose 1"),
    ];
    for (seen, text) in rows {
        assert_eq!(told(&seen), (text.to_owned(), vec![]));
    }
}

#[test]
fn every_reason_degrades() {
    let rows: Vec<(StatusInput, usize, &[&str])> = vec![
        (with(|seen| seen.record = why()), 1, &["unknown"]),
        (with(|seen| seen.record = Ok(None)), 1, &["record-missing"]),
        (with(|seen| seen.record = record(RecordState::Retired(published().into()))), 1, &["record-retired"]),
        (with(|seen| seen.here.endpoint = "other:6443".into()), 1, &["other-settings"]),
        (with(|seen| seen.group.as_mut().unwrap().as_mut().unwrap().arn = "arn:new".into()), 1, &["other-group"]),
        (with(|seen| seen.group = Ok(None)), 1, &["group-missing"]),
        (with(|seen| seen.group = why()), 1, &["unknown"]),
        (with(|seen| seen.ec2 = why()), 1, &["unknown"]),
        (with(|seen| seen.registrations = why()), 1, &["unknown"]),
        (with(|seen| seen.hash = why()), 1, &["unknown"]),
        (with(|seen| seen.hash = Ok(None)), 1, &["hash-differs"]),
        (with(|seen| seen.hash = Ok(Some("sha256:9999".into()))), 1, &["hash-differs"]),
        (with(|seen| seen.here.certificates = why()), 1, &["unknown"]),
        (
            with(|seen| seen.here.certificates = Ok(vec![certificate(29), certificate(-1)])),
            1,
            &["certificate", "certificate"],
        ),
        (with(|seen| seen.api_servers = why()), 1, &["unknown"]),
        (with(|seen| api_servers(seen).get_mut(&id(2)).unwrap().ready = why()), 1, &["api-server"]),
        (with(|seen| seen.etcd = stacked([member(1), member(2), silent(3)])), 0, &["member-silent"]),
        // The read went through a quorum, whatever the status calls came to.
        (with(|seen| seen.etcd = stacked([member(1), silent(2), silent(3)])), 0, &["member-silent", "member-silent"]),
        (with(|seen| seen.etcd = stacked([member(1), member(2)])), 0, &["not-a-voter", "voter-count"]),
        (with(|seen| registrations(seen).insert(id(3), why()).map_or((), drop)), 1, &["member-unexplained"]),
        (with(|seen| seen.here.expected_size = Some(5)), 1, &["voter-count"]),
    ];
    for (seen, can_lose, codes) in rows {
        assert_eq!(told(&seen), (format!("degraded, can lose {can_lose}"), codes.to_vec()));
    }
}

#[test]
fn members_on_their_way_are_told() {
    let learner = Member { learner: true, ..member(3) };
    let unstarted = Member { name: String::new(), answers: false, learner: true, ..member(3) };
    let unstarted_voter = Member { name: String::new(), answers: false, ..member(3) };
    let rows: [(Member, usize, &[&str]); 3] = [
        (learner, 0, &["member-learner", "voter-count"]),
        (unstarted, 0, &["member-not-started", "voter-count"]),
        (unstarted_voter, 0, &["member-not-started", "voter-count"]),
    ];
    for (third, can_lose, codes) in rows {
        let seen = with(|seen| seen.etcd = stacked([member(1), member(2), third]));
        assert_eq!(told(&seen), (format!("degraded, can lose {can_lose}"), codes.to_vec()));
    }
}

#[test]
fn quorum_lost_counts_who_answers() {
    let rows = [
        (without_quorum([member(1), silent(2), silent(3)]), "quorum lost: 1 of 3 answers"),
        (without_quorum([silent(1), silent(2), silent(3)]), "quorum lost: 0 of 3 answer"),
        (without_quorum([member(1), silent(2)]), "quorum lost: 1 of 2 answers"),
    ];
    for (etcd, text) in rows {
        let seen = with(|seen| {
            seen.etcd = etcd;
            api_servers(seen).values_mut().for_each(|server| server.ready = why());
        });
        let (first, codes) = told(&seen);
        assert_eq!(first, text);
        assert!(!codes.contains(&"api-server"), "without quorum none is ready: {codes:?}");
    }
}

#[test]
fn two_clusters_are_the_worst() {
    let other = |seen: &mut StatusInput| {
        api_servers(seen).get_mut(&id(3)).unwrap().kube_system_uid = Ok(Uid::parse(OTHER_UID).unwrap());
    };
    let rows = [
        with(other),
        with(|seen| {
            other(seen);
            seen.record = why();
        }),
        with(|seen| {
            other(seen);
            seen.etcd = without_quorum([member(1), silent(2), silent(3)]);
        }),
    ];
    for seen in rows {
        let verdict = judge(&seen);
        assert_eq!(verdict.to_string(), "split: API servers of two clusters answer");
        assert_eq!(verdict.reasons[0].code(), "other-cluster");
        assert_eq!(verdict.reasons[0].instance(), Some(&id(3)));
    }
    let all_elsewhere = with(|seen| {
        api_servers(seen).values_mut().for_each(|server| server.kube_system_uid = Ok(Uid::parse(OTHER_UID).unwrap()));
    });
    assert_eq!(judge(&all_elsewhere).to_string(), "split: the cluster that answers is not the record's");
}

#[test]
fn without_a_cluster_the_record_says_how_far_it_is() {
    let holder = Holder { instance: id(2), boot: BootId::parse(UID).unwrap() };
    let claim = |holder: Option<Holder>| record(RecordState::Initializing { holder, beat: 7 });
    let fresh = |record: Known<Option<ClusterRecord>>| {
        with(|seen| {
            (seen.record, seen.etcd, seen.api_servers, seen.hash) = (record, why(), why(), Ok(None));
            *registrations(seen) = (1..=3).map(|n| (id(n), Ok(registration(n, RegistrationPhase::Waiting)))).collect();
        })
    };
    let mut incomplete = fresh(Ok(None));
    candidates(&mut incomplete).truncate(2);
    let mut dead_holder = fresh(claim(Some(holder.clone())));
    dead_holder.ec2.as_mut().unwrap().insert(id(2), Ec2State::ShuttingDown);
    let mut half_made_here = fresh(claim(Some(holder.clone())));
    half_made_here.etcd = stacked([member(2)]);
    let rows: [(StatusInput, &str, &[&str]); 7] = [
        (fresh(Ok(None)), "no cluster yet: nobody has claimed it", &[]),
        (incomplete, "no cluster yet: nobody has claimed it", &["group-incomplete"]),
        (fresh(claim(Some(holder))), "no cluster yet: i-0a1b2c3d4e5f60712 initialises it (claim 2, beat 7)", &[]),
        (half_made_here, "no cluster yet: i-0a1b2c3d4e5f60712 initialises it (claim 2, beat 7)", &[]),
        (dead_holder, "no cluster yet: i-0a1b2c3d4e5f60712 initialises it (claim 2, beat 7)", &["holder-gone"]),
        (fresh(claim(None)), "no cluster yet: the holder of claim 2 stepped down, another machine follows", &[]),
        (
            fresh(record(RecordState::Retired(published().into()))),
            "no cluster: it was retired, and nobody has claimed a new one",
            &[],
        ),
    ];
    for (seen, text, codes) in rows {
        assert_eq!(told(&seen), (text.to_owned(), codes.to_vec()));
    }
}

#[test]
fn a_lost_record_is_not_taken_for_a_fresh_start() {
    let lost = with(|seen| (seen.record, seen.etcd, seen.api_servers) = (Ok(None), why(), why()));
    let verdict = judge(&lost);
    assert_eq!(verdict.outcome, StatusOutcome::CannotTell { joined: Some(3) });
    assert_eq!(verdict.reasons[0], StatusReason::RecordMissing);
}

#[test]
fn without_etcd_only_what_can_be_told_is_told() {
    let laptop = |seen: &mut StatusInput| {
        seen.here.machine = why();
        seen.here.service_subnet = None;
        (seen.etcd, seen.api_servers, seen.here.certificates) = (why(), why(), Ok(vec![]));
    };
    let terminated = |seen: &mut StatusInput| {
        laptop(seen);
        seen.ec2.as_mut().unwrap().values_mut().for_each(|state| *state = Ec2State::Terminated);
    };
    let absent = |seen: &mut StatusInput, somebody_runs: bool| {
        laptop(seen);
        let states = seen.ec2.as_mut().unwrap();
        states.clear();
        if somebody_runs {
            states.insert(id(9), Ec2State::Running);
        }
    };
    let only_the_first_had_a_vote = |seen: &mut StatusInput| {
        laptop(seen);
        seen.ec2.as_mut().unwrap().insert(id(1), Ec2State::Terminated);
        let registrations = registrations(seen);
        registrations.remove(&id(1));
        for n in [2, 3] {
            registrations.insert(id(n), Ok(registration(n, RegistrationPhase::Waiting)));
        }
    };
    let rows: [(StatusInput, &str, &[&str]); 7] = [
        (with(only_the_first_had_a_vote), "quorum lost: the only machine that had a vote is gone", &["unknown"]),
        (with(laptop), "cannot tell: 3 machines say that they are voters", &["unknown"]),
        (
            with(|seen| {
                laptop(seen);
                seen.registrations = why();
            }),
            "cannot tell: neither etcd nor the bucket says anything",
            &["unknown", "unknown"],
        ),
        (with(terminated), "quorum lost: all 3 machines that had a vote are gone", &["unknown"]),
        (with(|seen| absent(seen, true)), "quorum lost: all 3 machines that had a vote are gone", &["unknown"]),
        // An answer for the wrong Region shows nobody.
        (with(|seen| absent(seen, false)), "cannot tell: 3 machines say that they are voters", &["unknown"]),
        // A ready API server has read etcd through its quorum.
        (with(|seen| seen.etcd = why()), "degraded", &["unknown"]),
    ];
    for (seen, text, codes) in rows {
        assert_eq!(told(&seen), (text.to_owned(), codes.to_vec()));
    }
}

#[test]
fn an_etcd_that_is_silent_everywhere_has_no_quorum() {
    let silent = |seen: &mut StatusInput| seen.etcd = Ok(Etcd::Silent { asked: 3, why: "connection refused".into() });
    let all_silent = with(|seen| {
        silent(seen);
        api_servers(seen).values_mut().for_each(|server| server.ready = why());
    });
    assert_eq!(told(&all_silent), ("quorum lost: none of 3 machines answers".into(), vec!["unknown"]));
    assert_eq!(told(&with(silent)), ("degraded".into(), vec!["unknown"]), "the API servers read it");
}

#[test]
fn with_external_etcd_the_api_servers_are_counted() {
    let external = |seen: &mut StatusInput| seen.etcd = Ok(Etcd::External);
    let rows: [(StatusInput, &str, &[&str]); 4] = [
        (with(external), "healthy, can lose 2", &[]),
        (
            with(|seen| {
                external(seen);
                api_servers(seen).get_mut(&id(2)).unwrap().ready = why();
            }),
            "degraded, can lose 1",
            &["api-server"],
        ),
        (
            with(|seen| {
                external(seen);
                registrations(seen).insert(id(3), Ok(registration(3, RegistrationPhase::Joining)));
            }),
            "degraded, can lose 2",
            &["not-a-voter"],
        ),
        (
            with(|seen| {
                external(seen);
                api_servers(seen).values_mut().for_each(|server| server.ready = why());
            }),
            "quorum lost: no API server is ready",
            &["api-server", "api-server", "api-server"],
        ),
    ];
    for (seen, text, codes) in rows {
        assert_eq!(told(&seen), (text.to_owned(), codes.to_vec()));
    }
    let nobody_said = with(|seen| {
        external(seen);
        seen.api_servers = Err("nobody was asked".into());
    });
    assert_eq!(told(&nobody_said).0, "cannot tell: 3 machines say that they are voters");
}

#[test]
fn a_member_is_the_machine_that_said_so_and_then_the_one_that_lives_there() {
    // The fourth machine has the address of the third, which is gone and whose member is still listed.
    let seen = with(|seen| {
        seen.etcd = stacked([member(1), member(2), silent(3)]);
        candidates(seen)[2] = GroupMember { addresses: vec![address(3)], ..group_member(4) };
        let states = seen.ec2.as_mut().unwrap();
        states.insert(id(3), Ec2State::Terminated);
        states.insert(id(4), Ec2State::Running);
        let waiting = Registration {
            waits_for: Some("the membership lease".into()),
            ..registration(4, RegistrationPhase::Waiting)
        };
        registrations(seen).insert(id(4), Ok(Registration { addresses: vec![address(3)], ..waiting }));
    });
    let reasons: Vec<String> = judge(&seen).reasons.iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            "etcd voter 5d1e0000c0de0003 of i-0a1b2c3d4e5f60713 (10.0.1.13) does not answer; EC2 says that its machine is \
             terminated",
            "i-0a1b2c3d4e5f60714 has no vote: it waits for the membership lease",
        ]
    );
    let order: Vec<_> = machines(&seen).iter().map(|machine| machine.instance.clone()).collect();
    assert_eq!(order, [id(1), id(2), id(4), id(3)], "the group first");
    // Nobody said so: then it is the one that lives at the address.
    let unsaid = with(|seen| {
        registrations(seen).remove(&id(3));
    });
    assert_eq!(machines(&unsaid)[2].member, Some(&member(3)));
    // Two have had the address: then it is the one of them that lives.
    let again = with(|seen| {
        registrations(seen).remove(&id(3));
        candidates(seen).push(GroupMember { addresses: vec![address(3)], ..group_member(4) });
        let states = seen.ec2.as_mut().unwrap();
        states.insert(id(3), Ec2State::Terminated);
        states.insert(id(4), Ec2State::Running);
    });
    let members: Vec<_> = machines(&again).iter().map(|machine| machine.member.is_some()).collect();
    assert_eq!(members, [true, true, false, true]);
}

#[test]
fn a_machine_without_vote_says_why_as_well_as_it_can() {
    let waiting = Registration { waits_for: Some("its turn".into()), ..registration(3, RegistrationPhase::Waiting) };
    let failed =
        Registration { last_error: Some("kubeadm failed".into()), ..registration(3, RegistrationPhase::Failed) };
    let rows = [
        (None, "it has not said anything yet; is 'kubeboot up' running there?"),
        (Some(Err("it is not JSON".into())), "what it says about itself cannot be read: it is not JSON"),
        (Some(Ok(waiting)), "it waits for its turn"),
        (Some(Ok(failed)), "it failed: kubeadm failed"),
        (Some(Ok(registration(3, RegistrationPhase::Joining))), "it says 'joining' since 2026-01-02T03:04:05Z"),
    ];
    for (registration, says) in rows {
        let seen = with(|seen| {
            seen.etcd = stacked([member(1), member(2)]);
            registrations(seen).remove(&id(3));
            registrations(seen).extend(registration.map(|found| (id(3), found)));
        });
        let reason = judge(&seen).reasons.into_iter().find(|reason| reason.code() == "not-a-voter").unwrap();
        assert_eq!(reason, StatusReason::NotAVoter { instance: id(3), says: says.to_owned() });
    }
}

#[test]
fn what_a_member_complains_of_is_told() {
    let seen = with(|seen| {
        let report = MemberStatus { version: "3.6.8".into(), errors: vec!["alarm:NOSPACE".into()] };
        let members = Members(vec![member(1), member(2), member(3)]);
        seen.etcd = Ok(Etcd::Stacked { members, certain: true, reports: BTreeMap::from([(member_id(2), report)]) });
    });
    let reasons: Vec<String> = judge(&seen).reasons.iter().map(ToString::to_string).collect();
    assert_eq!(reasons, ["etcd member 5d1e0000c0de0002 of i-0a1b2c3d4e5f60712 (10.0.1.12) reports: alarm:NOSPACE"]);
}

#[test]
fn a_member_knows_itself_when_all_else_is_silent() {
    let seen = with(|seen| {
        seen.here.machine = why();
        (seen.record, seen.registrations, seen.hash) = (why(), why(), why());
        (seen.group, seen.ec2) = (why(), why());
    });
    let machines = machines(&seen);
    let known: Vec<_> = machines.iter().map(|machine| (machine.instance.clone(), machine.member)).collect();
    assert_eq!(known[0], (id(1), Some(&member(1))));
    assert_eq!(judge(&seen).to_string(), "degraded, can lose 1");
}

#[test]
fn certificates_are_told_in_days() {
    let text = |days| StatusReason::Certificate { file: "f".into(), days }.to_string();
    for (days, start) in [
        (-1, "f has expired:"),
        (0, "f expires within a day:"),
        (1, "f expires in 1 day:"),
        (29, "f expires in 29 days:"),
    ] {
        assert!(text(days).starts_with(start), "{}", text(days));
    }
}

#[test]
fn a_certificate_is_told_of_in_its_last_month() {
    for (days, told_of) in [(-1, true), (29, true), (30, false), (364, false)] {
        let reasons = judge(&with(|seen| seen.here.certificates = Ok(vec![certificate(days)]))).reasons;
        assert_eq!(reasons.iter().any(|reason| matches!(reason, StatusReason::Certificate { .. })), told_of, "{days}");
    }
}
