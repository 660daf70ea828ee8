//! Plans of a machine whose certificates end at every distance.

use super::*;
use crate::model::machine::ids::MemberId;
use KubeadmCertificate::{AdminConf, ApiServer, ControllerManagerConf, EtcdPeer, FrontProxyClient, SchedulerConf};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const EVERY_KEY: [Authority; 3] = Authority::ALL;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

/// So many days from now; negative: before it.
fn day(days: i32) -> SystemTime {
    let span = days.unsigned_abs() * DAY;
    if days < 0 { now() - span } else { now() + span }
}

fn dated(certificate: KubeadmCertificate, days: i32) -> Dated {
    Dated { certificate, ends: day(days) }
}

fn silent() -> MissingAnswer {
    let member = MemberName { id: MemberId(0xa9), name: "n3".into(), address: None, instance: None };
    MissingAnswer::Silent(vec![member])
}

/// A machine of which everybody answers and every key is there.
fn input<'a>(certificates: &'a [Dated], others: &'a EveryVoter) -> RenewInput<'a> {
    RenewInput {
        now: now(),
        renew_before: 30 * DAY,
        validity: None,
        certificates,
        keys: &EVERY_KEY,
        kubelet_ends: Some(day(100)),
        outdated: &[],
        others,
    }
}

/// What is done, in short.
fn told(plan: &RenewPlan) -> String {
    match &plan.step {
        RenewStep::Nothing => "nothing".into(),
        RenewStep::Ask => "ask".into(),
        RenewStep::Wait(why) => format!("wait: {why}"),
        RenewStep::Renew { certificates, kubelet, restart, urgent } => {
            let mut words: Vec<_> = certificates.iter().map(|dated| dated.certificate.name().to_owned()).collect();
            words.extend(kubelet.then(|| "kubelet".to_owned()));
            words.extend(restart.iter().map(|program| format!("restart {program}")));
            words.extend(urgent.then(|| "unasked".to_owned()));
            words.join(", ")
        }
    }
}

#[test]
fn only_what_ends_soon_is_renewed_and_only_what_reads_it_is_restarted() {
    let controller = "controller-manager.conf, restart kube-controller-manager";
    let rows: [(&[Dated], &str); 10] = [
        (&[], "nothing"),
        (&[dated(ApiServer, 31), dated(AdminConf, 364)], "nothing"),
        (&[dated(ApiServer, 30), dated(AdminConf, 31)], "apiserver"),
        (
            &[dated(ApiServer, 8), dated(EtcdPeer, 29), dated(FrontProxyClient, 29)],
            "apiserver, etcd-peer, front-proxy-client",
        ),
        (&[dated(ControllerManagerConf, 29), dated(SchedulerConf, 300)], controller),
        (&[dated(SchedulerConf, 29)], "scheduler.conf, restart kube-scheduler"),
        (
            &[dated(SchedulerConf, 29), dated(ControllerManagerConf, 29)],
            "scheduler.conf, controller-manager.conf, restart kube-controller-manager, restart kube-scheduler",
        ),
        (&[dated(ApiServer, 7)], "apiserver, unasked"),
        (&[dated(ApiServer, 0), dated(AdminConf, 20)], "apiserver, admin.conf, unasked"),
        (&[dated(ApiServer, -1), dated(AdminConf, -400)], "apiserver, admin.conf, unasked"),
    ];
    for (certificates, expected) in rows {
        assert_eq!(told(&plan(&input(certificates, &EveryVoter::Answer))), expected, "{certificates:?}");
    }
}

