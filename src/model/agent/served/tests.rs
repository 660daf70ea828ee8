//! Tables of what the agent serves.

use super::events::{AGAIN, Ledger, of_state, of_up, of_upgrade};
use super::machine::{Alarms, EtcdSeen, MachineSeen, OwnMember, ROLES, UpSeen, quota};
use super::metrics::{Leading, METRICS, MetricKind, Sample, samples};
use super::snapshot::SnapshotSeen;
use super::upgrade::UpgradeSeen;
use super::*;
use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::membership::members::{Member, Members};
use crate::model::membership::view::ClusterView;
use crate::model::snapshot::{Manifest, SnapshotAge, SnapshotKind};
use crate::model::upgrade::RestOutcome;
use crate::model::version::Release;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const CLOCK: Clock = Clock { now: secs(1000), unix: secs(1_700_000_000) };

/// An agent that watches and has heard of IMDS at 990.
fn watching() -> AgentSeen {
    let mut agent = AgentSeen::beginning(secs(100));
    agent.passes(AgentState::Watching, secs(990));
    agent.is_known = true;
    agent.sources.insert(Source::Imds, Heard { answered: Some(secs(990)), failures: 2 });
    agent
}

/// A leader that has failed once and has found a snapshot that was 100 seconds old at 990.
fn saving() -> SnapshotSeen {
    let mut seen = SnapshotSeen { interval: secs(900), ..SnapshotSeen::default() };
    seen.failed(secs(980));
    let age = SnapshotAge { last: Some(secs(100)), record: secs(5000) };
    seen.found(age, Some(&Manifest::sample(12_345, SnapshotKind::Routine)), secs(990));
    seen
}

fn member(id: u64, learner: bool, answers: bool) -> Member {
    let address = format!("10.0.1.{id}").parse().unwrap();
    Member { id: MemberId(id), name: format!("n{id}"), peer_addresses: vec![address], learner, answers }
}

fn etcd(view: ClusterView) -> EtcdSeen {
    let own = OwnMember { id: MemberId(1), leader: Some(MemberId(1)), size: 300, in_use: 200, quota: Some(400) };
    let alarms = Some(Alarms { nospace: 1, corrupt: 0 });
    EtcdSeen { view, listed: Some(secs(999)), addresses: vec!["10.0.1.1".parse().unwrap()], own: Some(own), alarms }
}

fn three() -> Members {
    Members(vec![member(1, false, true), member(2, false, true), member(3, false, false), member(4, true, true)])
}

fn whole() -> MachineSeen {
    let up = UpSeen { code: 6, is_stopped: true, at: 1_699_999_999.0, since: 1_699_999_000.0 };
    let certificates = vec![("/etc/kubernetes/pki/ca.crt".to_owned(), 1_800_000_000.0)];
    MachineSeen { at: secs(998), etcd: Some(etcd(ClusterView::Listed(three()))), certificates, up: Some(up) }
}

fn of(agent: &AgentSeen, machine: Option<&MachineSeen>) -> Vec<Sample> {
    samples("1.2.3", agent, Leading { is_leader: true, is_known: true }, machine, CLOCK)
}

fn value(samples: &[Sample], name: &str, label: &str) -> Option<f64> {
    let of_label = |sample: &&Sample| label.is_empty() || sample.labels.iter().any(|(_, value)| value == label);
    samples.iter().filter(of_label).find(|sample| sample.name == name).map(|sample| sample.value)
}

#[test]
fn the_agent_is_ready_while_it_sees_what_it_must() {
    let unknown = AgentSeen { is_known: false, ..watching() };
    let silent = AgentSeen { sources: BTreeMap::new(), ..watching() };
    let mut holding = AgentSeen { sources: BTreeMap::new(), ..watching() };
    holding.passes(AgentState::Holding(HoldReason::LastVoter), secs(991));
    let rows = [
        (watching(), 991, None),
        (watching(), 1019, None),
        (watching(), 1020, Some("IMDS has not answered for 30 seconds")),
        (unknown, 991, Some("neither IMDS nor the group has said what is to become of this machine")),
        (silent, 991, Some("IMDS has not answered yet")),
        (AgentSeen::beginning(secs(100)), 101, Some("the agent has not looked around yet")),
        // Once the end is known, the agent is at work, however long a step takes.
        (holding, 5000, None),
    ];
    for (agent, now, expected) in rows {
        assert_eq!(agent.not_ready(secs(now)).as_deref(), expected, "{agent:?} at {now}");
    }
    assert_eq!((is_live(secs(100), secs(219)), is_live(secs(100), secs(220))), (true, false));
}

