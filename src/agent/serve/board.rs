//! What the agent's loop leaves for those who serve it: they never make it wait.

use crate::host::boottime;
use crate::model::agent::served::events::{NodeEvent, of_state};
use crate::model::agent::served::snapshot::SnapshotSeen;
use crate::model::agent::served::upgrade::UpgradeSeen;
use crate::model::agent::served::{AgentSeen, AgentState, Source};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// How many Events may wait to be written. One that finds no room is dropped.
const WAITING: usize = 16;

/// What is known of the agent now.
#[derive(Clone)]
pub(in crate::agent) struct Board {
    seen: Arc<Mutex<AgentSeen>>,
    events: mpsc::Sender<NodeEvent>,
    /// Why nothing is served.
    trouble: Arc<Mutex<Option<String>>>,
}

impl Board {
    /// Of an agent that begins, and the Events that its changes make.
    pub(in crate::agent) fn new() -> (Self, mpsc::Receiver<NodeEvent>) {
        let (events, told) = mpsc::channel(WAITING);
        let seen = Arc::new(Mutex::new(AgentSeen::beginning(boottime::now())));
        (Self { seen, events, trouble: Arc::default() }, told)
    }

    /// A pass has decided; `words` is what it says.
    pub(in crate::agent) fn passes(&self, state: AgentState, words: &str) {
        let before = self.change(|seen| {
            let before = seen.state;
            seen.passes(state, boottime::now());
            before
        });
        if let Some(event) = of_state(before, state, words) {
            self.tell(event);
        }
    }

    /// Has an Event written.
    pub(in crate::agent) fn tell(&self, event: NodeEvent) {
        if self.events.try_send(event).is_err() {
            tracing::debug!("an Event is dropped: too many wait to be written");
        }
    }

    /// Somebody was asked, and has answered or not.
    pub(in crate::agent) fn hear(&self, source: Source, answered: bool) {
        self.change(|seen| seen.sources.entry(source).or_default().hear(answered, boottime::now()));
    }

    /// Whether it is known what is to become of this machine.
    pub(in crate::agent) fn knows(&self, is_known: bool) {
        self.change(|seen| seen.is_known = is_known);
    }

    /// What a leader knows of snapshots; `None` from one that leads no longer.
    pub(in crate::agent) fn saves(&self, snapshots: Option<SnapshotSeen>) {
        self.change(|seen| seen.snapshots = snapshots);
    }

    /// What a leader knows of the rest of an upgrade; `None` from one that leads no longer.
    pub(in crate::agent) fn upgrades(&self, upgrade: Option<UpgradeSeen>) {
        self.change(|seen| seen.upgrade = upgrade);
    }

    /// The agent as it was after its last pass.
    pub(super) fn seen(&self) -> AgentSeen {
        self.change(|seen| seen.clone())
    }

    /// Why nothing is served; `None` while it is.
    pub(in crate::agent) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn has_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn change<T>(&self, change: impl FnOnce(&mut AgentSeen) -> T) -> T {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
