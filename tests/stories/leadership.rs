//! etcd's leader leaves: another member leads before it goes, and it goes whether that works or not.

use crate::support::World;
use crate::support::command::{Ended, Running};
use crate::support::crash;
use crate::support::leaving::LEFT;
use crate::support::world::RUN;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

/// What the log says where the leadership could not be handed over.
const NOT_MOVED: &str = "writes may stop for a second or two";

#[test]
fn a_leader_that_leaves_has_another_one_lead_first() -> Result<()> {
    World::of(3).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.make_lead(&[1, 2, 3], 1)?;
        let foretold = world.foretold(2, &[])?.stdout;
        ensure!(!foretold.contains("move-leader:"), "it does not lead: {foretold}");
        world.make_lead(&[1, 2, 3], 2)?;
        let foretold = world.foretold(2, &[])?.stdout;
        let next = successor(&foretold, &[(1, world.member(1)?.0), (3, world.member(3)?.0)])?;
        ensure!(world.leads(2)?, "asking what it would do has moved the leadership");
        let left = world.goes_down(2, "poweroff")?;
        left.is(LEFT, &["another voter leads etcd now"])?;
        ensure!(!left.output.contains(NOT_MOVED), "{}", left.output);
        world.has_left(2, &[1, 3])?;
        ensure!(world.leads(next)?, "node {next} was to lead: {}", left.output);
        // By the word of who leads now, it did so before it removed the member.
        let log = std::fs::read_to_string(world.root(next)?.join("run/standin/logs/etcd.log"))?;
        let at =
            |words: &str| log.rfind(words).with_context(|| format!("the etcd of node {next} does not say '{words}'"));
        ensure!(at("received MsgTimeoutNow")? < at("removed member")?, "removed first, and then moved");
        Ok(())
    })
}

#[test]
fn a_leader_whose_handing_over_is_refused_leaves_all_the_same() -> Result<()> {
    World::of(3).option("--binary", &crash::binary()?).tell(|world| {
        world.all_up(&[1, 2, 3])?;
        world.make_lead(&[1, 2, 3], 2)?;
        let leaving = leaves_until_it_hands_over(world, 2)?;
        // It leads no more, so that its etcd refuses to hand over what it has not.
        world.make_lead(&[1, 2, 3], 3)?;
        let ended = goes_on(leaving)?;
        ensure!(ended.text().contains(NOT_MOVED), "{}", ended.text());
        ensure!(ended.text().contains("etcdserver: not leader"), "{}", ended.text());
        world.has_left(2, &[1, 3])
    })
}

#[test]
fn a_leader_whose_handing_over_hangs_leaves_all_the_same() -> Result<()> {
    World::of(4).option("--binary", &crash::binary()?).tell(|world| {
        world.all_up(&[1, 2, 3, 4])?;
        world.make_lead(&[1, 2, 3, 4], 2)?;
        let members = [(1, world.member(1)?.0), (3, world.member(3)?.0), (4, world.member(4)?.0)];
        let next = successor(&world.foretold(2, &["--now"])?.stdout, &members)?;
        let leaving = leaves_until_it_hands_over(world, 2)?;
        world.signal_program(next, "etcd", Signal::STOP)?;
        let ended = goes_on(leaving)?;
        ensure!(ended.text().contains(NOT_MOVED), "{}", ended.text());
        world.signal_program(next, "etcd", Signal::CONT)?;
        world.has_left(2, &[1, 3, 4])
    })
}

/// The machine that is to lead, by the plan.
fn successor(foretold: &str, members: &[(usize, u64)]) -> Result<usize> {
    let line = foretold.lines().position(|line| line.trim().starts_with("move-leader:"));
    let removal = foretold.lines().position(|line| line.trim().starts_with("remove-member:"));
    let (line, removal) = line.zip(removal).with_context(|| format!("the plan lacks a step: {foretold}"))?;
    ensure!(line + 1 == removal, "another step lies between them: {foretold}");
    let line = foretold.lines().nth(line).unwrap_or_default();
    let found = members.iter().find(|(_, id)| line.contains(&format!(" {id:x} ")));
    found.map(|(node, _)| *node).with_context(|| format!("none of {members:x?}: {line}"))
}

/// Starts `kubeboot reset --now` on a machine that leads, to stand still before it asks its etcd to hand over.
fn leaves_until_it_hands_over(world: &World, node: usize) -> Result<Running> {
    let words = ["env", "KUBEBOOT_STOP_AT=pause:leader-known", "kubeboot", "reset", "--now", "--yes"];
    let leaving = world.start_on(node, &words)?;
    world.until("it is about to hand over", RUN, || Ok(leaving.said()?.contains("stopped at").then_some(())))?;
    Ok(leaving)
}

fn goes_on(leaving: Running) -> Result<Ended> {
    leaving.go_on()?;
    let ended = leaving.wait(RUN)?;
    ensure!(i64::from(ended.code) == LEFT, "{}", ended.text());
    Ok(ended)
}
