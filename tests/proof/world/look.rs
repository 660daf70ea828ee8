//! What an `up` observes, and the step that the real `decide` takes.

use super::bucket::{Body, Condition};
use super::names::{
    address, claim_id, claim_of, digest, id, identity, member_id, node_name, published, slot as slot_of,
};
use super::{
    Answers, At, CLAIM_TTL, Claim, GRACE, LONG, Life, Listed, Luck, MISSING, Machine, Phase, Rec, RecState, Rule,
    SETTLE, STAGGER, Slot, Stage, View, Why, World, cover,
};
use kubeboot::model::machine::defect::Defect;
use kubeboot::model::machine::etcd_data::EtcdData;
use kubeboot::model::machine::group::{Ec2State, Group, GroupMember, Lifecycle};
use kubeboot::model::machine::ids::InstanceId;
use kubeboot::model::machine::local::{self, Local};
use kubeboot::model::membership::instances::{Absences, Instances};
use kubeboot::model::membership::later_truth::may_be_told_by_hash;
use kubeboot::model::membership::registration::Registration;
use kubeboot::model::membership::view::ClusterView;
use kubeboot::model::record::claim;
use kubeboot::model::record::cluster::{ClusterRecord, RecordState};
use kubeboot::model::record::view::RecordView;
use kubeboot::model::record::watched::Watched;
use kubeboot::model::up::decide::decide;
use kubeboot::model::up::snapshot::{ApiServerAt, ApiServerProbe, Policy, Snapshot, SnapshotHere};
use kubeboot::model::up::step::{Over, Step, Stop, Wait};
use std::collections::BTreeMap;
use std::time::Duration;

pub const fn secs(seconds: u16) -> Duration {
    Duration::from_secs(seconds as u64)
}

/// How long an object has been the same, by the real [`Watched`].
pub fn unchanged_for(seen: Option<(&str, u16)>, etag: &str) -> u16 {
    let mut watched = Watched::default();
    let now = seen.map_or(0, |(_, age)| age);
    if let Some((last, _)) = seen {
        watched.unchanged_for(last, Duration::ZERO, Duration::ZERO);
    }
    u16::try_from(watched.unchanged_for(etag, secs(now), secs(now)).as_secs()).expect("ages are small")
}

impl World {
    /// Reads the record as the real watch does.
    pub fn read_record(&mut self, slot: Slot) -> RecordView {
        let Some(rec) = self.bucket.record.clone() else {
            let marked = self.bucket.deleted;
            let up = self.up_mut(slot);
            (up.read, up.under_ready) = (None, false);
            up.missing = up.missing.or(Some(0));
            return if marked || up.record_seen.is_some() { RecordView::Vanished } else { RecordView::Absent };
        };
        let etag = Body::Record(rec.clone()).etag();
        // Somebody says that a later cluster exists than the one of this record.
        let said = |made| self.bucket.regs.values().any(|reg| reg.saw == Some(made));
        let was_further = self.bucket.made.is_some_and(|made| made != rec.claim && said(made));
        let up = self.up_mut(slot);
        let last = up.record_seen.as_ref().map(|(rec, age)| (Body::Record(rec.clone()).etag(), *age));
        let age = unchanged_for(last.as_ref().map(|(etag, age)| (etag.as_str(), *age)), &etag);
        up.record_seen = Some((rec.clone(), age));
        up.missing = None;
        let is_ready = matches!(rec.state, RecState::Ready { .. });
        up.under_ready = is_ready && !was_further;
        up.read = match rec.state {
            RecState::Initializing { holder: Some(holder), .. } => Some((rec.claim, holder)),
            RecState::Initializing { holder: None, .. }
            | RecState::Ready { .. }
            | RecState::Saved(_)
            | RecState::Retired { .. } => None,
        };
        let real = rec.real();
        let mut told = up.reg.real(slot, 0);
        told.notes(&real);
        up.reg.ready = told.ready_claim.as_ref().map(claim_of);
        if is_ready {
            up.reg.saw = up.reg.saw.max(Some(rec.claim));
        }
        RecordView::Found { record: Box::new(real), etag, unchanged_for: secs(age) }
    }

