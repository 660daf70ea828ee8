//! `kubeboot up` of a worker: the same loop, with a decision of its own.
//!
//! It reads `join/` and nothing else in the bucket, asks IMDS, and describes nothing: the group and its hooks are named by the settings.
//! What is decided stands in [`crate::model::worker`].

mod context;
mod hook;
mod join;
#[cfg(test)]
mod load;

use super::outages::Outages;
use super::stopwatch::Stopwatch;
use super::terminating::{self, BeingTerminated};
use super::{LAST_STEPS_TIMEOUT, POLL_INTERVAL, StepOutcome, UpOptions, Waiting, at_deadline, time_left};
use crate::exit::Exit;
use crate::host::lock::{self, Lock};
use crate::host::systemd::{notify, unit};
use crate::kubeadm::quiesce::KUBELET;
use crate::kubeadm::worker_state;
use crate::layout::say;
use crate::model::duration::in_words;
use crate::model::worker::snapshot::{LaunchHookState, WorkerLocal};
use crate::model::worker::step::{WorkerStep, WorkerStop, WorkerWait};
use crate::node::point::Point;
use crate::node::{Facts, launch_hook};
use crate::settings::{HookOnFailure, Settings};
use anyhow::{Context, Result, anyhow};
use context::WorkerContext;
use hook::HookAnswer;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks at `join/`: thousands may look at once.
const JOIN_INTERVAL: Duration = Duration::from_secs(4);

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in.
pub(super) async fn run(settings: Settings, options: UpOptions) -> Result<()> {
    let deadline = Instant::now() + settings.deadline;
    if options.dry_run {
        let facts = Facts::gather(settings).await?;
        let session = facts.connect().await?;
        let mut context = WorkerContext::new(facts, &session, None);
        let (_, step) = context.look().await?;
        say(&format!("{}: {step}", step.name()));
        return Ok(());
    }
    let stopwatch = Stopwatch::start("the lock of this machine");
    let lock = Lock::acquire(Path::new(lock::PATH), "kubeboot up", settings.deadline, |reason| {
        tracing::info!("waiting: {reason}");
        notify::status(reason);
    })
    .await?;
    stopwatch.enter("the facts of this machine");
    let facts = Facts::gather(settings).await?;
    facts.remember();
    terminating::must_not_be_leaving(&facts)?;
    let session = facts.connect().await?;
    let mut context = WorkerContext::new(facts, &session, Some(&lock));
    context.stopwatch = stopwatch;
    let ended = tokio::select! {
        biased;
        ended = work(&mut context, deadline) => ended,
        // Dropping the work kills a kubeadm that it has started.
        announced = terminating::announced() => Err(announced.ends()),
    };
    if let Err(error) = &ended
        && error.downcast_ref::<BeingTerminated>().is_none()
    {
        abandon_hook(&context, Exit::of(error)).await;
    }
    context.stopwatch.tell();
    ended
}

/// Until this machine is a node of its cluster. Those that boot at the same moment begin at any time of one interval, so that their first
/// looks ask no more of S3 than the others do.
async fn work(context: &mut WorkerContext, deadline: Instant) -> Result<()> {
    if worker_state::observe(Path::new("/")).context(Exit::Operator)? == WorkerLocal::Fresh {
        context.facts.judge_documents().await?;
        sleep(JOIN_INTERVAL.mul_f64(fastrand::f64())).await;
    }
    until(context, deadline).await
}

/// Gives this machine up, only if the settings say so, another machine could do better, and this one is no node of a cluster.
async fn abandon_hook(context: &WorkerContext, exit: Exit) {
    let local = worker_state::observe(Path::new("/"));
    let is_no_node = matches!(local, Ok(WorkerLocal::Fresh | WorkerLocal::Joining { has_credentials: false, .. }));
    let own = is_own_fault(exit, context.failed.as_ref().map(|failed| failed.exit), context.is_unfit);
    if is_no_node && own && context.facts.settings.launch_hook_on_failure == HookOnFailure::Abandon {
        context.hook.abandon().await;
    }
}

