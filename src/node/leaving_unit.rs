//! The unit that leaves the cluster when the machine goes down for good. It acts when it is stopped, so it has to be up
//! before there is anything to leave.

use super::LEAVING_UNIT;
use crate::host::systemd::unit::{self, Armed};
use crate::kubeadm::state::Marker;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Arms the unit, and says so once.
#[derive(Debug, Default)]
pub struct LeavingUnit {
    warned: bool,
    /// When this process has last seen it armed, or had it started.
    armed: Option<Instant>,
}

/// How long that is believed.
const BELIEVED: Duration = Duration::from_secs(15);

impl LeavingUnit {
    /// Arms it at a boot of a machine that kubeboot has made or begun to make a node: from the disk alone, before AWS
    /// is asked. A unit that is not installed is no warning yet: [`Self::arm`] gives it where it matters.
    pub async fn arm_if_begun() {
        // A marker that cannot be read says that kubeboot has begun here, too.
        if matches!(Marker::load(Path::new("/")), Ok(None)) {
            return;
        }
        match unit::arm(LEAVING_UNIT).await {
            Ok(Armed::Already | Armed::NotInstalled) => {}
            Ok(Armed::Queued) => log_armed(),
            Err(error) => tracing::warn!(unit = LEAVING_UNIT, "failed to arm it: {error:#}"),
        }
    }

    /// Arms it, before this machine becomes a member and whenever it finds that it is one.
    pub async fn arm(&mut self) {
        if self.is_armed() {
            return;
        }
        let warned = std::mem::replace(&mut self.warned, true);
        let armed = unit::arm(LEAVING_UNIT).await;
        self.armed = matches!(armed, Ok(Armed::Already | Armed::Queued)).then(Instant::now);
        match armed {
            Ok(Armed::Already) => {}
            Ok(Armed::NotInstalled) | Err(_) if warned => {}
            Ok(Armed::Queued) => log_armed(),
            Ok(Armed::NotInstalled) => {
                tracing::warn!(
                    unit = LEAVING_UNIT,
                    "not installed: this machine's member stays behind when the machine goes"
                );
            }
            Err(error) => tracing::warn!(unit = LEAVING_UNIT, "failed to arm it: {error:#}"),
        }
    }

    fn is_armed(&self) -> bool {
        self.armed.is_some_and(|at| at.elapsed() < BELIEVED)
    }
}

fn log_armed() {
    tracing::info!(unit = LEAVING_UNIT, "armed the unit that leaves the cluster at shutdown");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_asked_again_soon() {
        let seen = |before| LeavingUnit { armed: Instant::now().checked_sub(before), ..LeavingUnit::default() };
        assert!(!LeavingUnit::default().is_armed(), "nobody has asked");
        assert!(seen(Duration::ZERO).is_armed());
        assert!(!seen(BELIEVED).is_armed());
    }
}
