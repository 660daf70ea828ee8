//! `kubeboot status`: the truth, read now.
//!
//! Every source is asked at its own address, has five seconds, and fails alone. What they said goes into the pure
//! [`judge`], and with its verdict into one report, which is shown to people or programs. Nothing is written
//! anywhere and no lock is taken. What all of it means is in `docs/status.md`.

mod aws;
mod certificates;
mod changes;
mod cluster;
mod endpoint;
mod origin;
mod report;
mod sources;
mod text;
mod watch;
mod within;
mod worker;

pub use watch::{INTERVAL, LONGEST, SHORTEST, watch};

use crate::exit::Health;
use crate::layout::print;
use crate::model::status::{StatusInput, StatusOutcome, judge};
use crate::node::worker_look::WorkerLooker;
use crate::settings::{Role, Settings};
use anyhow::{Context, Result};
use report::StatusReport;
use serde_json::Value;
use sources::Sources;
use std::time::SystemTime;

/// Runs the command.
///
/// # Errors
/// Settings with which nothing can be asked, or a standard output that takes nothing.
pub async fn run(settings: Settings, json: bool) -> Result<Health> {
    if settings.role == Role::Worker {
        let (report, health) = worker::look(&settings, &mut None).await?;
        print(&report, || worker::page(&report), json)?;
        return Ok(health);
    }
    let (report, health) = look(&settings, &mut Sources::new(&settings)).await?;
    print(&report, || text::page(&report), json)?;
    Ok(health)
}

/// Asks all sources, for another command.
///
/// # Errors
/// Settings with which nothing can be asked.
pub async fn gather(settings: &Settings) -> Result<StatusInput> {
    Sources::new(settings).gather().await
}

/// The reports that `--json` prints, one after the other, for who serves them.
pub struct Reports<'a> {
    settings: &'a Settings,
    sources: Sources<'a>,
    /// Of a worker, which asks others than a control-plane machine does.
    worker: Option<WorkerLooker>,
}

impl<'a> Reports<'a> {
    /// Nothing was asked yet.
    #[must_use]
    pub fn new(settings: &'a Settings) -> Self {
        Self { settings, sources: Sources::new(settings), worker: None }
    }

    /// Asks all sources. What does not change is not asked for again.
    ///
    /// # Errors
    /// Settings with which nothing can be asked.
    pub async fn report(&mut self) -> Result<Value> {
        if self.settings.role == Role::Worker {
            let (report, _) = worker::look(self.settings, &mut self.worker).await?;
            return serde_json::to_value(&report).context("failed to write the report as JSON");
        }
        let (report, _) = look(self.settings, &mut self.sources).await?;
        serde_json::to_value(&report).context("failed to write the report as JSON")
    }
}

/// Asks all sources, and judges what they say.
async fn look(settings: &Settings, sources: &mut Sources<'_>) -> Result<(StatusReport, Health)> {
    let at = SystemTime::now();
    let input = sources.gather().await?;
    let verdict = judge(&input);
    let health = health(&verdict.outcome);
    let place = format!("s3://{}/{}/", settings.bucket, settings.prefix);
    Ok((StatusReport::new(place, &input, &verdict, health, at), health))
}

/// The exit code of a verdict. Of two clusters none can be relied upon, as little as one without quorum.
fn health(outcome: &StatusOutcome) -> Health {
    match outcome {
        StatusOutcome::Healthy => Health::Healthy,
        StatusOutcome::Degraded | StatusOutcome::NoCluster(_) => Health::Degraded,
        StatusOutcome::QuorumLost(_) | StatusOutcome::Split { .. } => Health::QuorumLost,
        StatusOutcome::CannotTell { .. } => Health::CannotTell,
    }
}
