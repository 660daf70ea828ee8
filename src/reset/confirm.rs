//! Asking the operator at the terminal.

use crate::exit::Exit;
use crate::model::ids::InstanceId;
use crate::model::leave::Step;
use anyhow::{Result, anyhow};
use std::io::{self, BufRead, IsTerminal};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long somebody may think.
const PATIENCE: Duration = Duration::from_mins(5);
/// What they have to type.
const WORD: &str = "yes";

/// Tells what is going to be done, and returns when somebody has agreed.
///
/// # Errors
/// With [`Exit::Usage`] when nobody is at a terminal, or did not agree.
pub(super) async fn ask(me: &InstanceId, steps: &[Step]) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(anyhow!("nobody is at a terminal to confirm it: add --yes, or look first with --dry-run")
            .context(Exit::Usage));
    }
    eprintln!("This takes {me} out of its cluster and wipes it:");
    for step in steps {
        eprintln!("  {}: {step}", step.name());
    }
    eprintln!("Type '{WORD}' to go on:");
    let answer = timeout(PATIENCE, line()).await.ok().flatten();
    match answer {
        Some(line) if line.trim() == WORD => Ok(()),
        Some(_) | None => Err(anyhow!("nobody has typed '{WORD}', so nothing was touched").context(Exit::Usage)),
    }
}

/// The next line. A thread of its own reads it: nobody waits for it at the end, so that Ctrl-C ends the command at once.
async fn line() -> Option<String> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        let mut line = String::new();
        // Without a line, or without anybody who still waits for it, there is nothing to tell.
        let _ = io::stdin().lock().read_line(&mut line).map(|_| sender.send(line));
    });
    receiver.await.ok()
}
