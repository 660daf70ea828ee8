//! Which changes become an Event on this machine's Node.

use super::AgentState;
use super::machine::UpSeen;
use crate::model::agent::Answer;
use crate::model::joining::approval::Refusal;
use crate::model::text::one_line;
use crate::model::upgrade::RestOutcome;
use std::collections::BTreeMap;
use std::time::Duration;

/// The same is not told again before this time: a machine that cannot decide must not fill the API.
pub const AGAIN: Duration = Duration::from_secs(10 * 60);
/// The longest message in characters: what Kubernetes takes in a `note`.
const LONGEST: usize = 1024;

/// What an Event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEvent {
    /// The word for programs.
    pub reason: &'static str,
    /// Whether somebody should look.
    pub is_warning: bool,
    /// The sentence for people.
    pub message: String,
    /// What makes it the same as another one.
    pub key: &'static str,
}

impl NodeEvent {
    fn new(reason: &'static str, key: &'static str, is_warning: bool, message: &str) -> Self {
        Self { reason, is_warning, message: one_line(message).chars().take(LONGEST).collect(), key }
    }
}

/// What to tell of a request for a kubelet's certificate that is refused.
#[must_use]
pub fn of_refusal(why: &Refusal) -> NodeEvent {
    NodeEvent::new("RequestRefused", why.reason(), true, &format!("refused by kubeboot: {why}"))
}

/// What to tell when the agent goes from one state to another; `words` is what it says of the new one.
#[must_use]
pub fn of_state(before: AgentState, after: AgentState, words: &str) -> Option<NodeEvent> {
    if before == after {
        return None;
    }
    match after {
        AgentState::Holding(why) => Some(NodeEvent::new("TerminationHeld", why.name(), true, words)),
        AgentState::Leaving => Some(NodeEvent::new("LeavingCluster", "leaving", false, words)),
        AgentState::Done(Answer::Left) => match before {
            AgentState::Done(_) => None,
            AgentState::Watching | AgentState::Holding(_) | AgentState::SteppingDown | AgentState::Leaving => {
                Some(NodeEvent::new("LeftCluster", "left", false, words))
            }
        },
        AgentState::Watching => match before {
            AgentState::Holding(_) => Some(NodeEvent::new("TerminationOver", "over", false, words)),
            AgentState::Watching | AgentState::SteppingDown | AgentState::Leaving | AgentState::Done(_) => None,
        },
        AgentState::SteppingDown | AgentState::Done(Answer::NeverMember | Answer::InitGivenUp | Answer::Saved) => None,
    }
}

/// What to tell of how `kubeboot up` has ended: a stop, once for as long as it lasts.
#[must_use]
pub fn of_up(before: Option<UpSeen>, after: Option<UpSeen>) -> Option<NodeEvent> {
    let stop = after.filter(|up| up.is_stopped)?;
    if before.is_some_and(|before| before.since.total_cmp(&stop.since).is_eq()) {
        return None;
    }
    let message = format!(
        "kubeboot up has ended with exit code {}, and waits until somebody has done something: see 'kubeboot status' and \
         'journalctl --unit kubeboot' on this machine",
        stop.code
    );
    Some(NodeEvent::new("UpStopped", "up", true, &message))
}

/// What to tell of an attempt to do what is left of an upgrade.
#[must_use]
pub fn of_upgrade(outcome: &RestOutcome) -> NodeEvent {
    match outcome.done {
        true => NodeEvent::new("ClusterUpgraded", "upgrade", false, &outcome.to_string()),
        false => NodeEvent::new("UpgradeRestFailed", "upgrade", true, &outcome.to_string()),
    }
}

/// What was told lately.
#[derive(Debug, Default)]
pub struct Ledger(BTreeMap<(&'static str, &'static str), Duration>);

impl Ledger {
    /// Whether it was not told lately; from now on it was.
    pub fn is_new(&mut self, event: &NodeEvent, now: Duration) -> bool {
        let key = (event.reason, event.key);
        if self.0.get(&key).is_some_and(|at| now.saturating_sub(*at) < AGAIN) {
            return false;
        }
        self.0.insert(key, now);
        true
    }
}
