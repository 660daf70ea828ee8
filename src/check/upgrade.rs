//! Whether this machine's image may join the cluster that is there, and whether it would upgrade it by that.

use super::Check;
use super::finding::{CheckVerdict, Finding, Found};
use super::input::CheckInput;
use crate::bucket::{Roll, join, keys};
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::state;
use crate::model::joining::publication::Found as FoundObject;
use crate::model::joining::{Join, JoinCluster};
use crate::model::machine::local::Local;
use crate::model::membership::registration::{Registration, RegistrationPhase};
use crate::model::upgrade::{
    ApiServerSeen, EtcdLook, ImageVersions, JoinVerdict, KubernetesUpgrade, UpgradeLook, join_verdict,
};
use crate::model::version::Release;
use std::path::Path;

pub(super) const CHECKS: &[Check] = &[Check { name: "kubernetes-upgrade", run: |input| Box::pin(upgrade(input)) }];

/// Compares this machine's programs with the cluster, by what the bucket says of it: a machine that has not joined has no credentials for
/// an API server yet.
async fn upgrade(input: &CheckInput) -> Found {
    let (facts, record) = (input.facts.needed()?, input.record.needed()?.as_ref());
    let Some((record, published)) = record.and_then(|record| Some((record, record.published()?))) else {
        return Ok(vec![Finding::ok("not compared: there is no cluster yet")]);
    };
    input.needs_root()?;
    let local = state::observe(Path::new("/"), facts.documents.data_dir()).map_err(|error| Finding::error(&error))?;
    if matches!(local, Local::Made { .. }) {
        let text =
            "not compared: this machine is a member; 'kubeboot upgrade --dry-run' shows what a newer image would do";
        return Ok(vec![Finding::ok(text)]);
    }
    let store = &input.aws.needed()?.session.store;
    let roll = Roll::new(store);
    let (told, registrations) = tokio::join!(join::read::<JoinCluster>(store, keys::JOIN_CLUSTER), roll.all_or_none());
    let told = match told? {
        FoundObject::Object { held: Ok(Join::Published(told)), .. } if told.generation == record.generation => {
            Release::parse(&told.kubernetes_version)
        }
        FoundObject::Object { .. } | FoundObject::Nothing => None,
    };
    let (registrations, _) = registrations?;
    let servers = servers(&registrations);
    let newest =
        servers.iter().filter_map(|server| server.version).chain(Release::parse(&published.kubernetes_version)).max();
    let Some(cluster) = told.or(newest) else {
        return Ok(vec![Finding::ok("not compared: nobody says which version the cluster has")]);
    };
    let kubelet = Kubeadm::read_only().kubelet_version().await.ok();
    let (kubeadm, wanted) = (&facts.cluster.kubernetes_version, facts.documents.installed_version(&facts.cluster));
    let (Some(kubeadm), Some(wanted)) = (Release::parse(kubeadm), Release::parse(&wanted)) else {
        return Err(Finding::skipped("needs 'kubeadm'"));
    };
    let look = UpgradeLook {
        setting: facts.settings.kubernetes_upgrade,
        here: ImageVersions { kubeadm, kubelet: kubelet.and_then(|found| Release::parse(&found.to_string())), wanted },
        // Which etcd members run, nobody here can ask.
        etcd: EtcdLook::External,
        cluster,
        servers,
        machines: Vec::new(),
    };
    Ok(vec![judge(&look, told.is_some())])
}

/// The machines that have joined: their API servers are of kubeadm's version.
fn servers(registrations: &[Registration]) -> Vec<ApiServerSeen> {
    let joined = registrations.iter().filter(|found| found.phase == RegistrationPhase::Joined);
    let seen = |found: &Registration| ApiServerSeen {
        name: found.instance.to_string(),
        version: found.versions.kubeadm.as_deref().and_then(Release::parse),
        etcd: None,
    };
    joined.map(seen).collect()
}

/// `is_certain`: whether the leader tells the cluster's version, which may else have been raised since.
fn judge(look: &UpgradeLook, is_certain: bool) -> Finding {
    let UpgradeLook { here, cluster, .. } = look;
    match join_verdict(look) {
        JoinVerdict::Join if here.wanted > *cluster && look.setting == KubernetesUpgrade::Off => Finding::ok(format!(
            "this machine (v{}) may join the cluster of v{cluster}, and leaves its version as it is: kubernetes_upgrade is 'off'",
            here.wanted
        )),
        JoinVerdict::Join => {
            Finding::ok(format!("this machine (v{}) may join the cluster of v{cluster}", here.kubeadm))
        }
        JoinVerdict::Raise { from, to } => Finding::ok(format!(
            "this machine upgrades the cluster from v{from} to v{to} by joining it; the versions of etcd are compared by 'kubeboot up'"
        )),
        JoinVerdict::Wait(wait) => Finding::warning(
            format!("this machine (v{}) would wait for {wait}", here.wanted),
            "see 'kubeboot status' on a member",
        ),
        JoinVerdict::Refuse(refusal) => {
            let said = refusal.to_string();
            let (text, remedy) = said.split_once(": ").unwrap_or((said.as_str(), "see docs/upgrading.md"));
            let found = Finding::failed(text, remedy);
            match is_certain {
                true => found,
                false => Finding {
                    text: format!("{}, as far as registrations tell", found.text),
                    verdict: CheckVerdict::Warning,
                    ..found
                },
            }
        }
    }
}

