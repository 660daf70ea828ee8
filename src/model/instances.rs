//! When to believe EC2 that a machine is gone.
//!
//! `terminated` and `shutting-down` count at once. Absence counts only after it has lasted, and only in answers that
//! show the asking machine itself as running: a wrong Region or account makes everybody look gone.

use super::group::Ec2State;
use super::ids::InstanceId;
use std::collections::BTreeMap;
use std::time::Duration;

/// What EC2 said of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is in this state.
    State(Ec2State),
    /// It was left out of every answer that showed me as running, for so long on my own monotonic clock.
    AbsentFor(Duration),
}

/// EC2's word on instances, as far as it was asked and could be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instances(pub BTreeMap<InstanceId, Seen>);

impl Instances {
    /// Whether this instance is certainly gone for good. Not asked, not answered and not yet absent for `grace` are all
    /// "no".
    #[must_use]
    pub fn is_gone(&self, instance: &InstanceId, grace: Duration) -> bool {
        match self.0.get(instance) {
            Some(Seen::State(state)) => state.is_final(),
            Some(Seen::AbsentFor(duration)) => *duration >= grace,
            None => false,
        }
    }

    /// Whether EC2 has answered that the instance is terminated or shutting down. Absence does not count.
    #[must_use]
    pub fn is_terminated(&self, instance: &InstanceId) -> bool {
        matches!(self.0.get(instance), Some(Seen::State(state)) if state.is_final())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_is_not_believed_at_once() {
        let grace = Duration::from_secs(300);
        let id = InstanceId::parse("i-00000001").unwrap();
        let rows = [
            (None, false),
            (Some(Seen::State(Ec2State::Running)), false),
            (Some(Seen::State(Ec2State::Stopped)), false),
            (Some(Seen::State(Ec2State::Other("new".into()))), false),
            (Some(Seen::State(Ec2State::ShuttingDown)), true),
            (Some(Seen::State(Ec2State::Terminated)), true),
            (Some(Seen::AbsentFor(Duration::from_secs(299))), false),
            (Some(Seen::AbsentFor(grace)), true),
        ];
        for (seen, gone) in rows {
            let instances = Instances(seen.clone().map(|seen| (id.clone(), seen)).into_iter().collect());
            assert_eq!(instances.is_gone(&id, grace), gone, "{seen:?}");
        }
    }
}
