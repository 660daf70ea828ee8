//! What is left of an upgrade when every API server is of the new version, which [`crate::model::upgrade`] decides. It runs beside the other
//! duties, one attempt at a time, under this machine's lock.
//!
//! Two leaders that do it at once harm nobody: each step makes the same of what it finds, and what came of it is written over what was read
//! alone.
//!
//! | file | what |
//! |---|---|
//! | `look` | what decides whether it is due |
//! | `work` | one attempt |

mod look;
mod work;

use super::Scene;
use super::look::Look;
use crate::kube::KeptOutcome;
use crate::model::agent::served::events::of_upgrade;
use crate::model::agent::served::upgrade::UpgradeSeen;
use crate::model::upgrade::{KubernetesUpgrade, RestOutcome, RestVerdict, rest_pause};
use anyhow::{Context, Result};
use look::Seen;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use work::{Attempt, Ended};

/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks while everybody is not of one version yet: workers of the new image wait for the one that sees it.
const OPEN_INTERVAL: Duration = Duration::from_secs(10);
/// The same after one that has failed, and while somebody else goes first.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// Between two looks while nothing is left.
const INTERVAL: Duration = Duration::from_secs(60);

/// What one leader does of it.
pub(super) struct Upgrader<'a> {
    scene: &'a Scene,
    /// At most one attempt.
    working: JoinSet<Ended>,
    not_before: Instant,
    /// What is told of it; empty while nothing is left.
    words: String,
    seen: UpgradeSeen,
}

impl<'a> Upgrader<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        let (working, words, seen) = (JoinSet::new(), String::new(), UpgradeSeen::default());
        Self { scene, working, not_before: Instant::now(), words, seen }
    }

    /// Sees how the attempt under way has ended, and begins one when it is due.
    pub(super) async fn pass(&mut self, look: &Look) {
        if self.scene.facts.settings.kubernetes_upgrade == KubernetesUpgrade::Off {
            return;
        }
        self.ended();
        if !self.working.is_empty() || Instant::now() < self.not_before {
            return;
        }
        self.not_before = Instant::now() + INTERVAL;
        let seen = timeout(LOOK_TIMEOUT, look::look(self.scene, look)).await.context("it took too long");
        match seen.and_then(|seen| seen) {
            Ok(Seen { verdict: RestVerdict::Nothing, .. }) => self.tells(false, String::new()),
            Ok(Seen { verdict: RestVerdict::Wait(wait), to, .. }) => {
                self.not_before = Instant::now() + OPEN_INTERVAL;
                self.tells(true, format!("what is left of the upgrade to v{to} waits {wait}"));
            }
            Ok(Seen { verdict: RestVerdict::Due { from, to }, kept, kubeadm, .. }) => {
                self.tells(true, format!("does what is left of the upgrade from v{from} to v{to}"));
                tracing::info!("{}", self.words);
                let (facts, kubeconfig) = (self.scene.facts.clone(), look.credentials.kubeconfig.clone());
                let attempt = Attempt { facts, kubeconfig, from, to, kubeadm, kept };
                self.working.spawn(attempt.run());
            }
            Err(error) => {
                self.not_before = Instant::now() + RETRY_INTERVAL;
                self.words = format!("cannot see what is left of an upgrade: {error:#}");
            }
        }
    }

    /// Sees how the attempt under way has ended.
    pub(super) fn ended(&mut self) {
        let Some(ended) = self.working.try_join_next() else { return };
        match ended {
            Ok(Ended::Kept(outcome)) => self.tell_outcome(&outcome),
            Ok(Ended::NotKept(outcome, why)) => {
                tracing::warn!(
                    "what came of the rest of the upgrade is not kept in the cluster, so it is looked at again: {why}"
                );
                self.tell_outcome(&outcome);
            }
            Ok(Ended::Later(why)) => {
                self.not_before = Instant::now() + RETRY_INTERVAL;
                self.words = format!("what is left of an upgrade is done later: {why}");
                tracing::info!("{}", self.words);
            }
            Err(error) => self.words = format!("what is left of an upgrade was cut off: {error}"),
        }
    }

    fn tell_outcome(&mut self, outcome: &RestOutcome) {
        match outcome.done {
            true => {
                tracing::info!("{outcome}");
                self.not_before = Instant::now();
                self.tells(false, String::new());
            }
            false => {
                tracing::warn!("{outcome}");
                self.not_before = Instant::now() + rest_pause(outcome.attempts);
                self.seen.failures = self.seen.failures.saturating_add(1);
                self.tells(true, outcome.to_string());
            }
        }
        self.scene.board.tell(of_upgrade(outcome));
    }

    fn tells(&mut self, is_open: bool, words: String) {
        self.words = words;
        self.seen.is_open = is_open;
        self.scene.board.upgrades(Some(self.seen));
    }

    /// When everything is to be looked at again for its sake, if ever.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.seen.is_open.then_some(self.not_before)
    }

    /// What is to be told of it, if anything.
    pub(super) fn words(&self) -> Option<String> {
        Some(self.words.clone()).filter(|words| !words.is_empty())
    }
}

impl Drop for Upgrader<'_> {
    /// Who leads no longer knows nothing of it.
    fn drop(&mut self) {
        self.scene.board.upgrades(None);
    }
}

/// What was kept, as far as it can be read: what nobody can read is as good as nothing, and is written anew.
fn readable(kept: Option<&KeptOutcome>) -> Option<&RestOutcome> {
    let outcome = &kept?.outcome;
    if let Err(why) = outcome {
        tracing::warn!(
            "the ConfigMap kube-system/kubeboot-upgrade cannot be read, and is written anew when it is needed: {why}"
        );
    }
    outcome.as_ref().ok()
}

/// A version, or an error that says what it should have been.
fn release(text: &str, whose: &str) -> Result<crate::model::version::Release> {
    crate::model::version::Release::parse(text)
        .with_context(|| format!("{whose} is no version: '{}'", text.escape_debug()))
}
