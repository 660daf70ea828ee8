//! What `status` gathered: one answer per source, or why there is none. Each source can be unknown on its own.

use super::endpoint::EndpointAddress;
use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::group::{Ec2State, Group};
use crate::model::machine::ids::{InstanceId, MemberId, Uid};
use crate::model::machine::local::Local;
use crate::model::machine::node_marks::NodeMarks;
use crate::model::membership::lease::Lease;
use crate::model::membership::members::Members;
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::ClusterRecord;
use crate::model::snapshot::SnapshotAge;
use crate::model::up::snapshot::ApiServerAt;
use crate::model::upgrade::ClusterVersions;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The answer of a source, or why there is none.
pub type Known<T> = Result<T, String>;

/// Everything that was gathered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusInput {
    /// The machine on which `status` runs.
    pub here: StatusOrigin,
    /// The cluster record; `None` when there is no such object.
    pub record: Known<Option<ClusterRecord>>,
    /// Whether S3 shows a delete marker in its place.
    pub record_deleted: bool,
    /// The published discovery hash, one line per certificate authority; `None` when there is no such object.
    pub hash: Known<Option<String>>,
    /// The membership lease; `None` before its first holder.
    pub lease: Known<Option<Lease>>,
    /// The registrations, by the instance IDs in their keys.
    pub registrations: Known<BTreeMap<InstanceId, Known<Registration>>>,
    /// The group with its addresses; `None` when Auto Scaling knows no such group.
    pub group: Known<Option<Group>>,
    /// EC2's state of every instance that another source mentions. An instance that is missing here is not in EC2's answer.
    pub ec2: Known<BTreeMap<InstanceId, Ec2State>>,
    /// The availability zones of these instances, as far as EC2 names them.
    pub zones: BTreeMap<InstanceId, String>,
    /// What a client finds at each address of the endpoint.
    pub endpoint: Known<Vec<EndpointAddress>>,
    /// etcd's members.
    pub etcd: Known<Etcd>,
    /// The members of etcd that keep no claim.
    pub without_claim: Vec<IpAddr>,
    /// Who answers as an API server; asked only where the next claim would make a cluster beside it.
    pub beside: Vec<ApiServerAt>,
    /// The API servers that were asked, by their machines.
    pub api_servers: Known<BTreeMap<InstanceId, ApiServer>>,
    /// The last snapshot of etcd; `None` where none is to be saved.
    pub snapshots: Known<Option<SnapshotStatus>>,
    /// The versions of the cluster, as an API server of it tells them; `None` where none that is ready was asked.
    pub upgrade: Known<Option<ClusterVersions>>,
}

/// What is known of the snapshots of the record's cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotStatus {
    /// How old the last confirmed one and the record are.
    pub age: SnapshotAge,
    /// How often one is to be saved.
    pub interval: Duration,
    /// Its revision, and the bytes of its database.
    pub last: Option<(u64, u64)>,
}

/// The machine on which `status` runs, and what is known there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusOrigin {
    /// This instance, its account and its Region, by its metadata; unknown on a laptop.
    pub machine: Known<ThisMachine>,
    /// This machine's private addresses, the primary one first: by its metadata, or else by its etcd's manifest.
    pub addresses: Vec<IpAddr>,
    /// The endpoint, by the settings.
    pub endpoint: String,
    /// The service subnet by the kubeadm documents of this machine; `None` where there are none.
    pub service_subnet: Option<String>,
    /// The expected size, if set.
    pub expected_size: Option<usize>,
    /// Whether kubeadm marks the Nodes of the control plane, by the kubeadm documents of this machine.
    pub marks_nodes: bool,
    /// The state on the disk.
    pub local: Known<Local>,
    /// The files that this machine has lost as a member; `None` where it has lost none, or is none.
    pub lost_files: Option<LostFiles>,
    /// What lies in etcd's data folder.
    pub data: Known<EtcdData>,
    /// Copies of etcd's data of a cluster that lives on from a snapshot, which `up` moved aside there.
    pub aside: Vec<AsideCopy>,
    /// The certificates on the disk, in any order; empty where no control plane was made.
    pub certificates: Known<Vec<CertificateExpiry>>,
    /// Whether the unit that leaves the cluster at the end is armed.
    pub leaving_unit: Known<LeavingUnitState>,
    /// The folders of its drop-ins that systemd does not have: without them systemd stops etcd before the machine has left.
    pub missing_drop_ins: Vec<String>,
}

