//! The rules that must always hold, judged by the world itself and never by the code under test.

use super::{Life, RecState, Slot, World};

/// A rule that an effect can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// 1: a ready record never changes its identity.
    Identity,
    /// 1: at most one ready record between two retirements.
    OneReady,
    /// 2: `kubeadm init` starts only after its node has read its own claim.
    OwnClaim,
    /// 2: only its own flip makes a cluster visible.
    OwnFlip,
    /// 2: the verdict on a conditional write is true.
    Verdict,
    /// 3: nobody removes a voter of an instance that its own latest EC2 answer shows running, but that instance itself.
    LiveVoter,
    /// 3: nobody removes a member that answers, but its own instance.
    Answering,
    /// 4: no removal takes the cluster below quorum, when etcd commits it.
    Quorum,
    /// 4: no machine asks for a removal that goes below the quorum by its own list.
    AskedQuorum,
    /// 5: nobody wipes the data of a listed member.
    ListedData,
    /// 5: nobody wipes the data of a cluster whose flip may still land, or has.
    FlippedData,
}

impl Rule {
    pub const ALL: [Self; 11] = [
        Self::Identity,
        Self::OneReady,
        Self::OwnClaim,
        Self::OwnFlip,
        Self::Verdict,
        Self::LiveVoter,
        Self::Answering,
        Self::Quorum,
        Self::AskedQuorum,
        Self::ListedData,
        Self::FlippedData,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "1: a ready record keeps its identity",
            Self::OneReady => "1: one ready record between two retirements",
            Self::OwnClaim => "2: init starts after its node has read its own claim",
            Self::OwnFlip => "2: only its own flip makes a cluster visible",
            Self::Verdict => "2: a write came to what it is said to have come to",
            Self::LiveVoter => "3: nobody removes a voter of an instance that EC2 shows it as running",
            Self::Answering => "3: nobody removes another's member that answers",
            Self::Quorum => "4: no removal takes the cluster below quorum",
            Self::AskedQuorum => "4: nobody asks for a removal that would by its own list",
            Self::ListedData => "5: nobody wipes the data of a listed member",
            Self::FlippedData => "5: nobody wipes data whose flip may land",
        }
    }
}

impl World {
    /// The claim of the cluster that the record says there is.
    pub fn visible(&self) -> Option<u8> {
        match self.bucket.record.as_ref()? {
            rec if matches!(rec.state, RecState::Ready { .. }) => Some(rec.claim),
            _ => None,
        }
    }

    /// The fifth rule, right before the data of this machine is wiped. Data that came with another machine's disk is no
    /// member's.
    pub fn judge_wipe(&mut self, slot: Slot) {
        let Some(data) = self.machine(slot).disk.data.filter(|data| data.owner == slot) else { return };
        let listed = self.clusters.get(&data.claim).is_some_and(|all| all.iter().any(|mem| mem.id == data.member));
        let visible = self.visible() == Some(data.claim);
        if visible && listed && data.member != 0 {
            self.breaks(Rule::ListedData);
        }
        let flying = self.bucket.flights.iter().any(|flight| match &flight.body {
            super::bucket::Body::Record(rec) => {
                rec.claim == data.claim && matches!(rec.state, RecState::Ready { by } if by == slot)
            }
            super::bucket::Body::Lease(_) => false,
        });
        if flying && listed {
            self.breaks(Rule::FlippedData);
        }
    }

    /// Whether the cluster of a ready record exists: its members were not wiped.
    pub fn published_exists(&self) -> bool {
        self.visible().is_none_or(|claim| self.clusters.get(&claim).is_some_and(|members| !members.is_empty()))
    }

    /// Members of the visible cluster that have a vote.
    pub fn voters(&self) -> usize {
        let members = self.visible().and_then(|claim| self.clusters.get(&claim));
        members.map_or(0, |members| members.iter().filter(|mem| !mem.learner).count())
    }

    /// Whether only an operator can go on: the cluster has lost its quorum for good, or it was retired and a machine that was
    /// stopped comes back with its state.
    pub fn is_lost(&self) -> bool {
        if self.visible().is_none() {
            return self.slots().any(|slot| self.machine(slot).life == Life::Running && self.needs_operator(slot));
        }
        let Some(members) = self.visible().and_then(|claim| self.clusters.get(&claim)) else { return false };
        let survive = members.iter().filter(|mem| !mem.learner && self.survives(mem)).count();
        survive < self.voters() / 2 + 1
    }

    /// Whether the machine of this member still has its data, and will answer when it runs again.
    fn survives(&self, mem: &super::Mem) -> bool {
        let machine = self.machine(mem.slot);
        let data = machine.disk.data.is_some_and(|data| data.owner == mem.slot && data.member == mem.id);
        matches!(machine.life, Life::Running | Life::Stopped) && data
    }

    /// Whether all is well for the sixth rule: the record is ready, every candidate is a voter, and there is no other member.
    pub fn is_well(&self) -> bool {
        let Some(claim) = self.visible() else { return false };
        let Some(members) = self.clusters.get(&claim) else { return false };
        let serves = |slot: &Slot| {
            let machine = self.machine(*slot);
            machine.life == Life::Running
                && machine.listed == super::Listed::InService
                && self.identity_fits(*slot)
                && !self.needs_operator(*slot)
        };
        let joined = |slot: &Slot| {
            let disk = &self.machine(*slot).disk;
            disk.marker.is_some_and(|marker| {
                (marker.owner, marker.claim, marker.stage) == (*slot, claim, super::Stage::Member)
            }) && members.iter().any(|mem| mem.slot == *slot && !mem.learner && self.answers(claim, mem))
        };
        self.slots().filter(serves).all(|slot| joined(&slot))
            && members.iter().all(|mem| self.machine(mem.slot).life == Life::Running)
    }

    /// Whether its own state is another cluster's, so that only an operator can go on.
    fn needs_operator(&self, slot: Slot) -> bool {
        self.machine(slot).disk.marker.is_some_and(|marker| {
            marker.owner == slot && Some(marker.claim) != self.visible() && marker.stage != super::Stage::Initializing
        })
    }

    fn identity_fits(&self, slot: Slot) -> bool {
        let machine = self.machine(slot);
        self.bucket.record.as_ref().is_none_or(|rec| rec.group == machine.group || machine.accepts_group)
    }
}
