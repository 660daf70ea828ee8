//! etcd's membership: which members answer, what etcd refuses, and what a change does.

use super::{At, Claim, Data, Kubeadm, Luck, Mem, Rule, Slot, Task, World};
use kubeboot::model::membership::members::{Members, Removal};
use kubeboot::model::membership::view::ClusterView;

impl World {
    /// Whether this member's etcd runs and can be reached.
    pub fn answers(&self, claim: Claim, mem: &Mem) -> bool {
        let machine = self.machine(mem.slot);
        mem.started && machine.works() && machine.disk.data == Some(Data { claim, owner: mem.slot, member: mem.id })
    }

    pub fn members(&self, claim: Claim) -> &[Mem] {
        self.clusters.get(&claim).map_or(&[], Vec::as_slice)
    }

    pub fn answering(&self, claim: Claim) -> usize {
        self.members(claim).iter().filter(|mem| !mem.learner && self.answers(claim, mem)).count()
    }

    pub fn has_quorum(&self, claim: Claim) -> bool {
        let voters = self.members(claim).iter().filter(|mem| !mem.learner).count();
        voters > 0 && self.answering(claim) > voters / 2
    }

    /// The list with which members answer, for a machine that may fail to reach one of them.
    pub fn probe(&self, claim: Claim, luck: Luck) -> Vec<(Mem, bool)> {
        let members = self.members(claim).iter();
        members.map(|mem| (*mem, self.answers(claim, mem) && luck != Luck::Without(mem.slot))).collect()
    }

    /// The result of asking the cluster.
    pub fn ask(&self, claim: Claim, luck: Luck) -> (ClusterView, Vec<(Mem, bool)>) {
        let probed = self.probe(claim, luck);
        let list = real(&probed);
        if luck == Luck::Lost || self.answering(claim) == 0 {
            (ClusterView::Unknown { why: "no answer".into() }, probed)
        } else if self.has_quorum(claim) {
            (ClusterView::Listed(list), probed)
        } else {
            (ClusterView::NoQuorum(list), probed)
        }
    }

    /// The next step of a kubeadm. What etcd refuses: a second learner, and any new member while a voter does not answer
    /// (strict reconfiguration check); everything without a quorum.
    pub fn step_kubeadm(&mut self, slot: Slot, luck: Luck) {
        let fails = luck == Luck::Fails;
        let machine = self.machine(slot);
        let addr = machine.addr;
        let next = match machine.kubeadm {
            Kubeadm::None | Kubeadm::Ended { .. } => return,
            Kubeadm::Init(claim) if fails => {
                self.machine_mut(slot).disk.data = Some(Data { claim, owner: slot, member: 0 });
                Kubeadm::Ended { well: false, announced: false }
            }
            Kubeadm::Init(claim) => {
                self.members += 1;
                let id = self.members;
                self.machine_mut(slot).disk.data = Some(Data { claim, owner: slot, member: id });
                self.clusters.insert(claim, vec![Mem { id, slot, addr, learner: false, started: true }]);
                Kubeadm::Ended { well: true, announced: true }
            }
            Kubeadm::Add(claim) => {
                let members = self.members(claim);
                let refused = members.iter().any(|mem| mem.learner || mem.addr == addr || !self.answers(claim, mem));
                if fails || refused || !self.has_quorum(claim) {
                    Kubeadm::Ended { well: false, announced: false }
                } else {
                    self.members += 1;
                    let id = self.members;
                    let mem = Mem { id, slot, addr, learner: true, started: false };
                    self.clusters.get_mut(&claim).expect("it has members").push(mem);
                    Kubeadm::Start(claim, id)
                }
            }
            Kubeadm::Start(claim, id) => {
                self.machine_mut(slot).disk.data = Some(Data { claim, owner: slot, member: id });
                let known =
                    self.has_quorum(claim) && self.member_mut(claim, id).map(|mem| mem.started = true).is_some();
                if known && !fails {
                    Kubeadm::Promote(claim, id)
                } else {
                    Kubeadm::Ended { well: false, announced: true }
                }
            }
            Kubeadm::Promote(claim, id) => {
                let well = !fails
                    && self.has_quorum(claim)
                    && self.member_mut(claim, id).map(|mem| mem.learner = false).is_some();
                Kubeadm::Ended { well, announced: true }
            }
        };
        self.machine_mut(slot).kubeadm = next;
    }

