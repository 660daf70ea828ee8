//! The steps of an `up` that joins: queueing, cleaning up, reaping, kubeadm, and giving the lease back.

use super::bucket::{Answer, Body, Condition};
use super::look::{secs, unchanged_for};
use super::names::{address, id, member_id, nonce, slot as slot_of};
use super::{
    At, Claim, GRACE, Kubeadm, LEASE_TTL, Lea, Life, Listed, Luck, Mem, Phase, Slot, Stage, Task, World, cover,
};
use kubeboot::model::machine::ids::MemberId;
use kubeboot::model::machine::local::Local;
use kubeboot::model::membership::lease::{Lease, LeaseHolder, Turn, turn};
use kubeboot::model::membership::reaping::{ReapInput, ReapVerdict, RemovalReason, blocking_member, plan};
use kubeboot::model::membership::starting::{Silences, starting};
use kubeboot::model::membership::view::ClusterView;
use kubeboot::model::record::conditional_write::{self, Written};
use kubeboot::model::up::cleanup::{CleanUp, LeaseAfter, clean_up};

impl World {
    pub fn step_join(&mut self, slot: Slot, at: At, luck: Luck) {
        let claim = self.up(slot).aim.as_ref().map_or(0, |rec| rec.claim);
        match at {
            At::Queue => self.queue(slot),
            At::TakeLease { body, over, sent } => self.take_lease(slot, body, over, sent, luck),
            At::JoinLook => {
                let same = self.bucket.record.is_some() && self.bucket.record == self.up(slot).aim;
                self.read_record(slot);
                self.go(slot, if same { At::CleanUp { failed: false } } else { At::Release });
            }
            At::CleanUp { failed } => self.clean_up(slot, claim, failed, luck),
            At::CleanWipe { failed, emptied } => {
                let done = self.wipe(slot, emptied);
                self.go(slot, if done { At::Reap { failed } } else { At::CleanWipe { failed, emptied: true } });
            }
            At::Reap { failed } => self.reap(slot, claim, failed, luck),
            At::Remove { task, checked } => self.step_removal(slot, task, checked, luck),
            At::Forget { mut task } => {
                if let (Some(owner), true) = (task.owner, luck != Luck::Lost) {
                    self.bucket.regs.entry(owner).and_modify(|reg| reg.phase = Phase::Reaped);
                }
                task.owner = None;
                self.next_removal(slot, task);
            }
            At::Register => {
                let holding = self.up(slot).lease.and_then(|(lea, _)| lea.holder).map(|(_, nonce)| nonce);
                self.register(slot, luck, |reg| {
                    (reg.phase, reg.nonce, reg.claim, reg.member) = (Phase::Joining, holding, Some(claim), None);
                });
                if luck == Luck::Lost {
                    return self.after_error(slot, false);
                }
                self.go(slot, At::JoinMark);
            }
            At::JoinMark => {
                self.mark_claim(slot, claim, Stage::Joining);
                self.go(slot, At::JoinRun);
            }
            At::JoinRun => {
                self.machine_mut(slot).kubeadm = Kubeadm::Add(claim);
                self.go(slot, At::JoinWait);
            }
            At::JoinWait => {
                let Kubeadm::Ended { well, announced } = self.machine(slot).kubeadm else { return };
                self.machine_mut(slot).kubeadm = Kubeadm::None;
                self.up_mut(slot).announced |= announced;
                self.go(slot, if well { At::Verify } else { self.after_failure(slot) });
            }
            At::Verify => {
                let addresses = [address(self.machine(slot).addr)];
                let here = match self.ask_aim(slot, luck).0 {
                    ClusterView::Listed(list) => list.at(&addresses).is_some_and(|mem| mem.is_started_voter()),
                    _ => false,
                };
                self.go(slot, if here { At::MarkJoined } else { self.after_failure(slot) });
            }
            At::MarkJoined => {
                self.mark_claim(slot, claim, Stage::Member);
                self.go(slot, At::Release);
            }
            At::Release => {
                self.give_back(slot, luck);
                self.go(slot, At::Look);
            }
            At::Keep => {
                // Its own API server serves what is in the etcd beside it, and the record's UID is in the record's etcd alone.
                let serves = self.machine(slot).runs().filter(|data| self.has_quorum(data.birth));
                match serves {
                    Some(data) if data.birth == claim => {}
                    Some(_) => return self.stop(slot),
                    None => return self.go(slot, At::Look),
                }
                if self.machine(slot).disk.marker.is_none_or(|marker| marker.stage != Stage::Member) {
                    self.mark_claim(slot, claim, Stage::Member);
                    return;
                }
                let uid = self.bucket.record.as_ref().and_then(super::Rec::uid);
                if self.bucket.hash != uid {
                    if luck == Luck::Lost {
                        return self.go(slot, At::Look);
                    }
                    self.publish_hash(uid);
                    if !self.coarse || self.left.objects > 0 {
                        return;
                    }
                }
                let addr = self.machine(slot).addr;
                let member = self.members(claim).iter().find(|mem| mem.addr == addr).map(|mem| mem.id);
                self.register(slot, luck, |reg| {
                    (reg.phase, reg.claim, reg.member) = (Phase::Joined, Some(claim), member.or(reg.member));
                });
                let doubts = self.doubts(slot);
                self.go(slot, if doubts { At::Former { over: None } } else { At::Done });
            }
            At::Former { over } => self.move_former(slot, claim, over, luck),
            _ => {}
        }
    }

