//! Tables: what is read of Leases, hostile ones among them, and what follows.

use super::decide::{ElectionStep, ElectionWait, LeaseWrite, Lost, Mine, decide, leader, settled, stepped_down};
use super::lease::{Content, conditional, created, released, renewed, taken};
use super::seen::Seen;
use serde_json::{Value, json};
use std::time::Duration;

const NOW: &str = "2026-01-01T00:00:00.000000Z";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn held(by: &str, renewal: u32) -> Content {
    let (renewed, acquired) = (Some(format!("renewal {renewal}")), Some("then".to_owned()));
    Content { holder: Some(by.to_owned()), renewed, acquired, transitions: 3, seconds: Some(15) }
}

fn me() -> Mine {
    Mine { me: "me".to_owned(), ..Mine::default() }
}

/// Leads by a write that was sent at this second.
fn leading(content: &Content, sent: u64) -> Mine {
    Mine { term: Some(LeaseWrite { content: content.clone(), sent: secs(sent) }), ..me() }
}

/// Looks at these seconds, each answered one second later.
fn looks(contents: &[(u64, Option<Content>)]) -> Seen {
    let mut seen = None;
    for (asked, content) in contents {
        seen = Some(Seen::next(seen.as_ref(), content.clone(), secs(*asked), secs(asked + 1)));
    }
    seen.expect("there is a look")
}

#[test]
fn who_does_not_lead_takes_only_what_has_run_out_on_its_own_clock() {
    let other = || Some(held("other", 1));
    let free = Content { holder: None, ..held("", 1) };
    let brief = Content { seconds: Some(2), ..held("other", 1) };
    let long = Content { seconds: Some(i64::MAX), ..held("other", 1) };
    let negative = Content { seconds: Some(-5), ..held("other", 1) };
    let worn = Content { transitions: i64::from(i32::MAX), ..free.clone() };
    let (wait, take) = (|| ElectionStep::Wait(ElectionWait::Held("other".into())), ElectionStep::Take { number: 4 });
    let rows = [
        ("none", looks(&[(100, None)]), 101, ElectionStep::Create { number: 0 }),
        ("free", looks(&[(100, Some(free.clone()))]), 101, take.clone()),
        ("held", looks(&[(100, other())]), 101, wait()),
        ("held, just not run out", looks(&[(100, other()), (113, other())]), 115, wait()),
        ("run out", looks(&[(100, other()), (113, other())]), 116, take.clone()),
        ("renewed", looks(&[(100, other()), (113, Some(held("other", 2)))]), 116, wait()),
        ("renewed, just not run out", looks(&[(100, other()), (113, Some(held("other", 2)))]), 128, wait()),
        ("a promise of two seconds", looks(&[(100, Some(brief))]), 103, take.clone()),
        ("a promise without an end", looks(&[(100, Some(long))]), 9_000_000, wait()),
        ("a negative promise", looks(&[(100, Some(negative.clone()))]), 115, wait()),
        ("a negative promise, run out", looks(&[(100, Some(negative))]), 116, take),
        ("a worn number", looks(&[(100, Some(worn))]), 200, ElectionStep::Wait(ElectionWait::WornOut)),
        ("deleted while held", looks(&[(100, other()), (102, None)]), 115, ElectionStep::Wait(ElectionWait::Deleted)),
        (
            "deleted and seen so twice",
            looks(&[(100, other()), (102, None), (104, None)]),
            115,
            ElectionStep::Wait(ElectionWait::Deleted),
        ),
        (
            "deleted, and its holder's time is over",
            looks(&[(100, other()), (102, None)]),
            116,
            ElectionStep::Create { number: 4 },
        ),
        ("deleted while free", looks(&[(100, Some(free)), (102, None)]), 103, ElectionStep::Create { number: 4 }),
        (
            "in my name, and not by me",
            looks(&[(100, Some(held("me", 1)))]),
            115,
            ElectionStep::Wait(ElectionWait::HeldUnderMyName("me".into())),
        ),
        ("in my name, run out", looks(&[(100, Some(held("me", 1)))]), 116, ElectionStep::Take { number: 4 }),
    ];
    for (what, seen, now, expected) in rows {
        assert_eq!(decide(&settled(me(), &seen), &seen, secs(now)), expected, "{what}");
    }
    let barred = Mine { barred: true, ..me() };
    let seen = looks(&[(100, None)]);
    assert_eq!(decide(&barred, &seen, secs(200)), ElectionStep::Wait(ElectionWait::Barred));
}

