//! The agent of a machine that is being terminated: what it observes, the step that the real `decide` takes, and what comes of it.
//!
//! It takes the machine's lock before it changes anything, and the membership lease before it removes its member, as `src/agent` does.

use super::bucket::{Body, Condition};
use super::look::{overwrite, secs};
use super::names::{address, claim_id, id, identity, nonce};
use super::{
    At, Cluster, Kubeadm, LEASE_TTL, LONG, Lea, Life, Line, Listed, Luck, Phase, Rec, RecState, Rule, Slot, Task, Up,
    Why, World, cover,
};
use kubeboot::model::agent::enough::PATIENCE;
use kubeboot::model::agent::{
    AgentStep, ClaimHere, Departure, Ending, HookView, Observation, Others, decide, may_be_listed,
};
use kubeboot::model::leave::{Leadership, LeaveInput, NextRemoval, next_removal, plan};
use kubeboot::model::machine::group::Group;
use kubeboot::model::machine::local::Local;
use kubeboot::model::membership::lease::{Lease, LeaseHolder, Turn, turn};
use kubeboot::model::membership::members::Members;
use kubeboot::model::membership::view::ClusterView;
use kubeboot::model::record::claim;
use kubeboot::model::record::conditional_write::{self, Written};
use std::time::Duration;

/// One run of the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Agent {
    pub at: Where,
    /// It has stopped what an unpublished init had started.
    pub given_up: bool,
    /// How long it has known that its machine is being terminated.
    pub age: u16,
    /// How long the lease has been the same.
    pub lease_seen: Option<(Lea, u16)>,
    /// The membership lease that it holds.
    pub lease: Option<Lea>,
    /// The snapshot that it has taken to save the cluster.
    pub snapshot: Option<Line>,
    /// For the fourteenth rule only: who else was `joined` with a ready API server when it was decided that enough stays.
    pub stay: Vec<Slot>,
}

/// The position of an agent between two steps that others can observe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Where {
    /// To look without the lock.
    #[default]
    Look,
    /// To look and act, with the lock.
    Locked,
    /// To give back what an unpublished init holds.
    StepDown,
    /// To queue for the membership lease.
    Queue,
    /// To look once more under the lease, and to mark this machine as leaving.
    Judge,
    /// To look for the next removal.
    Next,
    /// To remove this member.
    Remove(u8),
    /// To mark this machine as gone from the list.
    Gone,
    /// To release the lease, and to look again.
    Release,
    /// To take the next step of saving the cluster.
    Save,
}

impl World {
    /// The group begins to terminate a machine: its hook waits.
    pub fn end(&mut self, slot: Slot) {
        self.left.endings = self.left.endings.saturating_sub(1);
        let machine = self.machine_mut(slot);
        (machine.listed, machine.agent) = (Listed::Ending, Agent::default());
    }

    /// Whether the agent of this machine may take a step now.
    pub fn agent_works(&self, slot: Slot) -> bool {
        let machine = self.machine(slot);
        machine.works() && machine.listed == Listed::Ending
    }

    /// Whether an agent has this machine's lock, so that no `up` can start.
    pub fn agent_has_lock(&self, slot: Slot) -> bool {
        self.machine(slot).agent.at != Where::Look
    }

    /// Whether an `up` is at work.
    fn up_works(&self, slot: Slot) -> bool {
        self.machine(slot).up.as_ref().is_some_and(|up| !up.at.is_end())
    }

    /// An `up` sees that its machine is being terminated, and ends with its kubeadm.
    pub fn end_up(&mut self, slot: Slot) {
        let machine = self.machine_mut(slot);
        machine.kubeadm = Kubeadm::None;
        if let Some(up) = &mut machine.up {
            **up = Up { at: At::Stopped, ..Up::new(None) };
        }
    }

    pub fn may_end_up(&self, slot: Slot) -> bool {
        self.agent_works(slot) && self.up_works(slot)
    }

