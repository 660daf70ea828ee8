//! Wipes a machine that an operator made leave, after the cluster was seen not to list it any more.

use super::ResetContext;
use crate::bucket::keys;
use crate::exit::Exit;
use crate::host::lock::Lock;
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::wipe::{self, MemberData};
use crate::model::leave::may_wipe;
use crate::model::machine::local::Local;
use crate::model::record::cluster::ClusterRecord;
use crate::node::departure;
use anyhow::{Context, Result, anyhow};
use std::path::Path;

/// Reads the record once more, and wipes. The budget no longer counts: the cluster has been left, and nothing waits for
/// this.
///
/// # Errors
/// With [`Exit::Operator`] when the record does not say that this machine's cluster is the one that was left; with
/// [`Exit::Kubeadm`] when the wipe failed, and may be tried again.
pub(super) async fn wipe(reset: &ResetContext, lock: &Lock, local: &Local) -> Result<()> {
    let left = "this machine has left the cluster, but was not wiped";
    let object = reset.session.store.get(keys::RECORD).await.map_err(|error| {
        anyhow!(error)
            .context(format!("{left}: the record must be read before that; try again"))
            .context(Exit::TryAgain)
    })?;
    let record =
        object.map(|object| ClusterRecord::parse(&object.body)).transpose().context(left).context(Exit::Operator)?;
    if let Err(why) = may_wipe(record.as_ref(), local) {
        return Err(anyhow!("{left}: {why}").context(Exit::Operator));
    }
    let documents = &reset.facts.documents;
    tracing::warn!("wiping what kubeadm left on this machine");
    wipe::wipe(&Kubeadm::new(lock), documents.data_dir(), documents.cri_socket(), MemberData::Removed)
        .await
        .context(Exit::Kubeadm)?;
    departure::remove(Path::new("/")).context(left).context(Exit::Operator)?;
    tracing::info!("this machine is fresh: 'kubeboot up' makes it join again");
    Ok(())
}
