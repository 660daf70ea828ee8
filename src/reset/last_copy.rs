//! What a voter that nothing keeps has in its etcd, saved as it is: nobody confirms that it is all, or that others have nothing else.

use super::ResetContext;
use crate::host::systemd::notify;
use crate::model::leave::Part;
use crate::model::snapshot::{Manifest, SnapshotKind};
use crate::node::settling;
use crate::snapshot::save_own;
use anyhow::{Context, Result};
use tokio::time::timeout;

/// This machine goes down for good, as the last voter or without a quorum, which is `why` it is said to be saved. While systemd shuts down
/// nothing can be isolated: uploads what it has, for as long as the budget allows. A failure is said, and keeps nothing from going down.
pub(super) async fn upload(reset: &ResetContext, why: &str) {
    notify::status(&format!("this machine goes down: saving its etcd, unconfirmed, for {why}"));
    let uploaded = timeout(reset.clock.left(Part::RegisterLeft), save(reset, "kubeboot reset")).await;
    match uploaded.context("the time is over").and_then(|uploaded| uploaded) {
        Ok(manifest) => tracing::warn!(
            snapshot = manifest.key,
            "saved this machine's etcd, unconfirmed: if its disk is lost, 'kubeboot restore --snapshot' takes it"
        ),
        Err(error) => tracing::error!("this machine's etcd was not saved before it goes down: {error:#}"),
    }
}

/// Uploads this machine's database, without asking the others.
///
/// # Errors
/// The record is of no cluster, or what stands in the way.
pub(crate) async fn save(reset: &ResetContext, command: &str) -> Result<Manifest> {
    let (record, _) = settling::read(&reset.session.store).await?;
    save_own(&reset.facts, &reset.session, &record, SnapshotKind::Unconfirmed, command, &mut |_| Ok(())).await
}
