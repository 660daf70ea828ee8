//! The state of a worker on this machine's disk, and which machine wrote it.
//!
//! As on a control-plane machine a marker is written before kubeadm starts, and again when the Node was seen. It names the cluster by what
//! a restore leaves as it was: the UID of `kube-system` and the authority.

use super::manifests::DEFAULT_DATA_DIR;
use super::pki::{ca_hashes, digest};
use super::state::{self, Marker};
use crate::host::files;
use crate::model::joining::JoinCluster;
use crate::model::machine::ids::{InstanceId, Uid};
use crate::model::worker::snapshot::{ClusterIdentity, WorkerLocal};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The marker's place on the disk, without the leading slash.
const MARKER: &str = "var/lib/kubeboot/worker.json";
/// The schema that this program writes and reads.
const SCHEMA: u32 = 1;
/// The largest marker, in bytes.
const LIMIT: u64 = 16 * 1024;
/// kubelet's credentials, once it has any.
pub const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";

/// The credentials with which it asks for those: the bootstrap token.
pub const BOOTSTRAP_CONF: &str = "/etc/kubernetes/bootstrap-kubelet.conf";

/// How far a worker has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerStage {
    /// `kubeadm join` was about to start.
    Joining,
    /// Its Node was seen.
    Joined,
}

/// The marker file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerMarker {
    schema: u32,
    /// The instance that wrote it. Another one means a baked image or a restored volume.
    pub instance: InstanceId,
    /// How far it has got.
    pub stage: WorkerStage,
    /// UID of the cluster's `kube-system` namespace.
    pub kube_system_uid: Uid,
    /// The hashes of its authorities' public keys: their certificates are renewed.
    pub authorities: Vec<String>,
    /// When it was written, by this machine's clock (RFC 3339): for people; nothing is decided by it.
    pub at: String,
}

/// Which cluster is published.
#[must_use]
pub fn identity(cluster: &JoinCluster) -> ClusterIdentity {
    let pem = cluster.ca_pem.trim().as_bytes();
    // What is no certificate is known by its text. kubeadm refuses it.
    let authorities = ca_hashes(pem).unwrap_or_else(|_| vec![digest(pem)]);
    ClusterIdentity { kube_system_uid: cluster.kube_system_uid.clone(), authorities }
}

impl WorkerMarker {
    /// A marker of this stage; `at` is written when it is saved.
    #[must_use]
    pub fn new(instance: &InstanceId, stage: WorkerStage, cluster: ClusterIdentity) -> Self {
        let ClusterIdentity { kube_system_uid, authorities } = cluster;
        let (instance, at) = (instance.clone(), String::new());
        Self { schema: SCHEMA, instance, stage, kube_system_uid, authorities, at }
    }

    /// Writes the marker whole, readable by root alone, below `root` (`/` on a machine).
    ///
    /// # Errors
    /// When the file cannot be written; then kubeadm must not be started.
    pub fn save(&self, root: &Path) -> Result<()> {
        let path = root.join(MARKER);
        let at = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        let bytes = serde_json::to_vec_pretty(&Self { at, ..self.clone() }).context("a marker is JSON")?;
        files::private_dir(path.parent().unwrap_or(root))?;
        files::write(&path, &bytes, 0o600)
    }

    /// Reads the marker below `root`; `None` when there is none.
    ///
    /// # Errors
    /// When there is one that cannot be understood: nothing may be wiped then.
    pub fn load(root: &Path) -> Result<Option<Self>> {
        let path = root.join(MARKER);
        let failed = || {
            format!(
                "failed to read the marker '{}' of this worker: replace the machine, or run 'kubeboot reset --now' here after \
                 removing the file",
                path.display()
            )
        };
        if !path.try_exists().with_context(failed)? {
            return Ok(None);
        }
        let bytes = files::read_bounded(&path, LIMIT).with_context(failed)?;
        let marker: Self = serde_json::from_slice(&bytes).with_context(failed)?;
        ensure!(marker.schema == SCHEMA, "{}: it has schema {}, not {SCHEMA}", failed(), marker.schema);
        Ok(Some(marker))
    }

    /// Removes it: the last step of a wipe.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(root: &Path) -> Result<()> {
        files::remove(&root.join(MARKER))
    }

    /// The cluster that it names.
    #[must_use]
    pub fn cluster(&self) -> ClusterIdentity {
        ClusterIdentity { kube_system_uid: self.kube_system_uid.clone(), authorities: self.authorities.clone() }
    }
}

