//! A changed fact in words.

use super::facts::{Fact, Subject};
use std::collections::{BTreeMap, BTreeSet};

type Facts = BTreeMap<(Subject, Fact), String>;

/// The facts that have changed, in the order of the page.
pub(super) fn of_facts(before: &Facts, after: &Facts) -> Vec<String> {
    let subjects: BTreeSet<&Subject> = before.keys().chain(after.keys()).map(|(subject, _)| subject).collect();
    subjects.into_iter().flat_map(|subject| of_subject(subject, before, after)).collect()
}

fn of_subject(subject: &Subject, before: &Facts, after: &Facts) -> Vec<String> {
    let there = |facts: &Facts| facts.contains_key(&(subject.clone(), Fact::There));
    let name = name(subject);
    match (subject.comes_and_goes(), there(before), there(after)) {
        (true, false, true) => return vec![format!("{name}new: {}", arrival(subject, after))],
        (true, true, false) => return vec![format!("{name}not there any more")],
        (true, ..) | (false, ..) => {}
    }
    let of = |facts: &Facts| -> BTreeMap<Fact, String> {
        let own = facts.iter().filter(|((whose, _), _)| whose == subject);
        own.map(|((_, fact), value)| (*fact, value.clone())).collect()
    };
    let (before, after) = (of(before), of(after));
    let facts: BTreeSet<Fact> = before.keys().chain(after.keys()).copied().collect();
    let changed = facts.into_iter().filter(|fact| before.get(fact) != after.get(fact));
    let told = |fact| change(fact, before.get(&fact), after.get(&fact)).map(|told| format!("{name}{told}"));
    changed.filter_map(told).collect()
}

/// What begins each line about it.
fn name(subject: &Subject) -> String {
    match subject {
        Subject::Endpoint(address) => format!("endpoint {address}: "),
        Subject::ControlPlane => String::new(),
        Subject::Member(id) => format!("etcd member {id}, whose machine is not known: "),
        Subject::Here => "this machine: ".to_owned(),
        Subject::Machine(instance) => format!("{instance}: "),
    }
}

/// All that is known of what has come.
fn arrival(subject: &Subject, facts: &Facts) -> String {
    let own = facts.iter().filter(|((whose, _), value)| whose == subject && !value.is_empty());
    let told = own.map(|((_, fact), value)| match label(*fact) {
        "" => value.clone(),
        label => format!("{label} {value}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// What stands before its value.
fn label(fact: Fact) -> &'static str {
    match fact {
        Fact::There | Fact::Unread => "",
        Fact::Record => "record",
        Fact::Group => "group",
        Fact::Lease => "lease",
        Fact::State => "state",
        Fact::LeavingUnit => "leaving unit",
        Fact::Ec2 => "EC2",
        Fact::Says => "says",
        Fact::WaitsFor => "waits for",
        Fact::LastError => "last error:",
        Fact::Etcd => "etcd",
        Fact::Upgrade => "upgrade",
        Fact::ApiServer => "API server",
        Fact::Kubelet => "kubelet",
    }
}

/// What has become of a fact.
fn change(fact: Fact, before: Option<&String>, after: Option<&String>) -> Option<String> {
    let label = label(fact);
    match (fact, before, after) {
        (Fact::WaitsFor | Fact::LastError, _, Some(after)) => Some(format!("{label} {after}")),
        (Fact::WaitsFor, Some(_), None) => Some("waits no more".to_owned()),
        (Fact::LastError, Some(_), None) => Some("no error any more".to_owned()),
        (Fact::Unread, None, Some(after)) => Some(after.clone()),
        (Fact::Unread, Some(_), None) => Some("what it says can be read again".to_owned()),
        // An address that was not known before: nothing has happened.
        (Fact::There, Some(before), Some(after)) if before.is_empty() || after.is_empty() => None,
        (Fact::There, Some(before), Some(after)) => Some(format!("{before} -> {after}")),
        (_, Some(before), Some(after)) => Some(format!("{label} {before} -> {after}")),
        // There was none, or it was not known.
        (_, None, Some(after)) => Some(format!("{label} {after}")),
        (_, Some(before), None) => Some(format!("{label} {before} -> -")),
        (_, None, None) => None,
    }
}