#[test]
fn while_there_is_time_everybody_must_answer() {
    let no_list = MissingAnswer::NoList("quorum lost: 1 of 3 answers".into());
    let rows = [
        (29, EveryVoter::NotAsked, "ask"),
        (29, EveryVoter::Answer, "apiserver"),
        (29, EveryVoter::Missing(silent()), "wait: etcd voter a9 (n3) does not answer"),
        (
            8,
            EveryVoter::Missing(no_list.clone()),
            "wait: nobody can tell whether every etcd voter answers: quorum lost: 1 of 3 answers",
        ),
        (7, EveryVoter::NotAsked, "apiserver, unasked"),
        (7, EveryVoter::Missing(silent()), "apiserver, unasked"),
        (-1, EveryVoter::NotAsked, "apiserver, unasked"),
        (-1, EveryVoter::Missing(no_list), "apiserver, unasked"),
        // Nobody is asked for nothing.
        (31, EveryVoter::NotAsked, "nothing"),
        (31, EveryVoter::Missing(silent()), "nothing"),
    ];
    for (days, others, expected) in rows {
        let certificates = [dated(ApiServer, days)];
        assert_eq!(told(&plan(&input(&certificates, &others))), expected, "{days} days, {others:?}");
    }
}

#[test]
fn without_the_key_of_its_authority_a_certificate_is_told_of_and_left() {
    let due = [dated(ApiServer, 20), dated(EtcdPeer, 20), dated(FrontProxyClient, 20)];
    // (keys on the machine, what is done, what is left)
    let rows: [(&[Authority], &str, &[&str]); 4] = [
        (&EVERY_KEY, "apiserver, etcd-peer, front-proxy-client", &[]),
        (&[Authority::Etcd, Authority::FrontProxy], "etcd-peer, front-proxy-client", &[ApiServer.file()]),
        (&[Authority::Cluster], "apiserver", &[EtcdPeer.file(), FrontProxyClient.file()]),
        (&[], "nothing", &[ApiServer.file(), EtcdPeer.file(), FrontProxyClient.file()]),
    ];
    for (keys, expected, external) in rows {
        let planned = plan(&RenewInput { keys, ..input(&due, &EveryVoter::Answer) });
        assert_eq!((told(&planned).as_str(), planned.external.as_slice()), (expected, external), "{keys:?}");
    }
    let far = [dated(ApiServer, 100)];
    assert!(plan(&RenewInput { keys: &[], ..input(&far, &EveryVoter::Answer) }).external.is_empty(), "it is not due");
}

#[test]
fn what_was_renewed_by_a_run_that_did_not_restart_is_restarted_by_the_next() {
    let far = [dated(ControllerManagerConf, 364), dated(SchedulerConf, 364)];
    let outdated = [RestartedProgram::Scheduler];
    let row = |others| told(&plan(&RenewInput { outdated: &outdated, ..input(&far, others) }));
    assert_eq!(row(&EveryVoter::NotAsked), "ask");
    assert_eq!(row(&EveryVoter::Answer), "restart kube-scheduler");
    assert!(row(&EveryVoter::Missing(silent())).starts_with("wait"));
}

#[test]
fn a_kubelet_gets_a_certificate_only_once_its_own_has_ended() {
    let far = [dated(ApiServer, 364)];
    for (ends, expected) in [
        (Some(day(1)), "nothing"),
        (Some(day(0)), "kubelet, unasked"),
        (Some(day(-9)), "kubelet, unasked"),
        (None, "nothing"),
    ] {
        let planned = plan(&RenewInput { kubelet_ends: ends, ..input(&far, &EveryVoter::NotAsked) });
        assert_eq!(told(&planned), expected, "{ends:?}");
    }
    let planned = plan(&RenewInput { kubelet_ends: Some(day(-1)), keys: &[], ..input(&far, &EveryVoter::NotAsked) });
    assert_eq!((planned.step, planned.external), (RenewStep::Nothing, vec![KUBELET_CLIENT]));
}

#[test]
fn certificates_of_a_short_life_are_renewed_in_their_last_third() {
    let certificates = [dated(ApiServer, 29)];
    let rows = [
        (None, "apiserver"),
        (Some(365), "apiserver"),
        (Some(90), "apiserver"),
        (Some(60), "nothing"),
        (Some(30), "nothing"),
    ];
    for (validity, expected) in rows {
        let validity = validity.map(|days: u32| days * DAY);
        let planned = plan(&RenewInput { validity, ..input(&certificates, &EveryVoter::Answer) });
        assert_eq!(told(&planned), expected, "{validity:?}");
    }
}
