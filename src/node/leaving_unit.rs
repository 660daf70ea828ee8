//! The unit that leaves the cluster when the machine goes down for good. It acts when it is stopped, so it has to be up
//! before there is anything to leave.

use super::LEAVING_UNIT;
use crate::host::systemd::unit::{self, Armed};
use crate::kubeadm::state::Marker;
use std::path::Path;

/// Arms the unit, and says so once.
#[derive(Debug, Default)]
pub struct LeavingUnit {
    warned: bool,
}

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
        let warned = std::mem::replace(&mut self.warned, true);
        match unit::arm(LEAVING_UNIT).await {
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
}

fn log_armed() {
    tracing::info!(unit = LEAVING_UNIT, "armed the unit that leaves the cluster at shutdown");
}
