//! The state of the control plane on this machine's disk, and which machine wrote it.
//!
//! A marker file names the instance and the claim. It is written before kubeadm starts and again when the machine has become a
//! member, so that the next `up` knows the state after a crash at any point.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::manifests::DEFAULT_DATA_DIR;
use crate::host::files;
use crate::model::machine::guard::Marked;
use crate::model::machine::ids::{ClaimId, EtcdClusterId, InstanceId, MemberId, Uid};
use crate::model::machine::local::{self, Local};
use crate::model::membership::certainty::RecordedEtcd;

/// The marker's place on the disk, without the leading slash.
const MARKER: &str = "var/lib/kubeboot/state.json";
/// The schema of the marker that this program writes and reads.
const SCHEMA: u32 = 1;
/// The largest marker, in bytes.
const MARKER_LIMIT: u64 = 64 * 1024;
/// The files of kubeadm that a control-plane machine alone has. Certificates are left out, because operators ship
/// their own authorities, and certificates alone start nothing.
const CONTROL_PLANE_TRACES: [&str; 5] = [
    "/etc/kubernetes/manifests/etcd.yaml",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/manifests/kube-controller-manager.yaml",
    "/etc/kubernetes/manifests/kube-scheduler.yaml",
    "/etc/kubernetes/admin.conf",
];
/// Those that every node has.
const NODE_TRACES: [&str; 2] = ["/etc/kubernetes/kubelet.conf", "/etc/kubernetes/bootstrap-kubelet.conf"];

/// How far this machine has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkerStage {
    /// `kubeadm init` was about to start.
    Initializing,
    /// `kubeadm join` was about to start.
    Joining,
    /// The machine is a member of its control plane.
    Member,
}

/// The marker file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The schema; see [`Marker::new`].
    schema: u32,
    /// The instance that wrote it. Another one means a baked image or a restored volume.
    pub instance: InstanceId,
    /// The claim under which the machine works: its own while it initialises, the cluster's when it joins.
    pub claim_id: ClaimId,
    /// How far the machine has got.
    pub stage: MarkerStage,
    /// UID of the cluster's `kube-system` namespace, as soon as known; always there for a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_system_uid: Option<Uid>,
    /// ID of its etcd cluster; none with external etcd, or before the machine is a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd_cluster_id: Option<EtcdClusterId>,
    /// ID of its etcd member, as soon as known; none with external etcd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// The folder of its etcd's data; none: kubeadm's default, `/var/lib/etcd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// When it was written, by this machine's clock (RFC 3339): for people; nothing is decided by it.
    pub at: String,
}

impl Marker {
    /// A marker of `stage`; `at` is written when it is saved.
    #[must_use]
    pub fn new(instance: &InstanceId, claim_id: &ClaimId, stage: MarkerStage) -> Self {
        Self {
            schema: SCHEMA,
            instance: instance.clone(),
            claim_id: claim_id.clone(),
            stage,
            kube_system_uid: None,
            etcd_cluster_id: None,
            member_id: None,
            data_dir: None,
            at: String::new(),
        }
    }

    /// The etcd of which this machine is a member, by its own word: for who leaves while nobody can read the record.
    #[must_use]
    pub fn recorded_etcd(&self) -> Option<RecordedEtcd> {
        Some(RecordedEtcd { claim: self.claim_id.clone(), cluster: self.etcd_cluster_id? })
    }

    /// The same, with the data folder of its etcd, as far as that is not kubeadm's default; `None` where etcd is external.
    #[must_use]
    pub fn with_data_dir(self, data_dir: Option<&Path>) -> Self {
        let data_dir = data_dir.filter(|folder| *folder != Path::new(DEFAULT_DATA_DIR)).map(Path::to_owned);
        Self { data_dir, ..self }
    }

