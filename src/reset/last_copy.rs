//! What a voter that nothing keeps has in its etcd, saved as it is: nobody confirms that it is all, or that others have nothing else.

use super::ResetContext;
use crate::host::systemd::notify;
use crate::model::leave::Part;
use crate::model::snapshot::{Manifest, SnapshotKind};
use crate::node::settling;
use crate::snapshot::{Reporter, save_own};
use anyhow::{Context, Result, anyhow};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use tokio::time::timeout;

/// This machine goes down for good; `why` says why nothing keeps what it has. While systemd shuts down nothing can be isolated: uploads
/// what it has, for as long as the budget allows and `has_left` is not set. A failure is said, and keeps nothing from going down.
pub(super) async fn upload(reset: &ResetContext, why: &str, has_left: &AtomicBool) {
    notify::status(&format!("this machine goes down: saving its etcd, unconfirmed: {why}"));
    let mut go_on = |_| if has_left.load(Relaxed) { Err(anyhow!("the machine has left")) } else { Ok(()) };
    let uploaded = timeout(reset.clock.left(Part::RegisterLeft), save(reset, "kubeboot reset", &mut go_on)).await;
    match uploaded.context("the time is over").and_then(|uploaded| uploaded) {
        Ok(manifest) => tracing::warn!(
            snapshot = manifest.key,
            "saved this machine's etcd, unconfirmed: if its disk is lost, 'kubeboot restore --snapshot' takes it"
        ),
        Err(error) if has_left.load(Relaxed) => {
            tracing::info!("this machine has left the others, who have its data: it was not saved ({error:#})");
        }
        Err(error) => tracing::error!("this machine's etcd was not saved before it goes down: {error:#}"),
    }
}

/// Uploads this machine's database, without asking the others, while `progress` lets it.
///
/// # Errors
/// The record is of no cluster, or what stands in the way.
pub(crate) async fn save(reset: &ResetContext, command: &str, progress: &mut Reporter<'_>) -> Result<Manifest> {
    let (record, _) = settling::read(&reset.session.store).await?;
    save_own(&reset.facts, &reset.session, &record, SnapshotKind::Unconfirmed, command, progress).await
}
