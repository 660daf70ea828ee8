//! The records a claim goes through. Each function makes the next body; the shell writes it with the condition that
//! belongs to it, so that only one machine can.

use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::record::cluster::{ClusterRecord, Holder, Published, RecordState};
use crate::model::record::conditional_write::Condition;
use crate::model::record::identity::Identity;
use crate::model::record::saved::{Saved, SnapshotRef};
use crate::model::record::view::RecordView;
use std::collections::BTreeSet;

/// The condition of a claim over what was seen: that it is still there.
#[must_use]
pub fn condition(seen: &RecordView) -> Condition {
    match seen {
        RecordView::Absent | RecordView::Vanished => Condition::Absent,
        RecordView::Found { etag, .. } => Condition::Unchanged(etag.clone()),
    }
}

/// Whether the record, as read anew, is still that very claim: only then may its machine start `kubeadm init`.
#[must_use]
pub fn stands(seen: &RecordView, claim_id: &ClaimId) -> bool {
    match seen {
        RecordView::Found { record, .. } => record.claim_id == *claim_id && record.holder().is_some(),
        RecordView::Absent | RecordView::Vanished => false,
    }
}

/// Whether what is stored is this very holding: a beat of ours that was taken for lost.
#[must_use]
pub fn continues(held: &ClusterRecord, stored: &ClusterRecord) -> bool {
    stored.claim_id == held.claim_id && stored.holder().is_some() && stored.holder() == held.holder()
}

/// A first claim (nothing is there), or a claim over what `before` says: retired, saved, stepped down, or a holder believed
/// dead. The claim ID must be fresh: it is what fences late writes of every earlier claim. Over a saved cluster, and over every claim
/// that was to restore it, the next one restores it, too.
#[must_use]
pub fn claimed(before: Option<&ClusterRecord>, claim_id: ClaimId, holder: Holder, identity: Identity) -> ClusterRecord {
    let yielded = match before.map(|record| &record.state) {
        None | Some(RecordState::Retired(_) | RecordState::Saved(_)) => Vec::new(),
        Some(RecordState::Initializing { .. } | RecordState::Ready(_)) => {
            before.map(|record| record.yielded.clone()).unwrap_or_default()
        }
    };
    let restoring = before.and_then(ClusterRecord::saved).map(|saved| Box::new(saved.clone()));
    ClusterRecord {
        claim_id,
        generation: before.map_or(1, |record| record.generation + 1),
        identity,
        yielded,
        retired_claims: before.map(given_up).unwrap_or_default(),
        superseded: before.map(superseded).unwrap_or_default(),
        state: RecordState::Initializing { holder: Some(holder), beat: 0, restoring },
    }
}

/// The claims that a restore after this record follows, its own last. One that was to restore and is taken over never became the cluster:
/// where there is no room any more it is left out. Nobody depends on it: no registration proves its flip, no snapshot was taken under
/// it, and its machine clears away what it left as that of any claim that is not the record's.
fn superseded(record: &ClusterRecord) -> Vec<ClaimId> {
    let is_attempt = matches!(record.state, RecordState::Initializing { .. });
    let is_left_out = is_attempt && record.is_line_full();
    let own = record.saved().map(|_| &record.claim_id).filter(|_| !is_left_out);
    record.superseded.iter().chain(own).cloned().collect()
}

/// The same claim, one beat later. `None` when the record is no held claim.
#[must_use]
pub fn renewed(record: &ClusterRecord) -> Option<ClusterRecord> {
    match &record.state {
        RecordState::Initializing { holder: Some(holder), beat, restoring } => {
            let (holder, restoring) = (Some(holder.clone()), restoring.clone());
            let state = RecordState::Initializing { holder, beat: beat + 1, restoring };
            Some(ClusterRecord { state, ..record.clone() })
        }
        RecordState::Initializing { holder: None, .. }
        | RecordState::Ready(_)
        | RecordState::Saved(_)
        | RecordState::Retired(_) => None,
    }
}

