//! The agent of a worker. It asks IMDS every two seconds and describes nothing; when its machine is being terminated it drains it and
//! answers the terminate hook, with kubelet's own credentials. Beside that it restarts a kubelet whose Node is gone.

use super::hook::TerminateHook;
use super::notices::Notices;
use super::serve::{self, Board};
use super::since::EndingSince;
use super::watch::Source;
use super::{HOLD_INTERVAL, IDLE_INTERVAL, begin};
use crate::aws::hook::HookResult;
use crate::aws::{Session, imds};
use crate::host::lock::{self, Lock};
use crate::host::signals::asked_to_stop;
use crate::host::systemd::{notify, unit};
use crate::kubeadm::quiesce::KUBELET;
use crate::kubeadm::worker_state::{self, KUBELET_CONF};
use crate::model::agent::served::{AgentState, HoldReason, Source as Asked};
use crate::model::agent::{Departure, Ending, HookView};
use crate::model::leave::InstanceStates;
use crate::model::membership::registration::HookWork;
use crate::model::worker::decide::awaited;
use crate::model::worker::leave::{PodsView, WorkerLeaveStep, WorkerLeaving, decide};
use crate::model::worker::revive::{NodeView, restarts_kubelet};
use crate::model::worker::snapshot::WorkerLocal;
use crate::model::worker::step::{WorkerWait, is_pooled};
use crate::node::draining::Draining;
use crate::node::election::Told;
use crate::node::worker_node::WorkerNode;
use crate::node::{Facts, departure, launch_hook};
use crate::settings::Settings;
use anyhow::Result;
use aws_config::imds::client::Client;
use std::convert::Infallible;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep};

/// Between two looks at the Node, changed by up to a half: thousands look.
const NODE_INTERVAL: Duration = Duration::from_secs(20);
/// Between two passes of a machine that is being drained: a Spot notice leaves two minutes.
const DRAIN_INTERVAL: Duration = Duration::from_secs(2);

/// Runs the command until a signal ends it.
///
/// # Errors
/// With the [`Exit`](crate::exit::Exit) it ends in, when it cannot begin.
pub(super) async fn run(settings: Settings) -> Result<()> {
    let mut stop = pin!(asked_to_stop());
    let (facts, session) = tokio::select! {
        biased;
        begun = begin(&settings) => begun?,
        signal = &mut stop => {
            tracing::info!("stopped by {}", signal?);
            return Ok(());
        }
    };
    let (board, events) = Board::new();
    // A worker takes part in no election, so it never knows who leads.
    let (_never, leader) = channel::channel(Told::default());
    let mut agent = WorkerAgent::new(&session, &facts, board.clone());
    notify::alive();
    notify::ready();
    tokio::select! {
        biased;
        never = agent.watch_over() => match never {},
        never = serve::serve(facts.clone(), board, events, leader) => match never {},
        signal = &mut stop => signal.map(|signal| tracing::info!("stopped by {signal}")),
    }
}

/// What the agent holds while it loops.
struct WorkerAgent {
    facts: Facts,
    imds: Client,
    notices: Notices,
    metadata: Source,
    /// The state that the group wants, as IMDS has said last.
    target: Option<String>,
    hook: TerminateHook,
    /// Since when it has been known that the machine is being terminated, by an agent before this one as well.
    since: EndingSince,
    draining: Draining,
    node: WorkerNode,
    /// What is waited for until the Node is there, in words.
    awaited: Option<String>,
    next_look: Instant,
    said: String,
    board: Board,
}

impl WorkerAgent {
    fn new(session: &Session, facts: &Facts, board: Board) -> Self {
        let imds = imds::client();
        Self {
            facts: facts.clone(),
            notices: Notices::new(imds.clone()),
            imds,
            metadata: Source::default(),
            target: None,
            hook: TerminateHook::new(session, facts),
            since: EndingSince::load(),
            draining: Draining::default(),
            node: WorkerNode::default(),
            awaited: None,
            next_look: Instant::now() + spread(NODE_INTERVAL),
            said: String::new(),
            board,
        }
    }

