//! What a decision can be, with its reason as text.

use crate::model::duration::in_words;
use crate::model::machine::defect::Defect;
use crate::model::machine::group::Lifecycle;
use crate::model::machine::ids::{ClaimId, InstanceId, MemberId};
use crate::model::machine::local::Local;
use crate::model::membership::data::DataNeeded;
use crate::model::membership::later_truth::LaterTruth;
use crate::model::membership::member_name::MemberName;
use crate::model::record::former_cluster::FormerCluster;
use crate::model::record::identity::Difference;
use crate::model::restore::fit::SnapshotUnfit;
use crate::model::up::snapshot::ApiServerAt;
use std::fmt;
use std::time::Duration;

/// The one thing to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Touch nothing: this machine is no candidate.
    StandBy(StandBy),
    /// Look again later.
    Wait(Wait),
    /// Wipe what kubeadm left on this machine.
    Wipe(Wipe),
    /// Write a claim over no record, a retired one, or one whose holder has stepped down.
    Claim(Over),
    /// Write a claim over that of a holder who is believed dead.
    TakeOver(TakeOver),
    /// Write a new claim over an earlier one of this machine, which fences that one's late writes.
    Resume,
    /// Run `kubeadm init` and flip.
    Init,
    /// Restore the record's snapshot, and flip.
    Restore,
    /// Step down after too many failed inits.
    Yield,
    /// Write this group into the record, for an operator said so.
    AcceptGroup,
    /// Have this machine's member removed and join anew: its data is gone.
    Rejoin,
    /// Queue for the membership lease and join.
    Join,
    /// Set the manifests of etcd and API server aside, and see that neither runs: the cluster of this machine's data lives on from a
    /// snapshot. The data stays, and an operator decides on it.
    SetAside {
        /// The claim of the data.
        claim_id: ClaimId,
    },
    /// See that everything about this member is as it should be; then done.
    Keep,
    /// An operator, or the settings, must change something first.
    Stop(Stop),
}

/// Why this machine is no candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandBy {
    /// Auto Scaling does not know of it (yet).
    NotInGroup,
    /// It is in the group, but neither entering service nor in it.
    Lifecycle(Lifecycle),
    /// Auto Scaling holds it for unhealthy.
    Unhealthy,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The group to show the expected number of candidates.
    Settle {
        /// Candidates now.
        candidates: usize,
        /// Candidates expected.
        expected: usize,
    },
    /// Those of lower rank to claim first.
    Turn {
        /// My place, counted from 0.
        rank: u32,
        /// What is left of the wait.
        left: Duration,
    },
    /// The holder to make the cluster.
    Holder {
        /// The holder.
        instance: InstanceId,
    },
    /// The cluster to answer.
    Cluster {
        /// Why it does not.
        why: String,
    },
    /// Voters to serve their clients. Their list was read through a quorum, so nothing is lost: a learner that became a voter serves
    /// seconds later, and until then etcd refuses the next member.
    Voters {
        /// Those that do not answer yet.
        silent: Vec<MemberName>,
    },
    /// As many voters to answer as the quorum wants.
    Quorum {
        /// Voters that answer.
        answering: usize,
        /// Voters.
        voters: usize,
    },
    /// My own member to be a started voter.
    OwnMember,
    /// The record, which is gone, to come back.
    Record,
    /// Registrations to be readable, which may tell of a cluster.
    Registrations {
        /// Whose.
        instances: Vec<InstanceId>,
    },
    /// Everybody who might be another cluster's API server to be asked.
    ApiServers,
    /// The record's snapshot to be on this machine, before it claims.
    Snapshot {
        /// What is under way, or in the way.
        why: String,
    },
    /// A machine that can restore the record's snapshot: this one cannot.
    SnapshotUnfit(SnapshotUnfit),
    /// This machine to be mended, on which kubeadm would fail.
    Unfit {
        /// What is wrong with it.
        defects: Vec<Defect>,
    },
    /// A certain list, by which my own member can be removed, whose data is gone.
    DataGone {
        /// Why there is none.
        why: String,
    },
    /// My own data of etcd: what lies here is that of another member than the marker names. Or a certain list, which says more.
    DataOfAnother {
        /// The member whose data it is.
        found: MemberId,
        /// The member that this machine is, by its marker.
        own: MemberId,
        /// Why there is no certain list.
        why: String,
    },
    /// A certain list, by which the data of another instance on this disk can be judged.
    ForeignData {
        /// The instance that wrote the marker.
        owner: InstanceId,
        /// Why there is none.
        why: String,
    },
}

