//! What is not about one machine: this place, the record, the group, etcd as a whole.

use super::ReportedSource;
use super::machine::Member;
use crate::model::machine::group;
use crate::model::machine::local::{Local, Stage};
use crate::model::membership::members;
use crate::model::record::cluster::{ClusterRecord, Published, RecordState};
use crate::model::record::saved::SnapshotRef;

use crate::model::status::{
    self, AsideCopy, CertificateExpiry, Known, SnapshotStatus, StatusInput, StatusMachine, VoterZones, voter_zones,
};
use serde::Serialize;

/// Where the question was asked.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Here {
    pub(in crate::status) instance: ReportedSource<String>,
    pub(in crate::status) state: ReportedSource<LocalState>,
    pub(in crate::status) leaving_unit: ReportedSource<String>,
    pub(in crate::status) missing_drop_ins: Vec<String>,
    lost_files: Vec<String>,
    pub(in crate::status) aside: Vec<Aside>,
    pub(in crate::status) certificates: ReportedSource<Vec<Expiry>>,
}

/// A copy of etcd's data that was moved aside.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Aside {
    path: String,
    written: Option<String>,
    pub(in crate::status) text: String,
}

/// What the disk says.
#[derive(Debug, Serialize)]
pub(in crate::status) struct LocalState {
    pub(in crate::status) stage: &'static str,
    pub(in crate::status) instance: Option<String>,
    claim_id: Option<String>,
}

/// One certificate.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Expiry {
    pub(in crate::status) file: String,
    pub(in crate::status) expires: String,
    pub(in crate::status) days: i64,
}

impl Here {
    pub(super) fn new(here: &status::StatusOrigin) -> Self {
        let expiry = |found: &CertificateExpiry| Expiry {
            file: found.file.clone(),
            expires: found.expires.clone(),
            days: found.days,
        };
        Self {
            instance: ReportedSource::of(&here.machine, |machine| machine.instance.to_string()),
            state: ReportedSource::of(&here.local, LocalState::new),
            leaving_unit: ReportedSource::of(&here.leaving_unit, ToString::to_string),
            missing_drop_ins: here.missing_drop_ins.clone(),
            lost_files: here.lost_files.as_ref().map(|lost| lost.paths.clone()).unwrap_or_default(),
            aside: here.aside.iter().map(Aside::new).collect(),
            certificates: ReportedSource::of(&here.certificates, |all| all.iter().map(expiry).collect()),
        }
    }
}

impl Aside {
    fn new(copy: &AsideCopy) -> Self {
        Self { path: copy.path.clone(), written: copy.written.clone(), text: copy.to_string() }
    }
}

impl LocalState {
    fn new(local: &Local) -> Self {
        let (stage, owner) = match local {
            Local::Fresh => ("fresh", None),
            Local::HalfMade { instance, claim_id, stage: Stage::Initializing } => {
                ("initializing", Some((instance, claim_id)))
            }
            Local::HalfMade { instance, claim_id, stage: Stage::Joining } => ("joining", Some((instance, claim_id))),
            Local::Made { instance, claim_id, .. } => ("member", Some((instance, claim_id))),
            Local::Unexplained { .. } => ("unexplained", None),
        };
        let instance = owner.map(|(instance, _)| instance.to_string());
        Self { stage, instance, claim_id: owner.map(|(_, claim)| claim.to_string()) }
    }
}

/// The cluster record.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Record {
    pub(in crate::status) phase: &'static str,
    pub(in crate::status) claim_id: String,
    pub(in crate::status) generation: u64,
    pub(in crate::status) holder: Option<String>,
    pub(in crate::status) beat: Option<u64>,
    yielded: Vec<String>,
    account: String,
    region: String,
    group_arn: String,
    endpoint: String,
    service_subnet: String,
    pub(in crate::status) cluster: Option<Cluster>,
    /// The snapshot in which the cluster lives, or from which it is being restored.
    snapshot: Option<ReportedSnapshot>,
    /// The claims that a restore follows.
    superseded: Vec<String>,
}

/// A snapshot that the record names.
#[derive(Debug, Serialize)]
struct ReportedSnapshot {
    key: String,
    digest: String,
    revision: u64,
    kubernetes_version: String,
    etcd_version: String,
    taken_by: String,
    taken_at: String,
}

impl ReportedSnapshot {
    fn new(snapshot: &SnapshotRef) -> Self {
        Self {
            key: snapshot.key.clone(),
            digest: snapshot.digest.clone(),
            revision: snapshot.revision,
            kubernetes_version: snapshot.kubernetes_version.clone(),
            etcd_version: snapshot.etcd_version.clone(),
            taken_by: snapshot.taken_by.to_string(),
            taken_at: snapshot.taken_at.clone(),
        }
    }
}

/// What the record says of a cluster that exists.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Cluster {
    pub(in crate::status) kube_system_uid: String,
    pub(in crate::status) kubernetes_version: String,
    ca_hashes: Vec<String>,
    pub(in crate::status) initialised_by: String,
    pub(in crate::status) initialised_at: String,
}

