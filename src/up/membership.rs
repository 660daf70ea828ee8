//! What one `up` holds for the membership of etcd: the queue for the lease, credentials, and the cluster's last answers.

use super::evidence::Evidence;
use crate::aws::store::Store;
use crate::model::machine::ids::{ClaimId, MemberId};
use crate::model::membership::members::Members;
use crate::model::membership::starting::Silences;
use crate::model::membership::view::ClusterView;
use crate::model::up::back_off::Repeated;
use crate::node::Facts;
use crate::node::api_servers::ApiServers;
use crate::node::credentials::{Credentials, UP_FOLDER};
use crate::node::lease::Queue;
use crate::node::leaving_unit::LeavingUnit;
use crate::node::upgrade_look::OwnVersions;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tokio::time::Instant;

/// What changes of membership take.
pub struct Membership {
    /// The queue for the membership lease.
    pub(super) lease: Queue,
    /// Where credentials are made.
    pub(super) credentials_folder: PathBuf,
    /// Credentials for the cluster of this claim, as long as they are [young enough](Credentials::is_young).
    pub(super) credentials: Option<(ClaimId, Credentials)>,
    /// The cluster's last answers.
    pub(super) probe: Probe,
    /// Who answers as an API server, while there is no cluster.
    pub(super) api_servers: ApiServers,
    /// How many attempts to join have failed in this run, before kubeadm was started or after.
    pub(super) failed_joins: u32,
    /// Before then no other attempt begins: what the last one has left is cleaned up at once.
    pub(super) next_join: Option<Instant>,
    /// Whether the join that is about to begin does so beside a voter that is starting.
    pub(super) beside_starting: AtomicBool,
    /// Since when voters have been silent, counted from `began`.
    silences: Silences,
    began: Instant,
    /// What else kept this machine from joining, once it had the lease.
    pub(super) blocked: Repeated,
    /// Whether versions and documents were compared with the cluster.
    pub(super) compared: bool,
    /// The versions of this machine's programs, once they were asked.
    pub(super) own_versions: Option<OwnVersions>,
    /// The unit that takes this machine out of the cluster at shutdown.
    pub(super) leaving_unit: LeavingUnit,
}

impl Membership {
    /// Nothing is known of the cluster yet.
    pub(super) fn new(facts: &Facts, store: &Store) -> Self {
        Self {
            lease: Queue::new(store.clone(), facts.machine.instance.clone(), facts.settings.lease_ttl),
            credentials_folder: Path::new(UP_FOLDER).join("credentials"),
            credentials: None,
            probe: Probe::default(),
            api_servers: ApiServers::new(facts.cluster.host.clone(), facts.cluster.port, facts.api_port()),
            failed_joins: 0,
            next_join: None,
            beside_starting: AtomicBool::new(false),
            silences: Silences::default(),
            began: Instant::now(),
            blocked: Repeated::default(),
            compared: false,
            own_versions: None,
            leaving_unit: LeavingUnit::default(),
        }
    }

    /// Which voters of the cluster, as it was just seen, have been silent only lately.
    pub(super) fn silent_lately(&mut self, cluster: &ClusterView) -> Vec<MemberId> {
        match cluster {
            ClusterView::Listed(members) => self.silences.young(members, self.began.elapsed()),
            ClusterView::NoQuorum(_) | ClusterView::Unknown { .. } | ClusterView::NotAsked | ClusterView::External => {
                Vec::new()
            }
        }
    }
}

/// The last answers about the cluster.
#[derive(Debug, Default)]
pub struct Probe {
    pub(super) last: Option<ClusterView>,
    /// When that was asked, while it may serve for another look.
    pub(super) asked: Option<Instant>,
    /// What was read beside the record, while it may serve for another look.
    pub(super) evidence: Option<(Instant, Evidence)>,
    /// Whether the last look took what an earlier one had read.
    pub(super) evidence_reused: bool,
}

impl Probe {
    /// Whether the cluster, when last asked, showed too few answering voters for a quorum, or none. Without a cluster nobody was asked.
    pub fn lacks_quorum(&self) -> bool {
        match &self.last {
            Some(ClusterView::Listed(members)) => !members.has_quorum(),
            Some(ClusterView::NotAsked | ClusterView::External) | None => false,
            Some(ClusterView::Unknown { .. } | ClusterView::NoQuorum(_)) => true,
        }
    }

    /// Whether the cluster, when last asked, said that it has lost its quorum. A list that was read through a quorum says that it has
    /// not, whoever is silent.
    pub fn has_lost_quorum(&self) -> bool {
        matches!(self.last, Some(ClusterView::NoQuorum(_)))
    }

    /// Whether the cluster, when last asked, may have lost its quorum.
    pub fn may_have_lost_quorum(&self) -> bool {
        matches!(self.last, Some(ClusterView::Unknown { .. } | ClusterView::NoQuorum(_)))
    }

    /// The members, as far as any of them told when last asked.
    pub fn members(&self) -> Option<&Members> {
        match &self.last {
            Some(ClusterView::Listed(members) | ClusterView::NoQuorum(members)) => Some(members),
            Some(ClusterView::NotAsked | ClusterView::External | ClusterView::Unknown { .. }) | None => None,
        }
    }

    /// Remembers an answer, but asks anew at the next look.
    pub fn remember(&mut self, cluster: &ClusterView) {
        self.last = Some(cluster.clone());
        self.forget();
    }

    /// Ask anew at the next look.
    pub fn forget(&mut self) {
        self.asked = None;
    }
}
