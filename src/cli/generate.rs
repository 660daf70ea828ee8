//! Completions and manual pages, from the definitions of the command line.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

/// Prints a shell's completions to standard output.
///
/// # Errors
///
/// If standard output does not take them.
pub fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kubeboot", &mut script);
    io::stdout().write_all(&script).context("failed to print the completions")
}

/// Writes the manual pages `kubeboot.1`, `kubeboot-up.1` and so on into a folder.
///
/// # Errors
///
/// If the folder or a page cannot be written.
pub fn manual(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .with_context(|| format!("failed to write the manual pages into '{}'", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_per_command_and_it_names_the_settings() -> Result<()> {
        let folder = tempfile::tempdir()?;
        manual(&folder.path().join("man1"))?;
        for page in [
            "kubeboot.1",
            "kubeboot-up.1",
            "kubeboot-reset.1",
            "kubeboot-status.1",
            "kubeboot-check.1",
            "kubeboot-reap.1",
            "kubeboot-restore.1",
            "kubeboot-retire.1",
            "kubeboot-elect.1",
        ] {
            let text = fs::read_to_string(folder.path().join("man1").join(page))?;
            assert!(text.contains("claim\\-ttl"), "{page}");
        }
        Ok(())
    }
}
