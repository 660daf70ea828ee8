//! Two leaders that judge the Node of a dead machine at any two moments, and delete it at any later ones, while another machine takes its
//! name and address: rule 18.
//!
//! Time goes in ticks as long as [`STALE_AFTER`]. A Node is deleted as the API server does it: if it still is what was judged.

use crate::world::names::{address, claim_id, id, identity};
use kubeboot::model::agent::duties::nodes::{Preconditions, STALE_AFTER, SeenNode};
use kubeboot::model::agent::duties::{Duty, Rules, Sight, decide};
use kubeboot::model::machine::group::Ec2State;
use kubeboot::model::membership::instances::{Instances, Presence};
use kubeboot::model::record::cluster::{ClusterRecord, RecordState};
use stateright::{Checker, Model, Property};
use std::collections::BTreeMap;
use std::time::Duration;

/// Ticks that are played.
const LAST: u8 = 4;
/// Ticks for which EC2 must not know an instance.
const GRACE: u8 = 2;
const REGION: &str = "eu-central-1";
/// The machine that was, the one that comes, and the one that leads.
const OLD: u8 = 0;
const NEW: u8 = 1;
const LEADER: u8 = 2;

/// What EC2 says of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ec2 {
    NotYet,
    Running,
    Terminated,
    Forgotten,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    uid: u8,
    version: u8,
    /// The machine that its provider ID names.
    provider: u8,
    heartbeat: u8,
    ready: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Leader {
    /// The version of the Node that it has seen, and since when.
    seen: Option<(u8, u8)>,
    /// Since when EC2 has not known the old machine.
    absent: Option<u8>,
    /// What it is about to delete.
    plan: Option<(u8, u8)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    now: u8,
    node: Option<Node>,
    /// How many Nodes and versions there were.
    uids: u8,
    versions: u8,
    old: Ec2,
    new: Ec2,
    /// When the new machine was launched, and whether a kubelet of it has this name's Node as its own.
    launched: u8,
    adopted: bool,
    /// Whether the kubelet of the old machine, and of the new one, runs.
    beats: [bool; 2],
    leaders: [Leader; 2],
    deleted: bool,
    broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Tick,
    /// A kubelet writes its heartbeat, or falls silent.
    Beat(u8),
    Silence(u8),
    /// Kubernetes calls the Node not ready.
    Unready,
    Terminate,
    Forget,
    /// The new machine comes, with the name and address of the old one.
    Launch,
    /// Its kubelet starts, and makes its Node or takes up the one that is there.
    Register,
    Look(usize),
    Delete(usize),
    /// Another one leads, who has seen nothing yet.
    Follow(usize),
}

struct Leaders;

impl Model for Leaders {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let node = Node { uid: 1, version: 1, provider: OLD, heartbeat: 0, ready: true };
        vec![World {
            now: 0,
            node: Some(node),
            uids: 1,
            versions: 1,
            old: Ec2::Running,
            new: Ec2::NotYet,
            launched: 0,
            adopted: false,
            beats: [true, false],
            leaders: Default::default(),
            deleted: false,
            broken: false,
        }]
    }

    fn actions(&self, world: &World, out: &mut Vec<Step>) {
        let gone = matches!(world.old, Ec2::Terminated | Ec2::Forgotten);
        let is_due = world.node.is_some_and(|node| node.heartbeat < world.now);
        let all = [
            (Step::Tick, world.now < LAST),
            (Step::Beat(OLD), world.beats[0] && is_due && world.is_of(OLD)),
            (Step::Beat(NEW), world.beats[1] && is_due && world.is_of(NEW)),
            (Step::Silence(OLD), world.beats[0]),
            (Step::Silence(NEW), world.beats[1]),
            (Step::Unready, is_due && world.node.is_some_and(|node| node.ready)),
            (Step::Terminate, world.old == Ec2::Running),
            (Step::Forget, world.old == Ec2::Terminated),
            (Step::Launch, gone && world.new == Ec2::NotYet),
            // `up` waits until no Node of this name names another machine; this kubelet was started by hand, and later than that.
            (
                Step::Register,
                world.new == Ec2::Running && !world.adopted && (world.node.is_none() || world.old == Ec2::Forgotten),
            ),
        ];
        out.extend(all.into_iter().filter(|(_, may)| *may).map(|(step, _)| step));
        for leader in 0..world.leaders.len() {
            out.extend([Step::Look(leader), Step::Follow(leader)]);
            out.extend(world.leaders[leader].plan.map(|_| Step::Delete(leader)));
        }
    }

    fn next_state(&self, last: &World, step: Step) -> Option<World> {
        let mut next = last.clone();
        match step {
            Step::Tick => next.now += 1,
            Step::Beat(_) => {
                let now = next.now;
                next.changes(|node| (node.heartbeat, node.ready) = (now, true));
            }
            Step::Silence(who) => next.beats[usize::from(who)] = false,
            Step::Unready => next.changes(|node| node.ready = false),
            Step::Terminate => (next.old, next.beats[0]) = (Ec2::Terminated, false),
            Step::Forget => next.old = Ec2::Forgotten,
            Step::Launch => (next.new, next.launched) = (Ec2::Running, next.now),
            Step::Register => next.register(),
            Step::Look(leader) => next.look(leader),
            Step::Delete(leader) => next.delete(leader),
            Step::Follow(leader) => next.leaders[leader] = Leader::default(),
        }
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("18: no Node of a live machine is deleted", |_, world: &World| !world.broken),
            Property::sometimes("the Node of a dead machine goes", |_, world: &World| world.deleted),
        ]
    }
}

