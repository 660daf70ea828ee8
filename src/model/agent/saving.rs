//! Whether the last voter saves the cluster before it goes, and what becomes of a saving that was begun.

use super::hook::HookView;
use super::observation::{Ending, Observation};
use super::step::{AgentStep, Answer, Hold, SaveWhy};
use crate::model::machine::local::Local;
use std::time::Duration;

/// How long a machine that could not save serves again before it tries once more.
pub const PAUSE: Duration = Duration::from_mins(1);

/// What is known of saving on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saving {
    /// Whether its etcd is isolated.
    pub isolation: Isolation,
    /// Why the last attempt of this process has failed, and how long ago; the machine is what it was before.
    pub failed: Option<(String, Duration)>,
    /// How long the terminate hook lasts in all.
    pub hook: Option<Duration>,
    /// Whether this process has uploaded what this machine has, without a quorum.
    pub uploaded: bool,
    /// Whether the record, read now, supersedes the claim of the data here: another machine has saved or restored the cluster.
    pub superseded: bool,
}

/// What the durable mark on this machine says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Isolation {
    /// There is none.
    #[default]
    None,
    /// A saving was begun and has not come to its end.
    Begun,
    /// The cluster lives in a snapshot, and etcd or API server was not seen to be gone here yet.
    Ending,
    /// This machine has saved the cluster: nothing here starts again, and nobody needs what is here.
    ForGood,
    /// Another machine has saved or restored the cluster: nothing here starts again, and the data is kept, for it may be newer.
    Superseded,
    /// It cannot be read; with the reason.
    Unknown(String),
}

impl Isolation {
    /// Whether etcd and API server are to stay gone here, seen to be so or not.
    #[must_use]
    pub fn is_end(&self) -> bool {
        match self {
            Self::Ending | Self::ForGood | Self::Superseded => true,
            Self::None | Self::Begun | Self::Unknown(_) => false,
        }
    }
}

/// What a mark leads to, whatever else there is; `None` without one.
pub(super) fn of_mark(seen: &Observation, ending: &Ending) -> Option<Result<Answer, AgentStep>> {
    match &seen.saving.isolation {
        Isolation::None if seen.saving.superseded => Some(Err(AgentStep::Settle)),
        Isolation::None => None,
        Isolation::Ending => Some(Err(AgentStep::Settle)),
        Isolation::ForGood => Some(Ok(Answer::Saved)),
        Isolation::Superseded => Some(Err(AgentStep::Hold(Hold::Superseded))),
        Isolation::Unknown(why) => Some(Err(AgentStep::Hold(Hold::Isolated(why.clone())))),
        Isolation::Begun => Some(Err(match (save_why(seen, ending), seen.desired) {
            (Some(why), _) => AgentStep::Save(why),
            // EC2 waits for nobody, and an agent that was started anew does not know for how long the machine has been ending.
            (None, _) if ending.left.is_some() => AgentStep::Save(SaveWhy::NothingRetains),
            (None, None) => {
                AgentStep::Hold(Hold::Isolated("the group does not say how many machines it wants".to_owned()))
            }
            (None, Some(_)) => AgentStep::Settle,
        })),
    }
}

/// The step of a last voter that must save now; `None` while it need not.
pub(super) fn of_last_voter(seen: &Observation, ending: &Ending) -> Option<AgentStep> {
    // One that is half made is left running until it serves.
    let why = save_why(seen, ending).filter(|_| matches!(seen.local, Local::Made { .. }))?;
    match &seen.saving.failed {
        // EC2 does not wait.
        Some((failed, ago)) if *ago < PAUSE && ending.left.is_none() => {
            Some(AgentStep::Hold(Hold::NotSaved(failed.clone())))
        }
        Some(_) | None => Some(AgentStep::Save(why)),
    }
}

/// Whether a voter that nothing keeps uploads what it has, while the quorum is lost: once, for others may have committed more.
pub(super) fn must_upload(seen: &Observation, ending: &Ending) -> bool {
    let is_held = matches!(seen.hook, HookView::Waits | HookView::Ahead);
    let is_kept = ending.retained || seen.retains && is_held;
    !seen.saving.uploaded && (ending.left.is_some() || !is_kept)
}

/// Why the cluster is to be saved, on its last voter.
fn save_why(seen: &Observation, ending: &Ending) -> Option<SaveWhy> {
    let is_held = seen.hook == HookView::Waits || ending.retained || ending.left.is_some();
    if seen.desired == Some(0) && is_held {
        return Some(SaveWhy::NoneWanted);
    }
    let left = match ending.left {
        Some(left) => Some(left),
        None if seen.hook == HookView::Waits && !seen.retains && !ending.retained => {
            seen.saving.hook.map(|whole| whole.saturating_sub(ending.known_for))
        }
        None => None,
    };
    // Newcomers have the first half of the time.
    left.filter(|left| *left <= ending.known_for).map(|_| SaveWhy::NothingRetains)
}

#[cfg(test)]
mod tests;
