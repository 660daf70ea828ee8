//! `kubeboot up`: observe, decide, act, until done or out of time.

mod attempt;
mod claim;
mod clean_up;
mod compare;
mod context;
mod evidence;
mod failed_attempt;
mod former;
mod hook;
mod init;
mod join;
mod keep;
pub mod last_error;
mod loss;
mod membership;
mod observe;
mod outages;
mod own_files;
mod own_node;
mod prefetch;
mod record;
mod reporting;
mod restore;
mod saved_snapshot;
mod source_dest_check;
mod stopwatch;
mod superseded;
mod terminating;
mod time_left;
mod versions;
mod wait_log;
mod worker;

use crate::aws::with_exit;
use crate::exit::{Exit, causes};
use crate::guard;
use crate::host::lock::{self, Lock};
use crate::host::short_lived::ShortLived;
use crate::kubeadm::worker_state;
use crate::layout::say;
use crate::model::duration::in_words;
use crate::model::machine::local::Local;
use crate::model::up::decide::decide;
use crate::model::up::give_up::Hindrance;
use crate::model::up::snapshot::Snapshot;
use crate::model::up::step::{StandBy, Step, Stop, Wait};
use crate::model::up::timeline::LOOK;
use crate::node::Facts;
use crate::node::fitness;
use crate::node::leaving_unit::LeavingUnit;
use crate::settings::{Role, Settings};
use anyhow::{Context, Result, anyhow};
use context::UpContext;
use failed_attempt::FailedAttempt;
use outages::Outages;
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;
use stopwatch::Stopwatch;
use terminating::BeingTerminated;
use tokio::time::{Instant, sleep};

/// What `up` was asked for beside the settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpOptions {
    /// Say what would be done next and why, and touch nothing.
    pub dry_run: bool,
    /// The operator accepts that this group has replaced the one in the record.
    pub accept_group: bool,
}

/// What came of one step.
enum StepOutcome {
    /// This machine is what it should be.
    Done,
    /// Look again at once.
    Again,
    /// Look again after a pause.
    Wait(Waiting),
    /// The same, with nothing in the way but what was there before, or those who come first.
    Queue(Waiting),
}

/// A wait, with its reason.
struct Waiting {
    /// For what.
    reason: String,
    /// How long to pause before the next look.
    pause: Duration,
    /// What `up` ends with when its deadline passes here.
    exit: Exit,
}

/// Between two looks of a machine that waits.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The same while a voter lacks nothing but EC2's word on its source/destination check.
const CHECK_INTERVAL: Duration = Duration::from_secs(15);
/// The same while several machines wait for one claim.
const CONTENDED_INTERVAL: Duration = Duration::from_millis(250);

/// How long steps may go on after the deadline, so that what is under way can end. Steps that undo each other, as of two groups
/// that both claim a record, must not go on for ever.
const LAST_STEPS_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in.
pub async fn run(settings: Settings, options: UpOptions) -> Result<()> {
    let ended = match settings.role {
        Role::ControlPlane => Box::pin(control_plane(settings, options)).await,
        Role::Worker => Box::pin(worker::run(settings, options)).await,
    };
    // What comes before the loop, and a dry run, wait for nothing.
    ended.map_err(with_exit)
}