/// Removes the token that a kubeadm which was cut off has left below `root` (`/` on a machine). A kubelet that has its own credentials needs it
/// no more.
///
/// # Errors
/// It is there and cannot be removed.
pub fn forget_token(root: &Path) -> Result<()> {
    files::remove(&files::below(root, Path::new(BOOTSTRAP_CONF)))
}

/// Whether anything of a control plane is on the disk below `root`, with kubeboot's marker or without: it may be a voter, or the last copy of
/// its data. `data_dir`: the folder of etcd's data, where the documents name one beside kubeadm's default.
///
/// # Errors
/// When the marker of the control plane cannot be understood.
pub fn has_control_plane(root: &Path, data_dir: Option<&Path>) -> Result<bool> {
    let found = |folder: &Path| !state::control_plane_traces(root, Some(folder)).is_empty();
    Ok(Marker::load(root)?.is_some() || found(Path::new(DEFAULT_DATA_DIR)) || data_dir.is_some_and(found))
}

/// What is wrong with a machine of the control plane's role whose disk is a worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this machine is a worker by its disk, and of the control plane by the setting 'role': correct the setting, or run 'kubeboot reset --now \
     --role worker --group GROUP' here to have it join the control plane"
)]
pub struct OfWorker;

/// That the disk below `root` (`/` on a machine) is no worker's.
///
/// # Errors
/// [`OfWorker`], or a marker that cannot be understood.
pub fn must_be_no_worker(root: &Path) -> Result<()> {
    let of_worker = !has_control_plane(root, None)? && WorkerMarker::load(root)?.is_some();
    if of_worker { Err(OfWorker.into()) } else { Ok(()) }
}

