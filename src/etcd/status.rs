//! What one member says of itself.

use super::access::{Access, brief};
use crate::model::machine::ids::MemberId;
use anyhow::{Context, Result};
use std::net::IpAddr;

/// One member's word on itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its ID.
    pub id: MemberId,
    /// Its version, without a `v`.
    pub version: String,
    /// What it complains of: alarms such as a full database, or that there is no leader.
    pub errors: Vec<String>,
}

/// Asks the member at this address, whoever it is.
///
/// # Errors
/// No answer.
pub async fn status(access: &Access, address: IpAddr) -> Result<Status> {
    let mut client = access.client(address).await?;
    let answer = client.status().await.map_err(brief);
    let answer = answer.with_context(|| format!("etcd at {address} does not tell its status"))?;
    let id = answer.header().with_context(|| format!("etcd at {address} does not tell its member ID"))?.member_id();
    Ok(Status { id: MemberId(id), version: answer.version().to_owned(), errors: answer.errors().to_vec() })
}
