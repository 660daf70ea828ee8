//! The table of the machines, each with what it waits for and its last error below it.

use super::super::report::{Kubelet, Member, Node, Place, ReportedSource, Says, StatusReport};
use crate::layout::{columns, indented, line};

const HEAD: [&str; 9] = ["", "INSTANCE", "ADDRESS", "EC2", "GROUP", "SAYS", "ETCD", "API SERVER", "KUBELET"];
/// Of the machines that are gone only the last ones are shown.
const GONE_SHOWN: usize = 5;
const NOTHING: &str = "-";
const UNKNOWN: &str = "?";

/// All of it.
pub(super) fn lines(report: &StatusReport) -> Vec<String> {
    let (shown, left_out) = shown(&report.nodes);
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(shown.iter().map(|node| cells(node)));
    let mut table = columns(&rows).into_iter();
    let mut lines: Vec<String> = table.next().into_iter().collect();
    for (row, node) in table.zip(&shown) {
        lines.push(row);
        // Where no registration is known at all, one line says so for all machines.
        if matches!(report.registrations, ReportedSource::Known(_)) {
            lines.extend(words(node));
        }
    }
    if left_out > 0 {
        lines.push(format!("and {left_out} earlier machines, which --json shows"));
    }
    lines
}

/// The machines to show, and how many are left out.
fn shown(nodes: &[Node]) -> (Vec<&Node>, usize) {
    let mut gone: Vec<&Node> = nodes.iter().filter(|node| is_gone(node)).collect();
    gone.sort_by_key(|node| std::cmp::Reverse(updated(node)));
    let left_out: Vec<&str> = gone.iter().skip(GONE_SHOWN).map(|node| node.instance.as_str()).collect();
    let shown = nodes.iter().filter(|node| !left_out.contains(&node.instance.as_str()));
    (shown.collect(), left_out.len())
}

/// Neither in etcd nor in the group, or gone by EC2's word: it is history.
fn is_gone(node: &Node) -> bool {
    let is_out = node.gone || matches!(node.group, ReportedSource::Known(None));
    is_out && matches!(node.member, ReportedSource::Known(None))
}

fn updated(node: &Node) -> &str {
    match &node.registration {
        ReportedSource::Known(Some(says)) => &says.updated,
        ReportedSource::Known(None) | ReportedSource::Unknown { .. } => "",
    }
}

fn cells(node: &Node) -> Vec<String> {
    let cells = [
        if node.here { "*" } else { "" }.to_owned(),
        node.instance.clone(),
        node.addresses.first().cloned().unwrap_or_else(|| NOTHING.to_owned()),
        known(&node.ec2, Clone::clone),
        optional(&node.group, place),
        optional(&node.registration, |registration| says(node, registration)),
        optional(&node.member, |member| in_words(member).to_owned()),
        api_server(node).to_owned(),
        node.kubelet.as_ref().map_or(NOTHING, kubelet).to_owned(),
    ];
    cells.map(|cell| line(&cell)).to_vec()
}

fn known<T>(source: &ReportedSource<T>, show: impl FnOnce(&T) -> String) -> String {
    match source {
        ReportedSource::Known(found) => show(found),
        ReportedSource::Unknown { .. } => UNKNOWN.to_owned(),
    }
}

fn optional<T>(source: &ReportedSource<Option<T>>, show: impl FnOnce(&T) -> String) -> String {
    known(source, |found| found.as_ref().map_or_else(|| NOTHING.to_owned(), show))
}

/// The phase that a machine says.
pub(in crate::status) fn says(node: &Node, says: &Says) -> String {
    // What it was about to do when it ended, it does no longer.
    let was = node.gone && matches!(says.phase.as_str(), "waiting" | "initializing" | "joining" | "joined" | "leaving");
    if was { format!("was {}", says.phase) } else { says.phase.clone() }
}

/// Its state in the group.
pub(in crate::status) fn place(place: &Place) -> String {
    match place.healthy {
        true => place.lifecycle.clone(),
        false => format!("{}, unhealthy", place.lifecycle),
    }
}

/// What its Node says of its kubelet.
pub(in crate::status) fn kubelet(kubelet: &Kubelet) -> &'static str {
    if kubelet.ready { "ready" } else { "not ready" }
}

/// What a member is, in a word or two.
pub(in crate::status) fn in_words(member: &Member) -> &'static str {
    if member.answers_as.is_some() {
        return "another's data";
    }
    match (member.started, member.voter, member.answers) {
        (false, ..) => "not started",
        (true, false, true) => "learner",
        (true, false, false) => "silent learner",
        (true, true, true) => "voter",
        (true, true, false) => "silent voter",
    }
}

/// A machine that is no member need not have an API server.
pub(in crate::status) fn api_server(node: &Node) -> &'static str {
    let is_member = matches!(node.member, ReportedSource::Known(Some(_)));
    match &node.api_server {
        ReportedSource::Unknown { .. } => UNKNOWN,
        ReportedSource::Known(Some(server)) if server.ready => "ready",
        ReportedSource::Known(Some(_)) if is_member => "not ready",
        ReportedSource::Known(_) => NOTHING,
    }
}

/// What it waits for and its last error; why what it says cannot be read.
fn words(node: &Node) -> Vec<String> {
    const MARK: &str = "       ";
    let mut lines = Vec::new();
    match &node.registration {
        ReportedSource::Known(Some(says)) => {
            if let Some(what) = &says.waits_for {
                lines.extend(indented(MARK, &format!("waits for {what} (since {})", says.since)));
            }
            if let Some(error) = &says.last_error {
                lines.extend(indented(MARK, &format!("last error: {error}")));
            }
        }
        ReportedSource::Unknown { unknown } => {
            lines.extend(indented(MARK, &format!("cannot read what it says: {unknown}")))
        }
        ReportedSource::Known(None) => {}
    }
    lines
}
