//! The reasons why a control plane is not healthy, each with what an operator can do.

use super::input::LostFiles;
use crate::model::duration::in_words;
use crate::model::machine::ids::{ClaimId, InstanceId, MemberId, Uid};
use crate::model::machine::node_marks::ROLE_LABEL;
use crate::model::membership::alike::Unlike;
use crate::model::membership::later_truth::LaterTruth;
use crate::model::membership::member_name::MemberName;
use crate::model::membership::members::SILENT_REMEDY;
use crate::model::record::former_cluster::FormerCluster;
use crate::model::record::identity::Difference;
use crate::model::up::snapshot::ApiServerAt;
use crate::model::up::step::{Stop, Wait};
use crate::model::version::Release;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A certificate with fewer days left than this is a reason.
pub const CERTIFICATE_DAYS: i64 = 30;

/// One of the sources that the verdict needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusSource {
    /// The cluster record in S3.
    Record,
    /// etcd's members.
    Etcd,
    /// The API servers.
    ApiServers,
    /// The Auto Scaling group.
    Group,
    /// EC2.
    Ec2,
    /// The registrations in S3.
    Registrations,
    /// The published discovery hash in S3.
    Hash,
    /// The certificates on this machine.
    Certificates,
    /// The snapshots of etcd in S3.
    Snapshots,
}

impl fmt::Display for StatusSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "the cluster record",
            Self::Etcd => "etcd",
            Self::ApiServers => "the API servers",
            Self::Group => "the group",
            Self::Ec2 => "EC2",
            Self::Registrations => "the registrations",
            Self::Hash => "the published discovery hash",
            Self::Certificates => "this machine's certificates",
            Self::Snapshots => "the snapshots of etcd",
        })
    }
}

