//! What may happen next, and everything that happens to machines from outside.

use super::agent::Where;
use super::bucket::{Body, Condition};
use super::{
    Action, At, CLAIM_TTL, DEADLINE, GRACE, Kubeadm, LATER, LONG, Life, Listed, Luck, Machine, Rec, RecState, SOON,
    Slot, Up, World,
};
use kubeboot::model::agent::Departure;
use kubeboot::model::record::claim;
use kubeboot::model::record::conditional_write;

/// Who decides on what may happen: a checker that tries everything, within bounds that keep the world small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Whether all clocks run as one (seeded runs), or each on its own at any speed.
    pub one_clock: bool,
}

impl World {
    /// Everything that may happen next.
    pub fn actions(&self, bounds: Bounds, out: &mut Vec<Action>) {
        for slot in self.slots() {
            let machine = self.machine(slot);
            match machine.life {
                Life::Running => self.actions_of(slot, bounds, out),
                Life::Stopped => out.extend([Action::Run(slot), Action::Terminate(slot)]),
                Life::Terminated => out.push(Action::Forget(slot)),
                Life::Forgotten => {}
            }
        }
        for at in 0..u8::try_from(self.bucket.flights.len()).unwrap_or(u8::MAX) {
            out.push(Action::Land(at));
        }
        self.launches(out);
        if self.left.retirements > 0 && self.may_retire() {
            out.extend([Action::Retire(true), Action::Retire(false)]);
        }
        out.extend(self.slips().into_iter().map(Action::Slip));
        if self.left.strangers > 0 && !self.strange {
            out.push(Action::Strange);
        }
        if self.left.outages > 0 && self.outage == 0 {
            out.extend([Action::Outage(CLAIM_TTL), Action::Outage(2 * DEADLINE)]);
        }
        if self.left.desires > 0 {
            let size = if self.desired == 0 { 1 } else { 0 };
            out.push(Action::Desire(size));
        }
        if self.left.writes > 0 && self.served().is_some() {
            out.push(Action::Write);
        }
        if self.may_snapshot() {
            out.push(Action::Snapshot);
        }
        if self.may_restore() {
            out.push(Action::Restore);
        }
        if self.left.blackouts > 0 {
            out.push(Action::Blackout);
        }
        if self.left.keys > 0 && self.visible().is_some_and(|claim| self.clusters.get(&claim).is_some_and(|it| it.key))
        {
            out.push(Action::LoseKey);
        }
        self.disks_of(out);
    }

    /// What may happen to disks.
    fn disks_of(&self, out: &mut Vec<Action>) {
        let there = |slot: &Slot| self.machine(*slot).life == Life::Running;
        for slot in self.slots().filter(there) {
            let machine = self.machine(slot);
            if self.left.losses > 0 && machine.disk.data.is_some() {
                out.extend([Action::Lose(slot, true), Action::Lose(slot, false)]);
            }
            if machine.volume.is_some() && machine.disk.data.is_none() {
                out.push(Action::Mount(slot));
            }
            if self.left.disks > 0 {
                let others = || self.slots().filter(there).filter(move |other| *other != slot);
                let swap = |other: &Slot| *other > slot && self.may_swap(slot, *other);
                out.extend(others().filter(swap).map(|other| Action::SwapData(slot, other)));
                out.extend(others().filter(|from| self.may_copy(*from, slot)).map(|from| Action::CopyData(from, slot)));
            }
            if self.left.markers > 0 {
                let marks = self.markers.iter().copied().map(Some).chain([None]);
                out.extend(marks.filter(|to| *to != machine.disk.marker).map(|to| Action::Mark(slot, to)));
            }
        }
    }