async fn control_plane(settings: Settings, options: UpOptions) -> Result<()> {
    let deadline = Instant::now() + settings.deadline;
    if options.dry_run {
        worker_state::must_be_no_worker(Path::new("/")).context(Exit::Operator)?;
        return dry_run(UpContext::new(Facts::gather(settings).await?, None, options).await?).await;
    }
    let stopwatch = Stopwatch::start("the lock of this machine");
    let lock = Lock::acquire(Path::new(lock::PATH), "kubeboot up", settings.deadline, |reason| {
        tracing::info!("waiting: {reason}");
        crate::host::systemd::notify::status(reason);
    })
    .await?;
    stopwatch.enter("the facts of this machine");
    LeavingUnit::arm_if_begun().await;
    let facts = Facts::gather(settings).await?;
    facts.remember();
    terminating::must_not_be_leaving(&facts)?;
    worker_state::must_be_no_worker(Path::new("/")).context(Exit::Operator)?;
    let mut context = UpContext::new(facts, Some(&lock), options).await?;
    context.report.stopwatch = stopwatch;
    let work = async {
        judge_documents(&context).await?;
        until(&mut context, deadline).await
    };
    let mut ended = tokio::select! {
        biased;
        ended = work => ended,
        // Dropping the work kills a kubeadm that it has started, and gives the lock to whoever takes this machine out of its cluster.
        announced = terminating::announced() => Err(announced.ends()),
    };
    if ended.as_ref().is_err_and(|error| error.downcast_ref::<BeingTerminated>().is_some()) {
        // What this machine has registered stands: the agent and `reset` decide.
        context.report.stopwatch.tell();
        return ended;
    }
    if let Err(error) = ended {
        ended = Err(with_loss(&mut context, error).await);
    }
    if let Err(error) = &ended {
        context.report.give_up(error).await;
        context.abandon_hook(Exit::of(error)).await;
    }
    context.report.stopwatch.tell();
    ended
}

/// On a machine that may have to make or to join a cluster: nothing is claimed and nobody queues for what kubeadm will refuse.
async fn judge_documents(context: &UpContext) -> Result<()> {
    match context.local()? {
        Local::Made { .. } => Ok(()),
        Local::Fresh | Local::HalfMade { .. } | Local::Unexplained { .. } => context.facts.judge_documents().await,
    }
}

/// If the quorum is lost, adds all that is known about that to the error.
async fn with_loss(context: &mut UpContext, error: anyhow::Error) -> anyhow::Error {
    let exit = Exit::of(&error);
    if !matches!(exit, Exit::Operator | Exit::TryAgain) {
        return error;
    }
    match context.loss().await {
        Some(known) => anyhow!("{known}").context(causes(&error).join(": ")).context(exit),
        None => error,
    }
}

/// Prints the next step. It takes no lock, so it makes credentials in a folder of its own, and removes them.
async fn dry_run(mut context: UpContext) -> Result<()> {
    let folder = ShortLived::new("dry-run")?;
    context.membership.credentials_folder = folder.path().join("credentials");
    let (_, mut step) = look(&mut context).await?;
    // Whoever answers is asked in the background. There is no next pass that would take the answers in.
    if step == Step::Wait(Wait::ApiServers) {
        context.membership.api_servers.finish().await;
        context.membership.probe.forget_evidence();
        (_, step) = look(&mut context).await?;
    }
    say(&format!("{}: {step}", step.name()));
    Ok(())
}

async fn until(context: &mut UpContext, deadline: Instant) -> Result<()> {
    let mut outages = Outages::default();
    loop {
        let outcome = match Box::pin(pass(context, &mut outages, deadline)).await {
            // Who stands in a queue has not come to what was denied.
            Ok(outcome @ StepOutcome::Queue(_)) => outcome,
            Ok(outcome) => {
                outages.restored();
                outcome
            }
            Err(error) => {
                let waiting = outages.outage(error)?;
                // A wait like any other, and perhaps a long one.
                context.launch_hook.keep_alive(context.group.last()).await;
                StepOutcome::Wait(waiting)
            }
        };
        if let Some(hindrance) = hindrance(&outcome, context.report.failed.as_ref()) {
            context.report.hindrance = context.report.hindrance.followed_by(hindrance);
        }
        match outcome {
            StepOutcome::Done => return Ok(()),
            StepOutcome::Again if Instant::now() < deadline + LAST_STEPS_TIMEOUT => {}
            StepOutcome::Again => {
                let reason = "its own steps to come to an end".to_owned();
                context.report.hindrance = Hindrance::Shared;
                return Err(out_of_time(context, &Waiting { reason, pause: POLL_INTERVAL, exit: Exit::TryAgain }));
            }
            StepOutcome::Wait(waiting) | StepOutcome::Queue(waiting) => {
                context.report.waits(&waiting.reason).await;
                context.report.waited = Some((waiting.reason.clone(), waiting.exit));
                if Instant::now() >= deadline {
                    return Err(out_of_time(context, &waiting));
                }
                let pause = jittered(waiting.pause).min(deadline.saturating_duration_since(Instant::now()));
                tokio::select! {
                    () = sleep(pause) => {}
                    never = context.launch_hook.beats(context.group.last()) => match never {},
                }
            }
        }
    }
}

