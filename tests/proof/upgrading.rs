//! Machines of several versions of Kubernetes that join, raise the cluster's version or take it back, at any two moments: rule 21.
//!
//! There is no lease here. Whoever has taken one may have lost it by its next step, stand still for as long as it likes and go on as if it
//! were its own: so each machine takes its steps as if nobody else did, and the order of the steps alone must do.

use kubeboot::model::upgrade::{
    ApiServerSeen, BackVerdict, EtcdLook, ImageVersions, JoinVerdict, KubernetesUpgrade, MachineSeen, UpgradeLook,
    join_verdict, way_back,
};
use kubeboot::model::version::Release;
use stateright::{Checker, Model, Property};

/// The versions of images, by their numbers here.
const RELEASES: [Release; 4] =
    [Release::new(1, 36, 0), Release::new(1, 36, 1), Release::new(1, 37, 0), Release::new(1, 38, 0)];

/// A machine, by its number.
type Name = usize;
/// A version, by its number in [`RELEASES`].
type Image = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reg {
    None,
    Waiting,
    Joining,
    Joined,
}

/// What whoever wants to write the configuration has read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Seen {
    cluster: Image,
    /// Whether nobody has written the configuration since.
    is_current: bool,
    /// The machines that etcd has listed, one bit each.
    members: u8,
    /// Those that were registered, and not as joined; and those of them that were joining.
    registered: u8,
    joining: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Idle,
    Queued,
    Registered,
    Read(Seen),
    Rolled(Seen),
    Listed(Seen),
    /// About to write the configuration, with this version where it is raised.
    Decided(Seen, Option<Image>),
    /// kubeadm runs.
    Waits,
    /// About to say that it waits: until then it is registered as it was.
    Unsaid,
    Done,
    /// `up` was killed; its kubeadm goes on.
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kubeadm {
    None,
    Started,
    /// It has read the configuration, and makes everything of that version.
    Read(Image),
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Machine {
    image: Image,
    by_image: bool,
    lives: bool,
    /// Its API server.
    server: Option<Image>,
    silent: bool,
    listed: bool,
    reg: Reg,
    at: At,
    kubeadm: Kubeadm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Left {
    deaths: u8,
    kills: u8,
    silences: u8,
    failures: u8,
    backs: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    cluster: Image,
    machines: Vec<Machine>,
    /// An operator who takes an upgrade back: what was read so far, in the steps of [`At`].
    operator: At,
    left: Left,
    /// A broken rule.
    broken: Option<&'static str>,
    /// Whether an upgrade was taken back.
    went_back: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Up(Name),
    Kubeadm(Name),
    Fail(Name),
    Kill(Name),
    Start(Name),
    Terminate(Name),
    Reap(Name),
    Silence(Name),
    Speak(Name),
    Back,
}

struct Upgrading {
    name: &'static str,
    start: World,
    /// The version that some run is to bring the whole cluster to.
    end: Image,
}

const APART: &str = "21: API servers are one minor version apart at most";
const OLDER: &str = "21: kubeadm makes what it is of";
const LEAPS: &str = "21: a version is raised by one minor version at most";
const AHEAD: &str = "21: no API server is newer than the configuration";

impl Model for Upgrading {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![self.start.clone()]
    }

    fn actions(&self, world: &World, out: &mut Vec<Step>) {
        if world.broken.is_some() {
            return;
        }
        let left = world.left;
        for (name, machine) in world.machines.iter().enumerate() {
            let all = [
                (Step::Up(name), machine.lives && !matches!(machine.at, At::Done | At::Killed)),
                (Step::Kubeadm(name), machine.lives && matches!(machine.kubeadm, Kubeadm::Started | Kubeadm::Read(_))),
                (
                    Step::Fail(name),
                    left.failures > 0 && (machine.kubeadm == Kubeadm::Started || machine.at == At::Unsaid),
                ),
                (
                    Step::Kill(name),
                    left.kills > 0 && machine.lives && !matches!(machine.at, At::Done | At::Killed | At::Idle),
                ),
                (Step::Start(name), machine.lives && machine.at == At::Killed),
                (Step::Terminate(name), left.deaths > 0 && machine.lives),
                (Step::Reap(name), !machine.lives && machine.listed),
                (Step::Silence(name), left.silences > 0 && machine.lives && machine.listed && !machine.silent),
                (Step::Speak(name), machine.silent && machine.lives),
            ];
            out.extend(all.into_iter().filter(|(_, may)| *may).map(|(step, _)| step));
        }
        out.extend((left.backs > 0 || world.operator != At::Idle).then_some(Step::Back));
    }

    fn next_state(&self, last: &World, step: Step) -> Option<World> {
        let mut next = last.clone();
        match step {
            Step::Up(name) => next.up(name),
            Step::Kubeadm(name) => next.kubeadm(name),
            Step::Fail(name) => {
                next.left.failures -= 1;
                let machine = &mut next.machines[name];
                if machine.at == At::Unsaid {
                    // Its registration cannot be written, and it goes on without.
                    machine.at = At::Idle;
                } else {
                    machine.kubeadm = Kubeadm::None;
                }
            }
            Step::Kill(name) => {
                next.left.kills -= 1;
                next.machines[name].at = At::Killed;
            }
            // What the `up` of before has left running ends before anything is said.
            Step::Start(name) => {
                let machine = &mut next.machines[name];
                machine.kubeadm = Kubeadm::None;
                (machine.at, machine.reg) =
                    if machine.listed { (At::Done, Reg::Joined) } else { (At::Idle, Reg::Waiting) };
            }
            Step::Terminate(name) => {
                next.left.deaths -= 1;
                let machine = &mut next.machines[name];
                (machine.lives, machine.silent, machine.at, machine.kubeadm) = (false, true, At::Done, Kubeadm::None);
            }
            Step::Reap(name) => next.machines[name].listed = false,
            Step::Silence(name) => {
                next.left.silences -= 1;
                next.machines[name].silent = true;
            }
            Step::Speak(name) => next.machines[name].silent = false,
            Step::Back => next.back(),
        }
        next.judge();
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(APART, |_, world: &World| world.broken != Some(APART)),
            Property::always(OLDER, |_, world: &World| world.broken != Some(OLDER)),
            Property::always(LEAPS, |_, world: &World| world.broken != Some(LEAPS)),
            Property::always(AHEAD, |_, world: &World| world.broken != Some(AHEAD)),
            Property::sometimes("an upgrade comes to its end", |model: &Self, world: &World| {
                let mut servers = world.living().filter_map(|machine| machine.server).peekable();
                servers.peek().is_some() && servers.all(|server| server == model.end)
            }),
            Property::sometimes("an upgrade is taken back", |model: &Self, world: &World| {
                world.went_back || model.start.left.backs == 0
            }),
        ]
    }
}