#[test]
fn a_state_lasts_while_only_its_reason_changes() {
    let mut agent = AgentSeen::beginning(secs(1));
    let rows = [
        (AgentState::Watching, 2, 1),
        (AgentState::Holding(HoldReason::Blocked), 10, 10),
        (AgentState::Holding(HoldReason::Failed), 20, 10),
        (AgentState::Leaving, 30, 30),
        (AgentState::Done(Answer::Left), 40, 40),
        (AgentState::Done(Answer::Left), 50, 40),
    ];
    for (state, at, since) in rows {
        agent.passes(state, secs(at));
        // What comes after the first one that ends the machine is all one termination.
        assert_eq!(agent.ending, (at > 2).then_some(secs(10)), "{state:?}");
        assert_eq!((agent.state, agent.since, agent.passed), (state, secs(since), Some(secs(at))), "{state:?}");
    }
}

#[test]
fn a_source_keeps_its_last_answer_and_counts_the_others() {
    let mut heard = Heard::default();
    for (answered, at) in [(false, 1), (true, 2), (false, 3), (false, 4)] {
        heard.hear(answered, secs(at));
    }
    assert_eq!(heard, Heard { answered: Some(secs(2)), failures: 3 });
}

#[test]
fn every_sample_is_of_a_metric_and_every_metric_has_one() {
    let mut holding = watching();
    holding.passes(AgentState::Holding(HoldReason::LastVoter), secs(995));
    holding.snapshots = Some(saving());
    holding.upgrade = Some(UpgradeSeen { is_open: true, failures: 3 });
    let all = of(&holding, Some(&whole()));
    for sample in &all {
        let metric = METRICS.iter().find(|metric| metric.name == sample.name);
        let metric = metric.unwrap_or_else(|| panic!("{} is no metric", sample.name));
        let labels: Vec<_> = sample.labels.iter().map(|(name, _)| *name).collect();
        assert_eq!(labels, metric.labels, "{}", metric.name);
    }
    for metric in METRICS {
        assert!(value(&all, metric.name, "").is_some(), "{} has no sample", metric.name);
        let name = metric.full_name();
        assert!(name.starts_with("kubeboot_") && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        assert_eq!(name.ends_with("_total"), metric.kind == MetricKind::Counter, "{name}");
        assert_eq!(name.contains("_timestamp"), name.ends_with("_timestamp_seconds"), "{name}");
        assert!(metric.help.ends_with('.'), "{name}");
    }
    let mut series: Vec<String> = all.iter().map(|sample| format!("{} {:?}", sample.name, sample.labels)).collect();
    let with_doubles = series.len();
    series.sort();
    series.dedup();
    assert_eq!(series.len(), with_doubles, "a series is told twice");
}

#[test]
fn values_are_what_was_seen() {
    let mut holding = watching();
    holding.passes(AgentState::Holding(HoldReason::LastVoter), secs(995));
    holding.snapshots = Some(saving());
    holding.upgrade = Some(UpgradeSeen { is_open: true, failures: 3 });
    let all = of(&holding, Some(&whole()));
    let rows = [
        ("kubeboot_build", "1.2.3", 1.0),
        ("kubeboot_agent_start_timestamp_seconds", "", 1_699_999_100.0),
        ("kubeboot_agent_state", "holding", 1.0),
        ("kubeboot_agent_state", "watching", 0.0),
        ("kubeboot_agent_hold", "last_voter", 1.0),
        ("kubeboot_agent_hold", "failed", 0.0),
        ("kubeboot_agent_state_since_timestamp_seconds", "", 1_699_999_995.0),
        ("kubeboot_agent_terminating_since_timestamp_seconds", "", 1_699_999_995.0),
        ("kubeboot_source_failures", "imds", 2.0),
        ("kubeboot_source_failures", "etcd", 0.0),
        ("kubeboot_source_answer_timestamp_seconds", "imds", 1_699_999_990.0),
        ("kubeboot_snapshot_interval_seconds", "", 900.0),
        ("kubeboot_snapshot_timestamp_seconds", "", 1_699_999_890.0),
        ("kubeboot_snapshot_revision", "", 12_345.0),
        ("kubeboot_snapshot_database_size_bytes", "", 20_512.0),
        ("kubeboot_snapshot_object_size_bytes", "", 2000.0),
        ("kubeboot_snapshot_failures", "", 1.0),
        ("kubeboot_snapshot_failure_timestamp_seconds", "", 1_699_999_980.0),
        ("kubeboot_upgrade_rest_open", "", 1.0),
        ("kubeboot_upgrade_rest_failures", "", 3.0),
        ("kubeboot_up_exit_code", "", 6.0),
        ("kubeboot_up_stopped", "", 1.0),
        ("kubeboot_etcd_role", "voter", 1.0),
        ("kubeboot_etcd_role", "unknown", 0.0),
        ("kubeboot_etcd_has_quorum", "", 1.0),
        ("kubeboot_etcd_list_timestamp_seconds", "", 1_699_999_999.0),
        ("kubeboot_etcd_members", "", 4.0),
        ("kubeboot_etcd_voters", "", 3.0),
        ("kubeboot_etcd_voters_answering", "", 2.0),
        ("kubeboot_etcd_quorum", "", 2.0),
        ("kubeboot_etcd_up", "", 1.0),
        ("kubeboot_etcd_is_leader", "", 1.0),
        ("kubeboot_etcd_database_size_bytes", "", 300.0),
        ("kubeboot_etcd_database_in_use_bytes", "", 200.0),
        ("kubeboot_etcd_database_quota_bytes", "", 400.0),
        ("kubeboot_etcd_alarms", "nospace", 1.0),
        ("kubeboot_etcd_alarms", "corrupt", 0.0),
    ];
    for (name, label, expected) in rows {
        assert_eq!(value(&all, name, label), Some(expected), "{name} {label}");
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let all = samples("1", &AgentSeen::beginning(secs(1)), Leading { is_leader: false, is_known: false }, None, CLOCK);
    for name in ["kubeboot_agent_state", "kubeboot_up_stopped", "kubeboot_etcd_has_quorum"] {
        assert_eq!(value(&all, name, ""), None, "{name}");
    }
    for name in ["kubeboot_agent_is_leader", "kubeboot_agent_leader_known"] {
        assert_eq!(value(&all, name, ""), Some(0.0), "{name}");
    }
    let silent =
        EtcdSeen { own: None, alarms: None, listed: None, ..etcd(ClusterView::Unknown { why: String::new() }) };
    let all = of(&watching(), Some(&MachineSeen { etcd: Some(silent), ..MachineSeen::default() }));
    for (name, label, expected) in [
        ("kubeboot_etcd_up", "", Some(0.0)),
        ("kubeboot_etcd_has_quorum", "", Some(0.0)),
        ("kubeboot_etcd_role", "unknown", Some(1.0)),
        ("kubeboot_etcd_role", "voter", Some(0.0)),
        ("kubeboot_etcd_voters", "", None),
        ("kubeboot_etcd_list_timestamp_seconds", "", None),
        ("kubeboot_etcd_database_size_bytes", "", None),
        ("kubeboot_etcd_alarms", "", None),
    ] {
        assert_eq!(value(&all, name, label), expected, "{name} {label}");
    }
}

#[test]
fn only_a_certain_list_tells_what_this_machine_is() {
    let others = Members(vec![member(2, false, true)]);
    let learner = Members(vec![member(1, true, true), member(2, false, true)]);
    let rows = [
        (ClusterView::Listed(three()), "voter"),
        (ClusterView::Listed(learner), "learner"),
        (ClusterView::Listed(others), "none"),
        (ClusterView::NoQuorum(three()), "unknown"),
        (ClusterView::NotAsked, "unknown"),
    ];
    for (view, expected) in rows {
        let (role, listed) = (etcd(view.clone()).role(), matches!(view, ClusterView::Listed(_)));
        assert!(ROLES.contains(&role));
        assert_eq!((role, etcd(view.clone()).is_listed()), (expected, listed), "{view:?}");
    }
}

#[test]
fn the_quota_is_etcds_own_word_or_its_manifests_or_the_default() {
    let manifest = |value: &str| format!("spec:\n    - etcd\n    - --quota-backend-bytes={value}\n    - --x=y\n");
    let gibi = 1024 * 1024 * 1024;
    let rows = [
        (5, manifest("7"), Some(5)),
        (0, manifest("8589934592"), Some(8 * gibi)),
        (0, manifest("0"), Some(2 * gibi)),
        (0, manifest("-1"), None),
        (0, manifest("much"), Some(2 * gibi)),
        (0, String::new(), Some(2 * gibi)),
    ];
    for (said, manifest, expected) in rows {
        assert_eq!(quota(said, &manifest), expected, "{said} {manifest}");
    }
}

#[test]
fn alarms_are_counted_by_the_words_of_etcd() {
    let of = |errors: &[&str]| Alarms::of(&errors.iter().map(|&error| error.to_owned()).collect::<Vec<_>>());
    assert_eq!(of(&[]), Alarms::default());
    assert_eq!(of(&["etcdserver: no leader"]), Alarms::default());
    let two = ["memberID:10501334649042878790 alarm:NOSPACE ", "memberID:2 alarm:NOSPACE", "memberID:2  alarm:CORRUPT"];
    assert_eq!(of(&two), Alarms { nospace: 2, corrupt: 1 });
}

#[test]
fn changes_become_events_and_nothing_else_does() {
    let (held, blocked) = (AgentState::Holding(HoldReason::LastVoter), AgentState::Holding(HoldReason::Blocked));
    let (left, never) = (AgentState::Done(Answer::Left), AgentState::Done(Answer::NeverMember));
    let rows = [
        (AgentState::Watching, AgentState::Watching, None),
        (AgentState::Watching, held, Some(("TerminationHeld", true))),
        (held, held, None),
        (held, blocked, Some(("TerminationHeld", true))),
        (blocked, AgentState::Leaving, Some(("LeavingCluster", false))),
        (AgentState::Leaving, AgentState::Leaving, None),
        (AgentState::Leaving, left, Some(("LeftCluster", false))),
        (left, left, None),
        (held, AgentState::Watching, Some(("TerminationOver", false))),
        (left, AgentState::Watching, None),
        (AgentState::Watching, never, None),
        (AgentState::Watching, AgentState::SteppingDown, None),
    ];
    for (before, after, expected) in rows {
        let event = of_state(before, after, "words");
        let found = event.as_ref().map(|event| (event.reason, event.is_warning));
        assert_eq!(found, expected, "{before:?} to {after:?}");
        assert!(event.is_none_or(|event| event.message == "words"));
    }
    let long = of_state(AgentState::Watching, held, &"\u{e4}".repeat(2000)).unwrap();
    assert_eq!(long.message.chars().count(), 1024);
}

#[test]
fn a_stop_of_up_is_told_once_while_it_lasts() {
    let ended = |code, since| Some(UpSeen { code, is_stopped: code == 6 || code == 2, at: since + 9.0, since });
    let rows = [
        (None, None, false),
        (None, ended(0, 1.0), false),
        (None, ended(3, 1.0), false),
        (None, ended(6, 1.0), true),
        (ended(6, 1.0), ended(6, 1.0), false),
        (ended(0, 1.0), ended(6, 5.0), true),
        (ended(6, 1.0), ended(2, 5.0), true),
        (ended(6, 1.0), ended(0, 5.0), false),
    ];
    for (before, after, expected) in rows {
        let event = of_up(before, after);
        assert_eq!(event.is_some(), expected, "{before:?} to {after:?}");
        assert!(event.is_none_or(|event| event.message.contains("kubeboot status")));
    }
}

#[test]
fn the_same_is_not_told_again_within_minutes() {
    let hold = |why| of_state(AgentState::Leaving, AgentState::Holding(why), "words").unwrap();
    let mut ledger = Ledger::default();
    let rows = [
        (HoldReason::Failed, secs(1), true),
        (HoldReason::Blocked, secs(2), true),
        (HoldReason::Failed, secs(3), false),
        (HoldReason::Failed, AGAIN, false),
        (HoldReason::Failed, secs(1) + AGAIN, true),
        (HoldReason::Failed, secs(2) + AGAIN, false),
    ];
    for (why, now, expected) in rows {
        assert_eq!(ledger.is_new(&hold(why), now), expected, "{why:?} at {now:?}");
    }
}

#[test]
fn while_there_is_no_snapshot_and_from_who_does_not_lead_none_is_told() {
    let mut agent = watching();
    assert_eq!(value(&of(&agent, None), "kubeboot_snapshot_interval_seconds", ""), None);
    let mut seen = saving();
    seen.found(SnapshotAge { last: None, record: secs(1) }, None, secs(995));
    agent.snapshots = Some(seen);
    let all = of(&agent, None);
    assert_eq!(value(&all, "kubeboot_snapshot_interval_seconds", ""), Some(900.0));
    assert_eq!(value(&all, "kubeboot_snapshot_timestamp_seconds", ""), None);
}

#[test]
fn how_the_rest_of_an_upgrade_has_ended_is_told() {
    let versions = (Release::new(1, 36, 1), Release::new(1, 37, 0));
    for (error, reason, text) in
        [(None, "ClusterUpgraded", "from v1.36.1 to v1.37.0"), (Some("no"), "UpgradeRestFailed", "again: no")]
    {
        let by = (InstanceId::parse("i-00000001").unwrap(), String::new());
        let event = of_upgrade(&RestOutcome::of_attempt(versions, None, Vec::new(), error, by));
        assert_eq!((event.reason, event.is_warning), (reason, error.is_some()));
        assert!(event.message.contains(text), "{}", event.message);
    }
}
