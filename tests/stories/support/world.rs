//! A running world, driven with the commands of `dev/world`; those that are one verb go through its socket.

use super::command::{self, Ended, Running};
use super::control;
use super::nursery;
use super::plan::WorldPlan;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// One command of the world: far more than it needs, since stories run beside each other.
const VERB: Duration = Duration::from_secs(90);
/// The longest that a run of `kubeboot` may take unless a story says otherwise.
pub const RUN: Duration = Duration::from_secs(240);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(50);
/// Lines of a log that are shown when a story fails.
const TAIL: usize = 60;

/// One emulated AWS account with its machines. It ends when this is dropped; if the story failed, its logs are printed.
pub struct World {
    folder: TempDir,
    well: bool,
}

impl World {
    /// A plan for a world of so many machines.
    pub fn of(nodes: usize) -> WorldPlan {
        WorldPlan::of(nodes)
    }

    /// The kubeboot that is tested.
    pub fn binary() -> String {
        std::env::var("KUBEBOOT_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_kubeboot").to_owned())
    }

    /// Starts a world with these options of `dev/world up`.
    pub fn start(options: &[String]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("kubeboot-story-").tempdir()?;
        let world = Self { folder, well: false };
        let binary = Self::binary();
        let options: Vec<&str> =
            ["up", "--binary", &binary].into_iter().chain(options.iter().map(String::as_str)).collect();
        world.ask(&options).context("failed to start the world")?;
        Ok(world)
    }

    /// The story has been told to its end.
    pub fn ends_well(&mut self) {
        self.well = true;
    }

    /// Carries out a command of `dev/world` that must succeed, and returns its answer.
    pub fn ask(&self, words: &[&str]) -> Result<Value> {
        let told = || format!("'dev/world {}'", words.join(" "));
        if words.first().is_some_and(|command| !["up", "down", "outcome", "events"].contains(command)) {
            return control::command(self.folder.path(), words, VERB).with_context(told);
        }
        let ended = nursery::run(self.folder_name(), &[&["--json"], words].concat(), VERB)?;
        ensure!(ended.code == 0, "{} ended with {}: {}", told(), ended.code, ended.text());
        serde_json::from_str(&ended.stdout).with_context(|| format!("{} gave no JSON", told()))
    }

    /// Starts a command on a machine.
    pub fn start_on(&self, node: usize, argv: &[&str]) -> Result<Running> {
        let entered = control::verb(self.folder.path(), "enter", &json!({"node": node.to_string()}), VERB)?;
        let words = members(&entered, "argv").filter_map(Value::as_str).chain(["TERM=dumb"]);
        command::start(&words.chain(argv.iter().copied()).collect::<Vec<_>>())
    }

    /// Runs a command on a machine to its end, which may be any.
    pub fn on(&self, node: usize, argv: &[&str]) -> Result<Ended> {
        self.start_on(node, argv)?.wait(RUN)
    }

    /// Runs `kubeboot check` with time for a busy computer, and until everybody has answered in that; each time after this.
    pub fn check(&self, node: usize, options: &[&str], first: impl Fn() -> Result<()>) -> Result<Ended> {
        self.until("everybody to answer 'kubeboot check' in time", RUN, || {
            first()?;
            let told = self.on(node, &[&["kubeboot", "check", "--timeout", "1m"], options].concat())?;
            let late = ["no answer within", "did not say in time"].iter().any(|text| told.stdout.contains(text));
            Ok((!late).then_some(told))
        })
    }

    /// Starts `kubeboot up` on a machine as its unit would.
    pub fn run_up(&self, node: usize) -> Result<()> {
        self.ask(&["run", &node.to_string()]).map(drop)
    }

    /// Waits until the `up` of this machine's boot has ended, and returns its exit code.
    pub fn up_ended(&self, node: usize) -> Result<i64> {
        let words = ["wait", "--seconds", &RUN.as_secs().to_string(), &node.to_string()];
        let status = control::command(self.folder.path(), &words, RUN + VERB)
            .with_context(|| format!("failed to wait for 'kubeboot up' of node {node}"))?;
        let found = members(&status, "nodes").find(|each| each["index"] == node);
        found
            .and_then(|each| each["up_exit"].as_i64())
            .with_context(|| format!("node {node} has not run 'kubeboot up'"))
    }

    /// Waits until the `up` of every one of these machines has ended well.
    pub fn all_up(&self, nodes: &[usize]) -> Result<()> {
        for node in nodes {
            let code = self.up_ended(*node)?;
            ensure!(code == 0, "'kubeboot up' of node {node} ended with exit code {code}");
        }
        Ok(())
    }

    /// Waits for a condition: looks until there is something, and fails with `what` if there is nothing in time.
    pub fn until<T>(&self, what: &str, within: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let end = Instant::now() + within;
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if Instant::now() > end {
                bail!("waited {} s in vain: {what}", within.as_secs());
            }
            sleep(LOOK);
        }
    }

    /// Waits until the log of a machine's `up` has a line with this text.
    pub fn until_logged(&self, node: usize, text: &str) -> Result<()> {
        let what = format!("the log of node {node} says '{text}'");
        self.until(&what, RUN, || Ok(self.log(node)?.contains(text).then_some(())))
    }

    /// The log of the `up` that a machine's boot or `run_up` started; empty before that.
    pub fn log(&self, node: usize) -> Result<String> {
        Ok(std::fs::read_to_string(self.disk(node)?.join("var/log/kubeboot.log")).unwrap_or_default())
    }

    /// The instance ID of a machine.
    pub fn id(&self, node: usize) -> Result<String> {
        let events = self.journal("events")?;
        let launched = events.iter().find(|event| event["event"] == "launched" && event["index"] == node);
        let id = launched.and_then(|event| event["node"].as_str());
        id.map(str::to_owned).with_context(|| format!("there is no node {node}"))
    }

    /// A file of the world's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lines of one of the world's journals so far: `events`, `requests` or `standin`.
    pub fn journal(&self, name: &str) -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.path(&format!("{name}.jsonl"))).unwrap_or_default();
        // A line without its end is still being written.
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).with_context(|| format!("failed to read '{line}'"))).collect()
    }

    /// The times, in seconds, at which a machine has asked S3 for something since its last write there: waits until there are
    /// this many.
    pub fn s3_reads(&self, node: usize, count: usize) -> Result<Vec<f64>> {
        let id = self.id(node)?;
        self.until(&format!("node {node} asks S3 {count} times and writes nothing"), RUN, || {
            let requests = self.journal("requests")?;
            let own: Vec<_> =
                requests.iter().filter(|call| call["node"] == id.as_str() && call["service"] == "s3").collect();
            let since = own.iter().rposition(|call| call["action"] == "PutObject").map_or(0, |last| last + 1);
            let times: Vec<f64> = own[since..].iter().filter_map(|call| call["arrived"].as_f64()).collect();
            Ok((times.len() >= count).then_some(times))
        })
    }

    fn folder_name(&self) -> &str {
        self.folder.path().to_str().expect("the temporary folder's name is our own and plain text")
    }

    /// The command line of `dev/world` with these words, for this world.
    pub fn command<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        const DEV_WORLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/world");
        [DEV_WORLD, "--dir", self.folder_name()].into_iter().chain(words.iter().copied()).collect()
    }
}

/// The items of a list in an answer.
pub fn members<'a>(answer: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    answer[list].as_array().into_iter().flatten()
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.well {
            print_logs(self.folder.path());
        }
        match nursery::run(self.folder_name(), &["down"], VERB) {
            Ok(ended) if ended.code == 0 => {}
            Ok(ended) => eprintln!("failed to end the world: {}", ended.text()),
            Err(error) => eprintln!("failed to end the world: {error:#}"),
        }
    }
}

/// The end of every log there is, for whoever has to find out why a story failed.
fn print_logs(folder: &Path) {
    let mut files = vec![folder.join("daemon.log"), folder.join("standin.jsonl")];
    let nodes = std::fs::read_dir(folder.join("nodes")).into_iter().flatten().flatten();
    let mut nodes: Vec<PathBuf> = nodes.map(|entry| entry.path()).collect();
    nodes.sort();
    for node in nodes {
        files.extend(["disk/var/log/kubeboot.log", "console.log"].map(|name| node.join(name)));
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        println!("--- {}", file.display());
        lines[lines.len().saturating_sub(TAIL)..].iter().for_each(|line| println!("{line}"));
    }
}
