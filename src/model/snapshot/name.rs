//! The names of snapshots: revision, time and a nonce, so that a listing is sorted by revision and no two are ever equal.
//!
//! Those of kind final begin with a word, all others with a digit: a rule of the bucket that ends what is old goes by the beginning of a
//! key, and a hibernated cluster lives in its final snapshot, however long that is.
//!
//! A name is a hint. What counts is the manifest, which must agree with it.

use super::manifest::SnapshotKind;
use crate::model::machine::ids::Nonce;
use std::fmt;

/// The folder of the snapshots, below the location.
pub const FOLDER: &str = "snapshots/";
/// What the key of a database ends with.
const DATABASE: &str = ".db.zst";
/// What the key of a manifest ends with.
const MANIFEST: &str = ".json";
/// What the name of a snapshot of kind final begins with.
const FINAL: &str = "final-";
/// How many digits a revision has in a name: those of the largest one.
const DIGITS: usize = 20;
/// Letters of a time as in `20261130T035059Z`.
const TIME: usize = 16;

/// The name of one snapshot. The order is that of the revisions; of two with one revision, a final one is the higher.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotName {
    /// The revision that etcd had at least.
    pub revision: u64,
    /// Whether it is of kind final.
    pub is_final: bool,
    /// When, by the clock of the machine that saved; for people only. As in `20261130T035059Z`.
    time: String,
    nonce: String,
}

impl SnapshotName {
    /// A new name. `at` is a time as RFC 3339 writes it, to the second.
    #[must_use]
    pub fn new(kind: SnapshotKind, revision: u64, at: &str, nonce: &Nonce) -> Self {
        let kept = at.chars().filter(|letter| letter.is_ascii_digit() || matches!(letter, 'T' | 'Z'));
        let time: String = kept.collect();
        let time = if is_time(&time) { time } else { "00000000T000000Z".to_owned() };
        Self { revision, is_final: kind == SnapshotKind::Final, time, nonce: nonce.to_string() }
    }

    /// Reads the key of a database or a manifest, or a name alone. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix(FOLDER).unwrap_or(text);
        let name = name.strip_suffix(DATABASE).or_else(|| name.strip_suffix(MANIFEST)).unwrap_or(name);
        let (is_final, name) = name.strip_prefix(FINAL).map_or((false, name), |name| (true, name));
        let mut parts = name.splitn(3, '-');
        let (revision, time, nonce) = (parts.next()?, parts.next()?, parts.next()?);
        if revision.len() != DIGITS || !revision.bytes().all(|byte| byte.is_ascii_digit()) || !is_time(time) {
            return None;
        }
        let nonce = Nonce::parse(nonce).ok()?.to_string();
        Some(Self { revision: revision.parse().ok()?, is_final, time: time.to_owned(), nonce })
    }

    /// Reads the key of a manifest; `None` for any other key.
    #[must_use]
    pub fn of_manifest(key: &str) -> Option<Self> {
        let name = Self::parse(key)?;
        (name.manifest_key() == key).then_some(name)
    }

    /// The key of the database, below the location.
    #[must_use]
    pub fn database_key(&self) -> String {
        format!("{FOLDER}{self}{DATABASE}")
    }

    /// The key of the manifest, below the location.
    #[must_use]
    pub fn manifest_key(&self) -> String {
        format!("{FOLDER}{self}{MANIFEST}")
    }
}

