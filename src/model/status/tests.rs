//! Every verdict and every reason, each by one change to a healthy control plane of three.

use super::sample::*;
use super::*;
use crate::model::machine::etcd_data::{EtcdData, EtcdIds};
use crate::model::machine::group::{Ec2State, GroupMember};
use crate::model::machine::ids::{BootId, ClaimId, EtcdClusterId, Uid};
use crate::model::machine::local::Local;
use crate::model::machine::node_marks::{self, NodeMarks};
use crate::model::membership::members::{Member, Members};
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::Holder;
use crate::model::up::snapshot::ApiServerAt;
use std::collections::BTreeMap;

pub(super) fn silent(n: u8) -> Member {
    Member { answers: false, ..member(n) }
}

pub(super) fn without_quorum(members: impl IntoIterator<Item = Member>) -> Known<Etcd> {
    Ok(Etcd::Stacked { members: Members(members.into_iter().collect()), certain: false, reports: BTreeMap::new() })
}

/// A healthy control plane with one change.
pub(super) fn with(change: impl FnOnce(&mut StatusInput)) -> StatusInput {
    let mut input = healthy();
    change(&mut input);
    input
}

fn registrations(input: &mut StatusInput) -> &mut BTreeMap<InstanceId, Known<Registration>> {
    input.registrations.as_mut().unwrap()
}

/// Machine `n` has another file than the others.
fn differ(input: &mut StatusInput, n: u8) {
    for (instance, says) in registrations(input) {
        let digest = if *instance == id(n) { "another" } else { "one" };
        says.as_mut().unwrap().digests.insert("/etc/kubernetes/enc.yaml".into(), digest.into());
    }
}

fn candidates(input: &mut StatusInput) -> &mut Vec<GroupMember> {
    &mut input.group.as_mut().unwrap().as_mut().unwrap().members
}

fn api_servers(input: &mut StatusInput) -> &mut BTreeMap<InstanceId, ApiServer> {
    input.api_servers.as_mut().unwrap()
}

/// The Node of machine `n`, as its own API server knows it.
fn node(input: &mut StatusInput, n: u8) -> &mut Known<Option<NodeStatus>> {
    &mut api_servers(input).get_mut(&id(n)).unwrap().node
}

fn files() -> LostFiles {
    let file = "/etc/kubernetes/admin.conf".to_owned();
    LostFiles { named: file.clone(), paths: vec![file], remedy: "do this" }
}

fn why<T>() -> Known<T> {
    Err("no answer".into())
}

/// The first line, and the codes of the reasons.
pub(super) fn verdict_of(input: &StatusInput) -> (String, Vec<&'static str>) {
    let verdict = judge(input);
    (verdict.to_string(), verdict.reasons.iter().map(StatusReason::code).collect())
}

#[test]
fn a_healthy_control_plane_has_no_reason() {
    let one = with(|input| {
        input.etcd = stacked([member(1)]);
        candidates(input).truncate(1);
        input.here.expected_size = Some(1);
    });
    let gone_before = with(|input| {
        registrations(input).insert(id(4), Ok(registration(4, RegistrationPhase::Reaped)));
        registrations(input).insert(id(5), Err("garbage".into()));
        input.ec2.as_mut().unwrap().insert(id(4), Ec2State::Terminated);
    });
    let gone_and_different = with(|input| {
        registrations(input).insert(id(4), Ok(registration(4, RegistrationPhase::Joined)));
        input.ec2.as_mut().unwrap().insert(id(4), Ec2State::Terminated);
        differ(input, 4);
    });
    let kubelet_without_network = with(|input| {
        *node(input, 2) = Ok(Some(NodeStatus { ready: false, kubelet_version: None, ..node_status() }));
    });
    let workloads_on_the_control_plane = with(|input| {
        for n in 1..=3 {
            let labels = [node_marks::ROLE_LABEL.to_owned()].into();
            let marks = NodeMarks { labels, taints: Vec::new() };
            *node(input, n) = Ok(Some(NodeStatus { marks, ..node_status() }));
        }
    });
    let unmarked_by_the_documents = with(|input| {
        input.here.marks_nodes = false;
        *node(input, 2) = Ok(Some(NodeStatus { marks: NodeMarks::default(), ..node_status() }));
    });
    let on_a_laptop = with(|input| {
        input.here.local = Ok(Local::Fresh);
        input.here.lost_files = Some(files());
    });
    let nobody_says_of_a_node = with(|input| *node(input, 2) = why());
    let not_joined_yet = with(|input| {
        registrations(input).insert(id(2), Ok(registration(2, RegistrationPhase::Joining)));
        *node(input, 2) = Ok(None);
    });
    let rows = [
        (healthy(), "healthy, can lose 1"),
        (one, "healthy, can lose 0"),
        (gone_and_different, "healthy, can lose 1"),
        (gone_before, "healthy, can lose 1"),
        (kubelet_without_network, "healthy, can lose 1"),
        (workloads_on_the_control_plane, "healthy, can lose 1"),
        (unmarked_by_the_documents, "healthy, can lose 1"),
        (on_a_laptop, "healthy, can lose 1"),
        (nobody_says_of_a_node, "healthy, can lose 1"),
        (not_joined_yet, "healthy, can lose 1"),
        (with(|input| input.here.leaving_unit = Ok(LeavingUnitState::NotInstalled)), "healthy, can lose 1"),
        (with(|input| input.lease = why()), "healthy, can lose 1"),
    ];
    for (input, text) in rows {
        assert_eq!(verdict_of(&input), (text.to_owned(), vec![]));
    }
}

