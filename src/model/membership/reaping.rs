//! Which members of etcd may be removed by another machine, and why the others may not.
//!
//! A member may go only if its owner is known and certainly gone, nobody lives at its address, it does not answer, and the
//! removal leaves the answering voters at or above the quorum of the rest. A member that nobody can explain is left to an
//! operator.

use crate::model::machine::group::Ec2State;
use crate::model::machine::ids::{InstanceId, Nonce};
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
    /// The machine that plans. Its own member is its own business.
    pub me: &'a InstanceId,
    /// A certain list, with who answers.
    pub members: &'a Members,
    /// What the machines said about themselves.
    pub registrations: &'a [Registration],
    /// EC2's word on them.
    pub instances: &'a Instances,
    /// Addresses of every instance that lives, by EC2's word.
    pub live_addresses: &'a BTreeMap<IpAddr, InstanceId>,
    /// Instances in Standby: stopped there is on purpose.
    pub in_standby: &'a [InstanceId],
    /// The nonce of the membership lease as it is held now.
    pub lease: Option<&'a Nonce>,
    /// After so long, absence from EC2's answers is believed.
    pub gone_grace: Duration,
}

/// What is to become of one member.
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
    /// A living instance has its address.
    AddressLives(InstanceId),
    /// Without it fewer voters would answer than the quorum of the rest wants.
    Quorum,
}

/// Why a member goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemovalReason {
    /// Its machine is gone.
    Gone(InstanceId),
    /// It never came into being, and its machine has no lawful join under way.
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

/// What of a plan's members would make etcd refuse a new one once the plan is carried out: a voter that does not answer, or a
/// learner.
#[must_use]
pub fn blocking_member(judged: &[(Member, ReapVerdict)]) -> Option<&(Member, ReapVerdict)> {
    judged.iter().rev().find(|(member, verdict)| match verdict {
        ReapVerdict::Remove(_) => false,
        ReapVerdict::Keep(KeepReason::Answers | KeepReason::Own) => member.learner,
        ReapVerdict::Keep(
            KeepReason::Unexplained | KeepReason::NotGone(_) | KeepReason::AddressLives(_) | KeepReason::Quorum,
        ) => true,
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
    let given_up = !member.is_started_voter() && owners.iter().all(|owner| has_given_up(input, owner));
    match not_gone {
        Some(_) if given_up => return ReapVerdict::Remove(RemovalReason::GivenUp(owner)),
        Some(owner) => return ReapVerdict::Keep(KeepReason::NotGone(owner.instance.clone())),
        None => {}
    }
    let lives = member.peer_addresses.iter().find_map(|address| input.live_addresses.get(address));
    match lives {
        // A new machine with a dead one's address: it would find the member in its way, and knows that it is not its own.
        Some(instance) if instance != input.me => ReapVerdict::Keep(KeepReason::AddressLives(instance.clone())),
        Some(_) | None => ReapVerdict::Remove(RemovalReason::Gone(owner)),
    }
}

/// The registrations that explain a member: the one that names its ID, or else those of its name (where it has one) and address
/// that name no other member, in any phase: who was killed between becoming a member and saying so, waits again. A machine that
/// waits at a dead one's address explains its member as well, and protects it until it has removed it itself.
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

/// Gone for good, or stopped where nobody meant it to come back.
fn is_gone(input: &ReapInput<'_>, instance: &InstanceId) -> bool {
    let stopped = matches!(input.instances.0.get(instance), Some(Presence::State(Ec2State::Stopped)));
    input.instances.is_gone(instance, input.gone_grace) || (stopped && !input.in_standby.contains(instance))
}

/// Whether the lease under which it registered its join is another's by now, so that it will start over.
fn has_given_up(input: &ReapInput<'_>, owner: &Registration) -> bool {
    owner.lease_nonce.is_some() && input.lease.is_some() && owner.lease_nonce.as_ref() != input.lease
}

impl ReapVerdict {
    /// A word for programs. It stays the same when the text changes.
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
            Self::AddressLives(other) => write!(f, "the living instance {other} has its address"),
            Self::Quorum => f.write_str("without it fewer voters would answer than the quorum wants"),
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
