//! One observation: everything a decision depends on.

use super::group::Group;
use super::identity::Identity;
use super::ids::{ClaimId, InstanceId};
use super::instances::Instances;
use super::local::Local;
use super::members::Members;
use super::record::ClusterRecord;
use super::registration::Registration;
use std::net::IpAddr;
use std::time::Duration;

/// The settings that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Expected number of candidates; the group's desired capacity unless set.
    pub expected_size: Option<usize>,
    /// After so long without a match, whatever is there is taken as settled.
    pub settle_timeout: Duration,
    /// How long each rank lets the one before it try.
    pub claim_stagger: Duration,
    /// After so long without a beat, a claim's holder is believed dead.
    pub claim_ttl: Duration,
    /// After so many failed inits, a holder steps down.
    pub init_attempts: u32,
    /// After so long, absence from EC2's answers is believed.
    pub gone_grace: Duration,
    /// The operator accepts that the group was replaced by this one.
    pub accept_group: bool,
}

/// The cluster record as last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordView {
    /// There is no such object, and this process has never seen one.
    Absent,
    /// There was one, and now it is gone: somebody has deleted the fence.
    Vanished,
    /// It is there.
    Found {
        /// What it says.
        record: Box<ClusterRecord>,
        /// Its `ETag`: the condition of whatever is written over it.
        etag: String,
        /// How long this process has seen the same `ETag`, on its own monotonic clock.
        unchanged_for: Duration,
    },
}

/// The cluster behind a ready record, as far as it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterView {
    /// There is no ready record, so nobody was asked.
    NotAsked,
    /// No list is to be had.
    Unknown {
        /// Why not.
        why: String,
    },
    /// A linearizable list: what is not in it is no member.
    Listed(Members),
    /// A list from one member's memory, for fewer voters answer than the quorum wants: good for counting only.
    NoQuorum(Members),
    /// etcd is external and an API server of the cluster answers: membership is not our business, and what the disk says
    /// of this machine stands in for the list.
    External,
}

/// Everything a decision depends on, gathered by the shell in one pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// This machine.
    pub me: InstanceId,
    /// Its private addresses.
    pub addresses: Vec<IpAddr>,
    /// What it would write into a record.
    pub identity: Identity,
    /// What its disk says.
    pub local: Local,
    /// Its group; `None` while Auto Scaling does not know of it.
    pub group: Option<Group>,
    /// EC2's word on every instance that matters.
    pub instances: Instances,
    /// What the machines said about themselves.
    pub registrations: Vec<Registration>,
    /// The record.
    pub record: RecordView,
    /// The claim that this very process has written and read back, and has not lost.
    pub own_claim: Option<ClaimId>,
    /// How often init has failed under claims of this process.
    pub failed_inits: u32,
    /// How long the group has matched the expected size; `None` while it does not.
    pub settled_for: Option<Duration>,
    /// How long this process has looked at the group.
    pub watched_for: Duration,
    /// The cluster.
    pub cluster: ClusterView,
}
