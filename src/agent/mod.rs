//! `kubeboot agent`: one long-running service on every node: observe, decide, act.
//!
//! It asks IMDS every two seconds and the group once a minute, until one of them says that this machine is being terminated. Then it
//! leaves the cluster by the code of `kubeboot reset`, or says why the machine stays for now, and answers the terminate hook. It never
//! initialises and never joins. Beside that it takes part in the election of the one that does for all what one must do.

mod duties;
mod hook;
mod lead;
mod leave;
mod look;
mod notices;
mod renewing;
mod save;
mod serve;
mod since;
mod step_down;
mod watch;
mod worker;

use crate::aws::Session;
use crate::aws::hook::HookResult;
use crate::host::lock::{self, Lock};
use crate::host::signals::asked_to_stop;
use crate::host::systemd::notify;
use crate::kubeadm::{quiesce, state};
use crate::model::agent::served::events::NodeEvent;
use crate::model::agent::served::{AgentState, HoldReason};
use crate::model::agent::{AgentStep, Observation, decide};
use crate::model::machine::ids::ClaimId;
use crate::model::membership::registration::HookWork;
use crate::node::Facts;
use crate::node::election::Told;
use crate::node::settling::{Settled, settle};
use crate::reset::{ResetContext, act, last_copy};
use crate::settings::{Role, Settings};
use anyhow::{Context, Result};
use hook::TerminateHook;
use lead::{Candidacy, Channels};
use look::{Look, Looker};
use renewing::Renewing;
use serve::Board;
use since::EndingSince;
use std::convert::Infallible;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch as channel};
use tokio::time::{Instant, sleep, timeout};
use watch::Watch;

/// Between two questions to IMDS.
const IDLE_INTERVAL: Duration = Duration::from_secs(2);
/// Between two looks of a machine that is being terminated and stays for now, or has nothing left to do.
const HOLD_INTERVAL: Duration = Duration::from_secs(5);
/// How long IMDS may be late at boot; then systemd starts the agent again.
const IMDS_TIMEOUT: Duration = Duration::from_secs(120);
/// How long one attempt to get this machine's lock takes. An `up` that sees what the agent sees ends at once.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long giving up what it leads may take when the agent ends: less than the unit's `TimeoutStopSec`.
const END_TIMEOUT: Duration = Duration::from_secs(8);
/// Who holds the lock, for people. `up` and `reset` come first: `reset` ends this holder, and `up` waits for at most one attempt.
const COMMAND: &str = "kubeboot agent";

/// Runs the command until a signal ends it.
///
/// # Errors
/// With the [`Exit`](crate::exit::Exit) it ends in, when it cannot begin.
pub async fn run(settings: Settings) -> Result<()> {
    // On the heap, as everything large that is waited for below: one inside the other they are more than a stack holds.
    match settings.role {
        Role::ControlPlane => Box::pin(control_plane(settings)).await,
        Role::Worker => Box::pin(worker::run(settings)).await,
    }
}

async fn control_plane(settings: Settings) -> Result<()> {
    let mut stop = pin!(asked_to_stop());
    let begun = tokio::select! {
        biased;
        begun = begin(&settings) => begun?,
        signal = &mut stop => {
            tracing::info!("stopped by {}", signal?);
            return Ok(());
        }
    };
    let (facts, session) = begun;
    let (part, may) = channel::channel(Candidacy::Free);
    let (sees_trouble, trouble) = channel::channel(false);
    let (told, leader) = channel::channel(Told::default());
    let (words, leads) = channel::channel(String::new());
    let (board, events) = Board::new();
    let channels = Channels { part: may, trouble, told, words, board: board.clone() };
    let mut lead = pin!(lead::take_part(facts.clone(), session.clone(), channels));
    let beside = Beside { part, sees_trouble, leads };
    let ended = tokio::select! {
        biased;
        never = agent(settings, &facts, &session, (board, events), leader, &beside) => match never {},
        // It ends only when the agent does.
        () = &mut lead => Ok(()),
        // The work is dropped between two of its steps; what it has begun, the next agent goes on with.
        signal = &mut stop => signal.map(|signal| tracing::info!("stopped by {signal}")),
    };
    beside.part.send_replace(Candidacy::Stopped);
    if timeout(END_TIMEOUT, lead).await.is_err() {
        tracing::warn!("what this agent leads is not given up in time, so others wait until it has run out");
    }
    ended
}

async fn begin(settings: &Settings) -> Result<(Facts, Session)> {
    let facts = Facts::gather_within(settings.clone(), IMDS_TIMEOUT).await?;
    let session = facts.connect().await?;
    Ok((facts, session))
}

