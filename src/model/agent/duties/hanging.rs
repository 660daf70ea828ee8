//! A voter that hangs: its machine runs, and its etcd does not answer. The group is asked to replace it, one at a time.

use super::ending::others;
use super::{Decided, Duty, Sight};
use crate::model::agent::Ending;
use crate::model::agent::enough::{PATIENCE, enough_stays};
use crate::model::duration::in_words;
use crate::model::machine::group::{Ec2State, Group, GroupMember, Lifecycle};
use crate::model::membership::members::{Member, Members};
use std::time::Duration;

/// Between two machines that are replaced for this.
pub const NOT_AGAIN_WITHIN: Duration = Duration::from_hours(1);

/// Adds the replacement of a voter that hangs.
pub(super) fn decide(sight: &Sight, decided: &mut Decided) {
    if sight.rules.unhealthy_after.is_zero() {
        return;
    }
    let (Some(members), Some(group)) = (&sight.members, &sight.group) else { return };
    for member in members.voters().filter(|member| !member.answers) {
        let Some(machine) = sight.owner(member).and_then(|owner| group.member(&owner.instance)) else { continue };
        let silent = sight.silent.get(&member.id).copied().unwrap_or_default();
        if !runs(machine) || machine.instance == sight.me || silent < sight.rules.unhealthy_after {
            continue;
        }
        match may_replace(sight, group, members, member, machine) {
            Ok(()) => decided.duties.push(Duty::Replace(machine.instance.clone())),
            Err(why) => decided.waits.push(format!(
                "{} has not answered for {} and is not replaced: {why}",
                machine.instance,
                in_words(sight.rules.unhealthy_after)
            )),
        }
    }
}

/// Whether it is in service, and nobody has given it up yet.
fn runs(machine: &GroupMember) -> bool {
    machine.healthy && machine.lifecycle == Lifecycle::InService && machine.ec2 == Some(Ec2State::Running)
}

fn may_replace(
    sight: &Sight,
    group: &Group,
    members: &Members,
    member: &Member,
    machine: &GroupMember,
) -> Result<(), String> {
    if sight.replaced.is_some_and(|ago| ago < NOT_AGAIN_WITHIN) {
        return Err(format!("another was replaced within {}", in_words(NOT_AGAIN_WITHIN)));
    }
    // What the group retains and etcd does not list is out already, and stays until somebody ends it.
    let is_out = |other: &&GroupMember| other.lifecycle.is_retained() && members.at(&other.addresses).is_none();
    if let Some(busy) = group.members.iter().filter(|other| !is_out(other)).find(|other| is_under_way(other)) {
        return Err(format!("{} comes or goes ({})", busy.instance, busy.lifecycle));
    }
    if members.answering() + 1 != members.voters().count() {
        return Err("it is not the only voter that does not answer".to_owned());
    }
    let others = others(sight, &machine.instance, members);
    let waits = members.voters().find(|other| other.id != member.id && !others.joined.contains(&other.id));
    if let Some(other) = waits {
        return Err(format!("etcd member {} ('{}') is not registered as 'joined'", other.id, other.name));
    }
    if !members.may_remove(member.id) {
        return Err("without it fewer voters would answer than the quorum of the rest needs".to_owned());
    }
    // Nobody else comes: nothing is waited for.
    let ending = Ending { source: "hangs".to_owned(), known_for: PATIENCE, retained: false, left: None };
    enough_stays(members, member.id, &others, &ending).map_err(|why| why.to_string())
}

/// Whether the group is about to add, end or replace this machine.
fn is_under_way(machine: &GroupMember) -> bool {
    let pending = machine.lifecycle.may_serve() && machine.lifecycle != Lifecycle::InService;
    pending || machine.lifecycle.is_terminating() || !machine.healthy
}
