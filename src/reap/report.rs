//! What was planned or done, for people and, with `--json`, for programs. `docs/reap.md` describes every field.

use super::local::LocalReap;
use super::look::ReapObservation;
use crate::layout::{columns, line, print};
use crate::model::machine::ids::MemberId;
use crate::model::membership::instances::Presence;
use crate::model::membership::members::Member;
use crate::model::membership::reaping::{ReapVerdict, owners};
use crate::model::reap::operator::OperatorRemoval;
use crate::node::former_node::NodeGone;
use anyhow::Result;
use serde::Serialize;
use std::fmt;

/// The shape that this version prints.
const SCHEMA: u32 = 1;

/// What was done about one member.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) id: MemberId,
    /// What became of the Node of its machine, where that was looked for.
    pub(super) node: Option<NodeGone>,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct ReapReport {
    schema: u32,
    dry_run: bool,
    place: String,
    cluster_id: String,
    voters: usize,
    answering: usize,
    quorum: usize,
    members: Vec<ReapRow>,
}

/// One member.
#[derive(Debug, Serialize)]
pub(super) struct ReapRow {
    id: String,
    name: String,
    addresses: Vec<String>,
    voter: bool,
    started: bool,
    answers: bool,
    instance: Option<String>,
    ec2: Option<String>,
    verdict: &'static str,
    code: &'static str,
    why: String,
    removed: bool,
    node: Option<&'static str>,
}

impl ReapReport {
    /// A report without members.
    pub(super) fn new(here: &LocalReap, observed: &ReapObservation, dry_run: bool) -> Self {
        Self {
            schema: SCHEMA,
            dry_run,
            place: here.store.url(""),
            cluster_id: here.record.claim_id.to_string(),
            voters: observed.members.voters().count(),
            answering: observed.members.answering(),
            quorum: observed.members.quorum(),
            members: Vec::new(),
        }
    }

    /// Adds a plan.
    pub(super) fn plan(&mut self, plan: &[(Member, ReapVerdict)], observed: &ReapObservation) {
        let row = |(member, verdict): &(Member, ReapVerdict)| match verdict {
            ReapVerdict::Keep(why) => ReapRow::new(observed, member, "keep", verdict.code(), why.to_string()),
            ReapVerdict::Remove(why) => ReapRow::new(observed, member, "remove", verdict.code(), why.to_string()),
        };
        self.members.extend(plan.iter().map(row));
    }

    /// Adds one member that was named.
    pub(super) fn push(&mut self, row: ReapRow) {
        self.members.push(row);
    }

    /// Adds what was done.
    pub(super) fn done(&mut self, done: &[Done]) {
        for Done { id, node } in done {
            if let Some(row) = self.members.iter_mut().find(|row| row.id == id.to_string()) {
                row.removed = true;
                row.node = node.map(self::node);
            }
        }
    }

    /// Prints it.
    ///
    /// # Errors
    /// A standard output that takes nothing.
    pub(super) fn print(&self, json: bool) -> Result<()> {
        print(self, || self.page(), json)
    }

    fn page(&self) -> String {
        let noun = if self.voters == 1 { "voter" } else { "voters" };
        let head = format!(
            "etcd: {} of {} {noun} answering, quorum {}; cluster {} at {}",
            self.answering, self.voters, self.quorum, self.cluster_id, self.place
        );
        let names = ["MEMBER", "NAME", "ADDRESS", "INSTANCE", "EC2", ""];
        let mut rows = vec![names.map(str::to_owned).to_vec()];
        rows.extend(self.members.iter().map(|row| row.cells(self.dry_run)));
        let mut lines = vec![head, String::new()];
        if rows.len() > 1 {
            lines.extend(columns(&rows));
        }
        lines.join("\n") + "\n"
    }
}

/// What became of a Node, in a word.
fn node(gone: NodeGone) -> &'static str {
    match gone {
        NodeGone::Deleted => "deleted",
        NodeGone::NotThere => "not there",
        NodeGone::Anothers => "another machine's",
    }
}

