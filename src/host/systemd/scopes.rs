//! The drop-ins that make systemd stop the containers' scopes only after a unit. They are read from the disk, because systemd
//! does not know the drop-ins of a scope that does not exist yet.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::host::files;

/// Where drop-ins are; of two files with the same name the first counts.
const UNIT_PATHS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// The folders for the scopes of containerd, CRI-O and Docker, as the package has them.
const FOLDERS: [&str; 3] = ["cri-containerd-.scope.d", "crio-.scope.d", "docker-.scope.d"];
/// The largest drop-in that is read, in bytes.
const LIMIT: u64 = 64 * 1024;

/// The folders in which no drop-in orders the scopes before this unit.
#[must_use]
pub fn missing(root: &Path, unit: &str) -> Vec<&'static str> {
    FOLDERS.into_iter().filter(|folder| !drop_ins(root, folder).iter().any(|file| is_before(file, unit))).collect()
}

/// A message about missing drop-ins: where they were looked for, and the consequence.
#[must_use]
pub fn describe_missing(missing: &[impl AsRef<str>], unit: &str) -> String {
    let names: Vec<&str> = missing.iter().map(AsRef::as_ref).collect();
    format!(
        "no drop-in with 'Before={unit}' in {} below {}: systemd would end etcd before this machine has left",
        names.join(", "),
        UNIT_PATHS.join(", ")
    )
}

/// What an operator can do about missing drop-ins.
pub const REMEDY: &str = "install them from kubeboot's package (its folder systemd), then 'systemctl daemon-reload'";

/// The effective drop-ins: of each name the first one.
fn drop_ins(root: &Path, folder: &str) -> Vec<PathBuf> {
    let mut names: BTreeSet<OsString> = BTreeSet::new();
    let folders = UNIT_PATHS.map(|path| root.join(path.trim_start_matches('/')).join(folder));
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "conf"));
    files.filter(|file| names.insert(file.file_name())).map(|file| file.path()).collect()
}

/// Whether a drop-in orders its scopes before this unit. One that is linked to /dev/null (masked) does not.
fn is_before(file: &Path, unit: &str) -> bool {
    let text = files::read_bounded(file, LIMIT).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once('='))
        .any(|(key, units)| key.trim() == "Before" && units.split_whitespace().any(|word| word == unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Result;
    use std::os::unix::fs::symlink;

    const UNIT: &str = "kubeboot-reset.service";
    const OWN: &str = include_str!("../../../systemd/cri-containerd-.scope.d/10-kubeboot-reset.conf");

    fn put(root: &Path, path: &str, name: &str, text: &str) -> Result<()> {
        let folder = root.join(path);
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(name), text)?)
    }

    #[test]
    fn drop_ins_count_in_any_of_systemds_unit_paths() -> Result<()> {
        for path in UNIT_PATHS {
            let root = tempfile::tempdir()?;
            assert_eq!(missing(root.path(), UNIT), FOLDERS, "nothing is there");
            for (at, folder) in FOLDERS.into_iter().enumerate() {
                put(root.path(), &format!("{}/{folder}", &path[1..]), "10-kubeboot-reset.conf", OWN)?;
                assert_eq!(missing(root.path(), UNIT), FOLDERS[at + 1..], "{path}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_masked_overridden_or_other_drop_in_does_not_count() -> Result<()> {
        let (first, last) = ("etc/systemd/system/crio-.scope.d", "usr/lib/systemd/system/crio-.scope.d");
        let rows = [
            ("10.conf", "[Unit]\nBefore = a.service kubeboot-reset.service\n", true),
            ("10.conf", "[Unit]\n#Before=kubeboot-reset.service\n", false),
            ("10.conf", "[Unit]\nBefore=kubeboot.service\n", false),
            ("10.conf", "[Unit]\nAfter=kubeboot-reset.service\n", false),
            ("10.conf.off", OWN, false),
        ];
        for (name, text, counts) in rows {
            let root = tempfile::tempdir()?;
            put(root.path(), last, name, text)?;
            assert_eq!(!missing(root.path(), UNIT).contains(&"crio-.scope.d"), counts, "{name}: {text}");
            put(root.path(), first, "20.conf", "[Scope]\n")?;
            assert_eq!(!missing(root.path(), UNIT).contains(&"crio-.scope.d"), counts, "another name hides nothing");
            symlink("/dev/null", root.path().join(first).join(name))?;
            assert!(missing(root.path(), UNIT).contains(&"crio-.scope.d"), "masked");
        }
        Ok(())
    }

    #[test]
    fn the_package_has_the_drop_ins_that_are_looked_for() -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
        let mut shipped: Vec<OsString> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            shipped.extend(entry.path().is_dir().then(|| entry.file_name()));
        }
        shipped.sort();
        assert_eq!(shipped, FOLDERS);
        Ok(())
    }
}
