//! What is left of an upgrade when every API server is new: who does it, when, what it leaves alone, and how it is told.

use crate::support::World;
use crate::support::command::Running;
use crate::support::upgrades::{NEW, OLD, upgradable};
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

const KUBE_PROXY: &str = "/registry/daemonsets/kube-system/kube-proxy";
const COREDNS: &str = "/registry/deployments/kube-system/coredns";
const OUTCOME: &str = "/registry/configmaps/kube-system/kubeboot-upgrade";

impl World {
    /// The image of an add-on, by the etcd of a machine.
    fn add_on(&self, asked: usize, key: &str) -> Result<String> {
        let found: Value = serde_json::from_str(&self.etcd_value(asked, key)?)?;
        let image = found.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
        Ok(image.with_context(|| format!("{key} has no image: {found}"))?.to_owned())
    }

    /// What was kept of the rest of the last upgrade.
    fn rest(&self, asked: usize) -> Result<Option<Value>> {
        let found = self.etcd_value(asked, OUTCOME)?;
        if found.is_empty() {
            return Ok(None);
        }
        let object: Value = serde_json::from_str(&found)?;
        let text = object["data"]["outcome"].as_str().context("it has an outcome")?;
        Ok(Some(serde_json::from_str(text)?))
    }

    /// A machine of the newer image takes the place of the first one. Its number, and its agent.
    fn replaced(&self) -> Result<(usize, Running)> {
        self.all_up(&[1])?;
        self.image(NEW)?;
        let new = self.launch(true)?;
        self.all_up(&[new])?;
        let agent = self.start_agent(new)?;
        Ok((new, agent))
    }
}

