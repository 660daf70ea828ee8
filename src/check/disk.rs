//! What is on this machine's disk, and whether there is room for etcd.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::{Check, at_once};
use crate::kubeadm::{data_dir, state};
use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::machine::local::Local;
use crate::model::record::cluster::ClusterRecord;
use crate::model::record::former_cluster::FormerCluster;
use crate::model::up::step::Stop;
use std::fs;
use std::path::Path;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "local-state", run: |input| at_once(local_state(input)) },
    Check { name: "static-pods", run: |input| at_once(static_pods(input)) },
    Check { name: "etcd-folder", run: |input| at_once(etcd_folder(input)) },
];

/// Where kubelet finds static pods.
const MANIFESTS: &str = "/etc/kubernetes/manifests";
/// The static pods that are kubeadm's.
const KUBEADMS: [&str; 4] = ["etcd.yaml", "kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"];
/// etcd's own limit for its data is 2 GiB.
const ROOM: u64 = 2 << 30;

/// Whether `up` understands what an earlier run has left here.
fn local_state(input: &CheckInput) -> Found {
    input.needs_root()?;
    let data_dir = input.documents.needed()?.data_dir();
    let local = state::observe(Path::new("/"), data_dir).map_err(|error| Finding::error(&error))?;
    let me = input.machine.own().ok().map(|machine| &machine.instance);
    Ok(vec![judge_state(&local, me, input.record.own().ok().map(Option::as_ref))])
}

/// `record`: `None` when it is not known whether there is one.
fn judge_state(local: &Local, me: Option<&InstanceId>, record: Option<Option<&ClusterRecord>>) -> Finding {
    match local {
        Local::Fresh => Finding::ok("nothing of a control plane is on this machine"),
        Local::Unexplained { found } => Finding::stop(&Stop::Unexplained { found: found.clone() }),
        Local::Made { instance, .. } | Local::HalfMade { instance, .. } if me.is_some_and(|me| me != instance) => {
            Finding::warning(
                format!("what is on this disk was made by {instance}: 'kubeboot up' wipes it"),
                "make images of machines on which 'kubeboot up' never ran",
            )
        }
        Local::HalfMade { claim_id, .. } => Finding::warning(
            format!("an attempt under claim {claim_id} was cut off: 'kubeboot up' cleans up after it"),
            "run 'kubeboot up'",
        ),
        Local::Made { claim_id, .. } => judge_member(claim_id, record),
    }
}

fn judge_member(claim: &ClaimId, record: Option<Option<&ClusterRecord>>) -> Finding {
    match record {
        Some(record) if record.is_none_or(|record| record.claim_id != *claim || record.published().is_none()) => {
            Finding::stop(&Stop::OtherCluster { local: claim.clone(), former: FormerCluster::by(record, claim) })
        }
        Some(_) | None => Finding::ok(format!("this machine is a member of the cluster of claim {claim}")),
    }
}

/// Whether kubelet will run more than kubeadm's own static pods.
fn static_pods(input: &CheckInput) -> Found {
    input.needs_root()?;
    let strangers: Vec<String> =
        names(Path::new(MANIFESTS)).into_iter().filter(|name| !KUBEADMS.contains(&name.as_str())).collect();
    Ok(vec![if strangers.is_empty() {
        Finding::ok(format!("none but kubeadm's in '{MANIFESTS}'"))
    } else {
        let text = format!("not kubeadm's, and run by kubelet all the same: {}", strangers.join(", "));
        Finding::warning(text, format!("remove them from '{MANIFESTS}' unless they are meant"))
    }])
}

/// Whether etcd's folder is what kubeadm accepts, and large enough.
fn etcd_folder(input: &CheckInput) -> Found {
    input.needs_root()?;
    let Some(folder) = input.documents.needed()?.data_dir() else {
        return Ok(vec![Finding::ok("not needed: etcd is external")]);
    };
    let room = room_at(folder).map_err(|error| Finding::skipped(format!("'{}': {error}", folder.display())))?;
    Ok(vec![judge_folder(folder).unwrap_or_else(|| judge_room(folder, room))])
}