    fn actions_of(&self, slot: Slot, bounds: Bounds, out: &mut Vec<Action>) {
        let machine = self.machine(slot);
        let left = &self.left;
        if left.deaths > 0 {
            out.push(Action::Terminate(slot));
        }
        if left.stops > 0 {
            out.push(Action::Stop(slot));
        }
        // Somebody takes a machine that the group retains back into it.
        if left.lists > 0 && machine.listed == Listed::Ending {
            out.push(Action::List(slot, Listed::InService));
        } else if left.lists > 0 {
            let others = [Listed::InService, Listed::Standby, Listed::Unhealthy, Listed::Not];
            out.extend(others.iter().filter(|to| **to != machine.listed).map(|to| Action::List(slot, *to)));
        }
        if left.endings > 0 && machine.listed == Listed::InService {
            out.push(Action::End(slot));
        }
        if machine.unfit {
            out.push(Action::Mend(slot));
        } else if left.defects > 0 {
            out.push(Action::Spoil(slot));
        }
        if machine.off {
            out.push(Action::Boot(slot));
            return;
        }
        if machine.frozen {
            out.push(Action::Thaw(slot));
            return;
        }
        if left.freezes > 0 {
            out.push(Action::Freeze(slot));
        }
        if left.cuts > 0 && (machine.up.is_some() || machine.disk.data.is_some()) {
            out.push(Action::PowerCut(slot));
        }
        match machine.kubeadm {
            Kubeadm::None | Kubeadm::Ended { .. } => {}
            Kubeadm::Restore(..) => {
                lucky(out, |luck| Action::Kubeadm(slot, luck), left.init_failures, &[Luck::Fails, Luck::Lost]);
            }
            Kubeadm::Init(_) => lucky(out, |luck| Action::Kubeadm(slot, luck), left.init_failures, &[Luck::Fails]),
            Kubeadm::Add(_) | Kubeadm::Start(..) | Kubeadm::Promote(..) | Kubeadm::Serve(..) => {
                lucky(out, |luck| Action::Kubeadm(slot, luck), left.join_failures, &[Luck::Fails]);
            }
        }
        if self.may_say_its_name(slot) {
            out.push(Action::Serve(slot));
        }
        if self.agent_works(slot) {
            let saves = machine.agent.at == Where::Save;
            let bad: &[Luck] = if saves { &[Luck::Lost, Luck::Late, Luck::Fails] } else { &[Luck::Lost] };
            lucky(out, |luck| Action::Agent(slot, luck), left.faults, bad);
            if left.views > 0 {
                let others = self.slots().filter(|other| *other != slot);
                out.extend(others.map(|other| Action::Agent(slot, Luck::Without(other))));
            }
            if left.kills > 0 && machine.agent != super::agent::Agent::default() {
                out.push(Action::KillAgent(slot));
            }
            if self.may_end_up(slot) {
                out.push(Action::EndUp(slot));
            }
            if !bounds.one_clock && machine.agent.age < LONG {
                out.push(Action::Elapse(slot));
            }
        }
        let Some(up) = &machine.up else {
            if !self.agent_has_lock(slot) {
                out.push(Action::Start(slot));
            }
            return;
        };
        if self.is_expired(slot) {
            out.push(Action::Expire(slot));
        }
        match up.at {
            At::Done | At::Stopped | At::Expired if self.may_start(slot) && !self.agent_has_lock(slot) => {
                out.push(Action::Start(slot));
            }
            At::Done | At::Stopped | At::Expired => return,
            _ => {
                if left.kills > 0 {
                    out.push(Action::Kill(slot));
                }
                self.steps_of(slot, up, out);
            }
        }
        if !bounds.one_clock && self.waits_for_time(up) {
            out.push(Action::Elapse(slot));
        }
    }

    /// Whether somebody starts an `up` that has ended again.
    pub fn may_start(&self, slot: Slot) -> bool {
        let up = self.up(slot);
        match up.at {
            _ if !self.by_unit => self.left.starts > 0,
            At::Stopped => up.age >= LATER,
            At::Expired => up.age >= if up.for_operator { LATER } else { SOON },
            // Not before the next boot.
            _ => false,
        }
    }

