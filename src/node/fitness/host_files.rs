//! Files that must be on this machine before kubeadm starts.

use crate::kubeadm::documents::{Documents, Expected, HostFile};
use crate::kubeadm::host_files::problem;
use crate::kubeadm::pki::{self, Wanted};
use crate::model::machine::defect::Defect;
use std::path::{Path, PathBuf};

/// A file or folder with which something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongFile {
    /// What is wrong, and what to do.
    pub defect: Defect,
    /// Whether kubeadm fails on it whatever else is so. Not where a patch may change what the documents say, nor with a path that the
    /// runtime makes where it is missing.
    pub certain: bool,
}

/// What is wrong with the files and folders that the documents name, below `root`. `bundle`: there is a cluster, whose bundle brings
/// those that all machines share.
#[must_use]
pub fn wrong_host_files(root: &Path, documents: &Documents, shared: &[PathBuf], bundle: bool) -> Vec<WrongFile> {
    let bundled = pki::wanted(documents.external_etcd().as_ref(), shared);
    let files = documents.host_files();
    let patched = files.iter().any(is_patches);
    let needed = files.iter().filter(|file| !(bundle && travels(&bundled, file)));
    needed.filter_map(|file| wrong_file(root, file, patched)).collect()
}

/// What is wrong with these files, none of which travels.
#[must_use]
pub fn wrong_files(root: &Path, files: &[HostFile]) -> Vec<WrongFile> {
    let patched = files.iter().any(is_patches);
    files.iter().filter_map(|file| wrong_file(root, file, patched)).collect()
}

fn wrong_file(root: &Path, file: &HostFile, patched: bool) -> Option<WrongFile> {
    let certain = matches!(file.expected, Expected::File | Expected::Folder) && (!patched || is_patches(file));
    Some(WrongFile { defect: judge(root, file)?, certain })
}

fn is_patches(file: &HostFile) -> bool {
    file.field.ends_with("patches.directory")
}

/// Whether a file, or a folder above one, comes with the bundle; then it need not be here yet.
fn travels(bundled: &[Wanted], file: &HostFile) -> bool {
    file.expected != Expected::NoVolume && bundled.iter().any(|wanted| wanted.path.starts_with(&file.path))
}

fn judge(root: &Path, file: &HostFile) -> Option<Defect> {
    let problem = problem(root, file)?;
    let (what, remedy) =
        problem.split_once(": ").unwrap_or((&problem, "correct the field, or put the right thing there"));
    Some(Defect::new(format!("{} names '{}': {what}", file.field, file.path.display()), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, expected: Expected) -> HostFile {
        HostFile { path: path.into(), field: "ClusterConfiguration apiServer.extraVolumes[audit]".into(), expected }
    }

    #[test]
    fn a_missing_file_is_told_with_the_field_that_names_it() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        let told = judge(root.path(), &file("/etc/audit.yaml", Expected::File)).map(|defect| defect.to_string());
        assert_eq!(
            told.as_deref(),
            Some(
                "ClusterConfiguration apiServer.extraVolumes[audit] names '/etc/audit.yaml': it is missing: put it into the machine image"
            )
        );
        assert_eq!(judge(root.path(), &file("/etc/audit.yaml", Expected::FileOrNothing)), None);
        Ok(())
    }

    #[test]
    fn only_files_of_the_bundle_travel() {
        let bundled = pki::wanted(None, &["/etc/audit.yaml".into()]);
        assert!(travels(&bundled, &file("/etc/audit.yaml", Expected::File)));
        assert!(!travels(&bundled, &file("/etc/other.yaml", Expected::File)));
        assert!(!travels(&bundled, &file("/etc/audit.yaml", Expected::NoVolume)));
        let below = pki::wanted(None, &["/etc/kubernetes/enc/enc.yaml".into()]);
        for expected in [Expected::Folder, Expected::Anything] {
            assert!(travels(&below, &file("/etc/kubernetes/enc", expected)), "{expected:?}");
        }
    }

    #[test]
    fn what_a_cluster_brings_is_missed_only_where_there_is_none() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        let documents = Documents::parse(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\napiServer:\n  extraArgs:\n  - name: audit-policy-file\n    \
             value: /etc/kubernetes/audit.yaml\n  extraVolumes:\n  - name: audit\n    hostPath: /etc/kubernetes/audit.yaml\n    mountPath: \
             /etc/kubernetes/audit.yaml\n    pathType: File\n",
        )?;
        let wrong = |shared: &[PathBuf], bundle| wrong_host_files(root.path(), &documents, shared, bundle).len();
        let shared = ["/etc/kubernetes/audit.yaml".into()];
        assert!(wrong(&shared, false) > 0 && wrong(&[], true) > 0);
        assert_eq!(wrong(&shared, true), 0);
        Ok(())
    }

    #[test]
    fn only_what_certainly_fails_keeps_a_machine_out() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        let wrong = |api_server: &str, patches: &str| {
            let text = format!(
                "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\napiServer:\n{api_server}\n---\n\
                 apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n{patches}\n"
            );
            let documents = Documents::parse(&text)?;
            let wrong = wrong_host_files(root.path(), &documents, &[], false);
            anyhow::Ok(wrong.iter().filter(|file| file.certain).count())
        };
        let volume = |kind: &str| {
            format!("  extraVolumes: [{{name: a, hostPath: /var/log/audit, mountPath: /var/log/audit{kind}}}]")
        };
        assert_eq!(wrong(&volume(", pathType: Directory"), "")?, 1);
        assert_eq!(wrong(&volume(""), "")?, 0, "the runtime makes that folder");
        assert_eq!(wrong(&volume(", pathType: DirectoryOrCreate"), "")?, 0);
        let unmounted = "  extraArgs: [{name: oidc-ca-file, value: /opt/ca.pem}]";
        assert_eq!(wrong(unmounted, "")?, 0, "a patch, or kubeadm itself, may mount it");
        let patches = "patches: {directory: /etc/kubeboot/patches}";
        assert_eq!(wrong(&volume(", pathType: Directory"), patches)?, 1, "the patches themselves");
        Ok(())
    }
}