#[test]
fn every_reason_degrades() {
    let rows: Vec<(StatusInput, usize, &[&str])> = vec![
        (with(|input| input.record = why()), 1, &["unknown"]),
        (with(|input| input.record = Ok(None)), 1, &["record-missing"]),
        (with(|input| input.record = record(RecordState::Retired(published().into()))), 1, &["record-retired"]),
        (with(|input| input.here.endpoint = "other:6443".into()), 1, &["other-settings"]),
        (with(|input| input.group.as_mut().unwrap().as_mut().unwrap().arn = "arn:new".into()), 1, &["other-group"]),
        (with(|input| input.group = Ok(None)), 1, &["group-missing"]),
        (with(|input| input.group = why()), 1, &["unknown"]),
        (with(|input| input.ec2 = why()), 1, &["unknown"]),
        (with(|input| input.registrations = why()), 1, &["unknown"]),
        (with(|input| input.hash = why()), 1, &["unknown"]),
        (with(|input| input.hash = Ok(None)), 1, &["hash-differs"]),
        (with(|input| input.hash = Ok(Some("sha256:9999".into()))), 1, &["hash-differs"]),
        (with(|input| input.here.certificates = why()), 1, &["unknown"]),
        (
            with(|input| input.here.certificates = Ok(vec![certificate(29), certificate(-1)])),
            1,
            &["certificate", "certificate"],
        ),
        (with(|input| input.api_servers = why()), 1, &["unknown"]),
        (with(|input| api_servers(input).get_mut(&id(2)).unwrap().ready = why()), 1, &["api-server"]),
        (with(|input| input.here.lost_files = Some(files())), 1, &["files-lost"]),
        (with(|input| *node(input, 2) = Ok(None)), 1, &["node-missing"]),
        (
            with(|input| {
                let marks = NodeMarks { labels: [node_marks::LABELS[1].to_owned()].into(), ..node_status().marks };
                *node(input, 3) = Ok(Some(NodeStatus { marks, ..node_status() }));
            }),
            1,
            &["node-unmarked"],
        ),
        (
            with(|input| {
                let provider_id = Some(format!("aws:///eu-central-1a/{}", id(9)));
                *node(input, 2) = Ok(Some(NodeStatus { provider_id, ..node_status() }));
            }),
            1,
            &["node-of-another"],
        ),
        (with(|input| input.etcd = stacked([member(1), member(2), silent(3)])), 0, &["member-silent"]),
        // The list was read through a quorum, so there is one, although status calls failed.
        (with(|input| input.etcd = stacked([member(1), silent(2), silent(3)])), 0, &["member-silent", "member-silent"]),
        (with(|input| input.etcd = stacked([member(1), member(2)])), 0, &["not-a-voter", "voter-count"]),
        (with(|input| registrations(input).insert(id(3), why()).map_or((), drop)), 1, &["member-unexplained"]),
        (with(|input| input.here.expected_size = Some(5)), 1, &["voter-count"]),
        (with(|input| differ(input, 3)), 1, &["machines-differ"]),
    ];
    for (input, can_lose, codes) in rows {
        assert_eq!(verdict_of(&input), (format!("degraded, can lose {can_lose}"), codes.to_vec()));
    }
}