    /// Whether the deadline of an `up` has passed.
    pub fn is_expired(&self, slot: Slot) -> bool {
        let up = self.up(slot);
        self.by_unit && !up.at.is_end() && up.age >= DEADLINE
    }

    /// Whether any of its clocks can matter to its next step.
    fn waits_for_time(&self, up: &Up) -> bool {
        let holds = (up.claim.is_some() || up.lease.is_some()) && self.left.beats > 0;
        let young = up.clone().clocks().any(|clock| *clock < LONG);
        young && (holds || matches!(up.at, At::Look))
    }

    /// The steps of an `up`, and what may go wrong with each.
    fn steps_of(&self, slot: Slot, up: &Up, out: &mut Vec<Action>) {
        let step = |luck| Action::Step(slot, luck);
        let faults = self.left.faults;
        match &up.at {
            At::Look => {
                out.push(step(Luck::Fine));
                if self.left.views > 0 {
                    out.extend(self.slots().filter(|other| *other != slot).map(|other| step(Luck::Without(other))));
                    out.extend([step(Luck::Nobody), step(Luck::Unlisted)]);
                }
                if faults > 0 && self.visible().is_some() {
                    out.push(step(Luck::Lost));
                }
            }
            At::Write { sent: None, .. } | At::TakeLease { sent: None, .. } => {
                lucky(out, step, faults, &[Luck::Lost, Luck::Late, Luck::Conflict]);
            }
            At::Write { sent: Some(super::bucket::Answer::Written), .. } => out.push(step(Luck::Fine)),
            At::Write { .. } | At::TakeLease { .. } => lucky(out, step, faults, &[Luck::Lost]),
            At::Ask | At::Blank { .. } | At::Halt => out.push(step(Luck::Fine)),
            At::Publish => lucky(out, step, self.left.init_failures, &[Luck::Fails]),
            At::CleanUp { .. } | At::Verify | At::Register | At::Release | At::Keep | At::Forget { .. } => {
                lucky(out, step, faults, &[Luck::Lost]);
            }
            At::Remove { .. } => lucky(out, step, faults, &[Luck::Lost]),
            At::Reap { .. } => {
                out.push(step(Luck::Fine));
                if self.left.views > 0 {
                    let reached = self.slots().filter(|other| *other != slot);
                    out.extend(reached.map(|other| step(Luck::Without(other))));
                }
            }
            At::Former { over: None } => {
                lucky(out, step, faults, &[Luck::Lost]);
                if self.left.views > 0 {
                    out.extend(self.slots().filter(|other| *other != slot).map(|other| step(Luck::Without(other))));
                    out.push(step(Luck::Nobody));
                }
            }
            At::Former { over: Some(_) } => lucky(out, step, faults, &[Luck::Lost]),
            At::JoinWait | At::InitWait => {
                if matches!(self.machine(slot).kubeadm, Kubeadm::Ended { .. }) {
                    out.push(step(Luck::Fine));
                }
                if self.may_watch(slot) {
                    out.push(Action::Watch(slot));
                }
            }
            _ => out.push(step(Luck::Fine)),
        }
        if self.renewal_is_due(slot) && self.left.beats > 0 {
            lucky(out, |luck| Action::Renew(slot, luck), faults, &[Luck::Lost, Luck::Late]);
        }
    }

    fn launches(&self, out: &mut Vec<Action>) {
        let gone = |slot: &Slot| matches!(self.machine(*slot).life, Life::Terminated | Life::Forgotten);
        let serving = self.slots().filter(|slot| !gone(slot) && self.machine(*slot).listed != Listed::Ending).count();
        if self.left.launches == 0 || serving >= usize::from(self.desired) {
            return;
        }
        // At a fresh address, or at that of a machine that is gone.
        let fresh = u8::try_from(self.machines.len() + 1).expect("there are few machines");
        let taken = |addr: u8| self.slots().any(|slot| !gone(&slot) && self.machine(slot).addr == addr);
        let mut addresses = vec![fresh];
        addresses.extend(self.slots().filter(gone).map(|slot| self.machine(slot).addr).filter(|addr| !taken(*addr)));
        addresses.sort_unstable();
        addresses.dedup();
        for addr in addresses {
            out.push(Action::Launch { addr, image: None });
            if self.left.images > 0 {
                let with_state = self.slots().filter(|slot| self.machine(*slot).disk.marker.is_some());
                out.extend(with_state.map(|slot| Action::Launch { addr, image: Some(slot) }));
            }
        }
    }

