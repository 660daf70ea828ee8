//! `kubeboot reset --now` on a machine whose data is of a claim that the record supersedes: nothing is left there, since its cluster lives on
//! from a snapshot. It is wiped, while the restored cluster says for certain that it does without it.

use super::act::claim_of;
use super::{ResetContext, confirm, keep_up_out};
use crate::etcd;
use crate::exit::{Exit, Leaving};
use crate::host::lock::Lock;
use crate::host::short_lived::ShortLived;
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::wipe::{self, MemberData};
use crate::kubeadm::withheld::{self, Why};
use crate::model::leave::LeaveStep;
use crate::model::leave::wiping::KeepData;
use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::machine::local::Local;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::ClusterRecord;
use crate::node::credentials::Credentials;
use crate::node::{departure, isolation, peers, settling};
use anyhow::{Context, Result, anyhow, bail};
use std::path::Path;

/// The claim of this machine's data, where the record supersedes it. A record that cannot be read supersedes nothing.
pub(super) async fn claim(reset: &ResetContext, local: &Local) -> Option<ClaimId> {
    let claim = claim_of(local)?;
    let (record, _) = settling::read(&reset.session.store).await.ok()?;
    record.supersedes(claim).then(|| claim.clone())
}

/// Why a machine that goes down has no cluster to leave, by its own mark: etcd ends here for good, so nobody would answer.
pub(super) fn nothing_to_leave(instance: &InstanceId) -> Option<&'static str> {
    // One that cannot be read says nothing: then etcd is asked.
    match withheld::load(Path::new("/"), instance).ok().flatten()?.why {
        Why::Saved => Some("this machine has saved its cluster in a snapshot, from which the next machines restore it"),
        Why::Superseded => {
            Some("the cluster of this machine's data was saved or restored by another machine, and goes on without it")
        }
        Why::Saving | Why::Writing => None,
    }
}

/// Wipes the machine, once an operator has confirmed.
///
/// # Errors
/// With [`Exit::Operator`] while the data may be needed; with [`Exit::Kubeadm`] when the wipe failed, and may be tried again.
pub(super) async fn wipe(reset: &ResetContext, claim: &ClaimId, yes: bool) -> Result<Leaving> {
    must_be_done_without(reset, claim).await.context(Exit::Operator)?;
    if !yes {
        confirm::ask(&reset.facts.machine.instance, &[LeaveStep::Wipe]).await?;
    }
    let lock: Lock = reset.lock().await?;
    keep_up_out().await;
    must_be_done_without(reset, claim).await.context(Exit::Operator)?;
    isolation::end_both(&reset.facts, claim).await.context(Exit::Operator)?;
    let documents = &reset.facts.documents;
    tracing::warn!("wiping what is left of a cluster that was restored without this machine");
    let wiped =
        wipe::wipe(&Kubeadm::new(&lock), documents.data_dir(), documents.cri_socket(), MemberData::Removed).await;
    wiped.context(Exit::Kubeadm)?;
    departure::remove(Path::new("/")).context(Exit::Operator)?;
    tracing::info!("this machine is fresh: 'kubeboot up' makes it join the restored cluster");
    Ok(Leaving::Left)
}

/// That the record's cluster is ready, still supersedes this claim, and lists no member at this machine.
async fn must_be_done_without(reset: &ResetContext, claim: &ClaimId) -> Result<()> {
    let (record, _) = settling::read(&reset.session.store).await?;
    if !record.supersedes(claim) {
        bail!("the cluster record has changed: run this again");
    }
    match listed(reset, &record).await? {
        ClusterView::Listed(members) if members.at(&reset.facts.machine.addresses).is_none() => Ok(()),
        ClusterView::Listed(_) => Err(anyhow!("the restored cluster lists a member at this machine's address")),
        ClusterView::NoQuorum(_) => {
            Err(anyhow!("the restored cluster has lost its quorum, and this data may be needed"))
        }
        ClusterView::Unknown { why } => {
            Err(anyhow!("the restored cluster does not answer, and this data may be needed: {why}"))
        }
        ClusterView::NotAsked | ClusterView::External => Err(anyhow!("the restored cluster was not asked")),
    }
}

/// The members of the record's cluster, by credentials from its bundle, which go at once.
async fn listed(reset: &ResetContext, record: &ClusterRecord) -> Result<ClusterView> {
    let Some(published) = record.published() else { bail!("{}", KeepData::Saved) };
    let (facts, store) = (&reset.facts, &reset.session.store);
    let folder = ShortLived::new("superseded")?;
    let made = Credentials::from_bundle(facts, store, record, published, &folder.path().join("credentials")).await?;
    let access = made.etcd.as_ref().context("there are no credentials for etcd")?;
    let view = reset.watch().look(&[], None).await?;
    Ok(etcd::observe(access, &peers::seen(&view, &facts.machine.instance)).await)
}