#[test]
fn learners_and_unstarted_members_are_reasons() {
    let learner = Member { learner: true, ..member(3) };
    let unstarted = Member { name: String::new(), answers: false, learner: true, ..member(3) };
    let unstarted_voter = Member { name: String::new(), answers: false, ..member(3) };
    let rows: [(Member, usize, &[&str]); 3] = [
        (learner, 0, &["member-learner", "voter-count"]),
        (unstarted, 0, &["member-not-started", "voter-count"]),
        (unstarted_voter, 0, &["member-not-started", "voter-count"]),
    ];
    for (third, can_lose, codes) in rows {
        let input = with(|input| input.etcd = stacked([member(1), member(2), third]));
        assert_eq!(verdict_of(&input), (format!("degraded, can lose {can_lose}"), codes.to_vec()));
    }
}

#[test]
fn a_lost_quorum_counts_the_voters_that_answer() {
    let rows = [
        (without_quorum([member(1), silent(2), silent(3)]), "quorum lost: 1 of 3 answers"),
        (without_quorum([silent(1), silent(2), silent(3)]), "quorum lost: 0 of 3 answer"),
        (without_quorum([member(1), silent(2)]), "quorum lost: 1 of 2 answers"),
    ];
    for (etcd, text) in rows {
        let input = with(|input| {
            input.etcd = etcd;
            api_servers(input).values_mut().for_each(|server| server.ready = why());
        });
        let (first, codes) = verdict_of(&input);
        assert_eq!(first, text);
        assert!(!codes.contains(&"api-server"), "without quorum none is ready: {codes:?}");
    }
}

#[test]
fn two_clusters_outrank_every_other_verdict() {
    let other = |input: &mut StatusInput| {
        api_servers(input).get_mut(&id(3)).unwrap().kube_system_uid = Ok(Uid::parse(OTHER_UID).unwrap());
    };
    let rows = [
        with(other),
        with(|input| {
            other(input);
            input.record = why();
        }),
        with(|input| {
            other(input);
            input.etcd = without_quorum([member(1), silent(2), silent(3)]);
        }),
    ];
    for input in rows {
        let verdict = judge(&input);
        assert_eq!(verdict.to_string(), "split: API servers of two clusters answer");
        assert_eq!(verdict.reasons[0].code(), "other-cluster");
        assert_eq!(verdict.reasons[0].instance(), Some(&id(3)));
    }
    let all_elsewhere = with(|input| {
        api_servers(input).values_mut().for_each(|server| server.kube_system_uid = Ok(Uid::parse(OTHER_UID).unwrap()));
    });
    assert_eq!(judge(&all_elsewhere).to_string(), "split: the cluster that answers is not the record's");
}