/// What is in this machine's way, if it does not go on at once, its last attempt having failed with this. A wait that ends in a failure
/// of kubeadm is for its own next attempt.
fn hindrance(outcome: &StepOutcome, failed: Option<&FailedAttempt>) -> Option<Hindrance> {
    match outcome {
        StepOutcome::Done | StepOutcome::Again => None,
        StepOutcome::Queue(_) => Some(Hindrance::Queue),
        StepOutcome::Wait(Waiting { exit: Exit::Kubeadm, .. }) if failed.is_none_or(|failed| !failed.is_shared) => {
            Some(Hindrance::Kubeadm)
        }
        StepOutcome::Wait(_) => Some(Hindrance::Shared),
    }
}

/// The error at the deadline. If an init or join has failed in this run, the error says so, whatever is waited for at this moment.
fn out_of_time(context: &UpContext, waiting: &Waiting) -> anyhow::Error {
    let after = in_words(context.facts.settings.deadline);
    let gave_up = anyhow!("gave up after {after} ('deadline'), still waiting for {}", waiting.reason);
    let failed = context.report.failed.as_ref();
    let kubeadm_failed = failed.is_some_and(|failed| failed.exit == Exit::Kubeadm);
    let exit = at_deadline(waiting.exit, kubeadm_failed, context.membership.probe.has_lost_quorum());
    match (failed, waiting.exit) {
        (Some(failed), Exit::TryAgain | Exit::Kubeadm) if !waiting.reason.contains(&failed.text) => {
            anyhow!(failed.text.clone()).context(gave_up.to_string()).context(exit)
        }
        (_, _) => gave_up.context(exit),
    }
}

/// What `up` ends with at its deadline, by what is waited for. A failure of kubeadm counts more than what may pass by itself. A lost
/// quorum counts more than both: it is the reason why kubeadm fails then, and no next run changes it.
fn at_deadline(waiting: Exit, kubeadm_failed: bool, quorum_lost: bool) -> Exit {
    match waiting {
        Exit::TryAgain | Exit::Kubeadm if quorum_lost => Exit::Operator,
        Exit::TryAgain if kubeadm_failed => Exit::Kubeadm,
        Exit::Done | Exit::Internal | Exit::Usage | Exit::TryAgain | Exit::Aws | Exit::Kubeadm | Exit::Operator => {
            waiting
        }
    }
}

/// Observes and decides, twice where the step wants that. This machine itself is looked at only where the step depends on it.
async fn look(context: &mut UpContext) -> Result<(Snapshot, Step)> {
    context.report.stopwatch.enter(LOOK);
    if matches!(context.local(), Ok(Local::Fresh)) {
        context.fitness.begin(&context.facts, &context.store);
    }
    let mut seen = context.observe().await?;
    let mut step = decide(&seen, context.policy());
    // Whoever has just been promoted may have said only now that it joins.
    let newcomers = matches!(step, Step::Wait(Wait::Voters { .. })) && !seen.silent_lately.is_empty();
    let reused = context.membership.probe.evidence_reused;
    if step.wants_anew(reused) || newcomers && reused {
        context.membership.probe.forget_evidence();
        seen = context.observe().await?;
        step = decide(&seen, context.policy());
    }
    if step.wants_fit_machine(&seen.local) {
        seen.defects = context.fitness.defects(&context.facts, &context.store, step == Step::Join).await;
        step = decide(&seen, context.policy());
    }
    if step == Step::Rejoin {
        seen.defects = fitness::volume_for_certain(context.facts.documents.data_dir()).await.into_iter().collect();
        step = decide(&seen, context.policy());
    }
    Ok((seen, step))
}

