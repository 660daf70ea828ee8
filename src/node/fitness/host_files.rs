//! Files that must be on this machine before kubeadm starts.

use crate::kubeadm::documents::{Documents, Expected, HostFile};
use crate::kubeadm::host_files::problem;
use crate::kubeadm::pki::{self, Wanted};
use crate::model::machine::defect::Defect;
use std::path::{Path, PathBuf};

/// What is wrong with the files and folders that the documents name, below `root`. `bundle`: there is a cluster, whose bundle brings
/// those that all machines share.
#[must_use]
pub fn wrong_host_files(root: &Path, documents: &Documents, shared: &[PathBuf], bundle: bool) -> Vec<Defect> {
    let bundled = pki::wanted(documents.external_etcd().as_ref(), shared);
    let files = documents.host_files();
    let needed = files.iter().filter(|file| !(bundle && travels(&bundled, file)));
    needed.filter_map(|file| judge(root, file)).collect()
}

/// Whether a file comes with the bundle; then it need not be here yet.
#[must_use]
pub fn travels(bundled: &[Wanted], file: &HostFile) -> bool {
    file.expected == Expected::File && bundled.iter().any(|wanted| wanted.path == file.path)
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
}
