//! A whole world as one value: a bucket, etcds, an Auto Scaling group and the machines in it, each with a disk, a kubeadm and
//! an `up`. One [`Action`] at a time changes it; between any two of them anything else may happen. Every decision in it is
//! made by the code of `src/model` itself.
//!
//! The world is kept small: names are numbers, times are ages in seconds up to [`LONG`], and what decides nothing (text, times of day,
//! versions, Nodes) is left out.

pub mod agent;
pub mod bucket;
pub mod cover;
pub mod disks;
pub mod etcd;
pub mod former;
pub mod join;
pub mod look;
pub mod make;
pub mod names;
pub mod nature;
pub mod rules;
pub mod run;
pub mod save;
pub mod slips;

use kubeboot::model::agent::Departure;
pub use rules::Rule;
pub use run::{Answers, At, Task, Up, View, Why};
use std::collections::{BTreeMap, BTreeSet};

/// A machine by the order of its launch: its instance ID, and so its rank.
pub type Slot = u8;
/// A claim by its number.
pub type Claim = u8;
/// An etcd by how it came into being: that of an init has its claim's number, one that began anew or is a copy a number from
/// [`AGAIN`] on.
pub type Birth = u8;
/// A holding of the lease by its number.
pub type Nonce = u16;

/// Longer than any wait, and the limit up to which ages are counted.
pub const LONG: u16 = 400;
/// The time to live of a claim.
pub const CLAIM_TTL: u16 = 60;
/// The time to live of the membership lease.
pub const LEASE_TTL: u16 = 30;
/// The claim delay between two ranks.
pub const STAGGER: u16 = 10;
/// The settle time-out.
pub const SETTLE: u16 = 100;
/// Births from here on are no init's.
pub const AGAIN: Birth = 192;
/// The member that an init at address `a` makes has the number `FIRST + a`: its ID follows from claim and address alone.
pub const FIRST: u8 = 128;
/// Until a record that is gone is a matter for an operator.
pub const MISSING: u16 = 200;
/// How long one `up` goes on. Every wait is counted anew by the next one, so each of them is shorter.
pub const DEADLINE: u16 = 360;
/// Until the unit starts `up` again: `RestartSec=` of `kubeboot.service`, and, where an operator must decide, `kubeboot.timer`.
pub const SOON: u16 = 10;
pub const LATER: u16 = 180;
/// How long an instance must be absent from EC2's answers before it counts as gone. No running machine is absent for so long.
pub const GRACE: u16 = 90;

/// The record, as small as it gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rec {
    pub claim: Claim,
    pub group: u8,
    pub yielded: Vec<Slot>,
    /// The claims of the clusters before it that were given up.
    pub retired: Vec<Claim>,
    /// The claims of this very cluster that a restore follows.
    pub superseded: Vec<Claim>,
    /// How often a ready record was changed in nothing but its counter.
    pub fences: u8,
    pub state: RecState,
}

/// A cluster that lives in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line {
    /// Whose `kube-system` and CA it has: the claim of the first init.
    pub uid: Claim,
    /// Under which claim it served last, by whom made and at which address.
    pub made: Claim,
    pub by: Slot,
    pub at: u8,
    /// How much was written into the snapshot, or [`DAMAGED`].
    pub writes: u8,
}

/// What a snapshot holds that did not arrive whole.
pub const DAMAGED: u8 = u8::MAX;
/// Who writes for an operator.
pub const OPERATOR: Slot = Slot::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecState {
    Initializing {
        holder: Option<Slot>,
        beat: u8,
        /// What it restores, where it makes no new cluster.
        restoring: Option<Line>,
    },
    /// By whom, at which address, and with whose `kube-system`.
    Ready {
        by: Slot,
        at: u8,
        uid: Claim,
    },
    Saved(Line),
    Retired {
        by: Slot,
        at: u8,
        uid: Claim,
    },
}

/// The membership lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lea {
    pub holder: Option<(Slot, Nonce)>,
    pub beat: u16,
}

