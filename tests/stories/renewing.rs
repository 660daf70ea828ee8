//! Certificates near their end: which are renewed, whom that waits for, and what is restarted.

use crate::support::World;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

const RENEW: [&str; 2] = ["kubeboot", "renew"];
const FORETELL: [&str; 3] = ["kubeboot", "renew", "--dry-run"];

/// Puts a client certificate into kubelet's own folder that lives for as long as those made before.
const END_OF_KUBELET: &str = r#"set -e
mkdir /run/short
kubeadm init phase kubeconfig kubelet --config /run/short.yaml --kubeconfig-dir /run/short
cd /var/lib/kubelet/pki
for part in certificate key; do
    sed -n "s/.*client-$part-data: //p" /run/short/kubelet.conf | base64 --decode
done >kubelet-client-ended.pem
ln -sf kubelet-client-ended.pem kubelet-client-current.pem
"#;

#[test]
fn what_ends_far_from_now_is_left_alone() -> Result<()> {
    World::of(1).tell(|world| {
        world.all_up(&[1])?;
        let before = (world.before(1)?, containers(world, 1)?);
        world.renews(1, &FORETELL, 0, &["plan: nothing to renew", "apiserver.crt: ends", "in 364 days"])?;
        world.renews(1, &RENEW, 0, &["nothing to renew: the first to end is /etc/kubernetes/"])?;
        before.0.nothing_at_all_changed()?;
        ensure!(containers(world, 1)? == before.1, "something was restarted");
        Ok(())
    })
}

#[test]
fn what_ends_soon_is_renewed_and_what_reads_it_once_is_restarted() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        let due = ["apiserver", "etcd-healthcheck-client", "controller-manager.conf", "scheduler.conf"];
        world.shorten(2, "480h", &due)?;
        let status = world.on(2, &["kubeboot", "status"])?;
        let remedy = "run 'kubeboot renew' on this machine";
        ensure!(status.code == 10 && status.says(remedy), "{}", status.text());
        let (before, ran) = (world.before(2)?, containers(world, 2)?);
        let foretold = world.renews(2, &FORETELL, 0, &["plan, every etcd voter answers:", "in 19 days"])?;
        before.nothing_at_all_changed()?;
        ensure!(containers(world, 2)? == ran, "a dry run has restarted something");
        let ended = world.renews(2, &RENEW, 0, &[])?;
        for name in due {
            ensure!(foretold.stdout.contains(&format!("renew: kubeadm certs renew {name}\n")), "{}", foretold.text());
        }
        let (mut renewed, mut due) = (world.renewed(2)?, due);
        renewed.sort();
        due.sort_unstable();
        ensure!(renewed == due, "{renewed:?}, and not {due:?}: {}", ended.text());
        let at = |words: &str| ended.stdout.find(words).with_context(|| format!("'{words}': {}", ended.text()));
        let order =
            ["renewed /etc/kubernetes/scheduler.conf", "restarted kube-controller-manager", "restarted kube-scheduler"];
        ensure!(at(order[0])? < at(order[1])? && at(order[1])? < at(order[2])?, "{}", ended.text());
        let runs = containers(world, 2)?;
        let changed: Vec<_> =
            runs.iter().filter(|(name, id)| ran.get(*name) != Some(id)).map(|(name, _)| name).collect();
        ensure!(changed == ["kube-controller-manager", "kube-scheduler"], "{ran:?} and then {runs:?}");
        world.renews(2, &RENEW, 0, &["nothing to renew"])?;
        let status = world.on(2, &["kubeboot", "status"])?;
        ensure!(!status.says(remedy), "{}", status.text());
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn a_silent_voter_is_waited_for_while_there_is_time() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.shorten(1, "480h", &["front-proxy-client"])?;
        world.ask(&["kill", "3"])?;
        world.refuses(1, &RENEW, 3, &["does not answer", "run 'kubeboot renew' again", "in 19 days"])?;
        world.renews(1, &FORETELL, 0, &["plan: wait, and change nothing: etcd voter", "does not answer"])?;
        ensure!(world.renewed(1)?.is_empty(), "{:?}", world.renewed(1)?);
        // In the last week nobody is asked any more.
        world.shorten(1, "160h", &["etcd-peer"])?;
        world.renews(1, &RENEW, 0, &["without asking whether every etcd voter answers"])?;
        ensure!(world.renewed(1)?.len() == 2, "{:?}", world.renewed(1)?);
        world.ask(&["boot", "3"])?;
        world.all_up(&[3])?;
        world.is_one_control_plane(&[1, 2, 3])
    })
}

