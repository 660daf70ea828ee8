//! What the agent of a worker does when its machine is being terminated: it closes its Node for new pods, evicts those that are there, and
//! lets the machine go. A worker has nothing that could be lost, so it always goes in the end.

use super::drain::{PodFate, PodId, SeenPod};
use super::revive::{NodeView, REFUSED_GRACE};
use crate::model::agent::served::{AgentState, HoldReason};
use crate::model::agent::{self, Ending, HookView};
use crate::model::duration::in_words;
use std::fmt;
use std::time::Duration;

/// How long before its end a hook is completed with what is left: two heartbeats may get lost, and the answer takes its time.
const HOOK_MARGIN: Duration = Duration::from_secs(30);
/// What is said of a machine whose disk and role are of two kinds.
pub const OF_CONTROL_PLANE: &str = "this machine is a node of a control plane by its disk, and a worker by the setting 'role', so it is \
                                    not drained and answers no hook: correct the setting and run 'systemctl restart kubeboot-agent'; if it \
                                    is a worker, remove what is here of a control plane";
/// How long before EC2 takes a Spot instance draining ends.
const SPOT_MARGIN: Duration = Duration::from_secs(10);

/// What one look finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerLeaving {
    /// What ends this machine; `None` while nothing does.
    pub ending: Option<Ending>,
    /// The terminate hook.
    pub hook: HookView,
    /// How long that hook lasts in all, as far as that is known.
    pub hook_lasts: Option<Duration>,
    /// Whether anything of a control plane is on its disk, or may be: then it may be a voter, or the last one.
    pub of_control_plane: bool,
    /// How long the settings let it evict.
    pub drain_timeout: Duration,
    /// Whether kubelet has credentials: without any there is no Node to drain.
    pub has_credentials: bool,
    /// Its Node, asked now: what has its name need not be its own.
    pub node: NodeView,
    /// Whether the marker of leaving is on the disk, so that no `up` joins over it, or cannot be.
    pub is_marked: bool,
    /// Whether this process has closed the Node for new pods.
    pub is_cordoned: bool,
    /// The pods on this machine.
    pub pods: PodsView,
}

/// The pods of this machine, by an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodsView {
    /// Nobody was asked.
    NotAsked,
    /// Nobody answered, or not with pods.
    Silent {
        /// Why.
        why: String,
    },
    /// All of them, each with what is to be said of its last eviction.
    Listed(Vec<(SeenPod, Option<String>)>),
}

/// The one thing to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerLeaveStep {
    /// Nothing ends this machine.
    Watch,
    /// Write down that this machine goes for good.
    Mark,
    /// Close the Node for new pods.
    Cordon,
    /// Evict these pods.
    Evict(Vec<PodId>),
    /// Keep the hook alive and look again.
    Hold(WorkerHold),
    /// Complete the hook with CONTINUE.
    Answer(WorkerGoes),
    /// Nothing is left to do.
    Rest(WorkerGoes),
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerHold {
    /// Its disk is a control plane's: whoever goes like a worker with that may take the last copy of a cluster with it.
    OfControlPlane,
    /// An API server to answer.
    ApiServer {
        /// Why it does not.
        why: String,
    },
    /// Pods to end.
    Pods {
        /// How many there are.
        left: usize,
        /// The first of those that were not evicted, and why.
        blocked: Option<(PodId, String)>,
    },
}

/// Why the machine may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerGoes {
    /// It has no Node of its own: none of its name is there, or another machine's.
    NoNode,
    /// No API server takes its credentials, so that nothing can be done about its pods.
    NoCredentials,
    /// Nothing is left on it but pods of every node.
    Drained,
    /// Its time is over.
    TimeUp {
        /// How long it has evicted.
        after: Duration,
        /// How many pods go with it; `None`: nobody could say.
        pods: Option<usize>,
    },
}

