//! etcd's membership: which members answer, to whom an answer belongs, what etcd refuses, and what a change does.

use super::names::{address, claim_id, member_id, of_init};
use super::{
    At, Birth, Claim, Cluster, Data, FIRST, Kubeadm, Luck, Manifest, Mem, Rec, RecState, Rule, Slot, Task, World,
};
use kubeboot::model::membership::certainty::{Certainty, ClaimKey, EtcdAnswer, RecordedEtcd, certainty};
use kubeboot::model::membership::members::{Members, Removal};
use kubeboot::model::membership::view::ClusterView;

/// A member list with who answers.
type Probed = Vec<(Mem, bool)>;

impl World {
    /// Whether this member's etcd runs where it belongs, and can be reached.
    pub fn answers(&self, birth: Birth, mem: &Mem) -> bool {
        mem.started && self.server(birth, mem).is_some()
    }

    /// Whether this member runs and so votes, whether or not it answers its clients yet.
    pub fn runs(&self, birth: Birth, mem: &Mem) -> bool {
        self.server(birth, mem).is_some()
    }

    /// The machine on which this member runs, if it does.
    pub fn server(&self, birth: Birth, mem: &Mem) -> Option<Slot> {
        self.slots().find(|slot| {
            let machine = self.machine(*slot);
            machine.addr == mem.addr && machine.runs().is_some_and(|data| (data.birth, data.member) == (birth, mem.id))
        })
    }

    pub fn members(&self, birth: Birth) -> &[Mem] {
        self.clusters.get(&birth).map_or(&[], |cluster| cluster.mems.as_slice())
    }

    /// The voters that run.
    pub fn running(&self, birth: Birth) -> usize {
        self.members(birth).iter().filter(|mem| !mem.learner && self.runs(birth, mem)).count()
    }

    pub fn has_quorum(&self, birth: Birth) -> bool {
        let voters = self.members(birth).iter().filter(|mem| !mem.learner).count();
        voters > 0 && self.running(birth) > voters / 2
    }

    /// The list with who answers, as a machine gets it that may fail to reach one of them.
    pub fn probe(&self, birth: Birth, luck: Luck) -> Vec<(Mem, bool)> {
        let reached = |mem: &Mem| self.server(birth, mem).is_some_and(|slot| luck != Luck::Without(slot));
        self.members(birth).iter().map(|mem| (*mem, mem.started && reached(mem))).collect()
    }

    /// What the etcd on a machine answers: of its own cluster whatever the record says, and under its own address.
    fn answer(&self, slot: Slot, luck: Luck) -> Option<(Data, EtcdAnswer, Probed)> {
        let machine = self.machine(slot);
        let data = machine.runs()?;
        let cluster = self.clusters.get(&data.birth)?;
        let mut list = self.probe(data.birth, luck);
        let own = list.iter().position(|(mem, _)| mem.id == data.member);
        if own.is_some_and(|at| list[at].0.addr == machine.addr && !list[at].0.started) {
            // It opens its port when it says its name.
            return None;
        }
        let here = own.is_some_and(|at| list[at].0.addr == machine.addr);
        // Whoever has lost the others answers from memory; one that is alone by its own list has nobody to lose.
        let reads = if list.len() == 1 { own.is_some() } else { here && self.has_quorum(data.birth) };
        if own.is_none() {
            // It was removed and does not know it.
            let mem = Mem { id: data.member, slot, addr: machine.addr, learner: false, started: true };
            list.push((mem, true));
        }
        let claim = match (reads, cluster.key) {
            (false, _) => ClaimKey::NotRead,
            (true, false) => ClaimKey::Missing,
            (true, true) => ClaimKey::Value(claim_id(data.claim).to_string()),
        };
        let ids = data.ids();
        let (member, cluster) = (ids.member, ids.cluster);
        let members = real(data.claim, &list);
        Some((data, EtcdAnswer { asked: address(machine.addr), member, cluster, claim, members }, list))
    }