impl Record {
    pub(super) fn new(record: &ClusterRecord) -> Self {
        let (phase, beat) = match &record.state {
            RecordState::Initializing { beat, .. } => ("initializing", Some(*beat)),
            RecordState::Ready(_) => ("ready", None),
            RecordState::Saved(_) => ("saved", None),
            RecordState::Retired(_) => ("retired", None),
        };
        let identity = record.identity.clone();
        Self {
            phase,
            claim_id: record.claim_id.to_string(),
            generation: record.generation,
            holder: record.holder().map(|holder| holder.instance.to_string()),
            beat,
            yielded: record.yielded.iter().map(ToString::to_string).collect(),
            account: identity.account,
            region: identity.region,
            group_arn: identity.group_arn,
            endpoint: identity.endpoint,
            service_subnet: identity.service_subnet,
            cluster: record.known_cluster().map(Cluster::new),
            snapshot: record.saved().map(|saved| ReportedSnapshot::new(&saved.snapshot)),
            superseded: record.superseded.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Cluster {
    fn new(published: &Published) -> Self {
        Self {
            kube_system_uid: published.kube_system_uid.to_string(),
            kubernetes_version: published.kubernetes_version.clone(),
            ca_hashes: published.ca_hashes.clone(),
            initialised_by: published.initialised_by.to_string(),
            initialised_at: published.initialised_at.clone(),
        }
    }
}

/// The group.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Group {
    pub(in crate::status) name: String,
    arn: String,
    pub(in crate::status) desired: usize,
    pub(in crate::status) expected: usize,
    pub(in crate::status) candidates: Vec<String>,
    pub(in crate::status) zones: Vec<String>,
    pub(in crate::status) voters_by_zone: Vec<ZoneVoters>,
}

/// The voters in one availability zone.
#[derive(Debug, Serialize)]
pub(in crate::status) struct ZoneVoters {
    pub(in crate::status) zone: String,
    pub(in crate::status) voters: usize,
    pub(in crate::status) critical: bool,
}

impl Group {
    pub(super) fn new(group: &group::Group, input: &StatusInput, machines: &[StatusMachine<'_>]) -> Self {
        Self {
            name: group.name.clone(),
            arn: group.arn.clone(),
            desired: group.desired,
            expected: input.here.expected_size.unwrap_or(group.desired),
            candidates: group.candidates().into_iter().map(ToString::to_string).collect(),
            zones: group.zones.clone(),
            voters_by_zone: voter_zones(input, machines).as_ref().map(zone_voters).unwrap_or_default(),
        }
    }
}

fn zone_voters(spread: &VoterZones) -> Vec<ZoneVoters> {
    let of = |(zone, voters): (&String, &usize)| ZoneVoters {
        zone: zone.clone(),
        voters: *voters,
        critical: spread.critical.contains(zone),
    };
    spread.voters.iter().map(of).collect()
}

/// The snapshots of etcd.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Snapshots {
    pub(in crate::status) interval_seconds: u64,
    pub(in crate::status) age_seconds: Option<u64>,
    pub(in crate::status) revision: Option<u64>,
    pub(in crate::status) database_size: Option<u64>,
}

impl Snapshots {
    pub(super) fn new(found: &SnapshotStatus) -> Self {
        Self {
            interval_seconds: found.interval.as_secs(),
            age_seconds: found.age.last.map(|age| age.as_secs()),
            revision: found.last.map(|(revision, _)| revision),
            database_size: found.last.map(|(_, size)| size),
        }
    }
}

/// etcd as a whole. Its members stand with their machines.
#[derive(Debug, Serialize)]
pub(in crate::status) struct Etcd {
    pub(in crate::status) external: bool,
    pub(in crate::status) voters: Option<usize>,
    pub(in crate::status) answering: Option<usize>,
    pub(in crate::status) quorum: Option<usize>,
    pub(in crate::status) certain: Option<bool>,
    pub(in crate::status) without_machine: Vec<Member>,
}

impl Etcd {
    pub(super) fn source(etcd: &Known<status::Etcd>, machines: &[StatusMachine<'_>]) -> ReportedSource<Self> {
        match etcd {
            Err(why) | Ok(status::Etcd::Silent { why, .. }) => ReportedSource::unknown(why),
            Ok(status::Etcd::External) => ReportedSource::Known(Self {
                external: true,
                voters: None,
                answering: None,
                quorum: None,
                certain: None,
                without_machine: Vec::new(),
            }),
            Ok(status::Etcd::Stacked { members, certain, reports }) => {
                let taken = |id| machines.iter().any(|machine| machine.member.is_some_and(|member| member.id == id));
                let lonely = members.0.iter().filter(|member| !taken(member.id));
                let member = |member: &members::Member| Member::new(member, reports.get(&member.id), machines);
                ReportedSource::Known(Self {
                    external: false,
                    voters: Some(members.voters().count()),
                    answering: Some(members.answering()),
                    quorum: Some(members.quorum()),
                    certain: Some(*certain),
                    without_machine: lonely.map(member).collect(),
                })
            }
        }
    }
}
