//! The report: a table for people, JSON for programs, and the exit code. Pure.

use super::finding::{CheckVerdict, Finding};
use crate::exit::Exit;
use serde_json::{Value, json};

/// The layout of the JSON, described in `docs/check.md`.
const SCHEMA: u32 = 1;

/// Every finding, under the name of its check, in the order of the checks.
#[derive(Debug, Default)]
pub(super) struct CheckReport(pub(super) Vec<(&'static str, Finding)>);

/// From the least to the most that trying again would help with: the first that occurs is the exit code.
const GRAVEST: [Exit; 3] = [Exit::Usage, Exit::Aws, Exit::TryAgain];

impl CheckReport {
    /// With what `check` ends: [`Exit::Done`] unless a check failed.
    pub(super) fn exit(&self) -> Exit {
        let asked = |exit: &Exit| self.0.iter().any(|(_, finding)| finding.verdict == CheckVerdict::Failed(*exit));
        GRAVEST.into_iter().find(asked).unwrap_or(Exit::Done)
    }

    /// The names of the checks that failed, each once.
    pub(super) fn failed(&self) -> Vec<&'static str> {
        let failed = self.0.iter().filter(|(_, finding)| matches!(finding.verdict, CheckVerdict::Failed(_)));
        let mut names: Vec<_> = failed.map(|(name, _)| *name).collect();
        names.dedup();
        names
    }

    /// One line for each finding, and a sum.
    pub(super) fn table(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let line = |(name, finding): &(&str, Finding)| {
            let Finding { verdict, text, remedy } = finding;
            let remedy = remedy.as_ref().map(|remedy| format!(" -> {}", one_line(remedy))).unwrap_or_default();
            format!("{verdict:<7}  {name:<width$}  {}{remedy}\n", one_line(text))
        };
        self.0.iter().map(line).chain([format!("\n{}\n", self.sum())]).collect()
    }

    fn sum(&self) -> String {
        let count = |verdict: &str| self.0.iter().filter(|(_, found)| found.verdict.to_string() == verdict).count();
        let of = |verdict| format!("{} {verdict}", count(verdict));
        ["failed", "warning", "skipped", "ok"].map(of).join(", ")
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let findings = self.0.iter().map(|(name, finding)| {
            json!({
                "check": name,
                "verdict": finding.verdict.to_string(),
                "text": one_line(&finding.text),
                "remedy": finding.remedy.as_deref().map(one_line),
            })
        });
        let exit = self.exit();
        json!({
            "schema": SCHEMA,
            "ready": exit == Exit::Done,
            "exit": exit.number(),
            "findings": findings.collect::<Vec<_>>(),
        })
    }
}

/// A text on one line, without control characters: parts of it come from other programs and other people's objects.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join(" | ");
    joined.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> CheckReport {
        let refused = Finding { verdict: CheckVerdict::Failed(Exit::Aws), ..Finding::failed("denied", "allow it") };
        CheckReport(vec![
            ("imds", Finding::ok("i-1")),
            ("bucket-list", refused),
            ("kubeadm-config", Finding::failed("first\n  second\u{1b}[31m", "correct it")),
            ("kubeadm-config", Finding::failed("third", "correct it")),
            ("swap", Finding::warning("on", "switch it off")),
            ("record", Finding::skipped("needs 'credentials'")),
        ])
    }

    #[test]
    fn a_table_has_one_line_for_each_finding_and_a_sum() {
        let expected = "\
ok       imds            i-1
failed   bucket-list     denied -> allow it
failed   kubeadm-config  first | second [31m -> correct it
failed   kubeadm-config  third -> correct it
warning  swap            on -> switch it off
skipped  record          needs 'credentials'

3 failed, 1 warning, 1 skipped, 1 ok
";
        assert_eq!(report().table(), expected);
    }

    #[test]
    fn json_says_the_same() {
        let json = report().json();
        assert_eq!((&json["ready"], &json["exit"], &json["schema"]), (&json!(false), &json!(2), &json!(1)));
        let ok = json!({"check": "imds", "verdict": "ok", "text": "i-1", "remedy": null});
        let warning = json!({"check": "swap", "verdict": "warning", "text": "on", "remedy": "switch it off"});
        assert_eq!((&json["findings"][0], &json["findings"][4]), (&ok, &warning));
    }

    #[test]
    fn the_exit_code_is_that_of_what_trying_again_helps_least() {
        let exits = |exits: &[Exit]| {
            let finding = |exit: &Exit| ("x", Finding { verdict: CheckVerdict::Failed(*exit), ..Finding::ok("") });
            CheckReport(exits.iter().map(finding).collect()).exit()
        };
        assert_eq!(exits(&[]), Exit::Done);
        assert_eq!(exits(&[Exit::TryAgain]), Exit::TryAgain);
        assert_eq!(exits(&[Exit::TryAgain, Exit::Aws]), Exit::Aws);
        assert_eq!(exits(&[Exit::TryAgain, Exit::Aws, Exit::Usage]), Exit::Usage);
        assert_eq!(report().exit(), Exit::Usage);
        assert_eq!(report().failed(), ["bucket-list", "kubeadm-config"]);
        let calm = CheckReport(vec![("swap", Finding::warning("on", "off")), ("record", Finding::skipped(""))]);
        assert_eq!(calm.exit(), Exit::Done);
    }
}
