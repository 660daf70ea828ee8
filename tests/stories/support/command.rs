//! Commands with a deadline, their output captured.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks at a running command.
const LOOK: Duration = Duration::from_millis(10);

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit code; as with a shell, 128 and the signal's number if one ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Both outputs.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Whether it says these words, wherever its lines are broken: that goes by the length of names and addresses.
    pub fn says(&self, words: &str) -> bool {
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        plain(&self.text()).contains(&plain(words))
    }
}

/// A command that runs in a process group of its own, which ends with this.
pub struct Running {
    words: Vec<String>,
    child: Child,
    stdout: File,
    stderr: File,
}

/// Runs a command to its end.
pub fn run(words: &[&str], within: Duration) -> Result<Ended> {
    start(words)?.wait(within)
}

/// Starts a command with nothing on its standard input.
pub fn start(words: &[&str]) -> Result<Running> {
    spawn(words, Stdio::null())
}

/// Starts a command that reads what is written to the other end of its standard input.
pub fn start_with_keyboard(words: &[&str]) -> Result<(Running, ChildStdin)> {
    let mut running = spawn(words, Stdio::piped())?;
    let keyboard = running.child.stdin.take().context("a pipe was asked for")?;
    Ok((running, keyboard))
}

fn spawn(words: &[&str], stdin: Stdio) -> Result<Running> {
    let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let child = Command::new(words[0])
        .args(&words[1..])
        .stdin(stdin)
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .process_group(0)
        .spawn()
        .with_context(|| format!("failed to start '{}'", words.join(" ")))?;
    Ok(Running { words: words.iter().map(ToString::to_string).collect(), child, stdout, stderr })
}

impl Running {
    /// Has it go on where it stands still. What enters a machine stops with the program that it started there, and wakes it.
    pub fn go_on(&self) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed()).context("a process has a number")?;
        kill_process(pid, Signal::CONT).with_context(|| format!("failed to wake '{}'", self.words.join(" ")))
    }

    /// What it has said so far on its standard error.
    pub fn said(&self) -> Result<String> {
        so_far(&self.stderr)
    }

    /// What it has said so far on its standard output.
    pub fn printed(&self) -> Result<String> {
        so_far(&self.stdout)
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for the end; a command that is not through by then is killed, and that is an error.
    pub fn wait(mut self, within: Duration) -> Result<Ended> {
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                use std::os::unix::process::ExitStatusExt;
                let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
                return Ok(Ended { code, stdout: text(&mut self.stdout)?, stderr: text(&mut self.stderr)? });
            }
            if Instant::now() > end {
                let said = format!("{}{}", text(&mut self.stdout)?, text(&mut self.stderr)?);
                bail!("'{}' did not end within {} s; it said:\n{said}", self.words.join(" "), within.as_secs());
            }
            sleep(LOOK);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            // It may have ended this very moment.
            let _ = group.map(|group| kill_process_group(group, Signal::KILL));
            let _ = self.child.wait();
        }
    }
}

/// What is in a file that a command still writes: not by the position in it, which the command writes at.
fn so_far(file: &File) -> Result<String> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len())?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn text(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
