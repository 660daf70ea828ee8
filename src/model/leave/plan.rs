//! The plan for leaving on this machine: a list of named steps, or the reason why there is nothing to do.

use super::leadership::Leadership;
use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::machine::local::{Local, Stage};
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
    /// The state on its disk.
    pub local: &'a Local,
    /// Whether a half-made machine may be a member or have a Node: kubeadm has made the credentials that both need, or something
    /// that comes after them.
    pub has_credentials: bool,
    /// The cluster, as far as it answers.
    pub cluster: &'a ClusterView,
    /// Which members may be removed, if that was judged. No other machine's member is removed without it.
    pub judged: &'a [(Member, ReapVerdict)],
    /// Who leads etcd, as far as this machine's own member says it.
    pub leadership: &'a Leadership,
    /// Whether an operator wants the machine to be wiped afterwards.
    pub wipe: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeavePlan {
    /// Nothing.
    Stay(StayReason),
    /// These steps, in this order; one that fails does not keep the others from being tried.
    Leave(Vec<LeaveStep>),
}

impl LeavePlan {
    /// Whether the machine, which goes down for good now, uploads its etcd as it is: as the last voter, or while too few others answer for
    /// anybody to know what they still have.
    #[must_use]
    pub fn wants_last_copy(&self) -> bool {
        match self {
            Self::Stay(why) => *why == StayReason::LastVoter,
            Self::Leave(steps) => {
                steps.iter().any(|step| matches!(step, LeaveStep::RemoveOwnWhenPossible(Blocked::NoQuorum { .. })))
            }
        }
    }
}

/// Why there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StayReason {
    /// There is no control plane on this machine.
    NothingHere,
    /// There is one without a marker of kubeboot's.
    Unexplained,
    /// The state on its disk was written by another machine, so the member in it is that machine's.
    AnotherInstances(InstanceId),
    /// kubeadm was stopped before this machine could be a member or have a Node.
    NotBegun,
    /// Its init was stopped before anybody could know of its cluster.
    InitNotFinished,
    /// It is the last voter, with all data of the cluster.
    LastVoter,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaveStep {
    /// Queue for the membership lease for a few seconds, and go on without it.
    Lease,
    /// Register as `leaving`.
    RegisterLeaving,
    /// Remove the member of a machine that is gone, because it blocks the removal of this machine's own member.
    Reap(MemberId, RemovalReason),
    /// Have this voter lead etcd, which this machine does. The steps after it do not depend on it.
    MoveLeader(MemberId),
    /// Remove this machine's own member through one that stays, and verify there that it is gone.
    RemoveOwn(MemberId),
    /// The same, once it is possible.
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
    /// The members are not known.
    Unknown(String),
    /// Fewer voters answer than the quorum that any change of membership needs.
    NoQuorum {
        /// Voters that answer.
        answering: usize,
        /// Voters.
        voters: usize,
    },
    /// Without this machine, fewer voters would answer than the quorum of the rest, and the machines of the silent ones are not
    /// certainly gone.
    Silent(Vec<MemberId>),
}

/// The next removal that leads to a member list without this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextRemoval {
    /// It is not listed: done.
    Gone,
    /// It is the last voter, and stays.
    LastVoter,
    /// Remove this dead member first.
    Reap(MemberId, RemovalReason),
    /// Have this voter lead first. To be tried once: it only spares the others an election.
    MoveLeader(MemberId),
    /// Remove this machine's own member.
    RemoveOwn(MemberId),
    /// It cannot be removed at the moment.
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
        // Nobody else can be a member of a cluster that was not published, and no etcd that answers keeps its claim.
        ClusterView::Unknown { .. } if matches!(input.local, Local::HalfMade { stage: Stage::Initializing, .. }) => {
            return LeavePlan::Stay(StayReason::InitNotFinished);
        }
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
    let (mut cluster, mut leadership) = (input.cluster.clone(), input.leadership.clone());
    let mut steps = Vec::new();
    loop {
        match next_removal(&LeaveInput { cluster: &cluster, leadership: &leadership, ..input.clone() }) {
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
            NextRemoval::MoveLeader(to) => {
                steps.push(LeaveStep::MoveLeader(to));
                leadership.leader = Some(to);
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

/// Decides on the next removal, and on what comes right before it. The removal of a voter is judged by the voters that answer, as etcd itself does it. A dead
/// member is reaped only if it blocks this machine's own removal.
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
        let successor = input.leadership.successor(members, own.id);
        return successor.map_or(NextRemoval::RemoveOwn(own.id), NextRemoval::MoveLeader);
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

/// Decides on a list that was not read through a quorum. It can show that this machine is the last voter, and nothing else.
fn alone_or_blocked(input: &LeaveInput<'_>, members: &Members) -> NextRemoval {
    match members.at(input.addresses) {
        Some(own) if is_last_voter(members, own) => NextRemoval::LastVoter,
        Some(_) | None => NextRemoval::Blocked(no_quorum(members)),
    }
}

/// Whether no other member has a vote. A learner has none and cannot promote itself.
fn is_last_voter(members: &Members, own: &Member) -> bool {
    !own.learner && members.voters().all(|member| member.id == own.id)
}

/// Whether a dead member is a listed, silent voter that may be removed. Learners do not block a removal.
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
            Self::MoveLeader(_) => "move-leader",
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
                write!(f, "remove etcd member {id}, which blocks the removal of this machine's own: {why}")
            }
            Self::MoveLeader(to) => {
                write!(f, "have etcd member {to} lead in place of this machine's own, and go on without it")
            }
            Self::RemoveOwn(id) => {
                write!(
                    f,
                    "remove this machine's etcd member {id} through another one, and verify there that it is gone"
                )
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
            Self::Unexplained => f.write_str("the state that kubeadm left here has no marker of kubeboot's, so it is left alone"),
            Self::AnotherInstances(owner) => write!(f, "the state on this disk was written by {owner}, so the etcd member in it is that machine's"),
            Self::NotBegun => f.write_str(
                "kubeadm was stopped here before it had credentials for etcd and the API servers, so this machine is no member and has no \
                 Node: there is nothing to leave, and 'kubeboot up' cleans up",
            ),
            Self::InitNotFinished => f.write_str(
                "kubeadm init was stopped here before the cluster was published, and no etcd answers as that cluster's: there is nothing to \
                 leave, and 'kubeboot up' cleans up",
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
            Self::Unknown(why) => write!(f, "the etcd members are not known: {why}"),
            Self::NoQuorum { answering, voters } => write!(f, "quorum lost: {answering} of {voters} answers"),
            Self::Silent(members) => {
                let ids: Vec<_> = members.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "without it too few voters would answer: {} does not, and its machine is not certainly gone",
                    ids.join(", ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