impl World {
    /// Voters of the first version, and machines of these images that have not joined; whether their images upgrade.
    fn new(voters: usize, fresh: &[(Image, bool)], left: Left) -> Self {
        let blank = |image, by_image| Machine {
            image,
            by_image,
            lives: true,
            server: None,
            silent: false,
            listed: false,
            reg: Reg::None,
            at: At::Idle,
            kubeadm: Kubeadm::None,
        };
        let voter = Machine { server: Some(0), listed: true, reg: Reg::Joined, at: At::Done, ..blank(0, true) };
        let fresh = fresh.iter().map(|(image, by_image)| blank(*image, *by_image));
        let machines = std::iter::repeat_n(voter, voters).chain(fresh).collect();
        Self { cluster: 0, machines, operator: At::Idle, left, broken: None, went_back: false }
    }

    fn living(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(|machine| machine.lives)
    }

    fn breaks(&mut self, rule: &'static str) {
        self.broken.get_or_insert(rule);
    }

    /// What holds in every state.
    fn judge(&mut self) {
        let servers: Vec<Image> = self.living().filter_map(|machine| machine.server).collect();
        let apart = |one: &Image| servers.iter().any(|other| !RELEASES[*one].may_run_beside(RELEASES[*other]));
        if servers.iter().any(apart) {
            self.breaks(APART);
        }
        if servers.iter().any(|server| *server > self.cluster) {
            self.breaks(AHEAD);
        }
    }

    fn bits(&self, is: impl Fn(&Machine) -> bool) -> u8 {
        let set = self.machines.iter().enumerate().filter(|(_, machine)| is(machine));
        set.fold(0, |bits, (name, _)| bits | 1 << name)
    }

    fn read(&self) -> Seen {
        Seen { cluster: self.cluster, is_current: true, ..Seen::default() }
    }

    fn listed(&self, seen: Seen) -> Seen {
        Seen { members: self.bits(|machine| machine.listed), ..seen }
    }

    fn rolled(&self, seen: Seen, me: Option<Name>) -> Seen {
        let others = !me.map_or(0, |me| 1 << me);
        let registered = self.bits(|machine| machine.lives && matches!(machine.reg, Reg::Waiting | Reg::Joining));
        let joining = self.bits(|machine| machine.lives && machine.reg == Reg::Joining);
        Seen { registered: registered & others, joining: joining & others, ..seen }
    }

