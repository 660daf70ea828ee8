//! One machine from the outside: its processes, its files, and the faults of its kubeadm.

use super::world::{RUN, World};
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A process of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pid: Pid,
    /// Its arguments, the program first.
    pub argv: Vec<String>,
}

impl World {
    /// The folder that holds a machine's disk.
    pub fn disk(&self, node: usize) -> Result<PathBuf> {
        Ok(self.path("nodes").join(self.id(node)?).join("disk"))
    }

    /// A machine's root as its processes see it: the disk, and what lies in memory.
    pub fn root(&self, node: usize) -> Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}/root", self.init(node)?)))
    }

    /// Has the stand-in for kubeadm fail or hang on a machine: see `tests/world/standin/faults.py`.
    pub fn kubeadm_fault(&self, node: usize, fault: &Value) -> Result<()> {
        let text = if fault.is_null() { String::new() } else { fault.to_string() };
        self.ask(&["standin-fault", &node.to_string(), &text]).map(drop)
    }

    /// Waits until a machine's kubeadm has run into a fault that was ordered with `times`.
    pub fn until_kubeadm_fault(&self, node: usize) -> Result<()> {
        let used = self.root(node)?.join("run/standin/faults.used");
        self.until(&format!("kubeadm of node {node} runs into the fault"), RUN, || Ok(used.exists().then_some(())))
    }

    /// Sets a variable of the stand-ins on a machine until its power goes.
    pub fn pretend(&self, node: usize, name: &str, value: &str) -> Result<()> {
        // Replaced whole: a stand-in may be reading it.
        let file = self.root(node)?.join("run/standin.env");
        let new = file.with_extension("new");
        let text = std::fs::read_to_string(&file)? + &format!("{name}={value}\n");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &file))
            .with_context(|| format!("failed to set {name} of node {node}"))
    }

    /// The processes of a machine.
    pub fn processes(&self, node: usize) -> Result<Vec<Process>> {
        let space = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let wanted = space(&self.init(node)?).with_context(|| format!("node {node} is off"))?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(pid) = name.parse().ok().and_then(Pid::from_raw) else { continue };
            if space(&name).as_ref() == Some(&wanted) {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
                found.push(Process { pid, argv: words.collect() });
            }
        }
        Ok(found)
    }

    /// SIGKILL to every process of a machine that runs this program (`kubeboot`, `kubeadm`); there must be one.
    pub fn kill_program(&self, node: usize, program: &str) -> Result<()> {
        self.signal_program(node, program, Signal::KILL)
    }

    /// A signal to every process of a machine that runs this program; there must be one.
    pub fn signal_program(&self, node: usize, program: &str, signal: Signal) -> Result<()> {
        self.signal_those(node, program, |_| true, signal)
    }

    /// The same, to those alone that have this word among their arguments.
    pub fn signal_program_with(&self, node: usize, program: &str, word: &str, signal: Signal) -> Result<()> {
        self.signal_those(node, program, |argv| argv.iter().any(|found| found == word), signal)
    }

    fn signal_those(
        &self,
        node: usize,
        program: &str,
        which: impl Fn(&[String]) -> bool,
        signal: Signal,
    ) -> Result<()> {
        let mut found = self.processes(node)?;
        found.retain(|process| process.runs(program) && which(&process.argv));
        ensure!(!found.is_empty(), "no {program} runs on node {node}");
        for process in found {
            kill_process(process.pid, signal).with_context(|| format!("failed to signal {process:?}"))?;
        }
        Ok(())
    }

    /// Cuts a machine's power in this very moment.
    pub fn cut_power(&self, node: usize) -> Result<()> {
        let init = self.init(node)?.parse().ok().and_then(Pid::from_raw).context("a machine's init has a number")?;
        kill_process(init, Signal::KILL).with_context(|| format!("failed to cut the power of node {node}"))?;
        self.ask(&["kill", &node.to_string()]).map(drop)
    }

    /// The computer's number for the machine's init.
    fn init(&self, node: usize) -> Result<String> {
        let file = self.path("nodes").join(self.id(node)?).join("pid");
        let text = std::fs::read_to_string(&file).with_context(|| format!("node {node} was never on"))?;
        Ok(text.trim().to_owned())
    }
}

impl Process {
    /// Whether it is this program; kubeadm is a stand-in, a module of Python.
    fn runs(&self, program: &str) -> bool {
        let module = format!("standin.{program}");
        let first = self.argv.first().map(Path::new).and_then(Path::file_name);
        first.is_some_and(|first| first == program) || self.argv.contains(&module)
    }
}
