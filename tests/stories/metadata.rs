//! The instance metadata service: late, incomplete, gone.

use crate::support::World;
use anyhow::Result;

#[test]
fn a_late_metadata_service_is_waited_for() -> Result<()> {
    World::of(1).option("--imds", "late=4").tell(|world| {
        world.until_logged(1, "waiting for IMDS")?;
        world.all_up(&[1])?;
        world.is_one_control_plane(&[1])
    })
}

#[test]
fn without_a_metadata_service_nothing_is_done() -> Result<()> {
    World::of(1).without_up().set("claim_ttl", "3s").set("lease_ttl", "3s").set("deadline", "4s").tell(|world| {
        for mode in ["gone", "late=1000", "silent=1000", "missing=dynamic/*"] {
            world.ask(&["imds", "1", mode])?;
            let words = ["IMDS", "gave up", "kubeboot runs on EC2 instances only"];
            world.refuses(1, &["kubeboot", "up"], 3, &words)?;
        }
        Ok(())
    })
}

#[test]
fn a_machine_without_a_name_says_which_setting_names_it() -> Result<()> {
    World::of(1).without_up().tell(|world| {
        world.ask(&["imds", "1", "missing=meta-data/local-hostname"])?;
        world.refuses(1, &["kubeboot", "up"], 2, &["private DNS name", "node_name"]).map(drop)
    })
}
