//! Folders for what is needed only while a command works: credentials, documents with tokens, now and then keys of authorities.
//!
//! Whoever works in one holds a lock on it (an flock, which the kernel releases with the process, and which no child inherits). So what
//! nobody holds is of a command that was killed, and anybody may remove it at any time, also without the machine's lock.

use super::files;
use anyhow::{Context, Result, bail};
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// Where they all are. `/run` is in memory, so a power-off erases them.
pub const PARENT: &str = "/run/kubeboot/short-lived";

/// How often a folder of a fixed name is tried: whoever sweeps holds it for a moment.
const ATTEMPTS: u32 = 50;
/// Between two attempts.
const INTERVAL: Duration = Duration::from_millis(20);

/// A folder for its owner alone, which is gone when this is dropped, or soon after its process was killed.
#[derive(Debug)]
pub struct ShortLived {
    path: PathBuf,
    _held: File,
}

impl ShortLived {
    /// A folder for this purpose, such as `judged`, of this process alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(purpose: &str) -> Result<Self> {
        Self::numbered(Path::new(PARENT), purpose)
    }

    /// The one folder of this name, for whoever holds a lock by which there is no second one.
    ///
    /// # Errors
    /// It cannot be made, or another process holds it.
    pub fn sole(name: &str) -> Result<Self> {
        Self::named(Path::new(PARENT), name)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name is the same in every run of a process as far as can be, since errors name it.
    fn numbered(parent: &Path, purpose: &str) -> Result<Self> {
        sweep_below(parent);
        let pid = std::process::id();
        for number in 1.. {
            if let Some(made) = Self::make(&parent.join(format!("{purpose}-{pid}-{number}")))? {
                return Ok(made);
            }
        }
        bail!("'{}' is full of folders", parent.display())
    }

    fn named(parent: &Path, name: &str) -> Result<Self> {
        let path = parent.join(name);
        for _ in 0..ATTEMPTS {
            sweep_below(parent);
            if let Some(made) = Self::make(&path)? {
                return Ok(made);
            }
            sleep(INTERVAL);
        }
        bail!("another process works in '{}'", path.display())
    }

    /// `None` where there is one already, or one that is just being swept away.
    fn make(path: &Path) -> Result<Option<Self>> {
        files::private_dir(path.parent().context("it has no parent")?)?;
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("failed to make '{}'", path.display())),
        }
        Ok(hold(path).map(|held| Self { path: path.to_owned(), _held: held }))
    }
}

impl Drop for ShortLived {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes what commands have left that were killed. A command that works keeps what it has.
pub fn sweep() {
    sweep_below(Path::new(PARENT));
}

fn sweep_below(parent: &Path) {
    // Without the folder nothing was left, and whoever may not read it has left nothing there.
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if let Some(_held) = hold(&path) {
            tracing::debug!("removing '{}', which a command that was killed has left", path.display());
            remove(&path);
        }
    }
}

/// The lock on what is there, unless another process holds it, or it is not there any more once it is held.
fn hold(path: &Path) -> Option<File> {
    let held = File::open(path).ok()?;
    held.try_lock().ok()?;
    let (mine, there) = (held.metadata().ok()?, fs::symlink_metadata(path).ok()?);
    ((mine.dev(), mine.ino()) == (there.dev(), there.ino())).then_some(held)
}

fn remove(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!("failed to remove '{}', which may hold credentials: {error}", path.display());
        }
        Ok(()) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(parent: &Path) -> Vec<String> {
        let entries = fs::read_dir(parent).expect("it was made").flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn it_is_its_owners_alone_and_goes_with_all_that_is_in_it() -> Result<()> {
        let root = tempfile::tempdir()?;
        let parent = root.path().join("run/short-lived");
        let (one, other) = (ShortLived::numbered(&parent, "judged")?, ShortLived::numbered(&parent, "judged")?);
        assert_ne!(one.path(), other.path());
        for path in [parent.as_path(), one.path()] {
            assert_eq!(fs::metadata(path)?.permissions().mode() & 0o7777, 0o700);
        }
        fs::create_dir(one.path().join("pki"))?;
        files::write(&one.path().join("pki/ca.key"), b"secret", 0o600)?;
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().exists());
        assert_eq!(ShortLived::numbered(&parent, "judged")?.path(), path, "the next one has the same name");
        Ok(())
    }

    #[test]
    fn what_was_left_is_swept_away_and_what_is_held_stays() -> Result<()> {
        let root = tempfile::tempdir()?;
        let works = ShortLived::numbered(root.path(), "leaving")?;
        // As SIGKILL leaves it: also in the middle of a write.
        for left in ["up/credentials/pki", "judged-7-1"] {
            fs::create_dir_all(root.path().join(left))?;
            fs::write(root.path().join(left).join(".kubeboot-Xy"), "secret")?;
        }
        fs::write(root.path().join("file"), "secret")?;
        sweep_below(root.path());
        let kept = works.path().file_name().context("a name")?.to_string_lossy().into_owned();
        assert_eq!(names(root.path()), ["file".to_owned(), kept], "only folders are anybody's");
        sweep_below(&root.path().join("not/there"));
        Ok(())
    }

    #[test]
    fn there_is_one_of_a_name_and_what_an_earlier_one_has_left_is_not_in_it() -> Result<()> {
        let root = tempfile::tempdir()?;
        let left = root.path().join("up");
        fs::create_dir(&left)?;
        fs::write(left.join("kubeadm-init.yaml"), "token")?;
        let up = ShortLived::named(root.path(), "up")?;
        assert_eq!((up.path(), names(up.path())), (left.as_path(), Vec::new()));
        let second = ShortLived::named(root.path(), "up").map(drop).expect_err("there is one");
        assert!(second.to_string().contains("another process works in"), "{second}");
        assert!(left.exists());
        Ok(())
    }

    #[test]
    fn whoever_was_swept_away_between_making_and_holding_makes_another() -> Result<()> {
        let root = tempfile::tempdir()?;
        let parent = root.path().to_owned();
        std::thread::scope(|scope| {
            let sweeping = scope.spawn(|| (0..2000).for_each(|_| sweep_below(&parent)));
            while !sweeping.is_finished() {
                let made = ShortLived::numbered(&parent, "made")?;
                fs::write(made.path().join("document"), "token")?;
                assert!(made.path().join("document").exists(), "it was taken away from under its owner");
            }
            Ok(())
        })
    }
}
