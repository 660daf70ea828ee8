//! What kubeboot asks systemd, and what it tells it.

pub mod jobs;
pub mod notify;
pub mod scopes;
pub mod unit;

use std::time::Duration;

use super::process::{Command, Failed, Output};

/// How long systemd may take to answer a question or to queue a job.
const DEADLINE: Duration = Duration::from_secs(10);

/// Runs `systemctl`. It reaches systemd by its own socket, also when D-Bus is gone.
async fn systemctl(args: &[&str]) -> Result<Output, Failed> {
    Command::new("systemctl").args(args).env_allow(["PATH"]).deadline(DEADLINE).run().await
}
