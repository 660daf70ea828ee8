//! What kubeboot asks systemd, and what it tells it.

pub mod jobs;
pub mod notify;
pub mod scopes;
pub mod unit;

use std::time::Duration;

use super::process::{Command, Output, ProcessFailed};

/// How long systemd may take to answer a question or to queue a job.
const SYSTEMCTL_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs `systemctl`. It reaches systemd by its own socket, also when D-Bus is gone.
async fn systemctl(args: &[&str]) -> Result<Output, ProcessFailed> {
    Command::new("systemctl").args(args).env_allow(["PATH"]).deadline(SYSTEMCTL_TIMEOUT).run().await
}