/// The one thing to do next.
#[must_use]
pub fn decide(seen: &WorkerLeaving) -> WorkerLeaveStep {
    let Some(ending) = &seen.ending else { return WorkerLeaveStep::Watch };
    if seen.of_control_plane {
        return WorkerLeaveStep::Hold(WorkerHold::OfControlPlane);
    }
    if !seen.is_marked {
        return WorkerLeaveStep::Mark;
    }
    if !seen.has_credentials || matches!(seen.node, NodeView::OfAnother { .. } | NodeView::Missing { .. }) {
        return go(seen, WorkerGoes::NoNode);
    }
    let waited_for = waited_for(&seen.pods);
    if waited_for.as_ref().is_some_and(Vec::is_empty) && seen.is_cordoned {
        return go(seen, WorkerGoes::Drained);
    }
    if is_time_up(seen, ending) {
        let pods = waited_for.map(|pods| pods.len());
        return go(seen, WorkerGoes::TimeUp { after: ending.known_for, pods });
    }
    if matches!(seen.node, NodeView::Refused { lasted, .. } if lasted >= REFUSED_GRACE) {
        return go(seen, WorkerGoes::NoCredentials);
    }
    if let NodeView::Silent { why } | NodeView::Refused { why, .. } = &seen.node {
        return hold_for_server(why);
    }
    if seen.node == NodeView::OtherAuthority {
        return hold_for_server("whoever answers at the endpoint is of another cluster");
    }
    if !seen.is_cordoned {
        return WorkerLeaveStep::Cordon;
    }
    match &seen.pods {
        PodsView::NotAsked => hold_for_server("it was not asked yet"),
        PodsView::Silent { why } => hold_for_server(why),
        PodsView::Listed(pods) => {
            // The answer to an eviction stands for a while: those that were blocked do not keep the others waiting.
            let is_due =
                |(pod, trouble): &&(SeenPod, Option<String>)| pod.fate() == PodFate::Evicted && trouble.is_none();
            let due: Vec<PodId> = pods.iter().filter(is_due).map(|(pod, _)| pod.id.clone()).collect();
            if due.is_empty() { WorkerLeaveStep::Hold(hold(pods)) } else { WorkerLeaveStep::Evict(due) }
        }
    }
}

fn hold_for_server(why: &str) -> WorkerLeaveStep {
    WorkerLeaveStep::Hold(WorkerHold::ApiServer { why: why.to_owned() })
}

fn hold(pods: &[(SeenPod, Option<String>)]) -> WorkerHold {
    let waited = || pods.iter().filter(|(pod, _)| pod.fate() != PodFate::Stays);
    let blocked = waited().find_map(|(pod, trouble)| Some((pod.id.clone(), trouble.clone()?)));
    WorkerHold::Pods { left: waited().count(), blocked }
}

/// The pods that are waited for; `None` where nobody says.
fn waited_for(pods: &PodsView) -> Option<Vec<&SeenPod>> {
    match pods {
        PodsView::NotAsked | PodsView::Silent { .. } => None,
        PodsView::Listed(pods) => {
            Some(pods.iter().map(|(pod, _)| pod).filter(|pod| pod.fate() != PodFate::Stays).collect())
        }
    }
}

/// Whether the machine goes with what is left on it.
fn is_time_up(seen: &WorkerLeaving, ending: &Ending) -> bool {
    let hook = seen.hook_lasts.map_or(seen.drain_timeout, |lasts| lasts.saturating_sub(HOOK_MARGIN));
    let by_spot = ending.left.is_some_and(|left| left <= SPOT_MARGIN);
    by_spot || ending.known_for >= seen.drain_timeout.min(hook)
}

fn go(seen: &WorkerLeaving, why: WorkerGoes) -> WorkerLeaveStep {
    match seen.hook {
        HookView::Waits | HookView::Ahead => WorkerLeaveStep::Answer(why),
        HookView::Unnamed | HookView::Over => WorkerLeaveStep::Rest(why),
    }
}

impl WorkerLeaveStep {
    /// What the agent says that it does with the machine.
    #[must_use]
    pub const fn state(&self) -> AgentState {
        match self {
            Self::Watch => AgentState::Watching,
            Self::Mark | Self::Cordon | Self::Evict(_) | Self::Hold(WorkerHold::Pods { blocked: None, .. }) => {
                AgentState::Leaving
            }
            Self::Hold(WorkerHold::Pods { blocked: Some(_), .. }) => AgentState::Holding(HoldReason::Pods),
            Self::Hold(WorkerHold::ApiServer { .. }) => AgentState::Holding(HoldReason::Blocked),
            Self::Hold(WorkerHold::OfControlPlane) => AgentState::Holding(HoldReason::Disk),
            Self::Answer(WorkerGoes::NoNode) | Self::Rest(WorkerGoes::NoNode) => {
                AgentState::Done(agent::Answer::NeverMember)
            }
            Self::Answer(WorkerGoes::NoCredentials | WorkerGoes::Drained | WorkerGoes::TimeUp { .. })
            | Self::Rest(WorkerGoes::NoCredentials | WorkerGoes::Drained | WorkerGoes::TimeUp { .. }) => {
                AgentState::Done(agent::Answer::Left)
            }
        }
    }
}

