//! Who else answers where an API server is looked for: see `tests/world/strangers.py`.
#![allow(dead_code, reason = "each of these is something that stories may need, whether one does today or not")]

use super::world::World;
use anyhow::{Context, Result};

/// Where the load balancer is.
pub const ENDPOINT: &str = "endpoint";

impl World {
    /// Lets somebody answer on port 6443 of `at` ([`ENDPOINT`], a machine's number whose API server does not run, or an
    /// address) as `answer` says: `401` or another status of an API server's, `other`, `plain`, `silent`, `closed` or
    /// `reset`. Returns the address.
    pub fn stranger(&self, at: &str, answer: &str) -> Result<String> {
        self.stranger_with(&["stranger", "start", at, answer])
    }

    /// Lets a ready API server answer there whose certificate is by the CA on the disk of that machine, and whose
    /// `kube-system` has this UID. It refuses everything else with 403.
    pub fn stranger_of(&self, at: &str, node: usize, uid: &str) -> Result<String> {
        self.stranger_with(&["stranger", "start", at, "403", "--ca-of", &node.to_string(), "--uid", uid])
    }

    /// Sends them all away.
    pub fn no_strangers(&self) -> Result<()> {
        self.ask(&["stranger", "stop"]).map(drop)
    }

    fn stranger_with(&self, words: &[&str]) -> Result<String> {
        let answer = self.ask(words)?;
        answer["address"].as_str().map(str::to_owned).context("a stranger has an address")
    }
}
