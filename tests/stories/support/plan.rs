//! How a story's world is to be, and the telling of the story in it.

use super::slots::Slots;
use super::world::World;
use anyhow::Result;
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// Before the first of these, there is room for the IDs of machines that arrive later and rank first all the same.
const LATER: usize = 0x1000;

/// A world that has not started yet. Instance IDs count upwards, so that node 1 ranks first, then node 2.
#[derive(Clone)]
pub struct WorldPlan {
    /// How many machines it counts as while others want to run.
    places: usize,
    options: Vec<String>,
}

impl WorldPlan {
    /// Machines that boot at once and run `kubeboot up`.
    pub fn of(nodes: usize) -> Self {
        let ids: Vec<String> = (1..=nodes).map(|node| format!("i-{:017x}", LATER + node)).collect();
        Self { places: nodes, options: Vec::new() }
            .option("--nodes", &nodes.to_string())
            .option("--ids", &ids.join(","))
    }

    /// An option of `dev/world up` with its value.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// An option of `dev/world up` without a value.
    pub fn flag(mut self, name: &str) -> Self {
        self.options.push(name.to_owned());
        self
    }

    /// A setting of every machine.
    pub fn set(self, name: &str, value: &str) -> Self {
        self.option("--set", &format!("{name}={value}"))
    }

    /// An environment variable of every machine.
    pub fn env(self, name: &str, value: &str) -> Self {
        self.option("--env", &format!("{name}={value}"))
    }

    /// kubeadm documents for every machine.
    pub fn kubeadm_config(self, file: &Path) -> Self {
        self.option("--kubeadm-config", &file.display().to_string())
    }

    /// The machines boot, but nothing runs `kubeboot up`.
    pub fn without_up(self) -> Self {
        self.flag("--no-up")
    }

    /// The story is minutes long, and nothing happens in most of it: it keeps others from running as one machine would.
    pub fn that_waits(self) -> Self {
        Self { places: 1, ..self }
    }

    /// Tells a story that begins with machine 1 as a cluster of its own; nothing has run on the others.
    pub fn tell_after_the_first(self, story: impl FnOnce(&World) -> Result<()>) -> Result<()> {
        self.without_up().set("expected_size", "1").set("settle_timeout", "1s").tell(|world| {
            world.run_up(1)?;
            world.all_up(&[1])?;
            story(world)
        })
    }

    /// The same for a join that was cut short: that of machine 2, which hangs after this phase when the story begins.
    pub fn tell_in_a_join(self, phase: &str, story: impl FnOnce(&World) -> Result<()>) -> Result<()> {
        self.tell_after_the_first(|world| {
            world.kubeadm_fault(2, &json!({"join": {"after": phase, "hang": true, "times": 1}}))?;
            world.run_up(2)?;
            world.until_kubeadm_fault(2)?;
            story(world)
        })
    }

    /// Starts the world, tells the story in it, and ends the world. When the story fails, the logs are printed.
    pub fn tell(self, story: impl FnOnce(&World) -> Result<()>) -> Result<()> {
        let slots = Slots::take(self.places);
        let begun = Instant::now();
        let mut world = World::start(&self.options)?;
        story(&world)?;
        world.ends_well();
        drop(world);
        drop(slots);
        let name = std::thread::current().name().unwrap_or("a story").to_owned();
        println!("took {:.1} s: {name}", begun.elapsed().as_secs_f64());
        Ok(())
    }
}