async fn agent(
    settings: Settings,
    facts: &Facts,
    session: &Session,
    (board, events): (Board, mpsc::Receiver<NodeEvent>),
    leader: channel::Receiver<Told>,
    beside: &Beside,
) -> Infallible {
    let mut watch = Watch::new(session, facts, board.clone());
    let mut renewing = Renewing::new(settings.clone());
    let mut agent = Agent {
        hook: TerminateHook::new(session, facts),
        looker: Looker::new(session, facts),
        settings,
        since: EndingSince::load(),
        said: String::new(),
        board: board.clone(),
    };
    notify::alive();
    notify::ready();
    tokio::select! {
        never = agent.watch_over(&mut watch, &mut renewing, beside) => match never {},
        never = serve::serve(facts.clone(), board, events, leader) => match never {},
    }
}

/// What the loop tells the agent's part in the election, and hears of it.
struct Beside {
    part: channel::Sender<Candidacy>,
    sees_trouble: channel::Sender<bool>,
    /// What a leader does, in words for the status line.
    leads: channel::Receiver<String>,
}

/// Says it where it is new.
fn tell<T: PartialEq>(channel: &channel::Sender<T>, value: T) {
    channel.send_if_modified(|known| {
        let is_new = *known != value;
        *known = value;
        is_new
    });
}

/// What the agent holds while it loops.
struct Agent {
    settings: Settings,
    hook: TerminateHook,
    looker: Looker,
    /// Since when it has been known that the machine is being terminated.
    since: EndingSince,
    /// What was said last.
    said: String,
    /// What is served of it.
    board: Board,
}

impl Agent {
    /// One pass after the other.
    async fn watch_over(&mut self, watch: &mut Watch, renewing: &mut Renewing, beside: &Beside) -> Infallible {
        loop {
            notify::alive();
            let states = watch.look().await;
            let known_for = self.since.known_for();
            tell(&beside.sees_trouble, watch.sees_trouble());
            match watch.ending(known_for) {
                None => {
                    // A source that is silent does not take back what was known: the group alone knows of no Spot notice.
                    if states.target.is_some() {
                        self.since.forget();
                    }
                    renewing.go_on();
                    tell(&beside.part, Candidacy::Free);
                    let words = format!("{}{}", watch.describe(self.hook.name()), *beside.leads.borrow());
                    self.say(&words);
                    self.board.passes(AgentState::Watching, &words);
                    sleep(IDLE_INTERVAL).await;
                }
                Some(ending) => {
                    tell(&beside.part, Candidacy::Terminating);
                    renewing.stop().await;
                    self.since.begin();
                    self.looker.ending = Some((ending, states));
                    self.looker.named = watch.group();
                    let pause = Box::pin(self.pass(watch)).await;
                    let group = self.looker.hook_group();
                    self.hook.beside(group, HookWork::Holding, sleep(pause)).await;
                }
            }
        }
    }

    /// One pass of a machine that is being terminated; how long to pause afterwards.
    async fn pass(&mut self, watch: &mut Watch) -> Duration {
        match self.try_pass(watch).await {
            Ok(pause) => pause,
            Err(error) => {
                let words = format!("this machine is being terminated, and stays for now: {error:#}");
                self.say(&words);
                self.board.passes(AgentState::Holding(HoldReason::Failed), &words);
                HOLD_INTERVAL
            }
        }
    }

    async fn try_pass(&mut self, watch: &mut Watch) -> Result<Duration> {
        let reset = ResetContext::for_hook(self.settings.clone()).await?;
        // Without the lock first: a machine that only holds must be in nobody's way.
        let step = self.decide(&reset).await?;
        let waits_to_answer = matches!(step, AgentStep::Answer(_) | AgentStep::Abandon) && !self.hook.may_answer();
        if !step.wants_lock() || waits_to_answer {
            return Ok(HOLD_INTERVAL);
        }
        let waits = |why: &str| tracing::info!("waiting: {why}");
        let lock = Lock::acquire(Path::new(lock::PATH), COMMAND, LOCK_TIMEOUT, waits);
        let lock = self.hook.beside(self.looker.hook_group(), HookWork::Holding, lock).await?;
        // A look without a quorum, and the wait for the lock, take so long that what ends this machine may have been taken back.
        let looked = self.hook.beside(self.looker.hook_group(), HookWork::Holding, watch.look()).await;
        let Some(ending) = watch.ending(self.since.known_for()) else { return Ok(Duration::ZERO) };
        self.looker.ending = Some((ending, looked));
        // What was seen before may be what `up` has ended with.
        let reset = reset.anew();
        let step = self.decide(&reset).await?;
        let done = Box::pin(self.act(&step, &reset)).await;
        drop(lock);
        done
    }

