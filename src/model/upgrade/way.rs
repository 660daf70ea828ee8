//! The whole way of an upgrade, before and while anybody goes it: for `kubeboot upgrade --dry-run`.

use super::look::{ApiServerSeen, EtcdLook, ImageVersions, KubernetesUpgrade, MachineSeen, UpgradeLook};
use super::progress::{ClusterVersions, MachineVersions, UpgradeStage, upgrade_progress};
use super::rest::RestStep;
use super::verdict::{JoinVerdict, join_verdict};
use crate::model::version::Release;
use std::fmt;

/// What is asked: from this cluster to that version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayLook {
    /// The image that machines would be launched from.
    pub image: ImageVersions,
    /// The etcd that its kubeadm starts, as far as that is known here.
    pub etcd: EtcdLook,
    /// The cluster.
    pub versions: ClusterVersions,
    /// Its control-plane machines, each with the version of its etcd.
    pub machines: Vec<(MachineVersions, Option<Release>)>,
    /// The other machines that live, have registered, and not as joined.
    pub registered: Vec<MachineSeen>,
}

/// The way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeWay {
    /// The version that the cluster's configuration names.
    pub cluster: Release,
    /// The version to come to.
    pub to: Release,
    /// What happens, in order; nothing where a machine of that image may not join.
    pub steps: Vec<WayStep>,
    /// What would be in the way now.
    pub obstacle: Option<WayObstacle>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayStep {
    /// Whether it is done.
    pub done: bool,
    /// Who does what.
    pub text: String,
}

/// What would be in the way of the first machine now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WayObstacle {
    /// It may not join at all.
    Refused(String),
    /// It would wait.
    Waits(String),
}

/// Makes the way.
#[must_use]
pub fn upgrade_way(look: &WayLook) -> UpgradeWay {
    let (cluster, to) = (look.versions.cluster, look.image.wanted);
    let obstacle = match join_verdict(&joined(look)) {
        JoinVerdict::Join | JoinVerdict::Raise { .. } => None,
        JoinVerdict::Wait(wait) => Some(WayObstacle::Waits(wait.to_string())),
        JoinVerdict::Refuse(refusal) => Some(WayObstacle::Refused(refusal.to_string())),
    };
    let steps = match obstacle {
        Some(WayObstacle::Refused(_)) => Vec::new(),
        Some(WayObstacle::Waits(_)) | None => steps(look),
    };
    UpgradeWay { cluster, to, steps, obstacle }
}

/// The first machine of that image, as if its setting let it upgrade.
fn joined(look: &WayLook) -> UpgradeLook {
    let server = |(machine, etcd): &(MachineVersions, Option<Release>)| ApiServerSeen {
        name: machine.name.clone(),
        version: machine.api_server,
        etcd: *etcd,
    };
    UpgradeLook {
        setting: KubernetesUpgrade::ByImage,
        here: look.image,
        etcd: look.etcd,
        cluster: look.versions.cluster,
        servers: look.machines.iter().map(server).collect(),
        machines: look.registered.clone(),
    }
}

fn steps(look: &WayLook) -> Vec<WayStep> {
    let (cluster, to) = (look.versions.cluster, look.image.wanted);
    let machines: Vec<MachineVersions> = look.machines.iter().map(|(machine, _)| machine.clone()).collect();
    let is_new = |machine: &MachineVersions| machine.api_server == Some(to);
    let is_raised = cluster == to;
    let has_begun = is_raised && machines.iter().any(is_new);
    let has_ended = is_raised && !machines.is_empty() && machines.iter().all(is_new);
    let progress = upgrade_progress(&look.versions, machines.clone()).filter(|_| is_raised);
    // Once it is raised, the configuration names the new one alone.
    let before = progress.as_ref().map_or(cluster, |progress| progress.from);
    let from = if before == to { String::new() } else { format!(" from v{before}") };
    let is_whole = has_ended && progress.is_none_or(|progress| progress.stage == UpgradeStage::Done);
    let others: Vec<String> = machines.iter().filter(|machine| !is_new(machine)).map(told).collect();
    let others = if others.is_empty() { String::new() } else { format!(": {}", others.join(", ")) };
    let rest: Vec<String> = RestStep::ALL.iter().map(ToString::to_string).collect();
    let step = |done, text: String| WayStep { done, text };
    vec![
        step(
            has_begun,
            format!(
                "you make an image with kubeadm and kubelet of v{to}, and with kubernetes_upgrade = \"by-image\" in its settings; 'kubeboot check' \
                 on a machine of it says whether it may upgrade this cluster"
            ),
        ),
        step(has_begun, "you give the image to the group of the control plane, and refresh the group".to_owned()),
        step(
            is_raised,
            format!(
                "the first machine of it raises the version in kubeadm-config{from} to v{to} once every API server answers, and joins; \
                 older images join no more. Until it has joined, 'kubeboot upgrade --back' on a member takes that back"
            ),
        ),
        step(has_ended, format!("the refresh replaces the other machines, one after the other{others}")),
        step(is_whole, format!("the leader among the agents brings {} to v{to}", rest.join(", "))),
        step(false, "you give the image to the groups of workers, and refresh them".to_owned()),
    ]
}

fn told(machine: &MachineVersions) -> String {
    match machine.api_server {
        Some(version) => format!("{} (v{version})", machine.name),
        None => format!("{} (does not answer)", machine.name),
    }
}

/// A page.
impl fmt::Display for UpgradeWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, to, steps, obstacle } = self;
        match steps.is_empty() {
            true => writeln!(f, "The cluster's configuration names v{cluster}. There is no way to v{to} now.")?,
            false => writeln!(f, "The cluster's configuration names v{cluster}. The way to v{to}:\n")?,
        }
        for (at, WayStep { done, text }) in steps.iter().enumerate() {
            writeln!(f, "{}. {}{text}", at + 1, if *done { "(done) " } else { "" })?;
        }
        match obstacle {
            None => write!(f, "\nNothing is in the way of the next machine of that image."),
            Some(WayObstacle::Waits(what)) => write!(f, "\nNow, the next machine of that image would wait for {what}."),
            Some(WayObstacle::Refused(why)) => write!(f, "\nA machine of that image may not join: {why}."),
        }
    }
}
