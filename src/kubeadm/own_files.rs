//! The files that a member must have, and which of them are lost.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::manifests;
use super::pki::{PKI_DIR, Wanted};
use crate::host::files;
use crate::model::machine::own_files::{FileKind, LostFile};

/// Where kubeadm keeps its files.
const KUBERNETES: &str = "/etc/kubernetes";
/// A phase of `kubeadm init`, as words.
type Phase = &'static [&'static str];

/// The certificates that kubeadm makes on each machine, without `.crt` and `.key`, below [`PKI_DIR`].
const CERTIFICATES: [(&str, Phase); 3] = [
    ("apiserver", &["certs", "apiserver"]),
    ("apiserver-kubelet-client", &["certs", "apiserver-kubelet-client"]),
    ("front-proxy-client", &["certs", "front-proxy-client"]),
];
/// Those for an etcd of kubeadm's.
const OF_ETCD: [(&str, Phase); 4] = [
    ("apiserver-etcd-client", &["certs", "apiserver-etcd-client"]),
    ("etcd/server", &["certs", "etcd-server"]),
    ("etcd/peer", &["certs", "etcd-peer"]),
    ("etcd/healthcheck-client", &["certs", "etcd-healthcheck-client"]),
];
/// The kubeconfigs of each machine. `super-admin.conf` is made by an init alone, and operators take it away.
const KUBECONFIGS: [(&str, Phase); 4] = [
    ("admin.conf", &["kubeconfig", "admin"]),
    ("kubelet.conf", &["kubeconfig", "kubelet"]),
    ("controller-manager.conf", &["kubeconfig", "controller-manager"]),
    ("scheduler.conf", &["kubeconfig", "scheduler"]),
];
/// The static pods.
const MANIFESTS: [(&str, Phase); 3] = [
    ("kube-apiserver.yaml", &["control-plane", "apiserver"]),
    ("kube-controller-manager.yaml", &["control-plane", "controller-manager"]),
    ("kube-scheduler.yaml", &["control-plane", "scheduler"]),
];
const ETCD_MANIFEST: (&str, Phase) = ("etcd.yaml", &["etcd", "local"]);
/// What kubelet needs to start, beside its kubeconfig.
const OF_KUBELET: [&str; 2] = ["/var/lib/kubelet/config.yaml", "/var/lib/kubelet/kubeadm-flags.env"];

/// What a member has besides what every one has.
#[derive(Debug, Clone, Copy)]
pub struct Has {
    /// Whether kubeadm runs its etcd.
    pub own_etcd: bool,
    /// Whether kubeadm makes all of its files; where the documents skip one of these phases, shared files alone are looked for.
    pub all_files: bool,
}

/// What is lost below `root` (`/` on a machine), of what such a member should have. A file of no bytes is lost, too: kubelet makes one
/// in the place of a file that a static pod mounts.
#[must_use]
pub fn lost(root: &Path, shared: &[Wanted], has: Has) -> Vec<LostFile> {
    let mut all: Vec<(PathBuf, FileKind)> = shared.iter().map(|file| (file.path.clone(), FileKind::Shared)).collect();
    if has.all_files {
        let of_etcd = OF_ETCD.iter().filter(|_| has.own_etcd);
        for (name, phase) in CERTIFICATES.iter().chain(of_etcd) {
            let file =
                |ending: &str| (Path::new(PKI_DIR).join(format!("{name}.{ending}")), FileKind::Certificate(phase));
            all.extend([file("crt"), file("key")]);
        }
        let own = |(name, phase): &(&str, Phase)| (Path::new(KUBERNETES).join(name), FileKind::Kubeconfig(phase));
        all.extend(KUBECONFIGS.iter().map(own));
        let manifests = MANIFESTS.iter().chain([&ETCD_MANIFEST].into_iter().filter(|_| has.own_etcd));
        let manifests = manifests.filter(|(name, _)| !manifests::is_aside(root, name));
        all.extend(manifests.map(|(name, phase)| (manifests::place(name), FileKind::Manifest(phase))));
        all.extend(OF_KUBELET.iter().map(|path| (PathBuf::from(path), FileKind::OfKubelet)));
    }
    let lost = all.into_iter().filter(|(path, _)| is_lost(&files::below(root, path)));
    lost.map(|(path, kind)| LostFile { path, kind }).collect()
}

