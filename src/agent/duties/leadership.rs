//! Who leads etcd in place of a member that is taken out while it answers. It is no condition of taking it out: what fails is logged.

use crate::etcd::{self, Access};
use crate::model::leave::Leadership;
use crate::model::machine::ids::MemberId;
use crate::model::membership::members::Members;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::time::timeout;

/// How long a question or the handing over may take.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// Has another voter lead, if the member that goes leads now: writes would stop for two seconds.
pub(super) async fn hand_over(access: &Access, members: &Members, going: MemberId, all: &[Registration]) {
    match try_to(access, members, going, all).await {
        Ok(None) => {}
        Ok(Some(to)) => tracing::info!(leader = %to, "another voter leads etcd now"),
        Err(error) => tracing::warn!("writes may stop for a second or two when member {going} goes: {error:#}"),
    }
}

async fn try_to(access: &Access, members: &Members, going: MemberId, all: &[Registration]) -> Result<Option<MemberId>> {
    let found = members.0.iter().find(|member| member.id == going && member.answers);
    let Some(at) = found.and_then(|member| member.peer_addresses.first()) else { return Ok(None) };
    let status = timeout(TIME_LIMIT, etcd::status(access, *at)).await.context("it does not say who leads")??;
    let joined = all.iter().filter(|found| found.phase == RegistrationPhase::Joined);
    let joined = joined.filter_map(|found| found.member_id).collect();
    let Some(to) = (Leadership { leader: status.leader, joined }).successor(members, going) else { return Ok(None) };
    timeout(TIME_LIMIT, etcd::move_leader(access, *at, to)).await.context("it does not hand over in time")??;
    Ok(Some(to))
}
