//! Exit codes: the only place where an outcome becomes a number.
//!
//! What the units and the launch hook do with each is in `docs/exit-codes.md`; tests compare that
//! page and the units with this file.

use std::fmt;
use std::process::ExitCode;

/// How a command ended. Attach one to an error with `error.context(Exit::TryAgain)`; the
/// outermost one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command has succeeded.
    Done,
    /// A fault of kubeboot itself.
    Internal,
    /// A setting or an argument is wrong: the same call fails again.
    Usage,
    /// It did not succeed now (a deadline, a fault that may pass): the same call may succeed later.
    TryAgain,
    /// AWS denied a call, also after the grace time.
    Aws,
    /// kubeadm failed.
    Kubeadm,
    /// An operator must decide, because kubeboot may not.
    Operator,
}

impl Exit {
    /// All of them, by number.
    pub const ALL: [Self; 7] =
        [Self::Done, Self::Internal, Self::Usage, Self::TryAgain, Self::Aws, Self::Kubeadm, Self::Operator];

    /// The exit code.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::TryAgain => 3,
            Self::Aws => 4,
            Self::Kubeadm => 5,
            Self::Operator => 6,
        }
    }

    /// When the unit starts `kubeboot up` again after it. Where settings are wrong or an operator must decide, another try
    /// changes nothing until somebody has done something, and must find out that it was done.
    #[must_use]
    pub const fn next_start(self) -> NextStart {
        match self {
            Self::Internal | Self::TryAgain | Self::Aws | Self::Kubeadm => NextStart::AtOnce,
            Self::Usage | Self::Operator => NextStart::Later,
            Self::Done => NextStart::Never,
        }
    }

    /// Whether the launch hook of a control-plane machine may be completed with ABANDON after it, if the settings say so, because
    /// another machine may succeed: only where kubeadm has failed on this one. The next machine meets everything else, too.
    #[must_use]
    pub const fn may_abandon(self) -> bool {
        match self {
            Self::Kubeadm => true,
            Self::Done | Self::Internal | Self::Usage | Self::TryAgain | Self::Aws | Self::Operator => false,
        }
    }

    /// The exit that an error carries, or [`Exit::Internal`] if it carries none.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        error.downcast_ref().copied().unwrap_or(Self::Internal)
    }
}

/// When the unit starts `kubeboot up` again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStart {
    /// Not before the next boot.
    Never,
    /// After `RestartSec=` of `systemd/kubeboot.service`.
    AtOnce,
    /// By `systemd/kubeboot.timer`. Until then the unit is failed.
    Later,
}

impl fmt::Display for NextStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "leaves it",
            Self::AtOnce => "starts it again",
            Self::Later => "fails, and looks again after three minutes",
        })
    }
}

/// The causes of an error, the outermost first, without the exits that it carries.
#[must_use]
pub fn causes(error: &anyhow::Error) -> Vec<String> {
    let phrases = Exit::ALL.map(|exit| exit.to_string());
    error.chain().map(ToString::to_string).filter(|cause| !phrases.contains(cause)).collect()
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Internal => "a fault of kubeboot itself",
            Self::Usage => "a setting or argument is wrong",
            Self::TryAgain => "not now, try again",
            Self::Aws => "AWS refused",
            Self::Kubeadm => "kubeadm failed",
            Self::Operator => "an operator must decide",
        })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.number().into()
    }
}

/// The verdict of `kubeboot status`, which has exit codes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nothing is wrong.
    Healthy,
    /// The control plane works, but something is missing or will be soon; or there is no cluster yet.
    Degraded,
    /// Too few voters answer, or two clusters answer.
    QuorumLost,
    /// The sources do not answer.
    CannotTell,
}

impl Health {
    /// All of them, by number.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::QuorumLost, Self::CannotTell];

    /// The exit code.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 10,
            Self::QuorumLost => 11,
            Self::CannotTell => 12,
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::QuorumLost => "quorum lost",
            Self::CannotTell => "cannot tell",
        })
    }
}

impl From<Health> for ExitCode {
    fn from(health: Health) -> Self {
        health.number().into()
    }
}

/// The outcome of `kubeboot reset`, which has exit codes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// This machine is no member any more, and that was verified.
    Left,
    /// There was nothing to do, or no reason to do it.
    Stayed,
    /// Something of this machine is left in the cluster, or may be.
    Incomplete,
}

impl Leaving {
    /// All of them, by number.
    pub const ALL: [Self; 3] = [Self::Left, Self::Stayed, Self::Incomplete];

    /// The exit code.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Left => 0,
            Self::Stayed => 20,
            Self::Incomplete => 21,
        }
    }
}

impl fmt::Display for Leaving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left the cluster",
            Self::Stayed => "stayed",
            Self::Incomplete => "incomplete",
        })
    }
}

impl From<Leaving> for ExitCode {
    fn from(leaving: Leaving) -> Self {
        leaving.number().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    const PAGE: &str = include_str!("../docs/exit-codes.md");
    const UNIT: &str = include_str!("../systemd/kubeboot.service");
    const TIMER: &str = include_str!("../systemd/kubeboot.timer");
    const LEAVING_UNIT: &str = include_str!("../systemd/kubeboot-reset.service");
    const AGENT_UNIT: &str = include_str!("../systemd/kubeboot-agent.service");

    /// The cells of the page's rows that begin with a number.
    fn rows() -> Vec<Vec<&'static str>> {
        let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
    }

