//! Objects of the bucket that somebody puts back to an earlier version, or deletes.

use super::{Claim, Phase, Rec, RecState, Reg, Slot, Up, World};
use std::collections::BTreeMap;

/// What is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slip {
    /// The record, to the version with this number among all that were written.
    Record(u8),
    /// The record is deleted; whether a delete marker stays.
    NoRecord(bool),
    /// A registration, to a version from before its machine was a member; or it is deleted.
    Registration(Slot, bool),
    /// The hash, to that of another cluster or to none.
    Hash(Option<Claim>),
}

/// What the objects were before the first of them was put back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Last {
    pub record: Option<Rec>,
    pub hash: Option<Claim>,
    pub regs: BTreeMap<Slot, Reg>,
}

impl World {
    /// Everything of this kind that may happen now.
    ///
    /// Two moments are left out. No program can close them, and the page on the proof tells them: the record goes back before
    /// anybody has said a word about the flip, or between a holder's last look and its next write.
    pub fn slips(&self) -> Vec<Slip> {
        let mut all = Vec::new();
        if self.left.objects == 0 {
            return all;
        }
        for at in 0..u8::try_from(self.bucket.past.len()).unwrap_or(u8::MAX) {
            all.push(Slip::Record(at));
        }
        if self.bucket.record.is_some() {
            all.extend([Slip::NoRecord(true), Slip::NoRecord(false)]);
        }
        for (slot, reg) in &self.bucket.regs {
            if reg.phase == Phase::Joined || reg.saw.is_some() {
                all.extend([Slip::Registration(*slot, true), Slip::Registration(*slot, false)]);
            }
        }
        let hashes =
            [None].into_iter().chain((1..=self.claims).filter(|claim| self.clusters.contains_key(claim)).map(Some));
        all.extend(hashes.filter(|hash| *hash != self.bucket.hash).map(Slip::Hash));
        all.retain(|slip| self.may_slip(*slip));
        all
    }

    fn may_slip(&self, slip: Slip) -> bool {
        let is_record = matches!(slip, Slip::Record(_) | Slip::NoRecord(_));
        let between = |up: &Up| up.claim.is_some() || !(up.at == super::At::Look || up.at.is_end());
        if is_record && self.machines.iter().any(|machine| machine.up.as_deref().is_some_and(between)) {
            return false;
        }
        let mut next = self.clone();
        next.put_back(slip);
        next.bucket.record != self.bucket.record && next.is_told()
            || !is_record
                && (next.bucket.hash, &next.bucket.regs) != (self.bucket.hash, &self.bucket.regs)
                && next.is_told()
    }

    /// Whether somebody still says that there is a cluster, if the record does not.
    fn is_told(&self) -> bool {
        let Some(made) = self.bucket.made else { return true };
        let says = |rec: &Rec| match rec.state {
            RecState::Ready { .. } | RecState::Saved(_) => rec.claim == made,
            RecState::Initializing { restoring: Some(_), .. } => rec.superseded.contains(&made),
            RecState::Initializing { restoring: None, .. } | RecState::Retired { .. } => false,
        };
        if self.bucket.record.as_ref().is_some_and(says) {
            return true;
        }
        let says = |reg: &Reg| reg.saw == Some(made) || (reg.phase == Phase::Joined && reg.claim == Some(made));
        let said = self.bucket.regs.values().any(|reg| says(reg) && !reg.retired);
        match &self.bucket.record {
            None => self.bucket.deleted || said,
            // That of the saved cluster is explained by a restore, however old.
            Some(rec) => {
                self.bucket.hash.is_some() && self.bucket.hash == self.bucket.uid && rec.line().is_none() || said
            }
        }
    }

    pub fn put_back(&mut self, slip: Slip) {
        if self.bucket.last.is_none() {
            let (record, hash, regs) = (self.bucket.record.clone(), self.bucket.hash, self.bucket.regs.clone());
            self.bucket.last = Some(Box::new(Last { record, hash, regs }));
        }
        match slip {
            Slip::Record(at) => {
                (self.bucket.record, self.bucket.deleted) = (self.bucket.past.iter().nth(at.into()).cloned(), false);
            }
            Slip::NoRecord(marker) => (self.bucket.record, self.bucket.deleted) = (None, marker),
            Slip::Registration(slot, true) => {
                self.bucket.regs.remove(&slot);
            }
            Slip::Registration(slot, false) => {
                let earlier = |reg: &mut Reg| {
                    (reg.phase, reg.member, reg.ready, reg.saw) = (Phase::Initializing, None, None, None)
                };
                self.bucket.regs.entry(slot).and_modify(earlier);
            }
            Slip::Hash(hash) => self.bucket.hash = hash,
        }
    }

    /// A machine writes the hash, or blanks it.
    pub fn publish_hash(&mut self, hash: Option<Claim>) {
        self.bucket.hash = hash;
        if let Some(last) = &mut self.bucket.last {
            last.hash = hash;
        }
    }

    /// An operator puts back what was there last, as the words of the stop say.
    pub fn restore(&mut self) {
        if let Some(last) = self.bucket.last.take() {
            let Last { record, hash, regs } = *last;
            (self.bucket.record, self.bucket.hash, self.bucket.deleted) = (record, hash, false);
            // Beside a claim the hash of a cluster that was given up is no version to put back.
            self.bucket.hash =
                self.bucket.hash.filter(|hash| self.bucket.record.as_ref().and_then(Rec::uid) == Some(*hash));
            self.bucket.regs.extend(regs);
        }
        self.strange = false;
    }
}
