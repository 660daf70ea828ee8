//! Who hears what is being done.

use crate::host::systemd::notify;
use crate::layout::say;

/// Who renews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// A person, who reads what the command prints.
    Command,
    /// The agent: all of it goes to its log, and its status line tells of other things.
    Agent,
}

impl Voice {
    /// Something is done.
    pub(super) fn done(self, text: &str) {
        match self {
            Self::Command => say(text),
            Self::Agent => tracing::info!("{text}"),
        }
    }

    /// Something begins.
    pub(super) fn begins(self, text: &str) {
        match self {
            Self::Command => notify::status(text),
            Self::Agent => tracing::info!("{text}"),
        }
    }
}