/// Why it is lawful to wipe this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wipe {
    /// The state is another instance's: a baked image, a restored volume.
    AnotherInstances(InstanceId),
    /// The record says that another claim has followed this machine's.
    Deposed(ClaimId),
    /// An init of this machine's held claim has failed, and no flip was sent.
    FailedInit,
    /// The cluster's list positively lacks this machine.
    NotListed,
    /// The record supersedes the claim of what lies here, and this machine never joined under it.
    Superseded(ClaimId),
}

/// What a claim is written over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// Nothing.
    Nothing,
    /// A retired record.
    Retired,
    /// A claim whose holder has stepped down.
    Vacant,
    /// A saved cluster.
    Saved,
}

/// Why a holder is believed dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOver {
    /// EC2 says that it is terminated or shutting down.
    Terminated(InstanceId),
    /// The record has not changed for so long.
    Silent(InstanceId, Duration),
}

/// Why this machine stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The record belongs to another account, Region, endpoint or service subnet.
    OtherIdentity(Difference),
    /// The record belongs to another group.
    OtherGroup(Difference),
    /// This machine's state belongs to a cluster that is not the record's.
    OtherCluster {
        /// The claim on the disk.
        local: ClaimId,
        /// What the record tells of its cluster.
        former: FormerCluster,
    },
    /// There is state on the disk that nobody can explain.
    Unexplained {
        /// The files.
        found: Vec<String>,
    },
    /// The record is gone for longer than S3 may take to show it.
    RecordGone {
        /// Machines that say that there was a cluster.
        witnesses: Vec<InstanceId>,
    },
    /// An older version of the record has come back.
    RecordWentBack(LaterTruth),
    /// There is a cluster already, and the record is not its.
    ClusterAnswers {
        /// Who answers.
        at: Vec<ApiServerAt>,
    },
    /// The data on this disk is another instance's, and may be needed.
    ForeignData {
        /// The instance that wrote the marker.
        owner: InstanceId,
        /// Why it must stay; `None` when there is no ready record to judge it by.
        needed: Option<DataNeeded>,
    },
    /// The marker is this instance's, and the data beside it is not what it says.
    DataNeeded(DataNeeded),
    /// The data on this machine is not that of the member which is listed at its address.
    DataOfAnother {
        /// The member whose data it is.
        found: MemberId,
        /// The member that is listed.
        listed: MemberId,
    },
    /// Every machine that ever was a voter is gone.
    AllVotersGone {
        /// Which.
        instances: Vec<InstanceId>,
    },
    /// Another machine has this one's Node name, and two machines cannot be one Node.
    NameShared {
        /// The other machine.
        other: InstanceId,
        /// The name.
        node_name: String,
    },
}

impl Stop {
    /// Whether changing the settings is the remedy; otherwise an operator must decide.
    #[must_use]
    pub fn is_about_settings(&self) -> bool {
        match self {
            Self::OtherIdentity(_) | Self::NameShared { .. } => true,
            Self::OtherGroup(_)
            | Self::OtherCluster { .. }
            | Self::Unexplained { .. }
            | Self::RecordGone { .. }
            | Self::RecordWentBack(_)
            | Self::ClusterAnswers { .. }
            | Self::ForeignData { .. }
            | Self::DataNeeded(_)
            | Self::DataOfAnother { .. }
            | Self::AllVotersGone { .. } => false,
        }
    }
}

