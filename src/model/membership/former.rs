//! Which registrations are over, so that they may move to a folder that nobody reads, and whose machine may still decide something.
//!
//! Registrations prove that a cluster existed when the record has gone, or has gone back. So nothing moves but beside a ready record,
//! and only a machine that lives moves anything, whose own registration proves the record's cluster and stays. That is proof enough:
//! a record that does not know of this cluster is an older one, and whatever a moved registration told is older than it, or of it. The
//! mover's own registration moves only after its machine is gone, and then another mover's stays. So nothing depends on how long
//! moved ones are kept.

use crate::model::machine::ids::InstanceId;
use crate::model::membership::instances::{Instances, Presence};
use crate::model::membership::members::Members;
use crate::model::membership::reaping::owners;
use crate::model::membership::registration::Registration;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::ClusterRecord;
use std::net::IpAddr;
use std::time::Duration;

/// What the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct FormerInput<'a> {
    /// The machine that would move them.
    pub me: &'a InstanceId,
    /// Its addresses.
    pub addresses: &'a [IpAddr],
    /// The record.
    pub record: &'a ClusterRecord,
    /// A certain list of etcd's members, read after EC2's answer: a machine that was gone by then becomes a member no more. `None` where
    /// etcd is external.
    pub members: Option<&'a Members>,
    /// What EC2 says of their machines.
    pub instances: &'a Instances,
    /// How long EC2 must not know an instance before it counts as gone.
    pub gone_grace: Duration,
}

/// Those of these registrations, which were read after the record, that say nothing any more that matters.
#[must_use]
pub fn former<'a>(input: &FormerInput<'_>, registrations: &'a [Registration]) -> Vec<&'a Registration> {
    let Some(published) = input.record.published() else { return Vec::new() };
    if !is_witness(input, registrations) {
        return Vec::new();
    }
    registrations
        .iter()
        .filter(|found| found.instance != *input.me && found.instance != published.initialised_by)
        .filter(|found| found.is_explained_by(input.record))
        .filter(|found| is_gone(found, input))
        .filter(|found| input.members.is_none_or(|members| !explains_a_member(found, members, registrations)))
        .collect()
}

/// The machines of which EC2 is to be asked before anything is moved: those of the group are there.
#[must_use]
pub fn doubtful(
    me: &InstanceId,
    record: &ClusterRecord,
    registrations: &[Registration],
    in_group: impl Fn(&InstanceId) -> bool,
) -> Vec<InstanceId> {
    let stays =
        |instance: &InstanceId| record.published().is_none_or(|published| published.initialised_by == *instance);
    let others = registrations.iter().map(|found| &found.instance);
    others.filter(|other| *other != me && !stays(other) && !in_group(other)).cloned().collect()
}

/// Whether EC2's word on this machine may decide something, as far as the cluster is known. Of a machine whose member was seen to be
/// gone it does not, unless it explains a listed one nevertheless, or nobody knows who is a member.
#[must_use]
pub fn may_matter(registration: &Registration, all: &[Registration], cluster: Option<&ClusterView>) -> bool {
    let may_explain = match cluster {
        Some(ClusterView::Listed(members) | ClusterView::NoQuorum(members)) => {
            explains_a_member(registration, members, all)
        }
        Some(ClusterView::Unknown { .. }) => true,
        Some(ClusterView::NotAsked | ClusterView::External) | None => false,
    };
    may_explain || !registration.is_finished()
}

/// Whether the mover's own registration proves the record's cluster, and will go on doing so.
fn is_witness(input: &FormerInput<'_>, registrations: &[Registration]) -> bool {
    let own = registrations.iter().find(|found| found.instance == *input.me);
    own.is_some_and(|own| !own.is_finished() && !own.retired && own.proves_flip_of(&input.record.claim_id))
}

/// Whether its machine is gone. Where nothing depends on that any more, it is enough that EC2 does not show it: its member was seen to
/// be gone, or another machine has its address.
fn is_gone(found: &Registration, input: &FormerInput<'_>) -> bool {
    let is_replaced = || found.addresses.iter().any(|address| input.addresses.contains(address));
    match input.instances.0.get(&found.instance) {
        Some(Presence::AbsentFor(_)) if found.is_finished() || is_replaced() => true,
        Some(_) | None => input.instances.is_gone(&found.instance, input.gone_grace),
    }
}

fn explains_a_member(found: &Registration, members: &Members, all: &[Registration]) -> bool {
    members.0.iter().any(|member| owners(all.iter(), member).iter().any(|owner| owner.instance == found.instance))
}

#[cfg(test)]
mod tests;