/// Reads the state of the disk below `root` (`/` on a machine).
///
/// # Errors
/// When a marker cannot be understood.
pub fn observe(root: &Path) -> Result<WorkerLocal> {
    if has_control_plane(root, None)? {
        return Ok(WorkerLocal::OfControlPlane);
    }
    let found = state::traces(root, None);
    let credentials = files::below(root, Path::new(KUBELET_CONF));
    let has_credentials =
        credentials.try_exists().with_context(|| format!("failed to look for '{}'", credentials.display()))?;
    Ok(match WorkerMarker::load(root)? {
        None if found.is_empty() => WorkerLocal::Fresh,
        None => WorkerLocal::Unexplained { found },
        Some(marker) => {
            let (instance, cluster) = (marker.instance.clone(), marker.cluster());
            match marker.stage {
                WorkerStage::Joined if has_credentials => WorkerLocal::Joined { instance, cluster },
                // One without credentials was reset by an operator. It joins again, like a machine whose join was not completed.
                WorkerStage::Joined | WorkerStage::Joining => {
                    WorkerLocal::Joining { instance, cluster, has_credentials }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::ClaimId;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn me() -> Result<InstanceId> {
        Ok(InstanceId::parse("i-00000001")?)
    }

    fn marker(stage: WorkerStage) -> Result<WorkerMarker> {
        Ok(WorkerMarker::new(&me()?, stage, identity(&JoinCluster::sample(3))))
    }

    fn observed(files: &[&str], marker: Option<&WorkerMarker>) -> Result<WorkerLocal> {
        let root = tempfile::tempdir()?;
        for file in files {
            let place = files::below(root.path(), Path::new(file));
            fs::create_dir_all(place.parent().context("folder")?)?;
            fs::write(place, "")?;
        }
        if let Some(marker) = marker {
            marker.save(root.path())?;
        }
        observe(root.path())
    }

    #[test]
    fn the_disk_says_how_far_a_worker_has_got_and_who_wrote_it() -> Result<()> {
        let (instance, cluster) = (me()?, identity(&JoinCluster::sample(3)));
        let joining = |has_credentials| WorkerLocal::Joining {
            instance: instance.clone(),
            cluster: cluster.clone(),
            has_credentials,
        };
        let joined = WorkerLocal::Joined { instance: instance.clone(), cluster: cluster.clone() };
        let (begun, done) = (marker(WorkerStage::Joining)?, marker(WorkerStage::Joined)?);
        assert_eq!(observed(&[], None)?, WorkerLocal::Fresh);
        assert_eq!(observed(&["/etc/kubernetes/pki/ca.crt"], None)?, WorkerLocal::Fresh, "an operator's own");
        assert_eq!(observed(&[KUBELET_CONF], None)?, WorkerLocal::Unexplained { found: vec![KUBELET_CONF.into()] });
        assert_eq!(observed(&[], Some(&begun))?, joining(false));
        assert_eq!(observed(&[BOOTSTRAP_CONF], Some(&begun))?, joining(false));
        assert_eq!(observed(&[KUBELET_CONF], Some(&begun))?, joining(true));
        assert_eq!(observed(&[KUBELET_CONF], Some(&done))?, joined);
        assert_eq!(observed(&[], Some(&done))?, joining(false), "reset by hand");
        Ok(())
    }

    #[test]
    fn a_cluster_is_known_by_its_authorities_keys_and_not_by_the_text_of_its_certificates() {
        let of = |pem: &str| {
            let mut cluster = JoinCluster::sample(3);
            cluster.ca_pem = pem.to_owned();
            identity(&cluster).authorities
        };
        let (ec, rsa) =
            (include_str!("../../tests/fixtures/pki/ca.crt"), include_str!("../../tests/fixtures/pki/rsa.crt"));
        assert_eq!(of(&format!("a comment\n{ec}\n")), of(ec));
        assert_eq!(of(&format!("{ec}{rsa}")), [of(ec), of(rsa)].concat());
        assert_ne!(of(ec), of(rsa));
    }

    #[test]
    fn a_disk_of_a_worker_is_no_control_planes() -> Result<()> {
        let root = tempfile::tempdir()?;
        must_be_no_worker(root.path())?;
        marker(WorkerStage::Joined)?.save(root.path())?;
        let error = must_be_no_worker(root.path()).err().context("it is a worker's")?;
        assert!(
            error.is::<OfWorker>() && error.to_string().contains("kubeboot reset --now --role worker --group GROUP"),
            "{error}"
        );
        // Whatever lies beside it: what is of the control plane counts, marked or not.
        let member = files::below(root.path(), Path::new("/var/lib/etcd/member"));
        fs::create_dir_all(&member)?;
        must_be_no_worker(root.path())?;
        fs::remove_dir(member)?;
        let claim = ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff")?;
        Marker::new(&me()?, &claim, state::MarkerStage::Joining).save(root.path())?;
        must_be_no_worker(root.path())
    }

    #[test]
    fn no_token_stays_on_the_disk_of_a_node() -> Result<()> {
        let root = tempfile::tempdir()?;
        let place = files::below(root.path(), Path::new(BOOTSTRAP_CONF));
        fs::create_dir_all(place.parent().context("folder")?)?;
        fs::write(&place, "token")?;
        forget_token(root.path())?;
        assert!(!place.exists());
        forget_token(root.path())
    }

    #[test]
    fn a_disk_of_a_control_plane_is_no_workers() -> Result<()> {
        let root = tempfile::tempdir()?;
        let claim = ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff")?;
        Marker::new(&me()?, &claim, state::MarkerStage::Joining).save(root.path())?;
        assert_eq!(observe(root.path())?, WorkerLocal::OfControlPlane);
        // Nobody has marked it, or a worker's marker lies beside it.
        let done = marker(WorkerStage::Joined)?;
        for trace in [
            "/etc/kubernetes/manifests/etcd.yaml",
            "/etc/kubernetes/manifests/kube-apiserver.yaml",
            "/etc/kubernetes/admin.conf",
            "/var/lib/etcd/member/wal/0.wal",
        ] {
            for marker in [None, Some(&done)] {
                assert_eq!(observed(&[trace, KUBELET_CONF], marker)?, WorkerLocal::OfControlPlane, "{trace}");
            }
        }
        let root = tempfile::tempdir()?;
        let member = files::below(root.path(), Path::new("/data/etcd/member"));
        fs::create_dir_all(member)?;
        assert!(
            !has_control_plane(root.path(), None)? && has_control_plane(root.path(), Some(Path::new("/data/etcd")))?
        );
        Ok(())
    }

    #[test]
    fn a_marker_is_roots_alone_and_one_that_is_damaged_has_a_way_out() -> Result<()> {
        let root = tempfile::tempdir()?;
        let written = marker(WorkerStage::Joined)?;
        written.save(root.path())?;
        let read = WorkerMarker::load(root.path())?.context("it is there")?;
        assert_eq!(WorkerMarker { at: String::new(), ..read }, written);
        assert_eq!(root.path().join(MARKER).metadata()?.permissions().mode() & 0o777, 0o600);
        for text in ["", "{}", "{\"schema\": 2}", "\u{0}"] {
            fs::write(root.path().join(MARKER), text)?;
            let error = observe(root.path()).err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(error.contains("replace the machine"), "{text}: {error}");
        }
        WorkerMarker::remove(root.path())?;
        WorkerMarker::remove(root.path())?;
        assert_eq!(observe(root.path())?, WorkerLocal::Fresh);
        Ok(())
    }
}
