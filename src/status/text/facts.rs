//! What is not about one machine: a name at the left, and what is known beside it.

use super::super::report::{
    Etcd, Expiry, Group, Here, Record, ReportedHolder, ReportedSource, Snapshots, StatusReport, Upgrade,
};
use super::endpoint;
use super::nodes::in_words;
use crate::host::systemd::drop_ins;
use crate::layout::indented;
use crate::model::duration::in_words as in_words_of_time;
use crate::node::LEAVING_UNIT;
use std::collections::BTreeSet;
use std::time::Duration;

/// The names at the left take this many columns.
const NAMES: usize = 14;

/// All of them.
pub(super) fn lines(report: &StatusReport) -> Vec<String> {
    let mut facts = vec![("endpoint", report.endpoint.clone())];
    facts.extend(endpoint::lines(&report.endpoint_answers).into_iter().map(|fact| ("", fact)));
    facts.extend(facts_of("record", &report.record, |record| record_of(record.as_ref(), &report.place)));
    facts.extend(facts_of("group", &report.group, |group| {
        [Some(group_in_words(group.as_ref())), group.as_ref().and_then(zones_of)].into_iter().flatten().collect()
    }));
    facts.extend(facts_of("etcd", &report.etcd, etcd_of));
    facts.extend(facts_of("snapshots", &report.snapshots, |found| found.iter().map(snapshots_in_words).collect()));
    facts.extend(facts_of("upgrade", &report.upgrade, |found| found.iter().flat_map(upgrade_in_words).collect()));
    facts.extend(facts_of("lease", &report.lease, |lease| vec![lease_in_words(lease.as_ref())]));
    facts.extend(versions(report).map(|versions| ("versions", versions)));
    facts.extend(here(&report.here));
    let mark = |name: &str| format!("{name:<NAMES$}");
    let short = |fact: String| if is_said_above(report, &fact) { "unknown: see above".to_owned() } else { fact };
    facts.into_iter().flat_map(|(name, fact)| indented(&mark(name), &short(fact))).collect()
}

/// Whether a reason under the verdict ends with why this is unknown: then it is not repeated.
fn is_said_above(report: &StatusReport, fact: &str) -> bool {
    let why = fact.strip_prefix(UNKNOWN);
    why.is_some_and(|why| report.verdict.reasons.iter().any(|reason| reason.text.ends_with(why)))
}

/// Before why something is not known.
const UNKNOWN: &str = "unknown: ";