    /// The next step of an agent.
    pub fn step_agent(&mut self, slot: Slot, luck: Luck) {
        // A lease that another has taken is seen to be lost before anything else is done under it.
        let held = self.machine(slot).agent.lease;
        if held.is_some() && self.bucket.lease.and_then(|lea| lea.holder) != held.and_then(|lea| lea.holder) {
            self.machine_mut(slot).agent.lease = None;
            return self.agent_goes(slot, Where::Look);
        }
        match self.machine(slot).agent.at {
            Where::Look => {
                let step = decide(&self.observe(slot, luck));
                cover::agent_decided(&step);
                match step {
                    AgentStep::Watch
                    | AgentStep::Hold(_)
                    | AgentStep::Rest(..)
                    | AgentStep::Abandon
                    | AgentStep::Upload => {}
                    step if !step.wants_lock() => self.agent_acts(slot, &step),
                    // The lock is an `up`'s until that has ended; the orphan of a killed one is ended first.
                    _ if self.up_works(slot) => {}
                    _ => {
                        self.machine_mut(slot).kubeadm = Kubeadm::None;
                        self.agent_goes(slot, Where::Locked);
                    }
                }
            }
            Where::Locked => {
                let step = decide(&self.observe(slot, luck));
                self.agent_acts(slot, &step);
            }
            Where::StepDown => self.step_down(slot, luck),
            Where::Save => {
                let at = self.save(slot, luck);
                self.agent_goes(slot, at);
            }
            Where::Queue => self.queue_to_leave(slot, luck),
            Where::Judge => {
                let seen = self.observe(slot, luck);
                let leaves = decide(&seen) == AgentStep::Leave;
                if leaves {
                    let stay = self.servers_beside(slot);
                    let machine = self.machine_mut(slot);
                    (machine.departure, machine.agent.stay) = (Some(Departure::Leaving), stay);
                }
                self.agent_goes(slot, if leaves { Where::Next } else { Where::Release });
            }
            Where::Next => self.next_own_removal(slot, luck),
            Where::Remove(member) => self.remove_own(slot, member, luck),
            Where::Gone => {
                self.machine_mut(slot).departure = Some(Departure::Left);
                if luck != Luck::Lost {
                    self.bucket.regs.entry(slot).and_modify(|reg| reg.phase = Phase::Reaped);
                }
                self.agent_goes(slot, Where::Release);
            }
            Where::Release => {
                let held = self.machine_mut(slot).agent.lease.take();
                if let Some(lea) = held {
                    let (last, before) = (Body::Lease(Lea::of(&lea.real().released())), Body::Lease(lea));
                    let over = unchanged(&before);
                    self.send(slot, &last, &over, luck);
                }
                self.agent_goes(slot, Where::Look);
            }
        }
    }

    fn agent_goes(&mut self, slot: Slot, at: Where) {
        let agent = &mut self.machine_mut(slot).agent;
        agent.at = at;
        if at == Where::Look {
            agent.stay.clear();
        }
    }

    fn agent_acts(&mut self, slot: Slot, step: &AgentStep) {
        match step {
            AgentStep::StepDown => self.agent_goes(slot, Where::StepDown),
            AgentStep::Save(_) | AgentStep::Settle => self.agent_goes(slot, Where::Save),
            AgentStep::Leave if self.machine(slot).agent.at == Where::Look => self.agent_goes(slot, Where::Queue),
            AgentStep::Leave => {
                let listed = self.visible().is_some_and(|claim| {
                    let addr = self.machine(slot).addr;
                    self.members(claim).iter().any(|mem| mem.addr == addr)
                });
                if listed {
                    return self.agent_goes(slot, Where::Queue);
                }
                self.machine_mut(slot).departure = Some(Departure::Leaving);
                self.agent_goes(slot, Where::Next);
            }
            AgentStep::ServeAgain => {
                let machine = self.machine_mut(slot);
                (machine.kubelet, machine.agent.given_up) = (true, false);
                self.agent_goes(slot, Where::Look);
            }
            AgentStep::Answer(_) => self.answer_hook(slot),
            AgentStep::Watch | AgentStep::Hold(_) | AgentStep::Rest(..) | AgentStep::Abandon | AgentStep::Upload => {
                self.agent_goes(slot, Where::Look)
            }
        }
    }

    /// The fifteenth rule: the hook is answered, and the machine goes.
    fn answer_hook(&mut self, slot: Slot) {
        let works = self.up_works(slot) || !matches!(self.machine(slot).kubeadm, Kubeadm::None | Kubeadm::Ended { .. });
        let exists = |claim: &u8| {
            (self.visible() == Some(*claim) || self.bucket.made == Some(*claim)) && !self.is_superseded(*claim)
        };
        // A learner is no voter, and others reap it.
        let is_own = |cluster: &Cluster| cluster.mems.iter().any(|mem| mem.slot == slot && !mem.learner);
        if works || self.clusters.iter().any(|(birth, cluster)| exists(birth) && is_own(cluster)) {
            self.breaks(Rule::Answered);
        }
        // What a superseded member has on its disk may be newer than the snapshot: only who has saved it knows better, or who had left before.
        let machine = self.machine(slot);
        if self.is_past(slot)
            && machine.disk.marker.is_some_and(|marker| marker.stage == super::Stage::Member)
            && machine.departure != Some(Departure::Left)
            && !self.bucket.savers.contains(&slot)
        {
            self.breaks(Rule::Answered);
        }
        self.power_off(slot);
        self.machine_mut(slot).life = Life::Terminated;
    }

