//! Two leaders that publish the token of workers, and a `retire` that blanks it, with any pause between a look and a write, over three
//! clusters that follow one another under the same prefix: rule 18.

use kubeboot::model::joining::publication::{Found, LIFETIME, Publication, of_blanking, of_token};
use kubeboot::model::joining::{BootstrapToken, Join, JoinToken};
use kubeboot::model::record::conditional_write::Condition;
use stateright::{Checker, Model, Property};

/// Clusters that are made, and writes that are played.
const CLUSTERS: u8 = 3;
const WRITES: u8 = 6;
/// Seconds since 1970.
const NOW: u64 = 1_796_000_000;

/// What stands in `join/token.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Held {
    Token { generation: u8, ends: bool },
    Blank { generation: u8 },
}

impl Held {
    fn generation(self) -> u8 {
        match self {
            Self::Token { generation, .. } | Self::Blank { generation } => generation,
        }
    }
}

/// A write that is under way, with the `ETag` that it names, or none for an object that must not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Plan {
    over: Option<u8>,
    held: Held,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Leader {
    /// The generation of the record, as it was when this one read it.
    knows: Option<u8>,
    plan: Option<Plan>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    /// The cluster record: its generation, and whether it says 'retired'.
    generation: u8,
    retired: bool,
    object: Option<(u8, Held)>,
    writes: u8,
    leaders: [Leader; 2],
    blanking: Option<Plan>,
    /// The highest generation for which `retire` has ended well.
    given_up: u8,
    broken: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A leader reads the record, or looks at the object, or its write comes to S3.
    Learn(usize),
    Look(usize),
    Write(usize),
    /// The token that is published comes to its last minutes.
    Ends,
    Retire,
    /// Another cluster is made.
    Follow,
    BlankLook,
    BlankWrite,
}

struct Publishing;

const LOWER: &str = "18: a generation never follows a higher one";
const LOST: &str = "18: no valid token is lost that was published";
const AGAIN: &str = "18: nothing of a cluster that was given up is published again";

impl Model for Publishing {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            generation: 1,
            retired: false,
            object: None,
            writes: 0,
            leaders: Default::default(),
            blanking: None,
            given_up: 0,
            broken: None,
        }]
    }

    fn actions(&self, _: &World, out: &mut Vec<Step>) {
        out.extend([Step::Ends, Step::Retire, Step::Follow, Step::BlankLook, Step::BlankWrite]);
        out.extend((0..2).flat_map(|leader| [Step::Learn(leader), Step::Look(leader), Step::Write(leader)]));
    }

    fn next_state(&self, last: &World, step: Step) -> Option<World> {
        let mut next = last.clone();
        match step {
            Step::Learn(leader) if !next.retired => next.leaders[leader].knows = Some(next.generation),
            Step::Look(leader) => next.look(leader),
            Step::Write(leader) => {
                let plan = next.leaders[leader].plan.take()?;
                next.put(plan);
            }
            Step::Ends => next.ends(),
            Step::Retire => next.retired = true,
            Step::Follow if next.retired && next.generation < CLUSTERS => {
                (next.generation, next.retired) = (next.generation + 1, false);
            }
            Step::BlankLook if next.retired => next.look_to_blank(),
            Step::BlankWrite => next.blank()?,
            Step::Learn(_) | Step::Follow | Step::BlankLook => {}
        }
        (next != *last && next.writes <= WRITES).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(LOWER, |_, world: &World| world.broken != Some(LOWER)),
            Property::always(LOST, |_, world: &World| world.broken != Some(LOST)),
            Property::always(AGAIN, |_, world: &World| world.broken != Some(AGAIN)),
            Property::always("18: a leader that is left in peace publishes a token that lasts", |_, world: &World| {
                world.retired || world.in_peace().holds_a_lasting_token()
            }),
            Property::always(
                "18: a retire that is left in peace leaves no token of its cluster",
                |_, world: &World| !world.retired || world.given_up_in_peace(),
            ),
            Property::sometimes("a token is renewed", |_, world: &World| {
                world.writes > 1 && world.given_up == 0 && world.holds_a_lasting_token()
            }),
            Property::sometimes("the third cluster has a token", |_, world: &World| {
                world.generation == CLUSTERS && world.holds_a_lasting_token()
            }),
        ]
    }
}