/// Whether another machine could do better than this one: not where all of them wait for the leader, S3, the endpoint or a group. `exit`:
/// what the run has ended in. `failed`: what the last attempt to join has ended in. `is_unfit`: whether this machine was last waited for
/// itself.
fn is_own_fault(exit: Exit, failed: Option<Exit>, is_unfit: bool) -> bool {
    match exit {
        Exit::Kubeadm => failed == Some(Exit::Kubeadm),
        Exit::TryAgain => is_unfit,
        Exit::Done | Exit::Internal | Exit::Usage | Exit::Aws | Exit::Operator => false,
    }
}

async fn until(context: &mut WorkerContext, deadline: Instant) -> Result<()> {
    let mut outages = Outages::default();
    loop {
        let outcome = match pass(context, deadline).await {
            Ok(outcome) => {
                outages.restored();
                outcome
            }
            Err(error) => StepOutcome::Wait(outages.outage(error)?),
        };
        match outcome {
            StepOutcome::Done => return Ok(()),
            StepOutcome::Again if Instant::now() < deadline + LAST_STEPS_TIMEOUT => {}
            StepOutcome::Again => {
                let reason = "its own steps to come to an end".to_owned();
                return Err(out_of_time(context, &Waiting { reason, pause: POLL_INTERVAL, exit: Exit::TryAgain }));
            }
            StepOutcome::Wait(waiting) | StepOutcome::Queue(waiting) => {
                context.wait_log.report(&waiting.reason);
                if Instant::now() >= deadline {
                    return Err(out_of_time(context, &waiting));
                }
                sleep(spread(waiting.pause).min(deadline.saturating_duration_since(Instant::now()))).await;
            }
        }
    }
}

/// The error at the deadline, with what an attempt to join has failed with.
fn out_of_time(context: &WorkerContext, waiting: &Waiting) -> anyhow::Error {
    let after = in_words(context.facts.settings.deadline);
    let gave_up = format!("gave up after {after} ('deadline'), still waiting for {}", waiting.reason);
    let kubeadm_failed = context.failed.as_ref().is_some_and(|failed| failed.exit == Exit::Kubeadm);
    let exit = at_deadline(waiting.exit, kubeadm_failed, false);
    match &context.failed {
        Some(failed) if !waiting.reason.contains(&failed.text) => {
            anyhow!(failed.text.clone()).context(gave_up).context(exit)
        }
        Some(_) | None => anyhow!(gave_up).context(exit),
    }
}