/// The holder steps down after too many failed attempts and ranks last from now on. What was to be restored is still to be
/// restored. `None` when the record is no held claim.
#[must_use]
pub fn yielded(record: &ClusterRecord) -> Option<ClusterRecord> {
    let next = renewed(record)?;
    let RecordState::Initializing { holder: Some(holder), beat, restoring } = next.state else { return None };
    let mut yielded: Vec<InstanceId> =
        next.yielded.into_iter().filter(|instance| *instance != holder.instance).collect();
    yielded.push(holder.instance);
    Some(ClusterRecord {
        yielded,
        state: RecordState::Initializing { holder: None, beat, restoring },
        ..record.clone()
    })
}

/// The flip: the claim becomes a cluster. `None` when the record is no held claim, so that a ready record can never be
/// flipped again, and when the claim was to restore another cluster than the one that was made.
#[must_use]
pub fn flipped(record: &ClusterRecord, published: Published) -> Option<ClusterRecord> {
    match &record.state {
        RecordState::Initializing { holder: Some(_), restoring: Some(saved), .. }
            if !saved.is_restored_as(&published) =>
        {
            None
        }
        RecordState::Initializing { holder: Some(_), .. } => {
            Some(ClusterRecord { yielded: Vec::new(), state: RecordState::Ready(published), ..record.clone() })
        }
        RecordState::Initializing { holder: None, .. }
        | RecordState::Ready(_)
        | RecordState::Saved(_)
        | RecordState::Retired(_) => None,
    }
}

/// The cluster lives in this snapshot from now on: it was ready, or was saved with another one, or a restore of it is given up
/// for this one. `None` when the record is of no cluster.
#[must_use]
pub fn saved(record: &ClusterRecord, snapshot: SnapshotRef) -> Option<ClusterRecord> {
    let published = match &record.state {
        RecordState::Ready(published) => published.clone(),
        RecordState::Saved(saved) => saved.published.clone(),
        RecordState::Initializing { restoring: Some(saved), .. } => saved.published.clone(),
        RecordState::Initializing { restoring: None, .. } | RecordState::Retired(_) => return None,
    };
    let state = RecordState::Saved(Saved { published, snapshot });
    Some(ClusterRecord { yielded: Vec::new(), state, ..record.clone() })
}

/// The cluster is given up, with every claim that it superseded: the record says so, and keeps what is known of it. One that is being
/// restored is given up as the saved one that it was, and the claim that was to restore it with it. `None` when the record is no cluster's.
#[must_use]
pub fn retired(record: &ClusterRecord) -> Option<ClusterRecord> {
    let published = match &record.state {
        RecordState::Ready(published) | RecordState::Saved(Saved { published, .. }) => published.clone(),
        RecordState::Initializing { restoring: Some(saved), .. } => saved.published.clone(),
        RecordState::Initializing { restoring: None, .. } | RecordState::Retired(_) => return None,
    };
    Some(ClusterRecord {
        yielded: Vec::new(),
        retired_claims: record.retired_claims.iter().chain(&record.superseded).cloned().collect(),
        superseded: Vec::new(),
        state: RecordState::Retired(Some(published)),
        ..record.clone()
    })
}

/// The record of a cluster whose own one is lost: it went back to the version `before`, or there is none. It names every claim
/// that is given up. The claim ID must be fresh.
#[must_use]
pub fn lost(
    before: Option<&ClusterRecord>,
    claim_id: ClaimId,
    identity: Identity,
    claims: impl IntoIterator<Item = ClaimId>,
) -> ClusterRecord {
    let mut retired: BTreeSet<ClaimId> = claims.into_iter().collect();
    if let Some(before) = before {
        retired.insert(before.claim_id.clone());
        retired.extend(before.retired_claims.iter().chain(&before.superseded).cloned());
    }
    ClusterRecord {
        claim_id,
        generation: before.map_or(1, |record| record.generation + 1),
        identity,
        yielded: Vec::new(),
        retired_claims: retired.into_iter().collect(),
        superseded: Vec::new(),
        state: RecordState::Retired(None),
    }
}

/// Every claim that this record gives up, its own last.
fn given_up(record: &ClusterRecord) -> Vec<ClaimId> {
    let own = Some(&record.claim_id).filter(|claim| record.gives_up(claim));
    record.retired_claims.iter().chain(own).cloned().collect()
}