/// A machine's registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reg {
    pub phase: Phase,
    pub claim: Option<Claim>,
    /// Its cluster was given up.
    pub retired: bool,
    pub nonce: Option<Nonce>,
    pub member: Option<u8>,
    /// The claim that it tells of, because it saw that ready.
    pub ready: Option<Claim>,
    /// The latest claim that it ever saw ready: what the world knows, and no code of the machine's.
    pub saw: Option<Claim>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    Waiting,
    Initializing,
    Joining,
    Joined,
    Failed,
    Reaped,
}

/// A member of an etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mem {
    pub id: u8,
    pub slot: Slot,
    pub addr: u8,
    pub learner: bool,
    /// Whether it has said its name: until then a voter votes, and answers no client.
    pub started: bool,
}

/// One etcd, by what its members have committed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// The claim and the address of the init: they make its cluster ID, and that of what begins anew in its place.
    pub claim: Claim,
    pub at: u8,
    /// Whether its claim stands under the claim's key.
    pub key: bool,
    /// Whose `kube-system` is in it.
    pub uid: Claim,
    /// How much its clients have written.
    pub writes: u8,
    pub mems: Vec<Mem>,
}

/// The content of a machine's disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    pub marker: Option<Marker>,
    pub manifest: Option<Manifest>,
    pub data: Option<Data>,
}

/// etcd's static pod, as kubeadm wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Manifest {
    /// By an init of this claim at this address: without data it begins anew.
    Init(Claim, u8),
    /// By a join: without data it does not start.
    Join,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Marker {
    pub owner: Slot,
    pub claim: Claim,
    pub stage: Stage,
    /// Its member of etcd, where it is one.
    pub member: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    Initializing,
    Joining,
    Member,
}

/// An etcd's data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Data {
    pub birth: Birth,
    /// Claim and address of the init that its cluster began with.
    pub claim: Claim,
    pub at: u8,
    pub member: u8,
}

/// kubeadm on a machine: a process of its own, which outlives a killed `up` until the next one kills it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kubeadm {
    #[default]
    None,
    Init(Claim),
    /// The snapshot is restored first.
    Restore(Claim, Line),
    Add(Claim),
    Start(Claim, u8),
    Promote(Claim, u8),
    /// It waits until the new voter answers.
    Serve(Claim, u8),
    Ended {
        well: bool,
        announced: bool,
    },
}

/// The state of a machine in EC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    Running,
    Stopped,
    Terminated,
    Forgotten,
}

/// The state of a machine in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listed {
    InService,
    Standby,
    Unhealthy,
    Not,
    /// It is being terminated, and its hook waits.
    Ending,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    pub addr: u8,
    pub life: Life,
    pub listed: Listed,
    /// 0: the group itself; see [`names::identity`].
    pub group: u8,
    pub accepts_group: bool,
    /// Stopped and started again: what EC2 said in between is not what it says now.
    pub was_stopped: bool,
    /// Frozen, with all its processes and its etcd.
    pub frozen: bool,
    /// Without power; EC2 says `running`.
    pub off: bool,
    /// Whether something is wrong with it on which kubeadm fails.
    pub unfit: bool,
    /// Whether kubelet runs.
    pub kubelet: bool,
    /// Whether the guard set the manifests aside when kubelet started.
    pub aside: bool,
    pub disk: Disk,
    /// etcd's data on a volume that is not mounted.
    pub volume: Option<Data>,
    pub kubeadm: Kubeadm,
    /// Whether kubeadm has made credentials here.
    pub credentials: bool,
    pub up: Option<Box<Up>>,
    /// Its agent, which matters while it is being terminated.
    pub agent: agent::Agent,
    /// The durable marker of leaving.
    pub departure: Option<Departure>,
    /// How far it is isolated to save the cluster: durable.
    pub isolation: save::Isolation,
    /// Whether it may have sent a write of `saved`: durable.
    pub sent: bool,
}

