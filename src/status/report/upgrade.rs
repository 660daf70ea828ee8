//! How far an upgrade of Kubernetes has come.

use crate::model::upgrade::{MachineVersions, RestOutcome, StepOutcome, UpgradeProgress};
use crate::model::version::Release;
use serde::Serialize;

/// How far it has come.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Upgrade {
    from: Release,
    to: Release,
    stage: &'static str,
    pub(in crate::status) text: String,
    machines: Vec<Versions>,
    pub(in crate::status) left: Vec<String>,
    rest: Option<Rest>,
}

/// The versions on one machine.
#[derive(Debug, Serialize)]
struct Versions {
    instance: String,
    api_server: Option<Release>,
    kubelet: Option<Release>,
    is_new: bool,
}

/// What came of add-ons and the rest.
#[derive(Debug, Serialize)]
struct Rest {
    done: bool,
    attempts: u32,
    error: Option<String>,
    by: String,
    at: String,
    steps: Vec<Step>,
}

/// What came of one of them.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    left_out: bool,
    text: String,
}

impl Upgrade {
    pub(super) fn new(progress: &UpgradeProgress) -> Self {
        let versions = |machine: &MachineVersions| Versions {
            instance: machine.name.clone(),
            api_server: machine.api_server,
            kubelet: machine.kubelet,
            is_new: progress.is_new(machine),
        };
        Self {
            from: progress.from,
            to: progress.to,
            stage: progress.stage.name(),
            text: progress.to_string(),
            machines: progress.machines.iter().map(versions).collect(),
            left: progress.left.clone(),
            rest: progress.rest.as_ref().map(Rest::new),
        }
    }
}

impl Rest {
    fn new(rest: &RestOutcome) -> Self {
        let step =
            |step: &StepOutcome| Step { name: step.step.name(), left_out: step.left_out, text: step.text.clone() };
        Self {
            done: rest.done,
            attempts: rest.attempts,
            error: rest.error.clone(),
            by: rest.by.to_string(),
            at: rest.at.clone(),
            steps: rest.steps.iter().map(step).collect(),
        }
    }
}
