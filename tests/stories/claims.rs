//! The claim that made the cluster, as etcd and a `ConfigMap` keep it: somebody may delete either.

use crate::support::World;
use crate::support::etcd::{CLAIM, CONFIG_MAP};
use anyhow::{Context, Result, ensure};

#[test]
fn a_claim_that_somebody_deleted_from_the_cluster_is_written_anew_and_stops_nobody() -> Result<()> {
    World::of(2).tell_after_the_first(|world| {
        let claim = world.record()?["claim_id"].as_str().context("a claim")?.to_owned();
        let there = |what: &str| {
            let (key, map) = (world.etcd_value(1, CLAIM)?, world.etcd_value(1, CONFIG_MAP)?);
            ensure!(key == claim && map.contains(&claim), "{what}: the key is '{key}', the ConfigMap '{map}'");
            Ok(())
        };
        there("after the init")?;
        let delete = || [CLAIM, CONFIG_MAP].into_iter().try_for_each(|key| world.etcdctl(1, &["del", key]).map(drop));
        delete()?;
        let again = world.on(1, &["kubeboot", "up"])?;
        ensure!(again.code == 0, "'kubeboot up' ended with {}: {}", again.code, again.text());
        there("after a run on a member")?;
        delete()?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        there("after a join")?;
        world.is_one_control_plane(&[1, 2])
    })
}