    /// An operator must decide.
    pub fn stop(&mut self, slot: Slot) {
        self.register(slot, Luck::Fine, |reg| reg.phase = Phase::Failed);
        let up = self.up_mut(slot);
        (up.at, up.age) = (At::Stopped, 0);
    }

    /// Asks the cluster that this machine joins.
    fn ask_aim(&mut self, slot: Slot, luck: Luck) -> (ClusterView, Vec<(Mem, bool)>) {
        let aim = self.up(slot).aim.clone();
        aim.map_or((ClusterView::NotAsked, Vec::new()), |rec| self.ask(slot, &rec, luck))
    }

    fn queue(&mut self, slot: Slot) {
        let lease = self.bucket.lease;
        let seen = self.up(slot).lease_seen.map(|(lea, age)| (Body::Lease(lea).etag(), age));
        let age = lease.map_or(0, |lea| {
            unchanged_for(seen.as_ref().map(|(etag, age)| (etag.as_str(), *age)), &Body::Lease(lea).etag())
        });
        self.up_mut(slot).lease_seen = lease.map(|lea| (lea, age));
        let real = lease.map(Lea::real);
        let holder = real.as_ref().and_then(|lease| lease.holder.as_ref());
        let gone = holder.is_some_and(|holder| self.instances(slot).is_terminated(&holder.instance));
        let taken = match turn(real.as_ref(), &id(slot), secs(age), gone, secs(LEASE_TTL)) {
            Turn::Take => self.left.holdings > 0,
            Turn::Wait(_) => false,
        };
        cover::queued(taken);
        if !taken {
            self.wait(slot);
            return self.go(slot, At::Look);
        }
        self.left.holdings -= 1;
        self.nonces += 1;
        let holder = LeaseHolder { instance: id(slot), nonce: nonce(self.nonces), purpose: "join".into() };
        let body = Lea::of(&Lease::taken(real.as_ref(), holder));
        let before = lease.map(Body::Lease);
        let condition = match &before {
            None => conditional_write::Condition::Absent,
            Some(before) => conditional_write::Condition::Unchanged(before.etag()),
        };
        let over = Condition::of(&condition, before.as_ref());
        self.go(slot, At::TakeLease { body, over, sent: None });
    }

    fn take_lease(&mut self, slot: Slot, body: Lea, over: Condition, sent: Option<Answer>, luck: Luck) {
        let stored = Body::Lease(body);
        let Some(answer) = sent else {
            let sent = self.send(slot, &stored, &over, luck);
            return self.go(slot, At::TakeLease { body, over, sent });
        };
        match self.learn(&stored, &over, answer, luck) {
            None => self.go(slot, At::TakeLease { body, over, sent: None }),
            Some(Written::Ours(_)) => {
                self.up_mut(slot).lease = Some((body, 0));
                self.go(slot, At::JoinLook);
            }
            Some(Written::Others(_) | Written::Gone | Written::Unknown) => self.go(slot, At::Look),
        }
    }

