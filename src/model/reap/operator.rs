//! Reaping by an operator: which members may be removed beyond the rules, which members a plan leaves, and which machines will
//! soon count as gone.

use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::membership::instances::Presence;
use crate::model::membership::members::Member;
use crate::model::membership::reaping::{KeepReason, ReapInput, ReapVerdict, RemovalReason, judge};
use std::fmt;
use std::time::Duration;

/// Why a member that an operator has named is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorRemoval {
    /// The rules remove it as well.
    ByRule(RemovalReason),
    /// No registration explains it, and the operator has decided.
    Unexplained,
}

/// Why a member that an operator has named is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReapRefusal {
    /// It answers.
    Answers,
    /// It is this machine's own.
    Own,
    /// Its machine is not certainly gone.
    NotGone(InstanceId),
    /// This machine has its address.
    AddressHere,
    /// Another running instance has its address.
    AddressLives(InstanceId),
    /// Without it fewer voters would answer than the quorum of the rest needs.
    Quorum {
        /// Voters that answer and stay.
        answering: usize,
        /// Voters that stay.
        rest: usize,
    },
}

/// Judges one member that an operator wants removed. `None` when it is not listed. The operator's decision replaces a missing
/// registration, and nothing else.
#[must_use]
pub fn named_by_operator(input: &ReapInput<'_>, id: MemberId) -> Option<Result<OperatorRemoval, ReapRefusal>> {
    let member = input.members.0.iter().find(|member| member.id == id)?;
    let allowed = match judge(input, member) {
        ReapVerdict::Remove(why) => Ok(OperatorRemoval::ByRule(why)),
        ReapVerdict::Keep(KeepReason::Unexplained) => unexplained(input, member),
        ReapVerdict::Keep(KeepReason::Answers) => Err(ReapRefusal::Answers),
        ReapVerdict::Keep(KeepReason::Own) => Err(ReapRefusal::Own),
        ReapVerdict::Keep(KeepReason::NotGone(owner)) => Err(ReapRefusal::NotGone(owner)),
        ReapVerdict::Keep(KeepReason::AddressLives(other)) => Err(ReapRefusal::AddressLives(other)),
        ReapVerdict::Keep(KeepReason::Quorum) => Err(quorum(input, id)),
    };
    Some(allowed.and_then(|allowed| if input.members.may_remove(id) { Ok(allowed) } else { Err(quorum(input, id)) }))
}

/// Judges a member without a registration. A running instance at its address may be its machine, whose registration was lost.
fn unexplained(input: &ReapInput<'_>, member: &Member) -> Result<OperatorRemoval, ReapRefusal> {
    match member.peer_addresses.iter().find_map(|address| input.live_addresses.get(address)) {
        Some(instance) if instance == input.me => Err(ReapRefusal::AddressHere),
        Some(instance) => Err(ReapRefusal::AddressLives(instance.clone())),
        None => Ok(OperatorRemoval::Unexplained),
    }
}

fn quorum(input: &ReapInput<'_>, id: MemberId) -> ReapRefusal {
    let rest: Vec<_> = input.members.voters().filter(|member| member.id != id).collect();
    ReapRefusal::Quorum { answering: rest.iter().filter(|member| member.answers).count(), rest: rest.len() }
}

/// Which members a carried-out plan leaves that block the next join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remaining {
    /// None.
    Nothing,
    /// Members that may answer again, or whose machines may turn out to be gone.
    MayRecover,
    /// Members about which an operator must decide.
    Operator,
}

/// Which members a plan leaves.
pub fn remaining<'a>(plan: impl IntoIterator<Item = &'a ReapVerdict>) -> Remaining {
    let of = |verdict: &ReapVerdict| match verdict {
        ReapVerdict::Remove(_) | ReapVerdict::Keep(KeepReason::Answers | KeepReason::Own) => Remaining::Nothing,
        ReapVerdict::Keep(KeepReason::NotGone(_) | KeepReason::AddressLives(_)) => Remaining::MayRecover,
        ReapVerdict::Keep(KeepReason::Unexplained | KeepReason::Quorum) => Remaining::Operator,
    };
    plan.into_iter().map(of).max().unwrap_or(Remaining::Nothing)
}

