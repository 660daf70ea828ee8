//! The two questions that come before any change: does the machine go down, and does it go for good? Both are answered by allow
//! lists, and an unknown word means to stay: a machine that stays in error is reaped later, but one that leaves in error costs the
//! cluster a voter.

use crate::model::machine::group::{Ec2State, Lifecycle};
use std::fmt;

/// A job in systemd's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedJob<'a> {
    /// The unit it is about, such as `poweroff.target`.
    pub unit: &'a str,
    /// What the job does: `start`, `stop`, `restart`, ...
    pub kind: &'a str,
}

/// A shutdown that may be for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownMode {
    /// The machine is powered off: what EC2 asks for, by the ACPI button, when it stops or terminates an instance.
    Poweroff,
    /// The machine halts with its power on.
    Halt,
}

impl ShutdownMode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Poweroff, Self::Halt];

    /// The unit that systemd starts for it.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::Poweroff => "poweroff.target",
            Self::Halt => "halt.target",
        }
    }
}

/// Units that bring the machine, or its user space, back.
const COMES_BACK: [&str; 6] = [
    "reboot.target",
    "kexec.target",
    "soft-reboot.target",
    "rescue.target",
    "emergency.target",
    "factory-reset.target",
];

/// The answer to the first question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoingDown {
    /// The machine goes down.
    Down(ShutdownMode),
    /// It comes back: this unit is queued, too.
    ComesBack(&'static str),
    /// No shutdown is queued: the unit was stopped by an operator or a package.
    NotDown,
}

/// Whether the machine goes down, by systemd's job queue.
#[must_use]
pub fn goes_down(jobs: &[QueuedJob<'_>]) -> GoingDown {
    // A job that stops such a unit does not bring the machine back; every other kind may.
    let is_queued = |unit: &str| jobs.iter().any(|job| job.unit == unit && job.kind != "stop");
    let starts = |unit: &str| jobs.iter().any(|job| job.unit == unit && job.kind == "start");
    if let Some(unit) = COMES_BACK.into_iter().find(|unit| is_queued(unit)) {
        return GoingDown::ComesBack(unit);
    }
    // systemd never queues both at once. If it did, Halt is safe, because it leaves in fewer cases.
    [ShutdownMode::Halt, ShutdownMode::Poweroff]
        .into_iter()
        .find(|mode| starts(mode.target()))
        .map_or(GoingDown::NotDown, GoingDown::Down)
}

/// The states of this instance by each source. `None`: the source has not answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceStates {
    /// The state that Auto Scaling wants it in, by its own metadata: `InService`, `Terminated`, `Standby`, ...
    pub target: Option<String>,
    /// Its lifecycle state in Auto Scaling.
    pub lifecycle: Option<InGroup>,
    /// Its state in EC2.
    pub ec2: Option<Ec2State>,
}

/// Auto Scaling's answer about one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InGroup {
    /// It is in a group, in this state.
    As(Lifecycle),
    /// It is in no group.
    No,
}

/// What AWS is about to do with the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsIntent {
    /// Terminate it; with the source that says so.
    Terminate(String),
    /// Stop it: it may be started again.
    Stop,
    /// Keep it in Standby: an operator works on it.
    Standby,
    /// Let it run, or AWS does not answer.
    Run,
    /// Not known; with the source and its unknown word.
    Unknown(String),
}

/// The answer to the second question, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaveDecision {
    /// For good: leave.
    Leave(AwsIntent),
    /// Not for good, or not known to be: stay.
    Stay(AwsIntent),
}

