//! Signals that ask this process to stop.

use std::io;

use anyhow::{Context, Error, Result, anyhow};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;

/// Waits until a signal asks this process to stop, and returns its name.
///
/// A caller that waits for it beside the work can drop the work, and with it the processes that it
/// has started. The signal alone would leave those running.
///
/// # Errors
/// When it cannot be listened for.
pub async fn asked_to_stop() -> Result<&'static str> {
    first_signal().await.context("failed to listen for signals")
}

/// The error to end with where a signal has ended work that is not done.
#[must_use]
pub fn stopped_by(signal: &str) -> Error {
    anyhow!("stopped by {signal}").context(Exit::TryAgain)
}

async fn first_signal() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // For an operator over SSH: the connection is lost.
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = hangup.recv() => "SIGHUP",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};

    #[tokio::test]
    async fn a_signal_ends_with_an_error_that_names_it() -> Result<()> {
        let mut stopped = std::pin::pin!(asked_to_stop());
        // Listening begins with the first poll; without it the signal would end the test itself.
        assert!(futures::poll!(&mut stopped).is_pending());
        kill_process(getpid(), Signal::HUP)?;
        let error = stopped_by(tokio::time::timeout(std::time::Duration::from_secs(20), stopped).await??);
        assert_eq!(Exit::of(&error), Exit::TryAgain);
        assert_eq!(error.root_cause().to_string(), "stopped by SIGHUP");
        Ok(())
    }
}
