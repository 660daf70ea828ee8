//! Asks a person to confirm an action that cannot be undone.

use crate::exit::Exit;
use crate::model::duration::in_words;
use anyhow::{Context, Result, anyhow};
use std::io::{IsTerminal, Write, stderr, stdin};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a person may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(10);

/// Asks the person at the terminal for confirmation. The caller has already printed what will happen. `yes` is the flag `--yes`,
/// which confirms beforehand.
///
/// # Errors
/// With [`Exit::Usage`] when standard input is no terminal, or the answer is not `yes` or late.
pub async fn confirm(yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    ensure_terminal(stdin().is_terminal())?;
    let mut terminal = stderr();
    let asked = write!(terminal, "Type 'yes' to go on: ").and_then(|()| terminal.flush());
    asked.context("failed to ask at the terminal")?;
    let answer = timeout(ANSWER_TIMEOUT, line()).await.map_err(|_| {
        anyhow!("there was no answer within {}: nothing was changed", in_words(ANSWER_TIMEOUT)).context(Exit::Usage)
    })?;
    ensure_yes(&answer?)
}

fn ensure_terminal(is_terminal: bool) -> Result<()> {
    if is_terminal {
        return Ok(());
    }
    Err(anyhow!("standard input is no terminal, so nobody can confirm this: add --yes to go on; nothing was changed")
        .context(Exit::Usage))
}

fn ensure_yes(answer: &str) -> Result<()> {
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(anyhow!("the answer was not 'yes': nothing was changed").context(Exit::Usage))
}

/// Reads one line from standard input. Such a read cannot be cancelled, so it has a thread of its own, which ends with the process.
async fn line() -> Result<String> {
    let (send, receive) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = stdin().read_line(&mut line).map(|_| line);
        // It fails only if the time is over and the receiver is gone.
        let _ = send.send(read);
    });
    receive.await.context("the terminal was not read")?.context("failed to read from the terminal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_word_yes_confirms() {
        for yes in ["yes\n", "yes", " yes \r\n"] {
            assert!(ensure_yes(yes).is_ok(), "{yes:?}");
        }
        for no in ["", "\n", "y\n", "no\n", "Yes\n", "yes please\n"] {
            let error = ensure_yes(no).expect_err(no);
            assert_eq!(Exit::of(&error), Exit::Usage);
        }
        let error = ensure_terminal(false).expect_err("nobody is there");
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert!(error.chain().any(|cause| cause.to_string().contains("--yes")));
    }
}
