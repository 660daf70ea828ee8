//! What can be told of reaping where etcd cannot be asked.

use crate::model::machine::group::Ec2State;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use std::fmt;

/// What is to be expected of a machine's member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalForecast {
    /// The machine is gone: its member goes, if etcd still lists it.
    Goes,
    /// EC2 does not know the machine: its member goes once that was so for long enough.
    GoesLater,
    /// The machine is stopped: its member goes unless the group has it in Standby.
    Stopped,
    /// The machine is there: its member stays.
    Stays,
}

/// Judges by registration and EC2 alone. `ec2` is `None` for a machine that EC2's answer lacks, where it was asked in the
/// right account and Region. `None` for a machine that has no member as far as it said.
#[must_use]
pub fn forecast(says: &Registration, ec2: Option<&Ec2State>) -> Option<RemovalForecast> {
    let may_have_one = match says.phase {
        RegistrationPhase::Joining | RegistrationPhase::Joined | RegistrationPhase::Leaving => true,
        RegistrationPhase::Waiting | RegistrationPhase::Initializing | RegistrationPhase::Failed => {
            says.member_id.is_some()
        }
        RegistrationPhase::Left | RegistrationPhase::Reaped => false,
    };
    may_have_one.then_some(match ec2 {
        None => RemovalForecast::GoesLater,
        Some(state) if state.is_final() => RemovalForecast::Goes,
        Some(Ec2State::Stopped) => RemovalForecast::Stopped,
        Some(_) => RemovalForecast::Stays,
    })
}

impl RemovalForecast {
    /// A word for programs. It stays the same when the text changes.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Goes => "goes",
            Self::GoesLater => "goes-later",
            Self::Stopped => "stopped",
            Self::Stays => "stays",
        }
    }
}

impl fmt::Display for RemovalForecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Goes => "its member would be removed, if etcd lists it, it is silent and the quorum allows it",
            Self::GoesLater => "the same, once EC2 has not known the machine for gone_grace",
            Self::Stopped => "the same, unless the group has the machine in Standby",
            Self::Stays => "its member would be kept",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::membership::reaping::tests::registered;

    #[test]
    fn what_is_to_be_expected_by_ec2s_word() {
        let voter = registered(1, Some(1), None);
        let rows = [
            (None, RemovalForecast::GoesLater),
            (Some(Ec2State::Terminated), RemovalForecast::Goes),
            (Some(Ec2State::ShuttingDown), RemovalForecast::Goes),
            (Some(Ec2State::Stopped), RemovalForecast::Stopped),
            (Some(Ec2State::Running), RemovalForecast::Stays),
            (Some(Ec2State::Pending), RemovalForecast::Stays),
            (Some(Ec2State::Other("new".into())), RemovalForecast::Stays),
        ];
        for (ec2, expected) in rows {
            assert_eq!(forecast(&voter, ec2.as_ref()), Some(expected), "{ec2:?}");
        }
    }

    #[test]
    fn who_never_had_a_member_or_has_none_any_more_is_left_out() {
        let gone = Some(&Ec2State::Terminated);
        let with = |phase, member| Registration { phase, ..registered(1, member, None) };
        for (phase, without, with_one) in [
            (RegistrationPhase::Joining, true, true),
            (RegistrationPhase::Joined, true, true),
            (RegistrationPhase::Leaving, true, true),
            (RegistrationPhase::Waiting, false, true),
            (RegistrationPhase::Initializing, false, true),
            (RegistrationPhase::Failed, false, true),
            (RegistrationPhase::Left, false, false),
            (RegistrationPhase::Reaped, false, false),
        ] {
            assert_eq!(forecast(&with(phase, None), gone).is_some(), without, "{phase:?}");
            assert_eq!(forecast(&with(phase, Some(1)), gone).is_some(), with_one, "{phase:?}");
        }
    }
}
