//! What is on this machine's disk, and whether there is room for etcd.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::{Check, at_once};
use crate::etcd;
use crate::kubeadm::{data_dir, state, worker_state};
use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::ids::{ClaimId, InstanceId, MemberId};
use crate::model::machine::local::{Local, Stage};
use crate::model::record::cluster::ClusterRecord;
use crate::model::record::former_cluster::FormerCluster;
use crate::model::up::step::Stop;
use crate::node::aside;
use crate::node::fitness::{self, Room};
use std::fs;
use std::net::IpAddr;
use std::path::Path;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "local-state", run: |input| at_once(local_state(input)) },
    Check { name: "static-pods", run: |input| at_once(static_pods(input)) },
    Check { name: "etcd-folder", run: |input| Box::pin(etcd_folder(input)) },
];

/// Where kubelet finds static pods.
const MANIFESTS: &str = "/etc/kubernetes/manifests";
/// The static pods that are kubeadm's.
const KUBEADMS: [&str; 4] = ["etcd.yaml", "kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"];

/// Whether `up` understands what an earlier run has left here.
fn local_state(input: &CheckInput) -> Found {
    input.needs_root()?;
    let data_dir = input.documents.needed()?.data_dir();
    worker_state::must_be_no_worker(Path::new("/")).map_err(|error| Finding::error(&error))?;
    let local = state::observe(Path::new("/"), data_dir).map_err(|error| Finding::error(&error))?;
    let me = input.machine.own().ok().map(|machine| (&machine.instance, machine.addresses.as_slice()));
    let data = etcd::data::observe(data_dir);
    let state = judge_state(&local, &data, me, input.record.own().ok().map(Option::as_ref));
    let aside = aside::copies(data_dir).into_iter().map(|copy| Finding::ok(copy.to_string()));
    Ok([state].into_iter().chain(aside).collect())
}

/// `record`: `None` when it is not known whether there is one.
fn judge_state(
    local: &Local,
    data: &EtcdData,
    me: Option<(&InstanceId, &[IpAddr])>,
    record: Option<Option<&ClusterRecord>>,
) -> Finding {
    match local {
        Local::Fresh => Finding::ok("nothing of a control plane is on this machine"),
        Local::Unexplained { found } => Finding::stop(&Stop::Unexplained { found: found.clone() }),
        Local::Made { instance, .. } | Local::HalfMade { instance, .. } if me.is_some_and(|(me, _)| me != instance) => {
            judge_foreign(instance, data, record)
        }
        Local::HalfMade { instance, claim_id, stage: Stage::Initializing }
            if me.is_some_and(|(_, addresses)| !data.is_at_most_of_init(claim_id, addresses)) =>
        {
            Finding::stop(&Stop::ForeignData { owner: instance.clone(), needed: None })
        }
        Local::HalfMade { claim_id, .. } => Finding::warning(
            format!("an attempt under claim {claim_id} was cut off: 'kubeboot up' cleans up after it"),
            "run 'kubeboot up'",
        ),
        Local::Made { claim_id, member, .. } => judge_member(claim_id, *member, data, record),
    }
}

/// State that another instance wrote. Its etcd data may be a listed voter's, or the last copy.
fn judge_foreign(owner: &InstanceId, data: &EtcdData, record: Option<Option<&ClusterRecord>>) -> Finding {
    match data {
        EtcdData::Nothing | EtcdData::Elsewhere => Finding::warning(
            format!("what is on this disk was made by {owner}: 'kubeboot up' wipes it"),
            "make images of machines on which 'kubeboot up' never ran",
        ),
        EtcdData::Of(_) | EtcdData::Unreadable { .. }
            if record.flatten().is_some_and(|record| record.published().is_some()) =>
        {
            Finding::failed(
                format!(
                    "the data of etcd on this disk was written by {owner}: 'kubeboot up' deletes it only when a certain member list shows \
                     that nobody needs it"
                ),
                format!(
                    "attach this disk to {owner}, if it belongs there; if the data may be lost, terminate this machine"
                ),
            )
        }
        EtcdData::Of(_) | EtcdData::Unreadable { .. } => {
            Finding::stop(&Stop::ForeignData { owner: owner.clone(), needed: None })
        }
    }
}

