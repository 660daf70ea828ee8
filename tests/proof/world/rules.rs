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
    /// 11: nobody acts by the list of another etcd than the record's.
    OtherList,
    /// 11: among etcds that can commit, one at most carries the record's cluster ID and claim key.
    TwoEtcds,
    /// 13: the data of a cluster that exists is deleted only under a record that says so.
    LineData,
    /// 13: a member is not removed because of a disk that is another machine's.
    ForeignWord,
    /// Over nothing or a retired record nobody claims unless everybody was asked and no API server answered.
    BesideAnother,
    /// 19: another cluster is never concluded from an API server that a claim of this record started.
    OwnServer,
    /// 6: nobody moves the registration away that explains a listed member.
    Explains,
    /// Nobody claims or joins anew with a machine on which kubeadm is known to fail.
    Unfit,
    /// 14: a machine that leaves by itself leaves a voter behind that is `joined` and has a ready API server.
    Serves,
    /// 15: a hook is answered only by a machine whose `up` has ended and that no cluster lists.
    Answered,
    /// 15: after its marker of leaving a machine is never listed again.
    Returned,
    /// 16: while a quorum lives and all answer, who is being terminated comes out.
    Stays,
    /// 10: once the record says `saved`, nobody commits to that etcd, and who says so was alone.
    Committed,
    /// 10: a final snapshot has all that was acknowledged, and arrived whole.
    Final,
    /// 10: nobody restores over a machine that has a vote.
    OverVoter,
    /// 12: from `saved` nobody initialises anew.
    Anew,
    /// 12: all ready records between two retirements have one UID.
    OneUid,
    /// 17: a superseded machine serves nobody once its `up` has read the record.
    SetAside,
    /// 12: every attempt to restore has an etcd of its own.
    OneToken,
    /// 21: a machine that joins removes its own member only while it holds the lease, as far as it knows.
    OwnLease,
}

