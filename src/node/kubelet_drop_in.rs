//! kubelet waits for the volume of etcd's data: the package's drop-in says so for kubeadm's default folder, and this one for
//! another `dataDir`.

use crate::host::{files, systemd};
use crate::kubeadm::manifests::DEFAULT_DATA_DIR;
use anyhow::Result;
use std::path::Path;

/// Where it lies, without the leading slash.
const PATH: &str = "etc/systemd/system/kubelet.service.d/11-kubeboot-data-dir.conf";
/// The largest one, in bytes.
const LIMIT: u64 = 64 * 1024;

/// Writes it where the data does not lie in kubeadm's default folder, and removes it elsewhere (`None`: etcd is external). Nothing
/// is started or stopped, and what is so already is left alone. A failure is a warning: this machine serves without it, too.
pub async fn install(data_dir: Option<&Path>) {
    let installed = match write(Path::new("/"), data_dir) {
        Ok(true) => systemd::reload().await,
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = installed {
        tracing::warn!("failed to have kubelet wait for the volume of etcd's data: {error:#}");
    }
}

/// Writes or removes it below `root`; whether that has changed anything.
fn write(root: &Path, data_dir: Option<&Path>) -> Result<bool> {
    let path = root.join(PATH);
    let wanted = data_dir.filter(|folder| *folder != Path::new(DEFAULT_DATA_DIR)).map(text);
    let found = files::read_if_there(&path, LIMIT)?;
    if found.as_deref() == wanted.as_deref().map(str::as_bytes) {
        return Ok(false);
    }
    match wanted {
        Some(text) => {
            std::fs::create_dir_all(path.parent().unwrap_or(root))?;
            files::write(&path, text.as_bytes(), 0o644)?;
        }
        None => files::remove(&path)?,
    }
    Ok(true)
}

fn text(data_dir: &Path) -> String {
    format!(
        "# Written by 'kubeboot up', for the dataDir of this cluster's etcd; the package's own drop-in says why.\n[Unit]\n\
         RequiresMountsFor={}\n",
        quoted(&data_dir.to_string_lossy())
    )
}

/// A path as systemd reads it in a list: quoted, and with no specifier in it.
fn quoted(path: &str) -> String {
    let escaped: String = path
        .chars()
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            '%' => vec!['%', '%'],
            _ => vec![c],
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_only_where_the_folder_is_another() -> Result<()> {
        let root = tempfile::tempdir()?;
        let write = |folder: Option<&str>| write(root.path(), folder.map(Path::new));
        let path = root.path().join(PATH);
        // (data folder, whether that changes anything, whether it is there then)
        let rows = [
            (Some(DEFAULT_DATA_DIR), false, false),
            (Some("/data/etcd"), true, true),
            (Some("/data/etcd"), false, true),
            (Some("/other"), true, true),
            (None, true, false),
            (None, false, false),
        ];
        for (folder, changes, there) in rows {
            assert_eq!((write(folder)?, path.exists()), (changes, there), "{folder:?}");
        }
        write(Some("/data/etcd"))?;
        assert!(std::fs::read_to_string(&path)?.ends_with("[Unit]\nRequiresMountsFor=\"/data/etcd\"\n"));
        Ok(())
    }

    #[test]
    fn odd_paths_are_written_as_systemd_reads_them() {
        assert_eq!(quoted(r#"/a b/100%/"c"\d"#), r#""/a b/100%%/\"c\"\\d""#);
    }
}