fn judge_member(
    claim: &ClaimId,
    member: Option<MemberId>,
    data: &EtcdData,
    record: Option<Option<&ClusterRecord>>,
) -> Finding {
    match record {
        Some(record) if record.is_none_or(|record| record.claim_id != *claim || record.published().is_none()) => {
            Finding::stop(&Stop::OtherCluster { local: claim.clone(), former: FormerCluster::by(record, claim) })
        }
        Some(_) | None if *data == EtcdData::Nothing => Finding::failed(
            format!("this machine is a member of the cluster of claim {claim}, and etcd's data is gone from its disk"),
            "mount the volume if there is one; otherwise bring the other voters back: 'kubeboot up' has its member removed by them and \
             joins anew",
        ),
        Some(_) | None => match (data, member) {
            (EtcdData::Of(ids), Some(own)) if ids.member != own => Finding::failed(
                format!(
                    "this machine is member {own} of etcd, and the data on this disk is that of member {}",
                    ids.member
                ),
                "attach each disk where it belongs, and delete nothing before 'kubeboot status' shows that the others have a quorum",
            ),
            _ => Finding::ok(format!("this machine is a member of the cluster of claim {claim}")),
        },
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
async fn etcd_folder(input: &CheckInput) -> Found {
    input.needs_root()?;
    let Some(folder) = input.documents.needed()?.data_dir() else {
        return Ok(vec![Finding::ok("not needed: etcd is external")]);
    };
    if let Some(defect) = fitness::volume(Some(folder)).await {
        return Ok(vec![defect.into()]);
    }
    let room = fitness::room(folder).map_err(|error| Finding::skipped(format!("'{}': {error}", folder.display())))?;
    Ok(vec![judge_folder(folder).unwrap_or_else(|| judge_room(folder, room))])
}

fn judge_folder(folder: &Path) -> Option<Finding> {
    data_dir::refuse_foreign(folder).err().map(|error| Finding::error(&error))
}

fn judge_room(folder: &Path, room: Room) -> Finding {
    match (room.defect(folder), room.warning(folder)) {
        (Some(defect), _) => defect.into(),
        (None, Some(little)) => Finding::warning(little.what, little.remedy),
        (None, None) => Finding::ok(room.text(folder)),
    }
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
    use crate::model::machine::etcd_data::EtcdIds;
    use crate::model::machine::ids::EtcdClusterId;
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
        let addresses = ["10.77.0.1".parse()?];
        let made = |instance: &InstanceId| Local::Made {
            instance: instance.clone(),
            claim_id: claim_id.clone(),
            member: Some(EtcdIds::of_init(&claim_id, addresses[0]).member),
        };
        let half = |stage| Local::HalfMade { instance: me.clone(), claim_id: claim_id.clone(), stage };
        let of_init = || EtcdData::Of(EtcdIds::of_init(&claim_id, addresses[0]));
        let of_another = || EtcdData::Of(EtcdIds { member: MemberId(0xa9), cluster: EtcdClusterId(7) });
        let unreadable = || EtcdData::Unreadable { why: "w".into() };
        let (same, retired) = (record(CLAIM, "ready")?, record(CLAIM, "retired")?);
        let elsewhere = record("6f9619ff-8b86-4011-b42d-00c04fc964ff", "ready")?;
        let table = [
            (Local::Fresh, EtcdData::Nothing, Some(None), CheckVerdict::Ok, "nothing of a control plane"),
            (half(Stage::Joining), EtcdData::Nothing, Some(None), CheckVerdict::Warning, "cleans up"),
            (half(Stage::Initializing), of_init(), Some(None), CheckVerdict::Warning, "cleans up"),
            (half(Stage::Initializing), unreadable(), Some(None), FAILED, "written by i-00000001"),
            (made(&me), of_init(), Some(Some(&same)), CheckVerdict::Ok, "is a member"),
            (made(&me), EtcdData::Elsewhere, Some(Some(&same)), CheckVerdict::Ok, "is a member"),
            (made(&me), EtcdData::Nothing, Some(Some(&same)), FAILED, "data is gone"),
            (made(&me), EtcdData::Nothing, None, FAILED, "data is gone"),
            (made(&me), of_init(), None, CheckVerdict::Ok, "is a member"),
            (made(&me), of_another(), Some(Some(&same)), FAILED, "is that of member a9"),
            (made(&me), of_another(), None, FAILED, "is that of member a9"),
            (made(&me), of_init(), Some(Some(&elsewhere)), FAILED, "may have come back, so keep the data here"),
            (made(&me), of_init(), Some(Some(&retired)), FAILED, "given up by 'kubeboot retire'"),
            (made(&me), of_init(), Some(None), FAILED, "restore the record's last version"),
            (made(&other), EtcdData::Nothing, Some(Some(&same)), CheckVerdict::Warning, "'kubeboot up' wipes it"),
            (made(&other), of_init(), Some(Some(&same)), FAILED, "only when a certain member list"),
            (made(&other), unreadable(), Some(None), FAILED, "there is no cluster to ask"),
            (
                Local::Unexplained { found: vec!["/etc/kubernetes/admin.conf".into()] },
                EtcdData::Nothing,
                Some(None),
                FAILED,
                "does not adopt it",
            ),
        ];
        for (local, data, record, expected, says) in table {
            let found = judge_state(&local, &data, Some((&me, &addresses)), record);
            assert_eq!(found.verdict, expected, "{local:?} {data:?}");
            assert!(found.text.contains(says), "{local:?} {data:?}: {}", found.text);
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
        for (mebibytes, expected) in [(2048, CheckVerdict::Ok), (2047, CheckVerdict::Warning), (255, FAILED)] {
            let room = Room { bytes: mebibytes << 20, inodes: None };
            assert_eq!(judge_room(folder, room).verdict, expected, "{mebibytes}");
        }
        Ok(())
    }
}
