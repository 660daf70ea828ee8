//! Commands of `dev/world` that start or end a world, or look at one: all stories share one process that carries them out.

use super::command::Ended;
use super::control;
use anyhow::{Context, Result};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

const DEV_WORLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/world");

/// The process, once somebody has needed it. It ends with its standard input, which is this process', and then deletes its
/// folder.
static NURSERY: LazyLock<Mutex<Option<Nursery>>> = LazyLock::new(Mutex::default);

struct Nursery {
    folder: PathBuf,
    _process: Child,
}

/// Carries out a command of `dev/world` to its end.
pub fn run(world: &str, words: &[&str], within: Duration) -> Result<Ended> {
    let argv: Vec<&str> = ["--dir", world].into_iter().chain(words.iter().copied()).collect();
    let folder = {
        let mut shared = NURSERY.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_none() {
            *shared = Some(Nursery::start()?);
        }
        shared.as_ref().map(|nursery| nursery.folder.clone()).context("it has been started just now")?
    };
    let answer = control::verb(&folder, "run", &json!({"argv": argv}), within)?;
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let code =
        answer["code"].as_i64().and_then(|code| i32::try_from(code).ok()).context("a command without an exit code")?;
    Ok(Ended { code, stdout: text("stdout"), stderr: text("stderr") })
}

impl Nursery {
    fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("kubeboot-nursery-").tempdir()?.keep();
        let mut process = Command::new(DEV_WORLD)
            .arg("--dir")
            .arg(&folder)
            .arg("nursery")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start 'dev/world nursery'")?;
        let said = process.stdout.take().context("a pipe was asked for")?;
        let mut ready = String::new();
        BufReader::new(said).read_line(&mut ready)?;
        anyhow::ensure!(ready == "ready\n", "'dev/world nursery' did not start: see above");
        Ok(Self { folder, _process: process })
    }
}