    /// What the guard needs to know of it.
    #[must_use]
    pub fn marked(&self) -> Marked<'_> {
        Marked {
            instance: &self.instance,
            is_member: self.stage == MarkerStage::Member,
            member: self.member_id,
            cluster: self.etcd_cluster_id,
        }
    }

    /// Writes the marker whole, readable by root alone, below `root` (`/` on a machine).
    ///
    /// # Errors
    /// When the file cannot be written; then kubeadm must not be started.
    pub fn save(&self, root: &Path) -> Result<()> {
        let path = root.join(MARKER);
        let at = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        let written = Self { at, ..self.clone() };
        let bytes = serde_json::to_vec_pretty(&written).context("failed to write the marker as JSON")?;
        files::private_dir(path.parent().unwrap_or(root))?;
        files::write(&path, &bytes, 0o600)
    }

    /// Reads the marker below `root`; `None` when there is none.
    ///
    /// # Errors
    /// When there is one that cannot be understood: nothing may be wiped then, because the owner of the data is not known.
    pub fn load(root: &Path) -> Result<Option<Self>> {
        let path = root.join(MARKER);
        if !path.try_exists().with_context(|| format!("failed to look for '{}'", path.display()))? {
            return Ok(None);
        }
        let bytes = files::read_bounded(&path, MARKER_LIMIT)?;
        parse(&bytes).map(Some).with_context(|| {
            format!(
                "failed to understand the marker '{}'; kubeboot cannot tell which machine wrote the data here: replace \
                 the machine, or remove the marker if you are sure that no control plane runs here",
                path.display()
            )
        })
    }

    /// Removes the marker: the last step of a wipe.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(root: &Path) -> Result<()> {
        let path = root.join(MARKER);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("failed to remove '{}'", path.display()))
            }
            _ => Ok(()),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Marker> {
    #[derive(Deserialize)]
    struct MarkerSchema {
        schema: u32,
    }
    let found: MarkerSchema = serde_json::from_slice(bytes).context("not a JSON object with a 'schema'")?;
    if found.schema != SCHEMA {
        bail!(
            "it has schema {}, this kubeboot understands {SCHEMA}: use the version of kubeboot that wrote it",
            found.schema
        );
    }
    let marker: Marker = serde_json::from_slice(bytes)?;
    ensure!(
        marker.stage != MarkerStage::Member || marker.kube_system_uid.is_some(),
        "it says 'member' but not of which cluster ('kube_system_uid' is missing)"
    );
    Ok(marker)
}

/// Reads the state of the disk below `root` (`/` on a machine). `data_dir` is the data directory of kubeadm's etcd, if there is
/// one.
///
/// # Errors
/// When the marker cannot be understood.
pub fn observe(root: &Path, data_dir: Option<&Path>) -> Result<Local> {
    let marker = Marker::load(root)?;
    let found = traces(root, data_dir);
    Ok(match marker {
        None if found.is_empty() => Local::Fresh,
        None => Local::Unexplained { found },
        Some(Marker { stage, instance, claim_id, member_id: member, .. }) => match stage {
            MarkerStage::Initializing => Local::HalfMade { instance, claim_id, stage: local::Stage::Initializing },
            // A member without any files was reset by an operator. It joins again, like a machine whose join was not completed.
            MarkerStage::Member if !found.is_empty() => Local::Made { instance, claim_id, member },
            MarkerStage::Joining | MarkerStage::Member => {
                Local::HalfMade { instance, claim_id, stage: local::Stage::Joining }
            }
        },
    })
}

/// The files of a node of either role that are on the disk, as absolute paths.
pub(super) fn traces(root: &Path, data_dir: Option<&Path>) -> Vec<String> {
    [control_plane_traces(root, data_dir), present(root, NODE_TRACES.into_iter().map(str::to_owned))].concat()
}

/// Those of a control plane alone.
pub(super) fn control_plane_traces(root: &Path, data_dir: Option<&Path>) -> Vec<String> {
    let member = data_dir.map(|folder| folder.join("member").display().to_string());
    present(root, CONTROL_PLANE_TRACES.into_iter().map(str::to_owned).chain(member))
}

