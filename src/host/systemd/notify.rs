//! What systemd is told while kubeboot runs. Without systemd (no `NOTIFY_SOCKET`) nothing happens,
//! and a message that cannot be sent is no reason to stop.

use sd_notify::NotifyState;

/// The line that `systemctl status` shows.
pub fn status(text: &str) {
    send(&NotifyState::Status(text));
}

/// The start is complete.
pub fn ready() {
    send(&NotifyState::Ready);
}

fn send(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "failed to notify systemd");
    }
}
