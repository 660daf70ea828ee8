//! The data folder of kubeadm's etcd is etcd's own: nothing else may lie in it, and nothing but what etcd made there is ever
//! removed.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

/// All that etcd makes in it.
const MEMBER: &str = "member";
/// What may lie in it beside that: it comes with an ext4 file system.
const HARMLESS: &str = "lost+found";
/// How many names an error shows.
const SHOWN: usize = 10;
/// Folders that are the system's or another program's own. What lies below them is not meant.
const SYSTEM: [&str; 33] = [
    "/",
    "/bin",
    "/boot",
    "/etc",
    "/etc/kubernetes",
    "/etc/kubernetes/manifests",
    "/etc/kubernetes/pki",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/lib",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/kubeboot",
    "/var/lib/kubelet",
    "/var/log",
    "/var/tmp",
];
/// Folders in which the kernel shows itself: nothing in them is a disk.
const KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Whether a path names a folder that is not etcd's to have, however it is written.
#[must_use]
pub fn is_system_folder(path: &Path) -> bool {
    let path = plain(path);
    SYSTEM.iter().any(|folder| Path::new(folder) == path) || KERNEL.iter().any(|folder| path.starts_with(folder))
}

/// The path without `.`, `..` and doubled slashes.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            Component::RootDir | Component::Normal(_) | Component::Prefix(_) => plain.push(part),
        }
    }
    plain
}

/// What lies in the folder and is not etcd's, by name, sorted. A folder that is not there holds nothing.
///
/// # Errors
/// It cannot be listed, or is no folder.
pub fn foreign_entries(folder: &Path) -> Result<Vec<String>> {
    let listing = || format!("failed to list etcd's data folder '{}'", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(listing)?,
    };
    let mut foreign = Vec::new();
    for entry in entries {
        let name = entry.with_context(listing)?.file_name();
        if name != MEMBER && name != HARMLESS {
            foreign.push(name.to_string_lossy().escape_debug().to_string());
        }
    }
    foreign.sort();
    Ok(foreign)
}

/// Whether the folder is the root of a file system that has a `lost+found`.
#[must_use]
pub fn has_lost_and_found(folder: &Path) -> bool {
    folder.join(HARMLESS).is_dir()
}

/// Sees that nothing but etcd's own lies in the folder, before this machine begins to be a member.
///
/// # Errors
/// Names what was found, and what to do.
pub fn refuse_foreign(folder: &Path) -> Result<()> {
    let foreign = foreign_entries(folder)?;
    ensure!(
        foreign.is_empty(),
        "etcd's data folder '{}' holds what is not etcd's: {}; move that elsewhere, or set etcd.local.dataDir to a folder of etcd's own",
        folder.display(),
        listed(&foreign)
    );
    Ok(())
}

/// A few names as a list.
fn listed(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Removes what etcd made in its data folder, and nothing else. Links are removed and not followed; what is mounted there
/// stays, and is an error.
///
/// # Errors
/// Names what could not be removed; what is left can be removed by another call.
pub fn remove_member(folder: &Path) -> Result<()> {
    let Some(volume) = volume(folder)? else { return Ok(()) };
    remove(&folder.join(MEMBER), volume)
}

/// What tells one mounted file system from another: the device, and where the kernel says it, the mount itself.
type Volume = (u32, u32, Option<u64>);

/// On which volume a path lies; `None` when it is not there. The last link is not followed.
fn volume(path: &Path) -> Result<Option<Volume>> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    match statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, wanted) {
        Ok(found) => {
            let mount = (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id);
            Ok(Some((found.stx_dev_major, found.stx_dev_minor, mount)))
        }
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to look at '{}'", path.display())),
    }
}

