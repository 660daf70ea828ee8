//! What came of the rest of an upgrade, as the `ConfigMap` `kube-system/kubeboot-upgrade` keeps it for `status` and for the next leader.
//!
//! It is an object of its own: kubeadm writes `kubeadm-config` anew without what it does not know, and the `ConfigMap` called `kubeboot` tells
//! whose cluster this is. Where it is lost, kube-proxy tells by its image how far the rest has come.

use super::rest::RestStep;
use crate::model::machine::ids::InstanceId;
use crate::model::text::{cut, one_line};
use crate::model::version::Release;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The schema this version writes and the only one it reads.
const SCHEMA: u32 = 1;
/// The largest one that is read, in bytes.
const LIMIT: usize = 16 * 1024;
/// The longest text in it, in bytes.
const LONGEST: usize = 1000;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestOutcome {
    schema: u32,
    /// The version to which it was brought before.
    pub from: Release,
    /// The version to which it was to be brought.
    pub to: Release,
    /// Whether it was. Otherwise it is tried again.
    pub done: bool,
    /// What was done, in order.
    pub steps: Vec<StepOutcome>,
    /// Why the last attempt has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// The machine that tried last.
    pub by: InstanceId,
    /// When it did, by its own clock (RFC 3339), for people.
    pub at: String,
}

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// Which.
    pub step: RestStep,
    /// Whether it was left out, for the reason in the text.
    pub left_out: bool,
    /// What was done, or why it was left out.
    pub text: String,
}

impl RestOutcome {
    /// Of an attempt that ends now. `before`: what was kept of the one before it.
    #[must_use]
    pub fn of_attempt(
        (from, to): (Release, Release),
        before: Option<&Self>,
        steps: Vec<StepOutcome>,
        error: Option<&str>,
        (by, at): (InstanceId, String),
    ) -> Self {
        let earlier = before.filter(|before| before.to == to).map_or(0, |before| before.attempts);
        let short = |text: &str| cut(&one_line(text), LONGEST);
        let steps = steps.into_iter().map(|step| StepOutcome { text: short(&step.text), ..step }).collect();
        Self {
            schema: SCHEMA,
            from,
            to,
            done: error.is_none(),
            steps,
            error: error.map(short),
            attempts: earlier.saturating_add(1),
            by,
            at,
        }
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LIMIT {
            return Err(format!("it has {} bytes, more than {LIMIT}", text.len()));
        }
        let read: Self = serde_json::from_str(text).map_err(|error| format!("it is no outcome: {error}"))?;
        match read.schema {
            SCHEMA => Ok(read),
            other => Err(format!("it has schema {other}, and this kubeboot reads {SCHEMA}")),
        }
    }

    /// The text to keep.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// One sentence, for an Event and the log.
impl fmt::Display for RestOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, attempts, .. } = self;
        let steps: Vec<String> = self.steps.iter().map(|step| format!("{}: {}", step.step, step.text)).collect();
        match &self.error {
            None => write!(f, "the cluster is upgraded from v{from} to v{to}: {}", steps.join("; ")),
            Some(error) => write!(
                f,
                "the control plane is of v{to}, and what is left of the upgrade from v{from} has failed (attempt {attempts}), and is tried \
                 again: {error}"
            ),
        }
    }
}
