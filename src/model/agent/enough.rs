//! Whether enough of the cluster stays when this machine leaves it: voters alone serve nobody.

use super::observation::Ending;
use crate::model::duration::in_words;
use crate::model::machine::group::Group;
use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::membership::members::{Member, Members, quorum};
use crate::model::membership::registration::{Registration, RegistrationPhase};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// How long a machine waits for one that joins, rather than leave a single one behind.
pub const PATIENCE: Duration = Duration::from_mins(10);
/// With less than this left of a Spot notice a machine leaves without one that serves in its place: it serves nobody any more either
/// way, and a voter that is taken without leaving may cost the quorum.
pub const LAST_CHANCE: Duration = Duration::from_mins(1);

/// The machines beside this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others {
    /// Members whose machines are registered as `joined`.
    pub joined: Vec<MemberId>,
    /// Addresses at which an API server of the cluster says that it is ready, this machine's own among them.
    pub ready: Vec<IpAddr>,
    /// Candidates of the group that are no voters yet.
    pub newcomers: Vec<InstanceId>,
}

impl Others {
    /// Puts together what the registrations, the API servers and the group say of these members.
    #[must_use]
    pub fn of(
        me: &InstanceId,
        members: &Members,
        registrations: &[Registration],
        ready: Vec<IpAddr>,
        group: Option<&Group>,
    ) -> Self {
        let is_joined = |member: &&Member| {
            registrations.iter().any(|found| {
                found.instance != *me
                    && found.phase == RegistrationPhase::Joined
                    && found.member_id.is_none_or(|id| id == member.id)
                    && member.is_at(&found.addresses)
            })
        };
        let joined = members.voters().filter(is_joined).map(|member| member.id).collect();
        let has_vote = |addresses: &[IpAddr]| members.at(addresses).is_some_and(Member::is_started_voter);
        let candidates = group.iter().flat_map(|group| &group.members).filter(|member| member.is_candidate());
        let newcomers = candidates.filter(|member| member.instance != *me && !has_vote(&member.addresses));
        Self { joined, ready, newcomers: newcomers.map(|member| member.instance.clone()).collect() }
    }
}

/// Why a member stays for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotEnough {
    /// No other voter that answers is registered as `joined` and has a ready API server.
    NobodyServes,
    /// It would leave a single machine behind, while these are about to join.
    Joining {
        /// Who joins.
        newcomers: Vec<InstanceId>,
        /// How long they are waited for.
        left: Duration,
    },
    /// The group retains this machine, so nothing is in a hurry, and without it the cluster would bear fewer failures.
    CostsTolerance {
        /// How long to wait for others at most.
        left: Duration,
    },
}

/// Whether enough stays when the member `own` goes, beside the quorum, which the plan for leaving has judged.
///
/// # Errors
/// Why not.
pub fn enough_stays(members: &Members, own: MemberId, others: &Others, ending: &Ending) -> Result<(), NotEnough> {
    // A learner has no vote, and nobody is served by it.
    if members.0.iter().any(|member| member.id == own && member.learner) {
        return Ok(());
    }
    let rest: Vec<&Member> = members.voters().filter(|member| member.id != own).collect();
    let serves =
        |member: &&&Member| member.answers && others.joined.contains(&member.id) && member.is_at(&others.ready);
    // Where no API server is ready at all, nobody is served by staying.
    let is_last_chance = ending.left.is_some_and(|left| left < LAST_CHANCE);
    if !is_last_chance && !others.ready.is_empty() && !rest.iter().any(|member| serves(&member)) {
        return Err(NotEnough::NobodyServes);
    }
    let left = PATIENCE.saturating_sub(ending.known_for);
    // A Spot notice waits for nobody who joins.
    if left.is_zero() || ending.left.is_some() {
        return Ok(());
    }
    if rest.len() == 1 && !others.newcomers.is_empty() {
        return Err(NotEnough::Joining { newcomers: others.newcomers.clone(), left });
    }
    let answering = rest.iter().filter(|member| member.answers).count();
    if ending.retained && answering.saturating_sub(quorum(rest.len())) < members.fault_tolerance() {
        return Err(NotEnough::CostsTolerance { left });
    }
    Ok(())
}

impl fmt::Display for NotEnough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyServes => f.write_str(
                "no other voter is registered as 'joined' with a ready API server, so nobody would serve without this machine",
            ),
            Self::Joining { newcomers, left: _ } => {
                let names: Vec<_> = newcomers.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "it would leave a single machine behind while {} is about to join, which it waits for {} at most",
                    names.join(", "),
                    in_words(PATIENCE)
                )
            }
            Self::CostsTolerance { left: _ } => write!(
                f,
                "the group retains this machine, and without it the cluster would bear fewer failures: it waits for another one, {} at most",
                in_words(PATIENCE)
            ),
        }
    }
}

#[cfg(test)]
mod tests;
