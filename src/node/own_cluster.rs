//! The cluster that this machine is a member of, by the record and by its own disk.

use super::Facts;
use crate::aws::store::Store;
use crate::bucket;
use crate::kubeadm::state;
use crate::model::machine::local::Local;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use anyhow::{Result, bail, ensure};
use std::path::Path;

/// The record of the cluster that this machine is a member of.
///
/// # Errors
/// There is no such cluster, or this machine is none of its members.
pub async fn own_record(facts: &Facts, store: &Store) -> Result<ClusterRecord> {
    let Some((record, _)) = bucket::record::read(store).await? else {
        bail!("there is no cluster record; 'kubeboot status' names the way out")
    };
    ensure!(matches!(record.state, RecordState::Ready(_)), "the cluster record is not of a cluster that is ready");
    let local = state::observe(Path::new("/"), facts.documents.data_dir())?;
    let is_member = matches!(&local, Local::Made { instance, claim_id, .. }
        if *instance == facts.machine.instance && *claim_id == record.claim_id);
    ensure!(is_member, "this machine is no member of the record's cluster");
    let elsewhere = facts.machine.account != record.identity.account || facts.machine.region != record.identity.region;
    ensure!(!elsewhere, "the cluster record is of another account or Region");
    Ok(record)
}