    async fn decide(&mut self, reset: &ResetContext) -> Result<AgentStep> {
        self.hook.begin(self.looker.group_name()).await;
        self.looker.hook_lasts = self.hook.lasts();
        let (group, answered) = (self.looker.hook_group(), self.hook.is_answered());
        let look = Box::pin(self.looker.look(reset, answered));
        let Look { seen, .. } = self.hook.beside(group, HookWork::Holding, look).await?;
        let step = decide(&seen);
        self.announce(&seen, &step);
        Ok(step)
    }

    /// Takes the step, and returns how long to pause afterwards.
    async fn act(&mut self, step: &AgentStep, reset: &ResetContext) -> Result<Duration> {
        let (group, answered) = (self.looker.hook_group(), self.hook.is_answered());
        match step {
            AgentStep::StepDown => {
                self.hook.beside(group, HookWork::Holding, step_down::step_down(reset)).await?;
                self.looker.init_given_up = true;
                Ok(Duration::ZERO)
            }
            AgentStep::ServeAgain => {
                quiesce::serve_again().await?;
                // A published cluster is not given up any more.
                self.looker.init_given_up = false;
                Ok(HOLD_INTERVAL)
            }
            AgentStep::Leave => {
                let leave = Box::pin(leave::leave(&mut self.looker, reset, answered));
                match self.hook.beside(group, HookWork::Leaving, leave).await? {
                    None => Ok(Duration::ZERO),
                    Some(step) => {
                        self.say(&step.to_string());
                        self.board.passes(AgentState::of(&step), &step.to_string());
                        Ok(HOLD_INTERVAL)
                    }
                }
            }
            AgentStep::Save(why) => {
                let claim = self.own_claim(reset)?;
                let saving = Box::pin(save::save(&mut self.looker, reset, &claim, *why));
                let (settled, failed) = self.hook.beside(group, HookWork::Leaving, saving).await?;
                self.looker.not_saved =
                    failed.filter(|_| settled == Settled::PutBack).map(|error| (Instant::now(), format!("{error:#}")));
                Ok(Duration::ZERO)
            }
            AgentStep::Upload => {
                let mut go_on = |_| Ok(());
                let saving = last_copy::save(reset, COMMAND, &mut go_on);
                let manifest = self.hook.beside(group, HookWork::Holding, saving).await?;
                tracing::warn!(snapshot = manifest.key, "saved this machine's etcd, unconfirmed");
                self.looker.uploaded = true;
                Ok(Duration::ZERO)
            }
            AgentStep::Settle => {
                let claim = self.own_claim(reset)?;
                let settling = settle(&reset.facts, &reset.session.store, &claim);
                self.hook.beside(group, HookWork::Holding, settling).await?;
                Ok(Duration::ZERO)
            }
            AgentStep::Answer(_) => {
                self.hook.answer(self.looker.group_name(), HookResult::Continue).await;
                Ok(Duration::ZERO)
            }
            AgentStep::Abandon => {
                let confirmed = self.looker.must_be_kept(reset);
                self.hook.beside(group, HookWork::Holding, confirmed).await?;
                self.hook.answer(self.looker.group_name(), HookResult::Abandon).await;
                Ok(Duration::ZERO)
            }
            AgentStep::Watch | AgentStep::Hold(_) | AgentStep::Rest(..) => Ok(HOLD_INTERVAL),
        }
    }

    /// The claim of the data on this machine's disk.
    fn own_claim(&self, reset: &ResetContext) -> Result<ClaimId> {
        let local = state::observe(Path::new("/"), reset.facts.documents.data_dir())?;
        act::claim_of(&local).cloned().context("the marker of this machine's state names no claim")
    }

    /// Says what is decided, with what the hook adds to it.
    fn announce(&mut self, seen: &Observation, step: &AgentStep) {
        let source = seen.ending.as_ref().map_or("", |ending| &ending.source);
        let hook = self.hook.describe().map(|words| format!("; {words}")).unwrap_or_default();
        let words = format!("this machine is being terminated ({source}): {step}{hook}");
        self.say(&words);
        self.board.passes(AgentState::of(step), &words);
    }

    /// To systemd and, where it is new, to the log.
    fn say(&mut self, text: &str) {
        let served = self.board.trouble().map(|trouble| format!("; {trouble}")).unwrap_or_default();
        let text = format!("{text}{served}");
        if self.said != text {
            tracing::info!("{text}");
            notify::status(&text);
            self.said = text;
        }
    }
}
