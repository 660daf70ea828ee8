//! Commands at a terminal, and the person who sits there.

use super::command::{self, Ended, Running};
use super::world::{RUN, World};
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::process::ChildStdin;

/// A command at a terminal of its own, made by script(1), which ends with this as with a connection that is lost.
pub struct Terminal<'a> {
    world: &'a World,
    running: Running,
    keyboard: ChildStdin,
}

impl World {
    /// Starts a command on a machine, as a person does who has logged in.
    pub fn at_a_terminal(&self, node: usize, argv: &[&str]) -> Result<Terminal<'_>> {
        let line = self.command(&[&["node", &node.to_string(), "--"], argv].concat()).join(" ");
        let script = ["script", "--quiet", "--flush", "--return", "--command", &line, "/dev/null"];
        let (running, keyboard) = command::start_with_keyboard(&script)?;
        Ok(Terminal { world: self, running, keyboard })
    }
}

impl Terminal<'_> {
    /// Waits until the screen shows this text; fails if the command ends before.
    pub fn until_shown(&mut self, text: &str) -> Result<()> {
        self.world.until(&format!("the screen shows '{text}'"), RUN, || {
            let runs = self.running.runs()?;
            let screen = self.running.printed()?;
            ensure!(runs || screen.contains(text), "it ended without '{text}': {screen}");
            Ok(screen.contains(text).then_some(()))
        })
    }

    /// Types a line, and waits for the end of the command.
    pub fn types(mut self, line: &str) -> Result<Ended> {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).context("failed to type")?;
        self.running.wait(RUN)
    }

    /// Types the end of the input, Ctrl-D, and waits for the end of the command.
    pub fn types_no_more(self) -> Result<Ended> {
        drop(self.keyboard);
        self.running.wait(RUN)
    }
}
