//! Files that must be on this machine before kubeadm starts.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::{Check, at_once};
use crate::kubeadm::documents::{Documents, Expected, HostFile};
use crate::kubeadm::host_files::problem;
use crate::kubeadm::pki::{self, Wanted};
use std::path::{Path, PathBuf};

pub(super) const CHECKS: &[Check] = &[
    Check { name: "host-files", run: |input| at_once(host_files(input)) },
    Check { name: "shared-files", run: |input| at_once(shared_files(input)) },
];

/// Whether every file and folder that the documents name is here.
fn host_files(input: &CheckInput) -> Found {
    input.needs_root()?;
    let (documents, settings) = (input.documents.needed()?, input.settings.needed()?);
    let files = documents.host_files();
    let bundled = pki::wanted(documents.external_etcd().as_ref(), &settings.extra_shared_files);
    let comes = brings_bundle(input);
    let wrong: Vec<_> = files
        .iter()
        .filter(|file| !(comes && travels(&bundled, file)))
        .filter_map(|file| judge(Path::new("/"), file))
        .collect();
    if wrong.is_empty() {
        return Ok(vec![Finding::ok(format!(
            "all {} files and folders that the documents name are here",
            files.len()
        ))]);
    }
    Ok(wrong)
}

/// Whether a file comes with the bundle; then it need not be here yet.
fn travels(bundled: &[Wanted], file: &HostFile) -> bool {
    file.expected == Expected::File && bundled.iter().any(|wanted| wanted.path == file.path)
}

fn judge(root: &Path, file: &HostFile) -> Option<Finding> {
    let problem = problem(root, file)?;
    let (what, remedy) =
        problem.split_once(": ").unwrap_or((&problem, "correct the field, or put the right thing there"));
    Some(Finding::failed(format!("{} names '{}': {what}", file.field, file.path.display()), remedy))
}

/// Whether what the operator wants on every machine is on the one that would initialise, which may be this one.
fn shared_files(input: &CheckInput) -> Found {
    let wanted = &input.settings.needed()?.extra_shared_files;
    let unshared = input.documents.own().ok().and_then(|documents| unshared_encryption(documents, wanted));
    let mut found = extra_files(input, wanted)?;
    found.extend(unshared);
    Ok(found)
}

/// A machine with other keys than the others serves secrets that nobody else can read.
fn unshared_encryption(documents: &Documents, shared: &[PathBuf]) -> Option<Finding> {
    let path = documents.encryption_config().filter(|path| !shared.contains(path))?;
    Some(Finding::warning(
        format!("the API servers encrypt with the keys in '{}', which is not shared", path.display()),
        "name it in 'extra_shared_files', so that every machine has the same keys",
    ))
}

fn extra_files(input: &CheckInput, wanted: &[PathBuf]) -> Found {
    if wanted.is_empty() {
        return Ok(vec![Finding::ok("none are wanted")]);
    }
    if brings_bundle(input) {
        return Ok(vec![Finding::ok(format!("{} come with the PKI bundle", wanted.len()))]);
    }
    input.needs_root()?;
    let wrong: Vec<Finding> = wanted
        .iter()
        .filter_map(|path| {
            let wanted = Wanted { path: path.clone(), mode: None, pem: false };
            let error = pki::collect(Path::new("/"), &[wanted]).err()?;
            Some(Finding::failed(format!("{error:#}"), "put it into the machine image, or out of 'extra_shared_files'"))
        })
        .collect();
    Ok(if wrong.is_empty() { vec![Finding::ok(format!("all {} are here", wanted.len()))] } else { wrong })
}

/// Whether a cluster is there, so that this machine would get a bundle and never make one.
fn brings_bundle(input: &CheckInput) -> bool {
    input.record.own().is_ok_and(|record| record.as_ref().is_some_and(|record| record.published().is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, expected: Expected) -> HostFile {
        HostFile { path: path.into(), field: "ClusterConfiguration apiServer.extraVolumes[audit]".into(), expected }
    }

    #[test]
    fn keys_that_are_not_shared_are_a_warning() -> anyhow::Result<()> {
        let file = "/etc/kubernetes/encryption/config.yaml";
        let documents = |argument: &str, volumes: &str| {
            Documents::parse(&format!(
                "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\napiServer:\n  extraArgs: [{{name: {argument}, value: {file}}}]\n  \
                 extraVolumes: [{volumes}]\n"
            ))
        };
        let below = "{name: e, hostPath: /etc/kubernetes/encryption, mountPath: /etc/kubernetes/encryption}";
        let moved = "{name: e, hostPath: /etc/keys.yaml, mountPath: /etc/kubernetes/encryption/config.yaml}";
        let rows = [
            ("encryption-provider-config", below, vec![], Some(file)),
            ("encryption-provider-config", below, vec!["/etc/other"], Some(file)),
            ("encryption-provider-config", below, vec![file], None),
            ("encryption-provider-config", moved, vec![file], Some("/etc/keys.yaml")),
            ("encryption-provider-config", moved, vec!["/etc/keys.yaml"], None),
            ("encryption-provider-config", "", vec![], Some(file)),
            ("audit-policy-file", below, vec![], None),
        ];
        for (argument, volumes, shared, expected) in rows {
            let shared: Vec<PathBuf> = shared.into_iter().map(PathBuf::from).collect();
            let found = unshared_encryption(&documents(argument, volumes)?, &shared);
            let text =
                expected.map(|path| format!("the API servers encrypt with the keys in '{path}', which is not shared"));
            assert_eq!(found.map(|found| found.text), text, "{argument} {volumes} {shared:?}");
        }
        assert_eq!(unshared_encryption(&Documents::default(), &[]), None);
        Ok(())
    }

    #[test]
    fn a_missing_file_is_told_with_the_field_that_names_it() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        let finding = judge(root.path(), &file("/etc/audit.yaml", Expected::File));
        let (text, remedy) = finding.map(|finding| (finding.text, finding.remedy)).unwrap_or_default();
        assert_eq!(text, "ClusterConfiguration apiServer.extraVolumes[audit] names '/etc/audit.yaml': it is missing");
        assert_eq!(remedy.as_deref(), Some("put it into the machine image"));
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
}