    /// The lease is lost: once the member was announced the join goes on; anything else is stopped, and left to the next attempt.
    pub fn lease_lost(&mut self, slot: Slot) {
        self.up_mut(slot).lease = None;
        let joins = matches!(self.up(slot).at, At::JoinWait | At::Verify | At::MarkJoined);
        if joins && self.up(slot).announced {
            return;
        }
        self.machine_mut(slot).kubeadm = Kubeadm::None;
        self.after_error(slot, false);
    }

    /// An attempt has failed: what it began is cleaned up under the lease that it holds; a clean-up that fails is left to the next attempt.
    pub fn after_error(&mut self, slot: Slot, while_cleaning_up: bool) {
        let began = matches!(self.local(slot), Local::HalfMade { .. });
        let at = if began && !while_cleaning_up { self.after_failure(slot) } else { At::Release };
        self.go(slot, at);
    }

    /// What follows a failed attempt. Whoever has given the lease on, or lost it, takes it again first.
    fn after_failure(&self, slot: Slot) -> At {
        let lease = if self.up(slot).lease.is_some() { LeaseAfter::Held } else { LeaseAfter::GivenOn };
        if lease.cleans_up() { At::CleanUp { failed: true } } else { At::Release }
    }

    /// The voters that are starting, by the registrations as they are now.
    fn starting(&self, cluster: &ClusterView) -> Vec<MemberId> {
        let ClusterView::Listed(members) = cluster else { return Vec::new() };
        starting(&silent_lately(cluster), members, &self.registrations())
    }

    fn clean_up(&mut self, slot: Slot, claim: u8, failed: bool, luck: Luck) {
        let (cluster, probed) = self.ask_aim(slot, luck);
        let addresses = [address(self.machine(slot).addr)];
        let aim = self.up(slot).aim.as_ref().map(super::Rec::real);
        let etcd = aim.as_ref().and_then(|record| record.published()?.etcd_cluster_id);
        let starting = self.starting(&cluster);
        let at = match clean_up(&id(slot), &cluster, etcd, &starting, &addresses, &self.local(slot), &self.data(slot)) {
            CleanUp::Wait(_) | CleanUp::Keep(_) => At::Release,
            CleanUp::Remove(id) => At::Remove {
                task: Box::new(Task {
                    id: number(claim, &probed, id),
                    probed,
                    owner: None,
                    rest: Vec::new(),
                    blocked: false,
                    failed,
                    own: true,
                    had_vote: false,
                }),
                checked: false,
            },
            CleanUp::Wipe => {
                self.up_mut(slot).twin = self.has_twin(slot);
                self.up_mut(slot).keeps = false;
                At::CleanWipe { failed, emptied: false }
            }
            CleanUp::Done => At::Reap { failed },
        };
        self.go(slot, at);
    }

    fn reap(&mut self, slot: Slot, claim: u8, failed: bool, luck: Luck) {
        let (cluster, probed) = self.ask_aim(slot, luck);
        let starting = self.starting(&cluster);
        let members = match cluster {
            ClusterView::Listed(members) => members,
            _ => return self.after_error(slot, failed),
        };
        let (me, registrations, instances) = (id(slot), self.registrations(), self.instances(slot));
        let view = &self.up(slot).view;
        let lives = |other: &Slot| view.states.get(other) == Some(&Some(Life::Running));
        let live_addresses =
            self.slots().filter(lives).map(|other| (address(self.machine(other).addr), id(other))).collect();
        let standby: Vec<_> =
            view.group.iter().filter(|(_, listed)| *listed == Listed::Standby).map(|(other, _)| id(*other)).collect();
        let held = self.up(slot).lease.and_then(|(lea, _)| lea.holder).map(|(_, number)| nonce(number));
        let judged = plan(&ReapInput {
            me: &me,
            members: &members,
            registrations: &registrations,
            instances: &instances,
            live_addresses: &live_addresses,
            in_standby: &standby,
            lease: if failed { None } else { held.as_ref() },
            gone_grace: secs(GRACE),
        });
        cover::judged(&judged);
        let removals = judged.iter().filter_map(|(member, verdict)| {
            let member = number(claim, &probed, member.id);
            match verdict {
                ReapVerdict::Remove(RemovalReason::Gone(owner)) => Some((member, Some(slot_of(owner)))),
                ReapVerdict::Remove(RemovalReason::GivenUp(_)) => Some((member, None)),
                ReapVerdict::Keep(_) => None,
            }
        });
        let rest = removals.collect();
        let task = Task {
            probed,
            id: 0,
            owner: None,
            rest,
            blocked: blocking_member(&judged, &starting).is_some(),
            failed,
            own: false,
            had_vote: false,
        };
        self.next_removal(slot, Box::new(task));
    }

