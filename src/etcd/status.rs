//! The status of one member.

use super::access::{Access, brief};
use crate::model::machine::ids::MemberId;
use anyhow::{Context, Result};
use std::net::IpAddr;

/// A member's own status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The address at which it was asked.
    pub at: IpAddr,
    /// Its ID.
    pub id: MemberId,
    /// The member that leads, as far as this one knows.
    pub leader: Option<MemberId>,
    /// Its version, without a `v`.
    pub version: String,
    /// Bytes of its database file.
    pub size: u64,
    /// Those that are in use.
    pub in_use: u64,
    /// The quota of the database in bytes; 0 from an etcd before 3.6, which does not tell it.
    pub quota: i64,
    /// Its errors: alarms such as a full database, or that there is no leader.
    pub errors: Vec<String>,
}

/// Asks the member at this address, whatever its ID.
///
/// # Errors
/// No answer.
pub async fn status(access: &Access, address: IpAddr) -> Result<Status> {
    let mut client = access.client(address).await?;
    let answer = client.status().await.map_err(brief);
    let answer = answer.with_context(|| format!("etcd at {address} did not give its status"))?;
    let id = answer.header().with_context(|| format!("etcd at {address} did not give its member ID"))?.member_id();
    Ok(Status {
        at: address,
        id: MemberId(id),
        // 0 stands for nobody.
        leader: Some(answer.leader()).filter(|leader| *leader != 0).map(MemberId),
        version: answer.version().to_owned(),
        size: u64::try_from(answer.db_size()).unwrap_or_default(),
        in_use: u64::try_from(answer.raft_used_db_size()).unwrap_or_default(),
        quota: answer.db_size_quota(),
        errors: answer.errors().to_vec(),
    })
}