/// A machine of a kept member that EC2 does not know, but not yet for `gone_grace`, and how much of that time is left.
#[must_use]
pub fn grace_left(input: &ReapInput<'_>, plan: &[(Member, ReapVerdict)]) -> Option<(InstanceId, Duration)> {
    plan.iter().find_map(|(_, verdict)| match verdict {
        ReapVerdict::Keep(KeepReason::NotGone(owner)) => match input.instances.0.get(owner) {
            Some(Presence::AbsentFor(absent)) => {
                input.gone_grace.checked_sub(*absent).filter(|left| !left.is_zero()).map(|left| (owner.clone(), left))
            }
            Some(Presence::State(_)) | None => None,
        },
        ReapVerdict::Keep(
            KeepReason::Answers
            | KeepReason::Own
            | KeepReason::Unexplained
            | KeepReason::AddressLives(_)
            | KeepReason::Quorum,
        )
        | ReapVerdict::Remove(_) => None,
    })
}

impl OperatorRemoval {
    /// A code for programs. It stays the same when the text changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ByRule(why) => ReapVerdict::Remove(why.clone()).code(),
            Self::Unexplained => "by-hand",
        }
    }
}

impl fmt::Display for OperatorRemoval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByRule(why) => why.fmt(f),
            Self::Unexplained => f.write_str("no registration explains it, and an operator has decided"),
        }
    }
}