/// One pass: looks, and takes one step.
async fn pass(context: &mut UpContext, outages: &mut Outages, deadline: Instant) -> Result<StepOutcome> {
    context.manifests_aside.put_back_if_whole(Path::new("/"), &context.facts.machine.instance);
    let (seen, step) = look(context).await?;
    if let Some(late) = time_left::too_late(&step, deadline) {
        // What was in the way until now is what an operator must know.
        return Ok(StepOutcome::Queue(context.report.waited.as_ref().map_or(late, |(reason, exit)| Waiting {
            reason: reason.clone(),
            pause: POLL_INTERVAL,
            exit: *exit,
        })));
    }
    context.report.stopwatch.enter(step.at());
    context.report.announce(&step);
    if step.keeps_hook_alive() {
        context.launch_hook.keep_alive(context.group.last()).await;
    }
    outages.in_group(step != Step::StandBy(StandBy::NotInGroup))?;
    if step.brings_in() {
        context.source_dest_check.settle().await?;
    }
    let beats = context.launch_hook.beats(context.group.last());
    match step {
        Step::StandBy(StandBy::Lifecycle(state)) if state.is_terminating() => {
            Err(BeingTerminated(format!("the group says {state}")).ends())
        }
        Step::StandBy(why) => Ok(StepOutcome::Wait(stand_by(&why))),
        _ if context.end_saving().await? => Ok(StepOutcome::Again),
        Step::Wait(what) => {
            if what.leaves_time() && seen.local == Local::Fresh {
                context.prefetch.begin(&context.facts);
            }
            // Most answer at once. What proves that there is a cluster is to be read after them, right before a claim.
            if what == Wait::ApiServers && context.membership.api_servers.finish_within(CONTENDED_INTERVAL).await {
                context.membership.probe.forget_evidence();
            }
            let waiting = wait(&what, context.fitness.pause());
            Ok(if what.is_queue() { StepOutcome::Queue(waiting) } else { StepOutcome::Wait(waiting) })
        }
        Step::Stop(why) => {
            if let Stop::DataOfAnother { listed, .. } = &why {
                guard::keep_from_starting(Path::new("/"), *listed)
                    .with_context(|| why.to_string())
                    .context(Exit::Operator)?;
            }
            let exit = if why.is_about_settings() { Exit::Usage } else { Exit::Operator };
            Err(anyhow!("{why}").context(exit))
        }
        Step::Wipe(why) => beside(beats, context.wipe(&why)).await,
        Step::Claim(_) | Step::TakeOver(_) | Step::Resume => context.claim(&seen).await,
        // The claim that is held says which of the two it is.
        Step::Init | Step::Restore => Box::pin(beside(beats, context.init(deadline))).await,
        Step::SetAside { claim_id } => context.set_aside(&claim_id).await,
        Step::Yield => context.step_down().await,
        Step::AcceptGroup => context.accept_group(&seen).await,
        Step::Rejoin => context.rejoin(&seen),
        Step::Join => Box::pin(beside(beats, context.join(&seen, deadline))).await,
        Step::Keep => {
            let kept = context.keep(&seen).await?;
            // A voter is registered and its hook completed whatever EC2 says: its attribute waits for nobody else.
            if matches!(kept, StepOutcome::Done)
                && let Err(error) = context.source_dest_check.settle().await
            {
                return Ok(StepOutcome::Wait(Waiting { pause: CHECK_INTERVAL, ..outages.outage(error.into())? }));
            }
            Ok(kept)
        }
    }
}

/// A step that may take minutes, with the launch hook kept alive meanwhile.
async fn beside(
    beats: impl Future<Output = Infallible>,
    step: impl Future<Output = Result<StepOutcome>>,
) -> Result<StepOutcome> {
    tokio::select! {
        biased;
        outcome = step => outcome,
        never = beats => match never {},
    }
}

