//! What leaving takes on this machine: a list of named steps, or the reason why there is nothing to do.

use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::machine::local::Local;
use crate::model::membership::members::{Member, Members};
use crate::model::membership::reaping::{ReapVerdict, RemovalReason};
use crate::model::membership::view::ClusterView;
use std::fmt;
use std::net::IpAddr;

/// Everything a plan depends on.
#[derive(Debug, Clone)]
pub struct LeaveInput<'a> {
    /// This machine.
    pub me: &'a InstanceId,
    /// Its private addresses.
    pub addresses: &'a [IpAddr],
    /// What its disk says.
    pub local: &'a Local,
    /// Whether kubeadm has come so far on a half-made machine that it may be a member or have a Node: it has made the
    /// credentials that both take, or something that comes after them.
    pub has_credentials: bool,
    /// The cluster, as far as it answers.
    pub cluster: &'a ClusterView,
    /// What may become of the members, where that was asked; nobody may go otherwise.
    pub judged: &'a [(Member, ReapVerdict)],
    /// Whether an operator wants the machine to be fresh afterwards.
    pub wipe: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeavePlan {
    /// Nothing.
    Stay(StayReason),
    /// These steps, in this order; one that fails does not keep the others from being tried.
    Leave(Vec<LeaveStep>),
}

/// Why there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StayReason {
    /// There is no control plane on this machine.
    NothingHere,
    /// There is one that nobody can explain.
    Unexplained,
    /// Its state is another machine's: so is the member in it.
    AnotherInstances(InstanceId),
    /// kubeadm was cut off before this machine could be a member or have a Node.
    NotBegun,
    /// It is the last voter: all data of the cluster is here.
    LastVoter,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaveStep {
    /// Queue for the membership lease for a few seconds, and go on without it.
    Lease,
    /// Register as `leaving`.
    RegisterLeaving,
    /// RemovalReason the member of a machine that is gone, because it blocks this one's own removal.
    Reap(MemberId, RemovalReason),
    /// RemovalReason this machine's own member through one that stays, and see there that it is gone.
    RemoveOwn(MemberId),
    /// The same, which cannot be done at the moment.
    RemoveOwnWhenPossible(Blocked),
    /// Delete this machine's Node by its UID.
    DeleteNode,
    /// Register as `left`, if the member is gone.
    RegisterLeft,
    /// Wipe this machine, if the member is gone.
    Wipe,
}

/// Why a member cannot be removed at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Nobody says who the members are.
    Unknown(String),
    /// Fewer voters answer than any change of membership wants.
    NoQuorum {
        /// Voters that answer.
        answering: usize,
        /// Voters.
        voters: usize,
    },
    /// Without this machine, fewer voters would answer than the quorum of the rest wants, and who does not answer is not
    /// certainly gone.
    Silent(Vec<MemberId>),
}

/// What comes next on the way to a list without this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextRemoval {
    /// It is not listed: done.
    Gone,
    /// It is the last voter, and stays.
    LastVoter,
    /// RemovalReason this dead member first.
    Reap(MemberId, RemovalReason),
    /// RemovalReason this machine's own member.
    RemoveOwn(MemberId),
    /// It cannot go at the moment.
    Blocked(Blocked),
}

/// The whole plan.
#[must_use]
pub fn plan(input: &LeaveInput<'_>) -> LeavePlan {
    match input.local {
        Local::Fresh => return LeavePlan::Stay(StayReason::NothingHere),
        Local::Unexplained { .. } => return LeavePlan::Stay(StayReason::Unexplained),
        Local::HalfMade { instance, .. } | Local::Made { instance, .. } if instance != input.me => {
            return LeavePlan::Stay(StayReason::AnotherInstances(instance.clone()));
        }
        Local::HalfMade { .. } if !input.has_credentials => return LeavePlan::Stay(StayReason::NotBegun),
        Local::HalfMade { .. } | Local::Made { .. } => {}
    }
    let removals = match input.cluster {
        ClusterView::External => Vec::new(),
        ClusterView::Listed(_) | ClusterView::NoQuorum(_) | ClusterView::Unknown { .. } | ClusterView::NotAsked => {
            match removals(input) {
                Some(removals) => removals,
                None => return LeavePlan::Stay(StayReason::LastVoter),
            }
        }
    };
    let lease = (!removals.is_empty()).then_some(LeaveStep::Lease);
    let wipe = input.wipe.then_some(LeaveStep::Wipe);
    let steps = lease.into_iter().chain([LeaveStep::RegisterLeaving]).chain(removals);
    LeavePlan::Leave(steps.chain([LeaveStep::DeleteNode, LeaveStep::RegisterLeft]).chain(wipe).collect())
}

/// The removals that lead to a list without this machine; `None` when it is the last voter.
fn removals(input: &LeaveInput<'_>) -> Option<Vec<LeaveStep>> {
    let mut cluster = input.cluster.clone();
    let mut steps = Vec::new();
    loop {
        match next_removal(&LeaveInput { cluster: &cluster, ..input.clone() }) {
            NextRemoval::Gone => return Some(steps),
            NextRemoval::LastVoter => return None,
            NextRemoval::Blocked(why) => {
                steps.push(LeaveStep::RemoveOwnWhenPossible(why));
                return Some(steps);
            }
            NextRemoval::Reap(id, why) => {
                steps.push(LeaveStep::Reap(id, why));
                cluster = without(&cluster, id);
            }
            NextRemoval::RemoveOwn(id) => {
                steps.push(LeaveStep::RemoveOwn(id));
                cluster = without(&cluster, id);
            }
        }
    }
}

