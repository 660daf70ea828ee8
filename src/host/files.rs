//! Files that are written whole or not at all, and folders that only their owner can read.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Writes a file whole: readers see the old content or the new one, also after a power cut.
/// It is made in the same folder, gets its mode before its content, and is then renamed.
///
/// # Errors
///
/// If any step fails; the old file is then untouched, or (after a failed last sync) whole.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let write = || -> io::Result<()> {
        let folder = folder_of(path)?;
        let mut file = tempfile::Builder::new()
            .prefix(".kubeboot-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The rename is stored in the folder, so the folder must be synced, too.
        File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("failed to write '{}'", path.display()))
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(folder) => Ok(folder),
        None => Err(io::Error::other("it is no file in a folder")),
    }
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
///
/// If it cannot be read (an [`io::Error`] is in the chain) or is larger.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("failed to read '{}'", path.display()))?;
    ensure!(
        u64::try_from(bytes.len()).is_ok_and(|length| length <= limit),
        "failed to read '{}': it is larger than {limit} bytes, so it is not what is expected there",
        path.display()
    );
    Ok(bytes)
}

/// As [`read_bounded`], but a file that is not there is `None`.
///
/// # Errors
///
/// As [`read_bounded`].
pub fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    match read_bounded(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    error.root_cause().downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Where an absolute path lies below `root`, which is `/` on a machine.
#[must_use]
pub fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Removes a file. One that is not there is no error.
///
/// # Errors
///
/// If it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove '{}'", path.display()))
        }
        _ => Ok(()),
    }
}

/// Empties a folder and keeps it, because it may be a mount point. Links are removed, not
/// followed. A folder that is not there is empty.
///
/// # Errors
///
/// If something in it cannot be removed, with its name. Another call goes on with the rest.
pub fn remove_contents(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("failed to list '{}'", folder.display()))?,
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to list '{}'", folder.display()))?;
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(entry.path()),
            Ok(_) => fs::remove_file(entry.path()),
            Err(error) => Err(error),
        };
        removed.with_context(|| format!("failed to remove '{}'", entry.path().display()))?;
    }
    Ok(())
}

/// Makes a folder (and those above it) that only its owner can read. One that exists keeps its
/// mode, because it may not be kubeboot's.
///
/// # Errors
///
/// If it cannot be made, or something else has its name.
pub fn private_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("failed to make the folder '{}'", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it was just made").permissions().mode() & 0o7777
    }

    #[test]
    fn a_written_file_has_its_content_and_mode_and_leaves_no_temporary_file() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("secret");
        for (content, wanted) in [("first, and longer", 0o600), ("second", 0o644)] {
            write(&path, content.as_bytes(), wanted)?;
            assert_eq!(fs::read_to_string(&path)?, content);
            assert_eq!(mode(&path), wanted);
        }
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_failed_write_leaves_nothing_and_names_the_file() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("taken");
        private_dir(&path)?;
        let error = write(&path, b"content", 0o600).expect_err("a folder has that name");
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn reading_is_bounded() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        assert_eq!(read_if_there(&path, 5)?, None);
        assert!(read_bounded(&path, 5).is_err());
        fs::write(&path, "12345")?;
        assert_eq!(read_bounded(&path, 5)?, b"12345");
        assert!(read_if_there(&path, 4).is_err());
        Ok(())
    }

    #[test]
    fn emptying_a_folder_keeps_it_and_the_targets_of_links() -> Result<()> {
        let outer = tempfile::tempdir()?;
        let (kept, folder) = (outer.path().join("kept"), outer.path().join("folder"));
        private_dir(&kept)?;
        fs::write(kept.join("file"), "content")?;
        private_dir(&folder.join("deeper/still"))?;
        fs::write(folder.join("deeper/file"), "content")?;
        symlink(&kept, folder.join("link"))?;
        remove_contents(&folder)?;
        remove_contents(&outer.path().join("never made"))?;
        assert_eq!(fs::read_dir(&folder)?.count(), 0);
        assert!(kept.join("file").exists());
        Ok(())
    }

    #[test]
    fn a_private_folder_is_private_and_an_older_one_is_left_alone() -> Result<()> {
        let outer = tempfile::tempdir()?;
        let folder = outer.path().join("a/b");
        private_dir(&folder)?;
        assert_eq!(mode(&folder), 0o700);
        fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
        private_dir(&folder)?;
        assert_eq!(mode(&folder), 0o755);
        Ok(())
    }

    #[test]
    fn removing_twice_is_no_error() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        fs::write(&path, "")?;
        remove(&path)?;
        remove(&path)
    }
}
