//! Queries of systemd, and notifications to it.

pub mod drop_ins;
pub mod jobs;
pub mod mounts;
pub mod notify;
pub mod unit;

use std::time::Duration;

use anyhow::{Context, Result};

use super::process::{Command, Output, ProcessFailed};

/// How long systemd may take to answer a question or to queue a job.
const SYSTEMCTL_TIMEOUT: Duration = Duration::from_secs(10);

/// Has systemd read its files anew.
///
/// # Errors
///
/// If systemd does not answer in time.
pub async fn reload() -> Result<()> {
    systemctl(&["daemon-reload"]).await.map(drop).context("failed to have systemd read its files anew")
}

/// Runs `systemctl`. It uses systemd's own socket, so it works also when D-Bus has stopped.
async fn systemctl(args: &[&str]) -> Result<Output, ProcessFailed> {
    Command::new("systemctl").args(args).env_allow(["PATH"]).deadline(SYSTEMCTL_TIMEOUT).run().await
}