/// What a machine that its group has kept still is in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetainedAs {
    /// etcd lists it, or, with external etcd, it has not said that it left.
    Member,
    /// It has left, or was taken out.
    Left,
    /// Neither is certain: its data may be needed.
    Unclear,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusReason {
    /// An API server serves another cluster than it should.
    OtherCluster {
        /// Its machine.
        instance: InstanceId,
        /// The cluster that it serves, by the UID of `kube-system`.
        found: Uid,
        /// The cluster that it should serve: the record's, or else that of the first API server that answers.
        expected: Uid,
    },
    /// Another cluster answers at the endpoint.
    EndpointOtherCluster {
        /// The address to which its name resolves.
        address: IpAddr,
        /// The cluster that answers, by the UID of `kube-system`.
        found: Uid,
        /// The record's.
        expected: Uid,
    },
    /// What answers at the endpoint has no certificate of the cluster's for its name.
    EndpointNotTrusted {
        /// The address to which its name resolves.
        address: IpAddr,
        /// What is wrong with the certificate.
        why: String,
    },
    /// A source did not answer.
    Unknown {
        /// Which one.
        source: StatusSource,
        /// Why not.
        why: String,
    },
    /// There is or was a cluster, and there is no record.
    RecordMissing {
        /// The machines that say that there was a cluster.
        witnesses: Vec<InstanceId>,
    },
    /// An older version of the record has come back.
    RecordWentBack(LaterTruth),
    /// An API server answers, and the next claim would make a cluster beside its.
    ClusterAnswers(Vec<ApiServerAt>),
    /// A machine is a member of the cluster of another claim than the record's.
    OtherClaim {
        /// The machine.
        instance: InstanceId,
        /// The claim.
        claim_id: ClaimId,
        /// What the record tells of that cluster.
        former: FormerCluster,
        /// Whether it is this machine, by its disk.
        here: bool,
    },
    /// etcd keeps no claim, so nobody can tell by it which cluster it is.
    EtcdClaimMissing(Vec<IpAddr>),
    /// This machine was a member, and etcd's data is gone from its disk.
    DataGone(InstanceId),
    /// This machine is a member, and has lost files that it needs.
    FilesLost {
        /// This machine.
        instance: InstanceId,
        /// Which.
        files: LostFiles,
    },
    /// The data of etcd on this disk is another instance's.
    ForeignData {
        /// Whose.
        owner: InstanceId,
    },
    /// The data of etcd on this disk is not that of the member which this machine is.
    DataOfAnother {
        /// The member whose data it is.
        found: MemberId,
        /// The member that this machine is.
        own: MemberId,
        /// Whether a certain list says so; otherwise its marker does.
        is_listed: bool,
    },
    /// etcd answers, and the record says that the cluster was retired.
    RecordRetired,
    /// The record is of another account, Region, endpoint or service subnet.
    OtherSettings(Difference),
    /// The record is of another group.
    OtherGroup(Difference),
    /// Auto Scaling knows of no such group.
    GroupMissing,
    /// A voter does not answer.
    MemberSilent {
        /// Which one.
        member: MemberName,
        /// What EC2 says of its machine.
        ec2: Option<String>,
        /// Whether the machine is there and the others have a quorum, so that it may be reset and join anew.
        may_reset: bool,
    },
    /// At the address of a voter, etcd answers as another member.
    AnswersAsAnother {
        /// The voter that is listed there.
        member: MemberName,
        /// The member that answers.
        found: MemberId,
    },
    /// A member was announced and has never started.
    MemberNotStarted(MemberName),
    /// A member has no vote yet.
    MemberLearner(MemberName),
    /// No registration leads to a member.
    MemberUnexplained(MemberName),
    /// A member reports errors, such as a full disk.
    MemberComplains {
        /// Which one.
        member: MemberName,
        /// The errors.
        what: String,
    },
    /// A candidate of the group has no vote, and its instance is not gone.
    NotAVoter {
        /// Which one.
        instance: InstanceId,
        /// Why, by its registration.
        why: String,
    },
    /// The group ends a machine and has kept it, because its terminate hook ended with ABANDON.
    Retained {
        /// Which one.
        instance: InstanceId,
        /// What it still is in the cluster.
        membership: RetainedAs,
    },
    /// There are more or fewer voters than expected.
    VoterCount {
        /// How many there are.
        voters: usize,
        /// How many there should be.
        expected: usize,
    },
    /// With this availability zone too many voters would be lost, and the group's zones allow a better spread.
    ZoneHoldsQuorum {
        /// The zone.
        zone: String,
        /// The voters in it.
        voters: usize,
        /// All voters.
        total: usize,
    },
    /// Machines differ in what must be the same on all of them.
    MachinesDiffer(Unlike),
    /// A voter's API server is not ready, or does not answer.
    ApiServer {
        /// Its machine.
        instance: InstanceId,
        /// The error.
        why: String,
    },
    /// The API server of a voter knows no Node of its machine.
    NodeMissing {
        /// Its machine.
        instance: InstanceId,
        /// The name that the Node would have.
        node: String,
    },
    /// A voter's Node has not the label of a control plane.
    NodeUnmarked {
        /// Its machine.
        instance: InstanceId,
        /// The Node's name.
        node: String,
    },
    /// The Node of a voter's name is another instance's.
    NodeOfAnother {
        /// The voter's machine.
        instance: InstanceId,
        /// The Node's name.
        node: String,
        /// Its provider ID.
        provider_id: String,
    },
    /// The published discovery hash is not the record's.
    HashDiffers,
    /// A certificate on this machine expires soon or has expired.
    Certificate {
        /// The file.
        file: String,
        /// Whole days left; negative afterwards.
        days: i64,
    },
    /// The last snapshot of etcd is too old, or there is none.
    SnapshotLate {
        /// Whether there is none.
        missing: bool,
        /// How old it may be.
        allowed: Duration,
    },
    /// Every API server is of the new version, and bringing add-ons and the rest there has failed.
    UpgradeRest {
        /// The new version.
        to: Release,
        /// How often it has failed.
        attempts: u32,
        /// Why, the last time.
        why: String,
    },
    /// The group does not have its expected size, so no machine claims.
    GroupIncomplete {
        /// Its candidates.
        candidates: usize,
        /// How many there should be.
        expected: usize,
    },
    /// EC2 says that the holder of the claim is gone.
    HolderGone(InstanceId),
}

