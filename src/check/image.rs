//! `kubeboot check --image`: what a machine image has, looked at on the machine of which it is made. That one is in no group, and has
//! neither settings nor, where it is a folder, a metadata service.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::upgrade::judge_image;
use super::{Check, at_once};
use crate::kubeadm::run::Kubeadm;
use crate::model::version::Release;
use crate::node::{fitness, images};
use anyhow::Context;
use std::fs;
use std::path::Path;

/// The checks of a machine that an image has as well, by their names.
pub(super) const SHARED: [&str; 6] = ["root", "swap", "units", "container-runtime", "kubeadm", "kubelet"];

/// Those that it alone has.
pub(super) const CHECKS: &[Check] = &[
    Check { name: "image-state", run: |input| at_once(state(input)) },
    Check { name: "image-upgrade", run: |input| Box::pin(upgrade(input)) },
    Check { name: "image-containers", run: |input| Box::pin(containers(input)) },
];

/// What a node, or one machine alone, has there, in a folder or as a file: every machine of the image would take it for its own.
const OF_A_NODE: [&str; 11] = [
    "etc/kubernetes/pki",
    "etc/kubernetes/manifests",
    "etc/kubernetes/admin.conf",
    "etc/kubernetes/super-admin.conf",
    "etc/kubernetes/controller-manager.conf",
    "etc/kubernetes/scheduler.conf",
    "etc/kubernetes/kubelet.conf",
    "etc/kubernetes/bootstrap-kubelet.conf",
    "var/lib/etcd",
    "var/lib/kubelet/pki",
    "var/lib/kubeboot",
];
/// Where systemd keeps the machine's ID: made at the first boot where the file is empty.
const MACHINE_ID: &str = "etc/machine-id";

/// Whether nothing of this machine would be on all the others.
fn state(input: &CheckInput) -> Found {
    input.needs_root()?;
    Ok(judge_state(Path::new("/")))
}

fn judge_state(root: &Path) -> Vec<Finding> {
    let mut findings: Vec<Finding> = OF_A_NODE.iter().filter_map(|path| of_a_node(root, path)).collect();
    if findings.is_empty() {
        findings.push(Finding::ok("nothing of a node is here"));
    }
    findings.extend(machine_id(root));
    findings
}

fn of_a_node(root: &Path, path: &str) -> Option<Finding> {
    let place = root.join(path);
    let found = match fs::read_dir(&place) {
        Ok(entries) => format!("is not empty ('{}')", entries.flatten().next()?.file_name().display()),
        Err(_) => place.symlink_metadata().ok().map(|_| "is here".to_owned())?,
    };
    Some(Finding::failed(
        format!("'/{path}' {found}: every machine of the image would have it"),
        format!("rm -rf /{path}"),
    ))
}

fn machine_id(root: &Path) -> Option<Finding> {
    let id = fs::read_to_string(root.join(MACHINE_ID)).ok()?;
    let made = !matches!(id.trim(), "" | "uninitialized");
    made.then(|| {
        Finding::warning(
            format!("'/{MACHINE_ID}' has an ID, which all machines of the image would share"),
            format!("truncate --size=0 /{MACHINE_ID}"),
        )
    })
}

/// Whether machines of it could upgrade a cluster.
async fn upgrade(input: &CheckInput) -> Found {
    let kubeadm = input.kubeadm.needed()?;
    let kubelet = Kubeadm::read_only().kubelet_version().await.map_err(|_| Finding::skipped("needs 'kubelet'"))?;
    let release = |text: String| Release::parse(&text).ok_or_else(|| Finding::skipped("needs 'kubeadm'"));
    Ok(vec![judge_image(release(kubeadm.to_string())?, release(kubelet.to_string())?)])
}

/// Whether the images of the control plane are here, so that a machine comes up without a registry.
async fn containers(input: &CheckInput) -> Found {
    let version = input.kubeadm.needed()?;
    input.needs_root()?;
    let socket = fitness::listening(None).await?;
    let listed = Kubeadm::read_only().images_of(version).await.context("failed to ask kubeadm for its images");
    let wanted = listed.map_err(|error| Finding::error(&error))?;
    let missing = images::missing(&socket, &wanted).await.map_err(|error| Finding::error(&error))?;
    Ok(vec![judge_containers(wanted.len(), &missing, &version.to_string())])
}

fn judge_containers(wanted: usize, missing: &[&str], version: &str) -> Finding {
    if missing.is_empty() {
        Finding::ok(format!("all {wanted} images of {version} are here"))
    } else {
        Finding::warning(
            format!("not here, and pulled at the first boot: {}", missing.join(", ")),
            format!("kubeadm config images pull --kubernetes-version {version}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use crate::exit::Exit;
    use anyhow::Result;

    fn is_file(path: &str) -> bool {
        Path::new(path).extension().is_some()
    }

    #[test]
    fn the_page_has_whatever_all_machines_would_share() {
        let page = include_str!("../../docs/check.md");
        let row = page.lines().find(|line| line.starts_with("| `image-state` |")).unwrap_or_default();
        let named: Vec<&str> = row.split('`').skip(3).step_by(2).map(|path| path.trim_start_matches('/')).collect();
        assert_eq!(named, OF_A_NODE);
    }

    #[test]
    fn whatever_all_machines_would_share_is_found() -> Result<()> {
        let root = tempfile::tempdir()?;
        let verdicts = || judge_state(root.path()).iter().map(|finding| finding.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(), [CheckVerdict::Ok], "an image without any of these folders");
        for path in OF_A_NODE.into_iter().filter(|path| !is_file(path)) {
            fs::create_dir_all(root.path().join(path))?;
        }
        fs::write(root.path().join(MACHINE_ID), "\n")?;
        assert_eq!(verdicts(), [CheckVerdict::Ok], "empty ones, as packages make them");
        for path in OF_A_NODE {
            let place = root.path().join(path);
            let file = if is_file(path) { place } else { place.join("a") };
            fs::write(&file, "")?;
            assert_eq!(verdicts(), [CheckVerdict::Failed(Exit::Usage)], "{path}");
            fs::remove_file(file)?;
        }
        for (id, verdict) in
            [("uninitialized\n", None), ("0f8fad5bd9cb469fa16570867728950e\n", Some(CheckVerdict::Warning))]
        {
            fs::write(root.path().join(MACHINE_ID), id)?;
            assert_eq!(verdicts(), [Some(CheckVerdict::Ok), verdict].into_iter().flatten().collect::<Vec<_>>(), "{id}");
        }
        Ok(())
    }

    #[test]
    fn images_that_are_missing_are_named() {
        let found = judge_containers(1, &[], "v1.36.1");
        assert_eq!(found, Finding::ok("all 1 images of v1.36.1 are here"));
        let found = judge_containers(3, &["registry.k8s.io/etcd:3.6.8-0", "registry.k8s.io/pause:3.10.1"], "v1.36.1");
        assert_eq!(found.verdict, CheckVerdict::Warning);
        assert!(found.text.ends_with(": registry.k8s.io/etcd:3.6.8-0, registry.k8s.io/pause:3.10.1"), "{}", found.text);
    }
}
