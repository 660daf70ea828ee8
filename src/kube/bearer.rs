//! The token by which a program shows who it is.

use std::path::PathBuf;
use std::{fmt, str};

use anyhow::{Context, Result, ensure};

use crate::host::files;

/// The largest file of a token that is read, in bytes. A service account's has about a thousand.
const LIMIT: u64 = 16 * 1024;

/// A token, or the file in which it is kept.
#[derive(Clone)]
pub(super) enum Bearer {
    /// The token itself.
    Token(String),
    /// The file of a token that somebody renews: a kubelet does after four fifths of its lifetime, so it is read for each call.
    File(PathBuf),
}

impl Bearer {
    /// The token as it is now.
    ///
    /// # Errors
    /// The file cannot be read, or holds no token.
    pub(super) fn token(&self) -> Result<String> {
        match self {
            Self::Token(token) => printable(token).map(str::to_owned).context("the token"),
            Self::File(path) => {
                let failed = || format!("the token in '{}'", path.display());
                let bytes = files::read_bounded(path, LIMIT).with_context(failed)?;
                let text = str::from_utf8(&bytes).ok().context("is not text").with_context(failed)?;
                printable(text.trim()).map(str::to_owned).with_context(failed)
            }
        }
    }
}

/// A token becomes part of a header.
fn printable(token: &str) -> Result<&str> {
    let good = !token.is_empty() && token.chars().all(|letter| letter.is_ascii_graphic());
    ensure!(good, "is empty, or has characters that no token has");
    Ok(token)
}

/// A token is never shown.
impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}
