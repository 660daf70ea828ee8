//! How far an upgrade has come: from where to where, who is where, what is left. For `status` and for `kubeboot upgrade --dry-run`.

use super::look::KubernetesUpgrade;
use super::outcome::RestOutcome;
use super::rest::rest_before;
use crate::model::version::Release;
use std::fmt;

/// What is known of the versions of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterVersions {
    /// The setting of the machine that asks.
    pub setting: KubernetesUpgrade,
    /// `kubernetesVersion` in `kubeadm-config`.
    pub cluster: Release,
    /// The version that the cluster was made with, by its record.
    pub made: Release,
    /// What came of the rest of the last upgrade; nothing where none was done, or what was kept cannot be read.
    pub outcome: Option<RestOutcome>,
    /// The version of kube-proxy, where it is installed.
    pub kube_proxy: Option<Release>,
}

/// The versions on one control-plane machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineVersions {
    /// How it is named.
    pub name: String,
    /// Of its API server; nothing where that is silent.
    pub api_server: Option<Release>,
    /// Of its kubelet, where that is known.
    pub kubelet: Option<Release>,
}

/// Where an upgrade stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpgradeStage {
    /// API servers are of another version than the configuration names, or have not told theirs.
    ControlPlane,
    /// All of them are of it, and add-ons and the rest are not.
    Rest,
    /// Nothing is left on the control plane.
    Done,
}

impl UpgradeStage {
    /// Its word for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Rest => "rest",
            Self::Done => "done",
        }
    }
}

/// How far an upgrade has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeProgress {
    /// The version before it.
    pub from: Release,
    /// The version that the cluster's configuration names.
    pub to: Release,
    /// Where it stands.
    pub stage: UpgradeStage,
    /// The control-plane machines.
    pub machines: Vec<MachineVersions>,
    /// What is left, in order.
    pub left: Vec<String>,
    /// What came of add-ons and the rest, if that is about this upgrade.
    pub rest: Option<RestOutcome>,
}

impl UpgradeProgress {
    /// Whether this machine's API server is of the version that the configuration names.
    #[must_use]
    pub fn is_new(&self, machine: &MachineVersions) -> bool {
        machine.api_server == Some(self.to)
    }

    /// Why add-ons and the rest are not what they should be, if doing them has failed.
    #[must_use]
    pub fn failure(&self) -> Option<&RestOutcome> {
        self.rest.as_ref().filter(|rest| self.stage == UpgradeStage::Rest && !rest.done)
    }
}

/// How far the upgrade has come; nothing where none was ever seen here.
#[must_use]
pub fn upgrade_progress(versions: &ClusterVersions, machines: Vec<MachineVersions>) -> Option<UpgradeProgress> {
    let to = versions.cluster;
    let before = rest_before(versions.outcome.as_ref(), versions.made, versions.kube_proxy);
    let rest = versions.outcome.clone().filter(|outcome| outcome.to == to);
    let oldest = machines.iter().filter_map(|machine| machine.api_server).min();
    let is_mixed = machines.iter().any(|machine| machine.api_server.is_some_and(|version| version != to));
    // By hand whoever upgrades sees to the rest, and nobody here knows whether it was done.
    let rest_is_left = before < to && (versions.setting == KubernetesUpgrade::ByImage || rest.is_some());
    let all_told = !machines.is_empty() && machines.iter().all(|machine| machine.api_server.is_some());
    let stage = match (is_mixed, rest_is_left, &rest) {
        (true, ..) => UpgradeStage::ControlPlane,
        (false, true, _) if all_told => UpgradeStage::Rest,
        (false, true, _) => UpgradeStage::ControlPlane,
        (false, false, Some(_)) => UpgradeStage::Done,
        (false, false, None) => return None,
    };
    let from = match (stage, &rest) {
        (UpgradeStage::Done, Some(rest)) => rest.from,
        (UpgradeStage::Done | UpgradeStage::Rest, _) => before,
        (UpgradeStage::ControlPlane, _) => oldest.filter(|oldest| *oldest < to).unwrap_or(before),
    };
    let mut progress = UpgradeProgress { from, to, stage, machines, left: Vec::new(), rest };
    progress.left = left(&progress, rest_is_left);
    Some(progress)
}

fn left(progress: &UpgradeProgress, rest_is_left: bool) -> Vec<String> {
    let (mut left, to) = (Vec::new(), progress.to);
    if progress.stage == UpgradeStage::Done {
        return left;
    }
    let named = |wanted: &dyn Fn(Release) -> bool| {
        let found = progress.machines.iter().filter_map(|machine| Some((&machine.name, machine.api_server?)));
        let found = found.filter(|(_, version)| wanted(*version));
        found.map(|(name, version)| format!("{name} (v{version})")).collect::<Vec<_>>().join(", ")
    };
    let (older, newer) = (named(&|version| version < to), named(&|version| version > to));
    if !older.is_empty() {
        left.push(format!("machines to replace by ones of v{to}: {older}"));
    }
    if !newer.is_empty() {
        left.push(format!(
            "newer than the cluster's configuration, as after an upgrade by hand that was cut off: {newer}"
        ));
    }
    let silent: Vec<&str> = progress
        .machines
        .iter()
        .filter(|machine| machine.api_server.is_none())
        .map(|machine| machine.name.as_str())
        .collect();
    if !silent.is_empty() {
        left.push(format!("API servers that do not answer: {}", silent.join(", ")));
    }
    if rest_is_left {
        left.push(match progress.failure() {
            Some(RestOutcome { attempts, error: Some(error), .. }) => {
                format!("add-ons, kubelet's configuration and RBAC, which the leader tries again (failed {attempts} times): {error}")
            }
            Some(_) | None => format!("add-ons, kubelet's configuration and RBAC, which the leader brings to v{to} by itself"),
        });
    }
    left.push("then the workers, by a refresh of their groups".to_owned());
    left
}

/// One sentence.
impl fmt::Display for UpgradeProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new = self.machines.iter().filter(|machine| self.is_new(machine)).count();
        let (from, to, all) = (self.from, self.to, self.machines.len());
        match self.stage {
            UpgradeStage::ControlPlane if all == 0 => {
                write!(f, "from v{from} to v{to}: nobody has told which API servers there are")
            }
            UpgradeStage::ControlPlane => {
                write!(
                    f,
                    "from v{from} to v{to}: {new} of {all} API servers {} new",
                    if new == 1 { "is" } else { "are" }
                )
            }
            UpgradeStage::Rest => {
                write!(f, "from v{from} to v{to}: all API servers are new, add-ons and the rest are not")
            }
            UpgradeStage::Done => {
                let at = self.rest.as_ref().map(|rest| format!(" since {}", rest.at)).unwrap_or_default();
                write!(f, "from v{from} to v{to}: done{at}")
            }
        }
    }
}
