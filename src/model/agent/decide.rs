//! One observation in, one step out.

use super::enough::{PATIENCE, enough_stays};
use super::hook::HookView;
use super::observation::{ClaimHere, Departure, Ending, Observation};
use super::saving;
use super::step::{AgentStep, Answer, Hold, Rest};
use crate::model::leave::plan::Blocked;
use crate::model::leave::{LeavePlan, LeaveStep, StayReason};
use crate::model::machine::local::{Local, Stage};

/// Decides on the next step.
#[must_use]
pub fn decide(seen: &Observation) -> AgentStep {
    let Some(ending) = &seen.ending else { return AgentStep::Watch };
    match way_out(seen, ending) {
        Ok(answer) => answered(seen, ending, answer),
        Err(step) => step,
    }
}

/// Why the hook may be answered, or the step that comes before that.
fn way_out(seen: &Observation, ending: &Ending) -> Result<Answer, AgentStep> {
    if seen.departure == Some(Departure::Left) {
        return Ok(Answer::Left);
    }
    if let Some(way_out) = saving::of_mark(seen, ending) {
        return way_out;
    }
    if let Some(way_out) = of_own_claim(seen) {
        return way_out;
    }
    if never_member(seen) {
        return Ok(Answer::NeverMember);
    }
    if is_emptied_member(seen) {
        return Err(AgentStep::Hold(Hold::Registered));
    }
    match &seen.plan {
        LeavePlan::Stay(StayReason::LastVoter) => Err(of_last_voter(seen, ending)),
        LeavePlan::Stay(StayReason::InitNotFinished) => Err(AgentStep::Hold(Hold::Blocked(Blocked::Unknown(
            "no etcd answers as that of this machine's cluster".to_owned(),
        )))),
        LeavePlan::Stay(StayReason::NothingHere) => Err(AgentStep::Hold(Hold::Data)),
        LeavePlan::Stay(why) => Err(AgentStep::Hold(Hold::Disk(why.clone()))),
        LeavePlan::Leave(steps) => Err(by_plan(seen, ending, steps)),
    }
}

/// A claim of this machine that has not become a cluster.
fn of_own_claim(seen: &Observation) -> Option<Result<Answer, AgentStep>> {
    match &seen.claim {
        // A marker from an earlier time may lie beside a member's data.
        ClaimHere::Mine | ClaimHere::Superseded if seen.registered_member == Some(true) => {
            Some(Err(AgentStep::Hold(Hold::Registered)))
        }
        ClaimHere::Superseded if seen.init_given_up => Some(Ok(Answer::InitGivenUp)),
        ClaimHere::Mine | ClaimHere::Superseded => Some(Err(AgentStep::StepDown)),
        ClaimHere::Unknown(why) => Some(Err(AgentStep::Hold(Hold::ClaimUnknown(why.clone())))),
        // It landed after this machine, or an `up` on it, had stopped: the cluster's first voter must not stay down.
        ClaimHere::Flipped if seen.is_stopped => Some(Err(AgentStep::ServeAgain)),
        ClaimHere::Flipped | ClaimHere::Nothing => None,
    }
}

/// Whether this machine certainly never was a member: its disk never held a member's data, and it never registered a member.
fn never_member(seen: &Observation) -> bool {
    let nothing_known = !seen.has_data && seen.registered_member == Some(false);
    // S3 may be silent: no state here says that it has begun.
    let nothing_begun = !seen.has_data && seen.registered_member != Some(true);
    match &seen.local {
        Local::Fresh => nothing_begun,
        // Without credentials kubeadm has announced no member.
        Local::HalfMade { stage: Stage::Joining, .. } if seen.plan == LeavePlan::Stay(StayReason::NotBegun) => {
            nothing_begun
        }
        Local::HalfMade { stage: Stage::Joining, .. } | Local::Unexplained { .. } => nothing_known,
        Local::HalfMade { stage: Stage::Initializing, .. } => false,
        // A disk of another machine: that one's member is not this machine's, and its data may be the last.
        Local::Made { .. } => matches!(seen.plan, LeavePlan::Stay(StayReason::AnotherInstances(_))) && nothing_known,
    }
}

/// Whether nothing is left here of a member that this machine is registered as: it may still be listed.
fn is_emptied_member(seen: &Observation) -> bool {
    let begun = !matches!(seen.plan, LeavePlan::Stay(StayReason::NothingHere | StayReason::NotBegun));
    !begun && !seen.has_data && seen.registered_member == Some(true)
}

fn by_plan(seen: &Observation, ending: &Ending, steps: &[LeaveStep]) -> AgentStep {
    let blocked = steps.iter().find_map(|step| match step {
        LeaveStep::RemoveOwnWhenPossible(why) => Some(why.clone()),
        LeaveStep::Lease
        | LeaveStep::RegisterLeaving
        | LeaveStep::Reap(..)
        | LeaveStep::MoveLeader(_)
        | LeaveStep::RemoveOwn(_)
        | LeaveStep::DeleteNode
        | LeaveStep::RegisterLeft
        | LeaveStep::Wipe => None,
    });
    if let Some(why) = blocked {
        if matches!(why, Blocked::NoQuorum { .. }) && saving::must_upload(seen, ending) {
            return AgentStep::Upload;
        }
        return AgentStep::Hold(Hold::Blocked(why));
    }
    // Not listed, or with external etcd: what is left is its Node.
    let Some((members, own)) = seen.own_member() else { return AgentStep::Leave };
    let Some(others) = &seen.others else { return AgentStep::Hold(Hold::OthersUnknown(seen.others_unknown.clone())) };
    match enough_stays(members, own, others, ending) {
        Ok(()) => AgentStep::Leave,
        Err(why) => AgentStep::Hold(Hold::NotEnough(why)),
    }
}

/// All data of the cluster is on this machine.
fn of_last_voter(seen: &Observation, ending: &Ending) -> AgentStep {
    if let Some(step) = saving::of_last_voter(seen, ending) {
        return step;
    }
    if ending.left.is_some() {
        return AgentStep::Hold(Hold::LastVoterTaken);
    }
    let is_kept = seen.retains && !ending.retained && seen.hook == HookView::Waits;
    match seen.alone_for.filter(|_| is_kept && seen.desired.is_some_and(|desired| desired > 0)) {
        // A group that was alone before it ended this machine has not looked for another one yet.
        Some(alone) if alone.min(ending.known_for) >= PATIENCE => AgentStep::Abandon,
        Some(_) => AgentStep::Hold(Hold::Alone),
        None => AgentStep::Hold(Hold::LastVoter { desired: seen.desired }),
    }
}

/// The hook may be answered: whether there is one that waits for that.
fn answered(seen: &Observation, ending: &Ending, answer: Answer) -> AgentStep {
    match &seen.hook {
        _ if ending.retained => AgentStep::Rest(answer, Rest::Retained),
        HookView::Waits => AgentStep::Answer(answer),
        HookView::Unnamed => AgentStep::Rest(answer, Rest::Unnamed),
        HookView::Ahead => AgentStep::Rest(answer, Rest::Ahead),
        HookView::Over => AgentStep::Rest(answer, Rest::Over),
    }
}

#[cfg(test)]
pub(super) mod tests;