    /// One pass after the other.
    async fn watch_over(&mut self) -> Infallible {
        loop {
            notify::alive();
            let (pause, waits) = match self.ending().await {
                None => {
                    self.revive().await;
                    let hook = self.hook.name().map_or_else(
                        || "drains when this machine is being terminated; 'terminate_hook' names no hook".to_owned(),
                        |name| format!("drains for the terminate hook '{name}'"),
                    );
                    let target = self.target.as_deref().unwrap_or("nothing yet");
                    let notices: String = self.notices.describe().iter().map(|notice| format!("; {notice}")).collect();
                    let node = self.awaited.iter().map(|what| format!("; waiting for {what}")).collect::<String>();
                    self.say(AgentState::Watching, &format!("watching: IMDS says {target}; {hook}{notices}{node}"));
                    (IDLE_INTERVAL, false)
                }
                Some(ending) => (self.pass(ending).await, true),
            };
            let group = self.hook_group();
            let pause = sleep(pause);
            if waits { self.hook.beside(group, HookWork::Leaving, pause).await } else { pause.await }
        }
    }

    /// What ends this machine, by IMDS alone.
    async fn ending(&mut self) -> Option<Ending> {
        self.notices.look().await;
        let answer = imds::target_lifecycle_state(&self.imds).await;
        let heard = answer.is_ok();
        self.board.hear(Asked::Imds, heard);
        if let Some(target) = self.metadata.hear("IMDS", answer) {
            self.target = target;
            // One that is in no group has nothing to be told.
            self.board.knows(true);
            self.forget_answer();
        }
        let states = InstanceStates { target: self.target.clone(), ..InstanceStates::default() };
        let ending = Ending::of(&states, self.notices.spot(), self.since.known_for());
        match &ending {
            Some(_) => self.since.begin(),
            None if heard => self.since.forget(),
            None => {}
        }
        ending
    }

    /// A machine that is back in its group's warm pool answers its launch hook anew when it leaves that. No `up` runs before then.
    fn forget_answer(&self) {
        if self.target.as_deref().is_some_and(is_pooled)
            && let Err(error) = launch_hook::forget(Path::new("/"))
        {
            tracing::debug!("the launch hook will not be answered once more: {error:#}");
        }
    }

    /// The group, while its hook may wait for this machine.
    fn hook_group(&self) -> Option<String> {
        self.facts.settings.group.clone().filter(|_| !self.hook.is_answered())
    }

    /// One pass of a machine that is being terminated; how long to pause afterwards.
    async fn pass(&mut self, ending: Ending) -> Duration {
        let source = ending.source.clone();
        match self.try_pass(ending).await {
            Ok(pause) => pause,
            Err(error) => {
                let words = format!("this machine is being terminated ({source}), and is not drained: {error:#}");
                self.say(AgentState::Holding(HoldReason::Failed), &words);
                DRAIN_INTERVAL
            }
        }
    }

    async fn try_pass(&mut self, ending: Ending) -> Result<Duration> {
        self.hook.begin(self.hook_group()).await;
        let source = ending.source.clone();
        let seen = self.look(ending).await?;
        let step = decide(&seen);
        let hook = self.hook.describe().map(|words| format!("; {words}")).unwrap_or_default();
        self.say(step.state(), &format!("this machine is being terminated ({source}): {step}{hook}"));
        self.act(&step).await
    }

