//! Giving up an init that was never published, on a machine that is being terminated.

use crate::aws::store::Written;
use crate::bucket::keys;
use crate::kubeadm::quiesce;
use crate::model::record::claim;
use crate::model::record::cluster::ClusterRecord;
use crate::model::record::conditional_write::Condition;
use crate::reset::ResetContext;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// How long one attempt to write the record is tried.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Stops kubelet and what it has started, so that no unpublished cluster stays behind the endpoint, and gives the claim back, if the
/// record still names this machine.
///
/// # Errors
/// Something still runs, or it is not known whether the claim was given back.
pub(super) async fn step_down(reset: &ResetContext) -> Result<()> {
    quiesce::stop_serving(reset.facts.documents.cri_socket()).await?;
    let store = &reset.session.store;
    let Some(object) = store.get(keys::RECORD).await? else { return Ok(()) };
    let record = ClusterRecord::parse(&object.body).context("failed to read the cluster record")?;
    if record.holder().is_none_or(|holder| holder.instance != reset.facts.machine.instance) {
        return Ok(());
    }
    let Some(next) = claim::yielded(&record) else { return Ok(()) };
    // Only over what was read: a flip that was sent before has changed it.
    let condition = Condition::Unchanged(object.etag);
    match store.write(keys::RECORD, &next.to_bytes(), &condition, WRITE_TIMEOUT).await? {
        Written::Ours(_) => {
            tracing::warn!(claim = %record.claim_id, "gave the claim back: another machine makes the cluster");
            Ok(())
        }
        Written::Others(_) | Written::Gone | Written::Unknown => {
            bail!("the cluster record changes, or S3 does not answer")
        }
    }
}
