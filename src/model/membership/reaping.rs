//! Which members of etcd another machine may remove, and why the others stay.
//!
//! A member may be removed only if its owner is known and certainly gone, no running instance has its address, it does not answer,
//! and the removal leaves the answering voters at or above the quorum of the rest. A member that no registration explains is left to
//! an operator.

use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::{InstanceId, MemberId, Nonce};
use crate::model::membership::instances::{Instances, Presence};
use crate::model::membership::members::{Member, Members};
use crate::model::membership::registration::Registration;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What a plan depends on.
#[derive(Debug, Clone)]
pub struct ReapInput<'a> {
    /// The machine that plans. Its own member is never reaped.
    pub me: &'a InstanceId,
    /// A list that was read through a quorum, with which members answer.
    pub members: &'a Members,
    /// All registrations.
    pub registrations: &'a [Registration],
    /// What EC2 says of their instances.
    pub instances: &'a Instances,
    /// Addresses of every instance that EC2 shows as pending or running.
    pub live_addresses: &'a BTreeMap<IpAddr, InstanceId>,
    /// Instances in Standby: an operator has stopped them on purpose.
    pub in_standby: &'a [InstanceId],
    /// The nonce of the current holding of the membership lease.
    pub lease: Option<&'a Nonce>,
    /// How long EC2 must not know an instance before it counts as gone.
    pub gone_grace: Duration,
}

/// What to do with one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReapVerdict {
    /// It stays.
    Keep(KeepReason),
    /// It goes.
    Remove(RemovalReason),
}

/// Why a member stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepReason {
    /// It answers.
    Answers,
    /// It is this machine's own.
    Own,
    /// No registration explains it: an operator must decide.
    Unexplained,
    /// Its machine is not certainly gone.
    NotGone(InstanceId),
    /// A running instance has its address.
    AddressLives(InstanceId),
    /// Without it fewer voters would answer than the quorum of the rest needs.
    Quorum,
}

/// Why a member is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemovalReason {
    /// Its machine is gone.
    Gone(InstanceId),
    /// It has not become a started voter, and its machine has no join under the current lease.
    GivenUp(InstanceId),
}

/// Judges every member, learners and unstarted members first: the order in which they are to be removed. The quorum rule is
/// applied as if every removal before had been carried out.
#[must_use]
pub fn plan(input: &ReapInput<'_>) -> Vec<(Member, ReapVerdict)> {
    let mut left = input.members.clone();
    let mut order: Vec<&Member> = input.members.0.iter().collect();
    order.sort_by_key(|member| (member.is_started_voter(), member.id));
    let mut judged = Vec::new();
    for member in order {
        let mut verdict = judge(input, member);
        if let ReapVerdict::Remove(_) = verdict {
            if left.may_remove(member.id) {
                left.0.retain(|other| other.id != member.id);
            } else {
                verdict = ReapVerdict::Keep(KeepReason::Quorum);
            }
        }
        judged.push((member.clone(), verdict));
    }
    judged
}

/// A member because of which etcd would refuse a new one after the plan was carried out: a voter that does not answer, or a
/// learner. A voter that is [starting](super::starting) keeps nobody out: etcd takes a member beside it a few seconds after it came, and
/// kubeadm asks until then.
#[must_use]
pub fn blocking_member<'a>(
    judged: &'a [(Member, ReapVerdict)],
    starting: &[MemberId],
) -> Option<&'a (Member, ReapVerdict)> {
    judged.iter().rev().find(|(member, verdict)| match verdict {
        ReapVerdict::Remove(_) => false,
        ReapVerdict::Keep(KeepReason::Answers | KeepReason::Own) => member.learner,
        ReapVerdict::Keep(KeepReason::NotGone(_)) => member.learner || !starting.contains(&member.id),
        ReapVerdict::Keep(KeepReason::Unexplained | KeepReason::AddressLives(_) | KeepReason::Quorum) => true,
    })
}

