//! Moving the registrations of machines that are gone out of everybody's way, as the real `up` does when its machine is done.

use super::look::secs;
use super::names::{address, id, slot as slot_of};
use super::{At, Claim, GRACE, Luck, Phase, Reg, Rule, Slot, World};
use kubeboot::model::machine::ids::InstanceId;
use kubeboot::model::membership::former::{FormerInput, doubtful, former};
use kubeboot::model::membership::view::ClusterView;

impl World {
    /// Whether EC2 is asked about anybody before this machine ends.
    pub fn doubts(&self, slot: Slot) -> bool {
        let up = self.up(slot);
        let Some(record) = up.aim.as_ref().map(super::Rec::real) else { return false };
        let in_group = |other: &InstanceId| up.view.group.iter().any(|(listed, _)| id(*listed) == *other);
        !doubtful(&id(slot), &record, &self.registrations(), in_group).is_empty()
    }

    /// Reads registrations and EC2's answer and judges; then moves one after the other, each only if it is still the same.
    pub fn move_former(&mut self, slot: Slot, claim: Claim, over: Option<Vec<(Slot, Reg)>>, luck: Luck) {
        if luck == Luck::Lost {
            return self.go(slot, At::Done);
        }
        let Some(mut over) = over else {
            let over = self.over(slot, luck);
            return self.go(slot, if over.is_empty() { At::Done } else { At::Former { over: Some(over) } });
        };
        let (other, judged) = over.remove(0);
        if self.bucket.regs.get(&other) == Some(&judged) {
            if self.members(claim).iter().any(|mem| mem.slot == other) && !self.is_explained_without(claim, other) {
                self.breaks(Rule::Explains);
            }
            self.bucket.regs.remove(&other);
        }
        self.go(slot, if over.is_empty() { At::Done } else { At::Former { over: Some(over) } });
    }

    fn over(&mut self, slot: Slot, luck: Luck) -> Vec<(Slot, Reg)> {
        let Some(aim) = self.up(slot).aim.clone() else { return Vec::new() };
        let record = aim.real();
        let registrations = self.registrations();
        let (_, instances) = self.look_at_group(slot, luck);
        // After EC2's answer: a machine that is gone by then becomes a member no more.
        let ClusterView::Listed(members) = self.ask(slot, &aim, luck).0 else { return Vec::new() };
        let input = FormerInput {
            me: &id(slot),
            addresses: &[address(self.machine(slot).addr)],
            record: &record,
            members: Some(&members),
            instances: &instances,
            gone_grace: secs(GRACE),
        };
        let over = former(&input, &registrations);
        over.iter().map(|found| slot_of(&found.instance)).map(|other| (other, self.bucket.regs[&other])).collect()
    }

    /// Whether the members of this machine are explained by another's registration as well: that of one at the same address.
    fn is_explained_without(&self, claim: Claim, owner: Slot) -> bool {
        let of_owner = self.members(claim).iter().filter(|mem| mem.slot == owner);
        let explains = |other: Slot, reg: &Reg, mem: &super::Mem| {
            other != owner
                && (reg.member == Some(mem.id) || reg.member.is_none() && self.machine(other).addr == mem.addr)
                && reg.phase != Phase::Reaped
        };
        of_owner.into_iter().all(|mem| self.bucket.regs.iter().any(|(other, reg)| explains(*other, reg, mem)))
    }
}
