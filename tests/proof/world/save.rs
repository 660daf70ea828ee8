//! Saving and restoring: the last voter that isolates itself, what clients write meanwhile, and an operator who restores.
//!
//! What comes next on the last voter the real [`next`] says, whether an operator may restore the real [`judge`].

use super::agent::Where;
use super::bucket::{Body, Condition};
use super::names::{id, member_id};
use super::{Claim, DAMAGED, Life, Line, Luck, OPERATOR, Rec, RecState, Rule, Slot, World};
use kubeboot::model::agent::{AgentStep, decide};
use kubeboot::model::machine::group::Ec2State;
use kubeboot::model::machine::ids::Uid;
use kubeboot::model::membership::instances::Presence;
use kubeboot::model::record::claim;
use kubeboot::model::record::conditional_write::{self, Written};
use kubeboot::model::restore::{RestoreDecision, RestoreInput, judge};
use kubeboot::model::retire::{AskedIn, KnownBy, RetireMachine};
use kubeboot::model::saving::{RecordFound, SaveFindings, SaveStep, SnapshotTaken, next};
use std::time::Duration;

/// How far a machine is isolated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    #[default]
    None,
    /// Its API server is set aside.
    Server,
    /// Its etcd hears the loopback alone, too.
    Etcd,
    /// It has saved the cluster: neither ever starts again, and nobody needs its data.
    Ended,
    /// Another machine has, or an operator: neither starts again, and its data is kept.
    SetAside,
}

impl Isolation {
    /// Whether etcd and API server are ended for good.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Ended | Self::SetAside)
    }
}

impl Rec {
    /// The saved cluster, while it is saved or being restored.
    pub fn line(&self) -> Option<Line> {
        match self.state {
            RecState::Saved(line) => Some(line),
            RecState::Initializing { restoring, .. } => restoring,
            RecState::Ready { .. } | RecState::Retired { .. } => None,
        }
    }

    /// Whose `kube-system` the record says that there is.
    pub fn uid(&self) -> Option<Claim> {
        match self.state {
            RecState::Ready { uid, .. } => Some(uid),
            RecState::Saved(_) | RecState::Initializing { .. } => self.line().map(|line| line.uid),
            RecState::Retired { .. } => None,
        }
    }

    /// Whether a restore follows this claim.
    pub fn follows(&self, claim: Claim) -> bool {
        matches!(self.state, RecState::Saved(_)) && self.claim == claim || self.superseded.contains(&claim)
    }
}

impl World {
    /// Whether a restore follows the cluster of this claim, by the record.
    pub fn is_superseded(&self, claim: Claim) -> bool {
        self.bucket.record.as_ref().is_some_and(|rec| rec.follows(claim))
    }

    /// The tenth rule, at every commit: nobody commits to an etcd that lives in a snapshot.
    pub fn committed(&mut self, claim: Claim) {
        if self.is_superseded(claim) {
            self.breaks(Rule::Committed);
        }
    }

    /// Whether a machine reaches the etcd of this cluster: one that hears the loopback alone is reached from itself.
    pub fn reaches(&self, slot: Slot, claim: Claim) -> bool {
        let hides = |at: Slot| at != slot && self.machine(at).isolation == Isolation::Etcd;
        !self.members(claim).iter().filter_map(|mem| self.server(claim, mem)).any(hides)
    }

    /// The cluster that a client reaches: behind an API server, beside a member that reaches the others.
    pub fn served(&self) -> Option<Claim> {
        let serves = |slot: Slot| {
            let machine = self.machine(slot);
            let data = machine.runs().filter(|data| data.birth == data.claim)?;
            let is_member = self.members(data.claim).iter().any(|mem| mem.id == data.member && mem.started);
            let is_served = machine.isolation == Isolation::None && is_member;
            (is_served && self.has_quorum(data.claim) && self.reaches(slot, data.claim)).then_some(data.claim)
        };
        // Of the cluster that exists; what a restore serves before its flip may go with its holder.
        let exists = |claim: &Claim| {
            self.visible() == Some(*claim) || self.is_superseded(*claim) && self.bucket.made == Some(*claim)
        };
        self.slots().filter_map(serves).find(exists)
    }

    /// A client writes, and is told that it is done.
    pub fn client_writes(&mut self) {
        let Some(claim) = self.served() else { return };
        self.left.writes = self.left.writes.saturating_sub(1);
        self.committed(claim);
        if let Some(cluster) = self.clusters.get_mut(&claim) {
            cluster.writes += 1;
        }
    }

    /// The snapshot that one could take of this cluster now.
    fn line_of(&self, claim: Claim) -> Option<Line> {
        let rec = self.bucket.record.as_ref().filter(|rec| rec.claim == claim)?;
        let RecState::Ready { by, at, uid } = rec.state else { return None };
        Some(Line { uid, made: claim, by, at, writes: self.clusters.get(&claim)?.writes })
    }

    pub fn may_snapshot(&self) -> bool {
        let line = self.served().and_then(|claim| self.line_of(claim));
        self.left.snapshots > 0 && line.is_some() && line != self.bucket.snapshot
    }