/// The same record for the group that replaced its own. Claim, CA and cluster stay what they are.
#[must_use]
pub fn regrouped(record: &ClusterRecord, group_arn: String) -> ClusterRecord {
    ClusterRecord { identity: Identity { group_arn, ..record.identity.clone() }, ..record.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::BootId;
    use std::time::Duration;

    fn claim_id(n: u8) -> ClaimId {
        ClaimId::parse(format!("00000000-0000-4000-8000-00000000000{n}")).unwrap()
    }

    fn holder(n: u8) -> Holder {
        let boot = BootId::parse(format!("6f9619ff-8b86-4011-b42d-00c04fc964f{n}")).unwrap();
        Holder { instance: InstanceId::parse(format!("i-0000000{n}")).unwrap(), boot }
    }

    fn identity(group: &str) -> Identity {
        Identity { group_arn: group.into(), ..Identity::sample() }
    }

    fn published() -> Published {
        Published::sample(holder(1).instance)
    }

    fn record(claim: u8, state: RecordState) -> ClusterRecord {
        let yielded = vec![holder(7).instance];
        ClusterRecord {
            claim_id: claim_id(claim),
            generation: 4,
            identity: identity("g"),
            yielded,
            retired_claims: Vec::new(),
            superseded: Vec::new(),
            state,
        }
    }

    fn held(claim: u8, by: u8, beat: u64) -> ClusterRecord {
        record(claim, RecordState::Initializing { holder: Some(holder(by)), beat, restoring: None })
    }

    fn vacant() -> ClusterRecord {
        record(1, RecordState::Initializing { holder: None, beat: 3, restoring: None })
    }

    fn found(record: ClusterRecord) -> RecordView {
        RecordView::Found { record: Box::new(record), etag: "e".into(), unchanged_for: Duration::ZERO }
    }

    #[test]
    fn a_claim_is_written_only_over_what_was_seen() {
        assert_eq!(condition(&RecordView::Absent), Condition::Absent);
        assert_eq!(condition(&RecordView::Vanished), Condition::Absent);
        assert_eq!(condition(&found(vacant())), Condition::Unchanged("e".into()));
    }

    #[test]
    fn only_its_own_held_claim_lets_a_machine_initialise() {
        let rows = [
            (RecordView::Absent, false),
            (RecordView::Vanished, false),
            (found(held(1, 1, 9)), true),
            (found(held(2, 1, 0)), false),
            (found(vacant()), false),
            (found(record(1, RecordState::Ready(published()))), false),
            (found(record(1, RecordState::Retired(published().into()))), false),
        ];
        for (seen, expected) in rows {
            assert_eq!(stands(&seen, &claim_id(1)), expected, "{seen:?}");
        }
    }

    #[test]
    fn a_late_beat_is_told_from_another_holding() {
        let mine = held(1, 1, 2);
        let rows = [
            (held(1, 1, 3), true),
            (held(1, 2, 3), false),
            (held(2, 1, 3), false),
            (vacant(), false),
            (record(1, RecordState::Ready(published())), false),
        ];
        for (stored, expected) in rows {
            assert_eq!(continues(&mine, &stored), expected, "{stored:?}");
        }
        assert!(!continues(&vacant(), &vacant()), "nobody's claim is nobody's");
    }

    #[test]
    fn a_claim_is_fresh_and_keeps_who_has_yielded_until_a_cluster_was() {
        let claim = |before: Option<&ClusterRecord>| claimed(before, claim_id(9), holder(2), identity("h"));
        let first = claim(None);
        assert_eq!((first.generation, first.yielded.len()), (1, 0));
        let rows = [
            (held(1, 1, 5), 1),
            (vacant(), 1),
            (record(1, RecordState::Ready(published())), 1),
            (record(1, RecordState::Retired(published().into())), 0),
        ];
        for (before, yielded) in rows {
            let next = claim(Some(&before));
            assert_eq!((next.generation, next.yielded.len()), (5, yielded), "{before:?}");
            assert_eq!(next.claim_id, claim_id(9));
            assert_eq!(next.identity, identity("h"));
            assert_eq!(next.state, RecordState::Initializing { holder: Some(holder(2)), beat: 0, restoring: None });
        }
    }

    #[test]
    fn only_a_held_claim_beats_yields_or_flips() {
        let mine = held(1, 1, 2);
        assert_eq!(renewed(&mine), Some(held(1, 1, 3)));
        let stepped_down = yielded(&mine).unwrap();
        assert_eq!(stepped_down.state, RecordState::Initializing { holder: None, beat: 3, restoring: None });
        assert_eq!(stepped_down.yielded, [holder(7).instance, holder(1).instance]);
        let again = yielded(&ClusterRecord { yielded: vec![holder(1).instance, holder(7).instance], ..mine.clone() });
        assert_eq!(again.unwrap().yielded, [holder(7).instance, holder(1).instance], "last of all, and once");
        let cluster = flipped(&mine, published()).unwrap();
        assert_eq!(cluster, ClusterRecord { yielded: Vec::new(), state: RecordState::Ready(published()), ..mine });
        for other in [vacant(), cluster, record(1, RecordState::Retired(published().into()))] {
            assert_eq!(renewed(&other), None, "{other:?}");
            assert_eq!(yielded(&other), None, "{other:?}");
            assert_eq!(flipped(&other, published()), None, "{other:?}");
        }
    }

    fn saved_cluster() -> Saved {
        Saved::sample(holder(1).instance)
    }

    fn restoring(claim: u8, by: Option<u8>, superseded: &[u8]) -> ClusterRecord {
        let state =
            RecordState::Initializing { holder: by.map(holder), beat: 2, restoring: Some(saved_cluster().into()) };
        ClusterRecord { superseded: ids(superseded), ..record(claim, state) }
    }

    fn ids(claims: &[u8]) -> Vec<ClaimId> {
        claims.iter().map(|n| claim_id(*n)).collect()
    }

    #[test]
    fn a_claim_over_a_saved_cluster_restores_it_and_so_does_every_claim_after_it() {
        let claim = |before: &ClusterRecord| claimed(Some(before), claim_id(9), holder(2), identity("h"));
        let saved = record(1, RecordState::Saved(saved_cluster()));
        let saved_again = ClusterRecord { superseded: ids(&[1, 2]), ..record(3, RecordState::Saved(saved_cluster())) };
        // (before, what it supersedes, who ranks last)
        let rows = [
            (saved.clone(), ids(&[1]), 0),
            (saved_again, ids(&[1, 2, 3]), 0),
            (restoring(2, Some(1), &[1]), ids(&[1, 2]), 1),
            (restoring(3, None, &[1, 2]), ids(&[1, 2, 3]), 1),
            (yielded(&restoring(2, Some(1), &[1])).unwrap(), ids(&[1, 2]), 2),
        ];
        for (before, superseded, yielded) in rows {
            let next = claim(&before);
            assert_eq!((next.claim_id.clone(), next.generation), (claim_id(9), 5), "{before:?}");
            assert_eq!((&next.superseded, next.yielded.len()), (&superseded, yielded), "{before:?}");
            let restoring = Some(Box::new(saved_cluster()));
            assert_eq!(next.state, RecordState::Initializing { holder: Some(holder(2)), beat: 0, restoring });
            assert_eq!(renewed(&next).unwrap().saved(), Some(&saved_cluster()), "a beat drops nothing");
            assert_eq!(ClusterRecord::parse(&next.to_bytes()).as_ref(), Ok(&next));
            assert!(superseded.iter().all(|claim| next.supersedes(claim)) && !next.supersedes(&claim_id(9)));
        }
        assert!(saved.supersedes(&claim_id(1)) && !saved.supersedes(&claim_id(2)));
    }

    #[test]
    fn a_restore_flips_only_as_the_cluster_that_was_saved() {
        let mine = restoring(2, Some(1), &[1]);
        let uid = crate::model::machine::ids::Uid::parse("00000000-8b86-4011-b42d-00c04fc964ff").unwrap();
        let rows = [
            (Published { etcd_cluster_id: None, initialised_by: holder(3).instance, ..published() }, true),
            (Published { kube_system_uid: uid, ..published() }, false),
            (Published { ca_hashes: vec!["sha256:99".into()], ..published() }, false),
            (Published { ca_hashes: Vec::new(), ..published() }, false),
        ];
        for (made, is_same) in rows {
            let flipped = flipped(&mine, made.clone());
            let ready = ClusterRecord { yielded: Vec::new(), state: RecordState::Ready(made), ..mine.clone() };
            assert_eq!(flipped, is_same.then_some(ready));
        }
        assert_eq!(flipped(&restoring(2, None, &[1]), published()), None);
        assert_eq!(flipped(&record(1, RecordState::Saved(saved_cluster())), published()), None);
    }

    #[test]
    fn a_cluster_is_saved_from_where_it_is_and_never_from_nothing() {
        let another = SnapshotRef { key: "another".into(), claim: claim_id(3), ..saved_cluster().snapshot };
        let now = || RecordState::Saved(Saved { published: published(), snapshot: another.clone() });
        let rows = [
            (record(1, RecordState::Ready(published())), Some((1, ids(&[])))),
            (record(1, RecordState::Saved(saved_cluster())), Some((1, ids(&[])))),
            (restoring(2, Some(1), &[1]), Some((2, ids(&[1])))),
            (restoring(2, None, &[1]), Some((2, ids(&[1])))),
            (held(1, 1, 2), None),
            (vacant(), None),
            (record(1, RecordState::Retired(published().into())), None),
            (record(1, RecordState::Retired(None)), None),
        ];
        for (before, expected) in rows {
            let next = saved(&before, another.clone());
            let expected = expected.map(|(claim, superseded)| ClusterRecord {
                superseded,
                yielded: Vec::new(),
                ..record(claim, now())
            });
            assert_eq!(next, expected, "{before:?}");
        }
    }

    #[test]
    fn a_saved_cluster_is_retired_with_every_claim_that_it_followed() {
        let ready = ClusterRecord { superseded: ids(&[1, 2]), ..record(3, RecordState::Ready(published())) };
        let kept = ClusterRecord {
            superseded: ids(&[1, 2]),
            retired_claims: ids(&[5]),
            ..record(3, RecordState::Saved(saved_cluster()))
        };
        let restored = restoring(3, Some(1), &[1, 2]);
        let stepped_down = restoring(3, None, &[1, 2]);
        for (before, gives_up) in
            [(ready, ids(&[1, 2])), (kept, ids(&[5, 1, 2])), (restored, ids(&[1, 2])), (stepped_down, ids(&[1, 2]))]
        {
            let next = retired(&before).unwrap();
            assert_eq!((&next.retired_claims, &next.superseded, next.schema()), (&gives_up, &Vec::new(), 1));
            assert_eq!(next.state, RecordState::Retired(published().into()));
            assert!([1, 2, 3].iter().all(|n| next.gives_up(&claim_id(*n)) && !next.supersedes(&claim_id(*n))));
            assert!(next.yielded.is_empty());
            let anew = claimed(Some(&next), claim_id(9), holder(2), identity("h"));
            assert_eq!(anew.saved(), None, "a new cluster");
            assert!([1, 2, 3].iter().all(|n| anew.retired_claims.contains(&claim_id(*n))), "{anew:?}");
            assert_eq!(flipped(&next, published()), None, "a restore that was under way");
        }
        assert_eq!(retired(&vacant()), None, "there is no cluster");
    }

    #[test]
    fn restores_that_fail_without_end_fill_no_record_and_hide_no_cluster() {
        let numbered = |n: u64| ClaimId::parse(format!("00000000-0000-4000-9000-{n:012x}")).unwrap();
        let mut record = record(1, RecordState::Saved(saved_cluster()));
        let mut last = saved_cluster().snapshot.revision;
        // Every snapshot that there is, each with the revision at which it was taken.
        let mut snapshots = vec![SnapshotRef { claim: claim_id(1), ..saved_cluster().snapshot }];
        for n in 0..4500 {
            record = claimed(Some(&record), numbered(n), holder(2), identity("h"));
            let under = |snapshot: &SnapshotRef| {
                let restoring = Some(Box::new(Saved { snapshot: snapshot.clone(), ..saved_cluster() }));
                let state = RecordState::Initializing { holder: None, beat: 0, restoring };
                ClusterRecord { state, ..record.clone() }.revision_bump().unwrap() + snapshot.revision
            };
            let begins_at: Vec<u64> = snapshots.iter().map(under).collect();
            assert!(begins_at.iter().all(|begin| *begin > last), "the attempt {n} gives out revisions again: {last}");
            last = begins_at[begins_at.len() - 1];
            // Now and then one becomes the cluster, which is saved again; once the line is full, in each of some nights.
            if n % 1500 == 1499 || (2000..2010).contains(&n) {
                record = flipped(&record, published()).unwrap();
                let claim = record.claim_id.clone();
                snapshots.push(SnapshotRef { claim, revision: last + 7, ..saved_cluster().snapshot });
                last += 7;
                record = saved(&record, snapshots[snapshots.len() - 1].clone()).unwrap();
            }
            let clusters = snapshots.iter().map(|snapshot| &snapshot.claim);
            assert!(clusters.into_iter().all(|claim| record.supersedes(claim) || record.claim_id == *claim), "{n}");
        }
        let bytes = record.to_bytes();
        assert!(bytes.len() < 100 * 1024, "{} bytes", bytes.len());
        assert!(i64::try_from(last).is_ok(), "etcd counts by it");
        assert_eq!(ClusterRecord::parse(&bytes), Ok(record));
    }

    #[test]
    fn no_revision_is_given_out_twice_whichever_snapshot_is_restored() {
        let of = |superseded: &[u8], own, taken_under| {
            let snapshot = SnapshotRef { claim: claim_id(taken_under), ..saved_cluster().snapshot };
            let restoring = Some(Box::new(Saved { snapshot, ..saved_cluster() }));
            let state = RecordState::Initializing { holder: None, beat: 0, restoring };
            ClusterRecord { superseded: ids(superseded), ..record(own, state) }.revision_bump()
        };
        // (the claims before, its own, that of the snapshot, how many claims have followed that)
        let rows: [(&[u8], u8, u8, u64); 6] = [
            (&[1], 2, 1, 1),
            (&[1, 2, 3], 4, 1, 3),
            (&[1, 2, 3], 4, 3, 1),
            (&[1, 2], 3, 2, 1),
            (&[1, 2], 3, 9, 3),
            (&[1], 2, 2, 1),
        ];
        for (superseded, own, taken_under, claims) in rows {
            assert_eq!(of(superseded, own, taken_under), Some(claims * 1_000_000_000), "{superseded:?} {taken_under}");
        }
        assert_eq!(held(1, 1, 2).revision_bump(), None);
        assert_eq!(record(1, RecordState::Ready(published())).revision_bump(), None);
    }

    #[test]
    fn another_group_changes_nothing_else() {
        let cluster = record(1, RecordState::Ready(published()));
        let regrouped = regrouped(&cluster, "h".into());
        assert_eq!(regrouped, ClusterRecord { identity: identity("h"), ..cluster });
    }

    #[test]
    fn a_lost_record_names_every_claim_that_it_gives_up_and_no_cluster() {
        let lost = |before: Option<&ClusterRecord>, claims: &[u8]| {
            super::lost(before, claim_id(9), identity("h"), claims.iter().map(|n| claim_id(*n)))
        };
        let ids = |claims: &[u8]| claims.iter().map(|n| claim_id(*n)).collect::<Vec<_>>();
        let earlier = ClusterRecord { retired_claims: ids(&[2]), ..record(4, RecordState::Retired(None)) };
        let rows = [
            (None, &[3, 2, 3][..], 1, ids(&[2, 3])),
            (None, &[], 1, ids(&[])),
            (Some(held(1, 1, 0)), &[1, 2], 5, ids(&[1, 2])),
            (Some(earlier), &[3], 5, ids(&[2, 3, 4])),
        ];
        for (before, claims, generation, retired_claims) in rows {
            let next = lost(before.as_ref(), claims);
            let expected = ClusterRecord {
                claim_id: claim_id(9),
                generation,
                identity: identity("h"),
                yielded: Vec::new(),
                retired_claims,
                superseded: Vec::new(),
                state: RecordState::Retired(None),
            };
            assert_eq!(next, expected, "{before:?}");
            assert_eq!(ClusterRecord::parse(&next.to_bytes()).as_ref(), Ok(&next));
            assert!(next.gives_up(&claim_id(9)) && !next.gives_up(&claim_id(8)));
        }
    }
}
