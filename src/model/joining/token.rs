//! `join/token.json`: the bootstrap token with which workers come in, and until when. It is a secret.

use super::bootstrap_token::BootstrapToken;
use super::object::{JoinKind, SCHEMA};
use serde::{Deserialize, Serialize};

/// A bootstrap token, as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinToken {
    schema: u32,
    /// The generation of the cluster record. A token is used only with a `join/cluster.json` of the same one.
    pub generation: u64,
    /// The token.
    pub token: BootstrapToken,
    /// When it ends, in seconds since 1970 by the clock of the leader that made it.
    pub expires: u64,
}

/// The same as it is stored, with a text that may be anything.
#[derive(Deserialize)]
pub struct StoredToken {
    schema: u32,
    generation: u64,
    token: String,
    expires: u64,
}

impl JoinToken {
    /// A token that ends at this time, in seconds since 1970.
    #[must_use]
    pub fn new(generation: u64, token: BootstrapToken, expires: u64) -> Self {
        Self { schema: SCHEMA, generation, token, expires }
    }
}

impl JoinKind for JoinToken {
    type Stored = StoredToken;

    fn of(stored: StoredToken) -> Result<Self, &'static str> {
        let StoredToken { schema, generation, token, expires } = stored;
        match BootstrapToken::parse(&token) {
            Ok(token) => Ok(Self { schema, generation, token, expires }),
            Err(_) => Err("its token is none"),
        }
    }

    fn generation(&self) -> u64 {
        self.generation
    }
}

#[cfg(test)]
impl JoinToken {
    /// For tables: a token of this generation that ends at this time.
    pub(crate) fn sample(generation: u64, expires: u64) -> Self {
        Self::new(generation, BootstrapToken::parse("abc123.0123456789abcdef").unwrap(), expires)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Join;
    use super::super::object::tests::is_hostile_proof;
    use super::*;
    use crate::stored;

    #[test]
    fn what_is_stored_is_read_and_nothing_hostile_is() {
        is_hostile_proof(&JoinToken::sample(3, 1_796_000_000));
        stored::is_as_written("join-token.json", &Join::Published(JoinToken::sample(3, 1_796_000_000)).to_bytes());
        for (name, bytes) in stored::all("join-token") {
            assert!(Join::<JoinToken>::parse(&bytes).is_ok(), "{name}");
        }
    }

    #[test]
    fn no_text_of_it_shows_the_token() {
        let token = JoinToken::sample(3, 1);
        assert!(!format!("{token:?} {:#?}", Join::Published(token.clone())).contains("0123456789abcdef"));
    }
}