impl InstanceStates {
    /// Whether it is already known that the instance is being terminated: then no other answer can change the decision.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.intent(), AwsIntent::Terminate(_))
    }

    /// Both together; where both know a state, this one counts.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            target: self.target.or(other.target),
            lifecycle: self.lifecycle.or(other.lifecycle),
            ec2: self.ec2.or(other.ec2),
        }
    }

    /// What all sources together say.
    #[must_use]
    pub fn intent(&self) -> AwsIntent {
        let ends = self.meanings().find(|(_, word)| matches!(word, Meaning::Terminate));
        if let Some((source, _)) = ends {
            return AwsIntent::Terminate(source);
        }
        if self.meanings().any(|(_, word)| matches!(word, Meaning::Stop)) {
            return AwsIntent::Stop;
        }
        if self.meanings().any(|(_, word)| matches!(word, Meaning::Standby)) {
            return AwsIntent::Standby;
        }
        let unknown = self.meanings().find(|(_, word)| matches!(word, Meaning::Unknown));
        unknown.map_or(AwsIntent::Run, |(source, _)| AwsIntent::Unknown(source))
    }

    /// Every state that is known, with its source and its meaning.
    fn meanings(&self) -> impl Iterator<Item = (String, Meaning)> {
        let target = self.target.as_ref().map(|word| (format!("target state {word}"), of_target(word)));
        let lifecycle = self.lifecycle.as_ref().map(|found| match found {
            InGroup::As(state) => (format!("lifecycle {state}"), of_lifecycle(state)),
            InGroup::No => ("in no Auto Scaling group".to_owned(), Meaning::Unknown),
        });
        let ec2 = self.ec2.as_ref().map(|state| (format!("EC2 {state}"), of_ec2(state)));
        [target, lifecycle, ec2].into_iter().flatten()
    }
}

/// What comes before the state of a machine that is in a warm pool, or on its way into one or out of it.
const WARMED: &str = "Warmed:";

/// The same word without what says that the machine is one of a warm pool: one that is terminated there goes like every other.
#[must_use]
pub fn without_pool(word: &str) -> &str {
    word.strip_prefix(WARMED).unwrap_or(word)
}

/// Whether a group that wants a machine in this state terminates it, in its warm pool or outside.
#[must_use]
pub fn wants_to_terminate(target: &str) -> bool {
    without_pool(target) == "Terminated"
}

/// What one state means.
enum Meaning {
    Terminate,
    Stop,
    Standby,
    Run,
    Unknown,
}

fn of_target(word: &str) -> Meaning {
    match word {
        word if wants_to_terminate(word) => Meaning::Terminate,
        "Standby" => Meaning::Standby,
        "InService" => Meaning::Run,
        _ => Meaning::Unknown,
    }
}

fn of_lifecycle(state: &Lifecycle) -> Meaning {
    match state {
        Lifecycle::Pending | Lifecycle::PendingWait | Lifecycle::PendingProceed | Lifecycle::InService => Meaning::Run,
        ending if ending.is_terminating() => Meaning::Terminate,
        Lifecycle::Other(word) if wants_to_terminate(word) => Meaning::Terminate,
        Lifecycle::Other(word) if word == "Standby" || word == "EnteringStandby" => Meaning::Standby,
        Lifecycle::Other(_) => Meaning::Unknown,
    }
}

fn of_ec2(state: &Ec2State) -> Meaning {
    match state {
        Ec2State::ShuttingDown | Ec2State::Terminated => Meaning::Terminate,
        Ec2State::Stopping | Ec2State::Stopped => Meaning::Stop,
        Ec2State::Pending | Ec2State::Running => Meaning::Run,
        Ec2State::Other(_) => Meaning::Unknown,
    }
}

/// Whether a machine that goes down like this goes for good. The group replaces a machine that is powered off, also where AWS
/// does not answer. A machine that halts is still running for EC2.
#[must_use]
pub fn is_permanent(mode: ShutdownMode, states: &InstanceStates) -> LeaveDecision {
    match (mode, states.intent()) {
        (ShutdownMode::Poweroff | ShutdownMode::Halt, intent @ AwsIntent::Terminate(_)) => LeaveDecision::Leave(intent),
        (ShutdownMode::Poweroff, intent @ AwsIntent::Run) => LeaveDecision::Leave(intent),
        (ShutdownMode::Halt, intent @ AwsIntent::Run) => LeaveDecision::Stay(intent),
        (
            ShutdownMode::Poweroff | ShutdownMode::Halt,
            intent @ (AwsIntent::Stop | AwsIntent::Standby | AwsIntent::Unknown(_)),
        ) => LeaveDecision::Stay(intent),
    }
}

