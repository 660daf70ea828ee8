//! All interleavings of small worlds, exhausted by a model checker.
//!
//! Every clock runs on its own and at any speed: no rule that must always hold may depend on time.

use crate::fair::{self, End};
use crate::world::nature::Bounds;
use crate::world::{
    Action, At, Budget, Cluster, Data, Disk, FIRST, Life, Line, Machine, Manifest, Marker, Mem, Phase, Rec, RecState,
    Reg, Rule, Stage, Up, World,
};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, Mutex};

/// One small world.
pub struct Small {
    pub name: &'static str,
    pub start: World,
    /// A fair end is played from every `fair_every`-th state; 0: from none.
    pub fair_every: u64,
    ends: Mutex<HashSet<u64>>,
}

impl Small {
    fn new(name: &'static str, start: World, fair_every: u64) -> Self {
        Self { name, start: World { coarse: true, ..start }, fair_every, ends: Mutex::default() }
    }
}

fn keeps<const RULE: usize>(_: &Small, world: &World) -> bool {
    world.broken != Some(Rule::ALL[RULE])
}

impl Model for Small {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.start.clone()]
    }

    fn actions(&self, world: &World, out: &mut Vec<Action>) {
        if world.broken.is_none() {
            world.actions(Bounds { one_clock: false }, out);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut next = last.clone();
        next.apply(action);
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(Rule::ALL[0].name(), keeps::<0>),
            Property::always(Rule::ALL[1].name(), keeps::<1>),
            Property::always(Rule::ALL[2].name(), keeps::<2>),
            Property::always(Rule::ALL[3].name(), keeps::<3>),
            Property::always(Rule::ALL[4].name(), keeps::<4>),
            Property::always(Rule::ALL[5].name(), keeps::<5>),
            Property::always(Rule::ALL[6].name(), keeps::<6>),
            Property::always(Rule::ALL[7].name(), keeps::<7>),
            Property::always(Rule::ALL[8].name(), keeps::<8>),
            Property::always(Rule::ALL[9].name(), keeps::<9>),
            Property::always(Rule::ALL[10].name(), keeps::<10>),
            Property::always(Rule::ALL[11].name(), keeps::<11>),
            Property::always(Rule::ALL[12].name(), keeps::<12>),
            Property::always(Rule::ALL[13].name(), keeps::<13>),
            Property::always(Rule::ALL[14].name(), keeps::<14>),
            Property::always(Rule::ALL[15].name(), keeps::<15>),
            Property::always(Rule::ALL[16].name(), keeps::<16>),
            Property::always(Rule::ALL[17].name(), keeps::<17>),
            Property::always(Rule::ALL[18].name(), keeps::<18>),
            Property::always(Rule::ALL[19].name(), keeps::<19>),
            Property::always(Rule::ALL[20].name(), keeps::<20>),
            Property::always(Rule::ALL[21].name(), keeps::<21>),
            Property::always(Rule::ALL[22].name(), keeps::<22>),
            Property::always(Rule::ALL[23].name(), keeps::<23>),
            Property::always(Rule::ALL[24].name(), keeps::<24>),
            Property::always(Rule::ALL[25].name(), keeps::<25>),
            Property::always(Rule::ALL[26].name(), keeps::<26>),
            Property::always(Rule::ALL[27].name(), keeps::<27>),
            Property::always(Rule::ALL[28].name(), keeps::<28>),
            Property::always(Rule::ALL[29].name(), keeps::<29>),
            Property::always(Rule::ALL[30].name(), keeps::<30>),
            Property::always("5: what was published exists", |_, world: &World| world.published_exists()),
            Property::always("6: every fair end is well", |model: &Small, world: &World| model.ends_well(world)),
        ]
    }
}