    /// The API servers of those that were listed, as they answer now.
    fn servers(&self, seen: Seen) -> Vec<ApiServerSeen> {
        let listed = self.machines.iter().enumerate().filter(|(name, _)| seen.members & 1 << name != 0);
        let seen = listed.map(|(name, machine)| ApiServerSeen {
            name: name.to_string(),
            version: machine.server.filter(|_| !machine.silent && machine.lives).map(|server| RELEASES[server]),
            etcd: None,
        });
        seen.collect()
    }

    fn others(&self, seen: Seen) -> Vec<MachineSeen> {
        let others = self.machines.iter().enumerate().filter(|(name, _)| seen.registered & 1 << name != 0);
        let seen = others.map(|(name, machine)| MachineSeen {
            name: name.to_string(),
            kubeadm: Some(RELEASES[machine.image]),
            is_joining: seen.joining & 1 << name != 0,
            // Nobody ends here whom EC2 still shows.
            gone_in: None,
        });
        seen.collect()
    }

    fn verdict(&self, name: Name, seen: Seen) -> JoinVerdict {
        let machine = &self.machines[name];
        let version = RELEASES[machine.image];
        join_verdict(&UpgradeLook {
            setting: if machine.by_image { KubernetesUpgrade::ByImage } else { KubernetesUpgrade::Off },
            here: ImageVersions { kubeadm: version, kubelet: Some(version), wanted: version },
            etcd: EtcdLook::External,
            cluster: RELEASES[seen.cluster],
            servers: self.servers(seen),
            machines: self.others(seen),
        })
    }

    /// The next step of an `up`, as `src/up/join.rs` takes them.
    fn up(&mut self, name: Name) {
        let machine = self.machines[name];
        let at = match machine.at {
            At::Idle => {
                let seen = self.rolled(self.listed(self.read()), Some(name));
                match self.verdict(name, seen) {
                    JoinVerdict::Join | JoinVerdict::Raise { .. } => At::Queued,
                    JoinVerdict::Wait(_) | JoinVerdict::Refuse(_) => At::Unsaid,
                }
            }
            At::Queued => {
                self.machines[name].reg = Reg::Joining;
                At::Registered
            }
            At::Registered => At::Read(self.read()),
            At::Read(seen) => At::Rolled(self.rolled(seen, Some(name))),
            At::Rolled(seen) => At::Listed(self.listed(seen)),
            At::Listed(seen) => match self.verdict(name, seen) {
                JoinVerdict::Join => At::Decided(seen, None),
                JoinVerdict::Raise { to, .. } => At::Decided(seen, RELEASES.iter().position(|it| *it == to)),
                JoinVerdict::Wait(_) | JoinVerdict::Refuse(_) => At::Unsaid,
            },
            At::Decided(seen, raised) if seen.is_current => {
                self.write(raised);
                self.machines[name].kubeadm = Kubeadm::Started;
                At::Waits
            }
            At::Decided(..) => At::Idle,
            At::Waits => match machine.kubeadm {
                Kubeadm::Started | Kubeadm::Read(_) => At::Waits,
                Kubeadm::None => At::Unsaid,
                Kubeadm::Ended => {
                    self.machines[name].reg = Reg::Joined;
                    At::Done
                }
            },
            At::Unsaid => {
                self.machines[name].reg = Reg::Waiting;
                At::Idle
            }
            At::Done | At::Killed => machine.at,
        };
        self.machines[name].at = at;
    }

    /// The configuration is written: whoever has read it before has read another one.
    fn write(&mut self, version: Option<Image>) {
        if let Some(version) = version {
            let (before, now) = (RELEASES[self.cluster], RELEASES[version]);
            if !before.may_run_beside(now) {
                self.breaks(LEAPS);
            }
            self.cluster = version;
        }
        let machines = self.machines.iter_mut().map(|machine| &mut machine.at);
        for at in machines.chain([&mut self.operator]) {
            match at {
                At::Read(seen) | At::Listed(seen) | At::Rolled(seen) | At::Decided(seen, _) => seen.is_current = false,
                At::Idle | At::Queued | At::Registered | At::Waits | At::Unsaid | At::Done | At::Killed => {}
            }
        }
    }

    fn kubeadm(&mut self, name: Name) {
        let machine = self.machines[name];
        self.machines[name].kubeadm = match machine.kubeadm {
            Kubeadm::Started => {
                let (own, read) = (RELEASES[machine.image], RELEASES[self.cluster]);
                let is_alike = if machine.by_image { own == read } else { own.series() == read.series() };
                if !is_alike {
                    self.breaks(OLDER);
                }
                Kubeadm::Read(self.cluster)
            }
            Kubeadm::Read(version) => {
                (self.machines[name].server, self.machines[name].listed) = (Some(version), true);
                Kubeadm::Ended
            }
            Kubeadm::None | Kubeadm::Ended => machine.kubeadm,
        };
    }

