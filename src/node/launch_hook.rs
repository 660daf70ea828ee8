//! Whether this very instance has answered its group's launch hook, or that waits for nobody. It is known when the machine is wiped and joins
//! anew: its group waits for it only once, and once more for every time that it leaves a warm pool. Another instance, made of its disk, does
//! not go by it.

use crate::host::files;
use crate::model::machine::ids::InstanceId;
use anyhow::Result;
use std::path::Path;

/// Its place on the disk, without the leading slash: a file with the ID of the instance.
const PATH: &str = "var/lib/kubeboot/launch-hook-answered";
/// The largest such file, in bytes.
const LIMIT: u64 = 256;

/// Whether it has, by what lies below `root` (`/` on a machine). What cannot be read says nothing: then it is answered once more.
#[must_use]
pub fn is_answered(root: &Path, me: &InstanceId) -> bool {
    let kept = files::read_if_there(&root.join(PATH), LIMIT).ok().flatten();
    kept.is_some_and(|kept| kept.trim_ascii() == me.as_str().as_bytes())
}

/// Writes down that it has.
///
/// # Errors
/// The file cannot be written.
pub fn set_answered(root: &Path, me: &InstanceId) -> Result<()> {
    let path = root.join(PATH);
    files::private_dir(path.parent().unwrap_or(root))?;
    files::write(&path, format!("{me}\n").as_bytes(), 0o600)
}

/// Forgets it: this machine is in its group's warm pool, and is waited for anew when it leaves that.
///
/// # Errors
/// The file cannot be removed.
pub fn forget(root: &Path) -> Result<()> {
    files::remove(&root.join(PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_instance_that_has_answered_goes_by_it() -> Result<()> {
        let root = tempfile::tempdir()?;
        let (me, other) = (InstanceId::parse("i-00000001")?, InstanceId::parse("i-00000002")?);
        assert!(!is_answered(root.path(), &me));
        set_answered(root.path(), &me)?;
        assert!(is_answered(root.path(), &me) && !is_answered(root.path(), &other));
        std::fs::write(root.path().join(PATH), "\u{0}")?;
        assert!(!is_answered(root.path(), &me));
        set_answered(root.path(), &me)?;
        for _ in 0..2 {
            forget(root.path())?;
            assert!(!is_answered(root.path(), &me));
        }
        Ok(())
    }
}