    /// As the command refuses it: while any registered instance lives, or anything answers.
    fn may_retire(&self) -> bool {
        self.visible().is_some_and(|claim| {
            !self.strange
                && self.machines.iter().all(|machine| machine.runs().is_none())
                && self.running(claim) == 0
                && self.bucket.regs.keys().all(|slot| self.machine(*slot).life != Life::Running)
        })
    }

    /// One thing happens.
    pub fn apply(&mut self, action: Action) {
        match action {
            // What AWS does not answer is asked again.
            Action::Step(slot, _) if self.outage > 0 && asks_aws(&self.up(slot).at) => {}
            Action::Step(slot, luck) => {
                self.pay(slot, luck, action);
                self.step(slot, luck);
                if self.coarse {
                    self.step_on(slot);
                }
            }
            Action::Renew(slot, luck) => {
                self.pay(slot, luck, action);
                self.beat(slot, luck);
            }
            Action::Kubeadm(slot, luck) => {
                self.pay(slot, luck, action);
                self.step_kubeadm(slot, luck);
            }
            Action::Watch(slot) => self.watch(slot),
            Action::Serve(slot) => drop(self.says_its_name(slot)),
            Action::Elapse(slot) => self.elapse(slot),
            Action::Tick(seconds) => {
                for slot in self.slots() {
                    self.pass(slot, seconds);
                }
                self.outage = self.outage.saturating_sub(seconds);
            }
            Action::Start(slot) => {
                if self.machine(slot).up.is_some() && !self.by_unit {
                    self.left.starts = self.left.starts.saturating_sub(1);
                }
                let reg = self.bucket.regs.get(&slot).copied();
                let machine = self.machine_mut(slot);
                // The orphan of a killed run holds the machine's lock: it is ended first.
                machine.kubeadm = Kubeadm::None;
                let up = Up::new(reg);
                let kept_away = Departure::keeps_up_away(machine.departure);
                machine.up = Some(Box::new(if kept_away { Up { at: At::Stopped, ..up } } else { up }));
            }
            Action::Kill(slot) => {
                self.left.kills = self.left.kills.saturating_sub(1);
                self.machine_mut(slot).up = None;
            }
            Action::PowerCut(slot) => {
                self.left.cuts = self.left.cuts.saturating_sub(1);
                self.power_off(slot);
                self.boot(slot);
            }
            Action::Freeze(slot) => {
                self.left.freezes = self.left.freezes.saturating_sub(1);
                self.machine_mut(slot).frozen = true;
            }
            Action::Thaw(slot) => self.machine_mut(slot).frozen = false,
            Action::Terminate(slot) => {
                self.left.deaths = self.left.deaths.saturating_sub(1);
                self.power_off(slot);
                let machine = self.machine_mut(slot);
                (machine.life, machine.frozen) = (Life::Terminated, false);
            }
            Action::Forget(slot) => self.machine_mut(slot).life = Life::Forgotten,
            Action::Stop(slot) => {
                self.left.stops = self.left.stops.saturating_sub(1);
                self.power_off(slot);
                let machine = self.machine_mut(slot);
                (machine.life, machine.frozen) = (Life::Stopped, false);
            }
            Action::Run(slot) => {
                let machine = self.machine_mut(slot);
                (machine.life, machine.was_stopped) = (Life::Running, true);
                self.boot(slot);
            }
            Action::List(slot, listed) => {
                self.left.lists = self.left.lists.saturating_sub(1);
                self.machine_mut(slot).listed = listed;
            }
            Action::Launch { addr, image } => {
                self.left.launches = self.left.launches.saturating_sub(1);
                let mut machine = Machine::new(addr);
                if let Some(image) = image {
                    self.left.images = self.left.images.saturating_sub(1);
                    machine.disk = self.machine(image).disk;
                }
                self.machines.push(machine);
                self.boot(u8::try_from(self.machines.len() - 1).expect("there are few machines"));
            }
            Action::Land(at) => self.land(at),
            Action::Retire(to_its_end) => {
                self.left.retirements -= 1;
                self.retire(to_its_end);
            }
            Action::Blackout => {
                self.left.blackouts = self.left.blackouts.saturating_sub(1);
                for slot in self.slots() {
                    if self.machine(slot).life == Life::Running {
                        self.power_off(slot);
                    }
                }
            }
            Action::Boot(slot) => self.boot(slot),
            Action::Lose(slot, kept) => {
                self.left.losses = self.left.losses.saturating_sub(1);
                self.lose(slot, kept);
            }
            Action::Mount(slot) => self.mount(slot),
            Action::SwapData(one, other) => {
                self.left.disks = self.left.disks.saturating_sub(1);
                self.swap_data(one, other);
            }
            Action::CopyData(from, to) => {
                self.left.disks = self.left.disks.saturating_sub(1);
                self.copy_data(from, to);
            }
            Action::Mark(slot, marker) => {
                self.left.markers = self.left.markers.saturating_sub(1);
                self.slipped = true;
                self.without_power(slot, |world| world.machine_mut(slot).disk.marker = marker);
            }
            Action::LoseKey => {
                self.left.keys = self.left.keys.saturating_sub(1);
                if let Some(cluster) = self.visible().and_then(|claim| self.clusters.get_mut(&claim)) {
                    cluster.key = false;
                }
            }
            Action::Slip(slip) => {
                self.left.objects = self.left.objects.saturating_sub(1);
                self.put_back(slip);
            }
            Action::Expire(slot) => {
                self.machine_mut(slot).kubeadm = Kubeadm::None;
                let up = self.up_mut(slot);
                *up = Up { at: At::Expired, for_operator: up.for_operator, ..Up::new(None) };
            }
            Action::Outage(seconds) => {
                self.left.outages = self.left.outages.saturating_sub(1);
                self.outage = seconds;
            }
            Action::Spoil(slot) => {
                self.left.defects = self.left.defects.saturating_sub(1);
                self.machine_mut(slot).unfit = true;
            }
            Action::Mend(slot) => self.machine_mut(slot).unfit = false,
            Action::End(slot) => self.end(slot),
            // What AWS does not answer is asked again, and its hook's time goes on.
            Action::Agent(..) if self.outage > 0 => {}
            Action::Agent(slot, luck) => {
                self.pay(slot, luck, action);
                self.step_agent(slot, luck);
                // These follow at once, and nothing that others could see lies between.
                while self.coarse && matches!(self.machine(slot).agent.at, Where::Locked | Where::Next | Where::Gone) {
                    self.step_agent(slot, Luck::Fine);
                }
            }
            Action::EndUp(slot) => self.end_up(slot),
            Action::Desire(size) => {
                self.left.desires = self.left.desires.saturating_sub(1);
                (self.desired, self.resized) = (size, true);
            }
            Action::Write => self.client_writes(),
            Action::Snapshot => self.take_snapshot(),
            Action::Restore => self.restore_cluster(),
            Action::KillAgent(slot) => {
                self.left.kills = self.left.kills.saturating_sub(1);
                self.machine_mut(slot).agent = super::agent::Agent::default();
            }
            Action::Strange => {
                self.left.strangers = self.left.strangers.saturating_sub(1);
                self.strange = true;
            }
        }
        self.settle_flights();
        self.catch_up();
        self.judge_etcds();
        if self.coarse {
            for slot in self.slots() {
                self.forget(slot);
            }
            for reg in self.bucket.regs.values_mut() {
                *reg = reg.plain();
            }
        }
    }

