//! A running kubelet registers its Node once, when it starts. Whoever deletes that Node, or restores a cluster that never had it, leaves
//! a machine that serves nobody until kubelet is restarted.

use super::decide::difference;
use super::snapshot::{ClusterIdentity, Fetched};
use super::step::{OtherCluster, WorkerStop};
use crate::model::joining::{Join, JoinCluster};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// How long an API server must have had no Node of this machine.
pub const GONE_GRACE: Duration = Duration::from_mins(2);
/// The same of a machine whose join was never completed: kubelet was restarted meanwhile, and has registered nothing.
pub const GIVEN_UP_GRACE: Duration = Duration::from_mins(5);

/// How long every answer must refuse a machine's credentials before that counts: an API server that has just started, or one of several
/// behind the endpoint, may do so once.
pub const REFUSED_GRACE: Duration = Duration::from_secs(30);

/// What an API server under this machine's authority says of its Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeView {
    /// Nobody was asked: this machine has no credentials of a node yet.
    NotAsked,
    /// Nobody answered, or not with a Node.
    Silent {
        /// Why.
        why: String,
    },
    /// Whoever answers at the endpoint shows a certificate of another authority than the cluster has.
    OtherAuthority,
    /// The API server does not take this machine's credentials, or they cannot be used at all.
    Refused {
        /// Why.
        why: String,
        /// Since when, without another answer, by this machine's own clock.
        lasted: Duration,
    },
    /// There is none of its name.
    Missing {
        /// Since when, without a pause, by this machine's own clock.
        lasted: Duration,
    },
    /// It is there, by this machine's own provider ID.
    Mine,
    /// There is one of its name that another machine has.
    OfAnother {
        /// What shows that.
        mark: ForeignMark,
    },
    /// There is one of its name without a provider ID: kubelet or the cloud controller manager is about to write it.
    Unnamed,
}

/// What shows that a Node is another machine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignMark {
    /// Its provider ID.
    ProviderId(String),
    /// Its address, where it has no provider ID: that of a machine which kubeboot has not set up.
    Address(IpAddr),
}

impl fmt::Display for ForeignMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProviderId(id) => write!(f, "the provider ID '{}'", id.escape_debug()),
            Self::Address(address) => write!(f, "the address {address}"),
        }
    }
}

/// Whether kubelet is to be restarted now. `restarted`: it was already, since the Node has been missing. A machine that leaves for good
/// registers nothing anew.
#[must_use]
pub fn restarts_kubelet(node: &NodeView, restarted: bool, leaves: bool) -> bool {
    match node {
        NodeView::Missing { lasted } => *lasted >= GONE_GRACE && !restarted && !leaves,
        NodeView::NotAsked
        | NodeView::Silent { .. }
        | NodeView::OtherAuthority
        | NodeView::Refused { .. }
        | NodeView::Mine
        | NodeView::OfAnother { .. }
        | NodeView::Unnamed => false,
    }
}

/// Why kubelet is not restarted although its Node is gone: it would register this machine with whoever answers at the endpoint under the same
/// authority, and nobody would have to let it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unregistered {
    /// The published cluster is another one.
    OtherCluster(OtherCluster),
    /// That cluster was given up.
    Retired,
    /// S3 does not say which cluster is published.
    Unknown {
        /// Why.
        why: String,
    },
}

/// Whether the cluster of `join/` keeps a machine that is a node of the cluster `here` from registering anew. `identity`: how a published
/// cluster is told from others. Where nothing is published, nobody says that there is another cluster.
#[must_use]
pub fn unregistered(
    here: &ClusterIdentity,
    published: &Fetched<JoinCluster>,
    identity: impl Fn(&JoinCluster) -> ClusterIdentity,
) -> Option<Unregistered> {
    match published {
        Fetched::Read(Ok(Join::Published(cluster))) => {
            difference(here, &identity(cluster)).map(Unregistered::OtherCluster)
        }
        Fetched::Read(Ok(Join::Blank { .. })) => Some(Unregistered::Retired),
        Fetched::Silent { why } => Some(Unregistered::Unknown { why: why.clone() }),
        Fetched::NotAsked | Fetched::Denied | Fetched::Absent | Fetched::Read(Err(_)) => None,
    }
}

impl fmt::Display for Unregistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCluster(how) => WorkerStop::OtherCluster(*how).fmt(f),
            Self::Retired => f.write_str(
                "the cluster was given up by 'kubeboot retire': replace the machine, or run 'kubeboot reset --now' here to have it join the \
                 next one",
            ),
            Self::Unknown { why } => write!(f, "S3 has to say first that join/cluster.json is of the same cluster: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::joining::JoinError;
    use crate::model::machine::ids::Uid;

    #[test]
    fn no_machine_registers_in_a_cluster_that_may_be_another_one() {
        let of = |cluster: &JoinCluster| ClusterIdentity {
            kube_system_uid: cluster.kube_system_uid.clone(),
            authorities: vec![cluster.ca_pem.clone()],
        };
        let own = JoinCluster::sample(3);
        let here = of(&own);
        let published = |cluster: JoinCluster| Fetched::Read(Ok(Join::Published(cluster)));
        let changed = |change: &dyn Fn(&mut JoinCluster)| {
            let mut cluster = own.clone();
            change(&mut cluster);
            published(cluster)
        };
        let uid = Uid::parse("00000000-8b86-4011-b42d-00c04fc964ff").expect("a UID");
        let silent = Fetched::Silent { why: "no answer".into() };
        let rows = [
            (changed(&|_| {}), None),
            // A restore leaves both as they were.
            (changed(&|cluster| cluster.generation = 4), None),
            (
                changed(&|cluster| cluster.kube_system_uid = uid.clone()),
                Some(Unregistered::OtherCluster(OtherCluster::Uid)),
            ),
            (
                changed(&|cluster| cluster.ca_pem = "another".into()),
                Some(Unregistered::OtherCluster(OtherCluster::Authority)),
            ),
            (Fetched::Read(Ok(Join::Blank { generation: 3 })), Some(Unregistered::Retired)),
            (silent, Some(Unregistered::Unknown { why: "no answer".into() })),
            (Fetched::Denied, None),
            (Fetched::Absent, None),
            (Fetched::NotAsked, None),
            (Fetched::Read(Err(JoinError::Malformed("x"))), None),
        ];
        for (published, expected) in rows {
            let found = unregistered(&here, &published, of);
            assert_eq!(found, expected, "{published:?}");
            assert!(found.is_none_or(|why| !why.to_string().is_empty()));
        }
    }

    #[test]
    fn kubelet_is_restarted_once_after_two_minutes_and_never_while_the_machine_leaves() {
        let missing = |seconds| NodeView::Missing { lasted: Duration::from_secs(seconds) };
        let rows = [
            (missing(120), false, false, true),
            (missing(119), false, false, false),
            (missing(3600), true, false, false),
            (missing(3600), false, true, false),
            (NodeView::NotAsked, false, false, false),
            (NodeView::Silent { why: "refused".into() }, false, false, false),
            (NodeView::Refused { why: "401".into(), lasted: GONE_GRACE }, false, false, false),
            (NodeView::Mine, false, false, false),
            (NodeView::OfAnother { mark: ForeignMark::ProviderId("aws:///a/i-00000002".into()) }, false, false, false),
            (NodeView::Unnamed, false, false, false),
        ];
        for (node, restarted, leaves, expected) in rows {
            assert_eq!(restarts_kubelet(&node, restarted, leaves), expected, "{node:?} {restarted} {leaves}");
        }
    }
}