impl fmt::Display for GoingDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(mode) => write!(f, "yes: systemd starts {}", mode.target()),
            Self::ComesBack(unit) => write!(f, "no, it comes back: systemd has {unit} in its queue"),
            Self::NotDown => f.write_str("no: systemd starts neither poweroff.target nor halt.target"),
        }
    }
}

impl fmt::Display for AwsIntent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terminate(source) => write!(f, "it is being terminated ({source})"),
            Self::Stop => f.write_str("EC2 stops it, so it may be started again"),
            Self::Standby => f.write_str("it is in Standby, so an operator works on it"),
            Self::Run => f.write_str("AWS does not say that it is being stopped or terminated"),
            Self::Unknown(source) => write!(f, "AWS reports a state that this version does not know ({source})"),
        }
    }
}

impl fmt::Display for LeaveDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leave(AwsIntent::Run) => {
                write!(f, "yes: {}, and the group replaces what is powered off", AwsIntent::Run)
            }
            Self::Leave(intent) => write!(f, "yes: {intent}"),
            Self::Stay(intent) => write!(f, "no: {intent}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job<'a>(unit: &'a str, kind: &'a str) -> QueuedJob<'a> {
        QueuedJob { unit, kind }
    }

    /// Other jobs in the queue of a machine that goes down.
    const OTHERS: [QueuedJob<'static>; 3] = [
        QueuedJob { unit: "kubeboot-reset.service", kind: "stop" },
        QueuedJob { unit: "shutdown.target", kind: "start" },
        QueuedJob { unit: "umount.target", kind: "start" },
    ];

    #[test]
    fn only_a_start_of_poweroff_or_halt_takes_the_machine_down() {
        let down = GoingDown::Down;
        let rows = [
            (vec![], GoingDown::NotDown),
            (OTHERS.to_vec(), GoingDown::NotDown),
            (vec![job("poweroff.target", "start")], down(ShutdownMode::Poweroff)),
            ([vec![job("poweroff.target", "start")], OTHERS.to_vec()].concat(), down(ShutdownMode::Poweroff)),
            (vec![job("halt.target", "start")], down(ShutdownMode::Halt)),
            (vec![job("poweroff.target", "start"), job("halt.target", "start")], down(ShutdownMode::Halt)),
            (vec![job("poweroff.target", "stop")], GoingDown::NotDown),
            (vec![job("poweroff.target", "verify-active")], GoingDown::NotDown),
            (vec![job("poweroff.target", "restart")], GoingDown::NotDown),
            (vec![job("poweroff.target", "")], GoingDown::NotDown),
            (vec![job("poweroff.target.wants", "start")], GoingDown::NotDown),
            (vec![job("exit.target", "start")], GoingDown::NotDown),
            (vec![job("suspend.target", "start")], GoingDown::NotDown),
            (vec![job("hibernate.target", "start")], GoingDown::NotDown),
            (vec![job("kubeboot-reset.service", "restart")], GoingDown::NotDown),
        ];
        for (jobs, expected) in rows {
            assert_eq!(goes_down(&jobs), expected, "{jobs:?}");
        }
    }

    #[test]
    fn a_unit_that_brings_the_machine_back_wins() {
        let units = ["reboot", "kexec", "soft-reboot", "rescue", "emergency", "factory-reset"];
        for (unit, name) in COMES_BACK.into_iter().zip(units) {
            assert_eq!(unit, format!("{name}.target"));
            for kind in ["start", "restart", "try-restart", "verify-active", "reload-or-start", "new"] {
                for mode in ShutdownMode::ALL {
                    let jobs = [job(mode.target(), "start"), job(unit, kind)];
                    assert_eq!(goes_down(&jobs), GoingDown::ComesBack(unit), "{jobs:?}");
                }
            }
            assert_eq!(goes_down(&[job(unit, "start")]), GoingDown::ComesBack(unit));
            let cancelled = [job("poweroff.target", "start"), job(unit, "stop")];
            assert_eq!(goes_down(&cancelled), GoingDown::Down(ShutdownMode::Poweroff), "{unit}");
        }
    }

    const TARGETS: [&str; 12] = [
        "InService",
        "Terminated",
        "Standby",
        "Detached",
        "Warmed:Stopped",
        "Warmed:Running",
        "Warmed:Hibernated",
        "Warmed:Terminated",
        "",
        "terminated",
        "New",
        "Warmed:Warmed:Terminated",
    ];
    const LIFECYCLES: [&str; 27] = [
        "Pending",
        "Pending:Wait",
        "Pending:Proceed",
        "InService",
        "Terminating",
        "Terminating:Wait",
        "Terminating:Proceed",
        "Terminating:Retained",
        "Terminated",
        "Standby",
        "EnteringStandby",
        "Detaching",
        "Detached",
        "Quarantined",
        "ReplacingRootVolume",
        "RootVolumeReplaced",
        "Warmed:Running",
        "Warmed:Stopped",
        "Warmed:Hibernated",
        "Warmed:Pending:Wait",
        "Warmed:Terminating",
        "Warmed:Terminating:Wait",
        "Warmed:Terminating:Proceed",
        "Warmed:Terminated",
        "",
        "NewState",
        "notTerminating",
    ];
    /// Those of them in which a machine goes for good.
    const ENDING: [&str; 9] = [
        "Terminating",
        "Terminating:Wait",
        "Terminating:Proceed",
        "Terminating:Retained",
        "Terminated",
        "Warmed:Terminating",
        "Warmed:Terminating:Wait",
        "Warmed:Terminating:Proceed",
        "Warmed:Terminated",
    ];
    const STATES: [&str; 8] =
        ["pending", "running", "stopping", "stopped", "shutting-down", "terminated", "", "hibernating"];

    /// Every combination of answers, with silence among them.
    fn all_states() -> impl Iterator<Item = InstanceStates> {
        let targets = || TARGETS.into_iter().map(|word| Some(word.to_owned())).chain([None]);
        let lifecycles = || {
            let lifecycle_states = LIFECYCLES.into_iter().map(|word| Some(InGroup::As(Lifecycle::parse(word))));
            lifecycle_states.chain([Some(InGroup::No), None])
        };
        let ec2_states = || STATES.into_iter().map(|word| Some(Ec2State::parse(word))).chain([None]);
        targets().flat_map(move |target| {
            lifecycles().flat_map(move |lifecycle| {
                let (target, lifecycle) = (target.clone(), lifecycle);
                ec2_states().map(move |ec2| InstanceStates {
                    target: target.clone(),
                    lifecycle: lifecycle.clone(),
                    ec2,
                })
            })
        })
    }

    /// The same table, written once more by the words of AWS.
    fn expected(mode: ShutdownMode, states: &InstanceStates) -> bool {
        let target = states.target.as_deref();
        let lifecycle = states.lifecycle.as_ref().map(|found| match found {
            InGroup::As(state) => state.to_string(),
            InGroup::No => "none".to_owned(),
        });
        let (lifecycle, ec2) = (lifecycle.as_deref(), states.ec2.as_ref().map(ToString::to_string));
        let ec2 = ec2.as_deref();
        let ends = matches!(target, Some("Terminated" | "Warmed:Terminated"))
            || lifecycle.is_some_and(|word| ENDING.contains(&word))
            || matches!(ec2, Some("shutting-down" | "terminated"));
        let serves = matches!(target, None | Some("InService"))
            && matches!(lifecycle, None | Some("Pending" | "Pending:Wait" | "Pending:Proceed" | "InService"))
            && matches!(ec2, None | Some("pending" | "running"));
        ends || (mode == ShutdownMode::Poweroff && serves)
    }

    #[test]
    fn every_combination_of_states_leaves_or_stays_as_the_table_says() {
        let mut cells = 0;
        for mode in ShutdownMode::ALL {
            for states in all_states() {
                let leaves = matches!(is_permanent(mode, &states), LeaveDecision::Leave(_));
                assert_eq!(leaves, expected(mode, &states), "{mode:?} {states:?}");
                cells += 1;
            }
        }
        assert_eq!(cells, 2 * 13 * 29 * 9);
    }

    #[test]
    fn decisions_give_their_reason() {
        let states = |target: Option<&str>, lifecycle: Option<&str>, ec2: Option<&str>| InstanceStates {
            target: target.map(str::to_owned),
            lifecycle: lifecycle.map(|word| InGroup::As(Lifecycle::parse(word))),
            ec2: ec2.map(Ec2State::parse),
        };
        let rows = [
            (
                states(Some("Terminated"), Some("InService"), Some("running")),
                "yes: it is being terminated (target state",
            ),
            (states(None, Some("Terminating:Wait"), None), "yes: it is being terminated (lifecycle Terminating:Wait)"),
            (
                states(Some("Warmed:Terminated"), Some("Warmed:Terminating:Wait"), Some("running")),
                "yes: it is being terminated (target state Warmed:Terminated)",
            ),
            (states(None, None, Some("shutting-down")), "yes: it is being terminated (EC2 shutting-down)"),
            (states(Some("InService"), Some("InService"), Some("stopping")), "no: EC2 stops it"),
            (states(Some("Standby"), None, Some("running")), "no: it is in Standby"),
            (states(None, Some("Standby"), None), "no: it is in Standby"),
            (states(None, Some("EnteringStandby"), None), "no: it is in Standby"),
            (states(Some("InService"), Some("InService"), Some("running")), "yes: AWS does not say"),
            (InstanceStates::default(), "yes: AWS does not say"),
            (
                states(None, Some("Quarantined"), Some("running")),
                "no: AWS reports a state that this version does not know (lifecycle",
            ),
            (
                InstanceStates { lifecycle: Some(InGroup::No), ..InstanceStates::default() },
                "no: AWS reports a state that this version does not know (in no",
            ),
        ];
        for (states, text) in rows {
            let said = is_permanent(ShutdownMode::Poweroff, &states).to_string();
            assert!(said.starts_with(text), "{states:?}: {said}");
        }
        assert!(
            is_permanent(ShutdownMode::Halt, &InstanceStates::default())
                .to_string()
                .starts_with("no: AWS does not say")
        );
    }

    #[test]
    fn the_answer_whether_the_machine_goes_down_has_a_text() {
        let rows = [
            (GoingDown::Down(ShutdownMode::Poweroff), "yes: systemd starts poweroff.target"),
            (GoingDown::Down(ShutdownMode::Halt), "yes: systemd starts halt.target"),
            (GoingDown::ComesBack("kexec.target"), "no, it comes back: systemd has kexec.target in its queue"),
            (GoingDown::NotDown, "no: systemd starts neither poweroff.target nor halt.target"),
        ];
        for (answer, text) in rows {
            assert_eq!(answer.to_string(), text);
        }
    }

    #[test]
    fn states_are_merged_and_the_first_one_counts() {
        let of =
            |target: Option<&str>, lifecycle, ec2| InstanceStates { target: target.map(str::to_owned), lifecycle, ec2 };
        let first = of(Some("Standby"), None, None);
        let second = of(Some("InService"), Some(InGroup::No), Some(Ec2State::Running));
        assert_eq!(first.merge(second.clone()), of(Some("Standby"), Some(InGroup::No), Some(Ec2State::Running)));
        assert_eq!(second.clone().merge(InstanceStates::default()), second);
    }

    #[test]
    fn a_final_answer_stays_final_whatever_else_is_known() {
        for states in all_states() {
            // Only a machine that is being terminated leaves when it halts.
            assert_eq!(
                states.is_final(),
                matches!(is_permanent(ShutdownMode::Halt, &states), LeaveDecision::Leave(_)),
                "{states:?}"
            );
            let alone = [
                InstanceStates { lifecycle: None, ec2: None, ..states.clone() },
                InstanceStates { target: None, ec2: None, ..states.clone() },
                InstanceStates { target: None, lifecycle: None, ..states.clone() },
            ];
            if alone.iter().any(InstanceStates::is_final) {
                assert!(states.is_final(), "{states:?}");
            }
        }
    }
}