    async fn look(&mut self, ending: Ending) -> Result<WorkerLeaving> {
        let group = self.hook_group();
        let has_credentials = Path::new(KUBELET_CONF).exists();
        let (facts, node, draining) = (&self.facts, &mut self.node, &mut self.draining);
        let asked = async move {
            if !has_credentials {
                return (NodeView::NotAsked, PodsView::NotAsked);
            }
            (node.look(facts).await, draining.pods(facts).await)
        };
        let (node, pods) = self.hook.beside(group, HookWork::Leaving, asked).await;
        Ok(WorkerLeaving {
            ending: Some(ending),
            hook: HookView::of(self.hook.name().is_some(), None, self.hook.is_answered()),
            hook_lasts: self.hook.lasts(),
            drain_timeout: self.facts.settings.drain_timeout,
            has_credentials,
            node,
            is_marked: departure::load(Path::new("/"), &self.facts.machine.instance)?.is_some(),
            is_cordoned: self.draining.is_cordoned,
            pods,
        })
    }

    /// Takes the step, and returns how long to pause afterwards.
    async fn act(&mut self, step: &WorkerLeaveStep) -> Result<Duration> {
        let (group, me) = (self.hook_group(), self.facts.machine.instance.clone());
        match step {
            WorkerLeaveStep::Mark => departure::save(Path::new("/"), &me, Departure::Leaving).map(|()| Duration::ZERO),
            WorkerLeaveStep::Cordon => {
                let cordon = self.draining.cordon(&self.facts);
                self.hook.beside(group, HookWork::Leaving, cordon).await.map(|()| Duration::ZERO)
            }
            WorkerLeaveStep::Evict(pods) => {
                let evict = self.draining.evict(&self.facts, pods);
                self.hook.beside(group, HookWork::Leaving, evict).await.map(|()| DRAIN_INTERVAL)
            }
            WorkerLeaveStep::Answer(_) => {
                if self.hook.may_answer() {
                    self.hook.answer(group, HookResult::Continue).await;
                }
                Ok(DRAIN_INTERVAL)
            }
            WorkerLeaveStep::Watch | WorkerLeaveStep::Hold(_) => Ok(DRAIN_INTERVAL),
            WorkerLeaveStep::Rest(_) => Ok(HOLD_INTERVAL),
        }
    }

    /// Restarts kubelet where this machine is a node of a cluster that has had no Node of it for two minutes.
    async fn revive(&mut self) {
        if Instant::now() < self.next_look {
            return;
        }
        self.next_look = Instant::now() + spread(NODE_INTERVAL);
        let (root, me) = (Path::new("/"), &self.facts.machine.instance);
        // An `up` at work restarts it itself, and only once.
        if Lock::is_held(Path::new(lock::PATH)) {
            (self.node, self.awaited) = (WorkerNode::default(), None);
            return;
        }
        // One that cannot be read is `up`'s to tell.
        let joined = matches!(worker_state::observe(root), Ok(WorkerLocal::Joined { instance, .. }) if instance == *me);
        let leaves = !matches!(departure::load(root, me), Ok(None));
        if !joined {
            (self.node, self.awaited) = (WorkerNode::default(), None);
            return;
        }
        let node = self.node.look(&self.facts).await;
        // An API server that does not answer is no business of an agent that drains nothing.
        let awaited = awaited(&node, &self.facts.node_name, self.node.restarted);
        self.awaited =
            awaited.filter(|what| !matches!(what, WorkerWait::ApiServer { .. })).map(|what| what.to_string());
        if !restarts_kubelet(&node, self.node.restarted, leaves) {
            return;
        }
        tracing::warn!(
            "no API server has had the Node '{}' of this machine for two minutes: restarting kubelet, which registers it only when it \
             starts",
            self.facts.node_name
        );
        match unit::restart(KUBELET).await {
            Ok(()) => self.node.restarted = true,
            Err(error) => tracing::warn!("{error:#}"),
        }
    }

    /// To systemd and, where it is new, to the log.
    fn say(&mut self, state: AgentState, text: &str) {
        self.board.passes(state, text);
        let served = self.board.trouble().map(|trouble| format!("; {trouble}")).unwrap_or_default();
        let text = format!("{text}{served}");
        if self.said != text {
            tracing::info!("{text}");
            notify::status(&text);
            self.said = text;
        }
    }
}

/// The pause, changed by up to a half.
fn spread(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64())
}
