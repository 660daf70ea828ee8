//! When the certificates expire that kubeadm has put on this machine.

use crate::host::files;
use crate::kube::Kubeconfig;
use crate::kubeadm::pki::certificates;
use crate::model::status::CertificateExpiry;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where kubeadm keeps certificates.
const FOLDERS: [&str; 2] = ["etc/kubernetes/pki", "etc/kubernetes/pki/etcd"];
/// kubeconfigs whose client certificate kubeadm makes for a year. Kubelet renews its own.
const KUBECONFIGS: [&str; 4] = [
    "etc/kubernetes/admin.conf",
    "etc/kubernetes/super-admin.conf",
    "etc/kubernetes/controller-manager.conf",
    "etc/kubernetes/scheduler.conf",
];
/// The largest certificate file, in bytes.
const LIMIT: u64 = 256 * 1024;
const DAY: i64 = 24 * 60 * 60;

/// Reads all certificates below `root` (`/` on a machine), those that expire first at the front.
///
/// # Errors
/// The first file that cannot be read or holds no certificate.
pub(super) fn read(root: &Path) -> Result<Vec<CertificateExpiry>> {
    let mut found = Vec::new();
    for path in certificate_files(root)? {
        let pem = files::read_bounded(&path, LIMIT)?;
        found.extend(soonest(root, &path, &pem)?);
    }
    for path in KUBECONFIGS.iter().map(|file| root.join(file)).filter(|path| path.exists()) {
        found.extend(soonest(root, &path, &Kubeconfig::read(&path)?.certificate)?);
    }
    found.sort_by(|one, other| (one.days, &one.file).cmp(&(other.days, &other.file)));
    Ok(found)
}

fn certificate_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in FOLDERS.map(|folder| root.join(folder)) {
        let failed = || format!("failed to list '{}'", folder.display());
        let entries = match folder.read_dir() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.with_context(failed)?,
        };
        for entry in entries {
            let path = entry.with_context(failed)?.path();
            if path.extension() == Some(OsStr::new("crt")) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// The certificate of a file that expires first: a file may hold several.
fn soonest(root: &Path, path: &Path, pem: &[u8]) -> Result<Option<CertificateExpiry>> {
    let file = Path::new("/").join(path.strip_prefix(root).unwrap_or(path)).display().to_string();
    let all = certificates(pem).with_context(|| format!("failed to read the certificate '{file}'"))?;
    let expires = all.iter().map(|certificate| certificate.expires).min();
    Ok(expires.map(|expires| CertificateExpiry {
        file,
        expires: humantime::format_rfc3339_seconds(expires).to_string(),
        days: days_until(expires, SystemTime::now()),
    }))
}

/// Whole days, rounded down: 0 within the last day, negative afterwards.
fn days_until(expires: SystemTime, now: SystemTime) -> i64 {
    let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match expires.duration_since(now) {
        Ok(left) => seconds(left) / DAY,
        Err(since) => -1 - seconds(since.duration()) / DAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_are_whole_and_negative_when_over() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000_000);
        let rows = [(0, 0), (86_399, 0), (86_400, 1), (30 * 86_400 + 5, 30), (-1, -1), (-86_400, -2), (-86_399, -1)];
        for (seconds, days) in rows {
            let span = Duration::from_secs(i64::unsigned_abs(seconds));
            let expires = if seconds < 0 { now - span } else { now + span };
            assert_eq!(days_until(expires, now), days, "{seconds}");
        }
    }

    #[test]
    fn a_machine_without_control_plane_has_none() -> Result<()> {
        assert_eq!(read(tempfile::tempdir()?.path())?, []);
        Ok(())
    }

    #[test]
    fn files_are_named_as_on_the_machine_and_keys_are_not_looked_at() -> Result<()> {
        let root = tempfile::tempdir()?;
        let pki = root.path().join(FOLDERS[1]);
        std::fs::create_dir_all(&pki)?;
        std::fs::write(pki.join("ca.crt"), include_bytes!("../../tests/fixtures/pki/ca.crt"))?;
        std::fs::write(pki.join("ca.key"), "SECRET")?;
        let found = read(root.path())?;
        assert_eq!(
            found.iter().map(|found| found.file.as_str()).collect::<Vec<_>>(),
            ["/etc/kubernetes/pki/etcd/ca.crt"]
        );
        assert!(found[0].days > 30);
        std::fs::write(pki.join("peer.crt"), "SECRET")?;
        let error = read(root.path()).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains("peer.crt") && !error.contains("SECRET"), "{error}");
        Ok(())
    }
}
