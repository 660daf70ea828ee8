//! The manifests of etcd and API server, and the place where they are kept while kubelet must not start them.
//!
//! Each is whole in one of the two places at every moment, also after a power cut in the middle of a move.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::documents::yaml;
use super::withheld::{self, WITHHELD};
use crate::etcd;
use crate::host::files;
use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::guard::Manifests;

/// Where kubelet finds static pods, without the leading slash.
pub(super) const FOLDER: &str = "etc/kubernetes/manifests";
/// Where they are kept meanwhile.
pub(super) const ASIDE: &str = "var/lib/kubeboot/manifests-aside";
/// The static pod of etcd. There is none where etcd is external.
pub(super) const ETCD: &str = "etcd.yaml";
/// The static pod of the API server.
pub(super) const API_SERVER: &str = "kube-apiserver.yaml";
/// Both, in the order in which they are moved: etcd alone can do harm, and the API server needs it.
const NAMES: [&str; 2] = [ETCD, API_SERVER];
/// What kubeadm calls the volume with etcd's data.
const DATA_VOLUME: &str = "etcd-data";
/// kubeadm's default for `dataDir`.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/etcd";
/// The largest manifest, in bytes.
pub(super) const LIMIT: u64 = 1024 * 1024;

/// Where they lie below `root` (`/` on a machine).
#[must_use]
pub fn places(root: &Path) -> Manifests {
    let lies = |folder: &str, name: &str| fs::symlink_metadata(root.join(folder).join(name)).is_ok();
    let of_etcd = lies(FOLDER, ETCD) || lies(ASIDE, ETCD);
    let any = |folder| of_etcd && NAMES.iter().any(|name| lies(folder, name));
    Manifests { in_place: any(FOLDER), aside: any(ASIDE) }
}

/// The absolute path of a static pod, where kubelet starts it.
#[must_use]
pub fn place(name: &str) -> PathBuf {
    Path::new("/").join(FOLDER).join(name)
}

/// Whether this one is set aside or withheld below `root`, so that it is not lost.
#[must_use]
pub fn is_aside(root: &Path, name: &str) -> bool {
    fs::symlink_metadata(root.join(ASIDE).join(name)).is_ok() || withheld::is_withheld(root, name)
}

/// Sets them aside. Again after a crash: the same end.
///
/// # Errors
/// Names the manifest that stays where kubelet starts it.
pub fn set_aside(root: &Path) -> Result<()> {
    let aside = root.join(ASIDE);
    files::private_dir(&aside)?;
    fs::set_permissions(&aside, Permissions::from_mode(0o700))
        .with_context(|| format!("failed to make '{}' private", aside.display()))?;
    for name in NAMES {
        move_whole(&root.join(FOLDER).join(name), &aside.join(name))?;
    }
    Ok(())
}

/// Puts them back. One that lies where it belongs by now is the newer one, and stays.
///
/// # Errors
/// Names the manifest that could not be put back.
pub fn put_back(root: &Path) -> Result<()> {
    for name in NAMES {
        let (kept, place) = (root.join(ASIDE).join(name), root.join(FOLDER).join(name));
        if fs::symlink_metadata(&place).is_ok() {
            files::remove(&kept)?;
        } else {
            move_whole(&kept, &place)?;
        }
    }
    Ok(())
}

/// Removes what is set aside, with its folder: the member is none any more.
///
/// # Errors
/// Names what could not be removed.
pub fn forget_aside(root: &Path) -> Result<()> {
    let aside = root.join(ASIDE);
    files::remove_contents(&aside)?;
    match fs::remove_dir(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove '{}'", aside.display()))
        }
        _ => Ok(()),
    }
}

/// Moves a file, for root alone from now on. One that is not there is moved already.
pub(super) fn move_whole(from: &Path, to: &Path) -> Result<()> {
    let moving = || format!("failed to move '{}' to '{}'", from.display(), to.display());
    let is_link = match fs::symlink_metadata(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.with_context(moving)?.is_symlink(),
    };
    // A link may lead nowhere from its new place, and a rename does not reach another file system. It needs no room, though.
    if !is_link && rename(from, to).is_ok() {
        return Ok(());
    }
    let bytes = files::read_bounded(from, LIMIT).with_context(moving)?;
    files::write(to, &bytes, 0o600).with_context(moving)?;
    files::remove(from)?;
    sync_folder(from).with_context(moving)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::set_permissions(from, Permissions::from_mode(0o600))?;
    fs::rename(from, to)?;
    sync_folder(to)?;
    sync_folder(from)
}