/// Judges one member by everything but the quorum.
pub(in crate::model) fn judge(input: &ReapInput<'_>, member: &Member) -> ReapVerdict {
    if member.answers {
        return ReapVerdict::Keep(KeepReason::Answers);
    }
    let owners = owners(input.registrations.iter(), member);
    let Some(owner) = owners.first().map(|owner| owner.instance.clone()) else {
        return ReapVerdict::Keep(KeepReason::Unexplained);
    };
    if owners.iter().any(|owner| owner.instance == *input.me) {
        return ReapVerdict::Keep(KeepReason::Own);
    }
    let not_gone = owners.iter().find(|owner| !is_gone(input, &owner.instance));
    // A voter without a name has been promoted, and has not said its name yet: its join goes on.
    let given_up = member.learner && owners.iter().all(|owner| has_given_up(input, owner));
    match not_gone {
        Some(_) if given_up => return ReapVerdict::Remove(RemovalReason::GivenUp(owner)),
        Some(owner) => return ReapVerdict::Keep(KeepReason::NotGone(owner.instance.clone())),
        None => {}
    }
    let lives = member.peer_addresses.iter().find_map(|address| input.live_addresses.get(address));
    match lives {
        // A new machine that has a dead one's address removes that member itself before it joins.
        Some(instance) if instance != input.me => ReapVerdict::Keep(KeepReason::AddressLives(instance.clone())),
        Some(_) | None => ReapVerdict::Remove(RemovalReason::Gone(owner)),
    }
}

/// The registrations that explain a member: the one that names its ID, or else those with its name (if it has one) and address
/// that name no other member. The phase does not matter: a machine that was killed after it became a member and before it
/// registered that, waits again. A machine that waits with a dead one's address explains that member as well, and protects it until
/// it has removed it itself.
pub fn owners<'a>(
    registrations: impl Iterator<Item = &'a Registration> + Clone,
    member: &Member,
) -> Vec<&'a Registration> {
    let named: Vec<_> = registrations.clone().filter(|found| found.member_id == Some(member.id)).collect();
    if !named.is_empty() {
        return named;
    }
    registrations
        .filter(|found| found.member_id.is_none())
        .filter(|found| !member.is_started() || found.node_name == member.name)
        .filter(|found| member.is_at(&found.addresses))
        .collect()
}

/// Whether the instance is gone for good, or stopped and not in Standby.
fn is_gone(input: &ReapInput<'_>, instance: &InstanceId) -> bool {
    let stopped = matches!(input.instances.0.get(instance), Some(Presence::State(Ec2State::Stopped)));
    input.instances.is_gone(instance, input.gone_grace) || (stopped && !input.in_standby.contains(instance))
}

/// Whether another holds the lease under which it registered its join, so that it must start over.
fn has_given_up(input: &ReapInput<'_>, owner: &Registration) -> bool {
    owner.lease_nonce.is_some() && input.lease.is_some() && owner.lease_nonce.as_ref() != input.lease
}

impl ReapVerdict {
    /// A code for programs. It stays the same when the text changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Keep(KeepReason::Answers) => "answers",
            Self::Keep(KeepReason::Own) => "own",
            Self::Keep(KeepReason::Unexplained) => "unexplained",
            Self::Keep(KeepReason::NotGone(_)) => "not-gone",
            Self::Keep(KeepReason::AddressLives(_)) => "address-lives",
            Self::Keep(KeepReason::Quorum) => "quorum",
            Self::Remove(RemovalReason::Gone(_)) => "gone",
            Self::Remove(RemovalReason::GivenUp(_)) => "given-up",
        }
    }
}

impl fmt::Display for ReapVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep(why) => write!(f, "kept: {why}"),
            Self::Remove(why) => write!(f, "removed: {why}"),
        }
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answers => f.write_str("it answers"),
            Self::Own => f.write_str("it is this machine's own"),
            Self::Unexplained => f.write_str("no registration explains it, an operator must decide"),
            Self::NotGone(owner) => write!(f, "its machine {owner} is not certainly gone"),
            Self::AddressLives(other) => write!(f, "the running instance {other} has its address"),
            Self::Quorum => f.write_str("without it fewer voters would answer than the quorum needs"),
        }
    }
}

impl fmt::Display for RemovalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(owner) => write!(f, "its machine {owner} is gone"),
            Self::GivenUp(owner) => write!(f, "the join of {owner} was given up"),
        }
    }
}

#[cfg(test)]
pub(in crate::model) mod tests;
