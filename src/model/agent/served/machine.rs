//! What is seen of this machine when its metrics are asked for.

use crate::model::machine::ids::MemberId;
use crate::model::membership::members::{Member, Members};
use crate::model::membership::view::ClusterView;
use std::net::IpAddr;
use std::time::Duration;

/// What etcd takes as its quota where none is given, or nought: its documentation, `--quota-backend-bytes`.
const DEFAULT_QUOTA: u64 = 2 * 1024 * 1024 * 1024;
/// The argument that sets it.
const QUOTA: &str = "--quota-backend-bytes=";

/// One look at this machine, and at etcd around it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MachineSeen {
    /// When it was taken.
    pub at: Duration,
    /// etcd; `None` where it is external, or this machine belongs to no cluster.
    pub etcd: Option<EtcdSeen>,
    /// The certificates on the disk, and when each ends, in seconds since 1970.
    pub certificates: Vec<(String, f64)>,
    /// How `kubeboot up` last ended.
    pub up: Option<UpSeen>,
}

/// etcd as this machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdSeen {
    /// The members.
    pub view: ClusterView,
    /// When a list was last read through a quorum.
    pub listed: Option<Duration>,
    /// This machine's addresses.
    pub addresses: Vec<IpAddr>,
    /// This machine's own member, if it answers.
    pub own: Option<OwnMember>,
    /// Alarms of all members, if somebody told.
    pub alarms: Option<Alarms>,
}

/// What this machine's own member says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnMember {
    /// Its ID.
    pub id: MemberId,
    /// Who leads etcd, as far as it knows.
    pub leader: Option<MemberId>,
    /// Bytes of its database file.
    pub size: u64,
    /// Those that are in use.
    pub in_use: u64,
    /// Those that it may grow to; `None` without a limit.
    pub quota: Option<u64>,
}

/// How many members have raised each alarm, as every member knows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alarms {
    /// The database is full: nothing can be written any more.
    pub nospace: usize,
    /// The data of the members differs.
    pub corrupt: usize,
}

impl Alarms {
    /// By the errors of one member's status, such as `memberID:10501334649042878790 alarm:NOSPACE`. A call for the alarms alone would go
    /// through etcd's log each time.
    #[must_use]
    pub fn of(errors: &[String]) -> Self {
        let raised =
            |alarm: &str| errors.iter().filter(|error| error.split_whitespace().any(|word| word == alarm)).count();
        Self { nospace: raised("alarm:NOSPACE"), corrupt: raised("alarm:CORRUPT") }
    }
}

/// How `kubeboot up` last ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpSeen {
    /// Its exit code.
    pub code: u8,
    /// Whether nothing changes until somebody has done something.
    pub is_stopped: bool,
    /// When, in seconds since 1970.
    pub at: f64,
    /// Since when each run has ended with this code, in seconds since 1970.
    pub since: f64,
}

impl EtcdSeen {
    /// The list, certain or not.
    #[must_use]
    pub fn members(&self) -> Option<&Members> {
        match &self.view {
            ClusterView::Listed(members) | ClusterView::NoQuorum(members) => Some(members),
            ClusterView::NotAsked | ClusterView::Unknown { .. } | ClusterView::External => None,
        }
    }

    /// Whether a list was read through a quorum, now.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        matches!(self.view, ClusterView::Listed(_))
    }

    /// What this machine is in etcd: one of [`ROLES`].
    #[must_use]
    pub fn role(&self) -> &'static str {
        match &self.view {
            ClusterView::Listed(members) => match members.at(&self.addresses) {
                Some(Member { learner: true, .. }) => "learner",
                Some(_) => "voter",
                None => "none",
            },
            ClusterView::NoQuorum(_) | ClusterView::NotAsked | ClusterView::Unknown { .. } | ClusterView::External => {
                "unknown"
            }
        }
    }
}

/// The words of the label `role`.
pub const ROLES: [&str; 4] = ["voter", "learner", "none", "unknown"];

/// How large etcd's database may grow, by its own word (etcd 3.6), or else by its manifest. `None` where there is no limit.
#[must_use]
pub fn quota(said: i64, manifest: &str) -> Option<u64> {
    let flag = || manifest.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(QUOTA));
    let given = if said > 0 { said } else { flag().and_then(|value| value.trim().parse().ok()).unwrap_or(0) };
    match u64::try_from(given) {
        Ok(0) => Some(DEFAULT_QUOTA),
        Ok(bytes) => Some(bytes),
        Err(_) => None,
    }
}
