//! Why running a program can fail.

use std::io;
use std::time::Duration;

use crate::model::duration::in_words;

/// How many of the last lines of a program's output an error shows.
const LINES_SHOWN: usize = 12;

/// Why a program failed. Everything in here is redacted.
#[derive(Debug, thiserror::Error)]
pub enum ProcessFailed {
    /// There is no such program.
    #[error("program '{program}' was not found along PATH: install it, or correct PATH")]
    NotFound {
        /// The program's name as it was asked for.
        program: String,
    },
    /// It did not end in time and was killed with its whole process group.
    #[error("'{program}' did not end within {}{}", in_words(*after), last_lines(tail))]
    TimedOut {
        /// The program's name.
        program: String,
        /// Its deadline.
        after: Duration,
        /// The end of its standard error, or of its standard output if that is empty (up to 64 KiB).
        tail: String,
        /// The end of its standard output (up to 64 KiB).
        printed: String,
    },
    /// It ended with an exit code that is not accepted.
    #[error("'{program}' ended with exit code {code}{}", last_lines(tail))]
    Exit {
        /// The program's name.
        program: String,
        /// Its exit code.
        code: i32,
        /// The end of its standard error, or of its standard output if that is empty (up to 64 KiB).
        tail: String,
        /// The end of its standard output (up to 64 KiB).
        printed: String,
    },
    /// It was ended by a signal.
    #[error("'{program}' was ended by signal {signal}{}", last_lines(tail))]
    Signal {
        /// The program's name.
        program: String,
        /// The number of the signal.
        signal: i32,
        /// The end of its standard error, or of its standard output if that is empty (up to 64 KiB).
        tail: String,
        /// The end of its standard output (up to 64 KiB).
        printed: String,
    },
    /// The system refused to start it, wait for it or end it.
    #[error("failed to {verb} '{program}'")]
    Io {
        /// The program's name.
        program: String,
        /// What was tried: start, wait for, end.
        verb: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl ProcessFailed {
    pub(super) fn io(program: &str, verb: &'static str, source: io::Error) -> Self {
        Self::Io { program: program.to_owned(), verb, source }
    }

    /// The end of the program's output, redacted; empty if it never ran.
    #[must_use]
    pub fn tail(&self) -> &str {
        match self {
            Self::TimedOut { tail, .. } | Self::Exit { tail, .. } | Self::Signal { tail, .. } => tail,
            Self::NotFound { .. } | Self::Io { .. } => "",
        }
    }

    /// The end of the program's standard output, redacted; empty if it never ran.
    #[must_use]
    pub fn printed(&self) -> &str {
        match self {
            Self::TimedOut { printed, .. } | Self::Exit { printed, .. } | Self::Signal { printed, .. } => printed,
            Self::NotFound { .. } | Self::Io { .. } => "",
        }
    }
}

/// The end of a program's output, as the end of a sentence about it.
fn last_lines(tail: &str) -> String {
    let lines: Vec<&str> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return " and printed nothing".to_owned();
    }
    let first = lines.len().saturating_sub(LINES_SHOWN);
    format!(", having printed: {}", lines[first..].join("; "))
}
