//! Whether a machine of these versions may join a cluster of those.

use super::look::{EtcdLook, KubernetesUpgrade, UpgradeLook};
use super::refusal::UpgradeRefusal;
use super::wait::UpgradeWait;
use crate::model::version::Release;
use std::cmp::Ordering;

/// The first etcd 3.5 beside which a 3.6 may run: with an older one, members that were removed may come back as voters
/// (etcd's notice of December 2025, etcd-io/etcd#20967).
pub const FIRST_BESIDE_3_6: Release = Release::new(3, 5, 26);
const FIRST_3_6: Release = Release::new(3, 6, 0);

/// What a machine may do about its join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinVerdict {
    /// Join as the cluster is.
    Join,
    /// Raise the version of the cluster's configuration, and join.
    Raise {
        /// The version that it names.
        from: Release,
        /// The version that it is to name.
        to: Release,
    },
    /// Look again.
    Wait(UpgradeWait),
    /// It may not join, until somebody has done something.
    Refuse(UpgradeRefusal),
}

/// Judges a join: before the queue, and again under the lease, right before kubeadm starts.
#[must_use]
pub fn join_verdict(look: &UpgradeLook) -> JoinVerdict {
    match verdict(look) {
        Ok(verdict) => verdict,
        Err(refusal) => JoinVerdict::Refuse(refusal),
    }
}

fn verdict(look: &UpgradeLook) -> Result<JoinVerdict, UpgradeRefusal> {
    let UpgradeLook { here, cluster, .. } = look;
    match look.setting {
        KubernetesUpgrade::Off if here.kubeadm.series() == cluster.series() => {
            // kubelet may be older than the API servers, and never newer.
            let newer = here.kubelet.filter(|kubelet| kubelet.series() > cluster.series());
            return newer.map_or(Ok(JoinVerdict::Join), |kubelet| {
                Err(UpgradeRefusal::Kubelet { kubelet, kubeadm: here.kubeadm })
            });
        }
        KubernetesUpgrade::Off => return Err(UpgradeRefusal::OtherMinor { kubeadm: here.kubeadm, cluster: *cluster }),
        KubernetesUpgrade::ByImage => {}
    }
    // Documents of an earlier patch version may keep a cluster where it is, and nothing else.
    let misleads = here.wanted != here.kubeadm
        && match here.wanted.cmp(cluster) {
            Ordering::Less => here.kubeadm >= *cluster,
            Ordering::Equal => false,
            Ordering::Greater => true,
        };
    if here.wanted.series() != here.kubeadm.series() || misleads {
        return Err(UpgradeRefusal::Documents { documents: here.wanted, kubeadm: here.kubeadm });
    }
    if here.wanted < *cluster {
        return Err(UpgradeRefusal::Older { here: here.wanted, cluster: *cluster });
    }
    if here.wanted.major != cluster.major || here.wanted.minor > cluster.minor + 1 {
        return Err(UpgradeRefusal::TooFar { here: here.wanted, cluster: *cluster });
    }
    let raises = here.wanted > *cluster;
    let named = [
        ("this machine's kubeadm", here.kubeadm),
        ("this machine's kubeadm documents", here.wanted),
        ("the cluster's configuration", *cluster),
    ];
    if raises && let Some((whose, version)) = named.into_iter().find(|(_, version)| !version.is_whole()) {
        return Err(UpgradeRefusal::NotWhole { whose, version });
    }
    if let Some(kubelet) = here.kubelet
        && !fits(kubelet, here.kubeadm, raises)
    {
        return Err(UpgradeRefusal::Kubelet { kubelet, kubeadm: here.kubeadm });
    }
    judge_etcd(look, raises)?;
    Ok(match (awaited(look, raises), raises) {
        (Some(wait), _) => JoinVerdict::Wait(wait),
        (None, true) => JoinVerdict::Raise { from: *cluster, to: here.wanted },
        (None, false) => JoinVerdict::Join,
    })
}

/// Whether two programs of one image belong together. An image that is to raise a cluster's version is to be whole, down to the patch.
fn fits(one: Release, other: Release, raises: bool) -> bool {
    if raises { one == other } else { one.series() == other.series() }
}

/// Whether the etcd that this machine would start may run beside those that are there.
fn judge_etcd(look: &UpgradeLook, raises: bool) -> Result<(), UpgradeRefusal> {
    let EtcdLook::Local(Some(here)) = look.etcd else { return Ok(()) };
    let members = look.servers.iter().filter_map(|server| Some((server, server.etcd?)));
    for (server, member) in members {
        // etcd itself refuses an older minor version. An older patch is no step forward, and none that an image should make.
        let is_older = if raises { here < member } else { here.series() < member.series() };
        if is_older {
            return Err(UpgradeRefusal::OlderEtcd { here, member, name: server.name.clone() });
        }
        if here >= FIRST_3_6 && member < FIRST_BESIDE_3_6 {
            return Err(UpgradeRefusal::EtcdTooOld { here, member, name: server.name.clone() });
        }
    }
    Ok(())
}

/// What a join waits for.
fn awaited(look: &UpgradeLook, raises: bool) -> Option<UpgradeWait> {
    let UpgradeLook { here, cluster, .. } = look;
    let apart: Vec<(String, Release)> = look
        .servers
        .iter()
        .filter_map(|server| Some((server.name.clone(), server.version?)))
        .filter(|(_, version)| match raises {
            // A version between the two, or one of them.
            true => version.series() < cluster.series() || version.series() > here.wanted.series(),
            false => !version.may_run_beside(*cluster),
        })
        .collect();
    if !apart.is_empty() {
        return Some(UpgradeWait::Apart { cluster: *cluster, servers: apart });
    }
    if !raises {
        return None;
    }
    let silent: Vec<String> =
        look.servers.iter().filter(|server| server.version.is_none()).map(|server| server.name.clone()).collect();
    if !silent.is_empty() {
        return Some(UpgradeWait::Silent { servers: silent });
    }
    if look.servers.is_empty() {
        return Some(UpgradeWait::Nobody);
    }
    let joining: Vec<String> = look
        .machines
        .iter()
        .filter(|machine| machine.is_joining && machine.kubeadm != Some(here.kubeadm))
        .map(|machine| machine.name.clone())
        .collect();
    if !joining.is_empty() {
        return Some(UpgradeWait::Joining { machines: joining });
    }
    if here.kubelet.is_none() {
        return Some(UpgradeWait::Program { program: "kubelet" });
    }
    match look.etcd {
        EtcdLook::Local(None) => Some(UpgradeWait::Program { program: "etcd's image" }),
        EtcdLook::Local(Some(_)) => look
            .servers
            .iter()
            .find(|server| server.etcd.is_none())
            .map(|server| UpgradeWait::Etcd { name: server.name.clone() }),
        EtcdLook::External => None,
    }
}
