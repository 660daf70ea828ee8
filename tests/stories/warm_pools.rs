//! A worker that its group puts back into its warm pool, takes out of it again without a boot, and terminates in there.

use crate::support::World;
use crate::support::workers::{LAUNCH, TERMINATE};
use crate::support::world::RUN;
use anyhow::{Result, ensure};
use std::fs;

const COMPLETE: &str = "CompleteLifecycleAction";

#[test]
fn a_worker_goes_into_its_warm_pool_comes_out_of_it_without_a_boot_and_is_drained_when_it_ends_there() -> Result<()> {
    World::of(1).with_workers(1).tell_after_the_first(|world| {
        world.publish_for_workers()?;
        world.run_up(2)?;
        world.all_up(&[2])?;
        let agent = world.start_agent(2)?;
        world.until_agent_says(&agent, "watching: IMDS says InService")?;
        // The group scales in, and would have it again.
        world.ask(&["lifecycle", "2", "Warmed:Pending:Wait"])?;
        world.until_agent_says(&agent, "this machine may go back into its group's warm pool")?;
        ensure!(world.lifecycle(2)? == "Warmed:Running", "its hook was not answered: {}", world.lifecycle(2)?);
        ensure!(world.node_of(2)?["spec"]["unschedulable"].is_null(), "it is not terminated");
        // An agent that is started anew knows that the machine was in the pool.
        drop(agent);
        world.ask(&["lifecycle", "2", "Pending:Wait"])?;
        let agent = world.start_agent(2)?;
        world.until_agent_says(&agent, "this machine has left its group's warm pool without a boot")?;
        world.until("kubeboot.service is restarted", RUN, || {
            let log = fs::read_to_string(world.root(2)?.join("run/standin/systemctl.log"))?;
            Ok(log.lines().any(|line| line.contains("restart") && line.contains("kubeboot.service")).then_some(()))
        })?;
        // What the unit runs.
        world.run_up(2)?;
        world.all_up(&[2])?;
        ensure!(world.lifecycle(2)? == "InService", "its launch hook was not answered: {}", world.lifecycle(2)?);
        let answered = |hook: &str| -> Result<usize> {
            let calls = world.hook_calls(COMPLETE, 2)?;
            Ok(calls.iter().filter(|call| call["hook"] == hook && call["result"] == "CONTINUE").count())
        };
        ensure!(answered(LAUNCH)? == 2, "it was waited for twice");
        ensure!(answered(TERMINATE)? >= 1, "it was not let into the pool");
        world.ask(&["lifecycle", "2", "Warmed:Terminating:Wait"])?;
        world.until_agent_says(&agent, "this machine is being terminated (target state Warmed:Terminated)")?;
        world.until_agent_says(&agent, "it is drained")?;
        world.until_terminated(2, &agent)
    })
}
