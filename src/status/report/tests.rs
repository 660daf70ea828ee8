//! The shape against its documentation, both ways.

use super::*;
use crate::documented::{codes, names, paths};
use crate::model::membership::lease::{self, Lease};
use crate::model::status::sample;
use crate::model::status::{AsideCopy, NoCluster, StatusOutcome};
use crate::status::health;
use serde_json::Value;
use std::collections::BTreeSet;

const DOCUMENT: &str = include_str!("../../../docs/status.md");

/// The report of what was seen.
pub(in crate::status) fn report(input: &StatusInput) -> StatusReport {
    let verdict = status::judge(input);
    let health = health(&verdict.outcome);
    StatusReport::new("s3://my-bucket/demo/".into(), input, &verdict, health, SystemTime::UNIX_EPOCH)
}

fn json(input: &StatusInput) -> Value {
    serde_json::to_value(report(input)).unwrap()
}

/// A control plane of which everything is known, with a reason.
fn full() -> StatusInput {
    let nonce = lease::Lease::parse(br#"{"schema": 1, "holder": null, "beat": 1}"#).unwrap();
    let holder = lease::LeaseHolder {
        instance: sample::id(2),
        nonce: crate::model::machine::ids::Nonce::parse(sample::UID).unwrap(),
        purpose: "join".into(),
    };
    let mut input = sample::healthy();
    input.lease = Ok(Some(Lease::taken(Some(&nonce), holder)));
    input.hash = Ok(Some("sha256:9999".into()));
    input.upgrade = Ok(Some(sample::upgrading()));
    input.here.aside = vec![AsideCopy { path: "/var/lib/etcd/kubeboot-aside".into(), written: Some("t".into()) }];
    input
}

#[test]
fn every_field_is_documented_and_every_documented_field_is_there() {
    assert_eq!(paths(&json(&full())), names(DOCUMENT, "--json"));
}

#[test]
fn every_code_of_a_reason_is_documented() {
    let codes = codes(include_str!("../../model/status/reason.rs"));
    assert_eq!(codes, names(DOCUMENT, "The reasons"));
}

#[test]
fn every_verdict_is_documented_with_its_exit_code() {
    let all = [
        StatusOutcome::Healthy,
        StatusOutcome::Degraded,
        StatusOutcome::NoCluster(NoCluster::Unclaimed),
        StatusOutcome::QuorumLost(status::QuorumLoss::NoApiServer),
        StatusOutcome::Split { both: true },
        StatusOutcome::CannotTell { joined: None },
    ];
    for outcome in &all {
        let row = format!("| `{}` | {} |", outcome.name(), health(outcome).number());
        assert!(DOCUMENT.contains(&row), "{row}");
    }
    assert_eq!(
        all.map(|outcome| outcome.name().to_owned()).into_iter().collect::<BTreeSet<_>>(),
        names(DOCUMENT, "The verdict")
    );
}

#[test]
fn a_source_that_said_nothing_says_why() {
    let mut input = sample::healthy();
    input.record = Err("denied".into());
    input.etcd = Ok(status::Etcd::Silent { asked: 3, why: "connection refused".into() });
    let json = json(&input);
    assert_eq!(json["record"]["unknown"], "denied");
    assert_eq!(json["etcd"]["unknown"], "connection refused");
    assert_eq!(json["nodes"][0]["member"]["unknown"], "connection refused");
    assert_eq!(json["verdict"]["exit_code"], 10);
    assert_eq!(json["lease"], Value::Null);
}

#[test]
fn a_member_without_machine_is_still_shown() {
    let mut input = sample::healthy();
    input.etcd = sample::stacked([sample::member(1), sample::member(2), sample::member(3), sample::member(9)]);
    let json = json(&input);
    assert_eq!(json["etcd"]["without_machine"][0]["id"], sample::member_id(9).to_string());
    assert_eq!(json["etcd"]["without_machine"][0]["explained"], false);
}
