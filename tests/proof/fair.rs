//! The sixth rule: after the faults have ceased, all must end well. Machines take turns, all clocks run alike, late writes have
//! landed, frozen machines are thawed, every machine serves again, systemd restarts `up`, and the group replaces lost machines.

use crate::world::{Action, At, Budget, Kubeadm, Life, Listed, Luck, Machine, Rule, Slot, Stage, Up, World};

/// How many turns all machines get until all must be well, five seconds each: several times the longest wait.
pub const TURNS: usize = 400;
const TURN: u16 = 5;
/// After so many turns the terminate hooks end.
const HOOK: usize = 250;

/// The result of a fair end.
#[derive(Debug)]
pub enum End {
    /// All is well after so many turns.
    Well(usize),
    /// The cluster had lost its quorum for good, or no machine is left: an operator must decide.
    Lost,
    /// The bound was reached, and not all is well.
    Stuck(Box<World>),
    /// A rule was broken on the way.
    Broken(Box<World>),
}

/// Plays on from this state. `on_action` is called with every action.
pub fn play(world: &World, mut on_action: impl FnMut(&Action, &World)) -> End {
    let mut world = world.clone();
    world.left = Budget { claims: 250, holdings: 250, beats: 250, ..Budget::default() };
    while !world.bucket.flights.is_empty() {
        happen(&mut world, Action::Land(0), &mut on_action);
    }
    world.restore();
    world.outage = 0;
    if world.resized {
        // Somebody wants the cluster again, and one machine more.
        let stays = |slot: &Slot| {
            let machine = world.machine(*slot);
            matches!(machine.life, Life::Running | Life::Stopped) && machine.listed != Listed::Ending
        };
        let staying = world.slots().filter(stays).count();
        world.desired = u8::try_from(staying + 1).expect("there are few machines");
    }
    for slot in world.slots() {
        if world.machine(slot).volume.is_some() && world.machine(slot).disk.data.is_none() {
            happen(&mut world, Action::Mount(slot), &mut on_action);
        }
        if world.machine(slot).life == Life::Running && world.machine(slot).off {
            happen(&mut world, Action::Boot(slot), &mut on_action);
        }
        if world.machine(slot).unfit {
            happen(&mut world, Action::Mend(slot), &mut on_action);
        }
        if world.machine(slot).frozen {
            happen(&mut world, Action::Thaw(slot), &mut on_action);
        }
        if !matches!(world.machine(slot).listed, Listed::InService | Listed::Ending) {
            happen(&mut world, Action::List(slot, Listed::InService), &mut on_action);
        }
        if world.machine(slot).life == Life::Stopped {
            happen(&mut world, Action::Run(slot), &mut on_action);
        }
    }
    replace(&mut world);
    if world.is_lost() {
        return End::Lost;
    }
    for turn in 0..TURNS {
        if world.is_well() && world.slots().all(|slot| rests(&world, slot)) {
            return End::Well(turn);
        }
        if turn == HOOK {
            end_hooks(&mut world, &mut on_action);
            if world.broken.is_some() {
                return End::Broken(Box::new(world));
            }
            if world.is_lost() {
                return End::Lost;
            }
        }
        for slot in world.slots() {
            take_turn(&mut world, slot, turn == 0 || turn % 40 == 39, &mut on_action);
        }
        happen(&mut world, Action::Tick(TURN), &mut on_action);
        (world.left.claims, world.left.holdings, world.left.beats) = (250, 250, 250);
        if world.broken.is_some() {
            return End::Broken(Box::new(world));
        }
    }
    // So does one where somebody has put back the registration of a machine that died before it wrote it anew.
    // A disk that somebody swapped, or that another machine wrote, may be the last copy: then an operator decides.
    let decides = |slot: Slot| world.machine(slot).life == Life::Running && world.needs_operator(slot);
    if world.slipped || world.slots().any(decides) || world.has_unexplained_member() {
        End::Lost
    } else {
        End::Stuck(Box::new(world))
    }
}

fn happen(world: &mut World, action: Action, on_action: &mut impl FnMut(&Action, &World)) {
    world.apply(action);
    on_action(&action, world);
}

/// The group launches the machines that it lacks, at fresh addresses.
fn replace(world: &mut World) {
    let alive =
        |machine: &&Machine| matches!(machine.life, Life::Running | Life::Stopped) && machine.listed != Listed::Ending;
    while world.machines.iter().filter(alive).count() < usize::from(world.desired) {
        let addr = 100 + u8::try_from(world.machines.len()).expect("there are few machines");
        world.machines.push(Machine::new(addr));
    }
}

/// The hooks' time is over: whoever still waits in one goes, and must have had a reason to.
fn end_hooks(world: &mut World, on_action: &mut impl FnMut(&Action, &World)) {
    for slot in world.slots() {
        if world.agent_works(slot) {
            if world.must_be_out(slot) || world.is_stopped_voter(slot) {
                world.breaks(Rule::Stays);
            }
            // Its agent reads the record as well: nobody starts an `up` here. What a join has left that came to nothing serves nobody.
            let is_member = world.machine(slot).disk.marker.is_some_and(|marker| marker.stage == Stage::Member);
            if world.is_past(slot) && is_member && world.machine(slot).runs().is_some() {
                world.breaks(Rule::SetAside);
            }
            happen(world, Action::Terminate(slot), on_action);
            // Its member may be left, and here only who joins reaps.
            world.desired += 1;
        }
    }
    replace(world);
}

fn rests(world: &World, slot: Slot) -> bool {
    let machine = world.machine(slot);
    machine.life != Life::Running || machine.up.as_ref().is_some_and(|up| up.at == At::Look || up.at.is_end())
}

fn take_turn(world: &mut World, slot: Slot, restart: bool, on_action: &mut impl FnMut(&Action, &World)) {
    let machine = world.machine(slot);
    if machine.life != Life::Running {
        return;
    }
    if world.may_say_its_name(slot) {
        happen(world, Action::Serve(slot), on_action);
    }
    let machine = world.machine(slot);
    if machine.listed == Listed::Ending {
        if world.may_end_up(slot) {
            happen(world, Action::EndUp(slot), on_action);
        }
        return happen(world, Action::Agent(slot, Luck::Fine), on_action);
    }
    let starts = |up: &Up| up.at.is_end() && if world.by_unit { world.may_start(slot) } else { restart };
    if machine.up.as_ref().is_none_or(|up| starts(up)) {
        happen(world, Action::Start(slot), on_action);
    }
    if world.is_expired(slot) {
        happen(world, Action::Expire(slot), on_action);
    }
    if !matches!(world.machine(slot).kubeadm, Kubeadm::None | Kubeadm::Ended { .. }) {
        happen(world, Action::Kubeadm(slot, Luck::Fine), on_action);
    }
    if world.may_watch(slot) {
        happen(world, Action::Watch(slot), on_action);
    }
    if world.renewal_is_due(slot) {
        happen(world, Action::Renew(slot, Luck::Fine), on_action);
    }
    if !world.up(slot).at.is_end() {
        happen(world, Action::Step(slot, Luck::Fine), on_action);
    }
}
