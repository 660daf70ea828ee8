//! Which snapshot of a cluster is the latest: by revision, never by name or clock, and never one that was taken without a quorum.

use super::manifest::{Manifest, SnapshotKind};
use crate::model::machine::ids::Uid;

/// The latest snapshot of the cluster with this UID. Revisions of two clusters cannot be compared. Of two with one revision the final
/// one counts, for nothing was committed while it was taken.
#[must_use]
pub fn latest<'a>(manifests: impl IntoIterator<Item = &'a Manifest>, uid: &Uid) -> Option<&'a Manifest> {
    let of_cluster = manifests.into_iter().filter(|manifest| manifest.kube_system_uid == *uid);
    let confirmed = of_cluster.filter(|manifest| is_confirmed(manifest.kind));
    confirmed.max_by_key(|manifest| (manifest.revision, manifest.kind == SnapshotKind::Final, &manifest.key))
}

/// Whether it was taken through a quorum.
#[must_use]
pub fn is_confirmed(kind: SnapshotKind) -> bool {
    match kind {
        SnapshotKind::Routine | SnapshotKind::Final => true,
        SnapshotKind::Unconfirmed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SnapshotKind::{Final, Routine, Unconfirmed};

    const OTHER: &str = "00000000-0000-4000-8000-000000000001";

    #[test]
    fn the_latest_is_the_highest_confirmed_revision_of_this_cluster() {
        let uid = Manifest::sample(1, Routine).kube_system_uid;
        type Known = (u64, SnapshotKind);
        let rows: [(&[Known], Option<Known>); 6] = [
            (&[], None),
            (&[(9, Routine), (10, Routine)], Some((10, Routine))),
            (&[(10, Routine), (9, Final)], Some((10, Routine))),
            (&[(10, Final), (10, Routine)], Some((10, Final))),
            (&[(10, Routine), (99, Unconfirmed)], Some((10, Routine))),
            (&[(99, Unconfirmed)], None),
        ];
        for (given, expected) in rows {
            let manifests: Vec<Manifest> =
                given.iter().map(|(revision, kind)| Manifest::sample(*revision, *kind)).collect();
            let found = latest(&manifests, &uid).map(|found| (found.revision, found.kind));
            assert_eq!(found, expected, "{given:?}");
            let other = latest(&manifests, &Uid::parse(OTHER).unwrap());
            assert_eq!(other, None, "another cluster's are none of this one's");
        }
    }

    #[test]
    fn neither_the_time_nor_the_order_of_a_listing_counts() {
        let [mut old, mut new] = [Manifest::sample(10, Routine), Manifest::sample(9, Routine)];
        (old.saved_at, new.saved_at) = ("2020-01-01T00:00:00Z".into(), "2030-01-01T00:00:00Z".into());
        for both in [[&old, &new], [&new, &old]] {
            assert_eq!(latest(both, &old.kube_system_uid), Some(&old));
        }
    }
}
