//! The rows over a saved cluster, over claims that restore it, and for machines of a cluster that was restored since.

use super::*;
use crate::model::record::saved::Saved;
use crate::model::restore::fit::SnapshotUnfit;

/// Its snapshot was taken under claim 1.
fn saved_cluster() -> Saved {
    let mut saved = Saved::sample(id(1));
    saved.snapshot.claim = claim(1);
    saved
}

/// The cluster of claim 1, saved; `superseded` before it.
fn saved(superseded: &[u8]) -> RecordView {
    following(superseded, found(claim(1), RecordState::Saved(saved_cluster()), Duration::ZERO))
}

/// Claim `claim_id` restores the cluster of claim 1.
fn restoring(by: Option<u8>, claim_id: u8, unchanged_for: Duration) -> RecordView {
    let boot = BootId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
    let holder = by.map(|n| Holder { instance: id(n), boot });
    let state = RecordState::Initializing { holder, beat: 0, restoring: Some(saved_cluster().into()) };
    following(&[1], found(claim(claim_id), state, unchanged_for))
}

/// The cluster of claim 1, restored under claim 3 by machine 2.
fn restored() -> RecordView {
    following(&[1, 2], found(claim(3), RecordState::Ready(Published::sample(id(2))), Duration::ZERO))
}

fn following(superseded: &[u8], view: RecordView) -> RecordView {
    let RecordView::Found { mut record, etag, unchanged_for } = view else { unreachable!() };
    record.superseded = superseded.iter().map(|n| claim(*n)).collect();
    RecordView::Found { record, etag, unchanged_for }
}

/// Machine `n`, with the record's snapshot.
fn equipped(n: u8, record: RecordView) -> Snapshot {
    let digest = saved_cluster().snapshot.digest;
    Snapshot { record, snapshot: SnapshotHere::Fetched { digest }, ..machine(n) }
}

fn unfit() -> SnapshotHere {
    SnapshotHere::Unfit(SnapshotUnfit::Damaged { why: "w".into() })
}

#[test]
fn a_saved_cluster_is_claimed_by_turn_in_a_settled_group() {
    let turn = |rank, left| Step::Wait(Wait::Turn { rank, left: secs(left) });
    let rows = [(1, 0, None), (2, 0, Some(turn(1, 30))), (2, 30, None), (3, 30, Some(turn(2, 30))), (3, 60, None)];
    for (n, settled, wait) in rows {
        let seen = Snapshot { settled_for: Some(secs(settled)), ..equipped(n, saved(&[])) };
        assert_eq!(decided(&seen), wait.unwrap_or(Step::Claim(Over::Saved)), "{n} after {settled}s");
    }
    let small = Snapshot { group: Some(group(2)), settled_for: None, ..equipped(1, saved(&[])) };
    assert_eq!(decided(&small), Step::Wait(Wait::Settle { candidates: 2, expected: 3 }));
    let late = Snapshot { watched_for: secs(600), ..small };
    assert_eq!(decided(&late), Step::Claim(Over::Saved));
    // The published hash is the saved cluster's, and whoever answers was started by its claim.
    let at = vec![ApiServerAt { instance: None, address: "api:6443".into() }];
    let seen = Snapshot {
        api_servers: ApiServerProbe::Answered(at),
        hash: Some(saved_cluster().published.ca_hashes[0].clone()),
        ..equipped(1, saved(&[]))
    };
    assert_eq!(decided(&seen), Step::Claim(Over::Saved));
}

