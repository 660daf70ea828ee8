//! A bootstrap token: a secret. Whoever shows it shows its ID alone, which is public in Kubernetes: it is in the name of its user.

use serde::{Serialize, Serializer};
use std::fmt;

/// Letters of the ID, and of the secret after the dot.
const ID: usize = 6;
const SECRET: usize = 16;
/// What both are made of.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// How many of the 256 values of a byte choose each letter equally often.
const FAIR: u8 = 252;

/// A token that Kubernetes takes: `[a-z0-9]{6}\.[a-z0-9]{16}`.
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapToken(String);

/// A text that is no bootstrap token. It is never shown, because it may be almost one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no bootstrap token: six letters or digits, a dot, and sixteen of them, all lower-case")]
pub struct NoToken;

impl BootstrapToken {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`NoToken`].
    pub fn parse(text: &str) -> Result<Self, NoToken> {
        let is_part = |part: &str, length| part.len() == length && part.bytes().all(|byte| ALPHABET.contains(&byte));
        match text.split_once('.') {
            Some((id, secret)) if is_part(id, ID) && is_part(secret, SECRET) => Ok(Self(text.to_owned())),
            Some(_) | None => Err(NoToken),
        }
    }

    /// A token by bytes from a source of randomness that nobody can foresee; `None` when there are too few of them: a few in a hundred
    /// choose no letter, so that all letters are as likely.
    #[must_use]
    pub fn of_random(bytes: &[u8]) -> Option<Self> {
        let letters = bytes.iter().filter(|byte| **byte < FAIR);
        let letters = letters.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        let text: String = letters.take(ID + SECRET).collect();
        let (id, secret) = (text.len() == ID + SECRET).then(|| text.split_at(ID))?;
        Some(Self(format!("{id}.{secret}")))
    }

    /// Its public part.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0[..ID]
    }

    /// Its secret part alone.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0[ID + 1..]
    }

    /// The whole token: for the API server, for a file with mode 0600, or for the object in the bucket. For no text that is shown, and no
    /// argument of a process.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for BootstrapToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.[hidden]", self.id())
    }
}

impl Serialize for BootstrapToken {
    /// The whole token, for the object in the bucket.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_kubernetes_takes_is_a_token() {
        let token = BootstrapToken::parse("abc123.0123456789abcdef").unwrap();
        assert_eq!((token.id(), token.secret()), ("abc123", "0123456789abcdef"));
        assert_eq!(token.expose(), "abc123.0123456789abcdef");
        let long = "a".repeat(1_000_000);
        let bad = [
            "",
            ".",
            "abc123",
            "abc123.",
            "abc12.0123456789abcdef",
            "abc123.0123456789abcde",
            "ABC123.0123456789abcdef",
        ];
        let odd = [
            "abc123.0123456789abcdefg",
            "abc123.0123456789abcdef\n",
            " abc123.0123456789abcdef",
            "äbc12.0123456789abcdef",
            &long,
        ];
        for text in bad.into_iter().chain(odd) {
            assert_eq!(BootstrapToken::parse(text), Err(NoToken), "{text:?}");
        }
    }

    #[test]
    fn its_secret_is_never_shown() {
        let token = BootstrapToken::parse("abc123.0123456789abcdef").unwrap();
        let shown = [format!("{token:?}"), format!("{token:#?}"), format!("{token}"), format!("{:?}", Some(&token))];
        for shown in shown {
            assert!(shown.contains("abc123") && !shown.contains("0123456789"), "{shown}");
        }
        assert!(!NoToken.to_string().contains("abc"));
    }

    #[test]
    fn random_bytes_make_a_token_of_which_every_letter_is_as_likely() {
        let bytes: Vec<u8> = (0..22).collect();
        let token = BootstrapToken::of_random(&bytes).unwrap();
        assert_eq!(token.expose(), "abcdef.ghijklmnopqrstuv");
        assert_eq!(BootstrapToken::parse(token.expose()), Ok(token));
        // What chooses none is passed over.
        let bytes: Vec<u8> = (252..=255).chain(230..252).collect();
        let letters = BootstrapToken::of_random(&bytes).unwrap();
        assert_eq!(letters.expose(), "opqrst.uvwxyz0123456789");
        assert_eq!(BootstrapToken::of_random(&bytes[1..25]), None);
        assert_eq!(BootstrapToken::of_random(&[]), None);
        let mut counts = [0; 36];
        for byte in 0..FAIR {
            counts[usize::from(byte) % ALPHABET.len()] += 1;
        }
        assert_eq!(counts, [7; 36]);
    }
}