impl World {
    /// Whether the Node is the one that this machine's kubelet writes to.
    fn is_of(&self, who: u8) -> bool {
        self.node.is_some_and(|node| node.provider == who && !self.adopted || who == NEW && self.adopted)
    }

    fn changes(&mut self, change: impl FnOnce(&mut Node)) {
        self.versions += 1;
        if let Some(node) = &mut self.node {
            change(node);
            node.version = self.versions;
        }
    }

    fn register(&mut self) {
        (self.adopted, self.beats[1]) = (true, true);
        let now = self.now;
        if self.node.is_none() {
            (self.uids, self.versions) = (self.uids + 1, self.versions + 1);
            let (uid, version) = (self.uids, self.versions);
            self.node = Some(Node { uid, version, provider: NEW, heartbeat: now, ready: true });
        } else {
            // The provider ID of a Node that is there stays what it is.
            self.changes(|node| (node.heartbeat, node.ready) = (now, true));
        }
    }

    /// What a leader sees, and what the real `decide` makes of it.
    fn look(&mut self, leader: usize) {
        let (now, known) = (self.now, self.leaders[leader]);
        let absent = (self.old == Ec2::Forgotten).then(|| known.absent.unwrap_or(now));
        let seen = self.node.map(|node| match known.seen {
            Some((version, since)) if version == node.version => (version, since),
            _ => (node.version, now),
        });
        let sight = self.sight(seen, absent);
        let duty = decide(&sight).duties.into_iter().find_map(|duty| match duty {
            Duty::DeleteNode(node, _) => Some(node.preconditions()),
            _ => None,
        });
        let plan = duty.map(|Preconditions { uid, version }| {
            (uid.parse().unwrap_or_default(), version.parse().unwrap_or_default())
        });
        self.leaders[leader] = Leader { seen, absent, plan };
    }

    /// What the API server makes of a deletion. 0 stands for what was not asked for.
    fn delete(&mut self, leader: usize) {
        let Some((uid, version)) = self.leaders[leader].plan.take() else { return };
        let Some(node) = self.node else { return };
        let is_same = (uid == 0 || uid == node.uid) && (version == 0 || version == node.version);
        if is_same {
            let lives = if self.adopted { self.new == Ec2::Running } else { self.old == Ec2::Running };
            (self.node, self.deleted, self.broken) = (None, true, self.broken || lives);
        }
    }

    fn sight(&self, seen: Option<(u8, u8)>, absent: Option<u8>) -> Sight {
        let node = self.node.zip(seen).map(|(node, (_, since))| SeenNode {
            name: "n".into(),
            uid: node.uid.to_string(),
            version: node.version.to_string(),
            ready: node.ready,
            provider_id: Some(format!("aws:///{REGION}a/{}", id(node.provider))),
            addresses: vec![address(OLD)],
            heartbeat: Some(seconds(node.heartbeat).as_secs()),
            unchanged: seconds(self.now - since),
        });
        let mut instances = BTreeMap::from([(id(LEADER), Presence::State(Ec2State::Running))]);
        let old = match (self.old, absent) {
            (Ec2::Forgotten, Some(since)) => Some(Presence::AbsentFor(seconds(self.now - since))),
            (Ec2::Terminated, _) => Some(Presence::State(Ec2State::Terminated)),
            (Ec2::Running, _) => Some(Presence::State(Ec2State::Running)),
            (Ec2::NotYet | Ec2::Forgotten, _) => None,
        };
        instances.extend(old.map(|old| (id(OLD), old)));
        let is_live = self.new == Ec2::Running;
        instances.extend(is_live.then(|| (id(NEW), Presence::State(Ec2State::Running))));
        Sight {
            me: id(LEADER),
            my_node: "leader".into(),
            region: REGION.into(),
            record: ClusterRecord {
                claim_id: claim_id(1),
                generation: 1,
                identity: identity(0),
                yielded: Vec::new(),
                retired_claims: Vec::new(),
                superseded: Vec::new(),
                state: RecordState::Retired(None),
            },
            members: None,
            judged: Vec::new(),
            registrations: Vec::new(),
            group: None,
            instances: Instances(instances),
            ready: Vec::new(),
            quiet: BTreeMap::new(),
            silent: BTreeMap::new(),
            nodes: node.into_iter().collect(),
            live: is_live.then(|| (address(OLD), Some(seconds(self.launched).as_secs()))).into_iter().collect(),
            replaced: None,
            rules: Rules { gone_grace: seconds(GRACE), unhealthy_after: Duration::ZERO, has_hook: false },
        }
    }
}

fn seconds(ticks: u8) -> Duration {
    STALE_AFTER * u32::from(ticks)
}

#[test]
fn two_leaders_delete_no_node_of_a_live_machine() {
    let limit = std::env::var("PROOF_STATES").ok().and_then(|text| text.parse().ok());
    let mut builder = Leaders.checker().threads(2);
    if let Some(limit) = limit {
        builder = builder.target_state_count(limit);
    }
    let checked = builder.spawn_bfs().join();
    println!("two leaders: {} states, {} steps deep", checked.unique_state_count(), checked.max_depth());
    for (rule, path) in checked.discoveries() {
        if rule.starts_with("18") {
            panic!("two leaders breaks '{rule}':\n{path}");
        }
    }
    checked.assert_properties();
}
