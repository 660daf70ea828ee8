//! The steps of an `up` by which a cluster is made: claiming, renewing, initialising, flipping, wiping.

use super::bucket::{Answer, Body, Condition};
use super::look::{overwrite, secs};
use super::names::{claim_id, published};
use super::{At, CLAIM_TTL, Kubeadm, LEASE_TTL, Lea, Luck, Marker, Phase, Rec, Rule, Slot, Stage, Why, World};
use kubeboot::model::record::claim;
use kubeboot::model::record::conditional_write::{self, Written};
use kubeboot::model::record::renewal::{Renewal, RenewalResult, after, renewal};

impl World {
    /// The next step of an `up`.
    pub fn step(&mut self, slot: Slot, luck: Luck) {
        match self.up(slot).at.clone() {
            At::Look => self.look(slot, luck),
            At::Write { why, body, over, sent } => self.step_write(slot, why, body, over, sent, luck),
            At::Ask => {
                let answers = self.who_answers();
                self.up_mut(slot).asked = Some(answers);
                self.go(slot, At::Look);
            }
            At::Blank { hash, then } => {
                let same = self.bucket.hash == Some(hash);
                if same {
                    self.publish_hash(None);
                }
                self.go(slot, if same || self.bucket.hash.is_none() { *then } else { At::Look });
            }
            At::Halt => {
                // What it started is stopped before anything else, and nothing is wiped before the record was read.
                self.machine_mut(slot).kubelet = false;
                self.go(slot, At::Look);
            }
            At::InitLook => {
                let held = self.up(slot).claim.as_ref().map(|(rec, _)| rec.claim);
                let record = self.read_record(slot);
                let stands = held.is_some_and(|claim| claim::stands(&record, &claim_id(claim)));
                self.register(slot, Luck::Fine, |reg| {
                    (reg.phase, reg.claim) = (Phase::Initializing, held.or(reg.claim))
                });
                if stands {
                    self.go(slot, At::InitMark);
                } else {
                    self.up_mut(slot).claim = None;
                    self.go(slot, At::Look);
                }
            }
            At::InitMark => {
                self.mark(slot, Stage::Initializing);
                self.go(slot, At::InitRun);
            }
            At::InitRun => {
                let (claim, read) = (self.held_claim(slot), self.up(slot).read);
                if read != Some((claim, slot)) {
                    self.breaks(Rule::OwnClaim);
                }
                let restoring = self.up(slot).restoring;
                if restoring.is_none() && self.bucket.record.as_ref().is_some_and(|rec| rec.line().is_some()) {
                    self.breaks(Rule::Anew);
                }
                self.machine_mut(slot).kubeadm =
                    restoring.map_or(Kubeadm::Init(claim), |line| Kubeadm::Restore(claim, line));
                self.go(slot, At::InitWait);
            }
            At::InitWait => match self.machine(slot).kubeadm {
                Kubeadm::Ended { well: true, .. } => {
                    self.machine_mut(slot).kubeadm = Kubeadm::None;
                    self.go(slot, At::Publish);
                }
                _ => self.init_failed(slot),
            },
            At::Publish if matches!(luck, Luck::Fails | Luck::Lost) => self.init_failed(slot),
            At::Publish => {
                let held = self.up(slot).claim.clone().expect("who publishes holds a claim").0;
                let addr = self.machine(slot).addr;
                let ca = held.line().map_or(held.claim, |line| line.uid);
                let mut uid = held.claim;
                if let Some(cluster) = self.clusters.get_mut(&held.claim) {
                    cluster.key = true;
                    uid = cluster.uid;
                }
                match claim::flipped(&held.real(), published(held.claim, (ca, uid), slot, addr)) {
                    Some(next) => self.go(slot, overwrite(Why::Flip, &held, Rec::of(&next))),
                    None => self.init_failed(slot),
                }
            }
            At::MarkMember => {
                self.mark(slot, Stage::Member);
                self.up_mut(slot).claim = None;
                self.go(slot, At::Look);
            }
            At::Wipe { emptied } => {
                let at = if self.wipe(slot, emptied) { At::Look } else { At::Wipe { emptied: true } };
                self.go(slot, at);
            }
            at => self.step_join(slot, at, luck),
        }
    }