fn judge_folder(folder: &Path) -> Option<Finding> {
    data_dir::refuse_foreign(folder).err().map(|error| Finding::error(&error))
}

fn judge_room(folder: &Path, room: u64) -> Finding {
    let text = format!("{} MiB free for '{}'", room >> 20, folder.display());
    if room < ROOM { Finding::warning(text, "give it 2048 MiB at least") } else { Finding::ok(text) }
}

/// Free bytes for a folder that may not be there yet.
fn room_at(folder: &Path) -> std::io::Result<u64> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let stat = rustix::fs::statvfs(there)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// What a folder holds, sorted; one that is not there holds nothing.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::CheckVerdict;
    use crate::exit::Exit;
    use crate::model::machine::local::Stage;
    use anyhow::Result;
    use serde_json::json;

    const CLAIM: &str = "0d3c3a46-2f0f-4a44-a3d3-6a6a1f6a9a55";
    const FAILED: CheckVerdict = CheckVerdict::Failed(Exit::Usage);

    fn record(claim: &str, phase: &str) -> Result<ClusterRecord> {
        let identity =
            json!({"account": "1", "region": "r", "group_arn": "a", "endpoint": "e:1", "service_subnet": "s"});
        let cluster = json!({"ca_hashes": [], "kube_system_uid": CLAIM, "kubernetes_version": "v1.36.1", "pki_key": "k",
            "pki_digest": "d", "initialised_by": "i-00000001", "initialised_at": ""});
        let record = json!({"schema": 1, "phase": phase, "claim_id": claim, "generation": 1, "identity": identity,
            "cluster": cluster});
        Ok(ClusterRecord::parse(record.to_string().as_bytes())?)
    }

    #[test]
    fn what_lies_on_the_disk_is_ours_or_another_machines_or_nobody_knows() -> Result<()> {
        let (me, other) = (InstanceId::parse("i-00000001")?, InstanceId::parse("i-00000002")?);
        let claim_id = ClaimId::parse(CLAIM)?;
        let made = |instance: &InstanceId| Local::Made { instance: instance.clone(), claim_id: claim_id.clone() };
        let half = Local::HalfMade { instance: me.clone(), claim_id: claim_id.clone(), stage: Stage::Joining };
        let (same, retired) = (record(CLAIM, "ready")?, record(CLAIM, "retired")?);
        let elsewhere = record("6f9619ff-8b86-4011-b42d-00c04fc964ff", "ready")?;
        let table = [
            (Local::Fresh, Some(None), CheckVerdict::Ok),
            (half, Some(None), CheckVerdict::Warning),
            (made(&me), Some(Some(&same)), CheckVerdict::Ok),
            (made(&me), None, CheckVerdict::Ok),
            (made(&me), Some(Some(&elsewhere)), FAILED),
            (made(&me), Some(Some(&retired)), FAILED),
            (made(&me), Some(None), FAILED),
            (made(&other), Some(Some(&same)), CheckVerdict::Warning),
            (Local::Unexplained { found: vec!["/etc/kubernetes/admin.conf".into()] }, Some(None), FAILED),
        ];
        for (local, record, expected) in table {
            assert_eq!(judge_state(&local, Some(&me), record).verdict, expected, "{local:?}");
        }
        Ok(())
    }

    #[test]
    fn etcds_folder_is_empty_or_its_own_and_large_enough() -> Result<()> {
        let verdict = |names: &[&str]| -> Result<Option<CheckVerdict>> {
            let folder = tempfile::tempdir()?;
            for name in names {
                fs::create_dir(folder.path().join(name))?;
            }
            Ok(judge_folder(folder.path()).map(|finding| finding.verdict))
        };
        assert_eq!((verdict(&[])?, verdict(&["member"])?, verdict(&["member", "lost+found"])?), (None, None, None));
        assert_eq!((verdict(&["lost+found"])?, verdict(&["member", "notes"])?), (None, Some(FAILED)));
        let folder = Path::new("/var/lib/etcd");
        assert_eq!(judge_room(folder, ROOM).verdict, CheckVerdict::Ok);
        assert_eq!(judge_room(folder, ROOM - 1).verdict, CheckVerdict::Warning);
        Ok(())
    }
}
