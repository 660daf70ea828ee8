use super::*;
use crate::model::machine::ids::InstanceId;
use crate::model::version::Release;
use std::time::Duration;

fn v(text: &str) -> Release {
    Release::parse(text).unwrap()
}

fn servers(versions: &[&str]) -> Vec<ApiServerSeen> {
    let seen = |(at, version): (usize, &&str)| ApiServerSeen {
        name: format!("n{at}"),
        version: Release::parse(version),
        etcd: None,
    };
    versions.iter().enumerate().map(seen).collect()
}

fn outcome(from: &str, to: &str, error: Option<&str>, before: Option<&RestOutcome>) -> RestOutcome {
    let by = (InstanceId::parse("i-00000001").unwrap(), "2026-01-02T03:04:05Z".to_owned());
    let step = |step, left_out| StepOutcome { step, left_out, text: "as\nit was".into() };
    let steps = vec![step(RestStep::Coredns, false), step(RestStep::KubeProxy, true)];
    RestOutcome::of_attempt((v(from), v(to)), before, steps, error, by)
}

#[test]
fn the_rest_is_due_once_every_api_server_is_of_the_new_version() {
    use KubernetesUpgrade::{ByImage, Off};
    // (setting, kubeadm here, configuration, brought to before, API servers, what follows)
    type Row<'a> = (KubernetesUpgrade, &'a str, &'a str, &'a str, &'a [&'a str], &'a str);
    let rows: [Row<'_>; 16] = [
        (ByImage, "1.37.0", "1.37.0", "1.36.1", &["1.37.0", "1.37.0", "1.37.0"], "due"),
        (ByImage, "1.36.3", "1.36.3", "1.36.1", &["1.36.3"], "due"),
        (ByImage, "1.38.0", "1.38.0", "1.36.1", &["1.38.0"], "due"),
        (ByImage, "1.37.0", "1.37.0", "1.37.0", &["1.37.0"], "nothing"),
        (Off, "1.37.0", "1.37.0", "1.36.1", &["1.37.0"], "nothing"),
        // Taken back before a machine of the new version had joined.
        (ByImage, "1.36.1", "1.36.1", "1.36.1", &["1.36.1"], "nothing"),
        (ByImage, "1.36.1", "1.36.1", "1.37.0", &["1.36.1"], "nothing"),
        (ByImage, "1.37.0", "1.37.0", "1.36.1", &["1.37.0", "1.36.1"], "others: n1 (v1.36.1)"),
        (ByImage, "1.37.0", "1.37.0", "1.36.1", &["1.37.0", "1.37.2"], "others: n1 (v1.37.2)"),
        (ByImage, "1.37.0", "1.37.0", "1.36.1", &["1.37.0", "-"], "silent: n1"),
        // The version that is known is told first.
        (ByImage, "1.37.0", "1.37.0", "1.36.1", &["-", "1.36.1"], "others: n1 (v1.36.1)"),
        (ByImage, "1.36.1", "1.37.0", "1.36.1", &["1.37.0"], "that of this leader is v1.36.1"),
        // Packages were patched where they stand, or documents pin an earlier patch version.
        (ByImage, "1.37.1", "1.37.0", "1.36.1", &["1.37.0"], "due"),
        (ByImage, "1.37.0", "1.37.1", "1.36.1", &["1.37.1"], "that of this leader is v1.37.0"),
        (ByImage, "1.38.0", "1.37.0", "1.36.1", &["1.37.0"], "that of this leader is v1.38.0"),
        (ByImage, "1.37.0", "1.37.0", "1.36.1", &[], "until an API server is known"),
    ];
    for (setting, kubeadm, cluster, before, seen, expected) in rows {
        let look =
            RestLook { setting, kubeadm: v(kubeadm), cluster: v(cluster), before: v(before), servers: servers(seen) };
        match rest_verdict(&look) {
            RestVerdict::Nothing => assert_eq!("nothing", expected, "{look:?}"),
            RestVerdict::Due { from, to } => {
                assert_eq!((from, to, "due"), (v(before), v(cluster), expected), "{look:?}");
            }
            RestVerdict::Wait(wait) => assert!(wait.to_string().ends_with(expected), "{wait} is not: {expected}"),
        }
    }
}

#[test]
fn the_version_of_before_is_what_was_brought_to_its_end_and_else_what_the_cluster_was_made_with() {
    let done = outcome("1.35.1", "1.36.1", None, None);
    let failed = outcome("1.35.1", "1.36.1", Some("no"), None);
    let rows = [
        (None, None, "1.36.1"),
        (None, Some("1.36.1"), "1.36.1"),
        // Restored by a newer image, whose record names that version.
        (None, Some("1.35.1"), "1.35.1"),
        // Upgraded by hand since.
        (None, Some("1.37.0"), "1.37.0"),
        (Some(&done), Some("1.35.1"), "1.36.1"),
        (Some(&failed), Some("1.36.1"), "1.35.1"),
    ];
    for (outcome, kube_proxy, expected) in rows {
        assert_eq!(rest_before(outcome, v("1.36.1"), kube_proxy.map(v)), v(expected), "{outcome:?} {kube_proxy:?}");
    }
}

#[test]
fn what_came_of_it_is_kept_read_again_and_counted() {
    let failed = outcome("1.35.1", "1.36.1", Some("no\u{1b}[2J"), None);
    assert_eq!(RestOutcome::parse(&failed.to_text()), Ok(failed.clone()));
    assert_eq!((failed.done, failed.attempts, failed.error.as_deref()), (false, 1, Some("no\\u{1b}[2J")));
    assert!(failed.to_string().contains("has failed (attempt 1), and is tried again: no"), "{failed}");
    let done = outcome("1.35.1", "1.36.1", None, Some(&failed));
    assert_eq!((done.done, done.attempts), (true, 2));
    assert_eq!(
        done.to_string(),
        "the cluster is upgraded from v1.35.1 to v1.36.1: CoreDNS: as it was; kube-proxy: as it was"
    );
    assert_eq!(outcome("1.36.1", "1.37.0", None, Some(&done)).attempts, 1, "of another upgrade");
    let long = outcome("1.35.1", "1.36.1", Some(&"x".repeat(100_000)), None).to_text();
    assert!(RestOutcome::parse(&long).is_ok());
    let other = done.to_text().replace("\"schema\": 1", "\"schema\": 2");
    let padded = done.to_text() + &" ".repeat(20_000);
    for wrong in ["", "{}", "[1]", &other, &padded, &done.to_text().replace("v1.36.1", "next")] {
        assert!(RestOutcome::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_fails_is_tried_again_later_and_later() {
    let pauses = [(0, 30), (1, 30), (2, 60), (5, 480), (6, 900), (40, 900), (u32::MAX, 900)];
    for (attempts, seconds) in pauses {
        assert_eq!(rest_pause(attempts), Duration::from_secs(seconds), "{attempts}");
    }
}

#[test]
fn no_step_is_a_whole_upgrade_or_writes_the_clusters_version() {
    let phases: Vec<String> = RestStep::ALL.iter().map(|step| step.phase().join(" ")).collect();
    assert_eq!(phases, ["upload-config kubelet", "bootstrap-token", "addon coredns", "addon kube-proxy"]);
}
