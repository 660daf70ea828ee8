use super::verdict::FIRST_BESIDE_3_6;
use super::*;
use crate::model::version::Release;
use std::time::Duration;

fn v(text: &str) -> Release {
    Release::parse(text).unwrap()
}

fn image(version: &str) -> ImageVersions {
    ImageVersions { kubeadm: v(version), kubelet: Some(v(version)), wanted: v(version) }
}

/// Servers of these versions, called `a`, `b`, `c`; a dash is silent.
fn servers(versions: &[&str], etcd: &str) -> Vec<ApiServerSeen> {
    let names = ["a", "b", "c"].iter();
    let seen = names.zip(versions).map(|(name, version)| ApiServerSeen {
        name: (*name).to_owned(),
        version: Release::parse(version),
        etcd: Some(v(etcd)),
    });
    seen.collect()
}

/// A machine of this image beside a cluster of three of that version.
fn look(here: &str, cluster: &str) -> UpgradeLook {
    UpgradeLook {
        setting: KubernetesUpgrade::ByImage,
        here: image(here),
        etcd: EtcdLook::Local(Some(v("3.6.8"))),
        cluster: v(cluster),
        servers: servers(&[cluster, cluster, cluster], "3.6.8"),
        machines: Vec::new(),
    }
}

fn raise(from: &str, to: &str) -> JoinVerdict {
    JoinVerdict::Raise { from: v(from), to: v(to) }
}

fn refusal(look: &UpgradeLook) -> Option<&'static str> {
    match join_verdict(look) {
        JoinVerdict::Refuse(refusal) => Some(refusal.code()),
        JoinVerdict::Join | JoinVerdict::Raise { .. } | JoinVerdict::Wait(_) => None,
    }
}

fn wait(look: &UpgradeLook) -> Option<String> {
    match join_verdict(look) {
        JoinVerdict::Wait(wait) => Some(wait.to_string()),
        JoinVerdict::Join | JoinVerdict::Raise { .. } | JoinVerdict::Refuse(_) => None,
    }
}

#[test]
fn a_newer_image_raises_the_version_by_one_minor_or_any_patch_and_an_older_one_never_joins() {
    let refused = |here, cluster| (here, cluster, None);
    let rows = [
        ("1.36.1", "1.36.1", Some(JoinVerdict::Join)),
        ("1.36.2", "1.36.1", Some(raise("1.36.1", "1.36.2"))),
        ("1.36.9", "1.36.1", Some(raise("1.36.1", "1.36.9"))),
        ("1.37.0", "1.36.1", Some(raise("1.36.1", "1.37.0"))),
        // A patch of before is an older image as well.
        refused("1.36.0", "1.36.1"),
        refused("1.35.9", "1.36.1"),
        refused("1.38.0", "1.36.1"),
        refused("2.36.1", "1.36.1"),
        refused("2.0.0", "1.36.1"),
        refused("0.36.1", "1.36.1"),
    ];
    for (here, cluster, expected) in rows {
        let found = join_verdict(&look(here, cluster));
        assert!(matches!(found, JoinVerdict::Refuse(_)) == expected.is_none(), "{here} {cluster}: {found:?}");
        assert!(expected.is_none_or(|expected| expected == found), "{here} {cluster}: {found:?}");
    }
    assert_eq!(refusal(&look("1.38.0", "1.36.1")), Some("two-minors"));
    assert_eq!(refusal(&look("1.35.9", "1.36.1")), Some("older"));
    assert_eq!(refusal(&look("1.36.0", "1.36.1")), Some("older"));
}