#[test]
fn what_has_ended_is_renewed_without_asking() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        // With the quorum gone nobody could say who answers, and one of these certificates is what one asks with.
        world.ask(&["kill", "1"])?;
        world.shorten(2, "1s", &["etcd-healthcheck-client", "admin.conf"])?;
        world.until_foretold(2, "/etc/kubernetes/admin.conf: ended")?;
        world.until_foretold(2, "healthcheck-client.crt: ended")?;
        world.renews(2, &RENEW, 0, &["renewed /etc/kubernetes/admin.conf"])?;
        ensure!(world.renewed(2)?.len() == 2, "{:?}", world.renewed(2)?);
        world.ask(&["boot", "1"])?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn a_kubelet_whose_certificate_has_ended_gets_another_one() -> Result<()> {
    World::of(2).tell(|world| {
        world.all_up(&[1, 2])?;
        world.shorten(2, "1s", &[])?;
        let ended = world.on(2, &["sh", "-c", END_OF_KUBELET])?;
        ensure!(ended.code == 0, "{}", ended.text());
        world.until_foretold(2, "kubelet-client-current.pem: ended")?;
        world.renews(
            2,
            &FORETELL,
            0,
            &["kubelet: make a kubelet.conf by the certificate authority, and restart kubelet"],
        )?;
        world.renews(2, &RENEW, 0, &["kubelet has a new certificate"])?;
        world.renews(2, &RENEW, 0, &["nothing to renew"])?;
        world.is_one_control_plane(&[1, 2])
    })
}

#[test]
fn without_the_key_of_an_authority_its_certificates_are_told_of() -> Result<()> {
    World::of(1).tell(|world| {
        world.all_up(&[1])?;
        world.shorten(1, "480h", &["scheduler.conf", "front-proxy-client"])?;
        // A program that reads it anew does not run since before.
        world.renews(1, &["crictl", "stop", &containers(world, 1)?["kube-scheduler"]], 0, &[])?;
        let key = world.disk(1)?.join("etc/kubernetes/pki/ca.key");
        std::fs::rename(&key, key.with_extension("away"))?;
        let left = "renew /etc/kubernetes/scheduler.conf where it is";
        world.renews(1, &RENEW, 6, &[left, "renewed /etc/kubernetes/pki/front-proxy-client.crt"])?;
        ensure!(world.renewed(1)? == ["front-proxy-client"], "{:?}", world.renewed(1)?);
        Ok(())
    })
}

#[test]
fn a_run_that_was_cut_off_before_it_restarted_is_finished_by_the_next() -> Result<()> {
    World::of(1).tell(|world| {
        world.all_up(&[1])?;
        let ran = containers(world, 1)?;
        // As after a renewal: the kubeconfig is younger than the program.
        world.renews(1, &["touch", "/etc/kubernetes/scheduler.conf"], 0, &[])?;
        world.renews(1, &FORETELL, 0, &["restart: kube-scheduler"])?;
        world.renews(1, &RENEW, 0, &["restarted kube-scheduler"])?;
        ensure!(world.renewed(1)?.is_empty(), "{:?}", world.renewed(1)?);
        let runs = containers(world, 1)?;
        let same = |name: &str| ran.get(name) == runs.get(name);
        ensure!(!same("kube-scheduler") && same("kube-controller-manager"), "{ran:?} and then {runs:?}");
        world.renews(1, &RENEW, 0, &["nothing to renew"]).map(drop)
    })
}

#[test]
fn a_machine_without_a_control_plane_has_nothing_to_renew() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        world.refuses(1, &RENEW, 0, &["there is no control plane on this machine"])?;
        world.refuses(1, &FORETELL, 0, &["there is no control plane on this machine"]).map(drop)
    })
}

impl World {
    fn until_foretold(&self, node: usize, words: &str) -> Result<()> {
        self.until(words, RUN, || Ok(self.on(node, &FORETELL)?.stdout.contains(words).then_some(())))
    }
}

/// The containers that run on a machine: names and IDs.
fn containers(world: &World, node: usize) -> Result<BTreeMap<String, String>> {
    let listed = world.on(node, &["crictl", "ps", "--output", "json"])?;
    let listed: Value = serde_json::from_str(&listed.stdout).with_context(|| listed.text())?;
    let all = listed["containers"].as_array().context("a list")?.iter();
    let named = all.map(|container| {
        let (name, id) = (container["metadata"]["name"].as_str()?, container["id"].as_str()?);
        Some((name.to_owned(), id.to_owned()))
    });
    named.collect::<Option<_>>().context("a container has a name and an ID")
}
