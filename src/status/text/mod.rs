//! The page for people: the verdict, its reasons, what is not about one machine, and a table of the machines. Plain
//! ASCII, at most [`WIDTH`](crate::layout::WIDTH) columns where the names allow it.

mod endpoint;
mod facts;
mod nodes;

pub(super) use endpoint::answer;
pub(super) use facts::{etcd_in_words, group_in_words, lease_in_words};
pub(super) use nodes::{api_server, in_words, kubelet, place, says};

use super::report::StatusReport;
use crate::layout::{indented, line};

/// The whole page.
pub(super) fn page(report: &StatusReport) -> String {
    let mut page = vec![line(&report.verdict.text)];
    page.extend(report.verdict.reasons.iter().flat_map(|reason| indented("- ", &reason.text)));
    page.push(String::new());
    page.extend(facts::lines(report));
    if !report.nodes.is_empty() {
        page.push(String::new());
        page.extend(nodes::lines(report));
    }
    page.push(String::new());
    page.join("\n")
}

#[cfg(test)]
mod tests;
