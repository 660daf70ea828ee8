//! How the objects below `join/` are stored. Whatever is read there is hostile until it was checked, and no error quotes any of it: one
//! of them holds a secret.

use crate::model::record::object;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The schema this version writes and the only one it reads. Fields that it does not know are ignored.
pub(super) const SCHEMA: u32 = 1;
/// The largest object, in bytes.
pub const LARGEST: usize = 64 * 1024;
/// The highest generation: what every reader of JSON can hold, and never reached by counting.
pub const LARGEST_GENERATION: u64 = (1 << 53) - 1;

/// What stands in an object below `join/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Join<T> {
    /// What workers need.
    Published(T),
    /// The cluster of this generation was given up: nobody joins it, and nothing of this generation or a lower one follows.
    Blank {
        /// The generation of the record that gave it up.
        generation: u64,
    },
}

/// Why an object is none that anybody may act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// It is none of kubeboot's.
    #[error("it has {0} bytes, and what kubeboot writes there has at most {LARGEST}")]
    TooLarge(usize),
    /// Written by a newer kubeboot.
    #[error(
        "it has schema {found}, and this kubeboot reads schema {SCHEMA}: install the version that wrote it, or a newer one"
    )]
    NewerSchema {
        /// The schema number in the object.
        found: u64,
        /// Its generation, where it names one: that may not be fallen behind either.
        generation: Option<u64>,
    },
    /// Not JSON, a field missing or of the wrong kind, or a value that cannot be.
    #[error("it is none of kubeboot's: {0}")]
    Malformed(&'static str),
}

/// A kind of object below `join/`.
pub trait JoinKind: Serialize + Sized {
    /// How it is stored.
    type Stored: DeserializeOwned;

    /// Judges what was stored.
    ///
    /// # Errors
    /// What in it cannot be.
    fn of(stored: Self::Stored) -> Result<Self, &'static str>;

    /// The generation of the cluster record that it is of.
    fn generation(&self) -> u64;
}

#[derive(Serialize)]
struct Blanked {
    schema: u32,
    generation: u64,
    blank: bool,
}

impl<T: JoinKind> Join<T> {
    /// The generation of the cluster record that it is of.
    #[must_use]
    pub fn generation(&self) -> u64 {
        match self {
            Self::Published(published) => published.generation(),
            Self::Blank { generation } => *generation,
        }
    }

    /// The bytes to store: of a token, a secret. Equal objects give equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Published(published) => object::to_bytes(published),
            Self::Blank { generation } => {
                object::to_bytes(&Blanked { schema: SCHEMA, generation: *generation, blank: true })
            }
        }
    }

    /// Reads an object's bytes.
    ///
    /// # Errors
    /// [`JoinError`]: nobody joins by such an object. None of its texts is quoted.
    pub fn parse(bytes: &[u8]) -> Result<Self, JoinError> {
        if bytes.len() > LARGEST {
            return Err(JoinError::TooLarge(bytes.len()));
        }
        let malformed = |why| Err(JoinError::Malformed(why));
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return malformed("it is not JSON") };
        let number = |field: &str| value.get(field).and_then(Value::as_u64);
        let generation = number("generation").filter(|generation| (1..=LARGEST_GENERATION).contains(generation));
        match number("schema") {
            Some(found) if found > u64::from(SCHEMA) => return Err(JoinError::NewerSchema { found, generation }),
            Some(found) if found == u64::from(SCHEMA) => {}
            Some(_) | None => return malformed("its schema is none"),
        }
        let Some(generation) = generation else { return malformed("its generation is none") };
        match value.get("blank").map(Value::as_bool) {
            Some(Some(true)) => return Ok(Self::Blank { generation }),
            Some(Some(false)) | None => {}
            Some(None) => return malformed("whether it is blank is neither true nor false"),
        }
        match serde_json::from_value::<T::Stored>(value) {
            Ok(stored) => T::of(stored).map(Self::Published).map_err(JoinError::Malformed),
            Err(_) => malformed("a field is missing or of the wrong kind"),
        }
    }
}

/// What both kinds are tested for.
#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fmt::Debug;

    /// Reads every wrong form of this object, none of which may be taken, or quoted.
    pub(in crate::model::joining) fn is_hostile_proof<T: JoinKind + Clone + Debug + PartialEq>(good: &T) {
        let bytes = Join::Published(good.clone()).to_bytes();
        assert_eq!(Join::parse(&bytes), Ok(Join::Published(good.clone())));
        let whole: Value = serde_json::from_slice(&bytes).unwrap();
        let read = |value: &Value| Join::<T>::parse(&serde_json::to_vec(value).unwrap());
        let with = |field: &str, value: Value| {
            let mut changed = whole.clone();
            changed[field] = value;
            read(&changed)
        };
        for field in whole.as_object().unwrap().keys() {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(field);
            let wrong = ["SECRET\u{1b}[31m", ""].map(Value::from);
            let values =
                wrong.into_iter().chain([Value::Null, Value::from(-1), Value::from(1.5), Value::from(vec![1])]);
            let results = values.map(|value| with(field, value)).chain([read(&without)]);
            for result in results {
                let error = result.expect_err(field);
                assert!(matches!(error, JoinError::Malformed(_)), "{field}: {error:?}");
                assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
            }
        }
        assert_eq!(with("from-a-later-version", Value::from(1)), Ok(Join::Published(good.clone())));
        assert_eq!(with("blank", Value::from(false)), Ok(Join::Published(good.clone())));
        let newer = JoinError::NewerSchema { found: 2, generation: whole["generation"].as_u64() };
        assert_eq!(with("schema", Value::from(2)), Err(newer));
        for bad in [0, LARGEST_GENERATION + 1, u64::MAX] {
            assert!(with("generation", Value::from(bad)).is_err(), "{bad}");
        }
        assert!(with("blank", Value::from("true")).is_err());
        for garbage in [&b""[..], b"{", b"null", b"[]", b"\xff", b"{\"schema\": 1}"] {
            assert!(matches!(Join::<T>::parse(garbage), Err(JoinError::Malformed(_))), "{garbage:?}");
        }
        let large = [&bytes[..], &b" ".repeat(LARGEST)].concat();
        assert_eq!(Join::<T>::parse(&large), Err(JoinError::TooLarge(large.len())));
        let deep = "[".repeat(LARGEST - 1);
        assert!(Join::<T>::parse(deep.as_bytes()).is_err());
        let blank = Join::<T>::Blank { generation: 7 };
        assert_eq!(
            String::from_utf8(blank.to_bytes()).unwrap(),
            "{\n  \"schema\": 1,\n  \"generation\": 7,\n  \"blank\": true\n}\n"
        );
        assert_eq!(Join::parse(&blank.to_bytes()), Ok(blank));
    }
}
