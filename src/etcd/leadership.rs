//! Having another member lead.

use super::access::{Access, brief};
use crate::model::machine::ids::MemberId;
use anyhow::{Context, Result};
use std::net::IpAddr;

/// Has the leader, which is the member at this address, hand over to another voter. It returns once that one leads. Every member but
/// the leader refuses.
///
/// # Errors
/// It does not lead (`etcdserver: not leader`), that voter did not take over in time, or no answer. Nothing has changed then, or the
/// members elect whom they like.
pub async fn move_leader(access: &Access, leader: IpAddr, to: MemberId) -> Result<()> {
    let mut client = access.client(leader).await?;
    let moved = client.move_leader(to.0).await.map_err(brief);
    moved.map(drop).with_context(|| format!("etcd at {leader} did not hand over to member {to}"))
}