impl StatusReason {
    /// A code for programs. It stays the same when the text changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherCluster { .. } => "other-cluster",
            Self::EndpointOtherCluster { .. } => "endpoint-other-cluster",
            Self::EndpointNotTrusted { .. } => "endpoint-not-trusted",
            Self::Unknown { .. } => "unknown",
            Self::RecordMissing { .. } => "record-missing",
            Self::RecordWentBack(_) => "record-went-back",
            Self::ClusterAnswers(_) => "cluster-answers",
            Self::OtherClaim { .. } => "other-claim",
            Self::EtcdClaimMissing(_) => "etcd-claim-missing",
            Self::DataGone(_) => "data-gone",
            Self::FilesLost { .. } => "files-lost",
            Self::ForeignData { .. } => "foreign-data",
            Self::DataOfAnother { .. } => "data-of-another",
            Self::RecordRetired => "record-retired",
            Self::OtherSettings(_) => "other-settings",
            Self::OtherGroup(_) => "other-group",
            Self::GroupMissing => "group-missing",
            Self::MemberSilent { .. } => "member-silent",
            Self::AnswersAsAnother { .. } => "answers-as-another",
            Self::MemberNotStarted(_) => "member-not-started",
            Self::MemberLearner(_) => "member-learner",
            Self::MemberUnexplained(_) => "member-unexplained",
            Self::MemberComplains { .. } => "member-complains",
            Self::NotAVoter { .. } => "not-a-voter",
            Self::Retained { .. } => "retained",
            Self::VoterCount { .. } => "voter-count",
            Self::ZoneHoldsQuorum { .. } => "zone-holds-quorum",
            Self::MachinesDiffer(_) => "machines-differ",
            Self::ApiServer { .. } => "api-server",
            Self::NodeMissing { .. } => "node-missing",
            Self::NodeUnmarked { .. } => "node-unmarked",
            Self::NodeOfAnother { .. } => "node-of-another",
            Self::HashDiffers => "hash-differs",
            Self::Certificate { .. } => "certificate",
            Self::SnapshotLate { .. } => "snapshot-late",
            Self::UpgradeRest { .. } => "upgrade-rest",
            Self::GroupIncomplete { .. } => "group-incomplete",
            Self::HolderGone(_) => "holder-gone",
        }
    }

    /// The reason without what differs at each look although nothing has changed: the words of an error, a number of days.
    #[must_use]
    pub fn lasting(&self) -> Self {
        let mut lasting = self.clone();
        match &mut lasting {
            Self::Unknown { why, .. }
            | Self::EndpointNotTrusted { why, .. }
            | Self::NotAVoter { why, .. }
            | Self::ApiServer { why, .. } => why.clear(),
            Self::UpgradeRest { attempts, why, .. } => {
                *attempts = 0;
                why.clear();
            }
            // Whether it has expired does make a difference.
            Self::Certificate { days, .. } => *days = (*days).clamp(-1, 0),
            Self::OtherCluster { .. }
            | Self::EndpointOtherCluster { .. }
            | Self::RecordMissing { .. }
            | Self::RecordWentBack(_)
            | Self::ClusterAnswers(_)
            | Self::OtherClaim { .. }
            | Self::EtcdClaimMissing(_)
            | Self::DataGone(_)
            | Self::FilesLost { .. }
            | Self::NodeMissing { .. }
            | Self::NodeUnmarked { .. }
            | Self::NodeOfAnother { .. }
            | Self::ForeignData { .. }
            | Self::DataOfAnother { .. }
            | Self::RecordRetired
            | Self::OtherSettings(_)
            | Self::OtherGroup(_)
            | Self::GroupMissing
            | Self::MemberSilent { .. }
            | Self::AnswersAsAnother { .. }
            | Self::MemberNotStarted(_)
            | Self::MemberLearner(_)
            | Self::MemberUnexplained(_)
            | Self::MemberComplains { .. }
            | Self::VoterCount { .. }
            | Self::Retained { .. }
            | Self::ZoneHoldsQuorum { .. }
            | Self::MachinesDiffer(_)
            | Self::HashDiffers
            | Self::SnapshotLate { .. }
            | Self::GroupIncomplete { .. }
            | Self::HolderGone(_) => {}
        }
        lasting
    }

    /// The machine that it is about, if it is about one.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::OtherCluster { instance, .. }
            | Self::NotAVoter { instance, .. }
            | Self::Retained { instance, .. }
            | Self::ApiServer { instance, .. }
            | Self::NodeMissing { instance, .. }
            | Self::NodeUnmarked { instance, .. }
            | Self::NodeOfAnother { instance, .. }
            | Self::OtherClaim { instance, .. }
            | Self::DataGone(instance)
            | Self::FilesLost { instance, .. }
            | Self::HolderGone(instance) => Some(instance),
            Self::MemberSilent { member, .. }
            | Self::AnswersAsAnother { member, .. }
            | Self::MemberComplains { member, .. }
            | Self::MemberNotStarted(member)
            | Self::MemberLearner(member)
            | Self::MemberUnexplained(member) => member.instance.as_ref(),
            Self::EndpointOtherCluster { .. }
            | Self::EndpointNotTrusted { .. }
            | Self::ZoneHoldsQuorum { .. }
            | Self::MachinesDiffer(_)
            | Self::Unknown { .. }
            | Self::RecordMissing { .. }
            | Self::RecordWentBack(_)
            | Self::ClusterAnswers(_)
            | Self::EtcdClaimMissing(_)
            | Self::ForeignData { .. }
            | Self::DataOfAnother { .. }
            | Self::RecordRetired
            | Self::OtherSettings(_)
            | Self::OtherGroup(_)
            | Self::GroupMissing
            | Self::VoterCount { .. }
            | Self::HashDiffers
            | Self::Certificate { .. }
            | Self::SnapshotLate { .. }
            | Self::UpgradeRest { .. }
            | Self::GroupIncomplete { .. } => None,
        }
    }
}