/// Of an image: whether its programs could upgrade a cluster.
pub(super) fn judge_image(kubeadm: Release, kubelet: Release) -> Finding {
    if kubeadm == kubelet {
        let (major, minor) = kubeadm.series();
        let before = minor.saturating_sub(1);
        return Finding::ok(format!(
            "kubeadm and kubelet are both v{kubeadm}: with kubernetes_upgrade = \"by-image\" machines of this image may upgrade a cluster of \
             v{major}.{before}, or of an earlier v{major}.{minor}"
        ));
    }
    Finding::warning(
        format!("kubeadm is v{kubeadm} and kubelet v{kubelet}: machines of this image upgrade no cluster"),
        "install both of one version",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn v(text: &str) -> Option<Release> {
        Release::parse(text)
    }

    #[test]
    fn what_a_machine_of_this_image_would_do_is_told_before_it_does_it() {
        use KubernetesUpgrade::{ByImage, Off};
        const FAILED: CheckVerdict = CheckVerdict::Failed(Exit::Usage);
        let rows = [
            (ByImage, "1.36.1", "1.36.1", Some("1.36.1"), true, CheckVerdict::Ok, "may join the cluster of v1.36.1"),
            (ByImage, "1.37.0", "1.36.1", Some("1.36.1"), true, CheckVerdict::Ok, "from v1.36.1 to v1.37.0 by joining"),
            (ByImage, "1.36.2", "1.36.1", Some("1.36.1"), true, CheckVerdict::Ok, "from v1.36.1 to v1.36.2 by joining"),
            (Off, "1.36.2", "1.36.1", Some("1.36.1"), true, CheckVerdict::Ok, "leaves its version as it is"),
            (Off, "1.37.0", "1.36.1", Some("1.36.1"), true, FAILED, "kubeadm is v1.37.0 here"),
            (Off, "1.37.0", "1.36.1", Some("1.36.1"), false, CheckVerdict::Warning, "as far as registrations tell"),
            (ByImage, "1.38.0", "1.36.1", Some("1.36.1"), true, FAILED, "image is of Kubernetes v1.38.0"),
            (ByImage, "1.36.1", "1.37.0", Some("1.37.0"), true, FAILED, "which an older machine may not join"),
            (
                ByImage,
                "1.37.0",
                "1.36.1",
                None,
                true,
                CheckVerdict::Warning,
                "would wait for every API server to answer",
            ),
        ];
        for (setting, kubeadm, cluster, server, is_certain, verdict, text) in rows {
            let (Some(kubeadm), Some(cluster)) = (v(kubeadm), v(cluster)) else { panic!("no version") };
            let look = UpgradeLook {
                setting,
                here: ImageVersions { kubeadm, kubelet: Some(kubeadm), wanted: kubeadm },
                etcd: EtcdLook::External,
                cluster,
                servers: vec![ApiServerSeen { name: "i-1".into(), version: server.and_then(v), etcd: None }],
                machines: Vec::new(),
            };
            let found = judge(&look, is_certain);
            assert_eq!((found.verdict, found.remedy.is_some()), (verdict, verdict != CheckVerdict::Ok), "{found:?}");
            assert!(found.text.contains(text), "{found:?} is not: {text}");
        }
    }

    #[test]
    fn an_image_upgrades_only_with_programs_of_one_version() {
        let rows = [("1.37.0", "1.37.0", true), ("1.37.0", "1.36.9", false), ("1.37.1", "1.37.0", false)];
        for (kubeadm, kubelet, is_good) in rows {
            let (Some(kubeadm), Some(kubelet)) = (v(kubeadm), v(kubelet)) else { panic!("no version") };
            let found = judge_image(kubeadm, kubelet);
            assert_eq!(found.verdict == CheckVerdict::Ok, is_good, "{found:?}");
        }
        assert!(
            v("1.37.0")
                .is_some_and(|one| judge_image(one, one).text.contains("a cluster of v1.36, or of an earlier v1.37"))
        );
    }
}
