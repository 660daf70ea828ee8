use super::*;
use crate::model::machine::ids::InstanceId;
use crate::model::version::Release;

fn v(text: &str) -> Release {
    Release::parse(text).unwrap()
}

fn look(to: &str, cluster: &str, servers: &[&str]) -> WayLook {
    let machine = |(at, version): (usize, &&str)| {
        let api_server = Release::parse(version);
        (MachineVersions { name: format!("i-{at}"), api_server, kubelet: None }, Some(v("3.6.8")))
    };
    WayLook {
        image: ImageVersions { kubeadm: v(to), kubelet: Some(v(to)), wanted: v(to) },
        etcd: EtcdLook::Local(Some(v("3.6.8"))),
        versions: ClusterVersions {
            setting: KubernetesUpgrade::ByImage,
            cluster: v(cluster),
            made: v("1.36.1"),
            outcome: None,
            kube_proxy: None,
        },
        machines: servers.iter().enumerate().map(machine).collect(),
        registered: Vec::new(),
    }
}

#[test]
fn the_way_tells_what_is_done_and_what_would_be_refused() {
    let refused = |way: &UpgradeWay| match &way.obstacle {
        None => "nothing".to_owned(),
        Some(WayObstacle::Refused(why)) => format!("refused: {why}"),
        Some(WayObstacle::Waits(what)) => format!("waits: {what}"),
    };
    // (to, configuration, API servers, steps that are done, what is in the way)
    let rows: [(&str, &str, &[&str], usize, &str); 9] = [
        ("1.37.0", "1.36.1", &["1.36.1", "1.36.1", "1.36.1"], 0, "nothing"),
        ("1.36.2", "1.36.1", &["1.36.1"], 0, "nothing"),
        ("1.37.0", "1.36.1", &["1.36.1", "-"], 0, "waits: every API server to answer"),
        ("1.38.0", "1.36.1", &["1.36.1"], 0, "refused: this machine's image is of Kubernetes v1.38.0"),
        ("1.35.0", "1.36.1", &["1.36.1"], 0, "refused: this machine's image is of Kubernetes v1.35.0"),
        // Raised, and nobody of it has joined.
        ("1.37.0", "1.37.0", &["1.36.1", "1.36.1"], 1, "nothing"),
        ("1.37.0", "1.37.0", &["1.37.0", "1.36.1"], 3, "nothing"),
        ("1.37.0", "1.37.0", &["1.37.0", "1.37.0"], 4, "nothing"),
        ("1.38.0", "1.37.0", &["1.37.0", "1.36.1"], 0, "waits: an earlier upgrade to come to its end"),
    ];
    for (to, cluster, servers, done, expected) in rows {
        let way = upgrade_way(&look(to, cluster, servers));
        let found = way.steps.iter().filter(|step| step.done).count();
        let all = if expected.starts_with("refused") { 0 } else { 6 };
        assert_eq!((found, way.steps.len()), (done, all), "{to} {cluster} {servers:?}: {way}");
        assert!(refused(&way).starts_with(expected), "{} is not: {expected}", refused(&way));
    }
    let older = upgrade_way(&look("1.35.0", "1.36.1", &["1.36.1"])).to_string();
    assert!(older.contains("There is no way to v1.35.0 now.") && !older.contains("raises the version"), "{older}");
    let mut beside = look("1.37.0", "1.36.1", &["1.36.1"]);
    beside.registered =
        vec![MachineSeen { name: "i-9".into(), kubeadm: Some(v("1.36.1")), is_joining: true, gone_in: None }];
    assert!(refused(&upgrade_way(&beside)).ends_with("before the cluster's version is raised: i-9"));
    let mut ended = look("1.37.0", "1.37.0", &["1.37.0"]);
    let by = (InstanceId::parse("i-00000001").unwrap(), String::new());
    ended.versions.outcome = Some(RestOutcome::of_attempt((v("1.36.1"), v("1.37.0")), None, Vec::new(), None, by));
    assert!(upgrade_way(&ended).steps[4].done);
}

#[test]
fn the_page_numbers_the_steps_and_names_who_is_left() {
    let page = upgrade_way(&look("1.37.0", "1.37.0", &["1.37.0", "1.36.1", "-"])).to_string();
    for line in [
        "The cluster's configuration names v1.37.0. The way to v1.37.0:",
        "1. (done) you make an image with kubeadm and kubelet of v1.37.0",
        "3. (done) the first machine of it raises the version in kubeadm-config from v1.36.1 to v1.37.0 once",
        "4. the refresh replaces the other machines, one after the other: i-1 (v1.36.1), i-2 (does not answer)",
        "5. the leader among the agents brings kubelet's configuration, the RBAC of bootstrap tokens, CoreDNS, kube-proxy to v1.37.0",
        "6. you give the image to the groups of workers",
        "Nothing is in the way of the next machine of that image.",
    ] {
        assert!(page.lines().any(|found| found.starts_with(line)), "{line}\n{page}");
    }
}