impl fmt::Display for StatusReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCluster { instance, found, expected } => write!(
                f,
                "the API server of {instance} serves the cluster with kube-system {found}, it should be {expected}: decide \
                 which of them is the cluster, and stop kubelet where the other one runs"
            ),
            Self::EndpointOtherCluster { address, found, expected } => write!(
                f,
                "another cluster answers at the endpoint's address {address}: its kube-system is {found}, it should be {expected}: correct the \
                 endpoint's name or its load balancer's targets"
            ),
            Self::EndpointNotTrusted { address, why } => write!(
                f,
                "what answers at the endpoint's address {address} has no certificate of this cluster's for it: {why}: correct the endpoint's \
                 name or its load balancer's targets"
            ),
            Self::Unknown { source, why } => write!(f, "{source}: unknown: {why}"),
            Self::RecordMissing { witnesses } => write!(f, "{}", Stop::RecordGone { witnesses: witnesses.clone() }),
            Self::RecordWentBack(later) => write!(f, "{}", Stop::RecordWentBack(later.clone())),
            Self::ClusterAnswers(at) => write!(f, "{}", Stop::ClusterAnswers { at: at.clone() }),
            Self::OtherClaim { claim_id, former, here: true, .. } => {
                write!(f, "{}", Stop::OtherCluster { local: claim_id.clone(), former: former.clone() })
            }
            Self::OtherClaim { instance, claim_id, former, here: false } => {
                write!(f, "{instance} registered as a member of the cluster of claim {claim_id}; {former}")
            }
            Self::EtcdClaimMissing(at) => {
                let at: Vec<String> = at.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "etcd at {} keeps no claim, so nobody believes its member list: 'kubeboot up' on that machine writes the claim anew if the \
                     API server there is the record's; if it is not, etcd has lost its data there: bring back the other voters",
                    at.join(", ")
                )
            }
            Self::DataGone(_) => f.write_str(
                "etcd's data is gone from this machine, which is a member: mount the volume if there is one; otherwise 'kubeboot up' has its \
                 member removed by the other voters and joins anew, for which they must have a quorum: bring them back",
            ),
            Self::FilesLost { files: LostFiles { named, remedy, .. }, .. } => {
                write!(f, "this machine is a member, and has lost {named}: {remedy}")
            }
            Self::ForeignData { owner } => write!(
                f,
                "the data of etcd on this disk was written by {owner}: attach this disk to {owner}, if it belongs there; 'kubeboot up' deletes \
                 the data only when a certain member list shows that nobody needs it; if it may be lost, terminate this machine, or empty \
                 etcd's data directory here"
            ),
            Self::DataOfAnother { found, own, is_listed: true } => {
                write!(f, "{}", Stop::DataOfAnother { found: *found, listed: *own })
            }
            Self::DataOfAnother { found, own, is_listed: false } => {
                let why = "they do not say".to_owned();
                write!(f, "waiting for {}", Wait::DataOfAnother { found: *found, own: *own, why })
            }
            Self::RecordRetired => f.write_str("the record says that this cluster was retired, but it still runs"),
            Self::OtherSettings(difference) => write!(f, "{}", Stop::OtherIdentity(difference.clone())),
            Self::OtherGroup(difference) => write!(f, "{}", Stop::OtherGroup(difference.clone())),
            Self::GroupMissing => f.write_str(
                "Auto Scaling knows of no such group: this machine is in none, or the setting 'group' is wrong",
            ),
            Self::MemberSilent { member, ec2, may_reset } => fmt_silent(f, member, ec2.as_deref(), *may_reset),
            Self::AnswersAsAnother { member, found } => write!(
                f,
                "etcd at the address of voter {member} answers as member {found}: that machine runs another member's data, and is no voter: \
                 attach each disk where it belongs, and delete nothing before the cluster has its quorum"
            ),
            Self::MemberNotStarted(member) => write!(f, "etcd member {member} has never started: a join is under way or has failed"),
            Self::MemberLearner(member) => write!(f, "etcd member {member} is a learner and has no vote yet"),
            Self::MemberUnexplained(member) => write!(
                f,
                "no registration explains etcd member {member}: run 'kubeboot up' on its machine; if there is none, remove it with \
                 'kubeboot reap --member {}'",
                member.id
            ),
            Self::MemberComplains { member, what } => write!(f, "etcd member {member} reports: {what}"),
            Self::NotAVoter { instance, why } => write!(f, "{instance} has no vote: {why}"),
            Self::Retained { instance, membership } => fmt_retained(f, instance, *membership),
            Self::VoterCount { voters, expected } => {
                write!(f, "etcd has {voters} {}, {expected} expected", if *voters == 1 { "voter" } else { "voters" })
            }
            Self::ZoneHoldsQuorum { zone, voters, total } => write!(
                f,
                "{voters} of {total} voters are in the availability zone {zone}: without it the quorum is lost; let Auto Scaling replace one \
                 of its machines, once the other zones have capacity"
            ),
            Self::MachinesDiffer(unlike) => fmt_unlike(f, unlike),
            Self::ApiServer { instance, why } => write!(f, "the API server of {instance} is not ready: {why}"),
            Self::NodeMissing { instance, node } => write!(
                f,
                "the API server of {instance} knows no Node '{node}', which is that machine's: 'kubeboot up' there has kubelet register it \
                 anew, and marks it"
            ),
            Self::NodeUnmarked { instance, node } => write!(
                f,
                "the Node '{node}' of {instance} has not the label {ROLE_LABEL}: 'kubeboot up' there marks it anew, as kubeadm does"
            ),
            Self::NodeOfAnother { instance, node, provider_id } => write!(
                f,
                "the Node '{node}', the name of {instance}, has the provider ID '{provider_id}' of another instance: if that is gone, run \
                 'kubectl delete node {node}', and then 'kubeboot up' on {instance}"
            ),
            Self::HashDiffers => {
                f.write_str("the published discovery hash is not the record's: the next 'kubeboot up' of a member repairs it")
            }
            Self::Certificate { file, days } => fmt_certificate(f, file, *days),
            Self::SnapshotLate { missing, allowed } => {
                let what = if *missing { "there is no snapshot of etcd" } else { "the last snapshot of etcd is too old" };
                write!(
                    f,
                    "{what}, although one is to be saved at least every {}: the log of kubeboot-agent.service on the machine that leads says why; \
                     'kubeboot snapshot save' saves one now",
                    in_words(*allowed)
                )
            }
            Self::UpgradeRest { to, attempts, why } => write!(
                f,
                "every API server is of v{to}, and add-ons and the rest are not; bringing them there has failed {attempts} {}: {why}: the \
                 machine that leads tries again by itself; the log of kubeboot-agent.service there says more",
                if *attempts == 1 { "time" } else { "times" }
            ),
            Self::GroupIncomplete { candidates, expected } => {
                write!(f, "the group has {candidates} candidates, {expected} expected: no machine claims until they match")
            }
            Self::HolderGone(instance) => {
                write!(f, "EC2 says that {instance}, which holds the claim, is gone: another machine takes over")
            }
        }
    }
}

