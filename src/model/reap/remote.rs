//! What reaping would do, as far as that can be told where etcd cannot be asked.

use crate::model::machine::group::Ec2State;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use std::fmt;

/// Whether a machine's member would be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalForecast {
    /// The machine is gone: its member is removed if etcd still lists it.
    Goes,
    /// EC2 does not know the machine: its member is removed after `gone_grace`.
    GoesLater,
    /// The machine is stopped: its member is removed unless the group has it in Standby.
    Stopped,
    /// The machine exists: its member is kept.
    Stays,
}

/// Judges by registration and EC2 alone. `ec2` is `None` for a machine that is missing in EC2's answer for the right account and
/// Region. Gives `None` for a machine that has no member by its registration.
#[must_use]
pub fn forecast(registration: &Registration, ec2: Option<&Ec2State>) -> Option<RemovalForecast> {
    let may_be_member = match registration.phase {
        RegistrationPhase::Joining
        | RegistrationPhase::Joined
        | RegistrationPhase::Leaving
        | RegistrationPhase::Unknown(_) => true,
        RegistrationPhase::Waiting | RegistrationPhase::Initializing | RegistrationPhase::Failed => {
            registration.member_id.is_some()
        }
        RegistrationPhase::Left | RegistrationPhase::Reaped => false,
    };
    may_be_member.then_some(match ec2 {
        None => RemovalForecast::GoesLater,
        Some(state) if state.is_final() => RemovalForecast::Goes,
        Some(Ec2State::Stopped) => RemovalForecast::Stopped,
        Some(_) => RemovalForecast::Stays,
    })
}

impl RemovalForecast {
    /// A code for programs. It stays the same when the text changes.
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
            Self::Goes => "its member would be removed if etcd lists it, it does not answer and the quorum allows it",
            Self::GoesLater => "its member would be removed likewise once EC2 has not known the machine for gone_grace",
            Self::Stopped => "its member would be removed likewise unless the group has the machine in Standby",
            Self::Stays => "its member would be kept",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::membership::reaping::tests::registered;

    #[test]
    fn the_forecast_follows_ec2s_state() {
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
    fn a_machine_without_a_member_has_no_forecast() {
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
