//! The stream of a snapshot from one member.
//!
//! etcd sends its database as it is at one moment, and then its SHA-256 in the last 32 bytes, as `etcdctl snapshot save` writes it into a
//! file. Source: etcd, `server/etcdserver/api/v3rpc/maintenance.go`.

use super::access::{Access, REQUEST_TIMEOUT, brief};
use crate::model::duration::in_words;
use crate::model::machine::ids::EtcdClusterId;
use crate::model::membership::certainty::CLAIM_KEY;
use anyhow::{Context, Result, bail, ensure};
use etcd_client::{Client, GetOptions, SnapshotStreaming};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long the next piece may take: a busy disk has its moments.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How the revision is learnt before the stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBefore {
    /// Through the quorum: the snapshot has all that was acknowledged before.
    Linearizable,
    /// From this member alone, which may have missed something, or know what nobody else has confirmed.
    OfItself,
}

/// A snapshot that begins to come.
pub struct SnapshotStream {
    stream: SnapshotStreaming,
    address: IpAddr,
    /// The revision that it has at least.
    pub revision: u64,
    /// The member's version.
    pub version: String,
    /// How many bytes are still to come, once the first ones have.
    pub left: Option<u64>,
}

/// Asks the member at this address for a snapshot.
///
/// # Errors
/// No answer, no quorum where one is asked for, or another cluster's answer.
pub async fn snapshot(access: &Access, address: IpAddr, read: ReadBefore) -> Result<SnapshotStream> {
    let mut client = access.client(address).await?;
    let revision = timeout(REQUEST_TIMEOUT, revision(access, &mut client, read)).await;
    let revision = revision
        .with_context(|| format!("no answer within {}", in_words(REQUEST_TIMEOUT)))
        .and_then(|revision| revision)
        .with_context(|| match read {
            ReadBefore::Linearizable => format!("etcd at {address} did not read through a quorum"),
            ReadBefore::OfItself => format!("etcd at {address} did not read"),
        })?;
    let version = super::status(access, address).await?.version;
    let stream = timeout(STALL_TIMEOUT, client.snapshot()).await;
    let stream = stream.context("no answer in time").and_then(|stream| stream.map_err(brief));
    let stream = stream.with_context(|| format!("etcd at {address} gave no snapshot"))?;
    Ok(SnapshotStream { stream, address, revision, version, left: None })
}

/// The revision after a read of the claim, which must be the record's: an emptied etcd has none.
async fn revision(access: &Access, client: &mut Client, read: ReadBefore) -> Result<u64> {
    let options = match read {
        ReadBefore::Linearizable => GetOptions::new(),
        ReadBefore::OfItself => GetOptions::new().with_serializable(),
    };
    let found = client.get(CLAIM_KEY, Some(options)).await.map_err(brief)?;
    let header = found.header().context("its answer does not say which cluster it is")?;
    let cluster = EtcdClusterId(header.cluster_id());
    ensure!(cluster == access.recorded.cluster, "it is etcd of another cluster, {cluster}");
    match found.kvs().first().map(|entry| String::from_utf8_lossy(entry.value()).into_owned()) {
        Some(claim) => {
            let kept = claim.escape_debug();
            ensure!(claim == access.recorded.claim.as_str(), "it keeps the claim '{kept}' of another cluster");
        }
        None => bail!("it keeps no claim, so nobody can tell whose data it has"),
    }
    u64::try_from(header.revision()).ok().filter(|revision| *revision > 0).context("it does not say its revision")
}

impl SnapshotStream {
    /// The next bytes; `None` when all have come.
    ///
    /// # Errors
    /// The stream broke, or nothing came.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let address = self.address;
        let message = timeout(STALL_TIMEOUT, self.stream.message()).await;
        let message = message
            .with_context(|| format!("nothing came from etcd at {address} for {}", in_words(STALL_TIMEOUT)))?
            .map_err(brief)
            .with_context(|| format!("the snapshot from etcd at {address} was cut short"))?;
        Ok(message.map(|message| {
            self.left = Some(message.remaining_bytes());
            message.blob().to_vec()
        }))
    }
}
