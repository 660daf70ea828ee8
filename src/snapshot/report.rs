//! What `kubeboot snapshot list` prints. `docs/snapshots.md` describes every field.

use super::catalog::{Catalog, Listed};
use crate::layout::{columns, line, print};
use crate::model::machine::ids::Uid;
use crate::model::snapshot::{Manifest, latest};
use anyhow::Result;
use serde::Serialize;

/// The shape that this version prints.
const SCHEMA: u32 = 1;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct SnapshotList {
    schema: u32,
    location: String,
    kube_system_uid: Option<String>,
    snapshots: Vec<SnapshotRow>,
    unreadable: Vec<Unreadable>,
    not_shown: usize,
}

/// One snapshot.
#[derive(Debug, Serialize)]
struct SnapshotRow {
    key: String,
    latest: bool,
    own: bool,
    kind: String,
    revision: u64,
    saved_at: String,
    saved_by: String,
    claim: String,
    kube_system_uid: String,
    etcd_version: String,
    kubernetes_version: String,
    database_size: u64,
    database_digest: String,
    object_size: u64,
    object_digest: String,
}

/// What looks like a manifest and is none.
#[derive(Debug, Serialize)]
struct Unreadable {
    key: String,
    why: String,
}

impl SnapshotList {
    pub(super) fn new(location: String, uid: Option<&Uid>, catalog: &Catalog) -> Self {
        let manifests = || catalog.found.iter().map(|found| &found.manifest);
        let best = uid.and_then(|uid| latest(manifests(), uid));
        let row = |Listed { manifest, .. }: &Listed| SnapshotRow {
            key: manifest.key.clone(),
            latest: best == Some(manifest),
            own: uid == Some(&manifest.kube_system_uid),
            kind: manifest.kind.to_string(),
            revision: manifest.revision,
            saved_at: manifest.saved_at.clone(),
            saved_by: manifest.saved_by.to_string(),
            claim: manifest.claim.to_string(),
            kube_system_uid: manifest.kube_system_uid.to_string(),
            etcd_version: manifest.etcd_version.clone(),
            kubernetes_version: manifest.kubernetes_version.clone(),
            database_size: manifest.database_size,
            database_digest: manifest.database_digest.clone(),
            object_size: manifest.object_size,
            object_digest: manifest.object_digest.clone(),
        };
        let odd = catalog.odd.iter().map(|(key, why)| Unreadable { key: key.clone(), why: why.clone() });
        Self {
            schema: SCHEMA,
            location,
            kube_system_uid: uid.map(ToString::to_string),
            snapshots: catalog.found.iter().map(row).collect(),
            unreadable: odd.collect(),
            not_shown: catalog.unread,
        }
    }

    /// Prints it.
    ///
    /// # Errors
    /// A standard output that takes nothing.
    pub(super) fn print(&self, json: bool) -> Result<()> {
        print(self, || self.page(), json)
    }

    fn page(&self) -> String {
        let cluster = match &self.kube_system_uid {
            Some(uid) => format!("cluster with kube-system {uid}"),
            None => "no cluster is on record".to_owned(),
        };
        let mut lines = vec![format!("snapshots at {}; {cluster}", line(&self.location)), String::new()];
        if self.snapshots.is_empty() {
            lines.push("there are none".to_owned());
        } else {
            let names = ["REVISION", "KIND", "SAVED AT", "BY", "DATABASE", "OBJECT", "KUBERNETES", "ETCD", ""];
            let mut rows = vec![names.map(str::to_owned).to_vec()];
            rows.extend(self.snapshots.iter().map(|row| row.cells(self.kube_system_uid.is_some())));
            lines.extend(columns(&rows));
        }
        let odd = self.unreadable.iter().map(|odd| format!("{} cannot be used: {}", line(&odd.key), line(&odd.why)));
        lines.extend(odd);
        if self.not_shown > 0 {
            lines.push(format!("{} with lower revisions are not shown (--all)", self.not_shown));
        }
        lines.join("\n") + "\n"
    }
}

impl SnapshotRow {
    fn cells(&self, knows_own: bool) -> Vec<String> {
        let name = Manifest::name_of(&self.key);
        let mark = match (self.latest, self.own || !knows_own) {
            (true, _) => format!("{name} (latest)"),
            (false, true) => name,
            (false, false) => format!("{name} (of another cluster)"),
        };
        vec![
            self.revision.to_string(),
            self.kind.clone(),
            line(&self.saved_at),
            self.saved_by.clone(),
            size(self.database_size),
            size(self.object_size),
            line(&self.kubernetes_version),
            line(&self.etcd_version),
            mark,
        ]
    }
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    let (mut tenths, mut unit) = (bytes.saturating_mul(10), "B");
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documented::{names, paths};
    use crate::model::snapshot::SnapshotKind;

    const PAGE: &str = include_str!("../../docs/snapshots.md");

    fn catalog(revisions: &[(u64, SnapshotKind)]) -> Catalog {
        let found = revisions.iter().map(|(revision, kind)| Manifest::sample(*revision, *kind));
        let found = found.map(|manifest| Listed { manifest, written: None }).collect();
        Catalog { found, odd: vec![("snapshots/x.json".into(), "it is no manifest".into())], unread: 3 }
    }

    fn list(uid: Option<&Uid>) -> SnapshotList {
        let catalog = catalog(&[(12_400, SnapshotKind::Unconfirmed), (12_345, SnapshotKind::Routine)]);
        SnapshotList::new("s3://my-bucket/demo/snapshots/".into(), uid, &catalog)
    }

    #[test]
    fn every_field_is_documented_and_every_documented_field_is_there() -> Result<()> {
        let uid = Manifest::sample(1, SnapshotKind::Routine).kube_system_uid;
        assert_eq!(paths(&serde_json::to_value(list(Some(&uid)))?), names(PAGE, "--json"));
        Ok(())
    }

    #[test]
    fn the_latest_and_those_of_other_clusters_are_marked() -> Result<()> {
        let uid = Manifest::sample(1, SnapshotKind::Routine).kube_system_uid;
        let page = list(Some(&uid)).page();
        let marked: Vec<&str> = page.lines().filter(|line| line.contains("(latest)")).collect();
        assert!(matches!(marked[..], [line] if line.contains("12345")), "{page}");
        assert!(page.contains("snapshots/x.json cannot be used") && page.contains("3 with lower revisions"), "{page}");
        let other = Uid::parse("00000000-0000-4000-8000-000000000001")?;
        let page = list(Some(&other)).page();
        assert_eq!(page.matches("(of another cluster)").count(), 2, "{page}");
        assert!(!page.contains("(latest)"), "{page}");
        let page = list(None).page();
        assert!(!page.contains("another cluster") && page.contains("no cluster is on record"), "{page}");
        Ok(())
    }

    #[test]
    fn bytes_are_told_for_people() {
        let rows = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (20_512, "20.0 KiB"),
            (104_857_600, "100.0 MiB"),
            (8 * 1024 * 1024 * 1024, "8.0 GiB"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }
}