impl Wipe {
    /// Whether etcd's data is moved aside on the same filesystem first, one copy: it may be of a cluster that lives on from a snapshot.
    #[must_use]
    pub fn keeps_data(&self) -> bool {
        match self {
            Self::Superseded(_) => true,
            Self::AnotherInstances(_) | Self::Deposed(_) | Self::FailedInit | Self::NotListed => false,
        }
    }
}

impl Wait {
    /// Whether an operator must decide when the deadline passes; otherwise trying again later may mend it.
    #[must_use]
    pub fn needs_operator_at_deadline(&self) -> bool {
        match self {
            Self::Quorum { .. }
            | Self::Record
            | Self::Registrations { .. }
            | Self::DataGone { .. }
            | Self::DataOfAnother { .. }
            | Self::ForeignData { .. }
            // Its image, or the documents: then the next machine has it, too, and none is given up for it.
            | Self::Unfit { .. }
            | Self::SnapshotUnfit(_) => true,
            Self::Settle { .. }
            | Self::Turn { .. }
            | Self::Holder { .. }
            | Self::Cluster { .. }
            | Self::Voters { .. }
            | Self::ApiServers
            | Self::Snapshot { .. }
            | Self::OwnMember => false,
        }
    }
}

impl Wait {
    /// Whether nothing is in this machine's way but another one that comes before it.
    #[must_use]
    pub fn is_queue(&self) -> bool {
        match self {
            Self::Turn { .. } | Self::Holder { .. } => true,
            Self::Settle { .. }
            | Self::Cluster { .. }
            | Self::Voters { .. }
            | Self::Quorum { .. }
            | Self::OwnMember
            | Self::Record
            | Self::Registrations { .. }
            | Self::ApiServers
            | Self::Snapshot { .. }
            | Self::SnapshotUnfit(_)
            | Self::Unfit { .. }
            | Self::DataGone { .. }
            | Self::DataOfAnother { .. }
            | Self::ForeignData { .. } => false,
        }
    }

    /// Whether a machine that waits for this has nothing else to do before kubeadm starts on it.
    #[must_use]
    pub fn leaves_time(&self) -> bool {
        match self {
            Self::Settle { .. } | Self::Turn { .. } | Self::Holder { .. } => true,
            Self::Cluster { .. }
            | Self::Voters { .. }
            | Self::Quorum { .. }
            | Self::OwnMember
            | Self::Record
            | Self::Registrations { .. }
            | Self::ApiServers
            | Self::Snapshot { .. }
            | Self::SnapshotUnfit(_)
            | Self::Unfit { .. }
            | Self::DataGone { .. }
            | Self::DataOfAnother { .. }
            | Self::ForeignData { .. } => false,
        }
    }
}

impl Step {
    /// Every step's name, for logs and for tests that want each one taken.
    pub const NAMES: [&str; 15] = [
        "stand-by",
        "wait",
        "wipe",
        "claim",
        "take-over",
        "resume",
        "init",
        "restore",
        "yield",
        "accept-group",
        "rejoin",
        "join",
        "set-aside",
        "keep",
        "stop",
    ];

    /// Whether everything is to be read once more before this step is taken. What proves that there is a cluster already is read right
    /// before another one may be made, or what an init has left is wiped; `evidence_reused`: it was not. And the record is read
    /// before the evidence: a flip in between looks like a record that has gone back.
    #[must_use]
    pub fn wants_anew(&self, evidence_reused: bool) -> bool {
        let goes_by_evidence =
            self.makes_a_cluster() || matches!(self, Self::Wipe(Wipe::Deposed(_) | Wipe::Superseded(_)));
        matches!(self, Self::Stop(Stop::RecordWentBack(_))) || goes_by_evidence && evidence_reused
    }

    /// Whether a launch hook is kept alive at this step. Not where nothing goes on before somebody has decided: the unit looks again
    /// and again, and a hook that is never let go would keep the group from replacing the machine.
    #[must_use]
    pub fn keeps_hook_alive(&self) -> bool {
        !matches!(self, Self::Stop(_))
    }

