//! What a worker can do next, with its reason as text.

use super::revive::{ForeignMark, GONE_GRACE};
use crate::model::duration::in_words;
use crate::model::joining::JoinError;
use crate::model::machine::defect::Defect;
use crate::model::machine::ids::InstanceId;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// In which states a group wants machines that are to be in its warm pool.
const POOLED: [&str; 3] = ["Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated"];
/// Where somebody finds out why nothing is published.
const ASK_THE_LEADER: &str =
    "'systemctl status kubeboot-agent' on the control-plane machines says what is in their leader's way";

/// Whether a group that wants a machine in this state wants it in its warm pool. When it leaves the pool its launch hook waits for it anew,
/// whatever it has answered before.
#[must_use]
pub fn is_pooled(target: &str) -> bool {
    POOLED.contains(&target)
}

/// The one thing to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerStep {
    /// Touch nothing: the group keeps this machine out of service.
    StandBy {
        /// The state in which it wants it.
        target: String,
    },
    /// Look again later.
    Wait(WorkerWait),
    /// An operator, or the settings, must change something first.
    Stop(WorkerStop),
    /// Wipe what kubeadm left on this machine.
    Wipe(WorkerWipe),
    /// Switch off EC2's source/destination check of this instance.
    SwitchOffCheck,
    /// Run `kubeadm join`.
    Join,
    /// Write down that this machine is a node of its cluster.
    MarkJoined,
    /// Restart kubelet, which registers its Node when it starts.
    RestartKubelet,
    /// Open the Node for new pods, which kubeboot had closed.
    Uncordon,
    /// Complete the launch hook.
    CompleteHook,
    /// Nothing: this machine is what it should be.
    Done,
}

/// One of the two objects below `join/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinObject {
    /// `join/cluster.json`.
    Cluster,
    /// `join/token.json`.
    Token,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerWait {
    /// IMDS to say in which state the group wants this machine: one of a warm pool is not touched.
    Target,
    /// S3 to answer.
    Store {
        /// For what.
        object: JoinObject,
        /// Why it does not.
        why: String,
    },
    /// S3 to let this machine read, or the object to be written.
    Denied(JoinObject),
    /// The leader to write an object.
    Absent(JoinObject),
    /// Another cluster to be published, because the one of `join/` was given up.
    Blank(JoinObject),
    /// Somebody to write an object that can be read.
    Unreadable {
        /// Which.
        object: JoinObject,
        /// What is wrong with it.
        why: JoinError,
    },
    /// The leader to write both for the same cluster.
    Generations {
        /// That of `join/cluster.json`.
        cluster: u64,
        /// That of `join/token.json`.
        token: u64,
    },
    /// The leader to publish a token that is valid.
    TokenEnded {
        /// When it has ended, in seconds since 1970. How long ago that is would be another reason at each look.
        at: u64,
    },
    /// Every API server to be as new as this kubelet.
    OlderApiServer {
        /// kubelet's version.
        kubelet: String,
        /// That of the oldest API server.
        oldest: String,
    },
    /// This machine to be mended.
    Unfit(Vec<Defect>),
    /// The next attempt.
    Pause {
        /// How long it is until then.
        left: Duration,
    },
    /// An API server to say whether this machine's Node is there.
    ApiServer {
        /// Why it does not.
        why: String,
    },
    /// The endpoint to show a certificate of the cluster's authority.
    OtherAuthority,
    /// A token that Kubernetes takes.
    TokenRefused {
        /// Why it takes none.
        why: String,
    },
    /// kubelet to have credentials that an API server takes.
    Credentials {
        /// Why it takes none.
        why: String,
    },
    /// kubelet to register the Node.
    Registration {
        /// Its name.
        node: String,
        /// Whether kubelet was restarted for it.
        restarted: bool,
    },
    /// The Node of this machine's name to be gone, which another machine has, before this one joins.
    NameTaken {
        /// Its name.
        node: String,
        /// By what it is another machine's.
        mark: ForeignMark,
    },
    /// The same, on a machine that has joined: its own kubelet keeps that Node alive.
    NodeTaken {
        /// Its name.
        node: String,
        /// By what it is another machine's.
        mark: ForeignMark,
    },
    /// kubelet or the cloud controller manager to write the provider ID.
    ProviderId {
        /// The Node's name.
        node: String,
    },
    /// kubelet to answer on this machine.
    Kubelet,
}

/// Why this machine is wiped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerWipe {
    /// What is here was written by another machine.
    OfAnother {
        /// That machine.
        instance: InstanceId,
    },
    /// An earlier attempt to join has not come to its end.
    HalfMade,
    /// It is of another cluster, and the settings have it join this one.
    Rejoin,
}

/// What an operator must decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerStop {
    /// Something of a control plane is on this machine's disk.
    OfControlPlane,
    /// Files of kubeadm that kubeboot did not make.
    Unexplained {
        /// The files found.
        found: Vec<String>,
    },
    /// The cluster of `join/` is not the one of this machine.
    OtherCluster(OtherCluster),
    /// The settings name another endpoint than `join/` does.
    OtherEndpoint {
        /// That of the settings.
        set: String,
        /// That of `join/cluster.json`.
        published: String,
    },
    /// kubelet is too old for this cluster.
    OldKubelet {
        /// kubelet's version.
        kubelet: String,
        /// The cluster's.
        cluster: String,
    },
}

