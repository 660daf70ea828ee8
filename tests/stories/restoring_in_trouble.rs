//! What keeps a saved cluster from being restored: each is told in words of its own, nothing is half done, and the cluster comes back once
//! it is gone.

use crate::restoring::restorable;
use crate::support::World;
use crate::support::crash;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Where a machine fetches the snapshot to, and where etcd's data lies: a volume of its own each.
const FETCHED: &str = "/var/lib/kubeboot/restore";
const DATA: &str = "/var/lib/etcd";
/// More than is asked for before anything is written, and hardly anything.
const LARGE: &str = "size=500m";
const FULL: &str = "size=16k";

impl World {
    /// Gives a machine a volume in memory.
    fn mount_volume(&self, node: usize, place: &str) -> Result<()> {
        self.must_run(node, &["mkdir", "-p", place])?;
        self.must_run(node, &["mount", "-t", "tmpfs", "-o", LARGE, "volume", place])
    }

    /// Has a volume in memory be of another size.
    fn resize_volume(&self, node: usize, place: &str, size: &str) -> Result<()> {
        self.must_run(node, &["mount", "-o", &format!("remount,{size}"), place])
    }

    fn must_run(&self, node: usize, words: &[&str]) -> Result<()> {
        let ended = self.on(node, words)?;
        ensure!(ended.code == 0, "'{}' failed: {}", words.join(" "), ended.text());
        Ok(())
    }

    /// Fails unless nobody has claimed to restore, and a machine has begun nothing.
    fn has_begun_nothing(&self, node: usize, saved: &Value) -> Result<()> {
        ensure!(self.record()? == *saved, "the record has changed: {}", self.record()?);
        let root = self.root(node)?;
        for path in ["var/lib/etcd/member", "etc/kubernetes/pki", "etc/kubernetes/manifests/etcd.yaml"] {
            ensure!(!root.join(path).exists(), "there is '{path}'");
        }
        let restored = root.join("var/lib/kubeboot/restore/snapshot.db");
        ensure!(!restored.exists(), "the snapshot is on the disk");
        Ok(())
    }

    /// Ends the `up` of a machine, which has nothing to do yet.
    fn end_up(&self, node: usize) -> Result<()> {
        self.kill_program(node, "kubeboot")?;
        ensure!(self.up_ended(node)? != 0, "it was not killed");
        Ok(())
    }
}

#[test]
fn what_keeps_a_cluster_from_being_restored_is_told_changes_nothing_and_may_pass() -> Result<()> {
    restorable(2).option("--binary", &crash::binary()?).tell(|world| {
        let before = world.save_a_cluster_of(2)?;
        world.lose(2)?;
        for place in [FETCHED, DATA] {
            world.mount_volume(1, place)?;
        }
        let keys = world.manifest_keys()?;
        let manifest = keys.first().context("there is no snapshot")?;

        // A snapshot of another cluster is never chosen, and refused where it is named.
        let told = world.object(manifest)?;
        let mut other = told.clone();
        other["kube_system_uid"] = json!("00000000-0000-4000-8000-000000000001");
        world.put(manifest, other.to_string())?;
        let named = world.restore(1, &["--snapshot", manifest, "--yes"], 2)?;
        ensure!(named.stderr.contains("the snapshot is of another cluster"), "{}", named.text());
        let latest = world.restore(1, &["--latest", "--yes"], 2)?;
        ensure!(latest.stderr.contains("there is no snapshot of this cluster to choose"), "{}", latest.text());
        world.has_begun_nothing(1, &before)?;
        world.put(manifest, told.to_string())?;
        world.restore(1, &["--latest", "--yes"], 0)?;
        let saved = world.record()?;

        // The image has an older Kubernetes than the cluster that was saved.
        world.pretend(1, "STANDIN_KUBEADM_VERSION", "v1.35.4")?;
        world.run_up(1)?;
        world.until_logged(
            1,
            "the snapshot is of Kubernetes 1.36, this image has 1.35: launch machines from an image",
        )?;
        world.has_begun_nothing(1, &saved)?;
        world.end_up(1)?;
        world.pretend(1, "STANDIN_KUBEADM_VERSION", "v1.36.1")?;

        // S3 gives the first half of the snapshot, and denies the rest.
        let fetches = ["--service", "s3", "--action", "GetObject", "--key", "*.db.zst"];
        world.fault("truncate", &[&fetches[..], &["--times", "1"]].concat())?;
        world.fault("error=403/AccessDenied", &[&fetches[..], &["--times", "1"]].concat())?;
        world.run_up(1)?;
        world.until_logged(1, "allow 's3:GetObject'")?;
        world.has_begun_nothing(1, &saved)?;
        world.end_up(1)?;
        world.every_fault_was_met()?;
        world.ask(&["fault", "clear"])?;

        // There was room for it, and is none when it comes.
        world.fault("hang", &fetches)?;
        world.run_up(1)?;
        world.until("it fetches", RUN, || Ok(world.has_met_a_fault()?.then_some(())))?;
        world.resize_volume(1, FETCHED, FULL)?;
        world.ask(&["fault", "clear"])?;
        world.until_logged(1, "No space left on device")?;
        world.has_begun_nothing(1, &saved)?;
        world.end_up(1)?;
        world.resize_volume(1, FETCHED, LARGE)?;

        // The same of the disk with etcd's data, once this machine has claimed: nothing is made of what there is.
        let point = "bundle-installed";
        let up = world.start_up_pausing(1, point)?;
        world.until_agent_says(&up, &format!("stopped at {point}"))?;
        world.resize_volume(1, DATA, FULL)?;
        up.go_on()?;
        world.until_agent_says(&up, "'etcdutl snapshot restore' failed")?;
        world.resize_volume(1, DATA, LARGE)?;
        let record = world.record()?;
        ensure!(record["phase"] == "initializing" && record["snapshot"] == saved["snapshot"], "{record}");
        let inits = world.kubeadm()?.into_iter().filter(|command| command.argv[0] == "init").count();
        ensure!(inits == 1, "kubeadm init ran over nothing: {:?}", world.kubeadm()?);
        drop(up);
        world.run_up(1)?;
        world.all_up(&[1])?;
        world.are_restored(&before, &[1])?;
        world.kept_one_line()
    })
}