    /// Whether the step leads to a new cluster, so that nothing that it is decided by may be old.
    #[must_use]
    pub fn makes_a_cluster(&self) -> bool {
        match self {
            Self::Claim(_) | Self::TakeOver(_) | Self::Resume | Self::Init | Self::Restore => true,
            Self::StandBy(_)
            | Self::Wait(_)
            | Self::Wipe(_)
            | Self::Yield
            | Self::AcceptGroup
            | Self::Rejoin
            | Self::Join
            | Self::SetAside { .. }
            | Self::Keep
            | Self::Stop(_) => false,
        }
    }

    /// Whether the step makes this machine's Node one of a cluster that did not know it.
    #[must_use]
    pub fn brings_in(&self) -> bool {
        match self {
            Self::Claim(_) | Self::TakeOver(_) | Self::Join => true,
            Self::StandBy(_)
            | Self::Wait(_)
            | Self::Wipe(_)
            | Self::Resume
            | Self::Init
            | Self::Restore
            | Self::Yield
            | Self::AcceptGroup
            | Self::Rejoin
            | Self::SetAside { .. }
            | Self::Keep
            | Self::Stop(_) => false,
        }
    }

    /// Whether the step begins something on a machine of this disk that only a machine without defects can end. What is under way goes
    /// on, and what an earlier attempt has left is cleaned up all the same: a member of it is in everybody's way.
    #[must_use]
    pub fn wants_fit_machine(&self, local: &Local) -> bool {
        match self {
            Self::Resume => true,
            Self::Join => *local == Local::Fresh,
            other => other.brings_in(),
        }
    }