impl World {
    fn found(&self) -> Found<JoinToken> {
        let Some((etag, held)) = self.object else { return Found::Nothing };
        let held = match held {
            Held::Token { generation, ends } => {
                let left = if ends { LIFETIME / 4 } else { LIFETIME };
                let token = BootstrapToken::parse("abc123.0123456789abcdef").expect("it is one");
                Join::Published(JoinToken::new(generation.into(), token, NOW + left.as_secs()))
            }
            Held::Blank { generation } => Join::Blank { generation: generation.into() },
        };
        Found::Object { etag: etag.to_string(), held: Ok(held) }
    }

    /// What a leader sees, and what the real decision makes of it.
    fn look(&mut self, leader: usize) {
        let Some(generation) = self.leaders[leader].knows else { return };
        self.leaders[leader].plan = match of_token(&self.found(), generation.into(), NOW, true) {
            Publication::Write(condition, _) => Some(Plan::of(&condition, Held::Token { generation, ends: false })),
            Publication::Keep | Publication::Leave(_) => None,
        };
    }

    fn look_to_blank(&mut self) {
        let generation = self.generation;
        match of_blanking(&self.found(), generation.into()) {
            Some(condition) => self.blanking = Some(Plan::of(&condition, Held::Blank { generation })),
            None => self.given_up = self.given_up.max(generation),
        }
    }

    /// The write of a `retire`: one that is too late is told, and made again.
    fn blank(&mut self) -> Option<()> {
        let plan = self.blanking.take()?;
        if self.put(plan) {
            self.given_up = self.given_up.max(plan.held.generation());
        }
        Some(())
    }

    /// What S3 makes of a conditional write, and whether it is done.
    fn put(&mut self, plan: Plan) -> bool {
        if plan.over != self.object.map(|(etag, _)| etag) {
            return false;
        }
        let new = plan.held.generation();
        let is_token = matches!(plan.held, Held::Token { .. });
        if let Some((_, before)) = self.object {
            if new < before.generation() {
                self.broken = Some(LOWER);
            }
            if is_token && before == (Held::Token { generation: new, ends: false }) {
                self.broken = Some(LOST);
            }
            if is_token && before == (Held::Blank { generation: new }) {
                self.broken = Some(AGAIN);
            }
        }
        if is_token && new <= self.given_up {
            self.broken = Some(AGAIN);
        }
        self.writes += 1;
        self.object = Some((self.writes, plan.held));
        true
    }

    fn ends(&mut self) {
        if let Some((_, Held::Token { ends, .. })) = &mut self.object {
            *ends = true;
        }
    }

    /// This world after one leader has done all of its work alone.
    fn in_peace(&self) -> World {
        let mut world = self.clone();
        world.leaders[0] = Leader { knows: Some(world.generation), plan: None };
        world.look(0);
        if let Some(plan) = world.leaders[0].plan.take() {
            world.put(plan);
        }
        world
    }

    fn holds_a_lasting_token(&self) -> bool {
        self.object.is_some_and(|(_, held)| held == Held::Token { generation: self.generation, ends: false })
    }

    /// Whether `retire`, run once more and alone, ends well and leaves no token of this generation or a lower one.
    fn given_up_in_peace(&self) -> bool {
        let mut world = self.clone();
        world.blanking = None;
        world.look_to_blank();
        world.blank();
        let is_token = matches!(world.object, Some((_, Held::Token { .. })));
        world.given_up >= world.generation && !is_token
    }
}

impl Plan {
    fn of(condition: &Condition, held: Held) -> Self {
        let over = match condition {
            Condition::Absent => None,
            Condition::Unchanged(etag) => Some(etag.parse().expect("it is one of this world's")),
        };
        Self { over, held }
    }
}

#[test]
fn two_leaders_and_a_retire_never_publish_what_was_given_up() {
    let limit = std::env::var("PROOF_STATES").ok().and_then(|text| text.parse().ok());
    let mut builder = Publishing.checker().threads(2);
    if let Some(limit) = limit {
        builder = builder.target_state_count(limit);
    }
    let checked = builder.spawn_bfs().join();
    println!("publishing: {} states, {} steps deep", checked.unique_state_count(), checked.max_depth());
    for (rule, path) in checked.discoveries() {
        if rule.starts_with("18") {
            panic!("publishing breaks '{rule}':\n{path}");
        }
    }
    checked.assert_properties();
}
