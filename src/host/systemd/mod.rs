//! Queries of systemd, and notifications to it.

pub mod jobs;
pub mod notify;
pub mod scopes;
pub mod unit;

use std::time::Duration;

use super::process::{Command, Output, ProcessFailed};

/// How long systemd may take to answer a question or to queue a job.
const SYSTEMCTL_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs `systemctl`. It uses systemd's own socket, so it works also when D-Bus has stopped.
async fn systemctl(args: &[&str]) -> Result<Output, ProcessFailed> {
    Command::new("systemctl").args(args).env_allow(["PATH"]).deadline(SYSTEMCTL_TIMEOUT).run().await
}
