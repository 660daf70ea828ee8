//! Signals that ask this process to stop.

use std::io;

use anyhow::{Error, anyhow};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;

/// Waits until a signal asks this process to stop, and returns the error to end with.
///
/// A caller that waits for it beside the work can drop the work, and with it the processes that it
/// has started. The signal alone would leave those running.
pub async fn asked_to_stop() -> Error {
    match first_signal().await {
        Ok(name) => anyhow!("stopped by {name}").context(Exit::TryAgain),
        Err(error) => Error::new(error).context("failed to listen for signals"),
    }
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
    async fn a_signal_ends_with_an_error_that_names_it() -> anyhow::Result<()> {
        let mut stopped = std::pin::pin!(asked_to_stop());
        // Listening begins with the first poll; without it the signal would end the test itself.
        assert!(futures::poll!(&mut stopped).is_pending());
        kill_process(getpid(), Signal::HUP)?;
        let error = tokio::time::timeout(std::time::Duration::from_secs(20), stopped).await?;
        assert_eq!(Exit::of(&error), Exit::TryAgain);
        assert_eq!(error.root_cause().to_string(), "stopped by SIGHUP");
        Ok(())
    }
}
