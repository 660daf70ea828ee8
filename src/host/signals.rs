//! Being asked to stop.

use std::io;

use anyhow::{Error, anyhow};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;

/// Waits until somebody asks this process to stop; what comes back is the error to end with.
///
/// Whoever waits for it beside the work can drop the work, and with it the processes that it has
/// started. The signal alone would leave those behind.
pub async fn asked_to_stop() -> Error {
    match first_signal().await {
        Ok(name) => anyhow!("stopped by {name}").context(Exit::TryAgain),
        Err(error) => Error::new(error).context("failed to listen for signals"),
    }
}

async fn first_signal() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // By hand over SSH: the connection is lost.
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = hangup.recv() => "SIGHUP",
    })
}
