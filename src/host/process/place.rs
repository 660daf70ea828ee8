//! Where a program lies.

use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::path::PathBuf;

/// The program of this name that is started with this `PATH`, if there is one. A name that is a path already is not looked for.
#[must_use]
pub fn along(path: &OsStr, program: &str) -> Option<PathBuf> {
    if program.is_empty() || program.contains('/') {
        return None;
    }
    let mut places = std::env::split_paths(path).map(|folder| folder.join(program));
    places.find(|place| place.is_file() && access(place, Access::EXEC_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_that_can_be_started_counts() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        let make = |place: &str, mode: u32| {
            let place = root.path().join(place);
            std::fs::create_dir_all(place.parent().unwrap_or(root.path()))?;
            std::fs::write(&place, "")?;
            std::fs::set_permissions(&place, PermissionsExt::from_mode(mode))?;
            anyhow::Ok(place)
        };
        make("1/tool", 0o644)?;
        std::fs::create_dir_all(root.path().join("2/tool"))?;
        let third = make("3/tool", 0o755)?;
        make("4/tool", 0o755)?;
        let path = |folders: &[&str]| {
            let folders: Vec<PathBuf> = folders.iter().map(|folder| root.path().join(folder)).collect();
            std::env::join_paths(folders)
        };
        assert_eq!(along(&path(&["0", "1", "2", "3", "4"])?, "tool"), Some(third));
        assert_eq!(along(&path(&["0", "1", "2"])?, "tool"), None);
        for (path, program) in [("", "sh"), ("/bin", "/bin/sh"), ("/bin", "")] {
            assert_eq!(along(OsStr::new(path), program), None, "{path} {program}");
        }
        Ok(())
    }
}