    /// What asking every etcd that there is comes to, for who follows this record: what an answer is worth, the real
    /// [`certainty`] says.
    pub fn ask(&mut self, slot: Slot, rec: &Rec, luck: Luck) -> (ClusterView, Vec<(Mem, bool)>) {
        let none = |why: &str| (ClusterView::Unknown { why: why.into() }, Vec::new());
        let (RecState::Ready { at, .. } | RecState::Retired { at, .. }) = rec.state else { return none("no cluster") };
        let recorded = RecordedEtcd { claim: claim_id(rec.claim), cluster: of_init(rec.claim, at).cluster };
        let (mut certain, mut remembered) = (None, None);
        for other in self.slots() {
            if luck == Luck::Lost || luck == Luck::Without(other) {
                continue;
            }
            if other != slot && self.machine(other).isolation == super::save::Isolation::Etcd {
                continue;
            }
            let Some((data, answer, list)) = self.answer(other, luck) else { continue };
            match certainty(&recorded, &answer) {
                Certainty::Certain => {
                    if data.birth != rec.claim {
                        self.breaks(Rule::OtherList);
                    }
                    certain = certain.or(Some((answer.members, list)));
                }
                Certainty::Remembered => {
                    if data.claim != rec.claim {
                        self.breaks(Rule::OtherList);
                    }
                    remembered = remembered.or(Some((answer.members, list)));
                }
                // The API server beside it shows the record's `kube-system`, whose UID is in that etcd: the key is written anew.
                Certainty::KeyMissing if other == slot && data.birth == rec.claim => {
                    self.clusters.get_mut(&data.birth).expect("it answered").key = true;
                    certain = certain.or(Some((answer.members, list)));
                }
                Certainty::KeyMissing | Certainty::Refused(_) => {}
            }
        }
        match (certain, remembered) {
            (Some((members, list)), _) => (ClusterView::Listed(members), list),
            (None, Some((members, list))) => (ClusterView::NoQuorum(members), list),
            (None, None) => none("no answer"),
        }
    }

    /// The next step of a kubeadm. What etcd refuses: a second learner, and any new member while a voter does not answer
    /// (strict reconfiguration check); everything without a quorum. A new voter votes at once, and answers when it has said its name: then
    /// kubeadm ends.
    pub fn step_kubeadm(&mut self, slot: Slot, luck: Luck) {
        self.machine_mut(slot).credentials = true;
        let fails = luck == Luck::Fails || self.machine(slot).unfit;
        let machine = self.machine(slot);
        let addr = machine.addr;
        let next = match machine.kubeadm {
            Kubeadm::None | Kubeadm::Ended { .. } => return,
            // Its preflight wants an empty folder.
            Kubeadm::Init(_) | Kubeadm::Restore(..) | Kubeadm::Add(_) if machine.disk.data.is_some() => {
                Kubeadm::Ended { well: false, announced: false }
            }
            Kubeadm::Init(claim) => {
                let id = FIRST + addr;
                self.place(slot, Manifest::Init(claim, addr), Data { birth: claim, claim, at: addr, member: id });
                let mems = vec![Mem { id, slot, addr, learner: false, started: true }];
                self.clusters.insert(claim, Cluster { claim, at: addr, key: false, uid: claim, writes: 0, mems });
                Kubeadm::Ended { well: !fails, announced: !fails }
            }
            Kubeadm::Restore(claim, line) => {
                if !self.bucket.tokens.insert(claim) {
                    self.breaks(Rule::OneToken);
                }
                let id = FIRST + addr;
                self.place(slot, Manifest::Init(claim, addr), Data { birth: claim, claim, at: addr, member: id });
                let mems = vec![Mem { id, slot, addr, learner: false, started: true }];
                // A restore that came to nothing, and an init after it: a new cluster under the same CA, and no error.
                let uid = if luck == Luck::Lost { claim } else { line.uid };
                let cluster = Cluster { claim, at: addr, key: false, uid, writes: line.writes, mems };
                self.clusters.insert(claim, cluster);
                Kubeadm::Ended { well: !fails, announced: !fails }
            }
            Kubeadm::Add(claim) => {
                let members = self.members(claim);
                let refused = members.iter().any(|mem| mem.learner || mem.addr == addr || !self.runs(claim, mem));
                if fails || refused || !self.has_quorum(claim) || !self.reaches(slot, claim) {
                    Kubeadm::Ended { well: false, announced: false }
                } else {
                    if self.machine(slot).departure.is_some() {
                        self.breaks(Rule::Returned);
                    }
                    self.committed(claim);
                    // Whatever the record says now: the cluster has gone on under another claim since.
                    if self.bucket.earlier.contains(&claim) {
                        self.breaks(Rule::OtherList);
                    }
                    self.members += 1;
                    let id = self.members;
                    let mem = Mem { id, slot, addr, learner: true, started: false };
                    self.clusters.get_mut(&claim).expect("it has members").mems.push(mem);
                    Kubeadm::Start(claim, id)
                }
            }
            Kubeadm::Start(claim, id) => {
                let at = self.clusters.get(&claim).map_or(0, |cluster| cluster.at);
                self.place(slot, Manifest::Join, Data { birth: claim, claim, at, member: id });
                let known = self.has_quorum(claim)
                    && self.reaches(slot, claim)
                    && self.members(claim).iter().any(|mem| mem.id == id);
                if known && !fails {
                    Kubeadm::Promote(claim, id)
                } else {
                    Kubeadm::Ended { well: false, announced: true }
                }
            }
            Kubeadm::Promote(claim, id) => {
                let well = !fails
                    && self.has_quorum(claim)
                    && self.reaches(slot, claim)
                    && self.member_mut(claim, id).map(|mem| mem.learner = false).is_some();
                if well {
                    self.committed(claim);
                    Kubeadm::Serve(claim, id)
                } else {
                    Kubeadm::Ended { well: false, announced: true }
                }
            }
            Kubeadm::Serve(..) => Kubeadm::Ended { well: !fails && self.says_its_name(slot), announced: true },
        };
        self.machine_mut(slot).kubeadm = next;
    }

