//! The error of the run before. The unit runs `up` again and again: what it meets every time is told whole once, and then in one line.

use crate::exit::{Exit, causes};
use crate::host::files;
use crate::host::systemd::notify;
use crate::kubeadm::pki::digest;
use crate::log;
use crate::node::credentials::FOLDER;
use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::SystemTime;

/// The file, in kubeboot's folder below `/run`: after a reboot everything is told whole again.
const FILE: &str = "last-error.json";
/// The largest that is read, in bytes.
const LIMIT: u64 = 4096;

/// What is kept of an error: not its text, which is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LastError {
    /// SHA-256 of its text.
    digest: String,
    /// In how many runs in a row it was met.
    times: u64,
    /// When it was met first, by this machine's clock (RFC 3339).
    since: String,
}

/// Sets the unit's status line by how `up` has ended, and shortens an error that the unit's last run ended with, too. Whoever
/// runs `up` by hand is told everything.
///
/// # Errors
/// The error that `up` has ended with.
pub fn note(ended: Result<()>) -> Result<()> {
    if let Err(error) = &ended {
        notify::status(&format!(
            "{} (exit code {}): {}",
            Exit::of(error),
            Exit::of(error).number(),
            in_one_line(error)
        ));
    }
    if log::is_journal() { note_below(Path::new(FOLDER), ended) } else { ended }
}

fn note_below(folder: &Path, ended: Result<()>) -> Result<()> {
    let file = folder.join(FILE);
    match ended {
        Ok(()) => {
            if let Err(error) = files::remove(&file) {
                tracing::warn!("{error:#}");
            }
            Ok(())
        }
        Err(error) => Err(shortened(&file, error)),
    }
}

/// The error, in short if the file says that it is the same as before; it is written down.
fn shortened(file: &Path, error: anyhow::Error) -> anyhow::Error {
    let digest = digest(format!("{error:#}").as_bytes());
    let last = files::read_bounded(file, LIMIT).ok().and_then(|bytes| serde_json::from_slice::<LastError>(&bytes).ok());
    let again =
        last.filter(|last| last.digest == digest).map(|last| LastError { times: last.times.saturating_add(1), ..last });
    let is_new = again.is_none();
    let since = || humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let met = again.unwrap_or_else(|| LastError { digest, times: 1, since: since() });
    let written = file
        .parent()
        .map_or(Ok(()), files::private_dir)
        .and_then(|()| files::write(file, &serde_json::to_vec(&met)?, 0o600));
    match (written, is_new) {
        (Err(why), _) => {
            tracing::debug!("failed to write down what this run ended with: {why:#}");
            error
        }
        (Ok(()), true) => error,
        (Ok(()), false) => {
            let LastError { times, since, .. } = met;
            let exit = Exit::of(&error);
            let first = causes(&error).into_iter().next().unwrap_or_default();
            let first = first.lines().next().unwrap_or_default().to_owned();
            anyhow!("the same error, {times} times since {since}, when the log told it whole: {first}").context(exit)
        }
    }
}

fn in_one_line(error: &anyhow::Error) -> String {
    causes(error).join(": ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> Result<()> {
        Err(anyhow!("cause\n  of it").context(text.to_owned()).context(Exit::Operator))
    }

    fn told(folder: &Path, ended: Result<()>) -> Option<String> {
        note_below(folder, ended).err().map(|error| {
            assert_eq!(Exit::of(&error), Exit::Operator);
            in_one_line(&error)
        })
    }

    #[test]
    fn an_error_is_told_whole_once_and_then_counted_until_another_one_or_success() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let whole = |text: &str| Some(format!("{text}: cause of it"));
        for _round in 0..2 {
            assert_eq!(told(folder.path(), failed("one")), whole("one"));
            for times in 2..5 {
                let short = told(folder.path(), failed("one")).unwrap_or_default();
                assert!(short.starts_with(&format!("the same error, {times} times since 20")), "{short}");
                assert!(short.ends_with("when the log told it whole: one"), "{short}");
            }
            assert_eq!(told(folder.path(), failed("other")), whole("other"));
            assert_eq!(told(folder.path(), failed("one")), whole("one"), "another one came between");
            assert_eq!(told(folder.path(), Ok(())), None);
        }
        Ok(())
    }

    #[test]
    fn where_nothing_can_be_kept_everything_is_told() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let damaged = folder.path().join(FILE);
        for bytes in ["", "{}", "[", r#"{"digest":1}"#] {
            std::fs::write(&damaged, bytes)?;
            assert_eq!(told(folder.path(), failed("one")), Some("one: cause of it".into()), "{bytes}");
        }
        let not_a_folder = folder.path().join("file");
        std::fs::write(&not_a_folder, "")?;
        for _again in 0..2 {
            assert_eq!(told(&not_a_folder, failed("one")), Some("one: cause of it".into()));
        }
        Ok(())
    }
}