    pub fn held_claim(&self, slot: Slot) -> u8 {
        self.up(slot).claim.as_ref().expect("only a holder initialises").0.claim
    }

    fn mark(&mut self, slot: Slot, stage: Stage) {
        let claim = self.held_claim(slot);
        self.mark_claim(slot, claim, stage);
    }

    pub fn mark_claim(&mut self, slot: Slot, claim: u8, stage: Stage) {
        let data = self.machine(slot).disk.data.filter(|_| stage == Stage::Member);
        let marker = Marker { owner: slot, claim, stage, member: data.map(|data| data.member) };
        self.machine_mut(slot).disk.marker = Some(marker);
        if self.left.markers > 0 {
            self.markers.insert(marker);
        }
    }

    /// One of the two steps of a wipe; whether it was the last.
    pub fn wipe(&mut self, slot: Slot, emptied: bool) -> bool {
        if emptied {
            let machine = self.machine_mut(slot);
            (machine.disk.marker, machine.credentials) = (None, false);
            let reg = &mut self.up_mut(slot).reg;
            (reg.member, reg.nonce) = (None, None);
            return true;
        }
        if !self.up(slot).keeps {
            self.judge_wipe(slot);
        }
        let machine = self.machine_mut(slot);
        let data = machine.disk.data.take();
        (machine.disk.manifest, machine.aside) = (None, false);
        (machine.isolation, machine.sent) = (super::save::Isolation::None, false);
        // A cluster of one that was never made visible is gone with its last disk.
        if let Some(data) = data
            && self.bucket.made != Some(data.claim)
            && self.visible() != Some(data.claim)
            && self.members(data.birth).len() == 1
            && !self.lies_anywhere(data.birth)
        {
            self.clusters.remove(&data.birth);
        }
        false
    }

    /// Every attempt has a claim of its own, and so an etcd of its own: the next one takes over from this one.
    fn init_failed(&mut self, slot: Slot) {
        self.machine_mut(slot).kubeadm = Kubeadm::None;
        let up = self.up_mut(slot);
        up.failed += 1;
        up.claim = None;
        self.go(slot, At::Look);
    }

    /// One write of the record: sent, or judged by what came back.
    fn step_write(&mut self, slot: Slot, why: Why, body: Rec, over: Condition, sent: Option<Answer>, luck: Luck) {
        let stored = Body::Record(body.clone());
        let Some(answer) = sent else {
            let sent = self.send(slot, &stored, &over, luck);
            if why == Why::Claim {
                // The holder counts from before it sent.
                self.up_mut(slot).claim = None;
            }
            return self.go(slot, At::Write { why, body, over, sent });
        };
        let Some(written) = self.learn(&stored, &over, answer, luck) else {
            return self.go(slot, At::Write { why, body, over, sent: None });
        };
        match why {
            Why::Claim => {
                if let Written::Ours(_) = written {
                    self.up_mut(slot).claim = Some((body, 0));
                }
                self.go(slot, At::Look);
            }
            Why::Regroup => self.go(slot, At::Look),
            Why::Yield | Why::Flip => {
                let held = self.up(slot).claim.clone().expect("a last write ends a holding").0;
                let at = match after(written, |bytes| same_claim(&held, bytes)) {
                    RenewalResult::Ours(_) if why == Why::Flip => return self.go(slot, At::MarkMember),
                    RenewalResult::Behind(mine, _) => {
                        let next = overwrite(why, &mine, body);
                        self.up_mut(slot).claim = Some((mine, 0));
                        return self.go(slot, next);
                    }
                    RenewalResult::Deposed | RenewalResult::Gone => At::Halt,
                    RenewalResult::Ours(_) | RenewalResult::Unknown => At::Look,
                };
                self.up_mut(slot).claim = None;
                self.go(slot, at);
            }
        }
    }

