//! Where a secret goes: into a new file that its owner alone can read, or to the standard output of who asked for it.

use crate::exit::Exit;
use crate::host::files;
use anyhow::{Context, Result, anyhow, ensure};
use std::env;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// Writes a secret into a new file, or prints it.
///
/// # Errors
/// With [`Exit::Usage`] where there is a file already, or others could read what is printed.
pub(super) fn hand_over(secret: &str, file: Option<&Path>) -> Result<()> {
    match file {
        Some(path) => to_file(secret, path),
        None => print(secret),
    }
}

/// Sees that a secret can be handed over so, before one is made.
///
/// # Errors
/// As [`hand_over()`].
pub(super) fn check(file: Option<&Path>) -> Result<()> {
    match file {
        Some(path) => is_new(path),
        None => is_private(io::stdout(), has_journal()),
    }
    .context(Exit::Usage)
}

fn is_new(path: &Path) -> Result<()> {
    let is_there = path.symlink_metadata().is_ok();
    ensure!(!is_there, "there is a file '{}' already: remove it, or name another one", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "there is no folder '{}'", folder.display());
    Ok(())
}

fn to_file(secret: &str, path: &Path) -> Result<()> {
    is_new(path).context(Exit::Usage)?;
    files::write(path, secret.as_bytes(), 0o600)
}

fn print(secret: &str) -> Result<()> {
    is_private(io::stdout(), has_journal()).context(Exit::Usage)?;
    io::stdout().write_all(secret.as_bytes()).context("failed to write to standard output")
}

/// Whether systemd has connected an output of this program with the journal: systemd.exec(5).
fn has_journal() -> bool {
    env::var_os("JOURNAL_STREAM").is_some()
}

/// A terminal and a pipe are for who has made them; a file may be for all, and the journal is. systemd names one stream alone, where standard
/// output and standard error may be two, so any socket counts as the journal then.
fn is_private(output: impl AsFd, has_journal: bool) -> Result<()> {
    let found = rustix::fs::fstat(output).map_err(|error| anyhow!("failed to look at standard output: {error}"))?;
    let kind = rustix::fs::FileType::from_raw_mode(found.st_mode);
    ensure!(
        !(has_journal && kind.is_socket()),
        "standard output is the journal, which others read, and this is a secret: name a file by --file"
    );
    let is_file = kind.is_file();
    let is_open = rustix::fs::Mode::from_raw_mode(found.st_mode).bits() & 0o077 != 0;
    ensure!(
        !(is_file && is_open),
        "standard output is a file that others can read, and this is a secret: name a file by --file, or run 'umask 077' before"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_new_and_for_its_owner_alone() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("you.conf");
        check(Some(&path))?;
        hand_over("SECRET", Some(&path))?;
        assert_eq!(path.metadata()?.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path)?, "SECRET");
        std::os::unix::fs::symlink("/nowhere", folder.path().join("link"))?;
        for taken in ["you.conf", "link", "none/you.conf"] {
            let error = hand_over("OTHER", Some(&folder.path().join(taken))).err().context(taken)?;
            assert_eq!(Exit::of(&error), Exit::Usage);
            assert!(check(Some(&folder.path().join(taken))).is_err() && !format!("{error:#}").contains("OTHER"));
        }
        assert_eq!(std::fs::read_to_string(&path)?, "SECRET");
        Ok(())
    }

    #[test]
    fn nothing_is_printed_into_a_file_that_others_can_read() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("output");
        let file = File::create(&path)?;
        for (mode, expected) in
            [(0o644, false), (0o640, false), (0o604, false), (0o620, false), (0o600, true), (0o400, true)]
        {
            file.set_permissions(Permissions::from_mode(mode))?;
            assert_eq!(is_private(&file, true).is_ok(), expected, "{mode:o}");
        }
        let (_reader, writer) = io::pipe()?;
        is_private(writer, true)
    }

    #[test]
    fn nothing_is_printed_into_the_journal() -> Result<()> {
        let (_journal, stream) = std::os::unix::net::UnixStream::pair()?;
        let error = is_private(&stream, true).err().context("the journal is no place for a secret")?;
        assert!(error.to_string().contains("--file"), "{error}");
        // Of a remote shell without a terminal.
        is_private(&stream, false)
    }
}
