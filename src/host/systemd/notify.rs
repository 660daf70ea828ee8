//! Notifications to systemd while kubeboot runs. Without systemd (no `NOTIFY_SOCKET`) nothing happens,
//! and a failed notification is no error.

use crate::host::boottime;
use crate::model::text::one_line;
use sd_notify::NotifyState;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When this process last said that it is alive, in milliseconds since the boot.
static ALIVE: AtomicU64 = AtomicU64::new(0);

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
    ALIVE.store(u64::try_from(boottime::now().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    send(&NotifyState::Watchdog);
}

/// When this process last said that it is alive, since the boot: what the watchdog goes by.
#[must_use]
pub fn last_alive() -> Duration {
    Duration::from_millis(ALIVE.load(Ordering::Relaxed))
}

fn send(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "failed to notify systemd");
    }
}
