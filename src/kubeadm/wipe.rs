//! Wipes a machine, so that it is fresh again. Whether that is allowed is decided elsewhere.
//!
//! A crash in the middle does no harm: the marker is removed last, so the next `up` finds the machine half made and wipes it again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::output::Cause;
use super::pki::{self, PKI_DIR};
use super::run::Kubeadm;
use super::state::Marker;
use super::{data_dir, manifests, withheld};
use crate::host::files;

/// One step of a wipe, in the order of [`plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WipeStep {
    /// `kubeadm reset` without the phase that removes an etcd member.
    Reset {
        /// The container runtime's socket, where there are several.
        cri_socket: Option<String>,
    },
    /// Removing the manifests that are kept from kubelet, before anything else: with the data half removed the guard would put its
    /// own back.
    ForgetAside,
    /// Removing the member's data from etcd's data directory, which kubeadm leaves alone when that phase is skipped.
    EmptyEtcd {
        /// The directory.
        data_dir: PathBuf,
    },
    /// Moving that data aside, in place of removing it.
    MoveEtcdAside {
        /// The directory.
        data_dir: PathBuf,
    },
    /// Emptying `/etc/kubernetes/pki`: the files of a bundle must not outlive its cluster.
    EmptyPki,
    /// Putting the operator's own certificate authorities back.
    RestoreOperatorPki,
    /// Removing the marker.
    RemoveMarker,
}

impl WipeStep {
    /// The step in words, for logs and `--dry-run`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Reset { .. } => "run kubeadm reset, without its phase remove-etcd-member".to_owned(),
            Self::ForgetAside => "remove the manifests that were set aside".to_owned(),
            Self::EmptyEtcd { data_dir } => {
                format!("remove the member's data from etcd's data directory '{}'", data_dir.display())
            }
            Self::MoveEtcdAside { data_dir } => {
                format!("move the member's data aside, within etcd's data directory '{}'", data_dir.display())
            }
            Self::EmptyPki => format!("empty '{PKI_DIR}'"),
            Self::RestoreOperatorPki => format!("put the operator's own files back into '{PKI_DIR}'"),
            Self::RemoveMarker => "remove the marker of this machine's state".to_owned(),
        }
    }
}

/// A wipe has failed at this step.
#[derive(Debug, thiserror::Error)]
#[error("failed to wipe this machine: failed to {0}")]
pub struct WipeFailed(String);

/// What becomes of a member's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberData {
    /// It is removed.
    Removed,
    /// It is moved aside on the same file system.
    MovedAside,
}

/// The steps of a wipe. `data_dir` is the data directory of kubeadm's etcd; `None` when etcd is external.
#[must_use]
pub fn plan(data_dir: Option<&Path>, cri_socket: Option<&str>, data: MemberData) -> Vec<WipeStep> {
    let reset = WipeStep::Reset { cri_socket: cri_socket.map(str::to_owned) };
    let empty = data_dir.map(Path::to_owned).map(|data_dir| match data {
        MemberData::Removed => WipeStep::EmptyEtcd { data_dir },
        MemberData::MovedAside => WipeStep::MoveEtcdAside { data_dir },
    });
    let first = [WipeStep::ForgetAside, reset];
    let last = [WipeStep::EmptyPki, WipeStep::RestoreOperatorPki, WipeStep::RemoveMarker];
    first.into_iter().chain(empty).chain(last).collect()
}

/// Carries out the steps of [`plan`], one after the other. May be repeated after a crash or a failure.
///
/// # Errors
/// [`WipeFailed`] names the step; the steps after it were not begun.
pub async fn wipe(
    kubeadm: &Kubeadm,
    data_dir: Option<&Path>,
    cri_socket: Option<&str>,
    data: MemberData,
) -> Result<()> {
    for step in plan(data_dir, cri_socket, data) {
        let words = step.describe();
        tracing::info!(step = %words, "wiping this machine");
        carry_out(kubeadm, &step).await.context(WipeFailed(words))?;
    }
    Ok(())
}

async fn carry_out(kubeadm: &Kubeadm, step: &WipeStep) -> Result<()> {
    let root = Path::new("/");
    match step {
        WipeStep::Reset { cri_socket } => kubeadm.reset(cri_socket.as_deref()).await.map_err(|failure| {
            let several = failure.cause() == Cause::SeveralRuntimes;
            let error = anyhow::Error::new(failure);
            if several {
                error.context(
                    "this machine has several container runtimes: name the one to use by nodeRegistration.criSocket",
                )
            } else {
                error
            }
        }),
        WipeStep::ForgetAside => manifests::forget_aside(root).and_then(|()| withheld::forget(root)),
        WipeStep::EmptyEtcd { data_dir } => data_dir::remove_member(data_dir),
        WipeStep::MoveEtcdAside { data_dir } => data_dir::move_member_aside(data_dir).map(drop),
        WipeStep::EmptyPki => files::remove_contents(Path::new(PKI_DIR)),
        WipeStep::RestoreOperatorPki => pki::restore_operator_pki(root),
        WipeStep::RemoveMarker => Marker::remove(root),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_membership_is_never_touched_and_the_marker_goes_last() {
        let steps = plan(Some(Path::new("/data/etcd")), None, MemberData::Removed);
        assert!(matches!(steps[..2], [WipeStep::ForgetAside, WipeStep::Reset { .. }]));
        assert_eq!(steps.last(), Some(&WipeStep::RemoveMarker));
        let words: Vec<String> = steps.iter().map(WipeStep::describe).collect();
        assert!(words[1].contains("without its phase remove-etcd-member"));
        assert!(words[2].contains("/data/etcd"));
        let kept = plan(Some(Path::new("/data/etcd")), None, MemberData::MovedAside);
        assert!(!kept.iter().any(|step| matches!(step, WipeStep::EmptyEtcd { .. })), "the data is kept");
        let external = plan(None, None, MemberData::Removed);
        assert!(!external.iter().any(|step| matches!(step, WipeStep::EmptyEtcd { .. })), "that etcd is external");
    }
}
