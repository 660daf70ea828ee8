//! What is compared: the programs of a machine with those of its cluster.

use crate::model::version::Release;
use std::time::Duration;

/// The setting `kubernetes_upgrade`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum KubernetesUpgrade {
    /// A machine of another minor version joins no cluster.
    #[default]
    Off,
    /// A machine whose image is newer raises the cluster's version, and joins.
    ByImage,
}

/// The versions of one machine's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageVersions {
    /// Its kubeadm.
    pub kubeadm: Release,
    /// Its kubelet. `None` where it did not tell.
    pub kubelet: Option<Release>,
    /// The version of Kubernetes that it is for: that of its kubeadm documents, or else kubeadm's own.
    pub wanted: Release,
}

/// One machine on which an API server of the cluster runs or may run: every listed etcd member's, learners included, but for one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiServerSeen {
    /// How it is named in messages.
    pub name: String,
    /// The version of its API server; `None` where it is silent.
    pub version: Option<Release>,
    /// The version of its etcd; `None` where it is silent, or etcd is external.
    pub etcd: Option<Release>,
}

/// Another machine that lives and is not registered as joined, as its registration tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineSeen {
    /// How it is named in messages.
    pub name: String,
    /// Its kubeadm; `None` where it did not tell.
    pub kubeadm: Option<Release>,
    /// Whether its kubeadm may be joining at this moment.
    pub is_joining: bool,
    /// Where EC2 does not know it: how long it must still leave it out of its answers before the machine counts as gone.
    pub gone_in: Option<Duration>,
}

/// What is known of etcd, where kubeadm runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EtcdLook {
    /// It is external: nobody here changes its version.
    External,
    /// The version that this machine's kubeadm starts; `None` where it did not tell.
    Local(Option<Release>),
}

/// Everything that decides whether a machine may join. Read in this order: the cluster's version, then who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeLook {
    /// The setting of this machine.
    pub setting: KubernetesUpgrade,
    /// This machine.
    pub here: ImageVersions,
    /// etcd.
    pub etcd: EtcdLook,
    /// `kubernetesVersion` in `kubeadm-config`.
    pub cluster: Release,
    /// The API servers. With the setting `off` nobody needs to ask them.
    pub servers: Vec<ApiServerSeen>,
    /// The other machines that live, have registered, and not as joined.
    pub machines: Vec<MachineSeen>,
}