impl fmt::Display for WorkerLeaveStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watch => f.write_str("nothing ends this machine"),
            Self::Mark => f.write_str("write down that this machine goes for good"),
            Self::Cordon => f.write_str("close the Node for new pods"),
            Self::Evict(pods) => write!(f, "evict {}", counted(pods.len())),
            Self::Hold(why) => why.fmt(f),
            Self::Answer(why) => write!(f, "complete the terminate hook: {why}"),
            Self::Rest(why) => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for WorkerHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfControlPlane => write!(f, "it stays for now: {OF_CONTROL_PLANE}"),
            Self::ApiServer { why } => write!(f, "it stays for now: no API server lets it be drained: {why}"),
            Self::Pods { left, blocked: None } => write!(f, "it is being drained: {} to end", counted(*left)),
            Self::Pods { left, blocked: Some((pod, why)) } => {
                write!(
                    f,
                    "it is being drained: {} to end, among them {pod}, which was not evicted: {why}",
                    counted(*left)
                )
            }
        }
    }
}

impl fmt::Display for WorkerGoes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode => f.write_str("it has no Node of its own"),
            Self::NoCredentials => {
                f.write_str("no API server takes its kubelet's credentials, so it goes with the pods that are on it")
            }
            Self::Drained => f.write_str("it is drained"),
            Self::TimeUp { after, pods: Some(pods) } => write!(
                f,
                "its time to be drained is over after {} ('drain_timeout', the hook or the Spot notice), and it goes with {}",
                in_words(*after),
                counted(*pods)
            ),
            Self::TimeUp { after, pods: None } => write!(
                f,
                "its time to be drained is over after {} ('drain_timeout', the hook or the Spot notice), and no API server said what \
                 goes with it",
                in_words(*after)
            ),
        }
    }
}

fn counted(pods: usize) -> String {
    if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") }
}

#[cfg(test)]
mod tests {
    use super::super::revive::ForeignMark;
    use super::*;
    use crate::documented::tells_of;

    const MINUTE: Duration = Duration::from_mins(1);

    fn ending(known_for: Duration) -> Ending {
        Ending { source: "IMDS: Terminated".into(), known_for, retained: false, left: None }
    }

    /// A machine in its hook, marked and cordoned, with these pods.
    fn seen(pods: Vec<(SeenPod, Option<String>)>) -> WorkerLeaving {
        WorkerLeaving {
            ending: Some(ending(MINUTE)),
            hook: HookView::Waits,
            hook_lasts: None,
            of_control_plane: false,
            drain_timeout: 10 * MINUTE,
            has_credentials: true,
            node: NodeView::Mine,
            is_marked: true,
            is_cordoned: true,
            pods: PodsView::Listed(pods),
        }
    }

    fn web(trouble: Option<&str>) -> (SeenPod, Option<String>) {
        (SeenPod::sample("web"), trouble.map(str::to_owned))
    }

    fn of_another() -> NodeView {
        NodeView::OfAnother { mark: ForeignMark::ProviderId("aws:///a/i-00000002".into()) }
    }

    fn refused(lasted: Duration) -> NodeView {
        NodeView::Refused { why: "401".into(), lasted }
    }

    fn unknown() -> NodeView {
        NodeView::Silent { why: "refused".into() }
    }

    fn ends() -> (SeenPod, Option<String>) {
        (SeenPod { is_ending: true, ..SeenPod::sample("old") }, None)
    }

    fn stays() -> (SeenPod, Option<String>) {
        (SeenPod { controller: Some("DaemonSet".into()), ..SeenPod::sample("proxy") }, None)
    }

