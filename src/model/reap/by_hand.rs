//! Reaping by hand: what an operator may have removed beyond the rules, what a plan leaves standing, and for whom it pays
//! to wait.

use super::{Keep, Remove, Scene, Verdict, judge};
use crate::model::ids::{InstanceId, MemberId};
use crate::model::instances::Seen;
use crate::model::members::Member;
use std::fmt;
use std::time::Duration;

/// Why a member goes that an operator has named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lawful {
    /// It would have gone by the rules.
    ByRule(Remove),
    /// Nobody explains it, and the operator has decided.
    Unexplained,
}

/// Why a member stays though an operator has named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It answers.
    Answers,
    /// It is this machine's own.
    Own,
    /// Its machine is not certainly gone.
    NotGone(InstanceId),
    /// This machine has its address.
    AddressHere,
    /// Another living instance has its address.
    AddressLives(InstanceId),
    /// Without it fewer voters would answer than the quorum of the rest wants.
    Quorum {
        /// Voters that answer and stay.
        answering: usize,
        /// Voters that stay.
        rest: usize,
    },
}

/// Judges one member that an operator wants removed. `None` when it is not listed. The operator's word stands for the
/// registration that is missing, and for nothing else.
#[must_use]
pub fn by_hand(scene: &Scene<'_>, id: MemberId) -> Option<Result<Lawful, Refusal>> {
    let member = scene.members.0.iter().find(|member| member.id == id)?;
    let lawful = match judge(scene, member) {
        Verdict::Remove(why) => Ok(Lawful::ByRule(why)),
        Verdict::Keep(Keep::Unexplained) => unexplained(scene, member),
        Verdict::Keep(Keep::Answers) => Err(Refusal::Answers),
        Verdict::Keep(Keep::Own) => Err(Refusal::Own),
        Verdict::Keep(Keep::NotGone(owner)) => Err(Refusal::NotGone(owner)),
        Verdict::Keep(Keep::AddressLives(other)) => Err(Refusal::AddressLives(other)),
        Verdict::Keep(Keep::Quorum) => Err(quorum(scene, id)),
    };
    Some(lawful.and_then(|lawful| if scene.members.may_remove(id) { Ok(lawful) } else { Err(quorum(scene, id)) }))
}

/// Whoever lives at its address may be its machine, whose registration was lost.
fn unexplained(scene: &Scene<'_>, member: &Member) -> Result<Lawful, Refusal> {
    match member.peer_addresses.iter().find_map(|address| scene.live_addresses.get(address)) {
        Some(instance) if instance == scene.me => Err(Refusal::AddressHere),
        Some(instance) => Err(Refusal::AddressLives(instance.clone())),
        None => Ok(Lawful::Unexplained),
    }
}

fn quorum(scene: &Scene<'_>, id: MemberId) -> Refusal {
    let rest: Vec<_> = scene.members.voters().filter(|member| member.id != id).collect();
    Refusal::Quorum { answering: rest.iter().filter(|member| member.answers).count(), rest: rest.len() }
}

/// What a carried-out plan leaves in the way of the next machine that joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// Members that may yet answer, or whose machines may yet be found gone.
    MayMend,
    /// Members about which an operator must decide.
    Operator,
}

/// What a plan leaves.
pub fn left<'a>(plan: impl IntoIterator<Item = &'a Verdict>) -> Left {
    let of = |verdict: &Verdict| match verdict {
        Verdict::Remove(_) | Verdict::Keep(Keep::Answers | Keep::Own) => Left::Nothing,
        Verdict::Keep(Keep::NotGone(_) | Keep::AddressLives(_)) => Left::MayMend,
        Verdict::Keep(Keep::Unexplained | Keep::Quorum) => Left::Operator,
    };
    plan.into_iter().map(of).max().unwrap_or(Left::Nothing)
}

/// The machine of a kept member that EC2 leaves out of its answers, though not for long enough to be believed, and how
/// long that will take.
#[must_use]
pub fn soon_gone(scene: &Scene<'_>, plan: &[(Member, Verdict)]) -> Option<(InstanceId, Duration)> {
    plan.iter().find_map(|(_, verdict)| match verdict {
        Verdict::Keep(Keep::NotGone(owner)) => match scene.instances.0.get(owner) {
            Some(Seen::AbsentFor(absent)) => {
                scene.gone_grace.checked_sub(*absent).filter(|left| !left.is_zero()).map(|left| (owner.clone(), left))
            }
            Some(Seen::State(_)) | None => None,
        },
        Verdict::Keep(Keep::Answers | Keep::Own | Keep::Unexplained | Keep::AddressLives(_) | Keep::Quorum)
        | Verdict::Remove(_) => None,
    })
}

impl Lawful {
    /// A word for programs. It stays the same when the text changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ByRule(why) => Verdict::Remove(why.clone()).code(),
            Self::Unexplained => "by-hand",
        }
    }
}

