//! What the leader among the agents does for all: from one look at the cluster to a list of duties.
//!
//! The Lease that makes a leader is no fence: every duty is safe if two do it at once, with any pause between any two writes. What changes
//! etcd's membership is judged once more under the membership lease.
//!
//! | file | question |
//! |---|---|
//! | [`unchanged`] | for how long has something been as it is? |
//! | [`ending`] | which machines of the group are ended without a living agent? |
//! | [`nodes`] | which Nodes are of machines that are gone? |
//! | [`hanging`] | which voter hangs, so that the group should replace it? |

pub mod ending;
pub mod hanging;
pub mod nodes;
#[cfg(test)]
mod tests;
pub mod unchanged;

use crate::model::machine::group::Group;
use crate::model::machine::ids::{InstanceId, MemberId};
use crate::model::membership::instances::Instances;
use crate::model::membership::members::{Member, Members};
use crate::model::membership::reaping::{KeepReason, ReapVerdict, RemovalReason, owners};
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::ClusterRecord;
use nodes::SeenNode;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

pub use unchanged::Unchanged;

/// One look at everything that the duties depend on.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The leader's own machine.
    pub me: InstanceId,
    /// The name of its Node.
    pub my_node: String,
    /// Its Region.
    pub region: String,
    /// The cluster record, in phase `ready`.
    pub record: ClusterRecord,
    /// A certain list of etcd's members; `None` where etcd is external.
    pub members: Option<Members>,
    /// The same as the rules of reaping judge it.
    pub judged: Vec<(Member, ReapVerdict)>,
    /// All registrations that can be read.
    pub registrations: Vec<Registration>,
    /// The group, where it was asked.
    pub group: Option<Group>,
    /// What EC2 says of instances, where it was asked.
    pub instances: Instances,
    /// Addresses at which an API server of the cluster says that it is ready.
    pub ready: Vec<IpAddr>,
    /// For how long the registration of a machine that the group ends has not changed, since this leader has known that it is ended.
    pub quiet: BTreeMap<InstanceId, Duration>,
    /// For how long a voter has not answered this leader.
    pub silent: BTreeMap<MemberId, Duration>,
    /// Nodes that may be of machines that are gone.
    pub nodes: Vec<SeenNode>,
    /// Addresses of instances that EC2 shows as pending or running, with the time of their launch in seconds of the Unix epoch.
    pub live: Vec<(IpAddr, Option<u64>)>,
    /// How long ago this leader had a machine replaced.
    pub replaced: Option<Duration>,
    /// The settings that count here.
    pub rules: Rules,
}

/// The settings that the duties depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How long EC2 must not know an instance before it counts as gone.
    pub gone_grace: Duration,
    /// For how long a voter may hang; nothing is replaced at nought.
    pub unhealthy_after: Duration,
    /// Whether the settings name a terminate hook.
    pub has_hook: bool,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// Remove a member by the rules of reaping.
    Reap(Member, RemovalReason),
    /// Remove the member of a machine that the group ends and whose agent is dead.
    TakeOut(Member, InstanceId),
    /// Complete the terminate hook of such a machine, which is no member any more.
    CompleteHook(InstanceId),
    /// Delete the Node of a machine that is gone.
    DeleteNode(SeenNode, InstanceId),
    /// Have the group replace a machine.
    Replace(InstanceId),
}

impl Duty {
    /// Whether it is done under the membership lease.
    #[must_use]
    pub fn wants_lease(&self) -> bool {
        match self {
            Self::Reap(..) | Self::TakeOut(..) | Self::CompleteHook(_) => true,
            Self::DeleteNode(..) | Self::Replace(_) => false,
        }
    }
}

/// What follows from a look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// What is to be done, in this order.
    pub duties: Vec<Duty>,
    /// What is not done yet, and why.
    pub waits: Vec<String>,
}

/// Decides what is to be done.
#[must_use]
pub fn decide(sight: &Sight) -> Decided {
    let mut decided = Decided::default();
    for (member, verdict) in &sight.judged {
        match verdict {
            ReapVerdict::Remove(why) => decided.duties.push(Duty::Reap(member.clone(), why.clone())),
            ReapVerdict::Keep(KeepReason::Answers | KeepReason::Own) => {}
            ReapVerdict::Keep(
                why @ (KeepReason::Unexplained
                | KeepReason::NotGone(_)
                | KeepReason::AddressLives(_)
                | KeepReason::Quorum),
            ) => {
                decided.waits.push(format!("etcd member {} ('{}') is silent and stays: {why}", member.id, member.name))
            }
        }
    }
    ending::decide(sight, &mut decided);
    hanging::decide(sight, &mut decided);
    decided.duties.extend(sight.nodes.iter().filter_map(|node| nodes::gone(sight, node)));
    decided
}

impl Sight {
    /// Where API servers may run by what machines have registered, for an external etcd, which lists none: on those that are not gone.
    #[must_use]
    pub fn serving(&self) -> Vec<IpAddr> {
        let gone = |found: &Registration| self.instances.is_gone(&found.instance, self.rules.gone_grace);
        let serving = self.registrations.iter().filter(|found| found.may_serve() && !gone(found));
        serving.filter_map(|found| found.addresses.first().copied()).collect()
    }

    /// The one machine whose registration explains this member.
    fn owner(&self, member: &Member) -> Option<&Registration> {
        match owners(self.registrations.iter(), member)[..] {
            [owner] => Some(owner),
            [] | [_, ..] => None,
        }
    }

    /// The members that the registration of this machine explains.
    fn members_of(&self, instance: &InstanceId) -> impl Iterator<Item = &Member> {
        let explained = move |member: &&Member| {
            owners(self.registrations.iter(), member).iter().any(|owner| owner.instance == *instance)
        };
        self.members.iter().flat_map(|members| &members.0).filter(explained)
    }

    fn is_gone(&self, instance: &InstanceId) -> bool {
        self.instances.is_gone(instance, self.rules.gone_grace)
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reap(member, why) => write!(f, "removes etcd member {} ('{}'): {why}", member.id, member.name),
            Self::TakeOut(member, instance) => write!(
                f,
                "removes etcd member {} ('{}'): the group ends its machine {instance}, whose agent gives no sign of life",
                member.id, member.name
            ),
            Self::CompleteHook(instance) => write!(
                f,
                "completes the terminate hook of {instance}: it is no member any more, and its agent gives no sign of life"
            ),
            Self::DeleteNode(node, instance) => {
                write!(f, "deletes the Node '{}': its machine {instance} is gone", node.name)
            }
            Self::Replace(instance) => {
                write!(f, "has the group replace {instance}: it runs, and its etcd does not answer")
            }
        }
    }
}