/// The same list after a removal.
fn without(cluster: &ClusterView, id: MemberId) -> ClusterView {
    match cluster {
        ClusterView::Listed(members) => {
            ClusterView::Listed(Members(members.0.iter().filter(|member| member.id != id).cloned().collect()))
        }
        other => other.clone(),
    }
}

/// What comes next. The removal of a voter is judged by those who answer, as etcd itself does it; a dead one is reaped only
/// if it is in the way.
#[must_use]
pub fn next_removal(input: &LeaveInput<'_>) -> NextRemoval {
    let members = match input.cluster {
        ClusterView::Listed(members) => members,
        ClusterView::External => return NextRemoval::Gone,
        ClusterView::NoQuorum(members) => return alone_or_blocked(input, members),
        ClusterView::Unknown { why } => return NextRemoval::Blocked(Blocked::Unknown(why.clone())),
        ClusterView::NotAsked => return NextRemoval::Blocked(Blocked::Unknown("it was not asked".to_owned())),
    };
    let Some(own) = members.at(input.addresses) else { return NextRemoval::Gone };
    if is_last_voter(members, own) {
        return NextRemoval::LastVoter;
    }
    if members.may_remove(own.id) {
        return NextRemoval::RemoveOwn(own.id);
    }
    let dead = input.judged.iter().find_map(|(member, verdict)| match verdict {
        ReapVerdict::Remove(why) if blocks_own_removal(members, member) => Some((member.id, why.clone())),
        ReapVerdict::Remove(_) | ReapVerdict::Keep(_) => None,
    });
    if let Some((id, why)) = dead {
        return NextRemoval::Reap(id, why);
    }
    if !members.has_quorum() {
        return NextRemoval::Blocked(no_quorum(members));
    }
    let silent = members.voters().filter(|member| member.id != own.id && !member.answers);
    NextRemoval::Blocked(Blocked::Silent(silent.map(|member| member.id).collect()))
}

/// A list from one member's memory: good for telling that this machine is alone, and for nothing else.
fn alone_or_blocked(input: &LeaveInput<'_>, members: &Members) -> NextRemoval {
    match members.at(input.addresses) {
        Some(own) if is_last_voter(members, own) => NextRemoval::LastVoter,
        Some(_) | None => NextRemoval::Blocked(no_quorum(members)),
    }
}

/// Whether nobody else has a vote. A learner has none and cannot give itself one.
fn is_last_voter(members: &Members, own: &Member) -> bool {
    !own.learner && members.voters().all(|member| member.id == own.id)
}

/// A silent voter that is still listed and may be removed: learners are in nobody's way here.
fn blocks_own_removal(members: &Members, dead: &Member) -> bool {
    let listed = members.voters().any(|member| member.id == dead.id && !member.answers);
    listed && members.may_remove(dead.id)
}

fn no_quorum(members: &Members) -> Blocked {
    Blocked::NoQuorum { answering: members.answering(), voters: members.voters().count() }
}

impl LeaveStep {
    /// The step's name, for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::RegisterLeaving => "register-leaving",
            Self::Reap(..) => "reap",
            Self::RemoveOwn(_) | Self::RemoveOwnWhenPossible(_) => "remove-member",
            Self::DeleteNode => "delete-node",
            Self::RegisterLeft => "register-left",
            Self::Wipe => "wipe",
        }
    }
}

impl fmt::Display for LeaveStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease => f.write_str("queue for the membership lease for a few seconds, and go on without it"),
            Self::RegisterLeaving => f.write_str("register as leaving"),
            Self::Reap(id, why) => {
                write!(f, "remove etcd member {id}, which is in the way: {}", ReapVerdict::Remove(why.clone()))
            }
            Self::RemoveOwn(id) => {
                write!(f, "remove this machine's etcd member {id} through another one, and see there that it is gone")
            }
            Self::RemoveOwnWhenPossible(why) => {
                write!(f, "remove this machine's etcd member as soon as that is possible: {why}")
            }
            Self::DeleteNode => f.write_str("delete this machine's Node by its UID"),
            Self::RegisterLeft => f.write_str("register as left, if the member is gone"),
            Self::Wipe => f.write_str("wipe what kubeadm left on this machine, if the member is gone"),
        }
    }
}

impl fmt::Display for StayReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingHere => f.write_str("there is no control plane on this machine"),
            Self::Unexplained => f.write_str("what kubeadm left here has no marker of kubeboot's, so it is left alone"),
            Self::AnotherInstances(owner) => write!(f, "what is on this disk was written by {owner}, and so is its member"),
            Self::NotBegun => f.write_str(
                "kubeadm was cut off here before it had credentials for etcd and the API servers, so this machine is no member and has no \
                 Node: there is nothing to leave, and 'kubeboot up' cleans up",
            ),
            Self::LastVoter => f.write_str(
                "this machine is the last voter: it never removes itself, and all data of the cluster stays on its disk",
            ),
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => write!(f, "nobody says who the members are: {why}"),
            Self::NoQuorum { answering, voters } => write!(f, "quorum lost: {answering} of {voters} answers"),
            Self::Silent(members) => {
                let ids: Vec<_> = members.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "without it too few voters would answer, for {} does not, and its machine is not certainly gone",
                    ids.join(", ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