#[test]
fn nobody_initialises_anew_over_a_saved_cluster() {
    let locals = [
        Local::Fresh,
        half_made(1, 1, Stage::Initializing),
        half_made(1, 2, Stage::Initializing),
        half_made(1, 9, Stage::Initializing),
        half_made(1, 2, Stage::Joining),
        made(1, 1),
        made(1, 9),
    ];
    let records = [
        saved(&[]),
        saved(&[2]),
        restoring(None, 2, secs(999)),
        restoring(Some(1), 2, secs(0)),
        restoring(Some(2), 3, secs(999)),
    ];
    for record in &records {
        for local in &locals {
            for own_claim in [None, Some(claim(2)), Some(claim(3))] {
                for data in [EtcdData::Nothing, data_of(1), data_of_init(2)] {
                    for failed_inits in [0, 9] {
                        let (local, own_claim, data) = (local.clone(), own_claim.clone(), data.clone());
                        let seen = Snapshot { local, own_claim, data, failed_inits, ..equipped(1, record.clone()) };
                        let step = decided(&seen);
                        assert_ne!(step, Step::Init, "{seen:?}");
                        assert!(!matches!(step, Step::Claim(Over::Nothing | Over::Retired)), "{seen:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_claim_that_restores_is_held_taken_over_and_yielded_as_any_other() {
    let mine = |local, failed_inits| Snapshot {
        own_claim: Some(claim(2)),
        local,
        failed_inits,
        ..equipped(1, restoring(Some(1), 2, secs(0)))
    };
    assert_eq!(decided(&mine(Local::Fresh, 0)), Step::Restore);
    assert_eq!(decided(&mine(Local::Fresh, 3)), Step::Yield);
    let failed = Snapshot { data: data_of_init(2), ..mine(half_made(1, 2, Stage::Initializing), 1) };
    assert_eq!(decided(&failed), Step::Wipe(Wipe::FailedInit));
    // Every attempt has a claim of its own, and so a token of its own.
    for (own_claim, local) in [(None, Local::Fresh), (None, half_made(1, 2, Stage::Initializing))] {
        let seen = Snapshot { own_claim, local, ..equipped(1, restoring(Some(1), 2, secs(0))) };
        assert_eq!(decided(&seen), Step::Resume);
    }
    let other = |unchanged| equipped(1, restoring(Some(2), 2, secs(unchanged)));
    assert_eq!(decided(&other(0)), Step::Wait(Wait::Holder { instance: id(2) }));
    assert_eq!(decided(&other(60)), Step::TakeOver(TakeOver::Silent(id(2), secs(60))));
    assert_eq!(decided(&equipped(1, restoring(None, 2, secs(0)))), Step::Claim(Over::Vacant));
}

#[test]
fn nobody_holds_a_claim_without_the_snapshot() {
    let not_yet = || Step::Wait(Wait::Snapshot { why: "it has not been fetched yet".into() });
    let pending = || SnapshotHere::Pending { why: "w".into() };
    let another = || SnapshotHere::Fetched { digest: "sha256:22".into() };
    let records =
        [saved(&[]), restoring(None, 2, secs(999)), restoring(Some(2), 2, secs(999)), restoring(Some(1), 2, secs(0))];
    for record in records {
        let seen = |snapshot| Snapshot { snapshot, ..equipped(1, record.clone()) };
        assert_eq!(decided(&seen(SnapshotHere::NotFetched)), not_yet());
        assert_eq!(decided(&seen(another())), not_yet(), "that of a record before this one");
        assert_eq!(decided(&seen(pending())), Step::Wait(Wait::Snapshot { why: "w".into() }));
        let expected = Step::Wait(Wait::SnapshotUnfit(SnapshotUnfit::Damaged { why: "w".into() }));
        assert_eq!(decided(&seen(unfit())), expected);
    }
    // Who holds the claim gives it to somebody who can.
    let held =
        |snapshot| Snapshot { own_claim: Some(claim(2)), snapshot, ..equipped(1, restoring(Some(1), 2, secs(0))) };
    assert_eq!(decided(&held(unfit())), Step::Yield);
    assert_eq!(decided(&held(pending())), Step::Wait(Wait::Snapshot { why: "w".into() }));
    // A new cluster needs none.
    assert_eq!(decided(&machine(1)), Step::Claim(Over::Nothing));
}

#[test]
fn a_machine_with_data_of_a_superseded_claim_is_set_aside_and_one_that_never_joined_begins_anew() {
    let aside = |n| Step::SetAside { claim_id: claim(n) };
    let fresh = |n| Step::Wipe(Wipe::Superseded(claim(n)));
    let joined = |n| vec![registered(1, RegistrationPhase::Joined, n, Some(1))];
    let waits = |n| vec![registered(1, RegistrationPhase::Waiting, n, None)];
    // (what lies here, what it says of itself, under `saved` and while it is restored, once it is restored)
    let rows = [
        (made(1, 1), vec![], aside(1), aside(1)),
        (made(1, 1), joined(1), aside(1), aside(1)),
        (half_made(1, 1, Stage::Joining), vec![], fresh(1), fresh(1)),
        (half_made(1, 1, Stage::Joining), waits(1), fresh(1), fresh(1)),
        (half_made(1, 1, Stage::Joining), joined(1), aside(1), aside(1)),
        // Machine 1 made the cluster of claim 1: the flip landed, and nobody lived to write it down.
        (half_made(1, 1, Stage::Initializing), vec![], aside(1), fresh(1)),
        (half_made(1, 1, Stage::Initializing), joined(1), aside(1), aside(1)),
    ];
    let ask = ClusterView::Listed(listed(&[(2, true), (3, true)]));
    for (local, registrations, before, after) in rows {
        let of = |record| Snapshot {
            local: local.clone(),
            data: data_of(1),
            registrations: registrations.clone(),
            ..equipped(1, record)
        };
        let records = [saved(&[]), saved(&[2]), restoring(Some(2), 3, secs(0)), restoring(None, 3, secs(999))];
        for record in records {
            assert_eq!(decided(&of(record.clone())), before, "{local:?} {registrations:?} {record:?}");
        }
        for cluster in [ClusterView::NotAsked, ClusterView::Unknown { why: "w".into() }, ask.clone()] {
            let seen = Snapshot { cluster, ..of(restored()) };
            assert_eq!(decided(&seen), after, "{local:?} {registrations:?}");
        }
    }
    // A restore that was begun and did not become the cluster.
    let attempt =
        |record| Snapshot { local: half_made(1, 2, Stage::Initializing), data: data_of_init(2), ..equipped(1, record) };
    let removed = |n| Step::Wipe(Wipe::Deposed(claim(n)));
    assert!(!Wipe::Deposed(claim(2)).keeps_data());
    let after = |by| following(&[1, 2], restoring(Some(by), 3, secs(0)));
    assert_eq!(decided(&attempt(after(2))), removed(2));
    let resumed = Snapshot { own_claim: Some(claim(3)), ..attempt(after(1)) };
    assert_eq!(decided(&resumed), removed(2), "its own attempt before this one");
    let given_up = following(&[1], found(claim(2), RecordState::Saved(saved_cluster()), secs(0)));
    assert_eq!(decided(&attempt(given_up)), removed(2), "saved again, with another snapshot");
    // Whatever may be more than that is kept.
    let kept = [
        attempt(restored()),
        Snapshot { data: data_of_init(9), ..attempt(after(2)) },
        Snapshot { registrations: vec![registered(3, RegistrationPhase::Joined, 2, Some(3))], ..attempt(after(2)) },
    ];
    for seen in kept {
        assert_eq!(decided(&seen), fresh(2), "{seen:?}");
    }
    let before = Snapshot { data: data_of_init(1), local: half_made(1, 1, Stage::Initializing), ..attempt(after(2)) };
    assert_eq!(decided(&before), fresh(1), "the claim of the snapshot, or one before it");
    let mut later = saved_cluster();
    later.published.etcd_cluster_id = Some(EtcdIds::of_init(&claim(2), address(1)).cluster);
    let flipped = following(&[1], found(claim(2), RecordState::Saved(later), secs(0)));
    assert_eq!(decided(&attempt(flipped)), aside(2), "its flip landed");
}

#[test]
fn an_unknown_claim_changes_nothing_and_is_no_survivor() {
    for record in [saved(&[]), restoring(Some(2), 3, secs(0)), restored()] {
        for local in [made(1, 9), half_made(1, 9, Stage::Joining)] {
            let seen = Snapshot { local: local.clone(), data: data_of(1), ..equipped(1, record.clone()) };
            let stop = decided(&seen);
            assert!(
                matches!(stop, Step::Stop(Stop::OtherCluster { former: FormerCluster::Other { .. }, .. })),
                "{stop}"
            );
        }
    }
    let seen = Snapshot { local: made(1, 1), data: data_of(1), ..equipped(1, retired()) };
    assert!(matches!(decided(&seen), Step::Stop(Stop::OtherCluster { former: FormerCluster::Retired, .. })));
}

#[test]
fn a_disk_of_a_superseded_claim_under_another_machines_marker_is_moved_aside_by_a_certain_list_alone() {
    let of = |cluster| Snapshot { local: made(9, 1), data: data_of(9), cluster, ..equipped(1, restored()) };
    let ids = EtcdIds { member: MemberId(9), cluster: EtcdClusterId(8) };
    let other_etcd = |cluster| Snapshot { data: EtcdData::Of(ids), ..of(cluster) };
    let list = |members: &[(u8, bool)]| ClusterView::Listed(listed(members));
    assert_eq!(decided(&other_etcd(list(&[(2, true), (3, true)]))), Step::Wipe(Wipe::Superseded(claim(1))));
    assert!(Wipe::Superseded(claim(1)).keeps_data() && !Wipe::NotListed.keeps_data());
    for cluster in [list(&[(2, true), (3, false)]), ClusterView::Unknown { why: "w".into() }] {
        assert!(matches!(decided(&other_etcd(cluster)), Step::Wait(Wait::ForeignData { .. })));
    }
    let stops = [
        other_etcd(list(&[(1, true), (2, true)])),
        Snapshot { local: made(9, 7), ..other_etcd(list(&[(2, true), (3, true)])) },
        Snapshot { record: saved(&[]), ..other_etcd(ClusterView::NotAsked) },
    ];
    for seen in stops {
        assert!(matches!(decided(&seen), Step::Stop(Stop::ForeignData { .. })), "{seen:?}");
    }
}

#[test]
fn an_older_version_of_a_saved_record_restores_nothing() {
    let joined = |n| vec![registered(3, RegistrationPhase::Joined, n, Some(3))];
    let saw =
        |n| vec![Registration { ready_claim: Some(claim(n)), ..registered(3, RegistrationPhase::Waiting, 1, None) }];
    let stop = |n| Step::Stop(Stop::RecordWentBack(LaterTruth::Registration { instance: id(3), claim_id: claim(n) }));
    // The cluster was restored under claim 3 since.
    for record in [saved(&[]), restoring(Some(2), 2, secs(999)), restoring(None, 3, secs(999))] {
        for registrations in [joined(3), saw(3)] {
            let seen = Snapshot { registrations, ..equipped(1, record.clone()) };
            assert_eq!(decided(&seen), stop(3), "{record:?}");
        }
        for registrations in [joined(1), saw(1)] {
            let seen = Snapshot { registrations, ..equipped(1, record.clone()) };
            assert!(!matches!(decided(&seen), Step::Stop(_)), "what it supersedes is explained: {record:?}");
        }
        let seen = Snapshot { hash: Some("sha256:01".into()), ..equipped(1, record.clone()) };
        assert_eq!(decided(&seen), Step::Stop(Stop::RecordWentBack(LaterTruth::Hash)), "another cluster's hash");
        let seen = Snapshot { hash: Some("sha256:00".into()), ..equipped(1, record) };
        assert!(!matches!(decided(&seen), Step::Stop(_)), "its own");
    }
    // A member of before is set aside all the same: it must not serve, whichever of these records is the last.
    for record in [saved(&[]), restoring(Some(2), 2, secs(999))] {
        let seen = Snapshot { registrations: joined(3), local: made(1, 1), data: data_of(1), ..equipped(1, record) };
        assert_eq!(decided(&seen), Step::SetAside { claim_id: claim(1) });
    }
    // Before it was ever made.
    let seen = Snapshot { registrations: joined(1), ..equipped(1, held_by(2, 1, secs(999))) };
    assert_eq!(decided(&seen), stop(1));
}

#[test]
fn an_older_version_of_a_ready_record_lets_nobody_join_what_was_restored_since() {
    let registered = |n, phase| registered(3, phase, n, Some(3));
    let saw = |n| Registration { ready_claim: Some(claim(n)), ..registered(1, RegistrationPhase::Waiting) };
    let list = || ClusterView::Listed(listed(&[(1, true)]));
    let stop = |n| Step::Stop(Stop::RecordWentBack(LaterTruth::Registration { instance: id(3), claim_id: claim(n) }));
    // The record of claim 1 is back, whose only voter has come back, too; the cluster was restored under claim 3 since.
    let back = || found(claim(1), RecordState::Ready(published()), secs(999));
    let locals = [
        (Local::Fresh, Step::Join),
        (half_made(2, 1, Stage::Joining), Step::Join),
        (half_made(2, 2, Stage::Initializing), Step::Wipe(Wipe::Deposed(claim(2)))),
    ];
    for (local, without) in locals {
        let of = |found: &Registration| Snapshot {
            registrations: vec![found.clone()],
            cluster: list(),
            local: local.clone(),
            ..equipped(2, back())
        };
        let later = [registered(3, RegistrationPhase::Joined), registered(3, RegistrationPhase::Leaving), saw(3)];
        for found in &later {
            assert_eq!(decided(&of(found)), stop(3), "{found:?}");
        }
        let explained = [
            registered(1, RegistrationPhase::Joined),
            saw(1),
            registered(3, RegistrationPhase::Joining),
            registered(3, RegistrationPhase::Initializing),
            Registration { retired: true, ..registered(3, RegistrationPhase::Joined) },
        ];
        for found in &explained {
            assert_eq!(decided(&of(found)), without, "{found:?}");
        }
    }
    // The last record knows what came before: a machine of claim 1 that comes back stops nobody.
    for found in [registered(1, RegistrationPhase::Joined), saw(1)] {
        let seen = Snapshot { registrations: vec![found], cluster: list(), ..equipped(2, restored()) };
        assert_eq!(decided(&seen), Step::Join);
    }
}

#[test]
fn voters_of_before_the_restore_are_no_voters_of_the_restored_cluster() {
    let gone = |n| (id(n), Presence::State(Ec2State::Terminated));
    let seen = |registrations| Snapshot {
        cluster: ClusterView::Unknown { why: "w".into() },
        instances: Instances([gone(2)].into()),
        registrations,
        ..equipped(3, restored())
    };
    let joined = |claim| vec![registered(1, RegistrationPhase::Joined, claim, Some(1))];
    let all_gone = Step::Stop(Stop::AllVotersGone { instances: vec![id(2)] });
    assert_eq!(decided(&seen(joined(1))), all_gone, "machine 1 lives, and was set aside");
    assert!(matches!(decided(&seen(joined(3))), Step::Wait(Wait::Cluster { .. })));
}