/// In what another cluster differs from the one on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherCluster {
    /// It has another `kube-system` namespace.
    Uid,
    /// It is the same by its UID, and has another authority.
    Authority,
}

impl WorkerStep {
    /// Whether a launch hook that may wait for this machine is kept alive at this step: not where nothing goes on before the group or
    /// somebody else has decided.
    #[must_use]
    pub const fn keeps_hook_alive(&self) -> bool {
        match self {
            Self::StandBy { .. } | Self::Stop(_) | Self::Done => false,
            Self::Wait(_)
            | Self::Wipe(_)
            | Self::SwitchOffCheck
            | Self::Join
            | Self::MarkJoined
            | Self::RestartKubelet
            | Self::Uncordon
            | Self::CompleteHook => true,
        }
    }

    /// Whether this machine is about to enter its group's warm pool, so that its launch hook may wait for it. It waits once more when the
    /// machine leaves the pool.
    #[must_use]
    pub fn enters_pool(&self) -> bool {
        matches!(self, Self::StandBy { target } if is_pooled(target))
    }

    /// Its name, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StandBy { .. } => "stand by",
            Self::Wait(_) => "wait",
            Self::Stop(_) => "stop",
            Self::Wipe(_) => "wipe",
            Self::SwitchOffCheck => "switch off the source/destination check",
            Self::Join => "join",
            Self::MarkJoined => "mark",
            Self::RestartKubelet => "restart kubelet",
            Self::Uncordon => "uncordon",
            Self::CompleteHook => "complete the hook",
            Self::Done => "done",
        }
    }
}

impl WorkerWait {
    /// Whether somebody must do something where this lasts.
    #[must_use]
    pub const fn needs_operator(&self) -> bool {
        match self {
            Self::Blank(_)
            | Self::Unreadable { .. }
            | Self::Credentials { .. }
            | Self::OtherAuthority
            | Self::NameTaken { .. }
            | Self::NodeTaken { .. } => true,
            Self::Target
            | Self::Store { .. }
            | Self::Denied(_)
            | Self::Absent(_)
            | Self::Generations { .. }
            | Self::TokenEnded { .. }
            | Self::OlderApiServer { .. }
            | Self::Unfit(_)
            | Self::Pause { .. }
            | Self::ApiServer { .. }
            | Self::TokenRefused { .. }
            | Self::Registration { .. }
            | Self::ProviderId { .. }
            | Self::Kubelet => false,
        }
    }
}

impl fmt::Display for JoinObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "join/cluster.json",
            Self::Token => "join/token.json",
        })
    }
}

impl fmt::Display for WorkerStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StandBy { target } => {
                write!(f, "the group wants this machine {target}, and nothing is done until it serves")
            }
            Self::Wait(what) => write!(f, "wait for {what}"),
            Self::Stop(why) => why.fmt(f),
            Self::Wipe(why) => write!(f, "wipe what kubeadm left on this machine: {why}"),
            Self::SwitchOffCheck => f.write_str("switch off EC2's source/destination check of this instance"),
            Self::Join => f.write_str("join the cluster of join/cluster.json"),
            Self::MarkJoined => f.write_str("write down that this machine is a node of its cluster"),
            Self::RestartKubelet => write!(
                f,
                "restart kubelet, which registers its Node only when it starts: the API server has had none for {}",
                in_words(GONE_GRACE)
            ),
            Self::Uncordon => {
                f.write_str("open the Node for new pods: kubeboot had closed it before this machine joined again")
            }
            Self::CompleteHook => f.write_str("complete the launch hook: the Node is registered and kubelet answers"),
            Self::Done => f.write_str("nothing: this machine is a node of its cluster"),
        }
    }
}

