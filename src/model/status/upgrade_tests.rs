//! How far an upgrade has come, by what `status` has gathered.

use super::sample::{api_server, healthy, id, upgrading};
use super::*;
use crate::model::upgrade::{ClusterVersions, UpgradeStage};
use crate::model::version::Release;

fn new() -> ApiServer {
    ApiServer { version: Some("v1.37.0".into()), ..api_server() }
}

#[test]
fn an_upgrade_under_way_is_told_and_is_no_reason_and_what_has_failed_at_its_end_is_one() {
    // (machines of the new version, stage, verdict)
    let rows = [
        (0, UpgradeStage::ControlPlane, StatusOutcome::Healthy),
        (2, UpgradeStage::ControlPlane, StatusOutcome::Healthy),
        (3, UpgradeStage::Rest, StatusOutcome::Degraded),
    ];
    for (count, stage, outcome) in rows {
        let mut input = healthy();
        input.upgrade = Ok(Some(upgrading()));
        input.api_servers = Ok((1..=3).map(|n| (id(n), if n <= count { new() } else { api_server() })).collect());
        let progress = upgrade(&input).unwrap();
        let new = progress.machines.iter().filter(|machine| progress.is_new(machine)).count();
        assert_eq!((progress.stage, new, progress.machines.len()), (stage, usize::from(count), 3));
        let verdict = judge(&input);
        assert_eq!(verdict.outcome, outcome, "{count}: {:?}", verdict.reasons);
        if outcome == StatusOutcome::Degraded {
            let [reason] = &verdict.reasons[..] else { panic!("{:?}", verdict.reasons) };
            assert_eq!((reason.code(), reason.instance()), ("upgrade-rest", None));
            assert!(
                reason.to_string().contains("has failed 1 time: kubeadm has failed: the machine that leads"),
                "{reason}"
            );
            assert!(!reason.lasting().to_string().contains("kubeadm has failed"));
        }
    }
}

#[test]
fn whoever_is_no_member_is_not_waited_for_and_an_unknown_version_is_no_reason() {
    let mut input = healthy();
    let done = ClusterVersions { cluster: Release::new(1, 36, 1), outcome: None, ..upgrading() };
    input.upgrade = Ok(Some(done));
    assert_eq!(upgrade(&input), None);
    input.upgrade = Err("no answer".into());
    assert_eq!((upgrade(&input), judge(&input).outcome), (None, StatusOutcome::Healthy));
    let mut waiting = healthy();
    waiting.upgrade = Ok(Some(upgrading()));
    waiting.etcd = sample::stacked([sample::member(1), sample::member(2)]);
    assert_eq!(upgrade(&waiting).map(|progress| progress.machines.len()), Some(2));
}
