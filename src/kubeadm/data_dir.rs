//! The data folder of kubeadm's etcd is etcd's own: nothing else may lie in it, and nothing but what etcd made there is ever
//! removed.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

/// All that etcd makes in it.
const MEMBER: &str = "member";
/// Where a snapshot is unpacked before it becomes the member's data: on the same file system, so that it does at one moment.
const UNPACKED: &str = "kubeboot-unpacked";
/// Where a member's data is moved before a wipe that must not remove it: on the same file system, whatever is mounted where. The first
/// that is free, for none replaces another.
const ASIDE: [&str; 9] = [
    "kubeboot-aside",
    "kubeboot-aside-2",
    "kubeboot-aside-3",
    "kubeboot-aside-4",
    "kubeboot-aside-5",
    "kubeboot-aside-6",
    "kubeboot-aside-7",
    "kubeboot-aside-8",
    "kubeboot-aside-9",
];
/// What comes with an ext4 file system.
const LOST_AND_FOUND: &str = "lost+found";
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
        if name != MEMBER && name != UNPACKED && !harmless().any(|harmless| name == *harmless) {
            foreign.push(name.to_string_lossy().escape_debug().to_string());
        }
    }
    foreign.sort();
    Ok(foreign)
}

/// What may lie in the folder beside what etcd makes.
fn harmless() -> impl Iterator<Item = &'static str> {
    ASIDE.into_iter().chain([LOST_AND_FOUND])
}

/// Whether something lies in the folder that is not etcd's and harms nobody: the `lost+found` of a file system's root, or data that was
/// moved aside.
#[must_use]
pub fn has_harmless_folder(folder: &Path) -> bool {
    harmless().any(|name| folder.join(name).is_dir())
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
    remove(&folder.join(UNPACKED), volume)?;
    remove(&folder.join(MEMBER), volume)
}

/// A snapshot that is unpacked in a folder of its own beside the data of a member, of which there is none yet.
#[derive(Debug)]
pub struct Unpacking {
    data_dir: PathBuf,
    folder: PathBuf,
}

/// Makes room for a snapshot in etcd's data folder. What an earlier one has left there is removed.
///
/// # Errors
/// A member's data is there, which nothing is ever unpacked over; or the folder cannot be made.
pub fn begin_unpacking(data_dir: &Path) -> Result<Unpacking> {
    crate::host::files::private_dir(data_dir)?;
    let Some(volume) = volume(data_dir)? else { bail!("'{}' is gone again", data_dir.display()) };
    let member = data_dir.join(MEMBER);
    ensure!(
        fs::symlink_metadata(&member).is_err_and(|error| error.kind() == io::ErrorKind::NotFound),
        "there is data of a member at '{}'",
        member.display()
    );
    let folder = data_dir.join(UNPACKED);
    remove(&folder, volume)?;
    Ok(Unpacking { data_dir: data_dir.to_owned(), folder })
}

impl Unpacking {
    /// Where it is unpacked. Not there before that.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes what was unpacked the data of this machine's member, at one moment.
    ///
    /// # Errors
    /// It could not be moved; then there is no data.
    pub fn become_the_data(self) -> Result<()> {
        let (from, to) = (self.folder.join(MEMBER), self.data_dir.join(MEMBER));
        let moved = fs::rename(&from, &to).and_then(|()| fs::File::open(&self.data_dir)?.sync_all());
        moved.with_context(|| format!("failed to move '{}' to '{}'", from.display(), to.display()))?;
        fs::remove_dir_all(&self.folder).with_context(|| format!("failed to remove '{}'", self.folder.display()))
    }
}

/// Moves what etcd made in its data folder aside, beside what was moved there before. Returns where it lies; where there is no data,
/// what was moved last, if anything was. What was only unpacked is removed. Again after a crash: the same end.
///
/// # Errors
/// It could not be moved, and is where it was; or there are as many copies as there may be.
pub fn move_member_aside(folder: &Path) -> Result<Option<PathBuf>> {
    let Some(volume) = volume(folder)? else { return Ok(None) };
    remove(&folder.join(UNPACKED), volume)?;
    let (member, copies) = (folder.join(MEMBER), asides_of(folder));
    if is_free(&member) {
        return Ok(copies.into_iter().next_back());
    }
    let aside = ASIDE.iter().map(|name| folder.join(name)).find(|path| is_free(path)).with_context(|| {
        format!(
            "'{}' already holds {} copies of etcd's data that were moved aside ({} to {}), and none is ever replaced: copy elsewhere those that \
             may be needed, remove them here, and try again",
            folder.display(),
            ASIDE.len(),
            ASIDE[0],
            ASIDE[ASIDE.len() - 1]
        )
    })?;
    let moved = fs::rename(&member, &aside).and_then(|()| fs::File::open(folder)?.sync_all());
    moved.with_context(|| format!("failed to move '{}' to '{}'", member.display(), aside.display()))?;
    Ok(Some(aside))
}

