//! The agent of a worker. It asks IMDS every two seconds and describes nothing; when its machine is being terminated it drains it and
//! answers the terminate hook, with kubelet's own credentials. Beside that it restarts a kubelet whose Node is gone.

mod mark;
mod pool;
mod reviving;

use super::hook::TerminateHook;
use super::notices::Notices;
use super::serve::{self, Board};
use super::since::EndingSince;
use super::watch::Source;
use super::{HOLD_INTERVAL, IDLE_INTERVAL, begin};
use crate::aws::hook::HookResult;
use crate::aws::{Session, imds};
use crate::bucket::JoinObjects;
use crate::host::signals::asked_to_stop;
use crate::host::systemd::notify;
use crate::kubeadm::worker_state::{self, KUBELET_CONF};
use crate::model::agent::served::{AgentState, HoldReason, Source as Asked};
use crate::model::agent::{Ending, HookView};
use crate::model::leave::InstanceStates;
use crate::model::membership::registration::HookWork;
use crate::model::worker::leave::{OF_CONTROL_PLANE, PodsView, WorkerLeaveStep, WorkerLeaving, decide};
use crate::model::worker::revive::NodeView;
use crate::node::Facts;
use crate::node::draining::Draining;
use crate::node::election::Told;
use crate::node::worker_node::WorkerNode;
use crate::settings::Settings;
use anyhow::Result;
use aws_config::imds::client::Client;
use mark::Mark;
use pool::WarmPool;
use std::convert::Infallible;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep};

/// Between two looks at the Node, changed by up to a half: thousands look.
const NODE_INTERVAL: Duration = Duration::from_secs(20);
/// The same while that is this machine's own and there.
const OWN_NODE_INTERVAL: Duration = Duration::from_secs(60);
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
    /// What is on the disk of the end of this machine.
    mark: Mark,
    draining: Draining,
    pool: WarmPool,
    node: WorkerNode,
    objects: JoinObjects,
    /// What is waited for until the Node is there, or why it is not registered anew, in words.
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
            mark: Mark::default(),
            draining: Draining::default(),
            pool: WarmPool::load(),
            node: WorkerNode::default(),
            objects: JoinObjects::new(&session.store),
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
                    let is_another = self.is_of_control_plane();
                    if !is_another {
                        self.pool.pass(&self.facts, self.target.as_deref(), &self.hook).await;
                        self.revive().await;
                    }
                    let hook = self.hook.name().map_or_else(
                        || "drains when this machine is being terminated; 'terminate_hook' names no hook".to_owned(),
                        |name| format!("drains for the terminate hook '{name}'"),
                    );
                    let target = self.target.as_deref().unwrap_or("nothing yet");
                    let notices: String = self.notices.describe().iter().map(|notice| format!("; {notice}")).collect();
                    let node = self.awaited.iter().map(|what| format!("; {what}")).collect::<String>();
                    let hook = if is_another { OF_CONTROL_PLANE.to_owned() } else { format!("{hook}{node}") };
                    self.say(AgentState::Watching, &format!("watching: IMDS says {target}; {hook}{notices}"));
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

    /// Whether anything of a control plane is on this machine's disk, or may be.
    fn is_of_control_plane(&self) -> bool {
        worker_state::has_control_plane(Path::new("/"), self.facts.documents.data_dir()).unwrap_or(true)
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
        let seen = self.look(ending).await;
        let step = decide(&seen);
        let hook = self.hook.describe().map(|words| format!("; {words}")).unwrap_or_default();
        self.say(step.state(), &format!("this machine is being terminated ({source}): {step}{hook}"));
        self.act(&step).await
    }

    async fn look(&mut self, ending: Ending) -> WorkerLeaving {
        let group = self.hook_group();
        let has_credentials = Path::new(KUBELET_CONF).exists();
        let of_control_plane = self.is_of_control_plane();
        let (facts, node, draining) = (&self.facts, &mut self.node, &mut self.draining);
        let asked = async move {
            if !has_credentials || of_control_plane {
                return (NodeView::NotAsked, PodsView::NotAsked);
            }
            (node.look(facts).await, draining.pods(facts).await)
        };
        let (node, pods) = self.hook.beside(group, HookWork::Leaving, asked).await;
        WorkerLeaving {
            ending: Some(ending),
            hook: HookView::of(self.hook.name().is_some(), None, self.hook.is_answered()),
            hook_lasts: self.hook.lasts(),
            of_control_plane,
            drain_timeout: self.facts.settings.drain_timeout,
            has_credentials,
            node,
            is_marked: self.mark.is_set(Path::new("/"), &self.facts.machine.instance),
            is_cordoned: self.draining.is_cordoned,
            pods,
        }
    }

    /// Takes the step, and returns how long to pause afterwards.
    async fn act(&mut self, step: &WorkerLeaveStep) -> Result<Duration> {
        let group = self.hook_group();
        match step {
            WorkerLeaveStep::Mark => {
                self.mark.set(Path::new("/"), &self.facts.machine.instance);
                Ok(Duration::ZERO)
            }
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
