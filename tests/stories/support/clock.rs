//! Minutes that pass at once for one agent: what waits for them has no setting that could make them fewer.

use super::command::{self, Running};
use super::world::World;
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

/// The library that is preloaded, on the machine's disk.
const LIBRARY: &str = "/var/lib/ahead.so";
const BUILD: Duration = Duration::from_secs(60);

impl World {
    /// Starts the agent of a machine, for which time can be made to pass, with these variables.
    pub fn start_agent_with_a_clock(&self, node: usize, variables: &[&str]) -> Result<Running> {
        const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories/support/ahead.c");
        let library = self.disk(node)?.join(LIBRARY.trim_start_matches('/'));
        if !library.exists() {
            // Whoever links Rust programs has this.
            let words = ["cc", "-shared", "-fPIC", "-O1", "-o", &library.display().to_string(), SOURCE];
            let built = command::run(&words, BUILD)?;
            ensure!(built.code == 0, "failed to build {LIBRARY}: {}", built.text());
        }
        let preload = format!("LD_PRELOAD={LIBRARY}");
        self.start_on(node, &[&["env", &preload], variables, &["kubeboot", "agent"]].concat())
    }

    /// So much time passes for that agent.
    pub fn time_passes(&self, node: usize, time: Duration) -> Result<()> {
        let link = self.root(node)?.join("run/ahead");
        let before = std::fs::read_link(&link).unwrap_or_else(|_| PathBuf::from("0"));
        let before: u64 = before.display().to_string().parse()?;
        let new = link.with_extension("new");
        symlink((before + time.as_secs()).to_string(), &new)
            .and_then(|()| std::fs::rename(&new, &link))
            .with_context(|| format!("failed to set the clock of node {node}"))
    }
}