impl fmt::Display for Lawful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByRule(why) => why.fmt(f),
            Self::Unexplained => f.write_str("no registration explains it, and an operator has decided"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answers => f.write_str(
                "it answers, so its machine lives: run 'kubeboot up' on that machine, which registers it, or terminate the machine",
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
                "the living instance {other} has its address: run 'kubeboot up' there, which registers it or removes it"
            ),
            Self::Quorum { answering, rest } => write!(
                f,
                "without it {answering} of {rest} voters would answer, fewer than the quorum wants: bring back another voter first"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, address, id, registered, terminated, unstarted, voter, world};
    use super::*;
    use crate::model::group::Ec2State;
    use crate::model::ids::Nonce;

    fn seen<T>(world: &World, look: impl FnOnce(&Scene<'_>) -> T) -> T {
        world.seen_by(&id(9), look)
    }

    fn named(world: &World, member: u8) -> Option<Result<Lawful, Refusal>> {
        seen(world, |scene| by_hand(scene, MemberId(member.into())))
    }

    /// The third voter is silent, and nobody says whose it is.
    fn orphan() -> World {
        let mut world = world(terminated());
        world.registrations.retain(|found| found.instance != id(3));
        world
    }

    #[test]
    fn an_operator_may_name_a_member_that_nobody_explains() {
        assert_eq!(named(&orphan(), 3), Some(Ok(Lawful::Unexplained)));
        let mut learner = orphan();
        learner.members.0[2] = unstarted(3);
        assert_eq!(named(&learner, 3), Some(Ok(Lawful::Unexplained)));
        assert_eq!(named(&orphan(), 7), None, "it is not listed");
    }

    #[test]
    fn the_operators_word_stands_for_the_missing_registration_alone() {
        let mut answers = orphan();
        answers.members.0[2].answers = true;
        assert_eq!(named(&answers, 3), Some(Err(Refusal::Answers)));
        let mut address_lives = orphan();
        address_lives.live.insert(address(3), id(3));
        assert_eq!(named(&address_lives, 3), Some(Err(Refusal::AddressLives(id(3)))));
        address_lives.live.insert(address(3), id(9));
        assert_eq!(named(&address_lives, 3), Some(Err(Refusal::AddressHere)));
        let mut no_quorum = orphan();
        no_quorum.members.0[1].answers = false;
        assert_eq!(named(&no_quorum, 3), Some(Err(Refusal::Quorum { answering: 1, rest: 2 })));
    }

    #[test]
    fn what_somebody_explains_goes_by_the_rules_or_stays() {
        assert_eq!(named(&world(terminated()), 3), Some(Ok(Lawful::ByRule(Remove::Gone(id(3))))));
        let rows = [Seen::State(Ec2State::Running), Seen::State(Ec2State::Stopping), Seen::AbsentFor(Duration::ZERO)];
        for seen in rows {
            assert_eq!(named(&world(seen.clone()), 3), Some(Err(Refusal::NotGone(id(3)))), "{seen:?}");
        }
        let mut own = world(terminated());
        own.registrations[2] = registered(9, Some(3), None);
        assert_eq!(named(&own, 3), Some(Err(Refusal::Own)));
        let mut no_quorum = world(terminated());
        no_quorum.members.0[1].answers = false;
        assert_eq!(named(&no_quorum, 3), Some(Err(Refusal::Quorum { answering: 1, rest: 2 })));
    }

    #[test]
    fn what_a_plan_leaves() {
        let keep = Verdict::Keep;
        let rows = [
            (vec![], Left::Nothing),
            (vec![keep(Keep::Answers), keep(Keep::Own), Verdict::Remove(Remove::Gone(id(3)))], Left::Nothing),
            (vec![keep(Keep::Answers), keep(Keep::NotGone(id(3)))], Left::MayMend),
            (vec![keep(Keep::AddressLives(id(3)))], Left::MayMend),
            (vec![keep(Keep::Unexplained), keep(Keep::NotGone(id(3)))], Left::Operator),
            (vec![keep(Keep::Quorum)], Left::Operator),
        ];
        for (plan, expected) in rows {
            assert_eq!(left(&plan), expected, "{plan:?}");
        }
    }

    #[test]
    fn absence_is_waited_for_and_nothing_else_is() {
        let grace = Duration::from_secs(300);
        let rows = [
            (Seen::AbsentFor(Duration::from_secs(100)), Some((id(3), Duration::from_secs(200)))),
            (Seen::AbsentFor(grace), None),
            (Seen::State(Ec2State::Running), None),
            (terminated(), None),
        ];
        for (word, expected) in rows {
            let found = seen(&world(word.clone()), |scene| soon_gone(scene, &super::super::plan(scene)));
            assert_eq!(found, expected, "{word:?}");
        }
    }

    #[test]
    fn a_lawful_join_under_way_is_not_for_an_operator_to_end() {
        let mut joining = world(Seen::State(Ec2State::Running));
        joining.members.0[2] = Member { name: String::new(), learner: true, ..voter(3, false) };
        joining.registrations[2] = registered(3, None, Some(5));
        assert_eq!(named(&joining, 3), Some(Err(Refusal::NotGone(id(3)))), "its lease is current");
        joining.registrations[2].lease_nonce = Some(Nonce::parse("00000000-0000-4000-8000-000000000004").unwrap());
        assert_eq!(named(&joining, 3), Some(Ok(Lawful::ByRule(Remove::GivenUp(id(3))))));
    }
}
