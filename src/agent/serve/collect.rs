//! What metrics tell of this machine and of etcd around it: files and etcd alone, never AWS.

use super::board::Board;
use crate::etcd::{self, Access};
use crate::host::{boottime, files};
use crate::kubeadm::manifests::place;
use crate::kubeadm::state::Marker;
use crate::model::agent::served::Source;
use crate::model::agent::served::machine::{Alarms, EtcdSeen, MachineSeen, OwnMember, quota};
use crate::model::membership::view::ClusterView;
use crate::model::renew::KUBELET_CLIENT;
use crate::node::credentials::MEMBER_ETCD;
use crate::node::{Facts, certificates, up_end};
use crate::reset::survey::{add_members, by_manifest};
use anyhow::Result;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// How long etcd may take for one question. A member that lives answers within milliseconds.
const STEP: Duration = Duration::from_secs(1);
/// The largest manifest, in bytes.
const LIMIT: u64 = 256 * 1024;

/// Looks at this machine, and remembers what only this process knows.
pub(super) struct MachineLooker {
    facts: Facts,
    board: Board,
    remembered: Remembered,
}

/// What one look leaves for the next.
#[derive(Debug, Clone, Default)]
struct Remembered {
    /// Where members were when a list was last read.
    members: Vec<IpAddr>,
    /// When that was read through a quorum.
    listed: Option<Duration>,
}

impl MachineLooker {
    pub(super) fn new(facts: Facts, board: Board) -> Self {
        Self { facts, board, remembered: Remembered::default() }
    }

    /// One look. Whoever does not answer is left out of it.
    pub(super) async fn look(&mut self) -> MachineSeen {
        let etcd = self.etcd().await;
        if let Some(etcd) = &etcd {
            self.board.hear(Source::Etcd, etcd.is_listed());
        }
        let certificates = certificate_ends();
        self.board.hear(Source::Certificates, certificates.is_ok());
        let certificates = certificates.unwrap_or_else(|error| {
            tracing::debug!("{error:#}");
            Vec::new()
        });
        MachineSeen { at: boottime::now(), etcd, certificates, up: up_end::load() }
    }

    /// `None` where etcd is external, or this machine belongs to no cluster by its own word.
    async fn etcd(&mut self) -> Option<EtcdSeen> {
        if self.facts.external_etcd() {
            return None;
        }
        let recorded = Marker::load(Path::new("/")).ok().flatten()?.recorded_etcd()?;
        let addresses = self.facts.machine.addresses.clone();
        let view = match Access::from_folder(Path::new(MEMBER_ETCD), recorded) {
            Ok(access) => return Some(self.members(&access, addresses).await),
            Err(error) => ClusterView::Unknown { why: format!("{error:#}") },
        };
        Some(EtcdSeen { view, listed: self.remembered.listed, addresses, own: None, alarms: None })
    }

    async fn members(&mut self, access: &Access, addresses: Vec<IpAddr>) -> EtcdSeen {
        let mut asked = addresses.clone();
        let others = by_manifest().into_iter().chain(self.remembered.members.iter().copied());
        asked.extend(others.filter(|other| !addresses.contains(other)));
        let (view, own) = tokio::join!(
            etcd::observe_within(access, &asked, STEP),
            timeout(STEP, etcd::status(access, self.facts.machine.addresses[0]))
        );
        let own = own.ok().and_then(Result::ok);
        if let ClusterView::Listed(_) = view {
            self.remembered.listed = Some(boottime::now());
            self.remembered.members.clear();
            add_members(&mut self.remembered.members, &view);
        }
        let listed = self.remembered.listed;
        let alarms = own.as_ref().map(|own| Alarms::of(&own.errors));
        let own = own.map(|own| OwnMember {
            id: own.id,
            leader: own.leader,
            size: own.size,
            in_use: own.in_use,
            quota: quota(own.quota, &manifest()),
        });
        EtcdSeen { view, listed, addresses, own, alarms }
    }
}

/// The manifest of this machine's etcd; nothing where there is none.
fn manifest() -> String {
    let bytes = files::read_if_there(&place("etcd.yaml"), LIMIT).ok().flatten();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// Every certificate and when it ends, in seconds since 1970.
fn certificate_ends() -> Result<Vec<(String, f64)>> {
    let root = Path::new("/");
    let unix = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut found: Vec<_> = certificates::read(root)?.into_iter().map(|each| (each.file, unix(each.ends))).collect();
    if let Some(ends) = certificates::kubelet_ends(root)? {
        found.push((KUBELET_CLIENT.to_owned(), unix(ends)));
    }
    Ok(found)
}
