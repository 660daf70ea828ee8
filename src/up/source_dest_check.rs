//! EC2's source/destination check of this instance, switched off once in a run where the settings say so.

use crate::aws::{CallFailed, Session};
use crate::model::machine::ids::InstanceId;
use crate::model::worker::snapshot::CheckState;
use crate::node::Facts;
use crate::settings::SourceDestCheck as Wanted;

/// What is to become of it.
pub(super) struct SourceDestCheck {
    due: Option<(Session, InstanceId)>,
}

impl SourceDestCheck {
    pub(super) fn new(session: &Session, facts: &Facts) -> Self {
        let due = match facts.settings.source_dest_check {
            Wanted::Unchanged => None,
            Wanted::Off => Some((session.clone(), facts.machine.instance.clone())),
        };
        Self { due }
    }

    /// Whether something is to be done.
    pub(super) fn state(&self) -> CheckState {
        if self.due.is_some() { CheckState::Due } else { CheckState::Settled }
    }

    /// Switches it off, and sees that it is off.
    ///
    /// # Errors
    /// EC2 does not answer or refuses, or still has it on.
    pub(super) async fn settle(&mut self) -> Result<(), CallFailed> {
        let Some((session, me)) = &self.due else { return Ok(()) };
        session.switch_off_source_dest_check(me).await?;
        tracing::info!("EC2's source/destination check of this instance is off");
        self.due = None;
        Ok(())
    }
}