fn is_time(text: &str) -> bool {
    text.len() == TIME
        && text.char_indices().all(|(at, letter)| match at {
            8 => letter == 'T',
            15 => letter == 'Z',
            _ => letter.is_ascii_digit(),
        })
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_final { FINAL } else { "" };
        write!(f, "{word}{:0DIGITS$}-{}-{}", self.revision, self.time, self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SnapshotKind::{Final, Routine, Unconfirmed};

    const NONCE: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
    const NAME: &str = "00000000000000012345-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff";

    #[test]
    fn what_is_named_is_read_again() {
        let name = SnapshotName::new(Routine, 12345, "2026-11-30T03:50:59Z", &Nonce::parse(NONCE).unwrap());
        assert_eq!(name.to_string(), NAME);
        assert_eq!(name.database_key(), format!("snapshots/{NAME}.db.zst"));
        for text in [name.database_key(), name.manifest_key(), NAME.to_owned()] {
            assert_eq!(SnapshotName::parse(&text), Some(name.clone()), "{text}");
        }
        assert_eq!(SnapshotName::of_manifest(&name.manifest_key()), Some(name.clone()));
        for other in
            [name.database_key(), NAME.to_owned(), format!("{NAME}.json"), format!("snapshots/snapshots/{NAME}.json")]
        {
            assert_eq!(SnapshotName::of_manifest(&other), None, "{other}");
        }
        let last = SnapshotName { is_final: true, ..name.clone() };
        assert_eq!(last.to_string(), format!("final-{NAME}"));
        for text in [last.database_key(), last.manifest_key(), last.to_string()] {
            assert_eq!(SnapshotName::parse(&text), Some(last.clone()), "{text}");
        }
        assert_eq!(SnapshotName::of_manifest(&last.manifest_key()), Some(last));
        let largest = SnapshotName { revision: u64::MAX, ..name };
        assert_eq!(SnapshotName::parse(&largest.to_string()), Some(largest));
    }

    #[test]
    fn a_clock_that_says_nonsense_makes_a_name_all_the_same() {
        for at in ["", "soon", "12026-11-30T03:50:59Z"] {
            let name = SnapshotName::new(Routine, 1, at, &Nonce::parse(NONCE).unwrap());
            assert_eq!(SnapshotName::parse(&name.to_string()), Some(name.clone()), "{at}");
            assert!(name.to_string().contains("-00000000T000000Z-"), "{name}");
        }
    }

    #[test]
    fn what_is_no_name_is_none() {
        for bad in [
            "",
            "snapshots/",
            "12345-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff",
            "+0000000000000012345-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff",
            "99999999999999999999-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff",
            "00000000000000012345-2026-11-30T03:50:59Z-6f9619ff-8b86-4011-b42d-00c04fc964ff",
            "00000000000000012345-20261130T035059Z-../../x",
            "00000000000000012345-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff.db",
            "00000000000000012345-20261130T035059Z",
            "final-",
            "final-final-00000000000000012345-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff",
            "routine-00000000000000012345-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff",
            "final00000000000000012345-20261130T035059Z-6f9619ff-8b86-4011-b42d-00c04fc964ff",
        ] {
            assert_eq!(SnapshotName::parse(bad), None, "{bad}");
        }
    }

    /// Terraform's lifecycle rule ends what is old below `snapshots/0`.
    #[test]
    fn a_final_one_stands_apart_from_what_ends_by_age_and_nothing_else_does() {
        for (kind, ends) in [(Routine, true), (Unconfirmed, true), (Final, false)] {
            for revision in [0, 12_345, 9_999_999_999_999_999_999] {
                let name = SnapshotName::new(kind, revision, "2026-11-30T03:50:59Z", &Nonce::parse(NONCE).unwrap());
                for key in [name.database_key(), name.manifest_key()] {
                    assert_eq!(key.starts_with("snapshots/0"), ends, "{key}");
                    assert_eq!(key.starts_with("snapshots/final-"), !ends, "{key}");
                }
            }
        }
    }

    #[test]
    fn the_order_is_that_of_the_revisions_and_of_the_texts_among_those_that_are_not_final() {
        let name = |kind, revision, at| SnapshotName::new(kind, revision, at, &Nonce::parse(NONCE).unwrap());
        let (early, late) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        for kind in [Routine, Final] {
            assert!(name(kind, 9, late) < name(kind, 10, early));
            assert!(name(kind, 9, late).to_string() < name(kind, 10, early).to_string());
        }
        assert!(name(Final, 9, late) < name(Routine, 10, early));
        assert!(name(Routine, 9, late) < name(Final, 9, early));
    }
}
