use super::*;
use crate::model::machine::ids::InstanceId;
use crate::model::version::Release;

fn v(text: &str) -> Release {
    Release::parse(text).unwrap()
}

fn machines(versions: &[&str]) -> Vec<MachineVersions> {
    let seen = |(at, version): (usize, &&str)| MachineVersions {
        name: format!("i-{at}"),
        api_server: Release::parse(version),
        kubelet: Release::parse(version),
    };
    versions.iter().enumerate().map(seen).collect()
}

fn outcome(from: &str, to: &str, error: Option<&str>) -> RestOutcome {
    let by = (InstanceId::parse("i-00000001").unwrap(), "2026-01-02T03:04:05Z".to_owned());
    RestOutcome::of_attempt((v(from), v(to)), None, Vec::new(), error, by)
}

fn versions(cluster: &str, outcome: Option<RestOutcome>) -> ClusterVersions {
    let (setting, made) = (KubernetesUpgrade::ByImage, v("1.36.1"));
    ClusterVersions { setting, cluster: v(cluster), made, outcome, kube_proxy: None }
}

#[test]
fn an_upgrade_is_told_from_its_first_machine_to_the_add_ons() {
    let failed = || Some(outcome("1.36.1", "1.37.0", Some("no")));
    let done = || Some(outcome("1.36.1", "1.37.0", None));
    // (configuration, outcome, API servers, the sentence, what is left)
    type Row<'a> = (&'a str, Option<RestOutcome>, &'a [&'a str], Option<&'a str>, &'a [&'a str]);
    let rows: [Row<'_>; 12] = [
        ("1.36.1", None, &["1.36.1", "1.36.1"], None, &[]),
        (
            "1.37.0",
            None,
            &["1.36.1", "1.36.1"],
            Some("from v1.36.1 to v1.37.0: 0 of 2 API servers are new"),
            &["machines to replace by ones of v1.37.0: i-0 (v1.36.1), i-1 (v1.36.1)", "add-ons", "then the workers"],
        ),
        (
            "1.37.0",
            None,
            &["1.37.0", "1.36.1", "-"],
            Some("from v1.36.1 to v1.37.0: 1 of 3 API servers is new"),
            &[
                "machines to replace by ones of v1.37.0: i-1 (v1.36.1)",
                "API servers that do not answer: i-2",
                "add-ons",
                "then",
            ],
        ),
        (
            "1.37.0",
            None,
            &["1.37.0", "1.37.0"],
            Some("from v1.36.1 to v1.37.0: all API servers are new, add-ons and the rest are not"),
            &["add-ons, kubelet's configuration and RBAC, which the leader brings to v1.37.0 by itself", "then"],
        ),
        // Who is silent may be of any version, and so may whoever is not known.
        (
            "1.37.0",
            None,
            &["1.37.0", "-"],
            Some("from v1.36.1 to v1.37.0: 1 of 2 API servers is new"),
            &["API servers that do not answer: i-1", "add-ons", "then"],
        ),
        (
            "1.37.0",
            failed(),
            &[],
            Some("from v1.36.1 to v1.37.0: nobody has told which API servers there are"),
            &["add-ons", "then"],
        ),
        (
            "1.37.0",
            failed(),
            &["1.37.0"],
            Some("from v1.36.1 to v1.37.0: all API servers are new"),
            &["add-ons, kubelet's configuration and RBAC, which the leader tries again (failed 1 times): no", "then"],
        ),
        (
            "1.37.0",
            done(),
            &["1.37.0", "1.37.0"],
            Some("from v1.36.1 to v1.37.0: done since 2026-01-02T03:04:05Z"),
            &[],
        ),
        // One that is silent afterwards is no upgrade.
        ("1.37.0", done(), &["1.37.0", "-"], Some("from v1.36.1 to v1.37.0: done"), &[]),
        // The next one.
        (
            "1.37.2",
            done(),
            &["1.37.0", "1.37.2"],
            Some("from v1.37.0 to v1.37.2: 1 of 2 API servers is new"),
            &["machines to replace by ones of v1.37.2: i-0 (v1.37.0)", "add-ons", "then"],
        ),
        // Cut off by hand.
        (
            "1.36.1",
            None,
            &["1.37.0", "1.36.1"],
            Some("from v1.36.1 to v1.36.1: 1 of 2"),
            &[
                "newer than the cluster's configuration, as after an upgrade by hand that was cut off: i-0 (v1.37.0)",
                "then",
            ],
        ),
        // Taken back before anybody had joined.
        ("1.36.1", None, &["1.36.1", "-"], None, &[]),
    ];
    for (cluster, outcome, seen, sentence, left) in rows {
        let progress = upgrade_progress(&versions(cluster, outcome), machines(seen));
        let told = progress.as_ref().map(ToString::to_string);
        match (&told, sentence) {
            (None, None) => {}
            (Some(told), Some(sentence)) => assert!(told.starts_with(sentence), "{told} is not: {sentence}"),
            _ => panic!("{cluster} {seen:?}: {told:?} is not: {sentence:?}"),
        }
        let found = progress.map(|progress| progress.left).unwrap_or_default();
        assert_eq!(found.len(), left.len(), "{cluster} {seen:?}: {found:?}");
        for (found, expected) in found.iter().zip(left) {
            assert!(found.starts_with(expected), "{found} is not: {expected}");
        }
    }
}

#[test]
fn of_an_upgrade_by_hand_the_machines_alone_are_told() {
    let by_hand = ClusterVersions { setting: KubernetesUpgrade::Off, ..versions("1.37.0", None) };
    let progress = upgrade_progress(&by_hand, machines(&["1.37.0", "1.36.1"])).unwrap();
    assert_eq!(progress.left.len(), 2, "{:?}", progress.left);
    assert_eq!(upgrade_progress(&by_hand, machines(&["1.37.0", "1.37.0"])), None);
    // Where the add-ons were begun with the setting on, they stay to be told.
    let failed = Some(outcome("1.36.1", "1.37.0", Some("no")));
    let begun = ClusterVersions { setting: KubernetesUpgrade::Off, ..versions("1.37.0", failed) };
    let progress = upgrade_progress(&begun, machines(&["1.37.0"])).unwrap();
    assert_eq!(progress.failure().and_then(|rest| rest.error.as_deref()), Some("no"));
}

#[test]
fn what_has_failed_is_a_failure_only_once_every_api_server_is_new() {
    let failed = || Some(outcome("1.36.1", "1.37.0", Some("no")));
    for (seen, fails) in [(&["1.37.0", "1.37.0"], true), (&["1.37.0", "1.36.1"], false)] {
        let progress = upgrade_progress(&versions("1.37.0", failed()), machines(seen)).unwrap();
        assert_eq!(progress.failure().is_some(), fails, "{seen:?}");
    }
}
