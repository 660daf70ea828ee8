//! What systemd is told while kubeboot runs. Without systemd (no `NOTIFY_SOCKET`) nothing happens,
//! and a message that cannot be sent is no reason to stop.

use std::time::Duration;

use sd_notify::NotifyState;

/// The line that `systemctl status` shows.
pub fn status(text: &str) {
    send(&NotifyState::Status(text));
}

/// The start is complete.
pub fn ready() {
    send(&NotifyState::Ready);
}

/// Another so much time, from now, for what systemd is waiting for.
pub fn extend_timeout(by: Duration) {
    // The protocol ends at 71 minutes; more than that is as much as can be said.
    let microseconds = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
    send(&NotifyState::ExtendTimeoutUsec(microseconds));
}

fn send(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "failed to notify systemd");
    }
}
