//! Every machine is gone, and the cluster comes back from a snapshot: with its data, its authority and its UID, or not at all.

use crate::support::World;
use crate::support::bucket::RECORD;
use crate::support::command::{self, Ended, Running};
use crate::support::crash::{self, Stop};
use crate::support::plan::WorldPlan;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Keys that the story writes beside its word.
const KEYS: usize = 40;

/// Machines with an etcd that can be restored. None of them runs `kubeboot up` by itself.
pub fn restorable(nodes: usize) -> WorldPlan {
    World::of(nodes).option("--etcd", "3.5.30").without_up().set("lease_ttl", "3s").set("settle_timeout", "1s")
}

impl World {
    /// Runs `kubeboot restore` on a machine, which must end like this.
    pub fn restore(&self, node: usize, words: &[&str], code: i32) -> Result<Ended> {
        let ended = self.on(node, &[&["kubeboot", "restore"], words].concat())?;
        ensure!(ended.code == code, "'restore {}' ended with {}: {}", words.join(" "), ended.code, ended.text());
        Ok(ended)
    }

    /// Makes a machine a cluster of its own, with data, and saves that. Its record.
    pub fn save_a_cluster_of(&self, node: usize) -> Result<Value> {
        let alone = [
            "env",
            "KUBEBOOT_EXPECTED_SIZE=1",
            "KUBEBOOT_SETTLE_TIMEOUT=1s",
            "KUBEBOOT_CLAIM_STAGGER=1s",
            "kubeboot",
            "up",
        ];
        let made = self.on(node, &alone)?;
        ensure!(made.code == 0, "{}", made.text());
        self.keep_a_word(node)?;
        self.save_snapshot(node)?;
        self.record()
    }

    /// The power of a machine goes for good, and nothing comes in its place.
    pub fn lose(&self, node: usize) -> Result<()> {
        self.cut_power(node)?;
        self.ask(&["terminate", &node.to_string()]).map(drop)
    }

    /// Saves a snapshot of this machine's etcd.
    pub fn save_snapshot(&self, node: usize) -> Result<()> {
        let saved = self.on(node, &["kubeboot", "snapshot", "save"])?;
        ensure!(saved.code == 0, "{}", saved.text());
        Ok(())
    }

    /// Fails unless these machines are the cluster of this record, come back with its data, and nothing is left to do.
    pub fn are_restored(&self, before: &Value, nodes: &[usize]) -> Result<()> {
        self.are_the_voters(nodes)?;
        let record = self.record()?;
        ensure!(record["phase"] == "ready" && record["claim_id"] != before["claim_id"], "{record}");
        for field in ["kube_system_uid", "ca_hashes", "pki_key", "kubernetes_version"] {
            ensure!(record["cluster"][field] == before["cluster"][field], "{field} of {record}, and of {before}");
        }
        for node in nodes {
            let said = self.said(*node)?;
            ensure!(
                said["kube_system"] == record["cluster"]["kube_system_uid"],
                "node {node} serves another cluster: {said}"
            );
            ensure!(said["claim"] == record["claim_id"], "node {node} keeps another claim: {said}");
            let known = said["nodes_known"].as_array().context("a list")?;
            ensure!(known.contains(&said["name"]), "node {node} has no Node: {said}");
        }
        self.have_the_word(nodes)?;
        self.have_nothing_to_do(nodes)
    }

    /// Fails unless every ready record was of one cluster.
    pub fn kept_one_line(&self) -> Result<()> {
        let ready: Vec<Value> = self.records()?.into_iter().filter(|record| record["phase"] == "ready").collect();
        let first = &ready.first().context("the record was never ready")?["cluster"];
        for record in &ready {
            for field in ["kube_system_uid", "ca_hashes"] {
                ensure!(record["cluster"][field] == first[field], "{field} of {record} is not that of {first}");
            }
        }
        Ok(())
    }

