//! The phase of a machine, as it registers it.

use serde::{Deserialize, Serialize};

/// The longest word of a phase, in bytes.
const LONGEST: usize = 32;

/// The phase of a machine, as it registers it. What is new becomes a field of the registration and no phase; should a later kubeboot
/// have another one all the same, whoever registers it may be a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationPhase {
    /// Waits for something: [`Registration::waits_for`](super::registration::Registration::waits_for).
    Waiting,
    /// Holds the claim and initialises.
    Initializing,
    /// Holds the membership lease and joins.
    Joining,
    /// A voter of the cluster.
    Joined,
    /// About to remove itself.
    Leaving,
    /// Has removed itself.
    Left,
    /// Gave up: [`Registration::last_error`](super::registration::Registration::last_error).
    Failed,
    /// Another machine removed its member, because the machine is gone.
    Reaped,
    /// A later kubeboot's, which this one does not know.
    #[serde(untagged)]
    Unknown(PhaseWord),
}

/// A word that this kubeboot knows no phase by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhaseWord {
    letters: [u8; LONGEST],
    length: usize,
}

impl RegistrationPhase {
    /// The word in the object.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Waiting => "waiting",
            Self::Initializing => "initializing",
            Self::Joining => "joining",
            Self::Joined => "joined",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Failed => "failed",
            Self::Reaped => "reaped",
            Self::Unknown(word) => word.as_str(),
        }
    }
}

impl TryFrom<String> for PhaseWord {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let is_word = word.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_'));
        let mut letters = [0; LONGEST];
        match letters.get_mut(..word.len()) {
            Some(room) if is_word && !word.is_empty() => room.copy_from_slice(word.as_bytes()),
            Some(_) | None => return Err("its phase is no word".into()),
        }
        Ok(Self { letters, length: word.len() })
    }
}

impl PhaseWord {
    fn as_str(&self) -> &str {
        str::from_utf8(&self.letters[..self.length]).expect("each letter was seen to be ASCII")
    }
}

impl From<PhaseWord> for String {
    fn from(word: PhaseWord) -> Self {
        word.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_of_a_later_kubeboot_is_kept_as_it_is_and_what_is_no_word_is_refused() {
        for word in ["hibernating", "about-to_leave"] {
            let phase: RegistrationPhase = serde_json::from_str(&format!("\"{word}\"")).unwrap();
            assert!(matches!(phase, RegistrationPhase::Unknown(_)), "{phase:?}");
            assert_eq!((phase.as_str(), serde_json::to_string(&phase).unwrap()), (word, format!("\"{word}\"")));
        }
        let long = format!("\"{}\"", "x".repeat(LONGEST + 1));
        for json in ["\"\"", "\"Joined\"", "\"a b\"", "\"\\u001b[2J\"", "7", "null", "{}", &long] {
            assert!(serde_json::from_str::<RegistrationPhase>(json).is_err(), "{json}");
        }
    }
}
