//! `kubeboot reset`: leave the cluster when the machine goes down for good, or when an operator says so.
//!
//! Two questions, a plan, its steps; every part has its share of one budget. What fails is logged, and the rest is tried all
//! the same: there is no second try on a machine that is powered off.

pub(crate) mod act;
pub(crate) mod clock;
mod confirm;
mod credentials;
pub(crate) mod last_copy;
mod leadership;
pub(crate) mod members;
pub(crate) mod node;
mod questions;
mod superseded;
pub(crate) mod survey;
mod wipe;
mod worker;

use crate::aws::Session;
use crate::bucket::Roll;
use crate::exit::{Exit, Leaving};
use crate::host::lock::{self, Lock};
use crate::host::systemd::{notify, unit};
use crate::kubeadm::{state, worker_state};
use crate::layout::say;
use crate::model::duration::in_words;
use crate::model::leave::{Budget, GoingDown, LeaveDecision, LeavePlan, Part, ShutdownMode, StayReason, is_permanent};
use crate::model::machine::local::Local;
use crate::model::membership::registration::HookWork;
use crate::node::facts::read_documents;
use crate::node::{BOOT_UNIT, Facts, departure};
use crate::settings::{Role, Settings};
use anyhow::{Context, Result, anyhow};
use clock::Clock;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use survey::Survey;

/// What `reset` was asked for beside the settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResetOptions {
    /// Leave although the machine does not go down, and wipe it afterwards.
    pub now: bool,
    /// Do not ask an operator to confirm that.
    pub yes: bool,
    /// Say what would be done and why, and touch nothing.
    pub dry_run: bool,
}

/// One run on a machine that may have something to leave. `kubeboot agent` leaves by the same code, for a terminate hook.
#[derive(Clone)]
pub(crate) struct ResetContext {
    pub(crate) facts: Facts,
    pub(crate) session: Session,
    pub(crate) roll: Roll,
    pub(crate) clock: Clock,
    /// Whether an operator wants to leave now, and a fresh machine.
    now: bool,
    /// What it does in its terminate hook, where that is why it leaves.
    hook: Option<HookWork>,
}

/// Runs the command.
///
/// # Errors
/// With the [`Exit`] it ends in; then nothing was touched, or an operator must see to the rest.
pub async fn run(settings: Settings, options: ResetOptions) -> Result<Leaving> {
    if settings.role == Role::Worker {
        return worker::run(settings, options).await;
    }
    let clock = Clock::start(Budget(settings.leave_budget));
    if options.dry_run {
        return dry_run(settings, options, clock).await;
    }
    if options.now {
        return now(settings, options, clock).await;
    }
    let answer = questions::going_down(&clock).await;
    let GoingDown::Down(way) = answer else { return Ok(stayed(&format!("going down? {answer}"))) };
    tracing::info!("going down? {answer}");
    if local(&settings)? == Local::Fresh {
        return Ok(stayed(&StayReason::NothingHere.to_string()));
    }
    let reset = ResetContext::begin(settings, clock, false).await?;
    let decision = reset.is_permanent(way).await;
    if let LeaveDecision::Stay(_) = decision {
        return Ok(stayed(&format!("for good? {decision}")));
    }
    tracing::info!("for good? {decision}");
    let lock = reset.lock().await;
    if let Err(error) = &lock {
        tracing::warn!("going on without this machine's lock: {error:#}");
    }
    reset.leave(lock.ok().as_ref()).await
}

/// For an operator: the plan is shown and confirmed first, and the lock keeps every other run away.
async fn now(settings: Settings, options: ResetOptions, clock: Clock) -> Result<Leaving> {
    worker_state::must_be_no_worker(Path::new("/")).context(Exit::Operator)?;
    let local = local(&settings)?;
    if local == Local::Fresh {
        departure::remove(Path::new("/")).context(Exit::Operator)?;
        return Ok(stayed(&StayReason::NothingHere.to_string()));
    }
    let mut reset = ResetContext::begin(settings, clock, true).await?;
    if let Some(claim) = superseded::claim(&reset, &local).await {
        return superseded::wipe(&reset, &claim, options.yes).await;
    }
    if !options.yes {
        let plan = Survey::take(&reset, &local).await.plan;
        if let LeavePlan::Leave(steps) = &plan {
            confirm::ask(&reset.facts.machine.instance, steps).await?;
        }
        // The budget is for the work. It begins when the operator has confirmed.
        reset.clock = Clock::start(reset.clock.budget());
    }
    let lock = reset.lock().await?;
    reset.leave(Some(&lock)).await
}

/// Says what would be done. It takes no lock and changes nothing.
async fn dry_run(settings: Settings, options: ResetOptions, clock: Clock) -> Result<Leaving> {
    let answer = questions::going_down(&clock).await;
    say(&format!("going down? {}", if options.now { "not asked, for --now".to_owned() } else { answer.to_string() }));
    let local = local(&settings)?;
    let reset = ResetContext::begin(settings, clock, options.now).await?;
    match (options.now, answer) {
        (true, _) => say("for good? not asked, for --now"),
        (false, GoingDown::Down(way)) => say(&format!("for good? {}", reset.is_permanent(way).await)),
        (false, GoingDown::ComesBack(_) | GoingDown::NotDown) => {
            say(&format!("for good? if it were powered off, {}", reset.is_permanent(ShutdownMode::Poweroff).await));
        }
    }
    if let Some(why) = superseded::nothing_to_leave(&reset.facts.machine.instance) {
        say(&format!("plan: stay: {why}"));
        return Ok(Leaving::Stayed);
    }
    match Survey::take(&reset, &local).await.plan {
        LeavePlan::Stay(why) => say(&format!("plan: stay: {why}")),
        LeavePlan::Leave(steps) => {
            say(&format!("plan, within {}:", in_words(reset.clock.budget().0)));
            steps.iter().for_each(|step| say(&format!("  {}: {step}", step.name())));
        }
    }
    Ok(Leaving::Left)
}