impl ReapRow {
    fn new(
        observed: &ReapObservation,
        member: &Member,
        verdict: &'static str,
        code: &'static str,
        why: String,
    ) -> Self {
        let instance = owners(observed.registrations.iter(), member).first().map(|owner| owner.instance.clone());
        let ec2 =
            instance.as_ref().and_then(|instance| observed.view.instances.0.get(instance)).map(|word| match word {
                Presence::State(state) => state.to_string(),
                Presence::AbsentFor(_) => "absent".to_owned(),
            });
        Self {
            id: member.id.to_string(),
            name: member.name.clone(),
            addresses: member.peer_addresses.iter().map(ToString::to_string).collect(),
            voter: !member.learner,
            started: member.is_started(),
            answers: member.answers,
            instance: instance.map(|instance| instance.to_string()),
            ec2,
            verdict,
            code,
            why,
            removed: false,
            node: None,
        }
    }

    /// A member that was named and may go; `None` when it is not listed.
    pub(super) fn lawful(observed: &ReapObservation, id: MemberId, why: &OperatorRemoval) -> Option<Self> {
        let member = observed.members.0.iter().find(|member| member.id == id)?;
        Some(Self::new(observed, member, "remove", why.code(), why.to_string()))
    }

    fn cells(&self, dry_run: bool) -> Vec<String> {
        let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { line(text) };
        vec![
            self.id.clone(),
            or_none(&self.name),
            or_none(&self.addresses.join(",")),
            or_none(self.instance.as_deref().unwrap_or_default()),
            or_none(self.ec2.as_deref().unwrap_or_default()),
            self.words(dry_run),
        ]
    }

    fn words(&self, dry_run: bool) -> String {
        let done = match (self.verdict, self.removed, dry_run) {
            ("keep", ..) => "kept",
            (_, true, _) => "removed",
            (_, false, true) => "would be removed",
            (_, false, false) => "not removed",
        };
        let node = self.node.map(|node| format!("; its Node: {node}")).unwrap_or_default();
        line(&format!("{done}: {}{node}", self.why))
    }
}

impl fmt::Display for ReapRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        let known: Vec<&str> = [self.name.as_str()]
            .into_iter()
            .chain(self.addresses.iter().map(String::as_str))
            .filter(|text| !text.is_empty())
            .collect();
        if known.is_empty() { Ok(()) } else { write!(f, " ({})", line(&known.join(", "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documented::{codes, names, paths, words};
    use std::collections::BTreeSet;

    const PAGE: &str = include_str!("../../docs/reap.md");

    /// Everything that can be known of a member.
    fn report() -> ReapReport {
        let row = ReapRow {
            id: "8e9e05c52164694d".into(),
            name: "n2".into(),
            addresses: vec!["10.0.1.12".into()],
            voter: true,
            started: true,
            answers: false,
            instance: Some("i-00000002".into()),
            ec2: Some("terminated".into()),
            verdict: "remove",
            code: "gone",
            why: "its machine i-00000002 is gone".into(),
            removed: true,
            node: Some("deleted"),
        };
        ReapReport {
            schema: SCHEMA,
            dry_run: false,
            place: "s3://my-bucket/demo/".into(),
            cluster_id: "6f9619ff-8b86-4011-b42d-00c04fc964ff".into(),
            voters: 3,
            answering: 2,
            quorum: 2,
            members: vec![row],
        }
    }

    #[test]
    fn every_field_is_documented_and_every_documented_field_is_there() -> Result<()> {
        assert_eq!(paths(&serde_json::to_value(report())?), names(PAGE, "--json"));
        Ok(())
    }

    #[test]
    fn every_code_is_documented_and_every_documented_code_is_there() {
        let [by_rule, by_operator] =
            [include_str!("../model/membership/reaping.rs"), include_str!("../model/reap/operator.rs")].map(codes);
        assert_eq!(&by_rule | &by_operator, words(PAGE, "--json", "members[].code"));
        let nodes = [NodeGone::Deleted, NodeGone::NotThere, NodeGone::Anothers].map(node).map(str::to_owned);
        assert_eq!(BTreeSet::from(nodes), words(PAGE, "--json", "members[].node"));
    }

    #[test]
    fn the_page_shows_what_is_printed() {
        let printed = report().page();
        for line in printed.lines().filter(|line| line.starts_with("etcd: ")) {
            assert!(PAGE.contains(line), "{line}");
        }
        let cells: Vec<&str> = printed.lines().last().unwrap_or_default().split("  ").map(str::trim).collect();
        assert!(cells.contains(&"removed: its machine i-00000002 is gone; its Node: deleted"), "{cells:?}");
        let heading = printed.lines().nth(2).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let mut shown = PAGE.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(shown.any(|line| line == heading), "{heading}");
    }
}
