//! Notifications to systemd while kubeboot runs. Without systemd (no `NOTIFY_SOCKET`) nothing happens,
//! and a failed notification is no error.

use crate::model::text::one_line;
use sd_notify::NotifyState;

/// Sets the line that `systemctl status` shows.
pub fn status(text: &str) {
    // A line break would begin another message to systemd.
    send(&NotifyState::Status(&one_line(text)));
}

/// Notifies systemd that the start is complete.
pub fn ready() {
    send(&NotifyState::Ready);
}

/// Notifies systemd that this process is alive, for a unit with `WatchdogSec=`.
pub fn alive() {
    send(&NotifyState::Watchdog);
}

fn send(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "failed to notify systemd");
    }
}