/// One pass: looks, and takes one step.
async fn pass(context: &mut WorkerContext, deadline: Instant) -> Result<StepOutcome> {
    let (seen, step) = context.look().await?;
    context.stopwatch.enter(step.name());
    context.announce(&step);
    context.is_unfit = matches!(step, WorkerStep::Wait(WorkerWait::Unfit(_)));
    if matches!(&step, WorkerStep::Wait(what) if !matches!(what, WorkerWait::Pause { .. })) {
        // What is waited for now is the reason, and no attempt that was made before.
        context.failed = None;
    }
    if seen.hook == LaunchHookState::Due && step.keeps_hook_alive() {
        context.hook.keep_alive().await;
    }
    if step.enters_pool() {
        launch_hook::forget(Path::new("/"))?;
        if seen.hook == LaunchHookState::Due {
            context.hook.enter_pool().await;
        }
    }
    match step {
        WorkerStep::StandBy { .. } => Ok(wait(step.to_string(), JOIN_INTERVAL, Exit::TryAgain)),
        WorkerStep::Wait(what) => Ok(wait(what.to_string(), interval(&what), exit_of(&what))),
        WorkerStep::Stop(why) => {
            let exit = match why {
                WorkerStop::OtherEndpoint { .. } | WorkerStop::OldKubelet { .. } => Exit::Usage,
                WorkerStop::OfControlPlane | WorkerStop::Unexplained { .. } | WorkerStop::OtherCluster(_) => {
                    Exit::Operator
                }
            };
            Err(anyhow!("{why}").context(exit))
        }
        WorkerStep::Wipe(why) => {
            tracing::warn!(reason = %why, "wiping what kubeadm left on this machine");
            context.wipe(&why, seen.hook).await
        }
        WorkerStep::SwitchOffCheck => {
            context.check.settle().await?;
            Point::CheckSwitchedOff.reached();
            Ok(StepOutcome::Again)
        }
        WorkerStep::Join => match time_left::for_attempt(deadline) {
            Err(late) => Ok(wait(late.to_string(), POLL_INTERVAL, Exit::TryAgain)),
            Ok(_) => context.join(&seen, deadline).await,
        },
        WorkerStep::MarkJoined => {
            worker_state::forget_token(Path::new("/"))?;
            Point::TokenForgotten.reached();
            let marked = context.mark_joined()?;
            Point::MemberMarked.reached();
            tracing::info!(node = context.facts.node_name, "this machine has joined");
            Ok(marked)
        }
        WorkerStep::RestartKubelet => {
            unit::restart(KUBELET).await?;
            context.looker.node.restarted = true;
            Ok(StepOutcome::Again)
        }
        WorkerStep::Uncordon => context.uncordon().await,
        WorkerStep::CompleteHook => match context.hook.complete().await? {
            HookAnswer::Settled => {
                Point::HookCompleted.reached();
                launch_hook::set_answered(Path::new("/"), &seen.me)?;
                Point::HookAnswerMarked.reached();
                Ok(StepOutcome::Again)
            }
            HookAnswer::Ahead => Ok(StepOutcome::Wait(context.hook.ahead())),
        },
        WorkerStep::Done => {
            let line = "this machine is a node of its cluster";
            tracing::info!("{line}");
            notify::status(line);
            Ok(StepOutcome::Done)
        }
    }
}

fn wait(reason: String, pause: Duration, exit: Exit) -> StepOutcome {
    StepOutcome::Wait(Waiting { reason, pause, exit })
}

/// How long to pause before the next look: what this machine alone brings about comes within a second or two.
fn interval(what: &WorkerWait) -> Duration {
    match what {
        WorkerWait::Registration { restarted: false, .. } | WorkerWait::ProviderId { .. } | WorkerWait::Kubelet => {
            POLL_INTERVAL
        }
        WorkerWait::Pause { left } => (*left).min(JOIN_INTERVAL),
        _ => JOIN_INTERVAL,
    }
}

/// What a run ends with whose deadline passes at this wait.
fn exit_of(what: &WorkerWait) -> Exit {
    match what {
        WorkerWait::Denied(_) => Exit::Aws,
        other if other.needs_operator() => Exit::Operator,
        _ => Exit::TryAgain,
    }
}

/// The pause, changed by up to a half: what thousands wait for comes at one moment, and they must not come at the next one together.
fn spread(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_given_up_only_for_what_another_one_may_do_better() {
        let rows = [
            // What the run and the last attempt have ended in, whether the machine lacks something, and whether it is given up.
            (Exit::TryAgain, None, false, false),
            (Exit::TryAgain, Some(Exit::TryAgain), false, false),
            (Exit::Aws, Some(Exit::Aws), false, false),
            (Exit::Kubeadm, None, false, false),
            (Exit::Kubeadm, Some(Exit::Kubeadm), false, true),
            (Exit::Operator, Some(Exit::Kubeadm), false, false),
            (Exit::Usage, Some(Exit::Kubeadm), false, false),
            (Exit::TryAgain, None, true, true),
            (Exit::Internal, None, true, false),
        ];
        for (exit, failed, is_unfit, expected) in rows {
            assert_eq!(is_own_fault(exit, failed, is_unfit), expected, "{exit:?} {failed:?} {is_unfit}");
        }
    }
}