/// Whether nothing lies there, not even a broken link.
fn is_free(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Where data of members lies that was moved aside.
#[must_use]
pub fn asides_of(folder: &Path) -> Vec<PathBuf> {
    ASIDE.iter().map(|name| folder.join(name)).filter(|aside| aside.is_dir()).collect()
}

/// When etcd wrote last into the copy that lies there; `None` where that cannot be read.
#[must_use]
pub fn last_written(aside: &Path) -> Option<SystemTime> {
    let database = fs::metadata(aside.join("snap/db")).or_else(|_| fs::metadata(aside));
    database.and_then(|database| database.modified()).ok()
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
    use std::time::Duration;

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
        for name in [MEMBER, LOST_AND_FOUND] {
            fs::create_dir(path.join(name))?;
        }
        refuse_foreign(path)?;
        assert!(has_harmless_folder(path) && !has_harmless_folder(&path.join(MEMBER)));
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

    #[test]
    fn what_is_unpacked_becomes_the_data_at_one_moment_and_never_over_other_data() -> Result<()> {
        let outer = tempfile::tempdir()?;
        let path = outer.path().join("etcd");
        let first = begin_unpacking(&path)?;
        fs::create_dir_all(first.folder().join(MEMBER).join("wal"))?;
        refuse_foreign(&path)?;
        // One that was killed left that.
        let unpacking = begin_unpacking(&path)?;
        assert!(!first.folder().exists() && !path.join(MEMBER).exists());
        let nothing = begin_unpacking(&path)?.become_the_data();
        assert!(nothing.is_err() && !path.join(MEMBER).exists(), "nothing was unpacked");
        fs::create_dir_all(unpacking.folder().join(MEMBER).join("wal"))?;
        unpacking.become_the_data()?;
        assert!(path.join(MEMBER).join("wal").is_dir() && !path.join(UNPACKED).exists());
        let over = begin_unpacking(&path).err().context("there is data")?;
        assert!(over.to_string().contains("there is data of a member"), "{over}");
        fs::create_dir_all(path.join(UNPACKED))?;
        remove_member(&path)?;
        assert_eq!(fs::read_dir(&path)?.count(), 0, "a wipe leaves neither");
        Ok(())
    }

    #[test]
    fn data_that_is_moved_aside_is_there_and_in_nobodys_way() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        assert_eq!(move_member_aside(&path.join("never made"))?, None);
        assert_eq!(move_member_aside(path)?, None);
        for name in ASIDE {
            fs::create_dir(path.join(MEMBER))?;
            fs::write(path.join(MEMBER).join("db"), name)?;
            for _again in 0..2 {
                fs::create_dir_all(path.join(UNPACKED))?;
                assert_eq!(move_member_aside(path)?, Some(path.join(name)));
                assert!(!path.join(UNPACKED).exists(), "with data and without");
            }
            assert!(!path.join(MEMBER).exists() && has_harmless_folder(path));
        }
        for name in ASIDE {
            assert_eq!(fs::read_to_string(path.join(name).join("db"))?, name, "none replaces another");
        }
        fs::create_dir(path.join(MEMBER))?;
        let refused = move_member_aside(path).err().context("there is no place")?.to_string();
        assert!(refused.contains(&path.display().to_string()) && refused.contains("remove them here"), "{refused}");
        assert!(path.join(MEMBER).is_dir());
        // A place that was freed is taken.
        fs::remove_dir_all(path.join(ASIDE[1]))?;
        move_member_aside(path)?;
        assert!(path.join(ASIDE[1]).is_dir() && !path.join(MEMBER).exists());
        remove_member(path)?;
        refuse_foreign(path)?;
        assert_eq!(asides_of(path).len(), ASIDE.len());
        let (copy, long_ago) = (path.join(ASIDE[2]), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        assert!(last_written(&copy).is_some_and(|at| at > long_ago) && last_written(&path.join("none")).is_none());
        fs::create_dir(copy.join("snap"))?;
        fs::File::create(copy.join("snap/db"))?.set_modified(long_ago)?;
        assert_eq!(last_written(&copy), Some(long_ago), "the database tells, not the folder");
        Ok(())
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