fn remove(path: &Path, own: Volume) -> Result<()> {
    let removing = || format!("failed to remove '{}'", path.display());
    match volume(path)? {
        None => return Ok(()),
        Some(found) if found != own => {
            bail!("'{}' is mounted there and was left alone: unmount it, if it may be wiped", path.display());
        }
        Some(_) => {}
    }
    if !fs::symlink_metadata(path).with_context(removing)?.is_dir() {
        return fs::remove_file(path).with_context(removing);
    }
    for entry in fs::read_dir(path).with_context(removing)? {
        remove(&entry.with_context(removing)?.path(), own)?;
    }
    fs::remove_dir(path).with_context(removing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn system_folders_are_known_however_they_are_written() {
        for path in
            ["/", "//", "/etc", "/etc/", "/var/./lib", "/var/lib/etcd/..", "/home", "/proc/1", "/dev/shm", "/sys/x"]
        {
            assert!(is_system_folder(Path::new(path)), "{path}");
        }
        for path in
            ["/var/lib/etcd", "/data", "/mnt/etcd", "/etc/etcd", "/home/etcd/data", "/devices", "/var/lib/etcd-2"]
        {
            assert!(!is_system_folder(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn what_is_not_etcds_is_named_with_the_way_out() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        refuse_foreign(&path.join("not there"))?;
        for name in [MEMBER, HARMLESS] {
            fs::create_dir(path.join(name))?;
        }
        refuse_foreign(path)?;
        assert!(has_lost_and_found(path) && !has_lost_and_found(&path.join(MEMBER)));
        for name in ["notes.txt", ".hidden", "two\nlines"] {
            fs::write(path.join(name), "")?;
        }
        assert_eq!(foreign_entries(path)?, [".hidden", "notes.txt", "two\\nlines"]);
        let said = refuse_foreign(path).expect_err("it is not etcd's alone").to_string();
        for word in [".hidden, notes.txt, two\\nlines", "set etcd.local.dataDir"] {
            assert!(said.contains(word), "{said}");
        }
        let many: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        assert!(listed(&many).ends_with("9 and 2 more"));
        assert!(refuse_foreign(&path.join("notes.txt")).is_err(), "a file in its place");
        Ok(())
    }

    #[test]
    fn only_what_etcd_made_is_removed_and_no_link_is_followed() -> Result<()> {
        let outer = tempfile::tempdir()?;
        let (folder, kept) = (outer.path().join("etcd"), outer.path().join("kept"));
        fs::create_dir_all(folder.join("member/wal"))?;
        fs::create_dir_all(&kept)?;
        for file in [folder.join("member/wal/0.wal"), folder.join("notes.txt"), kept.join("file")] {
            fs::write(file, "")?;
        }
        symlink(&kept, folder.join("member/snap"))?;
        for _again in 0..2 {
            remove_member(&folder)?;
            assert!(!folder.join(MEMBER).exists());
            assert!(folder.join("notes.txt").exists() && kept.join("file").exists());
        }
        symlink(&kept, folder.join(MEMBER))?;
        remove_member(&folder)?;
        assert!(fs::symlink_metadata(folder.join(MEMBER)).is_err() && kept.join("file").exists());
        remove_member(&outer.path().join("never made"))
    }

    /// In a mount namespace of its own, where this test may mount (root, or a user namespace).
    #[tokio::test]
    async fn what_is_mounted_there_stays() -> Result<()> {
        use crate::host::process::Command;
        let Ok(me) = std::env::current_exe() else { return Ok(()) };
        const INSIDE: &str = "KUBEBOOT_TEST_DATA_DIR";
        if let Some(folder) = std::env::var_os(INSIDE) {
            let folder = PathBuf::from(folder);
            for place in ["disk", "bind"] {
                let error = remove_member(&folder.join(place)).expect_err(place).to_string();
                assert!(error.contains("is mounted there"), "{error}");
                assert!(folder.join(place).join("member/inner/file").exists(), "{place}");
            }
            return Ok(());
        }
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        for place in ["disk/member/inner", "bind/member/inner", "other"] {
            fs::create_dir_all(path.join(place))?;
        }
        fs::write(path.join("other/file"), "")?;
        let test = "kubeadm::data_dir::tests::what_is_mounted_there_stays";
        let script = format!(
            "cd '{}' && mount -t tmpfs none disk/member/inner && touch disk/member/inner/file && mount --bind other bind/member/inner && \
             {INSIDE}=$PWD exec '{}' --exact {test}",
            path.display(),
            me.display()
        );
        let args = ["--user", "--map-root-user", "--mount", "--propagation", "private", "--", "sh", "-c", &script];
        match Command::new("unshare").args(args).env_allow(["PATH"]).run().await {
            Ok(output) => assert!(output.stdout.contains("1 passed"), "{}", output.stdout),
            // Here nobody may mount.
            Err(failed) if failed.to_string().contains("unshare failed") => {}
            Err(failed) => bail!("{failed}"),
        }
        Ok(())
    }
}
