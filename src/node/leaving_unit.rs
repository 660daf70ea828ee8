//! The unit that leaves the cluster when the machine goes down for good. It acts when it is stopped, so it has to be up
//! before there is anything to leave.

use super::LEAVING_UNIT;
use crate::host::systemd::unit::{self, Armed};
use crate::kubeadm::state::Marker;
use std::path::Path;

/// Arms the unit, and says so once.
#[derive(Debug, Default)]
pub struct LeavingUnit {
    told: bool,
}

impl LeavingUnit {
    /// Arms it at a boot of a machine that kubeboot has made or begun to make a node: from the disk alone, before anybody
    /// else is asked. That it is not installed is told later, by those who know that it matters.
    pub async fn arm_if_begun() {
        // A marker that cannot be understood is somebody's, too.
        if matches!(Marker::load(Path::new("/")), Ok(None)) {
            return;
        }
        match unit::arm(LEAVING_UNIT).await {
            Ok(Armed::Already | Armed::NotInstalled) => {}
            Ok(Armed::Queued) => tell(),
            Err(error) => tracing::warn!(unit = LEAVING_UNIT, "failed to arm it: {error:#}"),
        }
    }

    /// Arms it, before this machine becomes a member and whenever it finds that it is one.
    pub async fn arm(&mut self) {
        let told = std::mem::replace(&mut self.told, true);
        match unit::arm(LEAVING_UNIT).await {
            Ok(Armed::Already) => {}
            Ok(Armed::NotInstalled) | Err(_) if told => {}
            Ok(Armed::Queued) => tell(),
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

fn tell() {
    tracing::info!(unit = LEAVING_UNIT, "armed the unit that leaves the cluster at shutdown");
}
