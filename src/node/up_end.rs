//! How `kubeboot up` last ended in this boot, for the agent, which tells it on.

use crate::exit::{Exit, NextStart};
use crate::host::files;
use crate::model::agent::served::machine::UpSeen;
use crate::node::credentials::FOLDER;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The file, in kubeboot's folder below `/run`: after a reboot `up` runs anew.
const FILE: &str = "up-end.json";
/// The largest that is read, in bytes.
const LIMIT: u64 = 4096;

/// What is kept: never the text of an error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct UpEnd {
    exit_code: u8,
    /// When it ended, in seconds since 1970.
    at: f64,
    /// Since when every run has ended with this code.
    since: f64,
}

/// Writes down how a run has ended. A failure is logged and ignored.
pub fn keep(ended: &Result<()>) {
    let exit = ended.as_ref().err().map_or(Exit::Done, Exit::of);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Err(error) = keep_below(Path::new(FOLDER), exit, now) {
        tracing::debug!("failed to write down how this run has ended: {error:#}");
    }
}

/// How the last run of this boot ended, if one has ended.
#[must_use]
pub fn load() -> Option<UpSeen> {
    load_below(Path::new(FOLDER)).map(|end| UpSeen {
        code: end.exit_code,
        is_stopped: Exit::ALL
            .iter()
            .any(|exit| exit.number() == end.exit_code && exit.next_start() == NextStart::Later),
        at: end.at,
        since: end.since,
    })
}

fn keep_below(folder: &Path, exit: Exit, now: Duration) -> Result<()> {
    let (exit_code, at) = (exit.number(), now.as_secs_f64());
    let since = load_below(folder).filter(|last| last.exit_code == exit_code).map_or(at, |last| last.since);
    let bytes = serde_json::to_vec(&UpEnd { exit_code, at, since }).context("it cannot be written as JSON")?;
    files::private_dir(folder)?;
    files::write(&file(folder), &bytes, 0o600)
}

fn load_below(folder: &Path) -> Option<UpEnd> {
    let bytes = files::read_if_there(&file(folder), LIMIT).ok().flatten()?;
    let end: UpEnd = serde_json::from_slice(&bytes).ok()?;
    (end.at.is_finite() && end.since.is_finite()).then_some(end)
}

fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_end_alike_have_one_beginning() -> Result<()> {
        let folder = tempfile::tempdir()?;
        assert_eq!(load_below(folder.path()), None);
        let rows = [
            (Exit::Operator, 10, 10.0),
            (Exit::Operator, 20, 10.0),
            (Exit::TryAgain, 30, 30.0),
            (Exit::Done, 40, 40.0),
            (Exit::Done, 50, 40.0),
        ];
        for (exit, at, since) in rows {
            keep_below(folder.path(), exit, Duration::from_secs(at))?;
            let at = Duration::from_secs(at).as_secs_f64();
            assert_eq!(load_below(folder.path()), Some(UpEnd { exit_code: exit.number(), at, since }));
        }
        for damaged in
            ["", "[]", r#"{"exit_code":999,"at":1.0,"since":1.0}"#, r#"{"exit_code":6,"at":1e999,"since":1.0}"#]
        {
            std::fs::write(file(folder.path()), damaged)?;
            assert_eq!(load_below(folder.path()), None, "{damaged}");
            keep_below(folder.path(), Exit::Operator, Duration::from_secs(60))?;
            assert_eq!(load_below(folder.path()).map(|end| end.since), Some(60.0));
        }
        Ok(())
    }
}