    /// The state on the disk.
    pub fn local(&self, slot: Slot) -> Local {
        let disk = &self.machine(slot).disk;
        match (disk.marker, disk.data.is_some() || disk.manifest.is_some()) {
            (None, false) => Local::Fresh,
            (None, true) => Local::Unexplained { found: vec!["etcd.yaml".into()] },
            (Some(marker), _) => {
                let (instance, claim_id) = (id(marker.owner), claim_id(marker.claim));
                match marker.stage {
                    Stage::Initializing => Local::HalfMade { instance, claim_id, stage: local::Stage::Initializing },
                    Stage::Joining => Local::HalfMade { instance, claim_id, stage: local::Stage::Joining },
                    Stage::Member => {
                        let member = marker.member.map(|member| member_id(marker.claim, member));
                        Local::Made { instance, claim_id, member }
                    }
                }
            }
        }
    }

    /// What lies in etcd's folder, as its log names it.
    pub fn data(&self, slot: Slot) -> EtcdData {
        self.machine(slot).disk.data.map_or(EtcdData::Nothing, |data| EtcdData::Of(data.ids()))
    }

    /// Who answers as an API server, behind the endpoint or on a machine: each serves what is in the etcd beside it.
    pub fn who_answers(&self) -> Answers {
        let serves = |machine: &&Machine| machine.isolation == super::save::Isolation::None;
        let mut births = self.machines.iter().filter(serves).filter_map(Machine::runs).map(|data| data.claim);
        if self.strange || births.clone().any(|claim| claim <= self.bucket.ended) {
            Answers::Another
        } else if births.next().is_some() {
            Answers::OfThisRecord
        } else {
            Answers::Nobody
        }
    }

    /// Whether no API server can answer as long as nobody has claimed.
    fn is_alone(&self) -> bool {
        let left = &self.left;
        !self.strange && left.strangers == 0 && left.objects == 0 && left.retirements == 0 && self.bucket.ended == 0
    }

    /// Asks Auto Scaling and EC2, and keeps what the real code would keep.
    pub fn look_at_group(&mut self, slot: Slot, luck: Luck) -> (Option<Group>, Instances) {
        let mut view = View::default();
        let mut answered = BTreeMap::new();
        for other in self.slots() {
            let machine = self.machine(other);
            let listed = !matches!(machine.life, Life::Terminated | Life::Forgotten) && machine.listed != Listed::Not;
            if listed && machine.group == self.machine(slot).group && !(luck == Luck::Unlisted && other == slot) {
                view.group.push((other, machine.listed));
            }
            let left_out = matches!(luck, Luck::Without(hidden) if hidden == other) || luck == Luck::Nobody;
            let state = if left_out { None } else { ec2_state(machine.life) };
            view.states.insert(other, state.as_ref().map(|_| machine.life));
            answered.extend(state.map(|state| (id(other), state)));
        }
        let asked: Vec<InstanceId> = self.slots().map(id).collect();
        let instances = self.observe_absences(slot, &asked, &answered);
        let up = self.up_mut(slot);
        up.absent.retain(|other, _| answered.is_empty() || !answered.contains_key(&id(*other)));
        up.view = view.clone();
        let here = self.machine(slot).group;
        let members: Vec<_> = view.group.iter().map(|(other, listed)| self.group_member(*other, *listed)).collect();
        let group = (!members.is_empty()).then(|| Group {
            name: "g".into(),
            arn: identity(here).group_arn,
            desired: self.desired.into(),
            zones: Vec::new(),
            retains: false,
            members,
        });
        (group, instances)
    }

    pub fn group_member(&self, slot: Slot, listed: Listed) -> GroupMember {
        GroupMember {
            instance: id(slot),
            lifecycle: Lifecycle::parse(match listed {
                Listed::Standby => "Standby",
                Listed::Ending => "Terminating:Wait",
                Listed::InService | Listed::Unhealthy | Listed::Not => "InService",
            }),
            healthy: listed != Listed::Unhealthy,
            ec2: None,
            addresses: vec![address(self.machine(slot).addr)],
        }
    }