    /// Takes the steps that no other machine can observe: writing its marker, starting its kubeadm, reading S3's answer. A crash between
    /// them leaves nothing that a crash before or after would not leave.
    fn step_on(&mut self, slot: Slot) {
        while let Some(up) = &self.machine(slot).up {
            match up.at {
                At::Halt
                | At::InitMark
                | At::InitRun
                | At::MarkMember
                | At::JoinMark
                | At::JoinRun
                | At::MarkJoined => {}
                At::Publish if self.left.init_failures == 0 => {}
                At::Write { sent: Some(super::bucket::Answer::Written), .. }
                | At::TakeLease { sent: Some(super::bucket::Answer::Written), .. } => {}
                _ => return,
            }
            self.step(slot, Luck::Fine);
        }
    }

    /// Forgets what no later step of this machine can depend on.
    fn forget(&mut self, slot: Slot) {
        let state = self.bucket.record.as_ref().map(|rec| rec.state);
        let under_ready = matches!(state, Some(RecState::Ready { .. }));
        let nobody_says = self.left.objects == 0 && self.bucket.last.is_none() && self.claims == 0;
        let dead = !matches!(self.machine(slot).life, Life::Running | Life::Stopped);
        let machine = self.machine_mut(slot);
        if dead {
            (machine.disk, machine.volume) = (super::Disk::default(), None);
            (machine.listed, machine.unfit) = (Listed::InService, false);
            (machine.credentials, machine.departure) = (false, None);
            (machine.isolation, machine.sent) = (super::save::Isolation::None, false);
        }
        if machine.disk.manifest.is_none() {
            (machine.kubelet, machine.aside) = (true, false);
        }
        let Some(up) = &mut machine.up else { return };
        if up.at.is_end() {
            **up = Up { at: up.at.clone(), age: up.age, for_operator: up.for_operator, ..Up::new(None) };
            return;
        }
        if matches!(state, Some(RecState::Initializing { .. } | RecState::Ready { .. })) {
            (up.settled, up.watched) = (None, 0);
        }
        if let (Some(RecState::Ready { .. }), Some(seen)) = (state, &mut up.record_seen) {
            seen.1 = 0;
        }
        if matches!(up.at, At::Look | At::Wipe { .. } | At::Write { .. }) {
            (up.view, up.aim, up.announced, up.read) = (super::View::default(), None, false, None);
        }
        if up.at != At::Queue {
            up.following = None;
        }
        if !matches!(up.at, At::Wipe { .. } | At::CleanWipe { .. } | At::CleanUp { .. }) {
            (up.under_ready, up.twin) = (under_ready && up.under_ready && !matches!(up.at, At::Look), false);
        }
        if state.is_some() || nobody_says {
            up.missing = None;
        }
        up.reg = up.reg.plain();
        if !matches!(up.at, At::InitLook | At::InitMark | At::InitRun) {
            up.read = None;
        }
        if up.lease.is_some() {
            up.lease_seen = None;
        }
    }