    /// The step's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::StandBy(_) => "stand-by",
            Self::Wait(_) => "wait",
            Self::Wipe(_) => "wipe",
            Self::Claim(_) => "claim",
            Self::TakeOver(_) => "take-over",
            Self::Resume => "resume",
            Self::Init => "init",
            Self::Restore => "restore",
            Self::Yield => "yield",
            Self::AcceptGroup => "accept-group",
            Self::Rejoin => "rejoin",
            Self::Join => "join",
            Self::SetAside { .. } => "set-aside",
            Self::Keep => "keep",
            Self::Stop(_) => "stop",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StandBy(why) => write!(f, "standing by: {why}"),
            Self::Wait(what) => write!(f, "waiting for {what}"),
            Self::Wipe(why) => write!(f, "wiping this machine: {why}"),
            Self::Claim(Over::Nothing) => f.write_str("claiming: the group is settled and there is no cluster record"),
            Self::Claim(Over::Retired) => {
                f.write_str("claiming: the group is settled and the cluster record is retired")
            }
            Self::Claim(Over::Saved) => {
                f.write_str("claiming: the group is settled and the cluster is saved, so it is to be restored")
            }
            Self::Claim(Over::Vacant) => f.write_str("claiming: the last holder has stepped down"),
            Self::TakeOver(why) => write!(f, "taking the claim over: {why}"),
            Self::Resume => {
                f.write_str("taking over an earlier claim of this machine, so that its late writes are fenced")
            }
            Self::Init => f.write_str("initialising: this machine holds the claim"),
            Self::Restore => f.write_str("restoring: this machine holds the claim, and the snapshot is here"),
            Self::Yield => f.write_str("stepping down: init has failed too often here"),
            Self::AcceptGroup => f.write_str("writing this group into the cluster record, as the operator said"),
            Self::Rejoin => f.write_str(
                "joining anew: etcd's data on this machine is gone, and the other voters can remove its member",
            ),
            Self::Join => f.write_str("joining: the cluster is ready and this machine is no member"),
            Self::SetAside { claim_id } => {
                write!(
                    f,
                    "this machine's state belongs to the cluster of claim {claim_id}; {}",
                    FormerCluster::Superseded
                )
            }
            Self::Keep => f.write_str("this machine is a voter of the cluster"),
            Self::Stop(why) => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for StandBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInGroup => f.write_str("Auto Scaling does not list this instance in a group"),
            Self::Lifecycle(state) => write!(f, "this instance is {state} in its group"),
            Self::Unhealthy => f.write_str("Auto Scaling holds this instance for unhealthy and will replace it"),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settle { candidates, expected } => {
                write!(f, "the group to settle: {candidates} candidates, {expected} expected")
            }
            // Without the time left, which would make every second a new reason.
            Self::Turn { rank: 0, .. } => f.write_str("its turn to claim again"),
            Self::Turn { rank: 1, .. } => f.write_str("the candidate before this one to claim first"),
            Self::Turn { rank, .. } => write!(f, "the {rank} candidates before this one to claim first"),
            Self::Holder { instance } => write!(f, "{instance} to initialise"),
            Self::Cluster { why } => write!(f, "the cluster to answer: {why}"),
            Self::Voters { silent } => write!(f, "etcd's voters to answer, which has its quorum: {}", names(silent)),
            Self::Quorum { answering, voters } => write!(f, "etcd: quorum lost: {answering} of {voters} answers"),
            Self::OwnMember => f.write_str("this machine's etcd member to be a started voter"),
            Self::Record => f.write_str(
                "the cluster record control-plane/cluster.json to come back: it is gone, and S3 may take 15 minutes to show an object after \
                 versioning was enabled",
            ),
            Self::Registrations { instances } => write!(
                f,
                "the registrations control-plane/nodes/ of {} to say something: they may tell of a cluster; if a newer kubeboot wrote \
                 them, install it here; if they were damaged, restore their last versions, or delete them if those machines are no \
                 members of a cluster",
                list(instances)
            ),
            Self::ApiServers => {
                f.write_str("an answer of the endpoint and of the group's machines: is there a cluster already?")
            }
            Self::Snapshot { why } => write!(f, "the snapshot from which the cluster is restored: {why}"),
            Self::SnapshotUnfit(why) => write!(f, "another machine to restore the cluster: {why}"),
            Self::Unfit { defects } => {
                let defects: Vec<String> = defects.iter().map(ToString::to_string).collect();
                write!(f, "this machine to be mended, before which it neither claims nor joins: {}", defects.join("; "))
            }
            Self::DataGone { why } => write!(
                f,
                "etcd's data, which is gone from this machine, or for the other voters, which could remove its member: {why}; mount the \
                 volume if there is one, or bring back the other voters"
            ),
            Self::DataOfAnother { found, own, why } => write!(
                f,
                "the data of member {own}, which this machine is: on this disk lies etcd's data of member {found}, so neither starts \
                 here, and the other voters cannot be asked: {why}; attach each disk where it belongs, and delete nothing: it may be the \
                 last copy"
            ),
            Self::ForeignData { owner, why } => write!(
                f,
                "etcd's member list, by which the data of {owner} on this disk can be judged: {why}; if this disk belongs to {owner}, attach \
                 it there"
            ),
        }
    }
}

impl fmt::Display for Wipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnotherInstances(owner) => write!(f, "its state was written by {owner}"),
            Self::Deposed(claim) => write!(f, "its claim {claim} was followed by another"),
            Self::FailedInit => f.write_str("its init has failed and nothing was published"),
            Self::Superseded(claim) => write!(
                f,
                "the cluster of its claim {claim} is restored from a snapshot, and this machine is no member of it; etcd's data, if there is any, \
                 is moved aside"
            ),
            Self::NotListed => f.write_str("the cluster's member list lacks it, so its data can never be used again"),
        }
    }
}