fn fmt_unlike(f: &mut fmt::Formatter<'_>, unlike: &Unlike) -> fmt::Result {
    let named = |machines: &[InstanceId]| machines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let Unlike { what, most, others, without } = unlike;
    write!(f, "'{what}' is not the same on all machines: {} have one", named(most))?;
    if !others.is_empty() {
        write!(f, ", {} another", named(others))?;
    }
    if !without.is_empty() {
        write!(f, ", {} none", named(without))?;
    }
    f.write_str(
        ": make them the same, then run 'kubeboot up' where it was changed, or replace the machines that differ",
    )
}

fn fmt_retained(f: &mut fmt::Formatter<'_>, instance: &InstanceId, membership: RetainedAs) -> fmt::Result {
    write!(f, "{instance} is retained by its group, for its terminate hook ended with ABANDON")?;
    let end = format!(
        "aws autoscaling terminate-instance-in-auto-scaling-group --instance-id {instance} --no-should-decrement-desired-capacity"
    );
    match membership {
        RetainedAs::Member => write!(
            f,
            " before it had left the cluster: it leaves once enough stays without it; what it waits for, 'systemctl status kubeboot-agent' says \
             there. End it afterwards"
        ),
        RetainedAs::Left => {
            write!(f, "; it has left the cluster, and runs on at your cost until you end it with '{end}'")
        }
        RetainedAs::Unclear => write!(
            f,
            ", and it is not certain that it has left the cluster: see 'systemctl status kubeboot-agent' there; once nobody needs its data, end \
             it with '{end}'"
        ),
    }
}

fn fmt_silent(f: &mut fmt::Formatter<'_>, member: &MemberName, ec2: Option<&str>, may_reset: bool) -> fmt::Result {
    write!(f, "etcd voter {member} does not answer")?;
    if let Some(state) = ec2 {
        write!(f, "; EC2 says {state}")?;
    }
    if may_reset { write!(f, ": {SILENT_REMEDY}") } else { Ok(()) }
}

fn fmt_certificate(f: &mut fmt::Formatter<'_>, file: &str, days: i64) -> fmt::Result {
    match days {
        ..0 => write!(f, "{file} has expired")?,
        0 => write!(f, "{file} expires within a day")?,
        1 => write!(f, "{file} expires in 1 day")?,
        _ => write!(f, "{file} expires in {days} days")?,
    }
    f.write_str(": run 'kubeboot renew' on this machine")
}

/// The reason why a source gave no answer, if it gave none.
pub(super) fn unknown<T>(source: StatusSource, answer: &Result<T, String>) -> Option<StatusReason> {
    answer.as_ref().err().map(|why| StatusReason::Unknown { source, why: why.clone() })
}