impl Rule {
    pub const ALL: [Self; 31] = [
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
        Self::OtherList,
        Self::TwoEtcds,
        Self::LineData,
        Self::ForeignWord,
        Self::BesideAnother,
        Self::OwnServer,
        Self::Explains,
        Self::Unfit,
        Self::Serves,
        Self::Answered,
        Self::Returned,
        Self::Stays,
        Self::Committed,
        Self::Final,
        Self::OverVoter,
        Self::Anew,
        Self::OneUid,
        Self::SetAside,
        Self::OneToken,
        Self::OwnLease,
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
            Self::OtherList => "11: nobody acts by the list of another etcd",
            Self::TwoEtcds => "11: one etcd that can commit carries the record's IDs and key",
            Self::LineData => "13: data of a cluster that exists goes only under its ready record",
            Self::ForeignWord => "13: nobody removes a member because of another machine's disk",
            Self::BesideAnother => "19: nobody claims where an API server answers or nobody asked",
            Self::OwnServer => "19: an API server that this record's claim started is no other cluster",
            Self::Explains => "6: what explains a listed member stays registered",
            Self::Unfit => "6: an unfit machine begins nothing",
            Self::Serves => "14: who leaves leaves a joined voter that serves",
            Self::Answered => "15: only who is no member answers its hook",
            Self::Returned => "15: who has begun to leave is never listed again",
            Self::Stays => "16: who is being terminated comes out",
            Self::Committed => "10: nobody commits to an etcd that lives in a snapshot",
            Self::Final => "10: a final snapshot has all that was acknowledged",
            Self::OverVoter => "10: nobody restores over a machine that has a vote",
            Self::Anew => "12: from a saved cluster nobody initialises anew",
            Self::OneUid => "12: all ready records have one kube-system",
            Self::SetAside => "17: a superseded machine serves nobody",
            Self::OneToken => "12: every restore has an etcd of its own",
            Self::OwnLease => "21: who joins removes its own member under the lease",
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

    /// The fifth and the thirteenth rule, right before the data of this machine is wiped, whoever's marker lies beside it. A copy is
    /// nobody's loss where the member served from its own data when the deletion was decided; what began anew is no member's.
    pub fn judge_wipe(&mut self, slot: Slot) {
        let Some(data) = self.machine(slot).disk.data.filter(|data| data.birth == data.claim) else { return };
        let listed = self.members(data.birth).iter().any(|mem| mem.id == data.member);
        if self.visible() == Some(data.claim) && listed && !self.up(slot).twin {
            self.breaks(Rule::ListedData);
        }
        let flips = |rec: &super::Rec| rec.claim == data.claim && matches!(rec.state, RecState::Ready { .. });
        let flying = self.bucket.flights.iter().any(|flight| match &flight.body {
            super::bucket::Body::Record(rec) => flips(rec),
            super::bucket::Body::Lease(_) => false,
        });
        if flying && listed {
            self.breaks(Rule::FlippedData);
        }
        // What a restore has left that never became the cluster is a part of the snapshot.
        let was_cluster = self.bucket.made == Some(data.claim) || self.bucket.earlier.contains(&data.claim);
        if was_cluster && !self.up(slot).under_ready {
            self.breaks(Rule::LineData);
        }
    }

    /// The eleventh rule, in every state.
    pub fn judge_etcds(&mut self) {
        let Some(rec) = &self.bucket.record else { return };
        let (RecState::Ready { at, .. } | RecState::Retired { at, .. }) = rec.state else { return };
        let carries = |(birth, it): &(&super::Birth, &super::Cluster)| {
            (it.claim, it.at, it.key) == (rec.claim, at, true) && self.has_quorum(**birth)
        };
        if self.clusters.iter().filter(carries).count() > 1 {
            self.breaks(Rule::TwoEtcds);
        }
    }

    /// Whether the cluster of a ready record exists: its members were not wiped.
    pub fn published_exists(&self) -> bool {
        // An older version of the record may show a cluster that was given up since.
        let made = self.visible().filter(|claim| self.bucket.made == Some(*claim));
        made.is_none_or(|claim| !self.members(claim).is_empty())
    }

    /// Members of the visible cluster that have a vote.
    pub fn voters(&self) -> usize {
        self.visible().map_or(0, |claim| self.members(claim).iter().filter(|mem| !mem.learner).count())
    }

    /// Whether only an operator can go on: the cluster has lost its quorum for good, or it was retired and a machine that was
    /// stopped comes back with its state.
    pub fn is_lost(&self) -> bool {
        let Some(claim) = self.visible() else {
            let waits = |slot: &Slot| self.machine(*slot).life == Life::Running && !self.is_past(*slot);
            return self.slots().filter(waits).any(|slot| self.needs_operator(slot));
        };
        let survive = self.members(claim).iter().filter(|mem| !mem.learner && self.survives(claim, mem)).count();
        survive < self.voters() / 2 + 1
    }

    /// Whether the machine at this member's address still has its data, and will answer when it runs again.
    fn survives(&self, claim: u8, mem: &super::Mem) -> bool {
        self.machines.iter().any(|machine| {
            let data = machine.disk.data.or(machine.volume);
            matches!(machine.life, Life::Running | Life::Stopped)
                && machine.addr == mem.addr
                && data.is_some_and(|data| (data.birth, data.member) == (claim, mem.id))
        })
    }

    /// Whether all is well for the sixth rule: the record is ready, every candidate is a voter, and there is no other member.
    pub fn is_well(&self) -> bool {
        let Some(claim) = self.visible() else { return false };
        let serves = |slot: &Slot| {
            let machine = self.machine(*slot);
            machine.life == Life::Running
                && machine.listed == super::Listed::InService
                && self.identity_fits(*slot)
                && !self.needs_operator(*slot)
        };
        let members = self.members(claim);
        let joined = |slot: &Slot| {
            let machine = self.machine(*slot);
            machine.disk.marker.is_some_and(|marker| {
                (marker.owner, marker.claim, marker.stage) == (*slot, claim, super::Stage::Member)
            }) && members.iter().any(|mem| mem.addr == machine.addr && !mem.learner && self.answers(claim, mem))
        };
        let ends = |slot: Slot| {
            let machine = self.machine(slot);
            machine.life == Life::Running && machine.listed == super::Listed::Ending
        };
        !members.is_empty()
            && !self.slots().any(ends)
            && self.slots().filter(serves).all(|slot| joined(&slot))
            && members.iter().all(|mem| self.machines.iter().any(|it| it.addr == mem.addr && it.life == Life::Running))
    }

    /// Whether its own state is that of a claim which a restore follows: it is set aside, and in nobody's way.
    pub fn is_past(&self, slot: Slot) -> bool {
        let marker = self.machine(slot).disk.marker;
        marker.is_some_and(|marker| marker.owner == slot && self.is_superseded(marker.claim))
    }

    /// Whether its own state is another cluster's, or another machine's with data that somebody may need, so that only an operator
    /// can go on.
    pub fn needs_operator(&self, slot: Slot) -> bool {
        let disk = &self.machine(slot).disk;
        // Only an operator's command removes the marker of leaving.
        if self.machine(slot).departure.is_some() && self.machine(slot).listed != super::Listed::Ending {
            return true;
        }
        match disk.marker {
            None => disk.data.is_some() || disk.manifest.is_some(),
            Some(marker) if marker.owner != slot => disk.data.is_some(),
            // A volume that came back late has the data of an attempt before: nothing here says that nobody needs it.
            Some(marker)
                if disk.data.is_some_and(|data| data.claim != marker.claim && Some(data.claim) != self.visible()) =>
            {
                true
            }
            Some(marker) => Some(marker.claim) != self.visible() && marker.stage != super::Stage::Initializing,
        }
    }

    /// Whether no registration explains a member, because it tells of the machine's time before.
    pub fn has_unexplained_member(&self) -> bool {
        let explains = |mem: &super::Mem, slot: &Slot, reg: &super::Reg| {
            reg.member == Some(mem.id) || reg.member.is_none() && self.machine(*slot).addr == mem.addr
        };
        let all = || self.bucket.regs.iter();
        self.visible().is_some_and(|claim| {
            self.members(claim).iter().any(|mem| !all().any(|(slot, reg)| explains(mem, slot, reg)))
        })
    }

    fn identity_fits(&self, slot: Slot) -> bool {
        let machine = self.machine(slot);
        self.bucket.record.as_ref().is_none_or(|rec| rec.group == machine.group || machine.accepts_group)
    }
}
