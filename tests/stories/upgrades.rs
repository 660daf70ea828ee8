//! Kubernetes upgraded by machines of a newer image: who may join whom, and who raises the version of the cluster.

use crate::support::World;
use crate::support::upgrades::{ETCD, NEW, OLD, PATCH, upgradable};
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use rustix::process::Signal;

#[test]
fn two_machines_of_a_newer_image_at_once_raise_the_version_once_and_an_older_one_comes_too_late() -> Result<()> {
    upgradable(2).tell(|world| {
        world.all_up(&[1, 2])?;
        world.keep_a_word(1)?;
        world.image(NEW)?;
        let newer = [world.launch(true)?, world.launch(true)?];
        world.all_up(&newer)?;
        let [third, fourth] = newer;
        world.are_of(&[(1, OLD), (2, OLD), (third, NEW), (fourth, NEW)])?;
        world.have_the_word(&[1, 2, third, fourth])?;
        ensure!(world.cluster_version(1)? == NEW, "{}", world.cluster_version(1)?);
        ensure!(world.raised(&newer, OLD, NEW)? == 1, "not exactly one of them has raised it");
        let told = newer.map(|node| Ok(world.registration(node)?["upgraded"].clone()));
        let told: Vec<_> = told.into_iter().collect::<Result<_>>()?;
        let tells = |each: &&serde_json::Value| each["from"] == OLD && each["to"] == NEW;
        ensure!(told.iter().filter(tells).count() == 1, "who raised it does not say so: {told:?}");

        // One of before, of which the group knew for long.
        world.image(OLD)?;
        let late = world.launch(false)?;
        let written = world.cluster_version_written(1)?;
        let names = [format!("image is of Kubernetes {OLD}"), format!("the cluster is {NEW}")];
        let words = [&names[0], &names[1], "which an older machine may not join"];
        world.refuses(late, &["kubeboot", "up"], 6, &words)?;
        world.are_the_voters(&[1, 2, third, fourth])?;
        ensure!(world.cluster_version_written(1)? == written, "the refused machine wrote the cluster's configuration");
        let status = world.on(1, &["kubeboot", "status"])?;
        ensure!(status.says(words[2]), "nobody sees why it does not come: {}", status.text());
        // It looks again, and has a newer image by then.
        world.pretend(late, "STANDIN_KUBEADM_VERSION", NEW)?;
        world.run_up(late)?;
        world.all_up(&[late])?;
        ensure!(world.served(late)? == NEW, "it serves {}", world.served(late)?);
        world.are_whole(&[1, 2, third, fourth, late])
    })
}

#[test]
fn an_image_that_does_not_fit_is_refused_before_anything_is_touched() -> Result<()> {
    upgradable(2).tell_after_the_first(|world| {
        let written = world.cluster_version_written(1)?;
        let up = ["kubeboot", "up"];
        let off = ["env", "KUBEBOOT_KUBERNETES_UPGRADE=off", "kubeboot", "up"];
        let minors = "upgraded by one minor version at a time";
        let pieces = "make an image with both of one version";
        let (old_etcd, older_etcd) = ("3.5.29-0", "etcd never gets older");
        let rows: [(&[&str], [&str; 3], [&str; 3]); 6] = [
            (&up, ["v1.37.0", "v1.37.0", ETCD], ["v1.37.0", OLD, minors]),
            (&up, ["v1.34.9", "v1.34.9", ETCD], ["v1.34.9", OLD, "an older machine may not join"]),
            (&up, [NEW, OLD, ETCD], [NEW, OLD, pieces]),
            (&up, [NEW, "v1.36.2", ETCD], [NEW, "v1.36.2", pieces]),
            (&up, [NEW, NEW, old_etcd], ["3.5.29", "3.5.30", older_etcd]),
            (&off, [NEW, NEW, ETCD], [NEW, OLD, "upgrade the cluster first"]),
        ];
        for (command, [kubeadm, kubelet, etcd], words) in rows {
            world.pretend(2, "STANDIN_KUBEADM_VERSION", kubeadm)?;
            world.pretend(2, "STANDIN_KUBELET_VERSION", kubelet)?;
            world.pretend(2, "STANDIN_ETCD_IMAGE", etcd)?;
            world.refuses(2, command, 6, &words)?;
            ensure!(world.cluster_version_written(1)? == written, "{words:?}: the cluster's configuration was written");
        }
        world.are_the_voters(&[1])?;
        // A patch of the same minor version that nobody may raise joins as ever, as the cluster is.
        world.pretend(2, "STANDIN_KUBEADM_VERSION", PATCH)?;
        world.pretend(2, "STANDIN_KUBELET_VERSION", PATCH)?;
        let joined = world.on(2, &off)?;
        ensure!(joined.code == 0, "{}", joined.text());
        ensure!(world.cluster_version(1)? == OLD && world.served(2)? == OLD, "{}", world.cluster_version(1)?);
        Ok(())
    })
}

#[test]
fn an_etcd_beside_which_a_newer_one_must_not_run_stops_the_upgrade() -> Result<()> {
    // This computer's etcd is older than 3.5.26, and a newer kubeadm's image has 3.6.
    World::of(2).option("--kubernetes", OLD).set("kubernetes_upgrade", "by-image").tell_after_the_first(|world| {
        world.pretend(2, "STANDIN_KUBEADM_VERSION", NEW)?;
        world.refuses(2, &["kubeboot", "up"], 6, &["etcd 3.6.8", "may come back", "3.5.26 first"])?;
        ensure!(world.cluster_version(1)? == OLD, "{}", world.cluster_version(1)?);
        world.are_the_voters(&[1])
    })
}

#[test]
fn whoever_is_silent_or_dead_in_the_middle_is_waited_for_by_name() -> Result<()> {
    upgradable(2).set("gone_grace", "2s").tell(|world| {
        world.all_up(&[1, 2])?;
        let written = world.cluster_version_written(1)?;
        world.image(NEW)?;
        world.signal_program(2, "apiserver", Signal::STOP)?;
        let third = world.launch(true)?;
        let silent = format!("before the cluster's version is raised; silent: {}", world.id(2)?);
        world.until_logged(third, &silent)?;
        ensure!(world.cluster_version_written(1)? == written, "the cluster's configuration was written");
        world.are_the_voters(&[1, 2])?;
        world.signal_program(2, "apiserver", Signal::CONT)?;
        world.all_up(&[third])?;
        // Two of three are left, one of each version, which may stay so.
        world.ask(&["kill", "2"])?;
        let written = world.cluster_version_written(1)?;
        let fourth = world.launch(true)?;
        let (dead, address) = (world.id(2)?, world.address(2, "address")?);
        let waits = world.until("it waits for the dead one by name", RUN, || {
            let log = world.log(fourth)?;
            Ok(log.lines().rev().find(|line| line.contains(&dead) || line.contains(&address)).map(str::to_owned))
        })?;
        println!("{waits}");
        ensure!(world.cluster_version_written(1)? == written, "the cluster's configuration was written");
        world.are_the_voters_known(3, &[1, third])?;
        ensure!((world.served(1)?, world.served(third)?) == (OLD.to_owned(), NEW.to_owned()), "they are others");
        world.ask(&["terminate", "2"])?;
        world.all_up(&[fourth])?;
        world.are_of(&[(1, OLD), (third, NEW), (fourth, NEW)])
    })
}