fn present(root: &Path, paths: impl Iterator<Item = String>) -> Vec<String> {
    paths.filter(|path| root.join(path.trim_start_matches('/')).exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const UID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

    fn marker(stage: MarkerStage) -> Result<Marker> {
        let claim_id = ClaimId::parse("0d3c3a46-2f0f-4a44-a3d3-6a6a1f6a9a55")?;
        Ok(Marker::new(&InstanceId::parse("i-0123456789abcdef0")?, &claim_id, stage))
    }

    fn member() -> Result<Marker> {
        Ok(Marker { kube_system_uid: Some(Uid::parse(UID)?), ..marker(MarkerStage::Member)? })
    }

    /// A disk with these files and this marker.
    fn observed(files: &[&str], marker: Option<&Marker>) -> Result<Local> {
        let root = tempfile::tempdir()?;
        for file in files {
            let place = root.path().join(file.trim_start_matches('/'));
            fs::create_dir_all(place.parent().context("folder")?)?;
            fs::write(place, "")?;
        }
        if let Some(marker) = marker {
            marker.save(root.path())?;
        }
        observe(root.path(), Some(Path::new("/var/lib/etcd")))
    }

    #[test]
    fn a_disk_without_marker_is_fresh_or_unexplained() -> Result<()> {
        assert_eq!(observed(&[], None)?, Local::Fresh);
        assert_eq!(observed(&OWN_CA, None)?, Local::Fresh, "an operator's own CA is no state");
        assert_eq!(observed(&[MANIFEST], None)?, Local::Unexplained { found: vec![MANIFEST.into()] });
        assert_eq!(observed(&[DATA], None)?, Local::Unexplained { found: vec!["/var/lib/etcd/member".into()] });
        Ok(())
    }

    const OWN_CA: [&str; 2] = ["/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"];
    const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    const DATA: &str = "/var/lib/etcd/member/snap/db";

    #[test]
    fn a_marker_names_the_machine_that_wrote_the_state() -> Result<()> {
        let Marker { instance, claim_id, .. } = member()?;
        let half = |stage| Local::HalfMade { instance: instance.clone(), claim_id: claim_id.clone(), stage };
        let made = Local::Made { instance: instance.clone(), claim_id: claim_id.clone(), member: None };
        let stages =
            [(MarkerStage::Initializing, local::Stage::Initializing), (MarkerStage::Joining, local::Stage::Joining)];
        for (written, stage) in stages {
            assert_eq!(observed(&[], Some(&marker(written)?))?, half(stage));
            assert_eq!(observed(&[MANIFEST, DATA], Some(&marker(written)?))?, half(stage));
        }
        assert_eq!(observed(&[MANIFEST], Some(&member()?))?, made);
        assert_eq!(observed(&[DATA], Some(&member()?))?, made, "manifests moved away for a while");
        assert_eq!(observed(&OWN_CA, Some(&member()?))?, half(local::Stage::Joining), "reset by hand");
        Ok(())
    }

    #[test]
    fn a_marker_is_read_back_and_only_root_may_read_it() -> Result<()> {
        let root = tempfile::tempdir()?;
        member()?.save(root.path())?;
        let read = Marker::load(root.path())?.context("marker")?;
        assert_eq!(Marker { at: String::new(), ..read }, member()?);
        assert_eq!(root.path().join(MARKER).metadata()?.permissions().mode() & 0o777, 0o600);
        Marker::remove(root.path())?;
        Marker::remove(root.path())?;
        assert_eq!(Marker::load(root.path())?, None);
        Ok(())
    }

    #[test]
    fn the_data_folder_is_written_only_where_it_is_not_the_default() -> Result<()> {
        let written = |folder: Option<&str>| -> Result<String> {
            Ok(serde_json::to_string(&member()?.with_data_dir(folder.map(Path::new)))?)
        };
        for folder in [None, Some(DEFAULT_DATA_DIR)] {
            assert!(!written(folder)?.contains("data_dir"), "as it was before: {folder:?}");
        }
        let other = parse(written(Some("/data/etcd"))?.as_bytes())?;
        assert_eq!(other.data_dir.as_deref(), Some(Path::new("/data/etcd")));
        assert_eq!(parse(serde_json::to_string(&member()?)?.as_bytes())?.data_dir, None);
        assert!(member()?.marked().is_member && !marker(MarkerStage::Joining)?.marked().is_member);
        Ok(())
    }

    #[test]
    fn an_unreadable_marker_is_an_error_with_a_remedy() -> Result<()> {
        let garbage = ["", "[]", "{\"schema\": 1}", "{\"schema\": 2, \"new\": true}", "\u{0}\u{1}"];
        let no_uid = serde_json::to_string(&marker(MarkerStage::Member)?)?;
        for text in garbage.into_iter().chain([no_uid.as_str()]) {
            let root = tempfile::tempdir()?;
            let path = root.path().join(MARKER);
            fs::create_dir_all(path.parent().context("folder")?)?;
            fs::write(&path, text)?;
            let error = observe(root.path(), Some(Path::new("/var/lib/etcd"))).err().map(|e| format!("{e:#}"));
            assert!(error.is_some_and(|error| error.contains("replace the machine")), "{text}");
        }
        Ok(())
    }
}
