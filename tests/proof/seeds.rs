//! Many seeded runs of a larger world: up to seven machines on one virtual clock, faults on every call and crashes between any two
//! steps; then the faults cease.
//!
//! `PROOF_RUNS` sets how many, `PROOF_SEED` plays one of them step by step.

use crate::fair::{self, End};
use crate::world::nature::Bounds;
use crate::world::{Action, Budget, Luck, World};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

const RUNS: u64 = 5000;
/// The first seed. It is fixed, so that a failure in CI is the same elsewhere.
const FIRST: u64 = 1;

/// SplitMix64: small, and the same on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn small(&mut self, end: u64) -> u8 {
        u8::try_from(self.below(end)).expect("it is small")
    }
}

/// How likely an action is beside the others.
fn weight(action: &Action, stormy: u64) -> u64 {
    match action {
        Action::Step(_, Luck::Fine) | Action::Renew(_, Luck::Fine) => 400,
        Action::Kubeadm(_, Luck::Fine) | Action::Watch(_) | Action::Serve(_) => 200,
        Action::Step(..) | Action::Renew(..) | Action::Kubeadm(..) => 10 * stormy,
        Action::Tick(_) => 600,
        Action::Start(_) => 60,
        Action::Thaw(_) => 20,
        Action::Launch { .. } => 20,
        Action::Land(_) => 30,
        Action::Run(_) | Action::Forget(_) | Action::Retire(_) | Action::Boot(_) | Action::Mount(_) => 10,
        Action::Kill(_) | Action::Freeze(_) => 3 * stormy,
        Action::PowerCut(_) => stormy,
        Action::Terminate(_) => 4,
        Action::Stop(_) | Action::List(..) => 1,
        Action::Blackout | Action::Lose(..) | Action::LoseKey | Action::Strange => 1,
        Action::SwapData(..) | Action::CopyData(..) | Action::Mark(..) | Action::Slip(_) => 1,
        Action::Outage(_) => 2,
        Action::Spoil(_) => 2,
        Action::Mend(_) => 10,
        Action::End(_) => 4,
        Action::Agent(_, Luck::Fine) => 300,
        Action::Agent(..) => 10 * stormy,
        Action::EndUp(_) => 100,
        Action::KillAgent(_) => 3 * stormy,
        Action::Expire(_) => 2000,
        Action::Desire(_) => 8,
        Action::Write => 20,
        Action::Snapshot | Action::Restore => 10,
        Action::Elapse(_) => 0,
    }
}

fn begin(chance: &mut Chance) -> World {
    let machines = 1 + chance.small(7);
    // What happens to disks and objects, in one run of eight each: most of the rest is to end well.
    let theme = chance.below(8);
    let when = |number: u64, times: u8| if theme == number { times } else { 0 };
    let mut world = World::new(
        machines,
        Budget {
            faults: 250,
            kills: 60,
            cuts: 30,
            freezes: 30,
            deaths: chance.small(4) + when(6, 6),
            stops: chance.small(2),
            launches: 6,
            images: chance.small(2),
            claims: 200,
            holdings: 200,
            beats: 250,
            init_failures: chance.small(4),
            join_failures: chance.small(6),
            views: 120,
            lists: chance.small(3),
            retirements: chance.small(2),
            blackouts: when(0, 2) + when(1, 1),
            losses: when(0, 2),
            disks: when(1, 2),
            markers: when(1, 2),
            keys: when(0, 2),
            objects: when(2, 3) + when(3, 2),
            strangers: when(4, 1),
            outages: chance.small(3),
            defects: chance.small(3),
            endings: chance.small(3) + when(5, 4),
            desires: when(5, 4),
            writes: when(5, 40) + when(6, 40),
            snapshots: when(6, 3),
            restores: when(6, 2),
            starts: 250,
        },
    );
    world.guarded = chance.below(2) == 0;
    world.attempts = 1 + chance.small(3);
    world.by_unit = chance.below(2) == 0;
    if world.by_unit {
        // The next `up` of a member writes the key anew, and no unit starts one that is done.
        world.left.keys = 0;
    }
    world
}

/// One run. `on_action` is called with every action.
fn run(seed: u64, mut on_action: impl FnMut(&Action, &World)) -> Result<Option<usize>, String> {
    let mut chance = Chance(seed);
    let mut world = begin(&mut chance);
    let (storm, stormy) = (100 + chance.below(900), 1 + chance.below(4));
    let mut actions = Vec::new();
    for step in 0..storm {
        actions.clear();
        world.actions(Bounds { one_clock: true }, &mut actions);
        let seconds = if chance.below(30) == 0 { 70 } else { 1 + chance.below(9) };
        actions.push(Action::Tick(u16::try_from(seconds).expect("it is small")));
        let total = actions.iter().map(|action| weight(action, stormy)).sum();
        let mut at = chance.below(total);
        let chosen = actions.iter().find(|action| {
            let weight = weight(action, stormy);
            let here = at < weight;
            at = at.saturating_sub(weight);
            here
        });
        let action = *chosen.expect("the weights add up");
        world.apply(action);
        on_action(&action, &world);
        if let Some(rule) = world.broken {
            return Err(format!("step {step}, {action:?}, breaks '{}'", rule.name()));
        }
        if !world.published_exists() {
            return Err(format!("step {step}, {action:?}: what was published is gone"));
        }
    }
    match fair::play(&world, &mut on_action) {
        End::Well(turns) => Ok(Some(turns)),
        End::Lost => Ok(None),
        End::Stuck(world) => Err(format!("faults have ceased, and nothing comes of it: {world:#?}")),
        End::Broken(world) => {
            Err(format!("after the faults, '{}' is broken", world.broken.map_or("", |rule| rule.name())))
        }
    }
}

/// The result of all runs.
pub struct Runs {
    pub failures: Vec<String>,
}

pub static ALL: LazyLock<Runs> = LazyLock::new(|| {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("PROOF_SEED") {
        let outcome = run(seed, |action, world| println!("{action:?}\n    {:?}", world.bucket.record));
        return Runs { failures: outcome.err().map(|why| format!("seed {seed}: {why}")).into_iter().collect() };
    }
    let runs = number("PROOF_RUNS").unwrap_or(RUNS);
    let next = AtomicU64::new(FIRST);
    let began = std::time::Instant::now();
    let work = || {
        let (mut failures, mut lost, mut longest) = (Vec::new(), 0_u64, 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= FIRST + runs || !failures.is_empty() {
                return (failures, lost, longest);
            }
            match run(seed, |_, _| {}) {
                Ok(Some(turns)) => longest = longest.max(turns),
                Ok(None) => lost += 1,
                Err(why) => failures.push(format!("seed {seed}: {why}\nagain, step by step: PROOF_SEED={seed} cargo test --no-default-features --profile proof --test proof -- --nocapture seeded")),
            }
        }
    };
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(work);
        (work(), one.join().expect("a run does not panic"))
    });
    println!(
        "{runs} seeded runs from seed {FIRST}: {} without a quorum at the end, the longest fair end {} turns, {:.1}s",
        one.1 + other.1,
        one.2.max(other.2),
        began.elapsed().as_secs_f32()
    );
    Runs { failures: [one.0, other.0].concat() }
});

#[test]
fn seeded_runs_keep_every_rule_and_end_well() {
    assert!(ALL.failures.is_empty(), "{}", ALL.failures.join("\n"));
}
