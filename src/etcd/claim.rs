//! The claim that made a cluster, kept in its etcd: what tells it from an etcd that lost its data and began anew.

use super::access::{Access, REQUEST_TIMEOUT, brief};
use crate::model::duration::in_words;
use crate::model::machine::ids::EtcdClusterId;
use crate::model::membership::certainty::CLAIM_KEY;
use anyhow::{Context, Result, bail, ensure};
use etcd_client::{Compare, CompareOp, Txn, TxnOp};
use std::net::IpAddr;
use tokio::time::timeout;

/// Writes the claim where none is kept, through the member at this address, and reads it back linearizably. Says which cluster
/// answered.
///
/// # Errors
/// No answer in time, or another claim is kept there.
pub async fn write_claim(access: &Access, address: IpAddr) -> Result<EtcdClusterId> {
    let written = timeout(REQUEST_TIMEOUT, write(access, address)).await;
    written
        .with_context(|| format!("no answer within {}", in_words(REQUEST_TIMEOUT)))
        .and_then(|written| written)
        .with_context(|| format!("failed to write the claim into etcd at {address}"))
}

async fn write(access: &Access, address: IpAddr) -> Result<EtcdClusterId> {
    let claim = access.recorded.claim.as_str();
    let mut client = access.client(address).await?;
    let absent = [Compare::version(CLAIM_KEY, CompareOp::Equal, 0)];
    let txn = Txn::new().when(absent).and_then([TxnOp::put(CLAIM_KEY, claim, None)]);
    client.txn(txn).await.map_err(brief)?;
    let read = client.get(CLAIM_KEY, None).await.map_err(brief)?;
    let kept = read.kvs().first().map(|entry| String::from_utf8_lossy(entry.value()).into_owned());
    match kept {
        Some(kept) => ensure!(kept == claim, "it keeps the claim '{}' of another cluster", kept.escape_debug()),
        None => bail!("it does not keep it"),
    }
    let header = read.header().context("its answer does not say which cluster it is")?;
    Ok(EtcdClusterId(header.cluster_id()))
}
