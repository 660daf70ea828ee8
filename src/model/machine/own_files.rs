//! Which lost files of a member are made anew, and when.
//!
//! What a machine of the cluster must have is in three places: shared files in the bundle, what kubeadm makes of them on each machine,
//! and etcd's data, which is nowhere else. Only the last one makes a machine the member that it is.

use crate::model::machine::etcd_data::EtcdData;
use crate::model::machine::ids::{EtcdClusterId, MemberId};
use std::path::PathBuf;

/// A file that a member should have and has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostFile {
    /// Its path.
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
}

/// Where a file comes from. A phase is that of `kubeadm init` which makes it, as words after `kubeadm init phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// The same on all machines, and in the bundle.
    Shared,
    /// A kubeconfig, with a client certificate by the cluster's authority.
    Kubeconfig(&'static [&'static str]),
    /// A static pod.
    Manifest(&'static [&'static str]),
    /// A certificate by one of the authorities, or its key.
    Certificate(&'static [&'static str]),
    /// kubelet's own: kubeadm writes it when the machine joins.
    OfKubelet,
}

/// What becomes of lost files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesPlan {
    /// Put back from the bundle.
    pub put_back: Vec<PathBuf>,
    /// The phases of kubeadm that make the others anew, in this order, each with the files that it makes.
    pub phases: Vec<(&'static [&'static str], Vec<PathBuf>)>,
    /// Left as they are.
    pub left: Vec<PathBuf>,
}

/// Plans. Static pods are made anew only where certificates are lost, too: whoever works on etcd or stops an API server moves manifests
/// away, and nothing else. So certificates are made last, that a run which was cut off is still known for what it is; and kubeconfigs
/// before the static pods that mount them.
#[must_use]
pub fn plan(lost: &[LostFile]) -> FilesPlan {
    let certificates_too = lost.iter().any(|file| matches!(file.kind, FileKind::Certificate(_)));
    let mut plan = FilesPlan::default();
    let mut sorted: Vec<&LostFile> = lost.iter().collect();
    sorted.sort_by_key(|file| file.kind);
    for LostFile { path, kind } in sorted {
        match kind {
            FileKind::Shared => plan.put_back.push(path.clone()),
            FileKind::OfKubelet => plan.left.push(path.clone()),
            FileKind::Manifest(_) if !certificates_too => plan.left.push(path.clone()),
            FileKind::Kubeconfig(phase) | FileKind::Manifest(phase) | FileKind::Certificate(phase) => {
                match plan.phases.last_mut() {
                    Some((last, paths)) if last == phase => paths.push(path.clone()),
                    Some(_) | None => plan.phases.push((phase, vec![path.clone()])),
                }
            }
        }
    }
    plan
}

/// Whether this machine is by its data the member that is listed at its address: then nothing but files was lost.
#[must_use]
pub fn is_that_member(data: &EtcdData, listed: Option<MemberId>, cluster: Option<EtcdClusterId>) -> bool {
    match data {
        EtcdData::Of(ids) => listed == Some(ids.member) && cluster == Some(ids.cluster),
        EtcdData::Elsewhere => listed.is_none(),
        EtcdData::Nothing | EtcdData::Unreadable { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::etcd_data::EtcdIds;

    const ADMIN: FileKind = FileKind::Kubeconfig(&["kubeconfig", "admin"]);
    const ETCD: FileKind = FileKind::Manifest(&["etcd", "local"]);
    const SERVER: FileKind = FileKind::Certificate(&["certs", "apiserver"]);

    fn lost(files: &[(&str, FileKind)]) -> Vec<LostFile> {
        files.iter().map(|(path, kind)| LostFile { path: path.into(), kind: *kind }).collect()
    }

    fn said(plan: &FilesPlan) -> String {
        let names =
            |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
        let phases: Vec<String> =
            plan.phases.iter().map(|(phase, paths)| format!("{}: {}", phase.join(" "), names(paths))).collect();
        format!("{} | {} | {}", names(&plan.put_back), phases.join(", "), names(&plan.left))
    }

    #[test]
    fn what_is_lost_is_made_anew_in_this_order_and_moved_manifests_are_left() {
        let rows: [(&[(&str, FileKind)], &str); 6] = [
            (&[], " |  | "),
            (&[("sa.key", FileKind::Shared), ("admin.conf", ADMIN)], "sa.key | kubeconfig admin: admin.conf | "),
            (&[("etcd.yaml", ETCD)], " |  | etcd.yaml"),
            (
                &[("etcd.yaml", ETCD), ("admin.conf", ADMIN), ("ca.crt", FileKind::Shared)],
                "ca.crt | kubeconfig admin: admin.conf | etcd.yaml",
            ),
            (
                &[
                    ("a.crt", SERVER),
                    ("a.key", SERVER),
                    ("etcd.yaml", ETCD),
                    ("admin.conf", ADMIN),
                    ("ca.crt", FileKind::Shared),
                ],
                "ca.crt | kubeconfig admin: admin.conf, etcd local: etcd.yaml, certs apiserver: a.crt a.key | ",
            ),
            (&[("config.yaml", FileKind::OfKubelet), ("a.crt", SERVER)], " | certs apiserver: a.crt | config.yaml"),
        ];
        for (files, expected) in rows {
            assert_eq!(said(&plan(&lost(files))), expected);
        }
    }

    #[test]
    fn a_machine_is_the_listed_member_by_its_data_alone() {
        let of = |member, cluster| EtcdData::Of(EtcdIds { member: MemberId(member), cluster: EtcdClusterId(cluster) });
        let (own, cluster) = (Some(MemberId(1)), Some(EtcdClusterId(7)));
        let rows = [
            (of(1, 7), own, cluster, true),
            (of(2, 7), own, cluster, false),
            (of(1, 8), own, cluster, false),
            (of(1, 7), None, cluster, false),
            (of(1, 7), own, None, false),
            (EtcdData::Nothing, own, cluster, false),
            (EtcdData::Unreadable { why: "w".into() }, own, cluster, false),
            (EtcdData::Elsewhere, None, None, true),
            (EtcdData::Elsewhere, own, None, false),
        ];
        for (data, listed, cluster, expected) in rows {
            assert_eq!(is_that_member(&data, listed, cluster), expected, "{data:?} {listed:?} {cluster:?}");
        }
    }
}