/// etcd's data that `up` moved aside, because the record supersedes its claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsideCopy {
    /// Where it lies.
    pub path: String,
    /// When etcd wrote last into it (RFC 3339), where that can be read.
    pub written: Option<String>,
}

/// Where it lies, how old it is, what it is good for and how it goes.
impl fmt::Display for AsideCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, written } = self;
        write!(f, "{path} holds etcd's data of before this machine began anew")?;
        if let Some(written) = written {
            write!(f, ", last written at {written}")?;
        }
        write!(
            f,
            ". What that cluster wrote after its snapshot may be in it ('etcdutl snapshot restore --skip-hash-check {path}/snap/db' reads it); \
             kubeboot needs it for nothing and never removes it: remove the folder once nobody needs it"
        )
    }
}

/// Files that a member should have and has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostFiles {
    /// All of them.
    pub paths: Vec<String>,
    /// A few of them, in a sentence.
    pub named: String,
    /// What to do.
    pub remedy: &'static str,
}

/// This machine, by its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThisMachine {
    /// Its instance ID.
    pub instance: InstanceId,
    /// Its AWS account.
    pub account: String,
    /// Its Region.
    pub region: String,
}

impl StatusOrigin {
    /// This instance, by its metadata or else by the marker of a member; `None` on a laptop.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceId> {
        match (&self.machine, &self.local) {
            (Ok(machine), _) => Some(&machine.instance),
            (Err(_), Ok(Local::Made { instance, .. })) => Some(instance),
            (Err(_), Ok(Local::Fresh | Local::HalfMade { .. } | Local::Unexplained { .. }) | Err(_)) => None,
        }
    }
}

/// A certificate of kubeadm's on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateExpiry {
    /// The file.
    pub file: String,
    /// When it expires (RFC 3339).
    pub expires: String,
    /// Whole days until then; negative when it has expired.
    pub days: i64,
}

/// `kubeboot-reset.service`, which acts when it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeavingUnitState {
    /// It is active: this machine leaves the cluster when it is terminated.
    Armed,
    /// It is installed and not active.
    NotArmed,
    /// systemd does not have it.
    NotInstalled,
}

impl fmt::Display for LeavingUnitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Armed => "armed",
            Self::NotArmed => "not armed",
            Self::NotInstalled => "not installed",
        })
    }
}

/// The state of etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Etcd {
    /// It is external, and was not asked.
    External,
    /// It is kubeadm's, and none of the machines that were asked answers.
    Silent {
        /// How many were asked.
        asked: usize,
        /// The last error.
        why: String,
    },
    /// It is kubeadm's.
    Stacked {
        /// The list, with which members answer.
        members: Members,
        /// Whether the list was read through a quorum; else it is one member's own copy.
        certain: bool,
        /// What the members that answered report of themselves.
        reports: BTreeMap<MemberId, MemberStatus>,
    },
}

/// What one etcd member reports of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberStatus {
    /// The address at which it was asked.
    pub at: Option<IpAddr>,
    /// Its version, without a `v`.
    pub version: String,
    /// Its errors, with alarms.
    pub errors: Vec<String>,
}

/// What the API server of one machine answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiServer {
    /// Whether it is ready, which includes a read of etcd.
    pub ready: Known<()>,
    /// The UID of its `kube-system` namespace: which cluster it serves.
    pub kube_system_uid: Known<Uid>,
    /// Its version, if it answered that.
    pub version: Option<String>,
    /// The machine's Node; `None` when there is none.
    pub node: Known<Option<NodeStatus>>,
}

/// What is known of a machine's Node object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Whether its kubelet reports that it is ready.
    pub ready: bool,
    /// Its kubelet's version.
    pub kubelet_version: Option<String>,
    /// Its provider ID, once it has one.
    pub provider_id: Option<String>,
    /// How it is marked.
    pub marks: NodeMarks,
}

impl StatusInput {
    /// Whether a machine that is missing in EC2's answer is gone: an answer for the wrong Region or account shows nobody running.
    #[must_use]
    pub fn leaves_out_only_what_is_gone(&self) -> bool {
        self.ec2.as_ref().is_ok_and(|states| states.values().any(|state| *state == Ec2State::Running))
    }
}
