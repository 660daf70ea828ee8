//! What kubeboot asks systemd, and what it tells it.

pub mod drop_ins;
pub mod jobs;
pub mod notify;
pub mod unit;

use std::time::Duration;

use anyhow::{Context, Result};

use super::process::{Command, Output, ProcessFailed};

/// How long systemd may take to answer a question or to queue a job.
const DEADLINE: Duration = Duration::from_secs(10);

/// Has systemd read its files anew.
///
/// # Errors
///
/// If systemd does not answer in time.
pub async fn reload() -> Result<()> {
    systemctl(&["daemon-reload"]).await.map(drop).context("failed to have systemd read its files anew")
}

/// Runs `systemctl`. It reaches systemd by its own socket, also when D-Bus is gone.
async fn systemctl(args: &[&str]) -> Result<Output, ProcessFailed> {
    Command::new("systemctl").args(args).env_allow(["PATH"]).deadline(DEADLINE).run().await
}
