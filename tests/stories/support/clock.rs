//! Minutes that pass at once for one agent: what waits for them has no setting that could make them fewer.

use super::command::{self, Running};
use super::world::World;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// The library that is preloaded, on the machine's disk.
const LIBRARY: &str = "/var/lib/ahead.so";
const BUILD: Duration = Duration::from_secs(60);

impl World {
    /// Starts the agent of a machine, for which minutes can be made to pass.
    pub fn start_agent_with_a_clock(&self, node: usize) -> Result<Running> {
        const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories/support/ahead.c");
        let library = self.disk(node)?.join(LIBRARY.trim_start_matches('/')).display().to_string();
        // Whoever links Rust programs has this.
        let built = command::run(&["cc", "-shared", "-fPIC", "-O1", "-o", &library, SOURCE], BUILD)?;
        ensure!(built.code == 0, "failed to build {LIBRARY}: {}", built.text());
        self.start_on(node, &["env", &format!("LD_PRELOAD={LIBRARY}"), "kubeboot", "agent"])
    }

    /// Eleven minutes pass for that agent.
    pub fn eleven_minutes_pass(&self, node: usize) -> Result<()> {
        let file = self.root(node)?.join("run/ahead");
        std::fs::write(&file, "").with_context(|| format!("failed to write '{}'", file.display()))
    }
}