    /// Stops kubelet, and gives the claim back over what was read.
    fn step_down(&mut self, slot: Slot, luck: Luck) {
        self.machine_mut(slot).kubelet = false;
        let record = self.bucket.record.clone();
        let held = record
            .filter(|rec| matches!(rec.state, RecState::Initializing { holder: Some(holder), .. } if holder == slot));
        let next = held.as_ref().and_then(|rec| claim::yielded(&rec.real()));
        let done = match (held, next) {
            (Some(rec), Some(next)) => match overwrite(Why::Yield, &rec, Rec::of(&next)) {
                At::Write { body, over, .. } => {
                    let stored = Body::Record(body);
                    let sent = self.send(slot, &stored, &over, luck);
                    let written = sent.and_then(|answer| self.learn(&stored, &over, answer, luck));
                    matches!(written, Some(Written::Ours(_)))
                }
                _ => unreachable!("it is a write"),
            },
            _ => luck != Luck::Lost,
        };
        self.machine_mut(slot).agent.given_up |= done;
        self.agent_goes(slot, Where::Look);
    }

    fn queue_to_leave(&mut self, slot: Slot, luck: Luck) {
        let lease = self.bucket.lease;
        let seen = self.machine(slot).agent.lease_seen.filter(|(lea, _)| Some(*lea) == lease);
        let age = seen.map_or(0, |(_, age)| age);
        self.machine_mut(slot).agent.lease_seen = lease.map(|lea| (lea, age));
        let real = lease.map(Lea::real);
        // It asks EC2 about nobody: who has died does not renew.
        let taken = turn(real.as_ref(), &id(slot), secs(age), false, secs(LEASE_TTL)) == Turn::Take;
        if !taken || self.left.holdings == 0 {
            return self.agent_goes(slot, Where::Look);
        }
        self.left.holdings -= 1;
        self.nonces += 1;
        let holder = LeaseHolder { instance: id(slot), nonce: nonce(self.nonces), purpose: "leave".into() };
        let body = Lea::of(&Lease::taken(real.as_ref(), holder));
        let over = lease
            .map(Body::Lease)
            .as_ref()
            .map_or_else(|| Condition::of(&conditional_write::Condition::Absent, None), unchanged);
        let stored = Body::Lease(body);
        let sent = self.send(slot, &stored, &over, luck);
        let written = sent.and_then(|answer| self.learn(&stored, &over, answer, luck));
        let ours = matches!(written, Some(Written::Ours(_)));
        self.machine_mut(slot).agent.lease = ours.then_some(body);
        self.agent_goes(slot, if ours { Where::Judge } else { Where::Look });
    }

    /// By a fresh list, as `reset::members` does it. Nobody is reaped on the way here.
    fn next_own_removal(&mut self, slot: Slot, luck: Luck) {
        let (cluster, probed) = self.ask_own(slot, luck);
        let local = self.local(slot);
        let (me, addresses) = (id(slot), [address(self.machine(slot).addr)]);
        let next = next_removal(&LeaveInput {
            me: &me,
            addresses: &addresses,
            local: &local,
            has_credentials: self.machine(slot).credentials,
            cluster: &cluster,
            judged: &[],
            leadership: &Leadership::default(),
            wipe: false,
        });
        let at = match next {
            NextRemoval::Gone => Where::Gone,
            NextRemoval::RemoveOwn(member) => {
                let found =
                    probed.iter().find(|(mem, _)| super::names::member_id(self.own_claim(slot), mem.id) == member);
                found.map_or(Where::Release, |(mem, _)| Where::Remove(mem.id))
            }
            // Tried again for as long as the budget lasts, and then looked at anew.
            NextRemoval::LastVoter | NextRemoval::Blocked(_) | NextRemoval::Reap(..) | NextRemoval::MoveLeader(_) => {
                Where::Release
            }
        };
        self.agent_goes(slot, at);
    }