/// Whether a step succeeds, and how it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Luck {
    Fine,
    /// Done, but the answer is lost; of a read, no answer.
    Lost,
    /// Not done yet: the write may land at any later time.
    Late,
    /// 409.
    Conflict,
    /// kubeadm, or an upload, fails.
    Fails,
    /// EC2 leaves this machine out, or its etcd is not reached.
    Without(Slot),
    /// EC2 answers for another Region: nobody is there.
    Nobody,
    /// Auto Scaling does not list the asking machine yet.
    Unlisted,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next step of an `up`.
    Step(Slot, Luck),
    /// A holder renews its holding, or gives it up.
    Renew(Slot, Luck),
    /// The next step of a kubeadm.
    Kubeadm(Slot, Luck),
    /// An `up` sees its own member in etcd's list.
    Watch(Slot),
    /// A voter's etcd says its name, with nobody's help.
    Serve(Slot),
    /// On one machine's clock, all that it waits for has passed.
    Elapse(Slot),
    /// On all clocks, so many seconds pass.
    Tick(u16),
    /// systemd starts `up`, again perhaps.
    Start(Slot),
    /// `up` is killed; kubeadm goes on.
    Kill(Slot),
    /// The machine loses power and comes back.
    PowerCut(Slot),
    Freeze(Slot),
    Thaw(Slot),
    /// The instance is terminated.
    Terminate(Slot),
    /// EC2 no longer knows of a terminated instance.
    Forget(Slot),
    /// The instance is stopped, or started again.
    Stop(Slot),
    Run(Slot),
    /// In and out of Standby, and healthy or not.
    List(Slot, Listed),
    /// The group launches a machine; its address, and a disk copied from another machine.
    Launch {
        addr: u8,
        image: Option<Slot>,
    },
    /// A late write lands.
    Land(u8),
    /// An operator retires a cluster of which nothing lives; whether that comes to its end.
    Retire(bool),
    /// All machines lose power and stay without.
    Blackout,
    /// One of them comes back.
    Boot(Slot),
    /// The machine loses power, and etcd's data with it; whether on a volume that may come back.
    Lose(Slot, bool),
    /// That volume comes back.
    Mount(Slot),
    /// etcd's data folders of two machines are swapped, both without power meanwhile.
    SwapData(Slot, Slot),
    /// A copy of the first one's data folder takes the place of the second one's.
    CopyData(Slot, Slot),
    /// A marker that was written at some time and on some machine takes the place of this one's, or it is deleted.
    Mark(Slot, Option<Marker>),
    /// Somebody deletes the claim's key.
    LoseKey,
    /// Somebody puts an object back to an earlier version, or deletes it.
    Slip(slips::Slip),
    /// An API server of another cluster answers behind the endpoint.
    Strange,
    /// The deadline of an `up` passes: it ends, and its kubeadm with it.
    Expire(Slot),
    /// AWS answers nobody for so many seconds.
    Outage(u16),
    /// Something is wrong with a machine from now on, or no longer.
    Spoil(Slot),
    Mend(Slot),
    /// The group begins to terminate a machine, in its hook.
    End(Slot),
    /// The next step of the agent of such a machine.
    Agent(Slot, Luck),
    /// An `up` sees that its machine is being terminated, and ends.
    EndUp(Slot),
    /// The agent is killed, and started again by systemd.
    KillAgent(Slot),
    /// The group wants so many machines.
    Desire(u8),
    /// A client writes, and is told that it is done.
    Write,
    /// The leader saves a snapshot.
    Snapshot,
    /// An operator restores the last snapshot of a cluster of which nothing lives.
    Restore,
}

/// How often each event may still happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub faults: u8,
    pub kills: u8,
    pub cuts: u8,
    pub freezes: u8,
    pub deaths: u8,
    pub stops: u8,
    pub launches: u8,
    pub images: u8,
    pub claims: u8,
    pub holdings: u8,
    pub beats: u8,
    pub init_failures: u8,
    pub join_failures: u8,
    pub views: u8,
    pub lists: u8,
    pub retirements: u8,
    pub blackouts: u8,
    pub losses: u8,
    pub disks: u8,
    pub markers: u8,
    pub keys: u8,
    pub objects: u8,
    pub strangers: u8,
    pub outages: u8,
    pub defects: u8,
    pub endings: u8,
    pub desires: u8,
    pub writes: u8,
    pub snapshots: u8,
    pub restores: u8,
    /// Restarts of an `up` that has ended.
    pub starts: u8,
}

