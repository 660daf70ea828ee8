//! Removing a member, and verifying that it is gone.

use super::access::Access;
use super::list::certain;
use crate::model::machine::ids::MemberId;
use crate::model::membership::members::{Member, Members, Removal};
use anyhow::{Context, Result, anyhow, bail};
use std::net::IpAddr;

/// Removes a member by its ID through another member that answers, and verifies there that it is gone. Every such member is tried.
/// The removal is judged again on a fresh list right before. A member that is gone already is no error.
///
/// # Errors
/// The removal would go below the quorum, the member got its vote meanwhile, no member carried it out, or it could not be verified.
pub async fn remove_verified(access: &Access, members: &Members, id: MemberId) -> Result<()> {
    let judged = members.0.iter().find(|member| member.id == id);
    let judged = judged.with_context(|| format!("etcd member {id} was never listed"))?;
    let through: Vec<IpAddr> = members
        .0
        .iter()
        .filter(|member| member.id != id && member.answers && member.is_started_voter())
        .flat_map(|member| member.peer_addresses.iter().copied())
        .collect();
    let mut last = anyhow!("no other voter answers");
    for address in through {
        match remove_through(access, members, address, judged).await {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last.context(format!("failed to remove etcd member {id}")))
}

async fn remove_through(access: &Access, probed: &Members, address: IpAddr, judged: &Member) -> Result<()> {
    let now = certain(access, address).await?.answering_as(probed);
    match now.removal(judged) {
        Removal::Allowed => {}
        Removal::Done => return Ok(()),
        Removal::CostsQuorum => bail!("without it fewer voters would answer than the quorum of the rest needs"),
        Removal::HasVote => bail!("it has become a voter meanwhile"),
    }
    let mut client = access.client(address).await?;
    let removed = client.member_remove(judged.id.0).await;
    // The list decides whether the member is gone, whatever the reply was.
    let after = certain(access, address).await?;
    match (after.0.iter().any(|member| member.id == judged.id), removed) {
        (false, _) => Ok(()),
        (true, Err(error)) => Err(anyhow!(error).context(format!("etcd at {address} refused"))),
        (true, Ok(_)) => bail!("etcd at {address} accepted the removal and still lists the member"),
    }
}
