//! Why a machine may not join because of versions, each with what to do.

use super::verdict::FIRST_BESIDE_3_6;
use crate::model::version::Release;
use std::fmt;

/// Why a machine may not join because of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpgradeRefusal {
    /// Another minor version, and images upgrade nothing here.
    OtherMinor {
        /// Of this machine.
        kubeadm: Release,
        /// Of the cluster.
        cluster: Release,
    },
    /// This machine is older than its cluster.
    Older {
        /// Of this machine.
        here: Release,
        /// Of the cluster.
        cluster: Release,
    },
    /// More than one minor version at once.
    TooFar {
        /// Of this machine.
        here: Release,
        /// Of the cluster.
        cluster: Release,
    },
    /// The kubeadm documents name another version than kubeadm's, and not the cluster's either, or another minor version.
    Documents {
        /// That of the documents.
        documents: Release,
        /// kubeadm's.
        kubeadm: Release,
    },
    /// A version that is more than its three numbers: those alone would be raised to, and from.
    NotWhole {
        /// Whose it is.
        whose: &'static str,
        /// Its numbers.
        version: Release,
    },
    /// kubelet is not of kubeadm's version.
    Kubelet {
        /// kubelet's.
        kubelet: Release,
        /// kubeadm's.
        kubeadm: Release,
    },
    /// The etcd of this image is older than one of the cluster's.
    OlderEtcd {
        /// Of this image.
        here: Release,
        /// Of the member.
        member: Release,
        /// Whose.
        name: String,
    },
    /// etcd 3.6 beside one that is too old for it.
    EtcdTooOld {
        /// Of this image.
        here: Release,
        /// Of the member.
        member: Release,
        /// Whose.
        name: String,
    },
}

impl UpgradeRefusal {
    /// A code for programs. It stays the same when the text changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherMinor { .. } => "other-minor",
            Self::Older { .. } => "older",
            Self::TooFar { .. } => "two-minors",
            Self::Documents { .. } => "documents",
            Self::NotWhole { .. } => "not-whole",
            Self::Kubelet { .. } => "kubelet",
            Self::OlderEtcd { .. } => "older-etcd",
            Self::EtcdTooOld { .. } => "etcd-too-old",
        }
    }
}

/// Ends with what to do.
impl fmt::Display for UpgradeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherMinor { kubeadm, cluster } => write!(
                f,
                "kubeadm is v{kubeadm} here and the cluster is v{cluster}: upgrade the cluster first ('kubeadm upgrade' on a member), or launch \
                 this machine from an image with the cluster's minor version"
            ),
            Self::Older { here, cluster } => write!(
                f,
                "this machine's image is of Kubernetes v{here} and the cluster is v{cluster}, which an older machine may not join: launch \
                 machines from the newer image, or, as long as none of them has joined, take the upgrade back by 'kubeboot upgrade --back' on \
                 a member"
            ),
            Self::TooFar { here, cluster } => write!(
                f,
                "this machine's image is of Kubernetes v{here} and the cluster is v{cluster}: Kubernetes is upgraded by one minor version at a \
                 time, so launch machines from an image of v{}.{} first",
                cluster.major,
                cluster.minor + 1
            ),
            Self::Documents { documents, kubeadm } => write!(
                f,
                "the kubeadm documents of this machine name Kubernetes v{documents} and its kubeadm is v{kubeadm}: leave 'kubernetesVersion' \
                 out of the documents, or make an image with a kubeadm of that version"
            ),
            Self::NotWhole { whose, version } => write!(
                f,
                "the version of {whose} is not v{version} alone, but has a suffix, of a pre-release or a vendor, and images upgrade to and from \
                 releases only: make an image with the release, or upgrade by hand ('kubeadm upgrade')"
            ),
            Self::Kubelet { kubelet, kubeadm } => write!(
                f,
                "kubelet is v{kubelet} here and kubeadm is v{kubeadm}: make an image with both of one version"
            ),
            Self::OlderEtcd { here, member, name } => write!(
                f,
                "this machine would start etcd {here}, and that of {name} is {member}: etcd never gets older, so launch machines from an image \
                 whose kubeadm brings that version or a newer one"
            ),
            Self::EtcdTooOld { here, member, name } => write!(
                f,
                "this machine would start etcd {here}, and that of {name} is {member}, beside which members that were removed may come back: \
                 bring every member to etcd {FIRST_BESIDE_3_6} first, by an image with a later patch version of the cluster's Kubernetes"
            ),
        }
    }
}