    pub fn power_off(&mut self, slot: Slot) {
        let machine = self.machine_mut(slot);
        (machine.up, machine.kubeadm, machine.agent) = (None, Kubeadm::None, super::agent::Agent::default());
        (machine.off, machine.frozen) = (true, false);
    }

    /// Takes a fault from the budget.
    fn pay(&mut self, slot: Slot, luck: Luck, action: Action) {
        let agent = matches!(action, Action::Agent(..));
        let init = matches!(self.machine(slot).kubeadm, Kubeadm::Init(_) | Kubeadm::Restore(..))
            || self.machine(slot).up.as_ref().is_some_and(|up| up.at == At::Publish);
        let left = &mut self.left;
        let purse = match (luck, action) {
            (Luck::Fine, _) => return,
            (Luck::Fails, _) if agent => &mut left.faults,
            (Luck::Lost, Action::Kubeadm(..)) => &mut left.init_failures,
            (Luck::Fails, _) if init => &mut left.init_failures,
            (Luck::Fails, _) => &mut left.join_failures,
            (Luck::Without(_) | Luck::Nobody | Luck::Unlisted, _) => &mut left.views,
            (Luck::Lost | Luck::Late | Luck::Conflict, _) => &mut left.faults,
        };
        *purse = purse.saturating_sub(1);
    }