    fn number(number: u8) -> String {
        format!("`{number}`")
    }

    #[test]
    fn the_page_documents_every_exit_and_no_other() {
        let documented: Vec<Vec<&str>> = rows().into_iter().map(|row| row.into_iter().take(4).collect()).collect();
        let exits = Exit::ALL.map(|exit| {
            let unit = exit.next_start().to_string();
            let hook = match exit {
                Exit::Done => "CONTINUE",
                _ if exit.may_abandon() => "ABANDON, if set so",
                // It may lack something itself.
                Exit::TryAgain => "left alone, but for a worker",
                _ => "left alone",
            };
            vec![number(exit.number()), exit.to_string(), unit, hook.to_owned()]
        });
        let healths = Health::ALL.map(|health| vec![number(health.number()), health.to_string()]);
        let (first, second) = documented.split_at(exits.len());
        assert_eq!(first, exits);
        let leavings = Leaving::ALL.map(|leaving| vec![number(leaving.number()), leaving.to_string()]);
        let second: Vec<Vec<&str>> = second.iter().map(|row| row[..2].to_vec()).collect();
        assert_eq!(second, [&healths[..], &leavings[..]].concat());
    }

    fn value<'a>(unit: &'a str, key: &str) -> &'a str {
        unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default()
    }

    #[test]
    fn the_leaving_unit_succeeds_when_the_machine_stays_and_fails_when_leaving_is_incomplete() {
        assert_eq!(value(LEAVING_UNIT, "SuccessExitStatus="), Leaving::Stayed.number().to_string());
        assert!(Exit::ALL.iter().all(|exit| exit.number() != Leaving::Stayed.number()));
        assert!(Health::ALL.iter().all(|health| health.number() < Leaving::Stayed.number()));
    }

    #[test]
    fn the_units_log_to_the_console_too() {
        for unit in [UNIT, LEAVING_UNIT, AGENT_UNIT] {
            assert_eq!(value(unit, "StandardOutput="), "journal+console");
        }
    }

    #[test]
    fn the_agent_is_always_started_again_and_is_gone_before_the_leaving_unit_runs() {
        let value = |key| value(AGENT_UNIT, key);
        assert_eq!([value("Restart="), value("StartLimitIntervalSec="), value("Type=")], ["always", "0", "notify"]);
        // What starts later is stopped earlier.
        let after: Vec<&str> = AGENT_UNIT.lines().filter_map(|line| line.strip_prefix("After=")).collect();
        assert!(after.contains(&crate::node::LEAVING_UNIT), "{after:?}");
    }

    #[test]
    fn leaving_ends_before_systemd_ends_it() {
        use crate::settings::table::{Fallback, Setting, SettingKind};
        let timeout = humantime::parse_duration(value(LEAVING_UNIT, "TimeoutStopSec=")).expect("it is a time");
        let setting = Setting::find("leave_budget").expect("there is such a setting");
        let SettingKind::Span(_, most) = setting.kind else { panic!("it is a time") };
        let Fallback::Value(fallback) = setting.fallback else { panic!("it has a default") };
        // Room for the start, for a child that ends slowly, and for a machine that is busy with its shutdown.
        let room = std::time::Duration::from_secs(15);
        assert!(std::time::Duration::from_secs(most) + room <= timeout);
        assert!(humantime::parse_duration(fallback).expect("a time") + 2 * room <= timeout);
        assert!(setting.about.contains(&format!("`TimeoutStopSec` is {} seconds", timeout.as_secs())));
    }

    #[test]
    fn the_unit_restarts_after_the_exits_that_say_so() {
        let value = |key| value(UNIT, key);
        assert_eq!(value("Restart="), "on-failure");
        let prevented: Vec<u8> =
            value("RestartPreventExitStatus=").split(' ').filter_map(|word| word.parse().ok()).collect();
        let later = Exit::ALL.iter().filter(|exit| exit.next_start() == NextStart::Later);
        assert_eq!(prevented, later.map(|exit| exit.number()).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_unit_does_not_start_at_once_the_timer_starts_within_five_minutes() {
        assert_eq!(value(UNIT, "OnFailure="), "kubeboot.timer");
        assert_eq!(value(TIMER, "PartOf="), "kubeboot.service", "whoever stops the unit wants it stopped");
        let time = |key| humantime::parse_duration(value(TIMER, key)).expect("it is a time");
        let longest = time("OnUnitInactiveSec=") + time("RandomizedDelaySec=") + time("AccuracySec=");
        // The rest is for the run itself.
        assert!(longest <= std::time::Duration::from_mins(4), "{longest:?}");
        assert_eq!(time("OnActiveSec="), time("OnUnitInactiveSec="), "the first failure is none of its own");
        assert!(NextStart::Later.to_string().contains("three minutes") && value(TIMER, "OnActiveSec=") == "3min");
    }

    #[test]
    fn the_outermost_exit_counts() {
        let error = anyhow!("cause").context(Exit::Aws).context("observing").context(Exit::TryAgain).context("up");
        assert_eq!(Exit::of(&error), Exit::TryAgain);
        assert_eq!(Exit::of(&anyhow!("cause")), Exit::Internal);
        let none: Option<()> = None;
        let error = none.context(Exit::Usage).expect_err("it is none");
        assert_eq!(Exit::of(&error), Exit::Usage);
    }
}
