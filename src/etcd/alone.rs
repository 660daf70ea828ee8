//! What the last voter asks of its own etcd while it saves the cluster.

use super::access::{Access, REQUEST_TIMEOUT, brief};
use super::list::observe;
use crate::model::duration::in_words;
use crate::model::membership::certainty::CLAIM_KEY;
use crate::model::membership::members::Members;
use crate::model::membership::view::ClusterView;
use anyhow::{Context, Result, bail, ensure};
use etcd_client::WatchOptions;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long reading what has changed may take.
const CHANGES_TIMEOUT: Duration = Duration::from_secs(20);
/// The first key that there can be.
const FIRST_KEY: [u8; 1] = [0];

/// The members, in a list that the member which is listed at this address has read through the quorum.
///
/// # Errors
/// There is no such list.
pub async fn members(access: &Access, own: IpAddr) -> Result<Members> {
    match observe(access, &[own]).await {
        ClusterView::Listed(members) => Ok(members),
        ClusterView::NoQuorum(_) => bail!("this machine's etcd reaches no quorum"),
        ClusterView::Unknown { why } => bail!("{why}"),
        ClusterView::NotAsked | ClusterView::External => bail!("this machine's etcd was not asked"),
    }
}

/// The revision of the key space, read through the quorum by the member at this address.
///
/// # Errors
/// No answer in time, or one that makes no sense.
pub async fn revision(access: &Access, address: IpAddr) -> Result<u64> {
    let read = timeout(REQUEST_TIMEOUT, read_revision(access, address)).await;
    let read = read.with_context(|| format!("no answer within {}", in_words(REQUEST_TIMEOUT))).and_then(|read| read);
    read.with_context(|| format!("failed to read the revision of etcd at {address}"))
}

/// The revision now, or `before` where nothing has changed since but that leases have run out: etcd deletes by itself what hung on them,
/// and an API server that was killed leaves such keys behind, its own address and Events among them.
///
/// # Errors
/// As [`revision`], or what has changed cannot be read.
pub async fn revision_but_for_leases(access: &Access, address: IpAddr, before: u64) -> Result<u64> {
    let now = revision(access, address).await?;
    if now <= before {
        return Ok(now);
    }
    let only = timeout(CHANGES_TIMEOUT, only_leases_ran_out(access, address, before + 1, now)).await;
    let only = only.with_context(|| format!("no answer within {}", in_words(CHANGES_TIMEOUT))).and_then(|only| only);
    let only = only.with_context(|| format!("failed to read what has changed in etcd at {address}"))?;
    Ok(if only { before } else { now })
}

/// Whether all changes between these revisions, both included, deleted keys that hung on a lease.
async fn only_leases_ran_out(access: &Access, address: IpAddr, first: u64, last: u64) -> Result<bool> {
    let mut client = access.client(address).await?;
    let from = i64::try_from(first).context("its revision makes no sense")?;
    let options = WatchOptions::new().with_from_key().with_start_revision(from).with_prev_key();
    let mut changes = client.watch(FIRST_KEY, Some(options)).await.map_err(brief)?;
    loop {
        let answer = changes.message().await.map_err(brief)?.context("it ended the answer")?;
        ensure!(!answer.canceled(), "it refuses: {}", answer.cancel_reason());
        for event in answer.events() {
            let now = event.kv().context("a change without a key")?;
            // A key that is deleted has no version.
            if now.version() != 0 || event.prev_kv().is_none_or(|before| before.lease() == 0) {
                return Ok(false);
            }
            if u64::try_from(now.mod_revision()).is_ok_and(|revision| revision >= last) {
                return Ok(true);
            }
        }
    }
}

async fn read_revision(access: &Access, address: IpAddr) -> Result<u64> {
    let mut client = access.client(address).await?;
    let answer = client.get(CLAIM_KEY, None).await.map_err(brief)?;
    let header = answer.header().context("its answer has no header")?;
    ensure!(header.cluster_id() == access.recorded.cluster.0, "it is another cluster's");
    u64::try_from(header.revision()).ok().filter(|revision| *revision > 0).context("its revision makes no sense")
}