    fn remove_own(&mut self, slot: Slot, member: u8, luck: Luck) {
        let claim = self.own_claim(slot);
        if luck != Luck::Lost && self.has_quorum(claim) && !self.costs_quorum(claim, member) {
            let stay = self.machine(slot).agent.stay.clone();
            let has_vote = |other: &Slot| self.members(claim).iter().any(|mem| mem.slot == *other && !mem.learner);
            if !stay.is_empty() && !stay.iter().any(has_vote) {
                self.breaks(Rule::Serves);
            }
            let task = Task {
                probed: Vec::new(),
                id: member,
                owner: None,
                rest: Vec::new(),
                blocked: false,
                failed: false,
                own: true,
                had_vote: false,
            };
            self.commit_removal(slot, claim, &task);
        }
        self.agent_goes(slot, Where::Next);
    }

    /// Whether the fresh list before the removal refuses it.
    fn costs_quorum(&self, claim: u8, member: u8) -> bool {
        let list = super::etcd::real(claim, &self.probe(claim, Luck::Fine));
        !list.may_remove(super::names::member_id(claim, member))
    }

    fn own_claim(&self, slot: Slot) -> u8 {
        self.machine(slot).disk.marker.map_or(0, |marker| marker.claim)
    }

    /// The cluster of this machine's own marker.
    fn ask_own(&mut self, slot: Slot, luck: Luck) -> (ClusterView, Vec<(super::Mem, bool)>) {
        let claim = self.own_claim(slot);
        let at = self.clusters.get(&claim).map_or(0, |cluster| cluster.at);
        let state = RecState::Ready { by: slot, at, uid: claim };
        let (yielded, retired, superseded) = (Vec::new(), Vec::new(), Vec::new());
        let rec = Rec { claim, group: 0, yielded, retired, superseded, fences: 0, state };
        self.ask(slot, &rec, luck)
    }

    /// Other voters that are registered as `joined`, with an API server that is ready: what the world knows.
    fn servers_beside(&self, slot: Slot) -> Vec<Slot> {
        let claim = self.own_claim(slot);
        let serves = |mem: &super::Mem| {
            let reg = self.bucket.regs.get(&mem.slot);
            !mem.learner
                && mem.slot != slot
                && self.has_quorum(claim)
                && self.answers(claim, mem)
                && reg.is_some_and(|reg| reg.phase == Phase::Joined && reg.member.is_none_or(|id| id == mem.id))
        };
        let all = self.members(claim).iter();
        let beside: Vec<Slot> = all.filter(|mem| serves(mem)).map(|mem| mem.slot).collect();
        // Nobody is served by staying where no API server is ready; and where its own is, another one must be.
        let own_serves =
            self.members(claim).iter().any(|mem| mem.slot == slot && self.answers(claim, mem) && !mem.learner);
        if beside.is_empty() && own_serves && self.has_quorum(claim) { vec![Slot::MAX] } else { beside }
    }

    /// Everything that the agent's next step depends on.
    pub fn observe(&mut self, slot: Slot, luck: Luck) -> Observation {
        let (me, local) = (id(slot), self.local(slot));
        let addresses = vec![address(self.machine(slot).addr)];
        let machine = self.machine(slot);
        let (disk, credentials, agent) = (machine.disk, machine.credentials, machine.agent.clone());
        let (departure, volume) = (machine.departure, machine.volume.is_some());
        let registrations = self.registrations();
        let view = ClusterView::NotAsked;
        let nobody = Leadership::default();
        let input = LeaveInput {
            me: &me,
            addresses: &addresses,
            local: &local,
            has_credentials: credentials,
            cluster: &view,
            judged: &[],
            leadership: &nobody,
            wipe: false,
        };
        let stays = matches!(plan(&input), kubeboot::model::leave::LeavePlan::Stay(_));
        // What is lost here are S3's answers. Who is not reached is another matter.
        let reached = if luck == Luck::Lost { Luck::Fine } else { luck };
        let cluster = if stays { ClusterView::NotAsked } else { self.ask_own(slot, reached).0 };
        let plan = plan(&LeaveInput { cluster: &cluster, ..input });
        let group = self.group_beside(slot);
        let others = match &cluster {
            ClusterView::Listed(members) if luck != Luck::Lost && members.at(&addresses).is_some() => {
                let ready = self.ready_by(slot, members, luck);
                Some(Others::of(&me, members, &registrations, ready, Some(&group)))
            }
            _ => None,
        };
        let record = self.bucket.record.as_ref().map(Rec::real);
        let initialising =
            matches!(&local, Local::HalfMade { stage: kubeboot::model::machine::local::Stage::Initializing, .. });
        let claim = match &local {
            Local::Fresh if luck == Luck::Lost => ClaimHere::Nothing,
            _ if initialising && luck == Luck::Lost => ClaimHere::Unknown("S3 is silent".into()),
            _ if initialising || local == Local::Fresh => ClaimHere::of(record.as_ref(), &registrations, &local, &me),
            _ => ClaimHere::Nothing,
        };
        let said = self.bucket.regs.get(&slot).map(|reg| may_be_listed(&reg.real(slot, self.machine(slot).addr)));
        let known_for = if agent.age >= LONG { PATIENCE } else { Duration::ZERO };
        Observation {
            ending: Some(Ending { source: "Terminated".into(), known_for, retained: false, left: None }),
            hook: HookView::Waits,
            departure,
            has_data: disk.data.is_some() || volume,
            registered_member: (luck != Luck::Lost).then_some(said.unwrap_or(false)),
            claim,
            init_given_up: agent.given_up,
            is_stopped: !self.machine(slot).kubelet,
            plan,
            cluster,
            addresses,
            others,
            others_unknown: String::new(),
            desired: Some(self.desired.into()),
            retains: false,
            alone_for: None,
            saving: self.saving(slot, luck),
            local,
        }
    }

