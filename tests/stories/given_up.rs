//! What a machine is given up for at launch, where the settings say so: its own failure, and nothing that the next machine meets, too.

use crate::support::World;
use crate::support::plan::WorldPlan;
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use serde_json::json;

/// A machine in the launch hook, which it is to abandon when it fails.
fn abandoning() -> WorldPlan {
    let plan = World::of(1).without_up().option("--launch-hook", "join").set("launch_hook", "join");
    plan.set("launch_hook_on_failure", "abandon").set("claim_ttl", "3s").set("lease_ttl", "3s")
}

/// What the group was told to do with a launch hook.
fn answers(world: &World) -> Result<Vec<String>> {
    let calls = world.journal("events")?.into_iter().filter(|event| event["event"] == "hook-call");
    let results = calls.filter_map(|call| call["result"].as_str().map(str::to_owned));
    // A heartbeat has none.
    Ok(results.filter(|result| !result.is_empty()).collect())
}

#[test]
fn a_machine_is_given_up_for_its_own_kubeadm_and_not_for_what_the_next_one_meets_too() -> Result<()> {
    abandoning().tell(|world| {
        let shared: [(&[&str], &str); 2] = [
            (&["--endpoint", "api.nowhere.invalid:6443"], "the endpoint's name 'api.nowhere.invalid' to resolve"),
            (&["--expected-size", "2"], "the group to settle: 1 candidates, 2 expected"),
        ];
        for (options, waits) in shared {
            let argv = [&["kubeboot", "up", "--deadline", "15s"], options].concat();
            world.refuses(1, &argv, 3, &["gave up after 15 s", waits])?;
            ensure!(answers(world)?.is_empty(), "the hook was answered: {:?}", answers(world)?);
        }
        world.kubeadm_fault(1, &json!({"init": {"after": "preflight", "exit": 1}}))?;
        // Having stepped down, it does not come to its next turn.
        let options = ["--init-attempts", "1", "--claim-stagger", "1m", "--deadline", "20s"];
        let _up = world.start_on(1, &[&["kubeboot", "up"], &options[..]].concat())?;
        world.until("the hook to be abandoned", RUN, || {
            Ok(answers(world)?.contains(&"ABANDON".to_owned()).then_some(()))
        })?;
        ensure!(answers(world)? == ["ABANDON"], "{:?}", answers(world)?);
        Ok(())
    })
}
