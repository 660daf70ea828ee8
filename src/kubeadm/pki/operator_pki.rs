//! The operator's own certificate authorities.
//!
//! An operator may ship certificate authorities, or the client files of an external etcd, in the machine image under
//! `/etc/kubernetes/pki`. `kubeadm reset` empties that folder completely. So before kubeadm is started for the first time, everything
//! in it is copied aside, and after every wipe it is put back: a second attempt must use the same authority as the first one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::PKI_DIR;
use crate::host::files;

/// Where the copies are kept: on the disk, because they must survive a reboot between two attempts.
const SAVED_DIR: &str = "var/lib/kubeboot/given-pki";
/// The largest file that is copied, in bytes.
const FILE_LIMIT: u64 = 256 * 1024;

/// Copies the content of `/etc/kubernetes/pki` below `root` aside. Called on a fresh machine, before kubeadm's first start. Does
/// nothing if there is a copy already, because kubeadm's own files may be in the folder by then.
///
/// # Errors
/// Names the file that could not be copied.
pub fn save_operator_pki(root: &Path) -> Result<()> {
    let kept = root.join(SAVED_DIR);
    if kept.exists() {
        return Ok(());
    }
    // Copied under another name and then renamed, so that an incomplete copy is never taken for a whole one.
    let unfinished = kept.with_extension("new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("failed to remove '{}'", unfinished.display()))?;
    }
    files::private_dir(&unfinished)?;
    copy(&pki(root), &unfinished)?;
    fs::rename(&unfinished, &kept).with_context(|| format!("failed to rename '{}'", unfinished.display()))
}

/// Puts the copy back into `/etc/kubernetes/pki` below `root`. Without a copy nothing happens.
///
/// # Errors
/// Names the file that could not be copied.
pub fn restore_operator_pki(root: &Path) -> Result<()> {
    copy(&root.join(SAVED_DIR), &pki(root))
}

fn pki(root: &Path) -> std::path::PathBuf {
    root.join(PKI_DIR.trim_start_matches('/'))
}

/// Copies regular files and folders. Links to files are followed, links to folders are not, so that the copy always ends.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("failed to copy '{}' to '{}'", from.display(), to.display());
    let Ok(entries) = fs::read_dir(from) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry.with_context(failed)?;
        let target = to.join(entry.file_name());
        if entry.file_type().with_context(failed)?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.path().is_file() {
            files::private_dir(to)?;
            let public = target.extension().is_some_and(|ending| ending == "crt" || ending == "pub");
            let content = files::read_bounded(&entry.path(), FILE_LIMIT).with_context(failed)?;
            files::write(&target, &content, if public { 0o644 } else { 0o600 }).with_context(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_files_survive_a_wipe_and_kubeadms_do_not() -> Result<()> {
        let root = tempfile::tempdir()?;
        let pki = pki(root.path());
        fs::create_dir_all(pki.join("etcd"))?;
        fs::write(pki.join("ca.key"), "operator's")?;
        fs::write(pki.join("etcd/ca.crt"), "operator's")?;
        save_operator_pki(root.path())?;
        fs::write(pki.join("sa.key"), "kubeadm's")?;
        save_operator_pki(root.path())?;
        fs::remove_dir_all(&pki)?;
        restore_operator_pki(root.path())?;
        assert_eq!(fs::read_to_string(pki.join("ca.key"))?, "operator's");
        assert_eq!(fs::read_to_string(pki.join("etcd/ca.crt"))?, "operator's");
        assert!(!pki.join("sa.key").exists());
        Ok(())
    }

    #[test]
    fn without_files_of_the_operator_nothing_is_restored() -> Result<()> {
        let root = tempfile::tempdir()?;
        restore_operator_pki(root.path())?;
        save_operator_pki(root.path())?;
        restore_operator_pki(root.path())?;
        assert!(!pki(root.path()).exists());
        Ok(())
    }
}
