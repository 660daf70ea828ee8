//! PID 1's job queue. It is the one sign of why a machine goes down that is right for every version of
//! systemd and every kind of shutdown.

use anyhow::{Context, Result, bail};

use super::systemctl;

/// One queued job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The unit it is about, such as `poweroff.target`.
    pub unit: String,
    /// What the job does: `start`, `stop`, `restart`, ...
    pub kind: String,
    /// `waiting` or `running`.
    pub state: String,
}

/// All queued jobs.
///
/// # Errors
///
/// If systemd does not answer or its answer is not understood: then it is not known whether the
/// machine goes down, and why.
pub async fn list() -> Result<Vec<Job>> {
    let output = systemctl(&["list-jobs", "--no-legend", "--plain", "--no-pager"])
        .await
        .context("failed to list systemd's jobs")?;
    parse(&output.stdout)
}

/// Parses the lines `ID UNIT TYPE STATE`. systemd may print a sentence for an empty queue.
fn parse(text: &str) -> Result<Vec<Job>> {
    let lines = text.lines().map(str::trim);
    let jobs = lines.filter(|line| !line.is_empty() && !line.starts_with("No jobs"));
    jobs.map(parse_line).collect()
}

fn parse_line(line: &str) -> Result<Job> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        [id, unit, kind, state] if id.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Job { unit: unit.to_owned(), kind: kind.to_owned(), state: state.to_owned() })
        }
        _ => bail!("failed to read systemd's jobs: the line '{line}' is not 'ID UNIT TYPE STATE'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(unit: &str, kind: &str, state: &str) -> Job {
        Job { unit: unit.to_owned(), kind: kind.to_owned(), state: state.to_owned() }
    }

    #[test]
    fn jobs_are_parsed() -> Result<()> {
        let reset = job("kubeboot-reset.service", "stop", "running");
        let cases = [
            ("", vec![]),
            ("\n", vec![]),
            ("No jobs running.\n", vec![]),
            (
                "  7 poweroff.target start waiting\n112 kubeboot-reset.service  stop  running\n",
                vec![job("poweroff.target", "start", "waiting"), reset],
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse(text)?, wanted, "{text}");
        }
        Ok(())
    }

    #[test]
    fn an_answer_that_is_not_understood_is_an_error() {
        for text in [
            "Failed to list jobs: Connection refused",
            "7 poweroff.target start",
            "x poweroff.target start waiting",
            "7 poweroff.target start waiting more",
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