    pub fn take_snapshot(&mut self) {
        self.left.snapshots = self.left.snapshots.saturating_sub(1);
        self.bucket.snapshot = self.served().and_then(|claim| self.line_of(claim));
    }

    /// What the agent's `decide` is told of saving.
    pub fn saving(&self, slot: Slot, luck: Luck) -> kubeboot::model::agent::saving::Saving {
        use kubeboot::model::agent::saving::{Isolation as Mark, Saving};
        let isolation = match self.machine(slot).isolation {
            Isolation::None => Mark::None,
            Isolation::Server | Isolation::Etcd => Mark::Begun,
            Isolation::Ended => Mark::ForGood,
            Isolation::SetAside => Mark::Superseded,
        };
        let is_member = |marker: &super::Marker| marker.owner == slot && marker.stage == super::Stage::Member;
        let claim = self.machine(slot).disk.marker.filter(is_member).map(|marker| marker.claim);
        // What is lost here are S3's answers.
        let superseded = luck != Luck::Lost && claim.is_some_and(|claim| self.is_superseded(claim));
        Saving { isolation, superseded, ..Saving::default() }
    }

    /// One step of a saving, or of what becomes of one that was begun.
    pub fn save(&mut self, slot: Slot, luck: Luck) -> Where {
        let reached = if luck == Luck::Fails { Luck::Fine } else { luck };
        let decided = decide(&self.observe(slot, reached));
        let wanted = match decided {
            AgentStep::Save(_) => true,
            AgentStep::Settle => false,
            _ => return Where::Look,
        };
        let claim = self.machine(slot).disk.marker.map_or(0, |marker| marker.claim);
        let record = self.bucket.record.clone();
        let found = match &record {
            _ if luck == Luck::Lost => RecordFound::Unknown("S3 is silent".into()),
            Some(rec) if rec.follows(claim) => RecordFound::Saved,
            Some(rec) if rec.claim == claim && matches!(rec.state, RecState::Ready { .. }) => RecordFound::Ready,
            _ => RecordFound::Unknown("another record".into()),
        };
        let machine = self.machine(slot);
        let own = machine.disk.data.map_or(0, |data| data.member);
        let list = super::etcd::real(claim, &self.probe(claim, Luck::Fine));
        let after = self.clusters.get(&claim).map_or(0, |cluster| cluster.writes);
        let taken = machine.agent.snapshot;
        let findings = SaveFindings {
            record: found,
            wanted,
            too_old: &[],
            is_server_gone: machine.isolation != Isolation::None,
            is_etcd_alone: machine.isolation == Isolation::Etcd,
            own: member_id(claim, own),
            members: self.has_quorum(claim).then_some(&list),
            snapshot: taken.map(|line| SnapshotTaken {
                before: if line.writes == DAMAGED { after.into() } else { line.writes.into() },
                after: after.into(),
                is_verified: line.writes != DAMAGED,
            }),
            may_be_sent: machine.sent,
        };
        match next(&findings) {
            SaveStep::IsolateApiServer => self.machine_mut(slot).isolation = Isolation::Server,
            SaveStep::IsolateEtcd => self.machine_mut(slot).isolation = Isolation::Etcd,
            SaveStep::List | SaveStep::Hold(_) => return Where::Look,
            SaveStep::RemoveLearner(learner) => {
                self.committed(claim);
                let cluster = self.clusters.get_mut(&claim).expect("it was listed");
                cluster.mems.retain(|mem| member_id(claim, mem.id) != learner);
            }
            SaveStep::TakeSnapshot => {
                let line = self.line_of(claim);
                let damaged = luck == Luck::Fails;
                let line = line.map(|line| if damaged { Line { writes: DAMAGED, ..line } } else { line });
                self.machine_mut(slot).agent.snapshot = line;
            }
            SaveStep::WriteSaved => {
                let (Some(rec), Some(line)) = (record, taken) else { return Where::Look };
                self.machine_mut(slot).sent = true;
                if self.write_record(slot, &rec, claim::saved(&rec.real(), line.snapshot()), luck) {
                    return Where::Save;
                }
            }
            SaveStep::EndForGood => {
                self.end_for_good(slot);
                return Where::Look;
            }
            SaveStep::PutBack { fence, .. } => {
                let Some(rec) = record.filter(|_| fence) else {
                    self.put_back_manifests(slot);
                    return Where::Look;
                };
                let fenced = Rec { fences: rec.fences + 1, ..rec.clone() };
                if self.write_record(slot, &rec, Some(fenced.real()), luck) {
                    self.put_back_manifests(slot);
                }
                return Where::Look;
            }
        }
        Where::Save
    }

    /// Ends etcd and API server on a machine of a superseded claim. That it has saved the cluster it believes only where it may have sent
    /// that itself.
    pub fn end_for_good(&mut self, slot: Slot) {
        let machine = self.machine_mut(slot);
        let has_saved = machine.sent || machine.isolation == Isolation::Ended;
        machine.isolation = if has_saved { Isolation::Ended } else { Isolation::SetAside };
        machine.sent = false;
    }

