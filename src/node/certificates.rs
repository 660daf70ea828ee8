//! The certificates that kubeadm has put on this machine: which there are, and when each ends.

use crate::host::files;
use crate::kube::Kubeconfig;
use crate::kubeadm::pki::{certificates, certificates_beside_a_key};
use crate::model::renew::KUBELET_CLIENT;
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

/// A file with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFile {
    /// The file, as it is called on the machine.
    pub file: String,
    /// When its certificate ends; of several, the one that ends first.
    pub ends: SystemTime,
}

/// Reads all certificates below `root` (`/` on a machine), those that end first at the front.
///
/// # Errors
/// The first file that cannot be read or holds no certificate.
pub fn read(root: &Path) -> Result<Vec<CertificateFile>> {
    let mut found = Vec::new();
    for path in certificate_files(root)? {
        let pem = files::read_bounded(&path, LIMIT)?;
        found.extend(soonest(root, &path, &pem)?);
    }
    for path in KUBECONFIGS.iter().map(|file| root.join(file)).filter(|path| path.exists()) {
        found.extend(soonest(root, &path, &Kubeconfig::read(&path)?.certificate)?);
    }
    found.sort_by(|one, other| (one.ends, &one.file).cmp(&(other.ends, &other.file)));
    Ok(found)
}

/// When kubelet's client certificate below `root` ends; `None` where kubelet has none yet.
///
/// # Errors
/// It cannot be read, or holds no certificate.
pub fn kubelet_ends(root: &Path) -> Result<Option<SystemTime>> {
    let path = files::below(root, Path::new(KUBELET_CLIENT));
    let Some(pem) = files::read_if_there(&path, LIMIT)? else { return Ok(None) };
    let all = certificates_beside_a_key(&pem);
    let all = all.with_context(|| format!("failed to read kubelet's certificate '{KUBELET_CLIENT}'"))?;
    Ok(all.iter().map(|certificate| certificate.expires).min())
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

/// The certificate of a file that ends first: a file may hold several.
fn soonest(root: &Path, path: &Path, pem: &[u8]) -> Result<Option<CertificateFile>> {
    let file = Path::new("/").join(path.strip_prefix(root).unwrap_or(path)).display().to_string();
    let all = certificates(pem).with_context(|| format!("failed to read the certificate '{file}'"))?;
    let ends = all.iter().map(|certificate| certificate.expires).min();
    Ok(ends.map(|ends| CertificateFile { file, ends }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::renew::KubeadmCertificate;

    const CERTIFICATE: &[u8] = include_bytes!("../../tests/fixtures/pki/ca.crt");

    #[test]
    fn a_machine_without_control_plane_has_none() -> Result<()> {
        let root = tempfile::tempdir()?;
        assert_eq!(read(root.path())?, []);
        assert_eq!(kubelet_ends(root.path())?, None);
        Ok(())
    }

    #[test]
    fn files_are_named_as_on_the_machine_and_keys_are_not_looked_at() -> Result<()> {
        let root = tempfile::tempdir()?;
        let pki = root.path().join(FOLDERS[1]);
        std::fs::create_dir_all(&pki)?;
        std::fs::write(pki.join("ca.crt"), CERTIFICATE)?;
        std::fs::write(pki.join("ca.key"), "SECRET")?;
        let found = read(root.path())?;
        assert_eq!(
            found.iter().map(|found| found.file.as_str()).collect::<Vec<_>>(),
            ["/etc/kubernetes/pki/etcd/ca.crt"]
        );
        std::fs::write(pki.join("peer.crt"), "SECRET")?;
        let error = read(root.path()).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains("peer.crt") && !error.contains("SECRET"), "{error}");
        Ok(())
    }

    #[test]
    fn every_certificate_that_can_be_renewed_is_looked_for() {
        for certificate in KubeadmCertificate::ALL {
            let (file, name) = (Path::new(certificate.file()), certificate.name());
            let folder = file.parent().and_then(|folder| folder.to_str()).unwrap_or_default();
            let in_folder = name.ends_with(".conf") || FOLDERS.contains(&folder.trim_start_matches('/'));
            let as_kubeconfig =
                !name.ends_with(".conf") || KUBECONFIGS.contains(&certificate.file().trim_start_matches('/'));
            assert!(in_folder && as_kubeconfig, "{name}");
        }
    }

    #[test]
    fn kubelets_certificate_is_read_beside_its_key() -> Result<()> {
        let root = tempfile::tempdir()?;
        let path = files::below(root.path(), Path::new(KUBELET_CLIENT));
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        let key = b"-----BEGIN EC PRIVATE KEY-----\nU0VDUkVU\n-----END EC PRIVATE KEY-----\n".as_slice();
        std::fs::write(&path, [CERTIFICATE, key].concat())?;
        assert_eq!(kubelet_ends(root.path())?, Some(certificates(CERTIFICATE)?[0].expires));
        std::fs::write(&path, key)?;
        let error = kubelet_ends(root.path()).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains(KUBELET_CLIENT) && !error.contains("U0VDUkVU"), "{error}");
        Ok(())
    }
}