#[test]
fn without_the_setting_only_the_minor_version_counts() {
    for (here, cluster, joins) in [
        ("1.36.1", "1.36.1", true),
        ("1.36.0", "1.36.1", true),
        ("1.36.2", "1.36.1", true),
        ("1.37.0", "1.36.1", false),
        ("1.35.9", "1.36.1", false),
        ("2.36.1", "1.36.1", false),
    ] {
        // Whatever else is seen, or is not.
        let mut off = UpgradeLook { setting: KubernetesUpgrade::Off, ..look(here, cluster) };
        off.servers = servers(&["-", "1.30.0"], "3.4.0");
        off.here.kubelet = Some(v("1.30.0"));
        assert_eq!(join_verdict(&off) == JoinVerdict::Join, joins, "{here} {cluster}");
        assert!(joins || refusal(&off) == Some("other-minor"), "{here} {cluster}");
        // No kubelet may be newer than its API server.
        for (kubelet, fits) in [(None, true), (Some("1.36.9"), true), (Some("1.37.0"), false), (Some("2.0.0"), false)] {
            off.here.kubelet = kubelet.map(v);
            let expected = if !joins { Some("other-minor") } else { Some("kubelet").filter(|_| !fits) };
            assert_eq!(refusal(&off), expected, "{here} {cluster} {kubelet:?}");
        }
    }
}

#[test]
fn a_version_is_raised_only_when_everybody_answers_and_is_of_one_of_the_two() {
    let rows = [
        (&["1.36.1", "1.36.1", "1.36.1"][..], None),
        // What a patch version is does not matter to what may run beside what.
        (&["1.36.0", "1.36.1", "1.36.9"], None),
        // The first of the new ones runs already; its registration says so, not the configuration.
        (&["1.36.1", "1.37.0", "1.36.1"], None),
        (&["1.36.1", "-", "1.36.1"], Some("silent: b")),
        (&["-", "1.36.1", "-"], Some("silent: a, c")),
        (&["1.36.1", "1.35.4", "1.36.1"], Some("there are other API servers still: b (v1.35.4)")),
        (&["1.38.0", "1.36.1"], Some("there are other API servers still: a (v1.38.0)")),
        // Who is too old is told before who is silent.
        (&["-", "1.35.4"], Some("b (v1.35.4)")),
        (&[], Some("an API server of the cluster to be known")),
    ];
    for (versions, expected) in rows {
        let look = UpgradeLook { servers: servers(versions, "3.6.8"), ..look("1.37.0", "1.36.1") };
        let told = wait(&look);
        match expected {
            None => assert_eq!(join_verdict(&look), raise("1.36.1", "1.37.0"), "{versions:?}"),
            Some(text) => assert!(told.as_ref().is_some_and(|told| told.contains(text)), "{versions:?} {told:?}"),
        }
    }
}

#[test]
fn a_join_goes_on_in_the_middle_of_an_upgrade_and_never_beside_an_api_server_two_minors_away() {
    let rows = [
        (&["1.36.1", "1.36.1", "1.37.0"][..], None),
        (&["1.36.1", "-", "1.37.0"], None),
        (&["1.38.0", "1.37.0"], None),
        (&["1.35.1", "1.37.0"], Some("a (v1.35.1)")),
        (&["1.37.0", "1.39.0"], Some("b (v1.39.0)")),
        (&["2.37.0"], Some("a (v2.37.0)")),
    ];
    for (versions, expected) in rows {
        let look = UpgradeLook { servers: servers(versions, "3.6.8"), ..look("1.37.0", "1.37.0") };
        let told = wait(&look);
        assert_eq!(join_verdict(&look) == JoinVerdict::Join, expected.is_none(), "{versions:?}");
        assert!(expected.is_none_or(|text| told.as_ref().is_some_and(|told| told.contains(text))), "{told:?}");
    }
}

#[test]
fn nobody_raises_beside_a_machine_of_another_version_that_joins() {
    let machine = |kubeadm: Option<&str>, is_joining| MachineSeen {
        name: "i-1".into(),
        kubeadm: kubeadm.map(v),
        is_joining,
        gone_in: None,
    };
    let rows = [
        (machine(Some("1.36.1"), true), true),
        (machine(Some("1.37.1"), true), true),
        (machine(None, true), true),
        (machine(Some("1.37.0"), true), false),
        (machine(Some("1.36.1"), false), false),
    ];
    for (seen, waits) in rows {
        let raising = UpgradeLook { machines: vec![seen.clone()], ..look("1.37.0", "1.36.1") };
        assert_eq!(
            wait(&raising).is_some_and(|told| told.contains("to have joined") && told.ends_with("i-1")),
            waits,
            "{seen:?}"
        );
        assert!(waits || join_verdict(&raising) == raise("1.36.1", "1.37.0"), "{seen:?}");
        let joining = UpgradeLook { machines: vec![seen.clone()], ..look("1.37.0", "1.37.0") };
        assert_eq!(join_verdict(&joining), JoinVerdict::Join, "{seen:?}");
    }
}