    /// So many seconds pass on this machine's clock. EC2 never leaves out a running machine for as long as the grace.
    fn pass(&mut self, slot: Slot, seconds: u16) {
        let alive: Vec<Slot> = self.slots().filter(|other| self.machine(*other).life == Life::Running).collect();
        let by_unit = self.by_unit;
        let machine = self.machine_mut(slot);
        if machine.listed == Listed::Ending {
            machine.agent.age = (machine.agent.age + seconds).min(LONG);
            if let Some((_, age)) = &mut machine.agent.lease_seen {
                *age = (*age + seconds).min(LONG);
            }
        }
        let Some(up) = &mut machine.up else { return };
        if by_unit {
            up.age = (up.age + seconds).min(LONG);
        }
        for clock in up.clocks() {
            *clock = (*clock + seconds).min(LONG);
        }
        for (other, age) in &mut up.absent {
            if alive.contains(other) {
                *age = (*age).min(GRACE - 1);
            }
        }
    }

    /// On this machine's clock alone, what is held falls due, and then everything that it waits for has passed.
    fn elapse(&mut self, slot: Slot) {
        let held = self.machine(slot).up.as_ref().and_then(|up| {
            let claim = up.claim.as_ref().map(|(_, age)| (*age, super::CLAIM_TTL / 3));
            claim.or(up.lease.map(|(_, age)| (age, super::LEASE_TTL / 3)))
        });
        match held {
            Some((age, due)) if age < due => self.pass(slot, due - age),
            Some(_) | None => self.pass(slot, LONG),
        }
    }

    /// The operator's command: flips the record under If-Match, then finishes the registrations and blanks the hash.
    fn retire(&mut self, to_its_end: bool) {
        let Some(before) = self.bucket.record.clone() else { return };
        let Some(next) = claim::retired(&before.real()) else { return };
        let (before, next) = (Body::Record(before), Body::Record(Rec::of(&next)));
        let unchanged = conditional_write::Condition::Unchanged(before.etag());
        // Whose write it is matters to a flip alone.
        self.send(0, &next, &Condition::of(&unchanged, Some(&before)), Luck::Fine);
        if to_its_end {
            for reg in self.bucket.regs.values_mut() {
                reg.retired = true;
            }
            self.publish_hash(None);
        }
    }
}

/// Whether a step begins with a call to AWS: a read of the record at the least.
const fn asks_aws(at: &At) -> bool {
    match at {
        At::Look
        | At::Write { .. }
        | At::Blank { .. }
        | At::InitLook
        | At::Publish
        | At::Wipe { .. }
        | At::Queue
        | At::TakeLease { .. }
        | At::JoinLook
        | At::CleanUp { .. }
        | At::CleanWipe { .. }
        | At::Reap { .. }
        | At::Forget { .. }
        | At::Register
        | At::Release
        | At::Keep
        | At::Former { .. } => true,
        At::Ask
        | At::Halt
        | At::InitMark
        | At::InitRun
        | At::InitWait
        | At::MarkMember
        | At::Remove { .. }
        | At::JoinMark
        | At::JoinRun
        | At::JoinWait
        | At::Verify
        | At::MarkJoined
        | At::Done
        | At::Stopped
        | At::Expired => false,
    }
}

fn lucky(out: &mut Vec<Action>, action: impl Fn(Luck) -> Action, left: u8, bad: &[Luck]) {
    out.push(action(Luck::Fine));
    if left > 0 {
        out.extend(bad.iter().map(|luck| action(*luck)));
    }
}