    /// A removal is done: its registration is marked, then the next.
    pub fn removed(&mut self, slot: Slot, mut task: Box<Task>) {
        // Each removal is followed by a list with fresh answers.
        let now = self.probe(self.up(slot).aim.as_ref().map_or(0, |rec| rec.claim), Luck::Fine);
        task.probed.retain(|(mem, _)| mem.id != task.id);
        for (mem, answers) in &mut task.probed {
            *answers = now.iter().any(|(other, answers)| other.id == mem.id && *answers);
        }
        if task.own {
            let reg = &mut self.up_mut(slot).reg;
            (reg.member, reg.nonce) = (None, None);
            return self.go(slot, At::CleanUp { failed: task.failed });
        }
        if task.owner.is_some() {
            return self.go(slot, At::Forget { task });
        }
        self.next_removal(slot, task);
    }

    fn next_removal(&mut self, slot: Slot, mut task: Box<Task>) {
        if task.rest.is_empty() {
            let at = if task.blocked || task.failed { At::Release } else { At::Register };
            return self.go(slot, at);
        }
        (task.id, task.owner) = task.rest.remove(0);
        self.go(slot, At::Remove { task, checked: false });
    }

    /// An `up` that waits for its kubeadm sees its own member.
    pub fn watch(&mut self, slot: Slot) {
        let claim = self.up(slot).aim.as_ref().map_or(0, |rec| rec.claim);
        let addr = self.machine(slot).addr;
        if let Some(mem) = self.members(claim).iter().find(|mem| mem.addr == addr).copied() {
            self.up_mut(slot).announced = true;
            self.register(slot, Luck::Fine, |reg| reg.member = Some(mem.id));
            // From here on its join changes the membership no more.
            if !mem.learner {
                self.give_back(slot, Luck::Fine);
            }
        }
    }

    /// Gives the lease back, or on.
    fn give_back(&mut self, slot: Slot, luck: Luck) {
        let held = self.up_mut(slot).lease.take();
        if let Some((lea, _)) = held {
            let last = Body::Lease(Lea::of(&lea.real().released()));
            let before = Body::Lease(lea);
            let over = Condition::of(&conditional_write::Condition::Unchanged(before.etag()), Some(&before));
            self.send(slot, &last, &over, luck);
        }
    }

    pub fn may_watch(&self, slot: Slot) -> bool {
        let up = self.up(slot);
        let claim = up.aim.as_ref().map_or(0, |rec| rec.claim);
        let addr = self.machine(slot).addr;
        up.at == At::JoinWait
            && self.has_quorum(claim)
            && self
                .members(claim)
                .iter()
                .any(|mem| mem.addr == addr && (up.reg.member != Some(mem.id) || !mem.learner && up.lease.is_some()))
    }

    /// Whether a voter's etcd may say its name while no kubeadm waits for it.
    pub fn may_say_its_name(&self, slot: Slot) -> bool {
        !matches!(self.machine(slot).kubeadm, Kubeadm::Promote(..) | Kubeadm::Serve(..)) && self.is_nameless(slot)
    }
}

/// The voters that have been silent only lately. Here every silent one is, however long it has been: no rule may depend on time.
pub fn silent_lately(cluster: &ClusterView) -> Vec<MemberId> {
    match cluster {
        ClusterView::Listed(members) => Silences::default().young(members, secs(0)),
        ClusterView::NoQuorum(_) | ClusterView::Unknown { .. } | ClusterView::NotAsked | ClusterView::External => {
            Vec::new()
        }
    }
}

/// The number of a member by its ID.
fn number(claim: Claim, probed: &[(Mem, bool)], id: MemberId) -> u8 {
    probed.iter().find(|(mem, _)| member_id(claim, mem.id) == id).expect("it was listed").0.id
}