impl fmt::Display for ReapRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answers => f.write_str(
                "it answers, so its machine runs: run 'kubeboot up' on that machine, which registers it, or terminate the machine",
            ),
            Self::Own => f.write_str("it is this machine's own: 'kubeboot up' removes it before it joins again"),
            Self::NotGone(owner) => write!(
                f,
                "its machine {owner} is not certainly gone: start or repair that machine, or terminate it; its member then goes by the rules"
            ),
            Self::AddressHere => {
                f.write_str("this machine has its address: run 'kubeboot up' here, which registers it or removes it")
            }
            Self::AddressLives(other) => write!(
                f,
                "the running instance {other} has its address: run 'kubeboot up' there, which registers it or removes it"
            ),
            Self::Quorum { answering, rest } => write!(
                f,
                "without it {answering} of {rest} voters would answer, fewer than the quorum needs: bring back another voter first"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::group::Ec2State;
    use crate::model::machine::ids::Nonce;
    use crate::model::membership::reaping::tests::{
        World, address, id, registered, terminated, unstarted, voter, world,
    };

    fn with_input<T>(world: &World, judge: impl FnOnce(&ReapInput<'_>) -> T) -> T {
        world.with_input(&id(9), judge)
    }

    fn named(world: &World, member: u8) -> Option<Result<OperatorRemoval, ReapRefusal>> {
        with_input(world, |input| named_by_operator(input, MemberId(member.into())))
    }

    /// The third voter is silent, and no registration explains it.
    fn orphan() -> World {
        let mut world = world(terminated());
        world.registrations.retain(|found| found.instance != id(3));
        world
    }

    #[test]
    fn an_operator_may_have_a_member_removed_that_no_registration_explains() {
        assert_eq!(named(&orphan(), 3), Some(Ok(OperatorRemoval::Unexplained)));
        let mut learner = orphan();
        learner.members.0[2] = unstarted(3);
        assert_eq!(named(&learner, 3), Some(Ok(OperatorRemoval::Unexplained)));
        assert_eq!(named(&orphan(), 7), None, "it is not listed");
    }

    #[test]
    fn the_operators_decision_replaces_only_the_missing_registration() {
        let mut answers = orphan();
        answers.members.0[2].answers = true;
        assert_eq!(named(&answers, 3), Some(Err(ReapRefusal::Answers)));
        let mut address_lives = orphan();
        address_lives.live.insert(address(3), id(3));
        assert_eq!(named(&address_lives, 3), Some(Err(ReapRefusal::AddressLives(id(3)))));
        address_lives.live.insert(address(3), id(9));
        assert_eq!(named(&address_lives, 3), Some(Err(ReapRefusal::AddressHere)));
        let mut no_quorum = orphan();
        no_quorum.members.0[1].answers = false;
        assert_eq!(named(&no_quorum, 3), Some(Err(ReapRefusal::Quorum { answering: 1, rest: 2 })));
    }

    #[test]
    fn a_member_with_a_registration_is_removed_by_the_rules_or_kept() {
        assert_eq!(named(&world(terminated()), 3), Some(Ok(OperatorRemoval::ByRule(RemovalReason::Gone(id(3))))));
        let rows = [
            Presence::State(Ec2State::Running),
            Presence::State(Ec2State::Stopping),
            Presence::AbsentFor(Duration::ZERO),
        ];
        for presence in rows {
            assert_eq!(named(&world(presence.clone()), 3), Some(Err(ReapRefusal::NotGone(id(3)))), "{presence:?}");
        }
        let mut own = world(terminated());
        own.registrations[2] = registered(9, Some(3), None);
        assert_eq!(named(&own, 3), Some(Err(ReapRefusal::Own)));
        let mut no_quorum = world(terminated());
        no_quorum.members.0[1].answers = false;
        assert_eq!(named(&no_quorum, 3), Some(Err(ReapRefusal::Quorum { answering: 1, rest: 2 })));
    }

    #[test]
    fn a_plan_leaves_what_it_keeps_and_may_block_the_next_join() {
        let keep = ReapVerdict::Keep;
        let rows = [
            (vec![], Remaining::Nothing),
            (
                vec![keep(KeepReason::Answers), keep(KeepReason::Own), ReapVerdict::Remove(RemovalReason::Gone(id(3)))],
                Remaining::Nothing,
            ),
            (vec![keep(KeepReason::Answers), keep(KeepReason::NotGone(id(3)))], Remaining::MayRecover),
            (vec![keep(KeepReason::AddressLives(id(3)))], Remaining::MayRecover),
            (vec![keep(KeepReason::Unexplained), keep(KeepReason::NotGone(id(3)))], Remaining::Operator),
            (vec![keep(KeepReason::Quorum)], Remaining::Operator),
        ];
        for (plan, expected) in rows {
            assert_eq!(remaining(&plan), expected, "{plan:?}");
        }
    }

    #[test]
    fn only_absence_has_a_grace_that_is_waited_for() {
        let grace = Duration::from_secs(300);
        let rows = [
            (Presence::AbsentFor(Duration::from_secs(100)), Some((id(3), Duration::from_secs(200)))),
            (Presence::AbsentFor(grace), None),
            (Presence::State(Ec2State::Running), None),
            (terminated(), None),
        ];
        for (presence, expected) in rows {
            let found = with_input(&world(presence.clone()), |input| {
                grace_left(input, &crate::model::membership::reaping::plan(input))
            });
            assert_eq!(found, expected, "{presence:?}");
        }
    }

    #[test]
    fn an_operator_cannot_end_a_join_whose_lease_is_current() {
        let mut joining = world(Presence::State(Ec2State::Running));
        joining.members.0[2] = Member { name: String::new(), learner: true, ..voter(3, false) };
        joining.registrations[2] = registered(3, None, Some(5));
        assert_eq!(named(&joining, 3), Some(Err(ReapRefusal::NotGone(id(3)))), "its lease is current");
        joining.registrations[2].lease_nonce = Some(Nonce::parse("00000000-0000-4000-8000-000000000004").unwrap());
        assert_eq!(named(&joining, 3), Some(Ok(OperatorRemoval::ByRule(RemovalReason::GivenUp(id(3))))));
    }
}
