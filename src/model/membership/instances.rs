//! When a machine counts as gone.
//!
//! `terminated` and `shutting-down` count at once. Absence from EC2's answers counts only after a grace time, and only in answers
//! that show the asking machine itself as running: in a wrong Region or account every machine is absent.

use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::InstanceId;
use std::collections::BTreeMap;
use std::time::Duration;

/// What EC2 said of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It is in this state.
    State(Ec2State),
    /// It was missing in every answer that showed the asking machine as running, for so long on that machine's monotonic clock.
    AbsentFor(Duration),
}

/// What EC2 says of instances, as far as it was asked and its answer is credible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instances(pub BTreeMap<InstanceId, Presence>);

impl Instances {
    /// Whether this instance is certainly gone for good. It is not if EC2 was not asked, did not answer, or has not known it for
    /// less than `grace`.
    #[must_use]
    pub fn is_gone(&self, instance: &InstanceId, grace: Duration) -> bool {
        match self.0.get(instance) {
            Some(Presence::State(state)) => state.is_final(),
            Some(Presence::AbsentFor(duration)) => *duration >= grace,
            None => false,
        }
    }

    /// How long EC2 must still leave the instance out of its answers before it counts as gone; `None` where it knows it, or has said
    /// nothing of it.
    #[must_use]
    pub fn gone_in(&self, instance: &InstanceId, grace: Duration) -> Option<Duration> {
        match self.0.get(instance) {
            Some(Presence::AbsentFor(absent)) => Some(grace.saturating_sub(*absent)),
            Some(Presence::State(_)) | None => None,
        }
    }

    /// Whether EC2 has answered that the instance is terminated or shutting down. Absence does not count.
    #[must_use]
    pub fn is_terminated(&self, instance: &InstanceId) -> bool {
        matches!(self.0.get(instance), Some(Presence::State(state)) if state.is_final())
    }
}

/// Since when instances have been missing from EC2's answers, on the asking machine's own monotonic clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absences {
    since: BTreeMap<InstanceId, Duration>,
    /// How far two answers may be apart, where one between them could have shown the instance; `None`: as far as may be.
    most_apart: Option<Duration>,
    last: Duration,
}

impl Absences {
    /// For whoever does not ask all the time: what was not asked for longer than `most_apart` counts anew.
    #[must_use]
    pub fn within(most_apart: Duration) -> Self {
        Self { most_apart: Some(most_apart), ..Self::default() }
    }

    /// Records one answer, which came at `now`. A missing instance counts as absent only if the same answer shows `me` as running:
    /// an answer for the wrong Region or account shows no instance.
    pub fn observe(
        &mut self,
        me: &InstanceId,
        asked: &[InstanceId],
        answered: &BTreeMap<InstanceId, Ec2State>,
        now: Duration,
    ) -> Instances {
        if self.most_apart.is_some_and(|most| now.saturating_sub(self.last) > most) {
            self.since.clear();
        }
        self.last = now;
        let credible = answered.get(me) == Some(&Ec2State::Running);
        let mut instances = BTreeMap::new();
        for id in asked {
            if let Some(state) = answered.get(id) {
                self.since.remove(id);
                instances.insert(id.clone(), Presence::State(state.clone()));
            } else if credible {
                let since = *self.since.entry(id.clone()).or_insert(now);
                instances.insert(id.clone(), Presence::AbsentFor(now.saturating_sub(since)));
            } else {
                self.since.remove(id);
            }
        }
        Instances(instances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_counts_from_the_first_answer_that_shows_the_asking_machine_running() {
        let (me, other) = (InstanceId::parse("i-00000001").unwrap(), InstanceId::parse("i-00000002").unwrap());
        let asked = [me.clone(), other.clone()];
        let only_me = |state: &str| BTreeMap::from([(me.clone(), Ec2State::parse(state))]);
        let both = BTreeMap::from([(me.clone(), Ec2State::Running), (other.clone(), Ec2State::Running)]);
        let absent = |seconds| Some(Presence::AbsentFor(Duration::from_secs(seconds)));
        // (answer, at, presence of the other instance)
        let rows = [
            (BTreeMap::new(), 0, None),
            (only_me("pending"), 5, None),
            (only_me("running"), 10, absent(0)),
            (only_me("running"), 30, absent(20)),
            (both, 40, Some(Presence::State(Ec2State::Running))),
            (only_me("running"), 50, absent(0)),
            (BTreeMap::new(), 55, None),
            (only_me("running"), 60, absent(0)),
        ];
        let mut absences = Absences::default();
        for (answer, at, expected) in rows {
            let instances = absences.observe(&me, &asked, &answer, Duration::from_secs(at));
            assert_eq!(instances.0.get(&other).cloned(), expected, "at {at}s");
        }
    }

    #[test]
    fn absence_does_not_outlast_a_time_in_which_nobody_asked() {
        let (me, other) = (InstanceId::parse("i-00000001").unwrap(), InstanceId::parse("i-00000002").unwrap());
        let asked = [me.clone(), other.clone()];
        let only_me = BTreeMap::from([(me.clone(), Ec2State::Running)]);
        for (mut absences, expected) in [(Absences::within(Duration::from_secs(150)), 0), (Absences::default(), 400)] {
            for (at, absent) in [(0, 0), (100, 100), (250, 250), (401, expected + 1)] {
                let instances = absences.observe(&me, &asked, &only_me, Duration::from_secs(at));
                let absent = if at == 401 && expected == 0 { 0 } else { absent };
                assert_eq!(instances.0.get(&other), Some(&Presence::AbsentFor(Duration::from_secs(absent))), "{at}");
            }
        }
    }

    #[test]
    fn absence_counts_after_the_grace_only() {
        let grace = Duration::from_secs(300);
        let id = InstanceId::parse("i-00000001").unwrap();
        let rows = [
            (None, false),
            (Some(Presence::State(Ec2State::Running)), false),
            (Some(Presence::State(Ec2State::Stopped)), false),
            (Some(Presence::State(Ec2State::Other("new".into()))), false),
            (Some(Presence::State(Ec2State::ShuttingDown)), true),
            (Some(Presence::State(Ec2State::Terminated)), true),
            (Some(Presence::AbsentFor(Duration::from_secs(299))), false),
            (Some(Presence::AbsentFor(grace)), true),
        ];
        for (seen, gone) in rows {
            let instances = Instances(seen.clone().map(|seen| (id.clone(), seen)).into_iter().collect());
            assert_eq!(instances.is_gone(&id, grace), gone, "{seen:?}");
            let left = match &seen {
                Some(Presence::AbsentFor(absent)) => Some(grace - *absent),
                Some(Presence::State(_)) | None => None,
            };
            assert_eq!(instances.gone_in(&id, grace), left, "{seen:?}");
        }
    }
}
