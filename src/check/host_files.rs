//! Files that must be on this machine before kubeadm starts.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::{Check, at_once};
use crate::kubeadm::documents::Documents;
use crate::kubeadm::pki::{self, Wanted};
use crate::node::fitness;
use crate::settings::Role;
use std::path::{Path, PathBuf};

pub(super) const CHECKS: &[Check] = &[
    Check { name: "host-files", run: |input| at_once(host_files(input)) },
    Check { name: "shared-files", run: |input| at_once(shared_files(input)) },
];

/// Whether every file and folder that the documents name is here.
fn host_files(input: &CheckInput) -> Found {
    input.needs_root()?;
    let (documents, settings) = (input.documents.needed()?, input.settings.needed()?);
    let root = Path::new("/");
    let (wrong, number) = match settings.role {
        Role::ControlPlane => {
            let bundle = brings_bundle(input);
            let wrong = fitness::wrong_host_files(root, documents, &settings.extra_shared_files, bundle);
            (wrong, documents.host_files().len())
        }
        Role::Worker => {
            let files = documents.worker_host_files();
            (fitness::wrong_files(root, &files), files.len())
        }
    };
    if wrong.is_empty() {
        return Ok(vec![Finding::ok(format!("all {number} files and folders that the documents name are here"))]);
    }
    Ok(wrong.into_iter().map(|file| file.defect.into()).collect())
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
}
