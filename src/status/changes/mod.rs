//! What has changed between two looks, for `--watch`: a plain function of what both saw, one line a change, in the order of the page.
//!
//! A source that says nothing in one look takes nothing away: what it said last stands until it says something else. Times, ages and the
//! words of errors, which differ at each look, are no change.

mod facts;
mod line;

use super::report::{ReportedReason, StatusReport};
use facts::{Fact, FactSource, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// What one look saw, as far as a change of it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    verdict: Verdict,
    /// The sources that said nothing, and why.
    silent: BTreeMap<FactSource, String>,
    /// The machines whose registration could not be read.
    unread: BTreeSet<Subject>,
    /// What is wrong, the most severe first.
    problems: Vec<Problem>,
    facts: BTreeMap<(Subject, Fact), String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    lasting: String,
    text: String,
}

/// A reason under the verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    code: &'static str,
    instance: Option<String>,
    lasting: String,
    text: String,
    /// The sources that said nothing when it was found.
    without: BTreeSet<FactSource>,
}

impl Seen {
    /// What this report shows, beside what the look before it had seen.
    pub(super) fn new(report: &StatusReport, before: Option<&Self>) -> Self {
        let silent = facts::silent(report);
        let without: BTreeSet<FactSource> = silent.keys().copied().collect();
        // A source that says nothing is told of by itself.
        let reasons = report.verdict.reasons.iter().filter(|reason| reason.code != "unknown");
        let seen = Self {
            verdict: Verdict { lasting: report.verdict.lasting.clone(), text: report.verdict.text.clone() },
            unread: facts::unread(report),
            problems: reasons.map(|reason| Problem::new(reason, &without)).collect(),
            facts: facts::all(report),
            silent,
        };
        match before {
            Some(before) => seen.completed_by(before),
            None => seen,
        }
    }

    /// With what was known before and is not asked for or not answered now.
    fn completed_by(mut self, before: &Self) -> Self {
        for ((subject, fact), value) in &before.facts {
            if self.is_unknown(subject, *fact) {
                self.facts.entry((subject.clone(), *fact)).or_insert_with(|| value.clone());
            }
        }
        // What is left of a machine or address that is there no more.
        let there: BTreeSet<Subject> =
            self.facts.keys().filter(|(_, fact)| *fact == Fact::There).map(|(subject, _)| subject.clone()).collect();
        self.facts.retain(|(subject, _), _| !subject.comes_and_goes() || there.contains(subject));
        // Without a source that answered when it was found, it cannot be told whether a problem is over.
        let open = |problem: &&Problem| self.silent.keys().any(|source| !problem.without.contains(source));
        let kept: Vec<Problem> = before.problems.iter().filter(open).cloned().collect();
        for problem in kept {
            if !problem.goes_on(&before.problems, &self.problems) {
                self.problems.push(problem);
            }
        }
        self
    }

    /// Whether this look could not tell this.
    fn is_unknown(&self, subject: &Subject, fact: Fact) -> bool {
        let silent = fact.sources(subject).iter().any(|source| self.silent.contains_key(source));
        let unread = fact.is_said_by_the_machine() && self.unread.contains(subject);
        // There may be no Node, or nobody who says what there is; nor an API server that is ready and tells versions.
        silent || unread || matches!(fact, Fact::Kubelet | Fact::Upgrade)
    }
}

impl Problem {
    fn new(reason: &ReportedReason, without: &BTreeSet<FactSource>) -> Self {
        Self {
            code: reason.code,
            instance: reason.instance.clone(),
            lasting: reason.lasting.clone(),
            text: reason.text.clone(),
            without: without.clone(),
        }
    }

    /// Whether it is still there, perhaps with other numbers: the only one of its kind, before and after.
    fn goes_on(&self, before: &[Self], after: &[Self]) -> bool {
        let alike = |all: &[Self]| all.iter().filter(|other| self.is_alike(other)).count();
        after.iter().any(|other| other.lasting == self.lasting) || (alike(before), alike(after)) == (1, 1)
    }

    fn is_alike(&self, other: &Self) -> bool {
        (self.code, &self.instance) == (other.code, &other.instance)
    }
}

/// What has changed.
pub(super) fn changes(before: &Seen, after: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    if before.verdict.lasting != after.verdict.lasting {
        lines.push(format!("now {}", after.verdict.text));
    }
    let fell_silent = after.silent.iter().filter(|(source, _)| !before.silent.contains_key(source));
    lines.extend(fell_silent.map(|(source, why)| format!("{}: unknown: {why}", source.name())));
    let answers = before.silent.keys().filter(|source| !after.silent.contains_key(source));
    lines.extend(answers.map(|source| format!("{}: known now", source.name())));
    let is_new = |problem: &&Problem| !before.problems.iter().any(|other| other.lasting == problem.lasting);
    lines.extend(after.problems.iter().filter(is_new).map(|problem| format!("problem: {}", problem.text)));
    let is_over = |problem: &&Problem| !problem.goes_on(&before.problems, &after.problems);
    lines.extend(before.problems.iter().filter(is_over).map(|problem| format!("no more: {}", problem.text)));
    lines.extend(line::of_facts(&before.facts, &after.facts));
    lines
}

#[cfg(test)]
mod tests;