#[test]
fn an_image_whose_programs_do_not_belong_together_is_refused() {
    // (kubeadm, kubelet, documents, joins 1.36.1, raises it)
    let rows = [
        ("1.36.1", Some("1.36.1"), "1.36.1", None),
        // Older documents of the same minor version keep the cluster where it is.
        ("1.36.3", Some("1.36.3"), "1.36.1", None),
        ("1.36.3", Some("1.36.1"), "1.36.1", None),
        ("1.36.1", Some("1.37.0"), "1.36.1", Some("kubelet")),
        ("1.36.1", Some("1.35.0"), "1.36.1", Some("kubelet")),
        ("1.36.3", Some("1.36.1"), "1.36.3", Some("kubelet")),
        ("1.37.0", Some("1.36.1"), "1.37.0", Some("kubelet")),
        ("1.37.0", Some("1.37.0"), "1.36.1", Some("documents")),
        ("1.36.1", Some("1.36.1"), "1.37.0", Some("documents")),
        // Documents of another patch version than kubeadm's raise nothing, and whoever is newer is not told that it is older.
        ("1.36.1", Some("1.36.1"), "1.36.0", Some("documents")),
        ("1.36.5", Some("1.36.5"), "1.36.0", Some("documents")),
        ("1.36.5", Some("1.36.5"), "1.36.3", Some("documents")),
        ("1.37.1", Some("1.37.1"), "1.37.0", Some("documents")),
        ("1.36.0", Some("1.36.0"), "1.36.0", Some("older")),
        ("1.36.0", Some("1.36.0"), "1.36.1", None),
        ("1.36.0", Some("1.36.0"), "1.36.3", Some("documents")),
        // The numbers of a version alone may be no version: they are not written, and machines join as the cluster is.
        ("1.37.0-rc.1", Some("1.37.0-rc.1"), "1.37.0-rc.1", Some("not-whole")),
        ("1.36.3-acme.2", Some("1.36.3"), "1.36.3-acme.2", Some("not-whole")),
        ("1.37.0", Some("1.37.0"), "1.37.0-rc.1", Some("not-whole")),
        ("1.36.1-acme.2", Some("1.36.1"), "1.36.1-acme.2", None),
    ];
    for (kubeadm, kubelet, documents, expected) in rows {
        let here = ImageVersions { kubeadm: v(kubeadm), kubelet: kubelet.map(v), wanted: v(documents) };
        let look = UpgradeLook { here, ..look("1.36.1", "1.36.1") };
        assert_eq!(refusal(&look), expected, "{kubeadm} {kubelet:?} {documents}");
    }
    let vendors = |here| UpgradeLook { cluster: v("1.36.3-acme.2"), here: image(here), ..look(here, "1.36.3") };
    assert_eq!(join_verdict(&vendors("1.36.3-acme.2")), JoinVerdict::Join);
    assert_eq!(refusal(&vendors("1.37.0")), Some("not-whole"));
    let mute = |cluster| {
        let here = ImageVersions { kubelet: None, ..image("1.36.2") };
        UpgradeLook { here, ..look("1.36.2", cluster) }
    };
    assert_eq!(join_verdict(&mute("1.36.2")), JoinVerdict::Join);
    assert!(wait(&mute("1.36.1")).is_some_and(|told| told.starts_with("kubelet of this machine")));
}

