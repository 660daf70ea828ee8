//! Removing a member, and seeing that it is gone.

use super::access::Access;
use super::list::certain;
use crate::model::ids::MemberId;
use crate::model::members::Members;
use anyhow::{Result, anyhow, bail};
use std::net::IpAddr;

/// Removes a member by its ID through another member that answers, and verifies there that it is gone. Every such
/// member is tried. The quorum rule is checked on a fresh list right before; a member that is gone already is fine.
///
/// # Errors
/// The removal would go below quorum, or nobody could carry it out, or it could not be verified.
pub async fn remove_verified(access: &Access, members: &Members, id: MemberId) -> Result<()> {
    let through: Vec<IpAddr> = members
        .0
        .iter()
        .filter(|member| member.id != id && member.answers && member.is_started_voter())
        .flat_map(|member| member.peer_addresses.iter().copied())
        .collect();
    let mut last = anyhow!("no other voter answers");
    for address in through {
        match remove_through(access, members, address, id).await {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last.context(format!("failed to remove etcd member {id}")))
}

async fn remove_through(access: &Access, probed: &Members, address: IpAddr, id: MemberId) -> Result<()> {
    let now = with_answers(certain(access, address).await?, probed);
    if now.0.iter().all(|member| member.id != id) {
        return Ok(());
    }
    if !now.may_remove(id) {
        bail!("without it fewer voters would answer than the quorum of the rest wants");
    }
    let mut client = access.client(address).await?;
    let removed = client.member_remove(id.0).await;
    // What counts is what the list says, whatever the reply was.
    let after = certain(access, address).await?;
    match (after.0.iter().any(|member| member.id == id), removed) {
        (false, _) => Ok(()),
        (true, Err(error)) => Err(anyhow!(error).context(format!("etcd at {address} refused"))),
        (true, Ok(_)) => bail!("etcd at {address} accepted the removal and still lists the member"),
    }
}

/// The fresh list with the answers of the earlier one: who is new has not answered anything yet.
fn with_answers(mut fresh: Members, probed: &Members) -> Members {
    for member in &mut fresh.0 {
        member.answers = probed.0.iter().any(|earlier| earlier.id == member.id && earlier.answers);
    }
    fresh
}