#[test]
fn add_ons_wait_for_the_last_machine_of_before_and_are_brought_up_once() -> Result<()> {
    upgradable(1).tell(|world| {
        let (new, agent) = world.replaced()?;
        world
            .until_agent_says(&agent, &format!("waits until every API server is of {NEW}; others: {}", world.id(1)?))?;
        ensure!(world.add_on(new, KUBE_PROXY)?.ends_with(OLD), "{}", world.add_on(new, KUBE_PROXY)?);
        let told = world.until("etcd is seen by 'kubeboot status'", RUN, || {
            let told = world.on(new, &["kubeboot", "status"])?;
            Ok((!told.stdout.contains("etcd has no leader")).then_some(told))
        })?;
        for words in [
            format!("from {OLD} to {NEW}: 1 of 2 API servers is new"),
            format!("left: machines to replace by ones of {NEW}: {} ({OLD})", world.id(1)?),
            "left: add-ons, kubelet's configuration and RBAC".to_owned(),
        ] {
            ensure!(told.stdout.contains(&words), "'{words}' is not told: {}", told.text());
        }
        // On a busy computer not everybody answers in time, and then less is known to be done.
        world.until("the way tells what is done", RUN, || {
            let way = world.on(new, &["kubeboot", "upgrade", "--dry-run"])?;
            ensure!(way.code == 0, "{}", way.text());
            Ok((way.stdout.matches("(done)").count() == 3).then_some(()))
        })?;

        let left = world.on(1, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(left.code == 0, "{}", left.text());
        let rest = world.until("what came of it is kept", RUN, || world.rest(new))?;
        ensure!(rest["done"] == true && rest["from"] == OLD && rest["to"] == NEW, "{rest}");
        world.until_agent_says(&agent, &format!("the cluster is upgraded from {OLD} to {NEW}"))?;
        ensure!(world.add_on(new, KUBE_PROXY)?.ends_with(&format!(":{NEW}")), "{}", world.add_on(new, KUBE_PROXY)?);
        let coredns = world.add_on(new, COREDNS)?;
        ensure!(rest["steps"][2]["text"] == coredns.as_str() && coredns.ends_with("v1.14.2"), "{coredns}: {rest}");
        let told = world.on(new, &["kubeboot", "status"])?;
        ensure!(told.says(&format!("from {OLD} to {NEW}: done since ")), "{}", told.text());
        let event = world.until("an Event tells of it", RUN, || {
            let events = world.etcdctl(new, &["get", "--prefix", "--print-value-only", "/registry/events/default/"])?;
            Ok(events.contains("ClusterUpgraded").then_some(events))
        })?;
        ensure!(event.contains("\"Normal\""), "{event}");
        // Nobody does it again, another leader neither.
        let phases = world.upgrade_phases()?.len();
        ensure!(phases == 4, "kubeadm ran {phases} phases");
        world.signal_program(new, "kubeboot", Signal::TERM)?;
        let again = world.start_agent(new)?;
        world.until_agent_says(&again, "leads: nothing to do")?;
        ensure!(world.upgrade_phases()?.len() == phases, "it was done again");
        Ok(())
    })
}

#[test]
fn an_add_on_that_somebody_has_removed_stays_removed_and_one_that_kubeadm_leaves_behind_is_told() -> Result<()> {
    upgradable(1).tell(|world| {
        world.all_up(&[1])?;
        world.etcdctl(1, &["del", COREDNS])?;
        let (new, agent) = world.replaced()?;
        // The pod of an API server whose machine is gone, by which kubeadm leaves add-ons out and ends well.
        let pods =
            world.etcdctl(1, &["get", "--prefix", "--keys-only", "/registry/pods/kube-system/kube-apiserver"])?;
        let key = pods.lines().find(|key| key.contains("kube-apiserver")).context("there is a pod")?.to_owned();
        let pod = world.etcd_value(1, &key)?;
        let left = world.on(1, &["kubeboot", "reset", "--now", "--yes"])?;
        ensure!(left.code == 0, "{}", left.text());
        let stale = "/registry/pods/kube-system/kube-apiserver-gone";
        let mut stale_pod: Value = serde_json::from_str(&pod)?;
        stale_pod["metadata"]["name"] = "kube-apiserver-gone".into();
        stale_pod["spec"]["nodeName"] = "gone".into();
        stale_pod["spec"]["containers"][0]["image"] = format!("registry.k8s.io/kube-apiserver:{OLD}").into();
        world.etcdctl(new, &["put", stale, &stale_pod.to_string()])?;
        let rest = world.until("an attempt has failed", RUN, || world.rest(new))?;
        ensure!(rest["done"] == false, "{rest}");
        let error = rest["error"].as_str().unwrap_or_default().to_owned();
        for words in ["kube-proxy is not of", "kubeadm has left kube-proxy at", "have not been upgraded"] {
            ensure!(error.contains(words), "'{words}' is not told: {error}");
        }
        ensure!(rest["steps"][2]["left_out"] == true, "CoreDNS was not left out: {rest}");
        ensure!(world.etcd_value(new, COREDNS)?.is_empty(), "CoreDNS was installed");
        world.until_agent_says(&agent, "has failed (attempt 1), and is tried again")?;
        let told = world.on(new, &["kubeboot", "status"])?;
        ensure!(told.code == 10 && told.says("add-ons and the rest are not"), "{}", told.text());

        // The next leader tries at once.
        world.etcdctl(new, &["del", stale])?;
        world.signal_program(new, "kubeboot", Signal::TERM)?;
        let again = world.start_agent(new)?;
        world.until_agent_says(&again, &format!("the cluster is upgraded from {OLD} to {NEW}"))?;
        let rest = world.rest(new)?.context("it is kept")?;
        ensure!(rest["done"] == true && rest["attempts"] == 2, "{rest}");
        ensure!(world.add_on(new, KUBE_PROXY)?.ends_with(&format!(":{NEW}")), "{}", world.add_on(new, KUBE_PROXY)?);
        Ok(())
    })
}

#[test]
fn before_anything_is_changed_the_way_is_shown_and_what_would_be_refused() -> Result<()> {
    upgradable(2).tell_after_the_first(|world| {
        let bare = world.on(1, &["kubeboot", "upgrade"])?;
        ensure!(bare.code == 2 && bare.stderr.contains("upgrade --dry-run --to VERSION"), "{}", bare.text());
        let dry_run = |to: &str| world.on(1, &["kubeboot", "upgrade", "--dry-run", "--to", to]);
        let way = dry_run(NEW)?;
        ensure!(way.code == 0 && !way.stdout.contains("(done)"), "{}", way.text());
        for words in [&format!("raises the version in kubeadm-config from {OLD} to {NEW}"), "Nothing is in the way"] {
            ensure!(way.stdout.contains(words), "'{words}' is not told: {}", way.text());
        }
        let far = dry_run("v1.37.0")?;
        ensure!(far.code == 2 && far.stdout.contains("one minor version at a time"), "{}", far.text());
        // A machine of the image says what it would do, and one of two minors further why it may not.
        world.pretend(2, "STANDIN_KUBEADM_VERSION", NEW)?;
        world.pretend(2, "STANDIN_KUBELET_VERSION", NEW)?;
        let check = world.on(2, &["kubeboot", "check"])?;
        ensure!(
            check.stdout.contains(&format!("upgrades the cluster from {OLD} to {NEW} by joining")),
            "{}",
            check.text()
        );
        world.pretend(2, "STANDIN_KUBEADM_VERSION", "v1.37.0")?;
        world.pretend(2, "STANDIN_KUBELET_VERSION", "v1.37.0")?;
        let check = world.on(2, &["kubeboot", "check"])?;
        ensure!(check.stdout.contains("one minor version at a time"), "{}", check.text());
        Ok(())
    })
}