/// What the disk says, before AWS or the cluster is asked.
fn local(settings: &Settings) -> Result<Local> {
    let documents = read_documents(settings.kubeadm_config.as_deref()).context(Exit::Usage)?;
    state::observe(Path::new("/"), documents.data_dir()).context(Exit::Operator)
}

/// Stops the unit that runs `up`, and with it its timer: it would make this machine join again within minutes. The next boot
/// starts it, or whoever starts it now.
async fn keep_up_out() {
    let stopped =
        async { if unit::show(BOOT_UNIT).await?.is_installed() { unit::stop(BOOT_UNIT).await } else { Ok(()) } };
    if let Err(error) = stopped.await {
        tracing::warn!("'kubeboot up' may make this machine join again: {error:#}");
    }
}

/// The end of a run that has nothing to do, in one line.
fn stayed(why: &str) -> Leaving {
    tracing::info!("stayed: {why}");
    notify::status(&format!("stayed: {why}"));
    Leaving::Stayed
}

impl ResetContext {
    async fn begin(settings: Settings, clock: Clock, now: bool) -> Result<Self> {
        let facts = Facts::gather_within(settings, clock.left(Part::Questions)).await?;
        let session = facts.connect().await?;
        Ok(Self { facts, roll: Roll::new(&session.store), session, clock, now, hook: None })
    }

    /// The same for `kubeboot agent`, with a budget of its own for each attempt.
    ///
    /// # Errors
    /// As [`Facts::gather_within`].
    pub(crate) async fn for_hook(settings: Settings) -> Result<Self> {
        let clock = Clock::start(Budget(settings.leave_budget));
        Ok(Self { hook: Some(HookWork::Leaving), ..Self::begin(settings, clock, false).await? })
    }

    /// The same with its whole budget before it.
    pub(crate) fn anew(&self) -> Self {
        Self { clock: Clock::start(self.clock.budget()), ..self.clone() }
    }

    /// The second question: whether it goes down for good.
    async fn is_permanent(&self, way: ShutdownMode) -> LeaveDecision {
        let time_limit = self.clock.left(Part::Questions);
        is_permanent(way, &questions::outlook(&self.facts, &self.session, time_limit).await)
    }

    /// This machine's lock, after ending an `up` that is at work. Another `reset` is not ended: it does the same.
    async fn lock(&self) -> Result<Lock> {
        let command = if self.now { "kubeboot reset --now" } else { "kubeboot reset" };
        let others = |holder: &str| !holder.starts_with("kubeboot reset");
        let log = |reason: &str| tracing::info!("waiting: {reason}");
        Lock::acquire_preempting(Path::new(lock::PATH), command, self.clock.left(Part::Lock), others, log).await
    }

    /// Looks, plans and carries it out.
    async fn leave(&self, lock: Option<&Lock>) -> Result<Leaving> {
        // Looked at anew: an `up` that was ended here may have left another state than before.
        let local = state::observe(Path::new("/"), self.facts.documents.data_dir()).context(Exit::Operator)?;
        if let Some(why) = superseded::nothing_to_leave(&self.facts.machine.instance) {
            return if self.now {
                Err(anyhow!(
                    "this machine does not leave: {why}; it is wiped once the record is 'ready' again and S3 shows it"
                )
                .context(Exit::Operator))
            } else {
                Ok(stayed(why))
            };
        }
        let survey = Survey::take(self, &local).await;
        match &survey.plan {
            LeavePlan::Stay(StayReason::NothingHere) => Ok(stayed(&StayReason::NothingHere.to_string())),
            LeavePlan::Stay(why) if self.now => {
                Err(anyhow!("this machine does not leave: {why}").context(Exit::Operator))
            }
            LeavePlan::Stay(why) => {
                if survey.plan.wants_last_copy() {
                    last_copy::upload(self, &why.to_string(), &AtomicBool::new(false)).await;
                }
                Ok(stayed(&why.to_string()))
            }
            LeavePlan::Leave(steps) => {
                for step in steps {
                    tracing::info!(step = step.name(), "planned: {step}");
                }
                if self.now {
                    keep_up_out().await;
                }
                let leaving = Box::pin(act::carry_out(self, &survey, &local, lock));
                if self.now {
                    return leaving.await;
                }
                let has_left = AtomicBool::new(false);
                if !survey.plan.wants_last_copy() {
                    let left = leaving.await?;
                    if left == Leaving::Stayed {
                        // The others have left meanwhile, and nobody else has what is here.
                        last_copy::upload(self, &StayReason::LastVoter.to_string(), &has_left).await;
                    }
                    return Ok(left);
                }
                // The quorum may come back meanwhile: then the others have what is here.
                let leaving = async {
                    let left = leaving.await;
                    has_left.store(matches!(left, Ok(Leaving::Left)), Relaxed);
                    left
                };
                tokio::join!(leaving, last_copy::upload(self, "too few voters answer for a quorum", &has_left)).0
            }
        }
    }
}
