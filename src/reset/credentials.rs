//! Credentials to leave with: this machine's own, or, for an operator, others made from the bundle where its own are lost.

use super::ResetContext;
use crate::bucket::keys;
use crate::host::short_lived::ShortLived;
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::state::Marker;
use crate::model::machine::ids::ClaimId;
use crate::model::machine::local::Local;
use crate::model::record::cluster::ClusterRecord;
use crate::node::credentials::Credentials;
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// This machine's own, by its own word: AWS may be silent while it goes down. Only `reset --now` has the time to make others, as a
/// machine does that waits to join.
///
/// # Errors
/// There are none; also why none could be made.
pub(super) async fn to_leave_with(reset: &ResetContext, local: &Local) -> Result<Credentials> {
    let recorded = Marker::load(Path::new("/")).ok().flatten().and_then(|marker| marker.recorded_etcd());
    let lost = match Credentials::from_disk(&reset.facts, recorded) {
        Err(lost) if reset.now => lost,
        own => return own,
    };
    tracing::warn!("this machine's own credentials are lost, making others from the PKI bundle: {lost:#}");
    let made = from_bundle(reset, local).await;
    made.with_context(|| format!("{lost:#}; and none could be made from the PKI bundle"))
}

/// Of the cluster that this machine's marker means, and of no other.
async fn from_bundle(reset: &ResetContext, local: &Local) -> Result<Credentials> {
    let store = &reset.session.store;
    let object = store.get(keys::RECORD).await?.context("there is no cluster record")?;
    let record = ClusterRecord::parse(&object.body).context("failed to read the cluster record")?;
    let published = record.published().context("the cluster record names no bundle")?;
    ensure!(
        claim_of(local) == Some(&record.claim_id),
        "the cluster record is that of claim {}, not of this machine's cluster",
        record.claim_id
    );
    let mut facts = reset.facts.clone();
    if facts.cluster.kubernetes_version.is_empty() {
        facts.cluster.kubernetes_version = Kubeadm::read_only().version().await?.to_string();
    }
    // Read into memory; the folder goes at once.
    let folder = ShortLived::new("leaving")?;
    Credentials::from_bundle(&facts, store, &record, published, &folder.path().join("credentials")).await
}

fn claim_of(local: &Local) -> Option<&ClaimId> {
    match local {
        Local::Made { claim_id, .. } | Local::HalfMade { claim_id, .. } => Some(claim_id),
        Local::Fresh | Local::Unexplained { .. } => None,
    }
}