#[test]
fn who_leads_renews_its_own_write_and_gives_up_for_any_other() {
    let mine = held("me", 1);
    let stranger = held("me", 7);
    let rows = [
        ("mine", Some(mine.clone()), 109, ElectionStep::Renew),
        ("mine, late", Some(mine.clone()), 110, ElectionStep::StepDown(Lost::Overdue)),
        ("another's", Some(held("other", 1)), 101, ElectionStep::StepDown(Lost::Taken("other".into()))),
        ("my name, another's write", Some(stranger), 101, ElectionStep::StepDown(Lost::Taken("me".into()))),
        (
            "nobody's",
            Some(Content { holder: None, ..mine.clone() }),
            101,
            ElectionStep::StepDown(Lost::Taken(String::new())),
        ),
        ("deleted", None, 101, ElectionStep::StepDown(Lost::Deleted)),
    ];
    for (what, content, now, expected) in rows {
        let seen = looks(&[(100, content)]);
        assert_eq!(decide(&settled(leading(&mine, 100), &seen), &seen, secs(now)), expected, "{what}");
    }
}

#[test]
fn a_write_without_an_answer_counts_from_its_sending_once_it_is_read() {
    let (before, after) = (held("me", 1), held("me", 2));
    let unknown = vec![LeaseWrite { content: after.clone(), sent: secs(104) }];
    let mine = Mine { unknown, ..leading(&before, 100) };

    let landed = looks(&[(106, Some(after.clone()))]);
    let now = settled(mine.clone(), &landed);
    assert_eq!(now.term.as_ref().map(|term| term.sent), Some(secs(104)));
    assert_eq!(decide(&now, &landed, secs(113)), ElectionStep::Renew);
    assert_eq!(decide(&now, &landed, secs(114)), ElectionStep::StepDown(Lost::Overdue));

    let not_landed = looks(&[(106, Some(before))]);
    let now = settled(mine.clone(), &not_landed);
    assert_eq!(decide(&now, &not_landed, secs(109)), ElectionStep::Renew);
    assert_eq!(decide(&now, &not_landed, secs(110)), ElectionStep::StepDown(Lost::Overdue));

    // Who has given up is not brought back by it.
    let now = settled(stepped_down(mine), &landed);
    assert_eq!(decide(&now, &landed, secs(113)), ElectionStep::Wait(ElectionWait::HeldUnderMyName("me".into())));

    // A Lease that was taken without an answer is led from the sending, and not at all when that is long ago.
    let acquiring = Mine { unknown: vec![LeaseWrite { content: after.clone(), sent: secs(100) }], ..me() };
    let soon = looks(&[(108, Some(after.clone()))]);
    assert_eq!(decide(&settled(acquiring.clone(), &soon), &soon, secs(109)), ElectionStep::Renew);
    let late = looks(&[(112, Some(after))]);
    assert_eq!(decide(&settled(acquiring, &late), &late, secs(113)), ElectionStep::StepDown(Lost::Overdue));
}