#[test]
fn no_etcd_gets_older_and_none_of_3_6_runs_beside_one_that_is_too_old_for_it() {
    let before = format!("3.5.{}", FIRST_BESIDE_3_6.patch - 1);
    // (etcd here, that of the members, refused when the version is raised, when it is not)
    let rows = [
        ("3.6.8", "3.6.8", None, None),
        ("3.6.9", "3.6.8", None, None),
        ("3.6.7", "3.6.8", Some("older-etcd"), None),
        ("3.5.30", "3.6.8", Some("older-etcd"), Some("older-etcd")),
        ("3.6.0", "3.5.26", None, None),
        ("3.6.0", &before, Some("etcd-too-old"), Some("etcd-too-old")),
        ("3.7.0", &before, Some("etcd-too-old"), Some("etcd-too-old")),
        ("3.5.30", &before, None, None),
    ];
    for (here, members, raising, joining) in rows {
        for (cluster, expected) in [("1.36.1", raising), ("1.37.0", joining)] {
            let mut seen = look("1.37.0", cluster);
            seen.etcd = EtcdLook::Local(Some(v(here)));
            seen.servers = servers(&[cluster, cluster], "3.6.8");
            seen.servers[0].etcd = Some(v(here));
            seen.servers[1].etcd = Some(v(members));
            assert_eq!(refusal(&seen), expected, "{here} {members} {cluster}");
        }
    }
    let mut unknown = UpgradeLook { etcd: EtcdLook::Local(None), ..look("1.37.0", "1.36.1") };
    assert!(wait(&unknown).is_some_and(|told| told.starts_with("etcd's image of this machine")));
    unknown.etcd = EtcdLook::Local(Some(v("3.6.8")));
    unknown.servers[1].etcd = None;
    assert!(wait(&unknown).is_some_and(|told| told.starts_with("etcd of b to tell its version")));
    unknown.etcd = EtcdLook::External;
    assert_eq!(join_verdict(&unknown), raise("1.36.1", "1.37.0"));
}

#[test]
fn an_upgrade_is_taken_back_only_while_no_machine_of_the_new_version_lives() {
    let seen = |name: &str, kubeadm: Option<&str>, gone_in: Option<u64>| MachineSeen {
        name: name.into(),
        kubeadm: kubeadm.map(v),
        is_joining: false,
        gone_in: gone_in.map(Duration::from_secs),
    };
    let newer = |kubeadm| vec![seen("i-9", kubeadm, None)];
    // EC2 has forgotten them, or has not shown them yet.
    let left_out = |seconds: [u64; 2]| {
        let machine = |(name, kubeadm, seconds)| seen(name, kubeadm, Some(seconds));
        [("i-8", Some("1.37.0"), seconds[0]), ("i-9", None, seconds[1])].map(machine).to_vec()
    };
    let waits = |machines: &[&str], seconds| BackVerdict::Wait {
        machines: machines.iter().map(ToString::to_string).collect(),
        left: Duration::from_secs(seconds),
    };
    let back = |from, to| BackVerdict::Back { from: v(from), to: v(to) };
    type Row<'a> = (&'a str, &'a [&'a str], Vec<MachineSeen>, Result<BackVerdict, &'a str>);
    let rows: [Row<'_>; 19] = [
        ("1.37.0", &["1.36.1", "1.36.1"], Vec::new(), Ok(back("1.37.0", "1.36.1"))),
        ("1.36.3", &["1.36.1", "1.36.0"], Vec::new(), Ok(back("1.36.3", "1.36.1"))),
        ("1.37.0", &["1.36.1"], newer(Some("1.36.1")), Ok(back("1.37.0", "1.36.1"))),
        ("1.37.0", &["1.36.1"], newer(Some("1.37.0")), Err("newer-machines")),
        ("1.36.3", &["1.36.1"], newer(Some("1.36.3")), Err("newer-machines")),
        ("1.37.0", &["1.36.1"], newer(None), Err("newer-machines")),
        ("1.37.0", &["1.36.1", "-"], Vec::new(), Err("silent")),
        ("1.37.0", &["1.36.1", "1.37.0"], Vec::new(), Err("joined")),
        ("1.37.0", &["1.36.1", "1.37.2"], Vec::new(), Err("by-hand")),
        ("1.37.0", &["1.37.2", "1.37.2"], Vec::new(), Err("by-hand")),
        ("1.36.1", &["1.37.0", "1.37.0"], Vec::new(), Err("by-hand")),
        ("1.37.0", &["1.36.1"], left_out([20, 300]), Ok(waits(&["i-8", "i-9"], 300))),
        ("1.37.0", &["1.36.1"], [left_out([20, 300]), newer(None)].concat(), Err("newer-machines")),
        ("1.37.0", &["1.36.1"], vec![seen("i-9", Some("1.36.1"), Some(9))], Ok(back("1.37.0", "1.36.1"))),
        ("1.37.0", &["1.37.0", "1.37.0"], newer(None), Ok(BackVerdict::Nothing { cluster: v("1.37.0") })),
        ("1.38.0", &["1.36.1"], Vec::new(), Err("two-minors")),
        ("1.37.0-rc.1", &["1.36.1"], Vec::new(), Err("not-whole")),
        ("1.37.0", &["1.36.1-acme.2"], Vec::new(), Err("not-whole")),
        ("1.37.0", &[], Vec::new(), Err("nobody")),
    ];
    for (cluster, versions, machines, expected) in rows {
        let found = way_back(v(cluster), &servers(versions, "3.6.8"), &machines);
        match (&found, expected) {
            (BackVerdict::Refuse(refusal), Err(code)) => assert_eq!(refusal.code(), code, "{cluster} {versions:?}"),
            (_, expected) => assert_eq!(Ok(found), expected, "{cluster} {versions:?}"),
        }
    }
}