    /// Whether a holder must renew its holding now.
    pub fn renewal_is_due(&self, slot: Slot) -> bool {
        let up = self.up(slot);
        let due = |held: u16, ttl: u16| !matches!(renewal(secs(ttl), secs(held)), Renewal::Idle(_));
        match &up.at {
            At::InitMark | At::InitRun | At::InitWait | At::Publish | At::Wipe { .. } => {
                up.claim.as_ref().is_some_and(|(_, age)| due(*age, CLAIM_TTL))
            }
            at if under_lease(at) => up.lease.is_some_and(|(_, age)| due(age, LEASE_TTL)),
            _ => false,
        }
    }

    /// Renews the holding once, or gives it up.
    pub fn beat(&mut self, slot: Slot, luck: Luck) {
        if under_lease(&self.up(slot).at) {
            let Some((lea, age)) = self.up(slot).lease else { return };
            let body = |lea: Lea| Body::Lease(lea);
            match self.beat_once(slot, body(lea), body(Lea::of(&lea.real().renewed())), (age, LEASE_TTL), luck) {
                Some(Some(Body::Lease(next))) => self.up_mut(slot).lease = Some((next, 0)),
                Some(_) => self.lease_lost(slot),
                None => {}
            }
            return;
        }
        let Some((rec, age)) = self.up(slot).claim.clone() else { return };
        let next = claim::renewed(&rec.real()).map_or_else(|| rec.clone(), |next| Rec::of(&next));
        match self.beat_once(slot, Body::Record(rec), Body::Record(next), (age, CLAIM_TTL), luck) {
            Some(Some(Body::Record(next))) => self.up_mut(slot).claim = Some((next, 0)),
            Some(_) => {
                self.machine_mut(slot).kubeadm = Kubeadm::None;
                self.up_mut(slot).claim = None;
                self.go(slot, At::Halt);
            }
            None => {}
        }
    }

    /// `None`: not known yet. `Some(None)`: lost.
    fn beat_once(&mut self, slot: Slot, held: Body, next: Body, age: (u16, u16), luck: Luck) -> Option<Option<Body>> {
        if renewal(secs(age.1), secs(age.0)) == Renewal::GiveUp {
            return Some(None);
        }
        if self.outage > 0 {
            return None;
        }
        self.left.beats = self.left.beats.saturating_sub(1);
        let mut over = held.clone();
        // At most twice: an earlier renewal of this holding may have landed meanwhile.
        for _ in 0..2 {
            let condition = Condition::of(&conditional_write::Condition::Unchanged(over.etag()), Some(&over));
            let answer = self.send(slot, &next, &condition, luck)?;
            let written =
                self.learn(&next, &condition, answer, if luck == Luck::Late { Luck::Lost } else { Luck::Fine })?;
            match after(written, |bytes| match &held {
                Body::Record(rec) => same_claim(rec, bytes).map(Body::Record),
                Body::Lease(lea) => same_lease(*lea, bytes).map(Body::Lease),
            }) {
                RenewalResult::Ours(_) => return Some(Some(next)),
                RenewalResult::Behind(mine, _) => over = mine,
                RenewalResult::Deposed | RenewalResult::Gone => return Some(None),
                RenewalResult::Unknown => return None,
            }
        }
        None
    }
}

/// Whether the lease is renewed at this point.
pub fn under_lease(at: &At) -> bool {
    matches!(
        at,
        At::JoinLook
            | At::CleanUp { .. }
            | At::CleanWipe { .. }
            | At::Reap { .. }
            | At::Remove { .. }
            | At::Forget { .. }
            | At::Register
            | At::JoinMark
            | At::JoinRun
            | At::JoinWait
            | At::Verify
            | At::MarkJoined
    )
}

fn same_claim(held: &Rec, bytes: &[u8]) -> Option<Rec> {
    let stored = Body::of(bytes)?.rec();
    claim::continues(&held.real(), &stored.real()).then_some(stored)
}

/// As the real `Renewable` of the lease decides: the same nonce.
fn same_lease(held: Lea, bytes: &[u8]) -> Option<Lea> {
    let stored = Body::of(bytes)?.lea();
    (stored.holder.is_some() && stored.holder == held.holder).then_some(stored)
}
