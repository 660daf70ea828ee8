//! kubelet and kubeboot's units wait for the volume of etcd's data: the package's own files say so for kubeadm's default folder, and
//! these drop-ins for another `dataDir`.

use super::{AGENT_UNIT, BOOT_UNIT, LEAVING_UNIT};
use crate::host::systemd::mounts;
use crate::host::{files, systemd};
use crate::kubeadm::manifests::DEFAULT_DATA_DIR;
use crate::kubeadm::quiesce::KUBELET;
use anyhow::Result;
use std::path::Path;

/// The units that wait.
const UNITS: [&str; 4] = [KUBELET, BOOT_UNIT, LEAVING_UNIT, AGENT_UNIT];
/// Where drop-ins lie, without the leading slash, and the name of each.
const FOLDER: &str = "etc/systemd/system";
const NAME: &str = "11-kubeboot-data-dir.conf";
/// The largest one, in bytes.
const LIMIT: u64 = 64 * 1024;

/// Writes them where the data does not lie in kubeadm's default folder, and removes them elsewhere (`None`: etcd is external). Nothing
/// is started or stopped, and what is so already is left alone. A failure is a warning: this machine serves without them, too.
pub async fn install(data_dir: Option<&Path>) {
    let installed = match write(Path::new("/"), data_dir) {
        Ok(true) => systemd::reload().await,
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = installed {
        tracing::warn!("failed to have kubelet and kubeboot wait for the volume of etcd's data: {error:#}");
    }
}

/// Writes or removes them below `root`; whether that has changed anything.
fn write(root: &Path, data_dir: Option<&Path>) -> Result<bool> {
    let wanted = data_dir.filter(|folder| *folder != Path::new(DEFAULT_DATA_DIR)).map(text);
    let mut changed = false;
    for unit in UNITS {
        let path = root.join(FOLDER).join(format!("{unit}.d")).join(NAME);
        let found = files::read_if_there(&path, LIMIT)?;
        if found.as_deref() == wanted.as_deref().map(str::as_bytes) {
            continue;
        }
        match &wanted {
            Some(text) => {
                std::fs::create_dir_all(path.parent().unwrap_or(root))?;
                files::write(&path, text.as_bytes(), 0o644)?;
            }
            None => files::remove(&path)?,
        }
        changed = true;
    }
    Ok(changed)
}

/// A mount that fails keeps none of them from starting: the guard keeps etcd from running, and `up` says what is so.
fn text(data_dir: &Path) -> String {
    let units = mounts::units_of(data_dir).join(" ");
    format!(
        "# Written by 'kubeboot up', for the dataDir of this cluster's etcd; kubeboot.service says why.\n[Unit]\nWants={units}\nAfter={units}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_own_files_say_the_same_for_the_default_folder() {
        let files = [
            include_str!("../../systemd/kubelet.service.d/10-kubeboot-guard.conf"),
            include_str!("../../systemd/kubeboot.service"),
            include_str!("../../systemd/kubeboot-reset.service"),
            include_str!("../../systemd/kubeboot-agent.service"),
        ];
        assert_eq!(files.len(), UNITS.len());
        for file in files {
            let has = |line: &str| file.lines().any(|found| found == line);
            assert!(has("Wants=var-lib-etcd.mount") && has("After=var-lib-etcd.mount"), "{file}");
            let mut required = file.lines().filter_map(|line| line.strip_prefix("RequiresMountsFor="));
            assert!(!required.any(|folders| folders.contains(DEFAULT_DATA_DIR)), "a mount that fails ends it: {file}");
        }
    }

    #[test]
    fn they_are_there_only_where_the_folder_is_another() -> Result<()> {
        let root = tempfile::tempdir()?;
        let write = |folder: Option<&str>| write(root.path(), folder.map(Path::new));
        let paths = ["kubelet", "kubeboot", "kubeboot-reset", "kubeboot-agent"]
            .map(|unit| root.path().join(format!("etc/systemd/system/{unit}.service.d/11-kubeboot-data-dir.conf")));
        // (data folder, whether that changes anything, whether they are there then)
        let rows = [
            (Some(DEFAULT_DATA_DIR), false, false),
            (Some("/data/etcd"), true, true),
            (Some("/data/etcd"), false, true),
            (Some("/other"), true, true),
            (None, true, false),
            (None, false, false),
        ];
        for (folder, changes, there) in rows {
            assert_eq!(write(folder)?, changes, "{folder:?}");
            assert!(paths.iter().all(|path| path.exists() == there), "{folder:?}");
        }
        write(Some("/data/etcd-1"))?;
        std::fs::remove_file(&paths[1])?;
        assert!(write(Some("/data/etcd-1"))?, "one of them was gone");
        for path in paths {
            let units = "data.mount data-etcd\\x2d1.mount";
            let text = std::fs::read_to_string(&path)?;
            assert!(text.ends_with(&format!("[Unit]\nWants={units}\nAfter={units}\n")), "{text}");
        }
        Ok(())
    }
}