#[test]
fn only_who_was_seen_to_renew_is_named_and_never_past_its_lease() {
    let (one, two) = (|| Some(held("other", 1)), || Some(held("other", 2)));
    let rows = [
        ("the first look", looks(&[(100, one())]), 101, None),
        ("the same twice", looks(&[(100, one()), (102, one())]), 103, None),
        ("renewed", looks(&[(100, one()), (102, two())]), 103, Some("other")),
        ("renewed, and looked at till its end", looks(&[(100, one()), (102, two()), (113, two())]), 114, Some("other")),
        ("renewed after the first look at the earliest", looks(&[(100, one()), (102, two()), (113, two())]), 115, None),
        ("nobody looks any more", looks(&[(100, one()), (102, two())]), 115, None),
        ("free", looks(&[(100, one()), (102, Some(Content::default()))]), 103, None),
        ("deleted", looks(&[(100, one()), (102, None)]), 103, None),
        ("my name, but not me", looks(&[(100, one()), (102, Some(held("me", 2)))]), 103, None),
    ];
    for (what, seen, now, expected) in rows {
        assert_eq!(leader(&me(), Some(&seen), secs(now)), expected, "{what}");
    }
    let (mine, other) = (leading(&held("me", 1), 100), looks(&[(90, one()), (92, two())]));
    assert_eq!(leader(&mine, Some(&other), secs(114)), Some("me"));
    assert_eq!(leader(&mine, Some(&other), secs(115)), None);
    assert_eq!(leader(&me(), None, secs(1)), None);
}

#[test]
fn hostile_leases_are_read_without_a_fault() {
    let nobody = Content::default();
    let rows = [
        (json!(null), nobody.clone()),
        (json!([]), nobody.clone()),
        (json!({"spec": "x"}), nobody.clone()),
        (json!({"spec": {"holderIdentity": "", "leaseTransitions": -7}}), nobody.clone()),
        (json!({"spec": {"holderIdentity": 5, "leaseTransitions": 1.5, "leaseDurationSeconds": "15"}}), nobody.clone()),
        (json!({"spec": {"leaseTransitions": 1e300, "renewTime": {}}}), nobody.clone()),
        (json!({"spec": {"leaseDurationSeconds": -1}}), Content { seconds: Some(-1), ..nobody }),
    ];
    for (lease, expected) in rows {
        let read = Content::of(&lease);
        assert_eq!(read, expected, "{lease}");
        assert_eq!(read.promised(), secs(15), "{lease}");
    }
    for lease in [
        json!(null),
        json!({}),
        json!({"metadata": {"resourceVersion": ""}}),
        json!({"metadata": {"resourceVersion": 5}}),
    ] {
        assert!(conditional(&lease).is_err(), "{lease}");
    }
    assert!(conditional(&json!({"metadata": {"resourceVersion": "5"}})).is_ok());
}

#[test]
fn writes_keep_what_they_do_not_know_and_are_read_back_as_meant() {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "extra": 1,
        "metadata": {"name": "x", "resourceVersion": "7", "labels": {"a": "b"}},
        "spec": {"holderIdentity": "other", "strategy": "OldestEmulationVersion", "leaseTransitions": 3},
    });
    let by_me = taken(&lease, "me", 4, NOW);
    for (what, written) in
        [("taken", by_me.clone()), ("renewed", renewed(&by_me, "later")), ("released", released(&by_me, "later"))]
    {
        assert_eq!(written["spec"]["strategy"], "OldestEmulationVersion", "{what}");
        assert_eq!((&written["metadata"], &written["extra"]), (&lease["metadata"], &json!(1)), "{what}");
    }
    let time = |text: &str| Some(text.to_owned());
    let mine = Content {
        holder: Some("me".into()),
        renewed: time(NOW),
        acquired: time(NOW),
        transitions: 4,
        seconds: Some(15),
    };
    assert_eq!(Content::of(&by_me), mine);
    assert_eq!(Content::of(&renewed(&by_me, "later")), Content { renewed: time("later"), ..mine.clone() });
    let free = Content::of(&released(&by_me, "later"));
    assert_eq!((free.holder, free.transitions, free.seconds), (None, 4, Some(1)));
    assert_eq!(Content::of(&created("x", "me", 4, NOW)), mine);
    assert_eq!(Content::of(&taken(&json!({"spec": "x"}), "me", 4, NOW)), mine);
    assert_eq!(created("x", "me", 0, NOW)["metadata"], json!({"name": "x"}) as Value);
}
