//! The drop-ins that the package brings: those that make systemd stop the containers' scopes only after a unit, and the one that
//! runs the guard before kubelet. They are read from the disk, because systemd does not know the drop-ins of a scope that does
//! not exist yet.

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
const SCOPES: [&str; 3] = ["cri-containerd-.scope.d", "crio-.scope.d", "docker-.scope.d"];
/// The folder for kubelet.
const KUBELET: &str = "kubelet.service.d";
/// How the guard is started there, whatever stands before it.
const GUARD: &str = "kubeboot guard";
/// The largest drop-in that is read, in bytes.
const LIMIT: u64 = 64 * 1024;

/// The folders in which no drop-in orders the scopes before this unit, or runs the guard before kubelet.
#[must_use]
pub fn missing(root: &Path, unit: &str) -> Vec<&'static str> {
    let scopes = SCOPES.into_iter().filter(|folder| !drop_ins(root, folder).iter().any(|file| is_before(file, unit)));
    let guard = drop_ins(root, KUBELET).iter().any(|file| has_guard(file));
    scopes.chain((!guard).then_some(KUBELET)).collect()
}

/// A message about missing drop-ins: where they were looked for, and the consequence.
#[must_use]
pub fn describe_missing(missing: &[impl AsRef<str>], unit: &str) -> String {
    let (kubelet, scopes): (Vec<&str>, Vec<&str>) =
        missing.iter().map(AsRef::as_ref).partition(|name| *name == KUBELET);
    let paths = UNIT_PATHS.join(", ");
    let of_scopes = (!scopes.is_empty()).then(|| {
        let names = scopes.join(", ");
        format!("no drop-in with 'Before={unit}' in {names} below {paths}: systemd would end etcd before this machine has left")
    });
    let of_kubelet = (!kubelet.is_empty()).then(|| {
        format!(
            "no drop-in that runs '{GUARD}' in {KUBELET} below {paths}: kubelet would start an etcd whose data is gone"
        )
    });
    [of_scopes, of_kubelet].into_iter().flatten().collect::<Vec<_>>().join("; ")
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

/// Whether a drop-in orders its scopes before this unit.
fn is_before(file: &Path, unit: &str) -> bool {
    says(file, |key, units| key == "Before" && units.split_whitespace().any(|word| word == unit))
}

/// Whether a drop-in runs the guard before kubelet.
fn has_guard(file: &Path) -> bool {
    says(file, |key, command| key == "ExecStartPre" && command.trim().ends_with(GUARD))
}

/// Whether one of its assignments is such. A file that is linked to /dev/null says nothing.
fn says(file: &Path, is_such: impl Fn(&str, &str) -> bool) -> bool {
    let text = files::read_bounded(file, LIMIT).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.unwrap_or_default();
    text.lines().filter_map(|line| line.split_once('=')).any(|(key, value)| is_such(key.trim(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Result;
    use std::os::unix::fs::symlink;

    const UNIT: &str = "kubeboot-reset.service";
    const OWN: &str = include_str!("../../../systemd/cri-containerd-.scope.d/10-kubeboot-reset.conf");
    const OWN_GUARD: &str = include_str!("../../../systemd/kubelet.service.d/10-kubeboot-guard.conf");

    fn put(root: &Path, path: &str, name: &str, text: &str) -> Result<()> {
        let folder = root.join(path);
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(name), text)?)
    }

    #[test]
    fn drop_ins_count_in_any_of_systemds_unit_paths() -> Result<()> {
        for path in UNIT_PATHS {
            let root = tempfile::tempdir()?;
            let folders = [&SCOPES[..], &[KUBELET]].concat();
            assert_eq!(missing(root.path(), UNIT), folders, "nothing is there");
            for (at, folder) in folders.iter().enumerate() {
                let text = if *folder == KUBELET { OWN_GUARD } else { OWN };
                put(root.path(), &format!("{}/{folder}", &path[1..]), "10-kubeboot.conf", text)?;
                assert_eq!(missing(root.path(), UNIT), folders[at + 1..], "{path}");
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
    fn a_guard_counts_however_it_is_started_unless_it_is_none() -> Result<()> {
        let rows = [
            ("[Service]\nExecStartPre=-/usr/local/bin/kubeboot guard\n", true),
            ("[Service]\nExecStartPre=-timeout 10 kubeboot guard\n", true),
            ("[Service]\n#ExecStartPre=-kubeboot guard\n", false),
            ("[Service]\nExecStartPre=kubeboot guard --help\n", false),
            ("[Unit]\nRequiresMountsFor=/data\n", false),
        ];
        for (text, counts) in rows {
            let root = tempfile::tempdir()?;
            put(root.path(), "etc/systemd/system/kubelet.service.d", "20-own.conf", text)?;
            assert_eq!(!missing(root.path(), UNIT).contains(&KUBELET), counts, "{text}");
        }
        let said = describe_missing(&[KUBELET], UNIT);
        assert!(said.contains("'kubeboot guard' in kubelet.service.d") && !said.contains("Before="), "{said}");
        assert!(describe_missing(&["crio-.scope.d", KUBELET], UNIT).contains("has left; no drop-in"));
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
        assert_eq!(shipped, [&SCOPES[..], &[KUBELET]].concat());
        Ok(())
    }
}