    /// The real bookkeeping of absences, rebuilt from the ages, oldest first.
    fn observe_absences(
        &mut self,
        slot: Slot,
        asked: &[InstanceId],
        answered: &BTreeMap<InstanceId, Ec2State>,
    ) -> Instances {
        let me = id(slot);
        let running = BTreeMap::from([(me.clone(), Ec2State::Running)]);
        let mut absences = Absences::default();
        let mut ages: Vec<_> = self.up(slot).absent.iter().map(|(other, age)| (*age, id(*other))).collect();
        ages.sort_by(|left, right| right.cmp(left));
        for (age, other) in ages {
            absences.observe(&me, &[other], &running, secs(LONG - age));
        }
        let instances = absences.observe(&me, asked, answered, secs(LONG));
        let mut absent = BTreeMap::new();
        for (other, seen) in &instances.0 {
            if let kubeboot::model::membership::instances::Presence::AbsentFor(age) = seen {
                absent.insert(slot_of(other), u16::try_from(age.as_secs()).expect("ages are small"));
            }
        }
        self.up_mut(slot).absent = absent;
        instances
    }

    /// EC2's last answers about all instances, for the reaper.
    pub fn instances(&self, slot: Slot) -> Instances {
        let up = self.up(slot);
        let state = |(other, life): (&Slot, &Option<Life>)| {
            let seen = life.and_then(ec2_state).map(kubeboot::model::membership::instances::Presence::State);
            let absent = || {
                up.absent.get(other).map(|age| kubeboot::model::membership::instances::Presence::AbsentFor(secs(*age)))
            };
            seen.or_else(absent).map(|seen| (id(*other), seen))
        };
        Instances(up.view.states.iter().filter_map(state).collect())
    }

    pub fn registrations(&self) -> Vec<Registration> {
        self.bucket.regs.iter().map(|(slot, reg)| reg.real(*slot, self.machine(*slot).addr)).collect()
    }

    /// Writes this machine's registration, if the bucket lets it.
    pub fn register(&mut self, slot: Slot, luck: Luck, change: impl FnOnce(&mut super::Reg)) {
        let reg = &mut self.up_mut(slot).reg;
        change(reg);
        let reg = *reg;
        if luck != Luck::Lost {
            self.bucket.regs.insert(slot, reg);
        }
    }

    fn snapshot(&mut self, slot: Slot, luck: Luck) -> (Snapshot, Policy) {
        let record = self.read_record(slot);
        let local = self.local(slot);
        let (group, instances) = self.look_at_group(slot, luck);
        let desired = usize::from(self.desired);
        let matches =
            group.as_ref().is_some_and(|group| kubeboot::model::machine::election::matches(group, &id(slot), desired));
        let up = self.up_mut(slot);
        up.settled = if matches { up.settled.or(Some(0)) } else { None };
        let machine = self.machine(slot);
        let (here, accept_group) = (identity(machine.group), machine.accepts_group);
        let unfit = machine.unfit;
        let (mut cluster, mut is_ready, mut claimable, mut hash) = (ClusterView::NotAsked, false, true, None);
        if let RecordView::Found { record, .. } = &record {
            is_ready = record.published().is_some();
            claimable = matches!(record.state, RecordState::Retired(_));
            hash = self.bucket.hash.filter(|_| may_be_told_by_hash(Some(record), &local));
            if is_ready && record.identity.mismatch(&here).is_none() {
                cluster = self.ask(slot, &Rec::of(record), luck).0;
            }
        }
        let silent_lately = super::join::silent_lately(&cluster);
        let asked = self.up_mut(slot).asked.take().filter(|_| claimable && group.is_some());
        let up = self.up(slot);
        let seen = Snapshot {
            me: id(slot),
            addresses: vec![address(self.machine(slot).addr)],
            node_name: node_name(self.machine(slot).addr),
            identity: here,
            own_claim: up.claim.as_ref().map(|(rec, _)| claim_id(rec.claim)),
            failed_inits: up.failed.into(),
            settled_for: up.settled.map(secs),
            watched_for: secs(up.watched),
            group,
            instances,
            registrations: if is_ready && matches!(local, Local::Made { .. }) {
                Vec::new()
            } else {
                self.registrations()
            },
            unreadable: Vec::new(),
            data: self.data(slot),
            defects: unfit.then(|| Defect::new("unfit", "mend it")).into_iter().collect(),
            local,
            record,
            record_missing_for: secs(up.missing.unwrap_or_default()),
            hash: hash.map(hash_of),
            snapshot: up
                .fetched
                .map_or(SnapshotHere::NotFetched, |line| SnapshotHere::Fetched { digest: digest(line) }),
            api_servers: asked.map_or(ApiServerProbe::Pending, |answers| {
                let address = identity(0).endpoint;
                let at = ApiServerAt { instance: None, address };
                ApiServerProbe::Answered((answers != Answers::Nobody).then_some(at).into_iter().collect())
            }),
            cluster,
            silent_lately,
        };
        let policy = Policy {
            expected_size: None,
            settle_timeout: secs(SETTLE),
            claim_stagger: secs(STAGGER),
            claim_ttl: secs(CLAIM_TTL),
            init_attempts: self.attempts.into(),
            gone_grace: secs(GRACE),
            missing_grace: secs(MISSING),
            accept_group,
        };
        (seen, policy)
    }

