//! One observation: everything a decision depends on.

use crate::model::machine::defect::Defect;
use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::group::Group;
use crate::model::machine::ids::{ClaimId, InstanceId, MemberId};
use crate::model::machine::local::Local;
use crate::model::membership::instances::Instances;
use crate::model::membership::registration::Registration;
use crate::model::membership::view::ClusterView;
use crate::model::record::identity::Identity;
use crate::model::record::view::RecordView;
use crate::model::restore::fit::SnapshotUnfit;
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
    /// A record that is gone is waited for so long, before an operator must decide.
    pub missing_grace: Duration,
    /// The operator accepts that the group was replaced by this one.
    pub accept_group: bool,
}

/// Who answers as an API server at the endpoint or at a machine of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiServerProbe {
    /// Not everybody was asked yet.
    Pending,
    /// Everybody was asked; these answer.
    Answered(Vec<ApiServerAt>),
}

/// One that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiServerAt {
    /// The machine of the group; `None` for the endpoint.
    pub instance: Option<InstanceId>,
    /// Where, as `host:port`.
    pub address: String,
}

/// Whether the snapshot that the record names lies on this machine, so that a restore can begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotHere {
    /// The record names none, or nobody has looked yet.
    NotFetched,
    /// It is being fetched, or cannot be had at the moment.
    Pending {
        /// What is under way, or in the way.
        why: String,
    },
    /// It was fetched and verified whole, and this machine's programs restore it.
    Fetched {
        /// The digest of its manifest.
        digest: String,
    },
    /// This machine cannot restore it.
    Unfit(SnapshotUnfit),
}

/// Everything a decision depends on, gathered by the shell in one pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// This machine.
    pub me: InstanceId,
    /// Its private addresses.
    pub addresses: Vec<IpAddr>,
    /// What its Node is called, or will be.
    pub node_name: String,
    /// What it would write into a record.
    pub identity: Identity,
    /// What its marker says.
    pub local: Local,
    /// Whose data lies in etcd's folder, whatever the marker says.
    pub data: EtcdData,
    /// What is wrong with it, as far as it was looked at: only where it would make or join a cluster, or, of the volume of etcd's data
    /// alone, where it would have its member removed because that data is gone.
    pub defects: Vec<Defect>,
    /// Its group; `None` while Auto Scaling does not know of it.
    pub group: Option<Group>,
    /// EC2's word on every instance that matters.
    pub instances: Instances,
    /// What the machines said about themselves.
    pub registrations: Vec<Registration>,
    /// Whose registrations are there and say nothing to this kubeboot.
    pub unreadable: Vec<InstanceId>,
    /// The record.
    pub record: RecordView,
    /// How long this process has seen no record; zero while there is one.
    pub record_missing_for: Duration,
    /// The published discovery hash, where the record is not ready and one is published.
    pub hash: Option<String>,
    /// Whether the record's snapshot can be restored here, where the record names one.
    pub snapshot: SnapshotHere,
    /// Who answers as an API server, where there is no cluster by the record. Asked before the record was read.
    pub api_servers: ApiServerProbe,
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
    /// Which of its voters have been silent [only lately](crate::model::membership::starting::Silences::young).
    pub silent_lately: Vec<MemberId>,
}