    #[test]
    fn the_machine_is_marked_then_cordoned_then_drained_then_goes() {
        let time_up = |pods| WorkerGoes::TimeUp { after: 10 * MINUTE, pods };
        let whole = Some(ending(10 * MINUTE));
        let silent = || PodsView::Silent { why: "refused".into() };
        let held = |left, blocked| WorkerLeaveStep::Hold(WorkerHold::Pods { left, blocked });
        let web_id = || SeenPod::sample("web").id;
        let rows = [
            (WorkerLeaving { ending: None, ..seen(vec![]) }, WorkerLeaveStep::Watch),
            (WorkerLeaving { is_marked: false, has_credentials: false, ..seen(vec![]) }, WorkerLeaveStep::Mark),
            (WorkerLeaving { has_credentials: false, ..seen(vec![]) }, WorkerLeaveStep::Answer(WorkerGoes::NoNode)),
            // Not even the marker is written over the disk of a control plane, and no time is ever up.
            (
                WorkerLeaving {
                    of_control_plane: true,
                    is_marked: false,
                    has_credentials: false,
                    ending: whole.clone(),
                    ..seen(vec![])
                },
                WorkerLeaveStep::Hold(WorkerHold::OfControlPlane),
            ),
            (WorkerLeaving { of_control_plane: true, ending: None, ..seen(vec![]) }, WorkerLeaveStep::Watch),
            (WorkerLeaving { is_cordoned: false, ..seen(vec![]) }, WorkerLeaveStep::Cordon),
            // What has its name is no Node of its own: it is neither closed nor emptied.
            (
                WorkerLeaving { node: of_another(), ..seen(vec![web(None)]) },
                WorkerLeaveStep::Answer(WorkerGoes::NoNode),
            ),
            (
                WorkerLeaving { node: of_another(), is_cordoned: false, pods: PodsView::NotAsked, ..seen(vec![]) },
                WorkerLeaveStep::Answer(WorkerGoes::NoNode),
            ),
            (
                WorkerLeaving {
                    node: NodeView::Missing { lasted: Duration::ZERO },
                    is_cordoned: false,
                    ..seen(vec![])
                },
                WorkerLeaveStep::Answer(WorkerGoes::NoNode),
            ),
            (WorkerLeaving { node: NodeView::Unnamed, is_cordoned: false, ..seen(vec![]) }, WorkerLeaveStep::Cordon),
            (
                WorkerLeaving { node: unknown(), is_cordoned: false, ..seen(vec![]) },
                WorkerLeaveStep::Hold(WorkerHold::ApiServer { why: "refused".into() }),
            ),
            (
                // It is refused for the first time, however long its end has been known.
                WorkerLeaving { node: refused(Duration::ZERO), ..seen(vec![web(None)]) },
                WorkerLeaveStep::Hold(WorkerHold::ApiServer { why: "401".into() }),
            ),
            (
                WorkerLeaving { node: refused(MINUTE / 3), ..seen(vec![web(None)]) },
                WorkerLeaveStep::Hold(WorkerHold::ApiServer { why: "401".into() }),
            ),
            (
                WorkerLeaving { node: refused(MINUTE / 2), ending: Some(ending(MINUTE / 2)), ..seen(vec![web(None)]) },
                WorkerLeaveStep::Answer(WorkerGoes::NoCredentials),
            ),
            (
                WorkerLeaving { node: unknown(), is_cordoned: false, ending: whole.clone(), ..seen(vec![]) },
                WorkerLeaveStep::Answer(time_up(Some(0))),
            ),
            (seen(vec![web(None), ends(), stays()]), WorkerLeaveStep::Evict(vec![web_id()])),
            // One that is blocked does not come before the others again and again.
            (
                seen(vec![(SeenPod::sample("db"), Some("budget".into())), web(None)]),
                WorkerLeaveStep::Evict(vec![web_id()]),
            ),
            // What was blocked a moment ago is tried again when its answer is forgotten.
            (seen(vec![web(Some("budget")), stays()]), held(1, Some((web_id(), "budget".into())))),
            (seen(vec![ends(), stays()]), held(1, None)),
            (seen(vec![stays()]), WorkerLeaveStep::Answer(WorkerGoes::Drained)),
            (seen(vec![]), WorkerLeaveStep::Answer(WorkerGoes::Drained)),
            (
                WorkerLeaving { pods: silent(), ..seen(vec![]) },
                WorkerLeaveStep::Hold(WorkerHold::ApiServer { why: "refused".into() }),
            ),
            // The time is over.
            (
                WorkerLeaving { ending: whole.clone(), ..seen(vec![web(Some("budget")), ends()]) },
                WorkerLeaveStep::Answer(time_up(Some(2))),
            ),
            (
                WorkerLeaving { ending: whole.clone(), pods: silent(), ..seen(vec![]) },
                WorkerLeaveStep::Answer(time_up(None)),
            ),
            (
                WorkerLeaving { ending: whole, is_cordoned: false, pods: silent(), ..seen(vec![]) },
                WorkerLeaveStep::Answer(time_up(None)),
            ),
            // Who was answered, or has no hook, rests.
            (WorkerLeaving { hook: HookView::Over, ..seen(vec![]) }, WorkerLeaveStep::Rest(WorkerGoes::Drained)),
            (WorkerLeaving { hook: HookView::Unnamed, ..seen(vec![]) }, WorkerLeaveStep::Rest(WorkerGoes::Drained)),
        ];
        for (seen, expected) in rows {
            assert_eq!(decide(&seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn draining_ends_before_the_hook_the_spot_notice_or_its_own_time() {
        let busy = |known_for, hook_lasts, left, drain_timeout| WorkerLeaving {
            ending: Some(Ending { left, ..ending(Duration::from_secs(known_for)) }),
            hook_lasts: Option::map(hook_lasts, Duration::from_secs),
            drain_timeout: Duration::from_secs(drain_timeout),
            ..seen(vec![web(None)])
        };
        let spot = |seconds| Some(Duration::from_secs(seconds));
        let rows = [
            (busy(599, None, None, 600), false),
            (busy(600, None, None, 600), true),
            (busy(269, Some(300), None, 600), false),
            (busy(270, Some(300), None, 600), true),
            (busy(1, Some(20), None, 600), true),
            (busy(1, None, spot(11), 600), false),
            (busy(1, None, spot(10), 600), true),
            (busy(0, None, None, 0), true),
        ];
        for (seen, expected) in rows {
            let goes = matches!(decide(&seen), WorkerLeaveStep::Answer(WorkerGoes::TimeUp { .. }));
            assert_eq!(goes, expected, "{seen:?}");
        }
    }

    #[test]
    fn only_what_is_not_evicted_holds_it() {
        let state = |pods| decide(&seen(pods)).state().name();
        assert_eq!(state(vec![web(None)]), "leaving");
        assert_eq!(state(vec![ends()]), "leaving");
        assert_eq!(state(vec![web(Some("budget"))]), "holding");
        assert_eq!(state(vec![]), "done");
        assert_eq!(decide(&WorkerLeaving { has_credentials: false, ..seen(vec![]) }).state().name(), "done");
        assert_eq!(decide(&WorkerLeaving { pods: PodsView::NotAsked, ..seen(vec![]) }).state().name(), "holding");
        let of_control_plane = WorkerLeaving { of_control_plane: true, ..seen(vec![]) };
        assert_eq!(decide(&of_control_plane).state(), AgentState::Holding(HoldReason::Disk));
    }

    #[test]
    fn every_hold_and_every_end_has_a_row_on_the_page() {
        let blocked = Some((SeenPod::sample("db").id, "budget".to_owned()));
        let holds = [
            WorkerHold::OfControlPlane,
            WorkerHold::ApiServer { why: "refused".into() },
            WorkerHold::Pods { left: 2, blocked: None },
            WorkerHold::Pods { left: 2, blocked },
        ];
        let goes = [
            WorkerGoes::NoNode,
            WorkerGoes::NoCredentials,
            WorkerGoes::Drained,
            WorkerGoes::TimeUp { after: MINUTE, pods: Some(1) },
            WorkerGoes::TimeUp { after: MINUTE, pods: None },
        ];
        let said = holds.iter().map(ToString::to_string).chain(goes.iter().map(ToString::to_string));
        tells_of(include_str!("../../../docs/workers.md"), "Going", &said.collect::<Vec<_>>());
    }

    #[test]
    fn what_holds_it_is_told_with_the_pod_and_the_servers_words() {
        let told =
            decide(&seen(vec![web(Some("Cannot evict pod as it would violate the pod's disruption budget.")), ends()]));
        assert_eq!(
            told.to_string(),
            "it is being drained: 2 pods to end, among them default/web, which was not evicted: Cannot evict pod as it would violate \
             the pod's disruption budget."
        );
    }
}
