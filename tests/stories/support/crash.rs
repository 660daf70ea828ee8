//! The kubeboot that can be told to stop at a point of its own list, built beside the ordinary one.

use super::command::{self, Running};
use super::world::World;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

const NAME: &str = "kubeboot-crash-points";
/// Only the crate itself is built anew, but nothing may be known to have been built before.
const BUILD: Duration = Duration::from_secs(1200);
const LIST: Duration = Duration::from_secs(30);

static BINARY: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

/// What a process is made to do at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It is ended by SIGKILL.
    Kill,
    /// It stands still, and so the machine's power can be cut in this very moment.
    Hold,
}

/// The binary, as an option of a world.
pub fn binary() -> Result<String> {
    let path = BINARY.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(path.display().to_string())
}

/// The points that the program lists for a role of `up`, and those for both.
pub fn points(role: &str) -> Result<Vec<String>> {
    points_of(&[role, "both"])
}

/// The points that the program lists for these.
pub fn points_of(roles: &[&str]) -> Result<Vec<String>> {
    let listed = command::run(&[&binary()?, "crash-points"], LIST)?;
    ensure!(listed.code == 0, "'{NAME} crash-points' ended with {}: {}", listed.code, listed.text());
    let lines: Option<Vec<(&str, &str)>> = listed.stdout.lines().map(|line| line.split_once(' ')).collect();
    let lines = lines.with_context(|| format!("a line is not 'NAME ROLE': {}", listed.stdout))?;
    let mine = lines.into_iter().filter(|(_, whose)| roles.contains(whose));
    Ok(mine.map(|(name, _)| name.to_owned()).collect())
}

impl World {
    /// Starts `kubeboot up` on a machine, to stop at a point.
    pub fn start_up_until(&self, node: usize, stop: Stop, point: &str) -> Result<Running> {
        self.start_until(node, "up", stop, point)
    }

    /// Starts `kubeboot agent` on a machine, to stop at a point.
    pub fn start_agent_until(&self, node: usize, stop: Stop, point: &str) -> Result<Running> {
        self.start_until(node, "agent", stop, point)
    }

    fn start_until(&self, node: usize, command: &str, stop: Stop, point: &str) -> Result<Running> {
        let how = match stop {
            Stop::Kill => "kill",
            Stop::Hold => "hold",
        };
        self.start_on(node, &["env", &format!("KUBEBOOT_STOP_AT={how}:{point}"), "kubeboot", command])
    }

    /// Starts `kubeboot agent` on a machine, to stand still at a point until SIGCONT.
    pub fn start_agent_pausing(&self, node: usize, point: &str) -> Result<Running> {
        self.start_on(node, &["env", &format!("KUBEBOOT_STOP_AT=pause:{point}"), "kubeboot", "agent"])
    }

    /// Starts `kubeboot up` on a machine, to stand still at a point until SIGCONT.
    pub fn start_up_pausing(&self, node: usize, point: &str) -> Result<Running> {
        self.start_on(node, &["env", &format!("KUBEBOOT_STOP_AT=pause:{point}"), "kubeboot", "up"])
    }
}

fn build() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_BIN_EXE_kubeboot")).parent().context("a program lies in a folder")?;
    let target = folder.parent().context("cargo's target folder has one for each profile")?.display().to_string();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let words = ["build", "--locked", "--features", "crash-points", "--bin", NAME, "--manifest-path", manifest];
    let words = [&[cargo.as_str()][..], &words, &["--target-dir", &target]].concat();
    let built = command::run(&words, BUILD)?;
    ensure!(built.code == 0, "failed to build {NAME}: {}", built.text());
    Ok(folder.join(NAME))
}