    /// Observe and decide.
    pub fn look(&mut self, slot: Slot, luck: Luck) {
        if self.coarse && self.is_alone() {
            // Nothing can answer meanwhile: to ask is one with to look.
            let answers = self.who_answers();
            self.up_mut(slot).asked = Some(answers);
        }
        let asked = self.up(slot).asked;
        let (seen, policy) = self.snapshot(slot, luck);
        let step = decide(&seen, &policy);
        match (&step, asked) {
            // Where somebody has deleted the record, nobody can tell.
            (Step::Stop(Stop::ClusterAnswers { .. }), Some(Answers::OfThisRecord)) if self.bucket.last.is_none() => {
                self.breaks(Rule::OwnServer);
            }
            (Step::Claim(Over::Nothing | Over::Retired), None | Some(Answers::Another | Answers::OfThisRecord)) => {
                self.breaks(Rule::BesideAnother);
            }
            _ => {}
        }
        if self.machine(slot).unfit && begins(&step, self.machine(slot)) {
            self.breaks(Rule::Unfit);
        }
        cover::decided(&seen, &step);
        let is_member = self.machine(slot).disk.marker.is_some_and(|marker| marker.stage == Stage::Member);
        // Who is no candidate has not looked at its own state.
        if self.is_past(slot) && is_member && !matches!(step, Step::SetAside { .. } | Step::StandBy(_)) {
            self.breaks(Rule::SetAside);
        }
        self.up_mut(slot).following = match &seen.record {
            RecordView::Found { record, .. } => Some(Rec::of(record).claim),
            RecordView::Absent | RecordView::Vanished => None,
        };
        let (twin, record) = (self.has_twin(slot), self.bucket.record.clone());
        let for_operator = self.by_unit && matches!(&step, Step::Wait(wait) if wait.needs_operator_at_deadline());
        let up = self.up_mut(slot);
        up.for_operator = for_operator;
        let at = match step {
            Step::Wait(Wait::ApiServers) => At::Ask,
            Step::Wait(Wait::Snapshot { .. }) => {
                up.fetched = record.as_ref().and_then(Rec::line);
                At::Look
            }
            Step::StandBy(_) | Step::Wait(_) => {
                self.wait(slot);
                At::Look
            }
            Step::Stop(_) => return self.stop(slot),
            Step::SetAside { .. } => {
                self.end_for_good(slot);
                return self.stop(slot);
            }
            Step::Wipe(why) => {
                (up.twin, up.keeps) = (twin, why.keeps_data());
                At::Wipe { emptied: false }
            }
            Step::Claim(_) | Step::TakeOver(_) | Step::Resume => {
                up.claim = None;
                self.claim(slot, &seen)
            }
            Step::Init => {
                up.restoring = None;
                At::InitLook
            }
            Step::Restore => {
                up.restoring = record.as_ref().and_then(Rec::line);
                At::InitLook
            }
            Step::Yield => {
                let held = up.claim.take();
                up.failed = 0;
                let next = held.as_ref().and_then(|(rec, _)| claim::yielded(&rec.real()));
                self.register(slot, Luck::Fine, |reg| reg.phase = Phase::Failed);
                match (held, next) {
                    (Some((rec, age)), Some(next)) => {
                        self.up_mut(slot).claim = Some((rec.clone(), age));
                        overwrite(Why::Yield, &rec, Rec::of(&next))
                    }
                    _ => At::Look,
                }
            }
            Step::AcceptGroup => match &seen.record {
                RecordView::Found { record, .. } => {
                    let next = claim::regrouped(record, seen.identity.group_arn.clone());
                    overwrite(Why::Regroup, &Rec::of(record), Rec::of(&next))
                }
                RecordView::Absent | RecordView::Vanished => At::Look,
            },
            Step::Join => {
                (up.announced, up.aim) = (false, record);
                At::Queue
            }
            Step::Rejoin => {
                let claim = self.visible().expect("the record was read as ready");
                self.mark_claim(slot, claim, Stage::Joining);
                At::Look
            }
            Step::Keep => {
                up.aim = record;
                At::Keep
            }
        };
        self.go(slot, at);
    }

