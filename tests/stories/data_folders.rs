//! What lies in etcd's data folder and is not etcd's: it is told before anything begins, and never removed.

use crate::support::World;
use anyhow::{Result, ensure};
use serde_json::json;
use std::fs;

const UP: [&str; 2] = ["kubeboot", "up"];

#[test]
fn what_is_not_etcds_is_refused_before_the_claim_and_never_removed() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        let folder = world.disk(1)?.join("var/lib/etcd");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("notes.txt"), "somebody's")?;
        world.refuses(1, &UP, 6, &["/var/lib/etcd", "notes.txt", "dataDir"])?;
        ensure!(world.check(1, &[], || Ok(()))?.text().contains("notes.txt"), "'kubeboot check' does not say so");
        ensure!(!world.keys()?.iter().any(|key| key.ends_with("cluster.json")), "it has claimed: {:?}", world.keys()?);
        ensure!(fs::read(folder.join("notes.txt"))? == b"somebody's", "the file was changed");
        fs::remove_file(folder.join("notes.txt"))?;

        // What comes with a file system stays, and what is mounted there. An init that failed is wiped beside it.
        fs::create_dir(folder.join("lost+found"))?;
        let mount = ["mount", "-t", "tmpfs", "none", "/var/lib/etcd/lost+found"];
        let mounted = world.on(1, &mount)?;
        ensure!(mounted.code == 0, "{}", mounted.text());
        fs::write(world.root(1)?.join("var/lib/etcd/lost+found/found"), "somebody's")?;
        world.kubeadm_fault(1, &json!({"init": {"after": "etcd", "exit": 1, "times": 1}}))?;
        world.run_up(1)?;
        world.all_up(&[1])?;
        ensure!(world.kubeadm()?.iter().any(|command| command.argv[0] == "reset"), "nothing was wiped");
        ensure!(fs::read(world.root(1)?.join("var/lib/etcd/lost+found/found"))? == b"somebody's", "it was removed");
        ensure!(folder.join("lost+found").exists(), "the folder was removed");
        world.is_one_control_plane(&[1])
    })
}

#[test]
fn a_machine_whose_documents_name_another_data_folder_than_the_clusters_does_not_join() -> Result<()> {
    World::of(2).tell_after_the_first(|world| {
        let documents =
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\netcd: {local: {dataDir: /data/etcd}}\n";
        fs::write(world.disk(2)?.join("etc/kubeboot/other.yaml"), documents)?;
        let up = ["kubeboot", "--kubeadm-config", "/etc/kubeboot/other.yaml", "up"];
        world.refuses(
            2,
            &up,
            2,
            &["etcd.local.dataDir", "/data/etcd", "/var/lib/etcd", "write what the cluster has"],
        )?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        world.is_one_control_plane(&[1, 2])
    })
}