type Fact = (&'static str, String);

/// The facts of a source: the first has the name, the others stand below it.
fn facts_of<T>(name: &'static str, source: &ReportedSource<T>, show: impl FnOnce(&T) -> Vec<String>) -> Vec<Fact> {
    let facts = match source {
        ReportedSource::Known(found) => show(found),
        ReportedSource::Unknown { unknown } => vec![format!("{UNKNOWN}{unknown}")],
    };
    facts.into_iter().enumerate().map(|(at, fact)| (if at == 0 { name } else { "" }, fact)).collect()
}

/// Who holds the lease.
pub(in crate::status) fn lease_in_words(holder: Option<&ReportedHolder>) -> String {
    match holder {
        Some(holder) if holder.gone => {
            format!("{} held it to {} and is gone: it can be taken over", holder.instance, holder.purpose)
        }
        Some(holder) => format!("{} holds it to {}", holder.instance, holder.purpose),
        None => "free".to_owned(),
    }
}

fn record_of(record: Option<&Record>, place: &str) -> Vec<String> {
    let Some(record) = record else { return vec![format!("none at {place}")] };
    let mut facts = vec![
        format!("{} at {place}", record.phase),
        match record.cluster {
            Some(_) => format!("cluster ID {} (claim number {})", record.claim_id, record.generation),
            None => format!("claim {} (number {})", record.claim_id, record.generation),
        },
    ];
    if let Some(holder) = &record.holder {
        facts.push(format!("held by {holder}, beat {}", record.beat.unwrap_or_default()));
    }
    if let Some(cluster) = &record.cluster {
        facts.push(format!("initialised by {} at {}", cluster.initialised_by, cluster.initialised_at));
        facts.push(format!("Kubernetes {}, kube-system {}", cluster.kubernetes_version, cluster.kube_system_uid));
    }
    facts
}

/// The group, and its size.
pub(in crate::status) fn group_in_words(group: Option<&Group>) -> String {
    match group {
        None => "none that Auto Scaling knows of".to_owned(),
        Some(group) => {
            let (candidates, expected) = (group.candidates.len(), group.expected);
            let noun = if candidates == 1 { "candidate" } else { "candidates" };
            let desired = if group.desired == expected {
                String::new()
            } else {
                format!(" (desired capacity {})", group.desired)
            };
            format!("{}: {candidates} {noun}, {expected} expected{desired}", group.name)
        }
    }
}

/// How many voters each zone has, and what its loss means. One voter has nothing to spread.
fn zones_of(group: &Group) -> Option<String> {
    let zones = &group.voters_by_zone;
    if zones.iter().map(|zone| zone.voters).sum::<usize>() < 2 {
        return None;
    }
    let each: Vec<String> = zones.iter().map(|zone| format!("{} {}", zone.zone, zone.voters)).collect();
    let critical: Vec<&str> = zones.iter().filter(|zone| zone.critical).map(|zone| zone.zone.as_str()).collect();
    let loss = match critical.as_slice() {
        [] => String::new(),
        [zone] => format!("; without {zone} the quorum is lost"),
        zones => format!("; without any of {} the quorum is lost", zones.join(", ")),
    };
    Some(format!("voters by zone: {}{loss}", each.join(", ")))
}

/// Its voters and its quorum.
pub(in crate::status) fn etcd_in_words(etcd: &Etcd) -> String {
    let (Some(voters), Some(answering), Some(quorum)) = (etcd.voters, etcd.answering, etcd.quorum) else {
        return "external, not asked".to_owned();
    };
    let source = if etcd.certain == Some(true) { "" } else { "; the list is what one of them remembers" };
    let noun = if voters == 1 { "voter" } else { "voters" };
    format!("{answering} of {voters} {noun} answering, quorum {quorum}{source}")
}

fn etcd_of(etcd: &Etcd) -> Vec<String> {
    let mut facts = vec![etcd_in_words(etcd)];
    let lonely = etcd.without_machine.iter();
    facts.extend(lonely.map(|member| {
        format!("{} {} at {}, whose machine is not known", in_words(member), member.id, member.addresses.join(", "))
    }));
    facts
}

fn snapshots_in_words(found: &Snapshots) -> String {
    match (found.age_seconds, found.revision) {
        (Some(age), Some(revision)) => {
            format!("the last one is {} old, revision {revision}", in_words_of_time(Duration::from_secs(age)))
        }
        _ => "none yet".to_owned(),
    }
}

/// How far an upgrade has come, and below it what is left.
fn upgrade_in_words(found: &Upgrade) -> Vec<String> {
    let left = found.left.iter().map(|left| format!("left: {left}"));
    [found.text.clone()].into_iter().chain(left).collect()
}

/// The versions in use, each program once.
fn versions(report: &StatusReport) -> Option<String> {
    let (mut servers, mut kubelets, mut etcds) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut kubeadms, mut kubeboots) = (BTreeSet::new(), BTreeSet::new());
    for node in &report.nodes {
        if let ReportedSource::Known(Some(server)) = &node.api_server {
            servers.extend(server.version.clone());
        }
        kubelets.extend(node.kubelet.as_ref().and_then(|kubelet| kubelet.version.clone()));
        if let ReportedSource::Known(Some(member)) = &node.member {
            etcds.extend(member.version.clone());
        }
        // What a machine that is gone ran says nothing about the present.
        if let (ReportedSource::Known(Some(_)), ReportedSource::Known(Some(says))) = (&node.group, &node.registration) {
            kubeadms.extend(says.kubeadm.clone());
            kubeboots.insert(says.kubeboot.clone());
        }
    }
    let all = [
        ("API server", servers),
        ("kubelet", kubelets),
        ("etcd", etcds),
        ("kubeadm", kubeadms),
        ("kubeboot", kubeboots),
    ];
    let known = all.into_iter().filter(|(_, versions)| !versions.is_empty());
    let shown: Vec<String> = known
        .map(|(program, versions)| format!("{program} {}", versions.into_iter().collect::<Vec<_>>().join(" and ")))
        .collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

fn here(here: &Here) -> Vec<Fact> {
    let mut facts = facts_of("this machine", &here.instance, |instance| vec![instance.clone()]);
    let is_elsewhere = matches!(here.instance, ReportedSource::Unknown { .. });
    if is_elsewhere && matches!(&here.state, ReportedSource::Known(state) if state.stage == "fresh") {
        return facts;
    }
    facts.extend(facts_of("state", &here.state, |state| {
        let own =
            matches!(&here.instance, ReportedSource::Known(instance) if Some(instance) == state.instance.as_ref());
        vec![match &state.instance {
            Some(owner) if !own => format!("{}, made by {owner}", state.stage),
            Some(_) | None => state.stage.to_owned(),
        }]
    }));
    facts.extend(here.aside.iter().map(|copy| ("set aside", copy.text.clone())));
    facts.extend(facts_of("leaving unit", &here.leaving_unit, |unit| vec![unit.clone()]));
    if !here.missing_drop_ins.is_empty() {
        facts.push((
            "",
            format!("{} -> {}", drop_ins::describe_missing(&here.missing_drop_ins, LEAVING_UNIT), drop_ins::REMEDY),
        ));
    }
    facts.extend(facts_of("certificates", &here.certificates, |all| {
        let first = all.first();
        let summary =
            |first: &Expiry| format!("{}, the first expires in {} days: {}", all.len(), first.days, first.file);
        vec![first.map_or_else(|| "none".to_owned(), summary)]
    }));
    facts
}