    /// Starts a watcher of the story's keys beside the machines, from a revision on, by the certificates of one machine. It asks whichever
    /// of so many machines answers, those that are still to come among them.
    fn watch_all(&self, node: usize, machines: usize, revision: u64) -> Result<Running> {
        let said = self.registration(node)?;
        let own = said["addresses"][0].as_str().context("it has an address")?;
        let (network, host) = own.rsplit_once('.').context("it is an IPv4 address")?;
        let first = host.parse::<usize>()? - node + 1;
        let endpoints: Vec<String> =
            (first..first + machines).map(|host| format!("https://{network}.{host}:2379")).collect();
        let mut words = ["etcdctl".to_owned(), "--endpoints".to_owned(), endpoints.join(",")].to_vec();
        for (flag, name) in
            [("cacert", "ca.crt"), ("cert", "healthcheck-client.crt"), ("key", "healthcheck-client.key")]
        {
            let copy = self.path(&format!("watcher-of-{node}-{name}"));
            std::fs::copy(self.disk(node)?.join("etc/kubernetes/pki/etcd").join(name), &copy)?;
            words.extend([format!("--{flag}"), copy.display().to_string()]);
        }
        words.extend(["watch".to_owned(), format!("--rev={revision}"), "--prefix".to_owned(), "/story/".to_owned()]);
        command::start(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn revision(&self, node: usize) -> Result<u64> {
        let said: Value = serde_json::from_str(&self.etcdctl(node, &["get", "/none", "--write-out=json"])?)?;
        said["header"]["revision"].as_u64().context("etcd tells its revision")
    }
}

#[test]
fn all_machines_are_lost_and_the_cluster_comes_back_with_every_key_and_above_every_revision() -> Result<()> {
    restorable(3).tell(|world| {
        for node in [1, 2, 3] {
            world.run_up(node)?;
        }
        world.all_up(&[1, 2, 3])?;
        world.keep_a_word(1)?;
        for key in 0..KEYS {
            world.etcdctl(2, &["put", &format!("/story/key/{key}"), &key.to_string()])?;
        }
        let before = world.record()?;
        world.save_snapshot(1)?;
        let watcher = world.watch_all(1, 6, world.revision(1)? + 1)?;
        world.etcdctl(2, &["put", "/story/late", "lost"])?;
        world.until("a watcher sees it", RUN, || Ok(watcher.printed()?.contains("/story/late").then_some(())))?;
        let last = world.revision(1)?;
        let lives = world.restore(2, &["--latest", "--yes"], 6)?;
        ensure!(lives.stderr.contains("running") && world.record()? == before, "{}", lives.text());
        for node in ["1", "2", "3"] {
            world.ask(&["replace", node, "--no-up"])?;
        }
        let dry = world.restore(4, &["--latest", "--dry-run"], 0)?;
        ensure!(dry.stdout.contains("is lost") && dry.stdout.contains("revoked"), "{}", dry.text());
        ensure!(world.record()? == before, "a dry run has changed the record");
        // Before that word every machine waits for an operator.
        world.run_up(4)?;
        ensure!(world.up_ended(4)? == 6, "it did not stop: {}", world.log(4)?);
        world.restore(4, &["--latest", "--yes"], 0)?;
        ensure!(world.record()?["phase"] == "saved", "{}", world.record()?);
        let again = world.restore(4, &["--latest", "--yes"], 0)?;
        ensure!(again.stderr.contains("already"), "{}", again.text());
        for node in [4, 5, 6] {
            world.run_up(node)?;
        }
        world.all_up(&[4, 5, 6])?;
        world.are_restored(&before, &[4, 5, 6])?;
        world.kept_one_line()?;
        ensure!(world.revision(5)? > last + 900_000_000, "a watcher would see old revisions: {}", world.revision(5)?);
        // It takes itself up again where it ended, and is told that this is no more: it must look at everything anew.
        let printed = watcher.printed()?;
        let ended = watcher.wait(RUN)?;
        ensure!(ended.stderr.contains("required revision has been compacted"), "{}", ended.text());
        ensure!(ended.stdout == printed && printed.matches("PUT").count() == 1, "it saw what was not: {printed}");
        let next = world.watch_all(4, 6, world.revision(4)? + 1)?;
        world.etcdctl(5, &["put", "/story/next", "seen"])?;
        world.until("a later one sees more", RUN, || Ok(next.printed()?.contains("/story/next").then_some(())))?;
        for key in 0..KEYS {
            let kept = world.etcd_value(6, &format!("/story/key/{key}"))?;
            ensure!(kept == key.to_string(), "key {key} is {kept:?}");
        }
        ensure!(world.etcd_value(6, "/story/late")?.is_empty(), "the snapshot did not have that");
        let folder = world.disk(4)?.join("var/lib/kubeboot/restore");
        ensure!(!folder.exists(), "the snapshot is still on the disk: {}", folder.display());
        Ok(())
    })
}

#[test]
fn a_snapshot_that_is_not_what_was_saved_is_not_restored_and_the_one_before_is() -> Result<()> {
    restorable(2).tell(|world| {
        let before = world.save_a_cluster_of(2)?;
        world.etcdctl(2, &["put", "/story/later", "x"])?;
        world.save_snapshot(2)?;
        world.lose(2)?;
        world.ask(&["launch"])?;
        let keys = world.keys()?.into_iter().filter(|key| key.ends_with(".db.zst"));
        let mut keys: Vec<String> = keys.filter_map(|key| Some(key[key.find("snapshots/")?..].to_owned())).collect();
        keys.sort();
        let [oldest, newest] = &keys[..] else { anyhow::bail!("{keys:?}") };
        let whole = world.bytes(newest)?;
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for bad in [&flipped[..], &whole[..whole.len() - 100]] {
            world.put(newest, bad)?;
            let told = world.restore(1, &["--latest", "--yes"], 6)?;
            ensure!(told.stderr.contains("--snapshot KEY") && world.record()? == before, "{}", told.text());
        }
        // It was whole when the word was given, and is not when it is fetched.
        world.put(newest, whole)?;
        world.restore(1, &["--latest", "--yes"], 0)?;
        world.put(newest, flipped)?;
        world.run_up(1)?;
        world.run_up(3)?;
        world.until_logged(1, "the record's snapshot cannot be restored")?;
        world.until_logged(3, "the record's snapshot cannot be restored")?;
        ensure!(world.record()?["phase"] == "saved", "somebody has claimed: {}", world.record()?);
        // Those that run take the other one.
        let other = oldest.split_once("snapshots/").context("it has a folder")?.1.trim_end_matches(".db.zst");
        world.restore(1, &["--snapshot", other, "--yes"], 0)?;
        world.all_up(&[1, 3])?;
        world.are_restored(&before, &[1, 3])?;
        world.kept_one_line()
    })
}

#[test]
fn a_machine_that_could_not_restore_does_not_claim_and_another_one_does() -> Result<()> {
    restorable(3).tell(|world| {
        let before = world.save_a_cluster_of(3)?;
        world.lose(3)?;
        world.restore(2, &["--latest", "--yes"], 0)?;
        // An older etcd in its image, and it ranks first.
        world.pretend(1, "STANDIN_ETCD_IMAGE", "3.5.9-0")?;
        world.run_up(1)?;
        world.until_logged(1, "this image has the older 3.5.9: launch machines from an image")?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.are_the_voters(&[2])?;
        ensure!(world.record()?["cluster"]["initialised_by"] == world.id(2)?.as_str(), "{}", world.record()?);
        ensure!(world.record()?["cluster"]["kube_system_uid"] == before["cluster"]["kube_system_uid"]);
        world.all_up(&[1])?;
        world.are_restored(&before, &[1, 2])
    })
}

#[test]
fn a_restore_that_fails_never_becomes_another_cluster() -> Result<()> {
    restorable(3).set("init_attempts", "2").tell(|world| {
        let before = world.save_a_cluster_of(3)?;
        world.lose(3)?;
        world.restore(2, &["--latest", "--yes"], 0)?;
        // etcdutl fails twice on the machine that begins, and it steps down.
        world.kubeadm_fault(1, &serde_json::json!({"ctr": {"exit": 1}}))?;
        world.run_up(1)?;
        world.until_logged(1, "stepping down")?;
        let inits = world.kubeadm()?.into_iter().filter(|command| command.argv[0] == "init").count();
        ensure!(inits == 1, "kubeadm init ran over nothing: {:?}", world.kubeadm()?);
        ensure!(
            world.record()?["phase"] == "initializing" && !world.record()?["snapshot"].is_null(),
            "{}",
            world.record()?
        );
        world.run_up(2)?;
        world.all_up(&[2])?;
        std::fs::remove_file(world.root(1)?.join("run/standin/faults"))?;
        world.all_up(&[1])?;
        world.are_restored(&before, &[1, 2])?;
        world.kept_one_line()
    })
}

#[test]
fn etcdutl_of_the_machine_serves_as_well_as_that_of_the_image() -> Result<()> {
    restorable(2).flag("--etcdutl").tell(|world| {
        let before = world.save_a_cluster_of(2)?;
        world.lose(2)?;
        world.restore(1, &["--latest", "--yes"], 0)?;
        world.pretend(1, "STANDIN_ETCDUTL", "/none")?;
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.are_restored(&before, &[1])
    })
}

#[test]
fn a_node_of_the_same_name_that_came_with_the_data_is_another_machines_and_goes() -> Result<()> {
    restorable(1).option("--binary", &crash::binary()?).set("cloud_provider", "external").tell(|world| {
        let before = world.save_a_cluster_of(1)?;
        world.ask(&["replace", "1", "--same-address", "--no-up"])?;
        world.restore(2, &["--latest", "--yes"], 0)?;
        let killed = world.start_up_until(2, Stop::Kill, "old-node-deleted")?.wait(RUN)?;
        ensure!(killed.code == 137, "it was not killed: {}", killed.text());
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.are_restored(&before, &[2])?;
        let node = world.registration(2)?;
        ensure!(
            node["provider_id"].as_str().is_some_and(|id| id.ends_with(&world.id(2).unwrap_or_default())),
            "{node}"
        );
        let nodes = world.etcdctl(2, &["get", "--prefix", "/registry/nodes/", "--print-value-only"])?;
        ensure!(nodes.contains(&world.id(2)?) && !nodes.contains(&world.id(1)?), "{nodes}");
        ensure!(nodes.contains("node-role.kubernetes.io/control-plane"), "it is not marked: {nodes}");
        Ok(())
    })
}

#[test]
fn machines_of_the_old_cluster_that_come_back_serve_nobody_and_lose_nothing() -> Result<()> {
    restorable(4).tell(|world| {
        let before = world.save_a_cluster_of(3)?;
        // Another one has a vote, and has never joined.
        world.kubeadm_fault(4, &serde_json::json!({"join": {"after": "etcd-join", "hang": true, "times": 1}}))?;
        world.run_up(4)?;
        world.until_kubeadm_fault(4)?;
        // They are gone by EC2's word, and their disks are kept.
        for node in [3, 4] {
            world.cut_power(node)?;
            world.ask(&["ec2-state", &node.to_string(), "terminated"])?;
        }
        world.restore(2, &["--latest", "--yes"], 0)?;
        world.kubeadm_fault(1, &serde_json::json!({"init": {"after": "control-plane", "hang": true, "times": 1}}))?;
        world.run_up(1)?;
        world.until_kubeadm_fault(1)?;
        world.ask(&["ec2-state", "3", "running"])?;
        world.boot(3, true)?;
        let stopped = world.up_ended(3)?;
        ensure!(stopped == 6, "it ended with {stopped}: {}", world.log(3)?);
        ensure!(world.member_folder(3)?.exists(), "its data is gone");
        let alive = world
            .processes(3)?
            .into_iter()
            .filter(|process| process.argv.iter().any(|word| word.contains("etcd")))
            .count();
        ensure!(alive == 0, "its etcd runs");
        world.kill_program(1, "kubeboot")?;
        ensure!(world.up_ended(1)? != 0, "it was not killed");
        world.run_up(2)?;
        world.run_up(1)?;
        world.all_up(&[1, 2])?;
        world.are_restored(&before, &[1, 2])?;
        // Nobody ever asked the one that had never joined for anything: it joins, and what it had is moved aside.
        world.ask(&["ec2-state", "4", "running"])?;
        world.boot(4, true)?;
        world.all_up(&[4])?;
        world.has_moved_aside(4)?;
        // So does a new machine with the old one's disk.
        world.ask(&["launch", "--no-up"])?;
        world.cut_power(3)?;
        for path in ["/etc/kubernetes", "/var/lib/etcd", "/var/lib/kubeboot"] {
            world.copy_to(3, path, 5)?;
        }
        world.run_up(5)?;
        world.all_up(&[5])?;
        world.has_moved_aside(5)?;
        ensure!(world.member_folder(3)?.exists(), "its data is gone");
        world.are_restored(&before, &[1, 2, 4, 5])?;
        world.kept_one_line()
    })
}

impl World {
    /// Fails unless a machine has kept the data of an earlier cluster beside that of its member.
    fn has_moved_aside(&self, node: usize) -> Result<()> {
        let folder = self.disk(node)?.join("var/lib/etcd");
        ensure!(folder.join("member/wal").exists(), "node {node} is no member");
        ensure!(folder.join("kubeboot-aside/wal").exists(), "the data of node {node} is gone");
        ensure!(!folder.join("kubeboot-aside-2").exists(), "there is more than node {node} had");
        Ok(())
    }
}

/// The record of a saved cluster, as `kubeboot restore` has written it, put back whatever came of it.
pub fn begin_anew(world: &World, saved: &Value, nodes: &[usize]) -> Result<()> {
    for node in nodes {
        world.ask(&["replace-root", &node.to_string(), "--no-up"])?;
        if let Ok(key) = world.registration_key(*node) {
            let _ = world.remove(&key);
        }
    }
    world.put(RECORD, saved.to_string())
}
