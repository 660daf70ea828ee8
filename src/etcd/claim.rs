//! The claim that made a cluster, kept in its etcd: what tells it from an etcd that lost its data and began anew.

use super::access::{Access, REQUEST_TIMEOUT, brief};
use crate::model::duration::in_words;
use crate::model::machine::ids::{ClaimId, EtcdClusterId};
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
    let written = timeout(REQUEST_TIMEOUT, write(access, address, &[])).await;
    written
        .with_context(|| format!("no answer within {}", in_words(REQUEST_TIMEOUT)))
        .and_then(|written| written)
        .with_context(|| format!("failed to write the claim into etcd at {address}"))
}

/// The same over a claim that was restored with the data, where it is one of these.
///
/// # Errors
/// As [`write_claim`].
pub async fn replace_claim(access: &Access, address: IpAddr, superseded: &[ClaimId]) -> Result<EtcdClusterId> {
    let written = timeout(REQUEST_TIMEOUT, write(access, address, superseded)).await;
    written
        .with_context(|| format!("no answer within {}", in_words(REQUEST_TIMEOUT)))
        .and_then(|written| written)
        .with_context(|| format!("failed to write the claim over the restored one into etcd at {address}"))
}

/// On what condition the claim is written, by the value that is kept and the revision that wrote it: over nothing, or over one of these.
/// `None` over any other.
fn over(kept: Option<(&[u8], i64)>, superseded: &[ClaimId]) -> Option<Compare> {
    match kept {
        None => Some(Compare::version(CLAIM_KEY, CompareOp::Equal, 0)),
        Some((kept, revision)) => {
            let is_superseded = superseded.iter().any(|claim| claim.as_str().as_bytes() == kept);
            is_superseded.then(|| Compare::mod_revision(CLAIM_KEY, CompareOp::Equal, revision))
        }
    }
}

async fn write(access: &Access, address: IpAddr, superseded: &[ClaimId]) -> Result<EtcdClusterId> {
    let claim = access.recorded.claim.as_str();
    let mut client = access.client(address).await?;
    let before = client.get(CLAIM_KEY, None).await.map_err(brief)?;
    if let Some(over) = over(before.kvs().first().map(|entry| (entry.value(), entry.mod_revision())), superseded) {
        // Over what was read, and nothing else; what is kept in the end is read back.
        let txn = Txn::new().when([over]).and_then([TxnOp::put(CLAIM_KEY, claim, None)]);
        client.txn(txn).await.map_err(brief)?;
    }
    let read = client.get(CLAIM_KEY, None).await.map_err(brief)?;
    let kept = read.kvs().first().map(|entry| String::from_utf8_lossy(entry.value()).into_owned());
    match kept {
        Some(kept) => ensure!(kept == claim, "it keeps the claim '{}' of another cluster", kept.escape_debug()),
        None => bail!("it does not keep it"),
    }
    let header = read.header().context("its answer does not say which cluster it is")?;
    Ok(EtcdClusterId(header.cluster_id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_written_over_nothing_or_over_a_superseded_one_as_it_was_read() {
        let claim = |n: u32| ClaimId::parse(format!("00000000-0000-4000-8000-{n:012}")).unwrap();
        // However many attempts there were: one condition.
        let many: Vec<ClaimId> = (0..1000).map(claim).collect();
        let (last, mine) = (claim(999), claim(1000));
        // The client's conditions are compared by their text alone.
        let is =
            |found: Option<Compare>, wanted: Compare| assert_eq!(format!("{found:?}"), format!("{:?}", Some(wanted)));
        for superseded in [&many[..], &[]] {
            is(over(None, superseded), Compare::version(CLAIM_KEY, CompareOp::Equal, 0));
        }
        let found = over(Some((last.as_str().as_bytes(), 7)), &many);
        is(found, Compare::mod_revision(CLAIM_KEY, CompareOp::Equal, 7));
        for kept in [mine.as_str().as_bytes(), b"", b"\xff"] {
            assert!(over(Some((kept, 7)), &many).is_none(), "its own, or another cluster's: {kept:?}");
        }
        assert!(over(Some((last.as_str().as_bytes(), 7)), &[]).is_none(), "a new cluster supersedes nothing");
    }
}