    /// Whether the etcd on this machine is a voter without a name.
    pub fn is_nameless(&self, slot: Slot) -> bool {
        self.machine(slot).runs().is_some_and(|data| {
            let is_it = |mem: &Mem| mem.id == data.member && !mem.learner && !mem.started;
            self.has_quorum(data.birth)
                && self.members(data.birth).iter().any(|mem| is_it(mem) && self.server(data.birth, mem) == Some(slot))
        })
    }

    /// A voter's etcd says its name, and opens its port to clients. Whether it has done so by now.
    pub fn says_its_name(&mut self, slot: Slot) -> bool {
        let Some(data) = self.machine(slot).runs() else { return false };
        if self.is_nameless(slot) {
            self.committed(data.birth);
            self.member_mut(data.birth, data.member).expect("it is listed").started = true;
        }
        self.members(data.birth).iter().any(|mem| mem.id == data.member && mem.started)
    }

    fn member_mut(&mut self, claim: Claim, id: u8) -> Option<&mut Mem> {
        self.clusters.get_mut(&claim)?.mems.iter_mut().find(|mem| mem.id == id)
    }

    /// kubeadm writes etcd's manifest and kubelet starts it.
    fn place(&mut self, slot: Slot, manifest: Manifest, data: Data) {
        let machine = self.machine_mut(slot);
        (machine.disk.manifest, machine.disk.data) = (Some(manifest), Some(data));
        (machine.kubelet, machine.aside) = (true, false);
    }

    /// Judges a removal once more on a fresh list, or sends it.
    pub fn step_removal(&mut self, slot: Slot, mut task: Box<Task>, checked: bool, luck: Luck) {
        let claim = self.up(slot).aim.as_ref().map(|rec| rec.claim).expect("a join follows a record");
        if luck == Luck::Lost || !self.has_quorum(claim) || !self.reaches(slot, claim) {
            return self.after_error(slot, task.failed);
        }
        if !checked {
            let probed = real(claim, &task.probed);
            let judged =
                probed.0.iter().find(|mem| mem.id == member_id(claim, task.id)).expect("it was listed").clone();
            let fresh: Vec<_> = self.members(claim).iter().map(|mem| (*mem, false)).collect();
            let fresh = real(claim, &fresh).answering_as(&probed);
            task.had_vote = fresh.0.iter().any(|mem| mem.id == judged.id && !mem.learner);
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
        // Whoever has lost it, and does not know it yet, is excepted.
        if task.own && self.up(slot).lease.is_none() {
            self.breaks(Rule::OwnLease);
        }
        self.commit_removal(slot, claim, &task);
        self.removed(slot, task);
    }

    /// etcd commits a removal. The rules are about this moment.
    pub fn commit_removal(&mut self, slot: Slot, claim: Claim, task: &Task) {
        let Some(mem) = self.members(claim).iter().find(|mem| mem.id == task.id).copied() else { return };
        let before = (self.running(claim), self.members(claim).iter().filter(|mem| !mem.learner).count());
        let rest = before.1 - usize::from(!mem.learner);
        let active = before.0 - usize::from(!mem.learner && self.runs(claim, &mem));
        // etcd's own check: an active voter goes only if the others suffice.
        if !mem.learner && self.runs(claim, &mem) && active < rest / 2 + 1 {
            return;
        }
        // etcd has no conditional removal, so a learner that gets its vote after the last list is excepted.
        if mem.slot != slot && task.had_vote {
            let view = self.machine(slot).up.as_ref().map(|up| &up.view);
            if view.is_some_and(|view| view.states.get(&mem.slot) == Some(&Some(super::Life::Running))) {
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
        if task.own && self.machine(slot).disk.marker.is_some_and(|marker| marker.owner != slot) {
            self.breaks(Rule::ForeignWord);
        }
        self.committed(claim);
        self.clusters.get_mut(&claim).expect("it has members").mems.retain(|other| other.id != mem.id);
    }
}

/// The list as the real code has it.
pub fn real(claim: Claim, probed: &[(Mem, bool)]) -> Members {
    Members(probed.iter().map(|(mem, answers)| mem.real(claim, *answers)).collect())
}