fn stand_by(why: &StandBy) -> Waiting {
    Waiting { reason: format!("this machine's turn to serve: {why}"), pause: POLL_INTERVAL, exit: Exit::TryAgain }
}

/// `mending`: how long a machine with a defect waits before it looks at itself again.
fn wait(what: &Wait, mending: Duration) -> Waiting {
    let exit = if what.needs_operator_at_deadline() { Exit::Operator } else { Exit::TryAgain };
    let pause = match what {
        Wait::Turn { left, .. } => (*left).min(POLL_INTERVAL),
        Wait::Holder { .. } => CONTENDED_INTERVAL,
        // They were waited for by then.
        Wait::ApiServers => Duration::ZERO,
        Wait::Snapshot { .. } => CONTENDED_INTERVAL,
        Wait::Unfit { .. } => mending,
        Wait::Settle { .. }
        | Wait::Cluster { .. }
        | Wait::Voters { .. }
        | Wait::Quorum { .. }
        | Wait::OwnMember
        | Wait::Record
        | Wait::Registrations { .. }
        | Wait::DataGone { .. }
        | Wait::DataOfAnother { .. }
        | Wait::SnapshotUnfit(_)
        | Wait::ForeignData { .. } => POLL_INTERVAL,
    };
    Waiting { reason: what.to_string(), pause, exit }
}

/// The pause, changed by up to an eighth, so that identical machines do not ask at the same moment.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.875 + fastrand::f64() / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failure_of_kubeadm_is_a_reason_to_give_this_machine_up() {
        let waiting = |exit| Waiting { reason: String::new(), pause: POLL_INTERVAL, exit };
        for exit in Exit::ALL {
            let expected = if exit == Exit::Kubeadm { Hindrance::Kubeadm } else { Hindrance::Shared };
            // What the attempt failed with, and whether another machine would fail with it, too.
            for (is_shared, expected) in [(None, expected), (Some(false), expected), (Some(true), Hindrance::Shared)] {
                let failed = is_shared.map(|is_shared| FailedAttempt { text: String::new(), exit, is_shared });
                let met = |outcome| hindrance(&outcome, failed.as_ref());
                assert_eq!(met(StepOutcome::Wait(waiting(exit))), Some(expected), "{exit} {is_shared:?}");
                assert_eq!(met(StepOutcome::Queue(waiting(exit))), Some(Hindrance::Queue), "{exit}");
            }
            assert_eq!(exit.may_abandon(), exit == Exit::Kubeadm, "{exit}");
        }
        assert_eq!((hindrance(&StepOutcome::Again, None), hindrance(&StepOutcome::Done, None)), (None, None));
    }

    #[test]
    fn a_lost_quorum_outranks_a_failed_kubeadm_and_that_what_may_mend() {
        let rows = [
            // What is waited for, whether kubeadm has failed, whether quorum is lost.
            (Exit::TryAgain, false, false, Exit::TryAgain),
            (Exit::TryAgain, true, false, Exit::Kubeadm),
            (Exit::TryAgain, false, true, Exit::Operator),
            (Exit::TryAgain, true, true, Exit::Operator),
            (Exit::Kubeadm, true, false, Exit::Kubeadm),
            (Exit::Kubeadm, true, true, Exit::Operator),
            (Exit::Operator, false, false, Exit::Operator),
            (Exit::Operator, true, false, Exit::Operator),
            (Exit::Operator, true, true, Exit::Operator),
            // That AWS refuses is neither's fault.
            (Exit::Aws, true, false, Exit::Aws),
            (Exit::Aws, true, true, Exit::Aws),
        ];
        for (waiting, kubeadm_failed, quorum_lost, expected) in rows {
            assert_eq!(
                at_deadline(waiting, kubeadm_failed, quorum_lost),
                expected,
                "{waiting:?} {kubeadm_failed} {quorum_lost}"
            );
        }
    }
}