/// Makes what has happened in a file's folder last.
fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Whose data this machine's etcd would find, by the manifest that kubelet would start: on a machine that joined, the data lies
/// where the cluster's configuration says, whatever the machine's own documents or its marker say. `fallback`: the folder
/// while there is no manifest.
#[must_use]
pub fn data(root: &Path, fallback: &Path) -> EtcdData {
    let manifest = find(root, ETCD);
    if has_log_elsewhere(&manifest) {
        return EtcdData::Unreadable { why: "etcd keeps its log elsewhere, by its argument --wal-dir".into() };
    }
    let folder = data_dir(&manifest).unwrap_or_else(|| fallback.to_owned());
    etcd::data::observe(Some(&files::below(root, &folder)))
}

/// A manifest of this machine, set aside, withheld or in its place; nothing where there is none.
fn find(root: &Path, name: &str) -> Value {
    let text = [FOLDER, ASIDE, WITHHELD].into_iter().find_map(|folder| {
        let bytes = files::read_bounded(&root.join(folder).join(name), LIMIT).ok()?;
        String::from_utf8(bytes).ok()
    });
    text.and_then(|text| yaml(&text).ok()).unwrap_or_default()
}

/// The folder of this machine's etcd, and the version of its image such as `3.6.8-0`, as its manifest says them. `fallback`: the folder
/// while there is no manifest.
#[must_use]
pub fn etcd_at(root: &Path, fallback: &Path) -> (PathBuf, Option<String>) {
    let manifest = find(root, ETCD);
    (data_dir(&manifest).unwrap_or_else(|| fallback.to_owned()), image_tag(&manifest))
}

/// The version of this machine's API server such as `v1.36.1`, as its manifest says it.
#[must_use]
pub fn api_server_version(root: &Path) -> Option<String> {
    image_tag(&find(root, API_SERVER))
}

fn image_tag(manifest: &Value) -> Option<String> {
    let image = manifest.pointer("/spec/containers/0/image").and_then(Value::as_str)?;
    let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
    (!tag.contains('/')).then(|| tag.to_owned())
}

/// The folder of the machine that etcd sees as its data.
fn data_dir(manifest: &Value) -> Option<PathBuf> {
    let volumes = manifest.pointer("/spec/volumes")?.as_array()?;
    let data = volumes.iter().find(|volume| volume.get("name").and_then(Value::as_str) == Some(DATA_VOLUME))?;
    data.pointer("/hostPath/path")?.as_str().map(PathBuf::from)
}