#[test]
fn every_refusal_ends_with_what_to_do() {
    let (here, cluster, member) = (v("1.37.0"), v("1.36.1"), v("3.5.25"));
    let name = || "a".to_owned();
    let refusals = [
        (UpgradeRefusal::OtherMinor { kubeadm: here, cluster }, "an image with the cluster's minor version"),
        (UpgradeRefusal::Older { here: cluster, cluster: here }, "'kubeboot upgrade --back' on a member"),
        (UpgradeRefusal::TooFar { here: v("1.38.0"), cluster }, "from an image of v1.37 first"),
        (
            UpgradeRefusal::Documents { documents: cluster, kubeadm: here },
            "make an image with a kubeadm of that version",
        ),
        (
            UpgradeRefusal::NotWhole { whose: "the cluster's configuration", version: here },
            "by hand ('kubeadm upgrade')",
        ),
        (UpgradeRefusal::Kubelet { kubelet: cluster, kubeadm: here }, "make an image with both of one version"),
        (UpgradeRefusal::OlderEtcd { here: member, member: v("3.6.8"), name: name() }, "that version or a newer one"),
        (
            UpgradeRefusal::EtcdTooOld { here: v("3.6.8"), member, name: name() },
            "a later patch version of the cluster's Kubernetes",
        ),
    ];
    for (refusal, text) in refusals {
        assert!(refusal.to_string().ends_with(text), "{refusal}");
    }
    let backs = [
        (BackRefusal::Silent { servers: vec![name()] }, "try again"),
        (BackRefusal::Nobody, "try again on a member"),
        (BackRefusal::Joined { cluster: here, servers: vec![name()] }, "launch the rest from the newer image"),
        (
            BackRefusal::ByHand { cluster, servers: vec![(name(), here)] },
            "a (v1.37.0): an API server never goes back, so bring that upgrade to its end by hand ('kubeadm upgrade apply' on one of them)",
        ),
        (BackRefusal::NewerMachines { to: cluster, machines: vec![name()] }, "end these machines, and try again"),
        (BackRefusal::NotWhole { cluster: here, newest: cluster }, "kube-system/kubeadm-config by hand"),
        (BackRefusal::TooFar { cluster: v("1.38.0"), newest: cluster }, "by hand"),
    ];
    for (refusal, text) in backs {
        assert!(refusal.to_string().ends_with(text), "{refusal}");
    }
}