    fn member_mut(&mut self, claim: Claim, id: u8) -> Option<&mut Mem> {
        self.clusters.get_mut(&claim)?.iter_mut().find(|mem| mem.id == id)
    }

    /// Judges a removal once more on a fresh list, or sends it.
    pub fn step_removal(&mut self, slot: Slot, mut task: Box<Task>, checked: bool, luck: Luck) {
        let claim = self.up(slot).aim.as_ref().map(|rec| rec.claim).expect("a join follows a record");
        if luck == Luck::Lost || !self.has_quorum(claim) {
            return self.after_error(slot, task.failed);
        }
        if !checked {
            let probed = real(&task.probed);
            let judged = probed.0.iter().find(|mem| mem.id.0 == u64::from(task.id)).expect("it was listed").clone();
            let fresh: Vec<_> = self.members(claim).iter().map(|mem| (*mem, false)).collect();
            let fresh = real(&fresh).answering_as(&probed);
            task.had_vote = fresh.0.iter().any(|mem| mem.id == judged.id && mem.is_started_voter());
            let rest: Vec<_> = fresh.voters().filter(|mem| mem.id != judged.id).collect();
            let short = rest.iter().filter(|mem| mem.answers).count() < rest.len() / 2 + 1;
            match fresh.removal(&judged) {
                Removal::Allowed => {
                    if short {
                        self.breaks(Rule::AskedQuorum);
                    }
                    self.go(slot, At::Remove { task, checked: true });
                }
                Removal::Done => self.removed(slot, task),
                Removal::CostsQuorum | Removal::HasVote => self.after_error(slot, task.failed),
            }
            return;
        }
        self.commit_removal(slot, claim, &task);
        self.removed(slot, task);
    }

    /// etcd commits a removal. The rules are about this moment.
    fn commit_removal(&mut self, slot: Slot, claim: Claim, task: &Task) {
        let Some(mem) = self.members(claim).iter().find(|mem| mem.id == task.id).copied() else { return };
        let before = (self.answering(claim), self.members(claim).iter().filter(|mem| !mem.learner).count());
        let rest = before.1 - usize::from(!mem.learner);
        let active = before.0 - usize::from(!mem.learner && self.answers(claim, &mem));
        // etcd's own check: an active voter goes only if the others suffice.
        if !mem.learner && self.answers(claim, &mem) && active < rest / 2 + 1 {
            return;
        }
        // etcd has no conditional removal, so a learner that gets its vote after the last list is excepted.
        if mem.slot != slot && task.had_vote {
            if self.up(slot).view.states.get(&mem.slot) == Some(&Some(super::Life::Running)) {
                self.breaks(Rule::LiveVoter);
            }
            if task.probed.iter().any(|(was, answered)| was.id == mem.id && *answered) {
                self.breaks(Rule::Answering);
            }
            // Whatever EC2 said, the voter of a running machine was removed.
            if self.machine(mem.slot).life == super::Life::Running && !self.machine(mem.slot).was_stopped {
                self.breaks(Rule::LiveVoter);
            }
        }
        if !mem.learner && active < rest / 2 + 1 {
            self.breaks(Rule::Quorum);
        }
        self.clusters.get_mut(&claim).expect("it has members").retain(|other| other.id != mem.id);
    }
}

/// The list as the real code has it.
pub fn real(probed: &[(Mem, bool)]) -> Members {
    Members(probed.iter().map(|(mem, answers)| mem.real(*answers)).collect())
}