    /// Addresses of voters at which an API server says that it is ready, which reads etcd.
    fn ready_by(&self, slot: Slot, members: &Members, luck: Luck) -> Vec<std::net::IpAddr> {
        let claim = self.own_claim(slot);
        let reached = |other: &Slot| luck != Luck::Without(*other) || *other == slot;
        let serves = |other: &Slot| {
            let is_served = self.machine(*other).isolation == super::save::Isolation::None;
            is_served && self.has_quorum(claim) && self.machine(*other).runs().is_some_and(|data| data.birth == claim)
        };
        let at = |other: Slot| address(self.machine(other).addr);
        let all = self.slots().filter(|other| reached(other) && serves(other)).map(at);
        all.filter(|found| members.voters().any(|mem| mem.is_at(&[*found]))).collect()
    }

    fn group_beside(&self, slot: Slot) -> Group {
        let listed = self.slots().filter(|other| {
            let machine = self.machine(*other);
            let there = !matches!(machine.life, Life::Terminated | Life::Forgotten) && machine.listed != Listed::Not;
            there && machine.group == self.machine(slot).group
        });
        Group {
            name: "g".into(),
            arn: identity(self.machine(slot).group).group_arn,
            desired: self.desired.into(),
            retains: false,
            zones: Vec::new(),
            members: listed.map(|other| self.group_member(other, self.machine(other).listed)).collect(),
        }
    }

    /// Whether a voter of the record's cluster has all that it needs and does not run, because its own agent stopped it.
    pub fn is_stopped_voter(&self, slot: Slot) -> bool {
        let machine = self.machine(slot);
        let claim = self.own_claim(slot);
        let is_own = |member: u8| machine.disk.data.is_some_and(|data| (data.birth, data.member) == (claim, member));
        let listed = |mem: &super::Mem| mem.slot == slot && mem.addr == machine.addr && !mem.learner && is_own(mem.id);
        self.visible() == Some(claim) && !machine.kubelet && self.members(claim).iter().any(listed)
    }

    /// The sixteenth rule, once faults have ceased: whether nothing keeps this machine's member in its cluster.
    pub fn must_be_out(&self, slot: Slot) -> bool {
        let machine = self.machine(slot);
        let claim = self.own_claim(slot);
        let own = self.members(claim).iter().find(|mem| mem.slot == slot);
        let leads_out = self.servers_beside(slot).iter().any(|other| *other != Slot::MAX);
        self.agent_works(slot)
            && self.visible() == Some(claim)
            && self.local(slot)
                == (Local::Made {
                    instance: id(slot),
                    claim_id: claim_id(claim),
                    member: machine
                        .disk
                        .marker
                        .and_then(|marker| marker.member)
                        .map(|member| super::names::member_id(claim, member)),
                })
            && own.is_some_and(|mem| self.answers(claim, mem))
            && self.members(claim).iter().all(|mem| self.answers(claim, mem))
            && leads_out
    }
}

/// Only over what was read or is held.
fn unchanged(before: &Body) -> Condition {
    Condition::of(&conditional_write::Condition::Unchanged(before.etag()), Some(before))
}