/// Not there, or without a byte. What cannot be looked at may be there.
fn is_lost(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(found) => found.is_file() && found.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Removes what is left of a file that is about to be made anew, so that kubeadm makes it: an empty file, or a certificate without its key.
///
/// # Errors
/// Names what cannot be removed.
pub fn make_way(root: &Path, lost: &[PathBuf]) -> Result<()> {
    for path in lost {
        let place = files::below(root, path);
        let is_half = |ending: &str| place.extension().is_some_and(|found| found == ending);
        let others = [("crt", "key"), ("key", "crt")].into_iter().filter(|(own, _)| is_half(own));
        for gone in others.map(|(_, other)| place.with_extension(other)).chain([place.clone()]) {
            files::remove(&gone)?;
        }
    }
    Ok(())
}

/// Whether the folder of certificates is there. Containers that run hold on to the one that was removed.
///
/// # Errors
/// It cannot be looked for.
pub fn has_folders(root: &Path, has: Has) -> Result<bool> {
    let folders = [Some(PathBuf::from(PKI_DIR)), has.own_etcd.then(|| Path::new(PKI_DIR).join("etcd"))];
    for folder in folders.into_iter().flatten() {
        let place = files::below(root, &folder);
        if !place.try_exists().with_context(|| format!("failed to look for '{}'", place.display()))? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubeadm::pki::wanted;

    const HAS: Has = Has { own_etcd: true, all_files: true };

    fn write(root: &Path, path: &Path, content: &str) -> Result<()> {
        let place = files::below(root, path);
        fs::create_dir_all(place.parent().context("folder")?)?;
        Ok(fs::write(place, content)?)
    }

    /// A member that has everything.
    fn whole(has: Has) -> Result<tempfile::TempDir> {
        let root = tempfile::tempdir()?;
        for LostFile { path, .. } in lost(root.path(), &wanted(None, &[]), has) {
            write(root.path(), &path, "content")?;
        }
        Ok(root)
    }

    fn named(root: &Path, has: Has) -> Vec<String> {
        lost(root, &wanted(None, &["/etc/kubernetes/audit.yaml".into()]), has)
            .into_iter()
            .map(|file| file.path.display().to_string())
            .collect()
    }

    #[test]
    fn each_file_that_is_gone_or_empty_is_named_and_none_that_is_set_aside() -> Result<()> {
        let root = whole(HAS)?;
        let path = root.path();
        write(path, Path::new("/etc/kubernetes/audit.yaml"), "rules")?;
        assert!(named(path, HAS).is_empty());
        let files = [
            "/etc/kubernetes/pki/etcd/ca.key",
            "/etc/kubernetes/audit.yaml",
            "/etc/kubernetes/pki/apiserver.key",
            "/etc/kubernetes/admin.conf",
            "/etc/kubernetes/manifests/etcd.yaml",
            "/var/lib/kubelet/config.yaml",
        ];
        for file in files {
            let place = files::below(path, Path::new(file));
            fs::remove_file(&place)?;
            assert_eq!(named(path, HAS), [file]);
            fs::write(&place, "")?;
            assert_eq!(named(path, HAS), [file], "empty");
            fs::write(&place, "content")?;
        }
        fs::remove_file(files::below(path, Path::new(files[4])))?;
        write(path, Path::new("/var/lib/kubeboot/manifests-aside/etcd.yaml"), "kind: Pod")?;
        assert!(named(path, HAS).is_empty(), "the guard has it");
        Ok(())
    }

    #[test]
    fn what_the_documents_skip_or_an_external_etcd_needs_not_is_not_missed() -> Result<()> {
        let nothing = tempfile::tempdir()?;
        let count = |has| named(nothing.path(), has).len();
        let (external, skipped) = (Has { own_etcd: false, ..HAS }, Has { all_files: false, ..HAS });
        assert_eq!(count(HAS) - count(external), 9, "four pairs and a static pod");
        assert_eq!(count(skipped), wanted(None, &[]).len() + 1);
        Ok(())
    }

    #[test]
    fn a_half_of_a_pair_makes_way_and_nothing_else() -> Result<()> {
        let root = whole(HAS)?;
        let pki = files::below(root.path(), Path::new(PKI_DIR));
        fs::remove_file(pki.join("apiserver.key"))?;
        make_way(root.path(), &[Path::new(PKI_DIR).join("apiserver.key")])?;
        assert!(!pki.join("apiserver.crt").exists() && pki.join("ca.key").exists() && pki.join("ca.crt").exists());
        let admin = files::below(root.path(), Path::new("/etc/kubernetes/admin.conf"));
        fs::write(&admin, "")?;
        make_way(root.path(), &["/etc/kubernetes/admin.conf".into()])?;
        assert!(!admin.exists() && admin.with_file_name("kubelet.conf").exists());
        assert!(has_folders(root.path(), HAS)?);
        fs::remove_dir_all(pki.join("etcd"))?;
        assert!(!has_folders(root.path(), HAS)? && has_folders(root.path(), Has { own_etcd: false, ..HAS })?);
        Ok(())
    }
}
