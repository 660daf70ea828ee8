//! Machines that the group ends and whose agents are dead: they are taken out by the leader, and their hooks completed.
//!
//! An agent at work rewrites its registration every half minute. One that has not for two minutes, counted from when this very leader
//! first saw that the machine is ended, is dead; so what another leader saw, or any clock but this one's, decides nothing.

use super::{Decided, Duty, Sight};
use crate::model::agent::Ending;
use crate::model::agent::enough::{Others, enough_stays};
use crate::model::duration::in_words;
use crate::model::machine::group::{Group, GroupMember};
use crate::model::machine::ids::InstanceId;
use crate::model::membership::members::{Member, Members};
use crate::model::membership::reaping::{ReapVerdict, owners};
use crate::model::membership::registration::Registration;
use std::time::Duration;

/// After this time without a sign of life an agent is dead.
pub const DEAD_AFTER: Duration = Duration::from_mins(2);

/// The machines that do not count as running in the group, with what they have registered, if they have: the group ends or retains them, or
/// calls them Unhealthy while their etcd is silent.
pub fn ended<'a>(
    group: Option<&'a Group>,
    members: Option<&'a Members>,
    registrations: &'a [Registration],
) -> impl Iterator<Item = (&'a GroupMember, Option<&'a Registration>)> {
    let is_silent = move |registration: &Registration| {
        let own = |member: &&Member| {
            owners(registrations.iter(), member).iter().any(|owner| owner.instance == registration.instance)
        };
        members.into_iter().flat_map(|members| &members.0).filter(own).any(|member| !member.answers)
    };
    group.into_iter().flat_map(|group| &group.members).filter_map(move |machine| {
        let registration = registrations.iter().find(|found| found.instance == machine.instance);
        let is_ended = machine.lifecycle.is_terminating() || (!machine.healthy && registration.is_some_and(&is_silent));
        is_ended.then_some((machine, registration))
    })
}

/// Adds what is to be done for such machines.
pub(super) fn decide(sight: &Sight, decided: &mut Decided) {
    let Some(members) = &sight.members else { return };
    let mut left = members.clone();
    for (member, verdict) in &sight.judged {
        if matches!(verdict, ReapVerdict::Remove(_)) {
            left.0.retain(|other| other.id != member.id);
        }
    }
    for (machine, registration) in ended(sight.group.as_ref(), sight.members.as_ref(), &sight.registrations) {
        // A record that says otherwise than its machine may have come back: its data may be the last copy.
        let is_explained = registration.is_none_or(|found| found.is_explained_by(&sight.record));
        let is_judged = machine.instance != sight.me && is_explained;
        if !is_judged || sight.is_gone(&machine.instance) {
            continue;
        }
        let quiet = sight.quiet.get(&machine.instance).copied().unwrap_or_default();
        if quiet < DEAD_AFTER {
            // Without what changes from look to look: it is said once.
            decided.waits.push(format!(
                "the group ends {}: it is taken out if its agent gives no sign of life for {}",
                machine.instance,
                in_words(DEAD_AFTER)
            ));
            continue;
        }
        let own: Vec<&Member> = sight.members_of(&machine.instance).collect();
        match own[..] {
            [] if may_complete(sight, machine, registration, members) => {
                decided.duties.push(Duty::CompleteHook(machine.instance.clone()));
            }
            [] => {}
            [member, ..] => match may_take_out(sight, machine, member, &left, quiet) {
                Ok(()) => {
                    left.0.retain(|other| other.id != member.id);
                    decided.duties.push(Duty::TakeOut(member.clone(), machine.instance.clone()));
                }
                Err(why) => decided.waits.push(format!(
                    "the group ends {}, its agent gives no sign of life, and it stays: {why}",
                    machine.instance
                )),
            },
        }
    }
}

fn may_take_out(
    sight: &Sight,
    machine: &GroupMember,
    member: &Member,
    left: &Members,
    quiet: Duration,
) -> Result<(), String> {
    // Somebody else may have a claim to it.
    if sight.owner(member).is_none_or(|owner| owner.instance != machine.instance) {
        return Err(format!("another registration explains etcd member {} as well", member.id));
    }
    if !left.0.iter().any(|other| other.id == member.id) {
        return Err("it is reaped already".to_owned());
    }
    if !left.may_remove(member.id) {
        return Err("without it fewer voters would answer than the quorum of the rest needs".to_owned());
    }
    // This leader's own API server has just let it lead: no answer at all is a question that failed.
    if sight.ready.is_empty() {
        return Err("no API server of the cluster has said that it is ready".to_owned());
    }
    let others = others(sight, &machine.instance, left);
    let ending = Ending {
        source: machine.lifecycle.to_string(),
        known_for: quiet,
        retained: machine.lifecycle.is_retained(),
        left: None,
    };
    enough_stays(left, member.id, &others, &ending).map_err(|why| why.to_string())
}

/// Those that would stay without this machine.
pub(super) fn others(sight: &Sight, instance: &InstanceId, members: &Members) -> Others {
    Others::of(instance, members, &sight.registrations, sight.ready.clone(), sight.group.as_ref())
}

/// Whether its hook waits for nothing any more: a certain list has no member of it, and none at its addresses. Whoever has registered nothing never was a member: everybody registers before joining.
fn may_complete(sight: &Sight, machine: &GroupMember, registration: Option<&Registration>, members: &Members) -> bool {
    let registered = registration.is_some_and(|found| members.at(&found.addresses).is_some());
    let listed = registered || members.at(&machine.addresses).is_some();
    sight.rules.has_hook && machine.lifecycle.waits_to_end() && !listed
}