impl fmt::Display for TakeOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terminated(holder) => write!(f, "its holder {holder} is terminated"),
            Self::Silent(holder, duration) => {
                write!(f, "its holder {holder} has been silent for {}", in_words(*duration))
            }
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherIdentity(Difference { field, record, here }) => write!(
                f,
                "the cluster record has {field} '{record}', this machine has '{here}': the settings 'bucket' and 'prefix' point at another \
                 cluster's record, or '{field}' is wrong here"
            ),
            Self::OtherGroup(Difference { record, here, .. }) => write!(
                f,
                "the cluster record belongs to the group '{record}', this machine is in '{here}': if this group replaces that one, run \
                 'kubeboot up --accept-group' on one machine; if not, give this group a prefix of its own"
            ),
            Self::OtherCluster { local, former } => {
                write!(f, "this machine's state belongs to the cluster of claim {local}; {former}")
            }
            Self::Unexplained { found } => write!(
                f,
                "found what kubeadm leaves ({}) without kubeboot's own marker: kubeboot does not adopt it and does not wipe it; build images \
                 without it, or run 'kubeadm reset -f --skip-phases=remove-etcd-member' here if its data may be lost",
                found.join(", ")
            ),
            Self::RecordGone { witnesses } => {
                f.write_str("the cluster record control-plane/cluster.json is gone")?;
                if !witnesses.is_empty() {
                    write!(f, ", though {} registered under this prefix that there is a cluster", list(witnesses))?;
                }
                f.write_str(
                    ": if 'bucket' and 'prefix' are right, restore its last version; if that cannot be had and its machines are gone, run \
                     'kubeboot retire --lost-record'",
                )
            }
            Self::RecordWentBack(later) => write!(
                f,
                "an older version of the cluster record has come back: {later}; restore its last version in the bucket, for with this one a \
                 second cluster could be made, or machines join one that is past. If no later version can be had, and every machine of that \
                 cluster is gone, run 'kubeboot retire --lost-record'"
            ),
            Self::ClusterAnswers { at } => {
                let at: Vec<String> = at.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "there is a cluster already, and this record is not its: an API server answers at {}. If that is this group's cluster, \
                     correct 'bucket' and 'prefix', or restore its record's last version; if it is another one, correct 'endpoint'; if it \
                     is to be given up, stop it first",
                    at.join(", ")
                )
            }
            Self::ForeignData { owner, needed } => {
                write!(f, "the data of etcd on this disk was written by {owner}")?;
                match needed {
                    Some(needed) => write!(f, ", and {needed}")?,
                    None => f.write_str(", and there is no cluster to ask whether it is needed")?,
                }
                write!(
                    f,
                    ": attach this disk to {owner}, if it belongs there; if the data may be lost, terminate this machine, or empty etcd's \
                     data directory here"
                )
            }
            Self::DataNeeded(needed) => write!(
                f,
                "etcd does not list this machine, yet {needed}: attach the disk to the machine that it belongs to; if the data may be lost, \
                 terminate this machine, or empty etcd's data directory here"
            ),
            Self::DataOfAnother { found, listed } => write!(
                f,
                "the data of etcd on this disk is that of member {found}, and etcd lists member {listed} at this machine's address: attach \
                 this data to the machine of member {found} if it needs it, and the disk that this machine had here; if that cannot be \
                 had, and member {found} answers or its data may be lost, empty etcd's data directory here, and 'kubeboot up' has member \
                 {listed} removed by the other voters and joins anew"
            ),
            Self::AllVotersGone { instances } => {
                write!(
                    f,
                    "every machine that ever was a voter is gone ({}): kubeboot never initialises over a ready record; have a \
                     snapshot restored by 'kubeboot restore --latest' on a machine of the group, or give the cluster up by 'kubeboot retire'",
                    list(instances)
                )
            }
            Self::NameShared { other, node_name } => write!(
                f,
                "{other}, which runs in this group, has the Node name '{node_name}' of this machine, too, and two machines cannot be one Node: \
                 give each machine a 'node_name' of its own, or none, which is its private DNS name"
            ),
        }
    }
}

impl fmt::Display for ApiServerAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instance {
            Some(instance) => write!(f, "{instance} ({})", self.address),
            None => write!(f, "the endpoint {}", self.address),
        }
    }
}

/// The voters that are waited for.
pub(in crate::model::up) fn names(silent: &[MemberName]) -> String {
    silent.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn list(instances: &[InstanceId]) -> String {
    instances.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