    fn put_back_manifests(&mut self, slot: Slot) {
        let machine = self.machine_mut(slot);
        (machine.isolation, machine.sent, machine.agent.snapshot) = (Isolation::None, false, None);
    }

    /// Writes over what was read; whether it is certainly there.
    fn write_record(
        &mut self,
        by: Slot,
        before: &Rec,
        body: Option<kubeboot::model::record::cluster::ClusterRecord>,
        luck: Luck,
    ) -> bool {
        let Some(body) = body else { return false };
        let (before, body) = (Body::Record(before.clone()), Body::Record(Rec::of(&body)));
        let unchanged = conditional_write::Condition::Unchanged(before.etag());
        let over = Condition::of(&unchanged, Some(&before));
        let sent = self.send(by, &body, &over, luck);
        let read = if luck == Luck::Late { Luck::Lost } else { luck };
        let written = sent.and_then(|answer| self.learn(&body, &over, answer, read));
        matches!(written, Some(Written::Ours(_)))
    }

    /// Whether the command allows it now.
    pub fn may_restore(&self) -> bool {
        let (Some(rec), Some(line)) = (&self.bucket.record, self.bucket.snapshot) else { return false };
        if self.left.restores == 0 || self.strange || self.machines.iter().any(|machine| machine.runs().is_some()) {
            return false;
        }
        let (record, snapshot, registrations) = (rec.real(), line.snapshot(), self.registrations());
        let uid: Uid = line.real().published.kube_system_uid;
        let machine = |slot: Slot| RetireMachine {
            instance: id(slot),
            known_by: if self.bucket.regs.contains_key(&slot) { KnownBy::Registration } else { KnownBy::Group },
            last_phase: None,
            ec2: Some(match self.machine(slot).life {
                Life::Running => Presence::State(Ec2State::Running),
                Life::Stopped => Presence::State(Ec2State::Stopped),
                Life::Terminated => Presence::State(Ec2State::Terminated),
                Life::Forgotten => Presence::AbsentFor(Duration::from_secs(super::LONG.into())),
            }),
            is_here_and_fresh: false,
        };
        let machines: Vec<RetireMachine> = self.slots().map(machine).collect();
        let decision = judge(&RestoreInput {
            record: Some(&record),
            snapshot: Some((&snapshot, &uid)),
            asked_in: AskedIn { account: "1".into(), region: "r".into() },
            registrations: &registrations,
            machines: &machines,
            answers: &[],
            gone_grace: Duration::from_secs(super::GRACE.into()),
        });
        decision == RestoreDecision::Allowed
    }

    /// The operator's command.
    pub fn restore_cluster(&mut self) {
        self.left.restores = self.left.restores.saturating_sub(1);
        let (Some(rec), Some(line)) = (self.bucket.record.clone(), self.bucket.snapshot) else { return };
        self.write_record(OPERATOR, &rec, claim::saved(&rec.real(), line.snapshot()), Luck::Fine);
    }

    /// The tenth, the twelfth and the first rule, as far as they show in the record.
    pub fn judge_line(&mut self, by: Slot, before: Option<&Rec>, next: &Rec) {
        let is_retired = matches!(next.state, RecState::Retired { .. });
        // An older version that somebody has put back is no step that anybody took.
        if before.and_then(Rec::line).is_some() && next.uid().is_none() && !is_retired {
            self.breaks(Rule::Anew);
        }
        if let Some(uid) = next.uid().filter(|_| !is_retired) {
            if self.bucket.uid.is_some_and(|one| one != uid) {
                self.breaks(Rule::OneUid);
            }
            self.bucket.uid = Some(uid);
        }
        let (Some(before), RecState::Saved(line)) = (before, next.state) else { return };
        // A copy of its data on another machine never had that vote.
        let has_vote = |slot: &Slot| {
            let machine = self.machine(*slot);
            let data = [machine.disk.data, machine.volume].into_iter().flatten();
            let mut own = data.filter(|data| data.birth == before.claim);
            let voters = || self.members(before.claim).iter().filter(|mem| !mem.learner);
            let is_voter = |member: u8| voters().any(|mem| (mem.id, mem.slot) == (member, *slot));
            machine.life != Life::Terminated && machine.life != Life::Forgotten && own.any(|data| is_voter(data.member))
        };
        if by == OPERATOR {
            if !matches!(before.state, RecState::Saved(_)) && self.slots().any(|slot| has_vote(&slot)) {
                self.breaks(Rule::OverVoter);
            }
            return;
        }
        self.bucket.savers.insert(by);
        let members = self.members(before.claim);
        let is_alone = members.len() == 1 && members.iter().all(|mem| mem.slot == by);
        if !is_alone || self.machine(by).isolation != Isolation::Etcd {
            self.breaks(Rule::Committed);
        }
        if self.clusters.get(&before.claim).is_none_or(|cluster| cluster.writes != line.writes) {
            self.breaks(Rule::Final);
        }
    }
}