    /// A new claim over the observed record.
    fn claim(&mut self, slot: Slot, seen: &Snapshot) -> At {
        let before = match &seen.record {
            RecordView::Absent | RecordView::Vanished => None,
            RecordView::Found { record, .. } => Some(record.as_ref()),
        };
        if self.left.claims == 0 {
            return At::Look;
        }
        self.left.claims -= 1;
        self.claims += 1;
        let next = claim::claimed(before, claim_id(self.claims), super::names::holder(slot), seen.identity.clone());
        let over =
            Condition::of(&claim::condition(&seen.record), before.map(|record| Body::Record(Rec::of(record))).as_ref());
        let write = At::Write { why: Why::Claim, body: Rec::of(&next), over, sent: None };
        let blank = seen.hash.is_some() && ClusterRecord::is_claimed_anew(before);
        match self.bucket.hash.filter(|_| blank) {
            Some(hash) => At::Blank { hash, then: Box::new(write) },
            None => write,
        }
    }

    /// Registers as waiting, for the cluster of the record that was read.
    pub fn wait(&mut self, slot: Slot) {
        let following = self.up(slot).following;
        self.register(slot, Luck::Fine, |reg| (reg.phase, reg.claim) = (Phase::Waiting, following.or(reg.claim)));
    }
}

/// Whether the step begins something on a fresh machine, as a rule sees it.
fn begins(step: &Step, machine: &Machine) -> bool {
    let fresh = machine.disk.marker.is_none() && machine.disk.data.is_none();
    matches!(step, Step::Claim(_) | Step::TakeOver(_) | Step::Resume) || fresh && matches!(step, Step::Join)
}

/// The published hash of the cluster of this claim.
fn hash_of(claim: Claim) -> String {
    published(claim, (claim, claim), 0, 0).ca_hashes.join("\n")
}

/// A write over what was read or is held.
pub fn overwrite(why: Why, before: &Rec, next: Rec) -> At {
    let body = Body::Record(before.clone());
    let over =
        Condition::of(&kubeboot::model::record::conditional_write::Condition::Unchanged(body.etag()), Some(&body));
    At::Write { why, body: next, over, sent: None }
}

fn ec2_state(life: Life) -> Option<Ec2State> {
    match life {
        Life::Running => Some(Ec2State::Running),
        Life::Stopped => Some(Ec2State::Stopped),
        Life::Terminated => Some(Ec2State::Terminated),
        Life::Forgotten => None,
    }
}