#[test]
fn without_a_cluster_the_record_says_how_far_it_is() {
    let holder = Holder { instance: id(2), boot: BootId::parse(UID).unwrap() };
    let claim = |holder: Option<Holder>| record(RecordState::Initializing { holder, beat: 7, restoring: None });
    let fresh = |record: Known<Option<ClusterRecord>>| {
        with(|input| {
            (input.record, input.etcd, input.api_servers, input.hash) = (record, why(), why(), Ok(None));
            input.here.local = Ok(Local::Fresh);
            *registrations(input) = (1..=3).map(|n| (id(n), Ok(registration(n, RegistrationPhase::Waiting)))).collect();
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
    for (input, text, codes) in rows {
        assert_eq!(verdict_of(&input), (text.to_owned(), codes.to_vec()));
    }
}

#[test]
fn a_saved_cluster_is_told_with_its_snapshot_and_what_happens_next() {
    let saved = Saved::sample(id(1));
    let restoring = |by: Option<u8>| {
        let holder = by.map(|n| Holder { instance: id(n), boot: BootId::parse(UID).unwrap() });
        RecordState::Initializing { holder, beat: 7, restoring: Some(Box::new(saved.clone())) }
    };
    let snapshot = "snapshots/00000000000000001234-2026.json";
    let rows = [
        (
            RecordState::Saved(saved.clone()),
            format!(
                "no cluster at the moment: it is saved in {snapshot} (revision 1234, 2026-01-02T03:04:05Z), and the next machines of the \
                 group restore it"
            ),
        ),
        (restoring(Some(2)), format!("no cluster yet: {} restores it from {snapshot} (claim 2, beat 7)", id(2))),
        (
            restoring(None),
            format!("no cluster yet: the holder of claim 2 stepped down, another machine restores it from {snapshot}"),
        ),
    ];
    for (state, text) in rows {
        let input = with(|input| {
            // The hash is the saved cluster's, and stays.
            (input.record, input.etcd, input.api_servers) = (record(state), why(), why());
            input.hash = Ok(Some(saved.published.ca_hashes.join("\n")));
            input.here.local = Ok(Local::Fresh);
            *registrations(input) = (1..=3).map(|n| (id(n), Ok(registration(n, RegistrationPhase::Waiting)))).collect();
        });
        assert_eq!(verdict_of(&input), (text, vec![]));
    }
}

#[test]
fn a_lost_record_is_not_taken_for_an_unclaimed_cluster() {
    let lost = with(|input| (input.record, input.etcd, input.api_servers) = (Ok(None), why(), why()));
    let verdict = judge(&lost);
    assert_eq!(verdict.outcome, StatusOutcome::CannotTell { joined: Some(3) });
    assert_eq!(verdict.reasons[0], StatusReason::RecordMissing { witnesses: vec![id(1), id(2), id(3)] });
    let text = verdict.reasons[0].to_string();
    assert!(text.contains("restore its last version") && text.contains("'kubeboot retire --lost-record'"), "{text}");
    let deleted = with(|input| {
        (input.record, input.record_deleted, input.registrations) = (Ok(None), true, Ok(BTreeMap::new()));
        input.hash = Ok(None);
        (input.etcd, input.api_servers, input.here.local) = (why(), why(), Ok(Local::Fresh));
    });
    assert_eq!(verdict_of(&deleted), ("no cluster: its record was deleted".into(), vec!["record-missing"]));
    let with_hash = with(|input| {
        (input.record, input.registrations, input.here.local) = (Ok(None), Ok(BTreeMap::new()), Ok(Local::Fresh));
        (input.etcd, input.api_servers) = (why(), why());
    });
    let verdict = judge(&with_hash);
    assert_eq!(verdict.reasons[0].code(), "record-missing", "the published hash tells of a cluster");
    assert!(!matches!(verdict.outcome, StatusOutcome::NoCluster(_)), "{verdict}");
}

#[test]
fn an_api_server_that_answers_where_nobody_has_claimed_is_told() {
    let at = || vec![ApiServerAt { instance: None, address: "api.demo.internal:6443".into() }];
    let fresh = |input: &mut StatusInput, state: Known<Option<ClusterRecord>>| {
        (input.record, input.hash, input.registrations) = (state, Ok(None), Ok(BTreeMap::new()));
        (input.etcd, input.api_servers, input.here.local) = (why(), why(), Ok(Local::Fresh));
    };
    let retired = || record(RecordState::Retired(published().into()));
    for state in [Ok(None), retired()] {
        let alone = with(|input| fresh(input, state.clone()));
        assert!(verdict_of(&alone).1.is_empty() && !verdict_of(&alone).0.contains("answers"), "{state:?}");
        let beside = with(|input| {
            fresh(input, state.clone());
            input.beside = at();
        });
        let text = "no cluster of this prefix, and an API server answers all the same";
        assert_eq!(verdict_of(&beside), (text.into(), vec!["cluster-answers"]));
        let reason = judge(&beside).reasons[0].to_string();
        assert!(
            reason.contains("the endpoint api.demo.internal:6443") && reason.contains("correct 'bucket'"),
            "{reason}"
        );
    }
}

#[test]
fn a_record_that_went_back_is_told_with_what_is_later() {
    let claim = |n: u8| ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap();
    let following = |input: &mut StatusInput, claim: &ClaimId| {
        for says in registrations(input).values_mut().flatten() {
            says.claim_id = Some(claim.clone());
        }
    };
    let making = || record(RecordState::Initializing { holder: None, beat: 7, restoring: None });
    let own = ClaimId::parse(UID).unwrap();
    let with_local = |local: Local, change: &dyn Fn(&mut StatusInput)| {
        with(|input| {
            input.here.local = Ok(local);
            following(input, &own);
            change(input);
        })
    };
    let made = |claim_id| Local::Made { instance: id(1), claim_id, member: None };
    let no_hash = |input: &mut StatusInput| (input.record, input.hash) = (making(), Ok(Some("\n".into())));
    let only_hash = |input: &mut StatusInput| {
        (input.record, input.registrations) = (making(), Ok(BTreeMap::new()));
    };
    let retired = |input: &mut StatusInput| {
        (input.record, input.etcd) = (record(RecordState::Retired(published().into())), why());
        following(input, &claim(2));
    };
    let behind = |input: &mut StatusInput| following(input, &claim(2));
    let gone = |input: &mut StatusInput| {
        following(input, &claim(2));
        input.ec2.as_mut().unwrap().values_mut().for_each(|state| *state = Ec2State::Terminated);
    };
    let rows: [(StatusInput, &[&str]); 8] = [
        (with_local(Local::Fresh, &no_hash), &["record-went-back"]),
        (with_local(Local::Fresh, &only_hash), &["record-went-back"]),
        (with_local(made(own.clone()), &no_hash), &["record-went-back", "other-claim"]),
        (with_local(Local::Fresh, &retired), &["record-went-back", "other-claim", "other-claim", "other-claim"]),
        (with_local(Local::Fresh, &behind), &["other-claim", "other-claim", "other-claim"]),
        (with_local(made(claim(2)), &|_| ()), &["other-claim"]),
        (with_local(made(claim(2)), &gone), &["other-claim"]),
        (with_local(made(own.clone()), &|_| ()), &[]),
    ];
    for (input, codes) in rows {
        let outcome = judge(&input).outcome;
        assert!(
            !matches!(outcome, StatusOutcome::NoCluster(_) | StatusOutcome::Healthy) || codes.is_empty(),
            "{outcome:?}"
        );
        let found: Vec<_> = judge(&input).reasons.into_iter().filter(|reason| codes.contains(&reason.code())).collect();
        assert_eq!(found.iter().map(StatusReason::code).collect::<Vec<_>>(), codes, "{:?}", input.record);
        for reason in found {
            let text = reason.to_string();
            let says = text.contains("older version") || text.contains("earlier version");
            assert!(says && !text.starts_with("terminate"), "{text}");
        }
    }
    let here = with_local(made(claim(2)), &|_| ());
    let reason = &judge(&here).reasons[0];
    assert_eq!(reason.instance(), Some(&id(1)));
    assert!(reason.to_string().contains("keep the data here and compare the record's versions"), "{reason}");
}

#[test]
fn data_that_is_gone_or_anothers_and_a_claim_that_is_missing_are_reasons() {
    let made = |n, data| {
        with(|input| {
            let claim_id = ClaimId::parse(UID).unwrap();
            let member = Some(member_id(n));
            (input.here.local, input.here.data) = (Ok(Local::Made { instance: id(n), claim_id, member }), Ok(data));
        })
    };
    let unreadable = || EtcdData::Unreadable { why: "w".into() };
    let of = |n| EtcdData::Of(EtcdIds { member: member_id(n), cluster: EtcdClusterId(7) });
    let (gone, foreign) = (&["data-gone"][..], &["foreign-data"][..]);
    let rows = [
        (made(1, unreadable()), &[][..], None, ""),
        (made(1, EtcdData::Elsewhere), &[], None, ""),
        (made(1, EtcdData::Nothing), gone, Some(id(1)), "mount the volume"),
        (made(9, unreadable()), foreign, None, "attach this disk to i-0a1b2c3d4e5f60719"),
        (made(9, EtcdData::Nothing), &[], None, ""),
        (made(1, of(1)), &[], None, ""),
        (made(1, of(2)), &["data-of-another"], None, "the disk that this machine had here"),
        (
            with(|input| input.without_claim = vec![address(2)]),
            &["etcd-claim-missing"],
            None,
            "etcd at 10.0.1.12 keeps no claim",
        ),
    ];
    for (input, codes, instance, says) in rows {
        let reasons = judge(&input).reasons;
        assert_eq!(reasons.iter().map(StatusReason::code).collect::<Vec<_>>(), codes);
        assert_eq!(reasons.first().and_then(StatusReason::instance), instance.as_ref());
        assert!(reasons.first().is_none_or(|reason| reason.to_string().contains(says)), "{reasons:?}");
    }
    // Where etcd says nothing, the marker does. What may be the last copy is not to be deleted then.
    let silent = |mut input: StatusInput| {
        input.etcd = why();
        judge(&input).reasons.into_iter().find(|reason| reason.code() == "data-of-another").map(|why| why.to_string())
    };
    assert_eq!(silent(made(1, of(1))), None);
    let told = silent(made(1, of(2))).unwrap();
    assert!(told.contains("attach each disk where it belongs, and delete nothing"), "{told}");
    // A certain list without this machine says something else.
    let mut unlisted = made(1, of(2));
    if let Ok(Etcd::Stacked { members, .. }) = &mut unlisted.etcd {
        members.0.retain(|member| member.id != member_id(1));
    }
    assert!(judge(&unlisted).reasons.iter().all(|reason| reason.code() != "data-of-another"));
}

#[test]
fn what_may_come_of_a_flip_between_two_reads_is_looked_at_again() {
    let unclaimed =
        |input: &mut StatusInput| (input.record, input.registrations, input.hash) = (Ok(None), Ok([].into()), Ok(None));
    let answers = |input: &mut StatusInput| {
        unclaimed(input);
        input.beside = vec![ApiServerAt { instance: None, address: "api:6443".into() }];
    };
    let making = |input: &mut StatusInput| {
        input.record = record(RecordState::Initializing { holder: None, beat: 7, restoring: None })
    };
    assert!(!wants_anew(&with(|_| ())) && !wants_anew(&with(unclaimed)));
    assert!(wants_anew(&with(answers)) && wants_anew(&with(making)), "machines registered as joined under that claim");
}

#[test]
fn without_etcd_the_verdict_follows_ec2_and_the_registrations() {
    let laptop = |input: &mut StatusInput| {
        input.here.machine = why();
        input.here.service_subnet = None;
        (input.etcd, input.api_servers, input.here.certificates) = (why(), why(), Ok(vec![]));
    };
    let terminated = |input: &mut StatusInput| {
        laptop(input);
        input.ec2.as_mut().unwrap().values_mut().for_each(|state| *state = Ec2State::Terminated);
    };
    let absent = |input: &mut StatusInput, somebody_runs: bool| {
        laptop(input);
        let states = input.ec2.as_mut().unwrap();
        states.clear();
        if somebody_runs {
            states.insert(id(9), Ec2State::Running);
        }
    };
    let only_the_first_had_a_vote = |input: &mut StatusInput| {
        laptop(input);
        input.ec2.as_mut().unwrap().insert(id(1), Ec2State::Terminated);
        let registrations = registrations(input);
        registrations.remove(&id(1));
        for n in [2, 3] {
            registrations.insert(id(n), Ok(registration(n, RegistrationPhase::Waiting)));
        }
    };
    let rows: [(StatusInput, &str, &[&str]); 7] = [
        (with(only_the_first_had_a_vote), "quorum lost: the only machine that had a vote is gone", &["unknown"]),
        (with(laptop), "cannot tell: 3 machines say that they are voters", &["unknown"]),
        (
            with(|input| {
                laptop(input);
                input.registrations = why();
            }),
            "cannot tell: neither etcd nor the bucket answers",
            &["unknown", "unknown"],
        ),
        (with(terminated), "quorum lost: all 3 machines that had a vote are gone", &["unknown"]),
        (with(|input| absent(input, true)), "quorum lost: all 3 machines that had a vote are gone", &["unknown"]),
        // An answer for the wrong Region shows no instance.
        (with(|input| absent(input, false)), "cannot tell: 3 machines say that they are voters", &["unknown"]),
        // A ready API server has read etcd through its quorum.
        (with(|input| input.etcd = why()), "degraded", &["unknown"]),
    ];
    for (input, text, codes) in rows {
        assert_eq!(verdict_of(&input), (text.to_owned(), codes.to_vec()));
    }
}

#[test]
fn of_thousands_of_former_machines_only_those_that_may_answer_are_asked() {
    let aged = |ec2: &dyn Fn(&mut StatusInput)| {
        let mut input = with(|input| ec2(input));
        for n in 0..5_000_u32 {
            let instance = InstanceId::parse(format!("i-{n:017x}")).unwrap();
            let phases = [RegistrationPhase::Joined, RegistrationPhase::Left, RegistrationPhase::Reaped];
            let says = Registration {
                addresses: vec![std::net::IpAddr::from([10, 9, (n / 250) as u8, (n % 250) as u8])],
                ..Registration::sample(instance.clone(), phases[n as usize % 3])
            };
            registrations(&mut input).insert(instance, Ok(says));
        }
        let credible = input.leaves_out_only_what_is_gone();
        machines(&input).iter().filter(|machine| machine.may_answer(credible)).count()
    };
    assert_eq!(aged(&|_| ()), 3, "EC2 knows who is left");
    let joined_once = 1_667;
    assert_eq!(
        aged(&|input| input.ec2 = why()),
        3 + joined_once,
        "EC2 is silent: whoever left or was reaped is not asked"
    );
    assert_eq!(aged(&|input| input.ec2 = Ok(BTreeMap::new())), 3 + joined_once, "another account's answer");
}

#[test]
fn an_etcd_that_answers_nowhere_has_no_quorum() {
    let silent = |input: &mut StatusInput| input.etcd = Ok(Etcd::Silent { asked: 3, why: "connection refused".into() });
    let all_silent = with(|input| {
        silent(input);
        api_servers(input).values_mut().for_each(|server| server.ready = why());
    });
    assert_eq!(verdict_of(&all_silent), ("quorum lost: none of 3 machines answers".into(), vec!["unknown"]));
    assert_eq!(verdict_of(&with(silent)), ("degraded".into(), vec!["unknown"]), "the API servers read it");
}

#[test]
fn with_external_etcd_the_api_servers_are_counted() {
    let external = |input: &mut StatusInput| input.etcd = Ok(Etcd::External);
    let rows: [(StatusInput, &str, &[&str]); 4] = [
        (with(external), "healthy, can lose 2", &[]),
        (
            with(|input| {
                external(input);
                api_servers(input).get_mut(&id(2)).unwrap().ready = why();
            }),
            "degraded, can lose 1",
            &["api-server"],
        ),
        (
            with(|input| {
                external(input);
                registrations(input).insert(id(3), Ok(registration(3, RegistrationPhase::Joining)));
            }),
            "degraded, can lose 2",
            &["not-a-voter"],
        ),
        (
            with(|input| {
                external(input);
                api_servers(input).values_mut().for_each(|server| server.ready = why());
            }),
            "quorum lost: no API server is ready",
            &["api-server", "api-server", "api-server"],
        ),
    ];
    for (input, text, codes) in rows {
        assert_eq!(verdict_of(&input), (text.to_owned(), codes.to_vec()));
    }
    let nobody_said = with(|input| {
        external(input);
        input.api_servers = Err("nobody was asked".into());
    });
    assert_eq!(verdict_of(&nobody_said).0, "cannot tell: 3 machines say that they are voters");
}

#[test]
fn a_member_belongs_to_the_machine_that_registered_it_or_else_has_its_address() {
    // The fourth machine has the address of the third, which is gone and whose member is still listed.
    let input = with(|input| {
        input.etcd = stacked([member(1), member(2), silent(3)]);
        candidates(input)[2] = GroupMember { addresses: vec![address(3)], ..group_member(4) };
        let states = input.ec2.as_mut().unwrap();
        states.insert(id(3), Ec2State::Terminated);
        states.insert(id(4), Ec2State::Running);
        let waiting = Registration {
            waits_for: Some("the membership lease".into()),
            ..registration(4, RegistrationPhase::Waiting)
        };
        registrations(input).insert(id(4), Ok(Registration { addresses: vec![address(3)], ..waiting }));
    });
    let reasons: Vec<String> = judge(&input).reasons.iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            "etcd voter 5d1e0000c0de0003 of i-0a1b2c3d4e5f60713 (10.0.1.13) does not answer; EC2 says that its machine is \
             terminated",
            "i-0a1b2c3d4e5f60714 has no vote: it waits for the membership lease",
        ]
    );
    let order: Vec<_> = machines(&input).iter().map(|machine| machine.instance.clone()).collect();
    assert_eq!(order, [id(1), id(2), id(4), id(3)], "the group first");
    // Without a registration it is the machine that has the address.
    let unregistered = with(|input| {
        registrations(input).remove(&id(3));
    });
    assert_eq!(machines(&unregistered)[2].member, Some(&member(3)));
    // Of two machines that have had the address, it is the one that runs.
    let again = with(|input| {
        registrations(input).remove(&id(3));
        candidates(input).push(GroupMember { addresses: vec![address(3)], ..group_member(4) });
        let states = input.ec2.as_mut().unwrap();
        states.insert(id(3), Ec2State::Terminated);
        states.insert(id(4), Ec2State::Running);
    });
    let members: Vec<_> = machines(&again).iter().map(|machine| machine.member.is_some()).collect();
    assert_eq!(members, [true, true, false, true]);
}

#[test]
fn a_machine_without_a_vote_has_the_reason_of_its_registration() {
    let waiting = Registration { waits_for: Some("its turn".into()), ..registration(3, RegistrationPhase::Waiting) };
    let failed =
        Registration { last_error: Some("kubeadm failed".into()), ..registration(3, RegistrationPhase::Failed) };
    let rows = [
        (None, "it has not registered: see whether 'kubeboot up' runs there"),
        (Some(Err("it is not JSON".into())), "its registration cannot be read: it is not JSON"),
        (Some(Ok(waiting)), "it waits for its turn"),
        (Some(Ok(failed)), "it failed: kubeadm failed"),
        (Some(Ok(registration(3, RegistrationPhase::Joining))), "it has been 'joining' since 2026-01-02T03:04:05Z"),
    ];
    for (registration, says) in rows {
        let input = with(|input| {
            input.etcd = stacked([member(1), member(2)]);
            registrations(input).remove(&id(3));
            registrations(input).extend(registration.map(|found| (id(3), found)));
        });
        let reason = judge(&input).reasons.into_iter().find(|reason| reason.code() == "not-a-voter").unwrap();
        assert_eq!(reason, StatusReason::NotAVoter { instance: id(3), why: says.to_owned() });
    }
}

#[test]
fn errors_of_a_member_are_a_reason() {
    let input = with(|input| {
        let report = MemberStatus { at: None, version: "3.6.8".into(), errors: vec!["alarm:NOSPACE".into()] };
        let members = Members(vec![member(1), member(2), member(3)]);
        input.etcd = Ok(Etcd::Stacked { members, certain: true, reports: BTreeMap::from([(member_id(2), report)]) });
    });
    let reasons: Vec<String> = judge(&input).reasons.iter().map(ToString::to_string).collect();
    assert_eq!(reasons, ["etcd member 5d1e0000c0de0002 of i-0a1b2c3d4e5f60712 (10.0.1.12) reports: alarm:NOSPACE"]);
}

#[test]
fn a_member_knows_itself_when_no_other_source_answers() {
    let input = with(|input| {
        input.here.machine = why();
        (input.record, input.registrations, input.hash) = (why(), why(), why());
        (input.group, input.ec2) = (why(), why());
    });
    let machines = machines(&input);
    let known: Vec<_> = machines.iter().map(|machine| (machine.instance.clone(), machine.member)).collect();
    assert_eq!(known[0], (id(1), Some(&member(1))));
    assert_eq!(judge(&input).to_string(), "degraded, can lose 1");
}

#[test]
fn the_time_left_of_a_certificate_is_given_in_days() {
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
fn a_certificate_is_a_reason_in_its_last_month() {
    for (days, is_reason) in [(-1, true), (29, true), (30, false), (364, false)] {
        let reasons = judge(&with(|input| input.here.certificates = Ok(vec![certificate(days)]))).reasons;
        assert_eq!(
            reasons.iter().any(|reason| matches!(reason, StatusReason::Certificate { .. })),
            is_reason,
            "{days}"
        );
    }
}

#[test]
fn a_snapshot_that_is_late_or_missing_is_a_reason_and_one_that_is_due_is_none() {
    use crate::model::snapshot::SnapshotAge;
    use std::time::Duration;
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let rows = [
        (Some(44), 9999, None),
        (Some(46), 9999, Some("the last snapshot of etcd is too old")),
        (None, 44, None),
        (None, 46, Some("there is no snapshot of etcd")),
    ];
    for (last, record, expected) in rows {
        let age = SnapshotAge { last: last.map(minutes), record: minutes(record) };
        let found = SnapshotStatus { age, interval: minutes(15), last: None };
        let judged = judge(&with(|input| input.snapshots = Ok(Some(found))));
        let reasons: Vec<String> = judged.reasons.iter().map(ToString::to_string).collect();
        match expected {
            None => assert_eq!(judged.outcome, StatusOutcome::Healthy, "{age:?}: {reasons:?}"),
            Some(words) => {
                assert_eq!(judged.outcome, StatusOutcome::Degraded, "{age:?}");
                assert!(
                    matches!(&reasons[..], [only] if only.starts_with(words) && only.contains("45 min")),
                    "{reasons:?}"
                );
            }
        }
    }
    let off = judge(&with(|input| input.snapshots = Ok(None)));
    assert_eq!(off.outcome, StatusOutcome::Healthy);
    let silent = judge(&with(|input| input.snapshots = Err("denied".into())));
    assert_eq!(silent.reasons.len(), 1, "{:?}", silent.reasons);
}