/// The whole world.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub left: Budget,
    pub desired: u8,
    pub attempts: u8,
    pub bucket: bucket::Bucket,
    pub clusters: BTreeMap<Birth, Cluster>,
    pub machines: Vec<Machine>,
    pub claims: u8,
    pub nonces: Nonce,
    pub members: u8,
    /// Whether the guard runs before kubelet. No rule may depend on it.
    pub guarded: bool,
    /// Every marker that was ever written, while one of them may come back.
    pub markers: BTreeSet<Marker>,
    /// Disks are not what they were: only an operator may be able to go on.
    pub slipped: bool,
    /// Another cluster's API server answers behind the endpoint.
    pub strange: bool,
    /// Whether `up` has its deadline, and nobody starts it but the unit. Otherwise it goes on for ever, and an operator may start it again
    /// at any time.
    pub by_unit: bool,
    /// For so many seconds more AWS answers nobody.
    pub outage: u16,
    /// Whether the group was set to another size: only who joins reaps here, so that somebody is to come at the end.
    pub resized: bool,
    /// The first rule that was broken.
    pub broken: Option<Rule>,
    /// Joins steps that no other machine can observe to the one before, and forgets what no later step depends on: far fewer states,
    /// the same behaviour.
    pub coarse: bool,
}

impl Machine {
    pub fn new(addr: u8) -> Self {
        Self {
            addr,
            life: Life::Running,
            listed: Listed::InService,
            group: 0,
            accepts_group: false,
            was_stopped: false,
            frozen: false,
            off: false,
            unfit: false,
            kubelet: true,
            aside: false,
            disk: Disk::default(),
            volume: None,
            kubeadm: Kubeadm::None,
            credentials: false,
            up: None,
            agent: agent::Agent::default(),
            departure: None,
            isolation: save::Isolation::None,
            sent: false,
        }
    }

    /// Whether anything runs on it.
    pub fn works(&self) -> bool {
        self.life == Life::Running && !self.frozen && !self.off
    }

    /// The data that its etcd runs on.
    pub fn runs(&self) -> Option<Data> {
        let ended = self.isolation.is_end();
        let runs = self.works() && self.kubelet && !self.aside && !ended && self.disk.manifest.is_some();
        self.disk.data.filter(|_| runs)
    }
}

impl Reg {
    /// Without the claim where nothing can follow from it: no member speaks here, and none ever did.
    pub fn plain(self) -> Self {
        let speaks = self.member.is_some() || matches!(self.phase, Phase::Joined | Phase::Reaped);
        Self { claim: self.claim.filter(|_| speaks), ..self }
    }

    pub const fn new() -> Self {
        Self { phase: Phase::Waiting, claim: None, retired: false, nonce: None, member: None, ready: None, saw: None }
    }
}

impl World {
    /// A group of `machines` machines, on which nothing has run yet.
    pub fn new(machines: u8, left: Budget) -> Self {
        Self {
            left,
            desired: machines,
            attempts: 1,
            bucket: bucket::Bucket::default(),
            clusters: BTreeMap::new(),
            machines: (1..=machines).map(Machine::new).collect(),
            claims: 0,
            nonces: 0,
            members: 0,
            guarded: true,
            markers: BTreeSet::new(),
            slipped: false,
            strange: false,
            by_unit: false,
            outage: 0,
            resized: false,
            broken: None,
            coarse: false,
        }
    }

    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        0..u8::try_from(self.machines.len()).expect("there are few machines")
    }

    pub fn machine(&self, slot: Slot) -> &Machine {
        &self.machines[usize::from(slot)]
    }

    pub fn machine_mut(&mut self, slot: Slot) -> &mut Machine {
        &mut self.machines[usize::from(slot)]
    }

    pub fn up(&self, slot: Slot) -> &Up {
        self.machine(slot).up.as_ref().expect("only what runs takes a step")
    }

    pub fn up_mut(&mut self, slot: Slot) -> &mut Up {
        self.machine_mut(slot).up.as_mut().expect("only what runs takes a step")
    }

    pub fn go(&mut self, slot: Slot, at: At) {
        self.up_mut(slot).at = at;
    }

    pub fn breaks(&mut self, rule: Rule) {
        self.broken.get_or_insert(rule);
    }
}