impl Small {
    fn ends_well(&self, world: &World) -> bool {
        if self.fair_every == 0 || world.broken.is_some() {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        world.hash(&mut hasher);
        let print = hasher.finish();
        if !print.is_multiple_of(self.fair_every) || !self.ends.lock().expect("no holder panics").insert(print) {
            return true;
        }
        match fair::play(world, |_, _| {}) {
            End::Well(_) | End::Lost => true,
            End::Stuck(end) | End::Broken(end) => {
                println!("{}: nothing comes of it: {end:#?}", self.name);
                false
            }
        }
    }
}

/// The result of exhausting one world.
pub struct Exhausted {
    pub states: usize,
    pub depth: usize,
    pub ends: usize,
    pub failures: Vec<String>,
}

pub fn exhaust(small: Small) -> Exhausted {
    let name = small.name;
    let bounds = format!("{} machines, at most {:?}", small.start.machines.len(), small.start.left);
    let began = std::time::Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(2);
    let limit = std::env::var("PROOF_STATES").ok().and_then(|text| text.parse().ok());
    let mut builder = small.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
    if let Some(limit) = limit {
        builder = builder.target_state_count(limit);
    }
    let checked = builder.spawn_bfs().join();
    let mut failures = Vec::new();
    for (rule, path) in checked.discoveries() {
        let mut text = format!("{name} breaks '{rule}':\n");
        for (world, action) in path.into_vec() {
            match action {
                Some(action) => text.push_str(&format!("  {action:?}\n")),
                None => text.push_str(&format!("in this world:\n{world:#?}\n")),
            }
        }
        failures.push(text);
    }
    let ends = checked.model().ends.lock().expect("no holder panics").len();
    let (states, depth) = (checked.unique_state_count(), checked.max_depth());
    println!(
        "exhausted {name}: {states} states, {depth} steps deep, {ends} fair ends, {:.1}s",
        began.elapsed().as_secs_f32()
    );
    println!("  bounds: {bounds}");
    Exhausted { states, depth, ends, failures }
}

/// A cluster of these machines, initialised by the first under claim 1, of which every one has joined.
pub fn cluster(machines: u8, left: Budget) -> World {
    let mut world = World::new(machines, left);
    world.bucket.record = Some(Rec {
        claim: 1,
        group: 0,
        yielded: Vec::new(),
        retired: Vec::new(),
        superseded: Vec::new(),
        fences: 0,
        state: RecState::Ready { by: 0, at: 1, uid: 1 },
    });
    (world.bucket.made, world.bucket.hash, world.bucket.uid) = (Some(1), Some(1), Some(1));
    (world.claims, world.nonces, world.members) = (1, machines.into(), machines);
    let mut mems = Vec::new();
    for slot in world.slots() {
        let first = slot == 0;
        let member = if first { FIRST + 1 } else { slot + 1 };
        let disk = Disk {
            marker: Some(Marker { owner: slot, claim: 1, stage: Stage::Member, member: Some(member) }),
            manifest: Some(if first { Manifest::Init(1, 1) } else { Manifest::Join }),
            data: Some(Data { birth: 1, claim: 1, at: 1, member }),
        };
        let addr = world.machine(slot).addr;
        world.machine_mut(slot).disk = disk;
        world.machine_mut(slot).credentials = true;
        world.machine_mut(slot).up = Some(Box::new(Up { at: At::Done, ..Up::new(None) }));
        let (nonce, member_id) = (Some(slot.into()), Some(member));
        let reg = Reg {
            phase: Phase::Joined,
            claim: Some(1),
            retired: false,
            nonce,
            member: member_id,
            ready: Some(1),
            saw: Some(1),
        };
        world.bucket.regs.insert(slot, reg);
        mems.push(Mem { id: member, slot, addr, learner: false, started: true });
    }
    world.clusters.insert(1, Cluster { claim: 1, at: 1, key: true, uid: 1, writes: 0, mems });
    if left.objects > 0 {
        world.bucket.past.extend(earlier(&world));
    }
    if left.markers > 0 {
        world.markers.extend(world.machines.iter().filter_map(|machine| machine.disk.marker));
        world.markers.insert(Marker { owner: 0, claim: 1, stage: Stage::Initializing, member: None });
        world.markers.insert(Marker { owner: 0, claim: 0, stage: Stage::Initializing, member: None });
        world.markers.insert(Marker { owner: 1, claim: 1, stage: Stage::Joining, member: None });
    }
    world
}

/// The versions that such a record has had.
fn earlier(world: &World) -> Vec<Rec> {
    let ready = world.bucket.record.clone().expect("there is a cluster");
    let claimed = |holder| Rec { state: RecState::Initializing { holder, beat: 0, restoring: None }, ..ready.clone() };
    let stepped_down = Rec { claim: 0, yielded: vec![1], ..claimed(None) };
    vec![claimed(Some(0)), stepped_down, ready.clone()]
}

/// The same with `fresh` machines that have not joined yet.
fn with_fresh(machines: u8, fresh: u8, left: Budget) -> World {
    let mut world = cluster(machines, left);
    world.desired += fresh;
    world.machines.extend((1..=fresh).map(|n| Machine::new(machines + n)));
    world
}

/// The same beside the registration of a machine whose member was removed and that is gone.
fn with_a_former_one(mut world: World) -> World {
    let addr = u8::try_from(world.machines.len() + 1).expect("there are few machines");
    world.machines.push(Machine { life: Life::Terminated, ..Machine::new(addr) });
    let slot = world.slots().last().expect("one was pushed");
    let says = Reg { phase: Phase::Reaped, nonce: None, member: Some(99), ..world.bucket.regs[&0] };
    world.bucket.regs.insert(slot, says);
    world
}

/// Three voters, of which one has died, a machine at its address, and a fresh one.
fn at_an_old_address(left: Budget) -> World {
    let mut world = with_fresh(3, 1, left);
    let dead = world.machine_mut(2);
    (dead.life, dead.up, dead.off) = (Life::Terminated, None, true);
    world.machines.push(Machine::new(world.machine(2).addr));
    world
}

/// One machine that serves and a fresh one, after a cluster of claim 0 that was retired: its records may come back, too.
fn after_a_retired_one(left: Budget) -> World {
    let mut world = with_fresh(1, 1, left);
    let ready = world.bucket.record.clone().expect("there is a cluster");
    let before = Rec { claim: 0, state: RecState::Ready { by: 0, at: 1, uid: 0 }, ..ready };
    let retired = Rec { state: RecState::Retired { by: 0, at: 1, uid: 0 }, ..before.clone() };
    let bucket = &mut world.bucket;
    bucket.record.iter_mut().for_each(|record| record.retired.push(0));
    bucket.past =
        std::mem::take(&mut bucket.past).into_iter().map(|record| Rec { retired: vec![0], ..record }).collect();
    bucket.past.extend([before, retired]);
    world
}

/// A cluster of one machine that was saved, and fresh machines. Whether its last voter is still there, as it was.
fn saved(fresh: u8, survives: bool, left: Budget) -> World {
    let mut world = with_fresh(1, fresh, left);
    let line = Line { uid: 1, made: 1, by: 0, at: 1, writes: 0 };
    let record = world.bucket.record.as_mut().expect("there is a cluster");
    record.state = RecState::Saved(line);
    if left.objects > 0 {
        world.bucket.past.insert(record.clone());
    }
    let last = world.machine_mut(0);
    last.up = None;
    if !survives {
        (last.life, last.off) = (Life::Terminated, true);
        world.desired = fresh;
    }
    world
}

/// Such a cluster, restored by the first fresh machine, and the last voter of before as it was: the record of then may come back.
fn restored_beside_a_survivor(fresh: u8, left: Budget) -> World {
    let mut world = saved(1 + fresh, true, left);
    let before = world.bucket.record.clone().expect("there is a cluster");
    let (addr, slot) = (world.machine(1).addr, 1);
    let member = FIRST + addr;
    let bucket = &mut world.bucket;
    let ready = RecState::Ready { by: slot, at: addr, uid: 1 };
    bucket.record = Some(Rec { claim: 2, superseded: vec![1], state: ready, ..before });
    (bucket.made, bucket.earlier, bucket.tokens) = (Some(2), [1].into(), [2].into());
    let says = Reg { claim: Some(2), member: Some(member), ready: Some(2), saw: Some(2), ..bucket.regs[&0] };
    bucket.regs.insert(slot, says);
    world.claims = 2;
    let mems = vec![Mem { id: member, slot, addr, learner: false, started: true }];
    world.clusters.insert(2, Cluster { claim: 2, at: addr, key: true, uid: 1, writes: 0, mems });
    let machine = world.machine_mut(slot);
    machine.disk = Disk {
        marker: Some(Marker { owner: slot, claim: 2, stage: Stage::Member, member: Some(member) }),
        manifest: Some(Manifest::Init(2, addr)),
        data: Some(Data { birth: 2, claim: 2, at: addr, member }),
    };
    machine.credentials = true;
    machine.up = Some(Box::new(Up { at: At::Done, ..Up::new(None) }));
    world
}

/// After a retired one, where the first machine died right after the flip, before it wrote down that it is a member, and the fresh one may have seen
/// the cluster.
fn cut_off_at_the_flip(left: Budget) -> World {
    let mut world = after_a_retired_one(left);
    let machine = world.machine_mut(0);
    machine.up = Some(Box::new(Up::new(None)));
    machine.disk.marker = Some(Marker { owner: 0, claim: 1, stage: Stage::Initializing, member: None });
    let says = world.bucket.regs.get_mut(&0).expect("it has registered");
    (says.phase, says.member, says.ready, says.saw) = (Phase::Initializing, None, None, None);
    world
}

macro_rules! worlds {
    ($($(#[$doc:meta])* $name:ident, $every:literal, $world:expr;)*) => {
        $(
            $(#[$doc])*
            pub static $name: LazyLock<Exhausted> =
                LazyLock::new(|| exhaust(Small::new(stringify!($name), $world, $every)));
        )*
        /// All of them.
        pub fn all() -> Vec<(&'static str, &'static Exhausted)> {
            vec![$((stringify!($name), &*$name)),*]
        }
        mod exhausted {
            $(
                #[test]
                #[allow(non_snake_case)]
                fn $name() {
                    super::holds(&super::$name);
                }
            )*
        }
    };
}

fn holds(exhausted: &Exhausted) {
    assert!(exhausted.failures.is_empty(), "{}", exhausted.failures.join("\n"));
    assert!(exhausted.states > 100, "only {} states, {} deep", exhausted.states, exhausted.depth);
}

/// Without the guard before kubelet.
fn unguarded(world: World) -> World {
    World { guarded: false, ..world }
}

/// A machine of the group, and one of another group or with another endpoint.
fn with_stranger(stranger: u8, accepts_group: bool, left: Budget) -> World {
    let mut world = World::new(2, left);
    world.desired = 1;
    (world.machines[1].group, world.machines[1].accepts_group) = (stranger, accepts_group);
    world
}

worlds! {
    /// Three fresh machines, and a bucket of which a reply gets lost, a write lands late or S3 says 409.
    ELECTION, 64, World::new(3, Budget { claims: 2, faults: 1, ..Budget::default() });
    /// Two fresh machines, a holder that beats, and two such faults.
    BEATS, 64, World::new(2, Budget { claims: 2, faults: 2, beats: 1, ..Budget::default() });
    /// Two fresh machines, killed between any two steps: own claims are met again.
    RESUME, 64, World::new(2, Budget { claims: 3, faults: 1, kills: 1, ..Budget::default() });
    /// Inits that fail: stepping down.
    YIELD, 64, World::new(2, Budget { claims: 3, init_failures: 2, ..Budget::default() });
    /// A machine that is terminated, another that is killed: taking over.
    TAKE_OVER, 64, World::new(2, Budget { claims: 3, deaths: 1, kills: 1, ..Budget::default() });
    /// One voter and one that joins: lost replies, a lost lease, a crash, a join that fails.
    JOINS, 64, with_fresh(1, 1, Budget { holdings: 3, faults: 1, kills: 1, join_failures: 1, beats: 1, ..Budget::default() });
    /// One voter and two that queue, one of them killed.
    QUEUE, 64, with_fresh(1, 2, Budget { holdings: 3, kills: 1, ..Budget::default() });
    /// The same with a machine that is terminated at any moment.
    DEATHS, 64, with_fresh(1, 2, Budget { holdings: 2, kills: 1, deaths: 1, ..Budget::default() });
    /// Two voters and one that joins over the death of any.
    QUORUM, 64, with_fresh(2, 1, Budget { holdings: 2, faults: 1, kills: 1, deaths: 1, ..Budget::default() });
    /// Three voters of which one dies, its replacement, and an EC2 that leaves machines out.
    REAPS, 64, cluster(3, Budget { holdings: 1, deaths: 1, launches: 1, views: 1, starts: 1, ..Budget::default() });
    /// Three voters of which one is frozen, one machine that joins, and an EC2 that leaves machines out.
    FROZEN, 64, with_fresh(3, 1, Budget { holdings: 1, freezes: 1, views: 2, ..Budget::default() });
    /// Machines that are stopped and started again, and replaced meanwhile.
    STOPS, 64, cluster(3, Budget { holdings: 1, stops: 1, launches: 1, lists: 1, starts: 1, ..Budget::default() });
    /// Replacements made from the disk of another machine, at fresh addresses and at old ones.
    IMAGES, 64, cluster(3, Budget { holdings: 1, deaths: 1, launches: 1, images: 1, kills: 1, ..Budget::default() });
    /// A machine made from the disk of a voter that is frozen: it holds what may be the last copy.
    LAST_COPY, 64, World { desired: 4, ..cluster(3, Budget { holdings: 1, launches: 1, images: 1, freezes: 1, ..Budget::default() }) };
    /// A machine of another group.
    OTHER_GROUP, 0, with_stranger(1, false, Budget { claims: 2, lists: 1, ..Budget::default() });
    /// The same, which an operator lets in.
    ACCEPTED, 0, with_stranger(1, true, Budget { claims: 2, faults: 1, starts: 1, ..Budget::default() });
    /// A machine whose settings point at the wrong bucket.
    OTHER_ENDPOINT, 0, with_stranger(8, false, Budget { claims: 2, views: 1, ..Budget::default() });
    /// Three voters, the power of all cut and etcd's data of any lost, without the guard: an emptied initialiser begins anew.
    EMPTIED, 64, unguarded(cluster(3, Budget { blackouts: 1, losses: 1, ..Budget::default() }));
    /// Data that is lost, or on a volume that comes back, the guard before kubelet, and joining anew.
    VOLUMES, 64, cluster(3, Budget { losses: 1, holdings: 1, starts: 1, ..Budget::default() });
    /// Somebody deletes the claim's key, and data is lost, without the guard.
    KEYS, 64, unguarded(cluster(2, Budget { keys: 1, losses: 1, holdings: 1, starts: 1, ..Budget::default() }));
    /// Data folders that are swapped or copied, without the guard.
    FOLDERS, 64, unguarded(cluster(3, Budget { disks: 1, holdings: 1, starts: 1, ..Budget::default() }));
    /// Markers of any time and machine, on any machine, and a data folder that is copied.
    MARKERS, 64, cluster(3, Budget { markers: 1, disks: 1, holdings: 1, starts: 1, ..Budget::default() });
    /// A cluster whose record, hash and registrations go back in time, and a fresh machine.
    WENT_BACK, 64, with_fresh(1, 1, Budget { objects: 2, claims: 1, holdings: 1, starts: 1, ..Budget::default() });
    /// The same with what only registrations prove.
    ONLY_SAID, 64, with_fresh(1, 1, Budget { objects: 2, claims: 1, freezes: 1, starts: 1, ..Budget::default() });
    /// Two fresh machines that make a cluster, while objects go back at any moment.
    UNDER_WAY, 64, World::new(2, Budget { objects: 1, claims: 2, holdings: 1, kills: 1, ..Budget::default() });
    /// A cluster that is retired while one of its voters is stopped, its successor, and that voter when it runs again.
    OLD_ONES, 64, cluster(2, Budget { claims: 1, deaths: 1, stops: 1, launches: 1, retirements: 1, starts: 1, ..Budget::default() });
    /// Two fresh machines, and an API server of another cluster at any moment.
    STRANGERS, 64, World::new(2, Budget { strangers: 1, claims: 1, holdings: 1, ..Budget::default() });
    /// A cluster that is lost and retired, whether that comes to its end, and objects that go back then.
    RETIRED_BACK, 64, cluster(1, Budget { claims: 1, deaths: 1, launches: 1, retirements: 1, objects: 1, ..Budget::default() });
    /// The record goes back to a retired cluster's, while who made the next one has not yet written that down.
    BEFORE_THE_MARK, 1, cut_off_at_the_flip(Budget { objects: 1, claims: 1, holdings: 1, starts: 1, ..Budget::default() });
    /// A cluster after a retired one, whose record and hash go back to that one, three times.
    TWICE_BACK, 64, after_a_retired_one(Budget { objects: 3, claims: 1, freezes: 1, starts: 1, ..Budget::default() });
    /// Two fresh machines, something wrong with any of them at any moment.
    UNFIT, 64, World::new(2, Budget { claims: 2, holdings: 1, defects: 1, ..Budget::default() });
    /// A voter that starts again beside the registration of a machine that is gone, and another that joins and may die.
    FORMER, 64, with_a_former_one(with_fresh(1, 1, Budget { holdings: 1, deaths: 1, starts: 2, ..Budget::default() }));
    /// A dead voter, whose address a new machine has, and another that joins.
    OLD_ADDRESS, 64, at_an_old_address(Budget { holdings: 2, ..Budget::default() });
    /// Three voters, of which two are terminated, in their hooks.
    TWO_LEAVE, 64, cluster(3, Budget { endings: 2, holdings: 2, kills: 1, ..Budget::default() });
    /// Two voters and one that joins, any two of which are terminated, in their hooks.
    ONE_COMES, 64, with_fresh(2, 1, Budget { endings: 2, holdings: 3, ..Budget::default() });
    /// Two voters, of which one is terminated and then put back into the group, where its `up` is started once more.
    BACK_AGAIN, 64, cluster(2, Budget { endings: 1, lists: 1, holdings: 2, starts: 1, ..Budget::default() });
    /// Two voters, of which one is terminated, with a marker of any time and machine on any of them.
    ENDED_MARKED, 64, cluster(2, Budget { endings: 1, markers: 1, holdings: 1, ..Budget::default() });
    /// Two fresh machines that make a cluster, and are terminated meanwhile, in their hooks.
    ENDED_YOUNG, 64, World::new(2, Budget { endings: 1, claims: 2, holdings: 1, faults: 1, ..Budget::default() });
    /// One voter, whose group wants none and then one again at any moment, while a client writes.
    SAVES, 64, cluster(1, Budget { desires: 2, endings: 1, writes: 1, faults: 1, kills: 1, claims: 1, launches: 1, ..Budget::default() });
    /// The same beside a machine that joins.
    SAVES_BESIDE, 64, with_fresh(1, 1, Budget { desires: 2, endings: 1, writes: 1, holdings: 1, claims: 1, ..Budget::default() });
    /// Two voters that leave one after the other, and a machine that comes afterwards.
    HIBERNATION, 64, cluster(2, Budget { desires: 2, endings: 2, holdings: 1, launches: 1, claims: 1, ..Budget::default() });
    /// A saved cluster and two fresh machines, and a restore that fails, perhaps without an error.
    RESTORES, 64, saved(2, false, Budget { claims: 2, init_failures: 1, faults: 1, ..Budget::default() });
    /// One fresh machine, whose attempts are cut off at any moment: each has an etcd of its own.
    RESTORED_AGAIN, 64, saved(1, false, Budget { claims: 3, init_failures: 1, faults: 1, kills: 1, cuts: 1, ..Budget::default() });
    /// Two fresh machines, and a holder that dies.
    RESTORER_DIES, 64, saved(2, false, Budget { claims: 2, deaths: 1, kills: 1, ..Budget::default() });
    /// A saved cluster, its last voter that comes back with its data, and a fresh machine.
    SURVIVOR, 64, saved(1, true, Budget { claims: 2, holdings: 1, lists: 1, cuts: 1, ..Budget::default() });
    /// The same while the group ends that last voter, which may be taken back into it.
    SURVIVOR_ENDS, 64, saved(1, true, Budget { claims: 1, holdings: 1, lists: 1, endings: 1, faults: 1, ..Budget::default() });
    /// A cluster of which nothing is left but a snapshot, that an operator restores.
    TOTAL_LOSS, 64, cluster(1, Budget { deaths: 1, stops: 1, launches: 1, snapshots: 1, writes: 1, restores: 1, claims: 2, ..Budget::default() });
    /// The same with a machine that joins before: it has its vote before it says so.
    LOSS_BESIDE, 64, with_fresh(1, 1, Budget { deaths: 1, stops: 1, holdings: 1, snapshots: 1, restores: 1, claims: 1, ..Budget::default() });
    /// A saved cluster whose record, hash and registrations go back while it is restored.
    SAVED_BACK, 64, saved(1, false, Budget { claims: 2, objects: 2, starts: 1, ..Budget::default() });
    /// A cluster that was restored, whose last voter of before comes back, and whose record of before, and a fresh machine.
    RESTORED_BACK, 64, restored_beside_a_survivor(1, Budget { holdings: 1, objects: 1, starts: 1, ..Budget::default() });
    /// A cluster that is lost, retired, and made anew.
    RETIRED, 64, cluster(1, Budget { claims: 2, deaths: 1, stops: 1, launches: 1, retirements: 1, kills: 1, starts: 1, ..Budget::default() });
}