impl fmt::Display for WorkerWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str("IMDS to say in which state the group wants this machine"),
            Self::Store { object, why } => write!(f, "S3 to answer for {object}: {why}"),
            Self::Denied(object) => write!(
                f,
                "{object}, which S3 does not let this machine read: either no leader has written it yet, or the role lacks \
                 s3:GetObject for join/*, or kms:Decrypt for the bucket's key"
            ),
            Self::Absent(object) => {
                write!(f, "the leader of the control plane to write {object}, which is not there yet; {ASK_THE_LEADER}")
            }
            Self::Blank(object) => write!(
                f,
                "a new cluster: the one of {object} was given up by 'kubeboot retire', and nobody joins it any more"
            ),
            Self::Unreadable { object, why: why @ JoinError::NewerSchema { .. } } => {
                write!(f, "{object} to be one that this kubeboot reads: {why}")
            }
            Self::Unreadable { object, why: why @ (JoinError::TooLarge(_) | JoinError::Malformed(_)) } => {
                write!(f, "{object} to be one that kubeboot has written: {why}; see who may write below join/")
            }
            Self::Generations { cluster, token } => write!(
                f,
                "the leader to publish both for one cluster: join/cluster.json has generation {cluster}, join/token.json {token}; \
                 {ASK_THE_LEADER}"
            ),
            Self::TokenEnded { at } => write!(
                f,
                "a bootstrap token that is valid: the one of join/token.json ended at {}; {ASK_THE_LEADER}",
                humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(*at))
            ),
            Self::OlderApiServer { kubelet, oldest } => write!(
                f,
                "every API server to be as new as this machine's kubelet: kubelet is {kubelet}, the oldest API server {oldest}; \
                 upgrade the control plane, or build the image with an older kubelet"
            ),
            Self::Unfit(defects) => {
                let all: Vec<String> =
                    defects.iter().map(|defect| format!("{} ({})", defect.what, defect.remedy)).collect();
                write!(f, "this machine to be mended: {}", all.join("; "))
            }
            Self::Pause { .. } => f.write_str("the next attempt to join, after a pause that grows to a minute"),
            Self::ApiServer { why } => write!(f, "an API server to say whether this machine's Node is there: {why}"),
            Self::OtherAuthority => f.write_str(
                "the endpoint to show a certificate of this cluster's certificate authority: whoever answers there is of another cluster; \
                 see where the name leads and which machines are behind it, or whether join/cluster.json is the right one",
            ),
            Self::TokenRefused { why } => write!(
                f,
                "the leader of the control plane to publish a token that Kubernetes takes, for it takes that of join/token.json no longer \
                 ({why}); {ASK_THE_LEADER}"
            ),
            Self::Credentials { why } => write!(
                f,
                "kubelet to have credentials that an API server takes: {why}; if it gets none, run 'kubeboot reset --now' here, and this \
                 machine joins anew"
            ),
            Self::Registration { node, restarted: false } => write!(f, "kubelet to register the Node '{node}'"),
            Self::Registration { node, restarted: true } => {
                write!(
                    f,
                    "kubelet, which was restarted, to register the Node '{node}': see 'journalctl -u kubelet'; if it does not, run \
                     'kubeboot reset --now' here, and this machine joins anew"
                )
            }
            Self::NameTaken { node, mark } => {
                // By a provider ID the leader knows when its machine is gone.
                let out = match mark {
                    ForeignMark::ProviderId(_) => {
                        format!("the leader deletes its Node, or 'kubectl delete node {node}' does")
                    }
                    ForeignMark::Address(_) => format!("'kubectl delete node {node}' deletes its Node"),
                };
                write!(
                    f,
                    "the Node '{node}' to be this machine's: it has {mark} of another one; where that is gone, {out}"
                )
            }
            Self::NodeTaken { node, mark } => write!(
                f,
                "the Node '{node}' to be this machine's: it has {mark} of another one, and this machine's kubelet keeps it alive; run \
                 'kubeboot reset --now' here, and this machine joins anew once that Node is gone"
            ),
            Self::ProviderId { node } => write!(
                f,
                "the Node '{node}' to have a provider ID, which kubelet writes only when it registers; if it gets none, run \
                 'kubectl delete node {node}', and this machine registers it anew"
            ),
            Self::Kubelet => f.write_str("kubelet to answer on this machine: see 'journalctl -u kubelet'"),
        }
    }
}

impl fmt::Display for WorkerWipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfAnother { instance } => {
                write!(f, "it was written on {instance}, from whose disk or image this machine was made")
            }
            Self::HalfMade => f.write_str("an earlier attempt to join has not come to its end"),
            Self::Rejoin => f.write_str(
                "join/cluster.json names another cluster than this machine has joined, and 'rejoin' is 'wipe'",
            ),
        }
    }
}

impl fmt::Display for WorkerStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfControlPlane => f.write_str(
                "this machine is a node of a control plane by its disk, and a worker by the setting 'role': correct the setting, or \
                 replace the machine",
            ),
            Self::Unexplained { found } => write!(
                f,
                "kubeadm has been at work here without kubeboot ({}): replace the machine, or run 'kubeboot reset --now' here to have \
                 it join",
                found.join(", ")
            ),
            Self::OtherCluster(how) => {
                let how = match how {
                    OtherCluster::Uid => "the UID of its namespace kube-system is another",
                    OtherCluster::Authority => "its certificate authority is another",
                };
                write!(
                    f,
                    "join/cluster.json names another cluster than this machine has joined ({how}): correct 'bucket' or 'prefix', or \
                     replace the machine; to have it join that cluster, run 'kubeboot reset --now' here, or set 'rejoin' to 'wipe'"
                )
            }
            Self::OtherEndpoint { set, published } => write!(
                f,
                "the setting 'endpoint' is '{set}', and join/cluster.json says '{published}': remove or correct the setting, which a \
                 worker does not need"
            ),
            Self::OldKubelet { kubelet, cluster } => write!(
                f,
                "kubelet is {kubelet} and the cluster {cluster}: Kubernetes wants a kubelet that is at most three minor versions \
                 older; install a newer one in the image"
            ),
        }
    }
}