    /// The next step of an operator who takes an upgrade back, as `src/upgrade/back.rs` takes them.
    fn back(&mut self) {
        self.operator = match self.operator {
            At::Idle => {
                self.left.backs -= 1;
                At::Read(self.read())
            }
            At::Read(seen) => At::Rolled(self.rolled(seen, None)),
            At::Rolled(seen) => At::Listed(self.listed(seen)),
            At::Listed(seen) => match way_back(RELEASES[seen.cluster], &self.servers(seen), &self.others(seen)) {
                BackVerdict::Back { to, .. } => At::Decided(seen, RELEASES.iter().position(|it| *it == to)),
                BackVerdict::Nothing { .. } | BackVerdict::Wait { .. } | BackVerdict::Refuse(_) => At::Idle,
            },
            At::Decided(seen, version) => {
                if seen.is_current {
                    self.write(version);
                    self.went_back = true;
                }
                At::Idle
            }
            At::Queued | At::Registered | At::Waits | At::Unsaid | At::Done | At::Killed => At::Idle,
        };
    }
}

fn exhaust(model: Upgrading) {
    let limit = std::env::var("PROOF_STATES").ok().and_then(|text| text.parse().ok());
    let (name, began) = (model.name, std::time::Instant::now());
    let mut builder = model.checker().threads(2);
    if let Some(limit) = limit {
        builder = builder.target_state_count(limit);
    }
    let checked = builder.spawn_bfs().join();
    println!(
        "{name}: {} states, {} steps deep, {:.1}s",
        checked.unique_state_count(),
        checked.max_depth(),
        began.elapsed().as_secs_f32()
    );
    for (rule, path) in checked.discoveries() {
        if rule.starts_with("21") {
            panic!("{name} breaks '{rule}':\n{path}");
        }
    }
    checked.assert_properties();
}

const NONE: Left = Left { deaths: 0, kills: 0, silences: 0, failures: 0, backs: 0 };

/// Two voters, a machine of the next version, and a late one of the voters', which knows nothing of upgrades.
#[test]
fn upgrading_one_minor() {
    let left = Left { deaths: 2, kills: 1, failures: 1, ..NONE };
    exhaust(Upgrading { name: "UPGRADING", start: World::new(2, &[(2, true), (0, false)], left), end: 2 });
}

/// A voter, machines of the next two versions, and a late one of the voter's; any of them may be silent.
#[test]
fn upgrading_two_minors() {
    let left = Left { deaths: 2, kills: 1, silences: 1, ..NONE };
    exhaust(Upgrading {
        name: "UPGRADING_TWICE",
        start: World::new(1, &[(2, true), (3, true), (0, true)], left),
        end: 3,
    });
}

/// A machine of the next version, a late one of the voter's, and an operator who takes back what has begun.
#[test]
fn upgrading_and_back() {
    let left = Left { deaths: 1, kills: 1, backs: 1, ..NONE };
    exhaust(Upgrading { name: "UPGRADING_BACK", start: World::new(1, &[(2, true), (0, true)], left), end: 2 });
}

/// Two machines of the next version at once, and a later patch of the voter's.
#[test]
fn upgrading_two_at_once() {
    let left = Left { deaths: 1, ..NONE };
    exhaust(Upgrading {
        name: "UPGRADING_BESIDE",
        start: World::new(1, &[(2, true), (2, true), (1, true)], left),
        end: 2,
    });
}

/// Machines of two images have begun to join at one moment, and each has seen the other. From then on they take turns, as the lease makes
/// them: nobody waits for one that only waits itself.
#[test]
fn upgrading_turns() {
    let mut world = World::new(1, &[(2, true), (1, true)], NONE);
    let names = 0..world.machines.len();
    for name in names.clone().cycle().take(20 * names.len()) {
        if !matches!(world.machines[name].at, At::Listed(_) | At::Done) {
            world.up(name);
        }
    }
    for name in names.clone().cycle().take(4 * names.len()) {
        // A turn: from where it stands to where it looks anew.
        for _ in 0..20 {
            world.up(name);
            world.kubeadm(name);
            if matches!(world.machines[name].at, At::Idle | At::Done) {
                break;
            }
        }
    }
    let joined = world.machines.iter().filter(|machine| machine.at == At::Done).count();
    assert!(joined > 1, "nobody has joined: {world:#?}");
}