fn has_log_elsewhere(manifest: &Value) -> bool {
    let containers = manifest.pointer("/spec/containers").and_then(Value::as_array);
    let words = containers.into_iter().flatten().flat_map(|container| {
        ["command", "args"].into_iter().filter_map(|field| container.get(field)?.as_array()).flatten()
    });
    words.filter_map(Value::as_str).any(|word| word.starts_with("--wal-dir="))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As kubeadm writes it, as far as it is read.
    fn manifest(folder: &str, argument: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - command:\n    - etcd\n    - --data-dir={folder}\n    - {argument}\n  \
             volumes:\n  - hostPath:\n      path: /etc/kubernetes/pki/etcd\n    name: etcd-certs\n  - hostPath:\n      path: {folder}\n    \
             name: etcd-data\n"
        )
    }

    fn machine() -> Result<tempfile::TempDir> {
        let root = tempfile::tempdir()?;
        fs::create_dir_all(root.path().join(FOLDER))?;
        fs::create_dir_all(root.path().join("var/lib"))?;
        Ok(root)
    }

    fn put(root: &Path, name: &str, text: &str) -> Result<()> {
        let path = root.join(name);
        fs::create_dir_all(path.parent().context("folder")?)?;
        Ok(fs::write(path, text)?)
    }

    fn texts(root: &Path, folder: &str) -> [Option<String>; 2] {
        NAMES.map(|name| fs::read_to_string(root.join(folder).join(name)).ok())
    }

    fn both() -> [Option<String>; 2] {
        NAMES.map(|name| Some(name.to_owned()))
    }

    #[test]
    fn they_go_there_and_back_with_nothing_else_touched() -> Result<()> {
        let root = machine()?;
        let path = root.path();
        for name in NAMES.into_iter().chain(["kube-scheduler.yaml"]) {
            put(path, &format!("{FOLDER}/{name}"), name)?;
        }
        assert_eq!(places(path), Manifests { in_place: true, aside: false });
        for _again in 0..2 {
            set_aside(path)?;
            assert_eq!((texts(path, FOLDER), texts(path, ASIDE)), ([None, None], both()));
            assert_eq!(places(path), Manifests { in_place: false, aside: true });
        }
        let mode = |name: &str| fs::metadata(path.join(name)).map(|found| found.permissions().mode() & 0o777);
        assert_eq!((mode(ASIDE)?, mode(&format!("{ASIDE}/{ETCD}"))?), (0o700, 0o600));
        for _again in 0..2 {
            put_back(path)?;
            assert_eq!((texts(path, FOLDER), texts(path, ASIDE)), (both(), [None, None]));
        }
        assert!(path.join(FOLDER).join("kube-scheduler.yaml").exists());
        Ok(())
    }

    #[test]
    fn after_a_crash_in_the_middle_nothing_is_lost_and_the_newer_one_counts() -> Result<()> {
        let root = machine()?;
        let path = root.path();
        put(path, &format!("{FOLDER}/{ETCD}"), "new")?;
        put(path, &format!("{ASIDE}/{ETCD}"), "old")?;
        put(path, &format!("{ASIDE}/{}", NAMES[1]), "api")?;
        let (new, api) = (Some("new".to_owned()), Some("api".to_owned()));
        put_back(path)?;
        assert_eq!((texts(path, FOLDER), texts(path, ASIDE)), ([new.clone(), api.clone()], [None, None]));
        put(path, &format!("{ASIDE}/{ETCD}"), "old")?;
        set_aside(path)?;
        assert_eq!((texts(path, FOLDER), texts(path, ASIDE)), ([None, None], [new, api]));
        Ok(())
    }

    #[test]
    fn a_link_is_kept_by_what_it_leads_to() -> Result<()> {
        let root = machine()?;
        put(root.path(), "etc/kubernetes/own/etcd.yaml", "own")?;
        std::os::unix::fs::symlink("../own/etcd.yaml", root.path().join(FOLDER).join(ETCD))?;
        set_aside(root.path())?;
        assert_eq!(texts(root.path(), ASIDE), [Some("own".to_owned()), None]);
        assert_eq!(texts(root.path(), FOLDER), [None, None]);
        Ok(())
    }

    #[test]
    fn a_move_that_fails_leaves_it_where_it_was() -> Result<()> {
        let root = machine()?;
        put(root.path(), &format!("{FOLDER}/{ETCD}"), ETCD)?;
        // A folder that is not empty: neither a rename nor a new file takes its place.
        put(root.path(), &format!("{ASIDE}/{ETCD}/x"), "")?;
        let error = set_aside(root.path()).expect_err("it cannot be moved");
        assert!(format!("{error:#}").contains("etcd.yaml"), "{error:#}");
        assert_eq!(texts(root.path(), FOLDER)[0].as_deref(), Some(ETCD));
        Ok(())
    }

    #[test]
    fn an_etcd_elsewhere_is_nobodys_to_guard() -> Result<()> {
        let root = machine()?;
        put(root.path(), &format!("{FOLDER}/{}", NAMES[1]), "api")?;
        assert_eq!(places(root.path()), Manifests { in_place: false, aside: false });
        Ok(())
    }

    #[test]
    fn what_is_set_aside_is_forgotten_with_its_folder() -> Result<()> {
        let root = machine()?;
        put(root.path(), &format!("{FOLDER}/{ETCD}"), ETCD)?;
        set_aside(root.path())?;
        for _again in 0..2 {
            forget_aside(root.path())?;
            assert!(!root.path().join(ASIDE).exists());
        }
        Ok(())
    }

    #[test]
    fn the_manifest_says_where_the_data_lies() -> Result<()> {
        let read = |text: &str| yaml(text).unwrap_or_default();
        assert_eq!(data_dir(&read(&manifest("/data/etcd", "--name=n"))), Some("/data/etcd".into()));
        assert_eq!(data_dir(&Value::Null), None);
        assert!(has_log_elsewhere(&read(&manifest("/data/etcd", "--wal-dir=/fast"))));

        let root = machine()?;
        let fallback = Path::new(DEFAULT_DATA_DIR);
        assert_eq!(data(root.path(), fallback), EtcdData::Nothing);
        let first = include_bytes!("../../tests/fixtures/etcd/first.wal");
        let log = root.path().join("data/etcd/member/wal");
        fs::create_dir_all(&log)?;
        fs::write(log.join("0.wal"), first)?;
        assert!(matches!(data(root.path(), Path::new("/data/etcd")), EtcdData::Of(_)), "no manifest yet");
        put(root.path(), &format!("{ASIDE}/{ETCD}"), &manifest("/data/etcd", "--name=n"))?;
        assert!(matches!(data(root.path(), fallback), EtcdData::Of(_)));
        put(root.path(), &format!("{FOLDER}/{ETCD}"), &manifest("/var/lib/etcd", "--name=n"))?;
        assert_eq!(data(root.path(), fallback), EtcdData::Nothing, "the one that kubelet would start counts");
        put(root.path(), &format!("{FOLDER}/{ETCD}"), &manifest("/var/lib/etcd", "--wal-dir=/fast"))?;
        assert!(matches!(data(root.path(), fallback), EtcdData::Unreadable { .. }), "not gone, only elsewhere");
        Ok(())
    }
}
