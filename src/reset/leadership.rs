//! Who leads etcd, and handing that over before this machine's member goes. None of it is needed to leave: whatever fails is told in one
//! line, and nothing waits for it longer than a few seconds.

use super::ResetContext;
use crate::etcd::{self, Access};
use crate::model::leave::Part;
use crate::model::machine::ids::MemberId;
use crate::model::membership::members::Member;
use crate::model::membership::registration::RegistrationPhase;
use crate::model::membership::view::ClusterView;
use crate::node::point::Point;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long one question or the handing over may take. etcd gives up handing over after an election time-out, which is a second.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// Who leads by this machine's own member; `None` if it does not say so, or has nobody to hand over to.
pub(super) async fn leader(reset: &ResetContext, access: &Access, cluster: &ClusterView) -> Option<MemberId> {
    let (ClusterView::Listed(members), Some(own)) = (cluster, own(reset, cluster)) else { return None };
    let others = members.voters().any(|member| member.id != own.id && member.answers);
    if !others || !own.answers {
        return None;
    }
    match timeout(TIME_LIMIT, etcd::status(access, address(reset, own)?)).await {
        Ok(Ok(status)) if status.id == own.id => status.leader,
        Ok(Ok(_) | Err(_)) | Err(_) => None,
    }
}

/// Has another voter lead. It says how that ended, and there is nothing to do about it.
pub(super) async fn hand_over(reset: &ResetContext, access: &Access, cluster: &ClusterView, to: MemberId) {
    let Some(at) = own(reset, cluster).and_then(|own| address(reset, own)) else { return };
    Point::LeaderKnown.reached();
    let time_limit = TIME_LIMIT.min(reset.clock.left(Part::Members) / 4);
    let why = match timeout(time_limit, etcd::move_leader(access, at, to)).await {
        Ok(Ok(())) => return tracing::info!(leader = %to, "another voter leads etcd now"),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("etcd at {at} did not hand over to member {to} in time"),
    };
    tracing::warn!("writes may stop for a second or two when this machine's etcd member goes: {why}");
}

/// This machine's own member, by a certain list.
fn own<'a>(reset: &ResetContext, cluster: &'a ClusterView) -> Option<&'a Member> {
    let ClusterView::Listed(members) = cluster else { return None };
    members.at(&reset.facts.machine.addresses)
}

/// Where this machine's own member is asked: at an address that is both its and the machine's.
fn address(reset: &ResetContext, own: &Member) -> Option<IpAddr> {
    own.peer_addresses.iter().copied().find(|address| reset.facts.machine.addresses.contains(address))
}

/// The members whose machines are registered as `joined`; none where this machine's own does not lead, or S3 does not say it soon.
pub(super) async fn joined(reset: &ResetContext, cluster: &ClusterView, leader: Option<MemberId>) -> Vec<MemberId> {
    if leader.is_none() || leader != own(reset, cluster).map(|own| own.id) {
        return Vec::new();
    }
    let time_limit = TIME_LIMIT.min(reset.clock.left(Part::Look) / 2);
    let Ok(Ok(all)) = timeout(time_limit, reset.roll.all_readable()).await else { return Vec::new() };
    let joined = all.into_iter().filter(|found| found.phase == RegistrationPhase::Joined);
    joined.filter_map(|found| found.member_id).collect()
}
