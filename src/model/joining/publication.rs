//! When the leader writes what workers need, and over what.
//!
//! Two may lead at once, with any pause between any two writes. So each write names what was read before it, and a generation never
//! follows a higher one: it is the cluster record's, which goes up with every claim. Of one generation a blank object is the last.

use super::bootstrap_token::BootstrapToken;
use super::cluster::JoinCluster;
use super::object::{Join, JoinError, JoinKind, LARGEST_GENERATION};
use super::token::JoinToken;
use crate::model::record::conditional_write::Condition;
use std::fmt;
use std::time::Duration;

/// How long a token lives that the leader publishes.
pub const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);
/// A token with less than this left is followed by another: whoever reads it has the rest to come in.
pub const RENEWED_BEFORE: Duration = Duration::from_secs(LIFETIME.as_secs() / 3);
/// What is wrong with a generation that somebody has invented.
const NO_GENERATION: &str = "its generation is none that counting has reached";
/// How far the clocks of two leaders may be apart before the one renews what the other has just made.
const CLOCKS_APART: Duration = Duration::from_secs(5 * 60);

/// What stands under a key below `join/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// Nothing.
    Nothing,
    /// An object.
    Object {
        /// Its `ETag`.
        etag: String,
        /// What it holds, or why that is nothing to act on.
        held: Result<Join<T>, JoinError>,
    },
}

/// Why an object is left as it is, although it is not what the leader would write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Left {
    /// Of a later cluster under this prefix, or the record has gone back.
    #[error(
        "it has generation {found}, and the cluster record {own}: either the record has gone back to an older version, and its last one is to be \
         restored, or the object is not of this prefix, and is to be deleted"
    )]
    Higher {
        /// Its generation.
        found: u64,
        /// The record's.
        own: u64,
    },
    /// The record says that there is a cluster, and this object that it was given up.
    #[error(
        "it says that the cluster of this very generation was given up by 'kubeboot retire': either the cluster record has gone back to an \
         older version, and its last one is to be restored, or the cluster lives on, and the object is to be deleted, which has the \
         leader write it anew"
    )]
    GivenUp,
    /// It is a later version's.
    #[error("{0}")]
    Newer(JoinError),
}

/// What becomes of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publication {
    /// It is what it should be.
    Keep,
    /// It is written under this condition.
    Write(Condition, WriteWhy),
    /// It stays, and somebody should look.
    Leave(Left),
}

/// Why an object is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteWhy {
    /// There is none.
    Nothing,
    /// It is of an earlier generation.
    Earlier(u64),
    /// It cannot be read.
    Damaged(JoinError),
    /// It says other things of the cluster.
    Differs,
    /// Its token ends soon, or has ended.
    Ends,
    /// Its token would end later than any that a leader makes.
    TooLong,
    /// Kubernetes does not know its token, or not as it should be.
    NotInApi,
}

/// Decides on `join/cluster.json`, which should hold `wanted`.
#[must_use]
pub fn of_cluster(found: &Found<JoinCluster>, wanted: &JoinCluster) -> Publication {
    publication(found, wanted.generation, |published| (published != wanted).then_some(WriteWhy::Differs))
}

/// Decides on `join/token.json`, at this time in seconds since 1970. `in_api`: whether Kubernetes knows the token that it holds.
#[must_use]
pub fn of_token(found: &Found<JoinToken>, generation: u64, now: u64, in_api: bool) -> Publication {
    publication(found, generation, |published| {
        let left = Duration::from_secs(published.expires.saturating_sub(now));
        if left <= RENEWED_BEFORE {
            Some(WriteWhy::Ends)
        } else if left > LIFETIME + CLOCKS_APART {
            Some(WriteWhy::TooLong)
        } else if !in_api {
            Some(WriteWhy::NotInApi)
        } else {
            None
        }
    })
}

/// The token that is to be looked for in Kubernetes before [`of_token`] can be asked.
#[must_use]
pub fn published_token(found: &Found<JoinToken>, generation: u64) -> Option<&BootstrapToken> {
    match found {
        Found::Object { held: Ok(Join::Published(published)), .. } if published.generation == generation => {
            Some(&published.token)
        }
        Found::Object { .. } | Found::Nothing => None,
    }
}

/// Decides on the blanking of an object of a cluster whose record, of this generation, says 'retired': the condition of the write, and
/// nothing where nothing is to be written. What cannot be read is blanked, too, and so is what is not there: a leader that stood still
/// before its first write must not publish a cluster that was given up meanwhile.
#[must_use]
pub fn of_blanking<T: JoinKind>(found: &Found<T>, generation: u64) -> Option<Condition> {
    match (found, fence(found, generation)) {
        (Found::Nothing, Ok(_)) => Some(Condition::Absent),
        (Found::Object { etag, .. }, Ok(_)) => Some(Condition::Unchanged(etag.clone())),
        (Found::Nothing | Found::Object { .. }, Err(_)) => None,
    }
}

/// The generation of an object, as far as it names one that counting has ever reached.
#[must_use]
pub fn generation_of<T: JoinKind>(found: &Found<T>) -> Option<u64> {
    let named = match found {
        Found::Object { held: Ok(held), .. } => Some(held.generation()),
        Found::Object { held: Err(JoinError::NewerSchema { generation, .. }), .. } => *generation,
        Found::Object { held: Err(JoinError::TooLarge(_) | JoinError::Malformed(_)), .. } | Found::Nothing => None,
    };
    // Somebody has invented a higher one: what follows it would soon be more than readers can hold.
    named.filter(|named| *named <= LARGEST_GENERATION / 2)
}

/// Why a leader whose record has this generation writes the object, if it may: `None` for one of the same generation.
fn fence<T: JoinKind>(found: &Found<T>, own: u64) -> Result<Option<WriteWhy>, Left> {
    let Found::Object { held, .. } = found else { return Ok(Some(WriteWhy::Nothing)) };
    match (held, generation_of(found)) {
        (_, Some(found)) if found > own => Err(Left::Higher { found, own }),
        (_, Some(found)) if found < own => Ok(Some(WriteWhy::Earlier(found))),
        (Ok(_), None) => Ok(Some(WriteWhy::Damaged(JoinError::Malformed(NO_GENERATION)))),
        (Ok(Join::Blank { .. }), _) => Err(Left::GivenUp),
        (Ok(Join::Published(_)), _) => Ok(None),
        (Err(newer @ JoinError::NewerSchema { .. }), _) => Err(Left::Newer(newer.clone())),
        (Err(damaged @ (JoinError::TooLarge(_) | JoinError::Malformed(_))), _) => {
            Ok(Some(WriteWhy::Damaged(damaged.clone())))
        }
    }
}

fn publication<T: JoinKind>(found: &Found<T>, own: u64, judge: impl FnOnce(&T) -> Option<WriteWhy>) -> Publication {
    let why = match fence(found, own) {
        Err(left) => return Publication::Leave(left),
        Ok(why) => why,
    };
    let why = why.or_else(|| match found {
        Found::Object { held: Ok(Join::Published(published)), .. } => judge(published),
        Found::Object { .. } | Found::Nothing => None,
    });
    match (why, found) {
        (None, _) => Publication::Keep,
        (Some(why), Found::Nothing) => Publication::Write(Condition::Absent, why),
        (Some(why), Found::Object { etag, .. }) => Publication::Write(Condition::Unchanged(etag.clone()), why),
    }
}

impl fmt::Display for WriteWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("there was none"),
            Self::Earlier(found) => write!(f, "it was of generation {found}"),
            Self::Damaged(why) => write!(f, "what stood there cannot be read: {why}"),
            Self::Differs => f.write_str("the cluster has changed"),
            Self::Ends => f.write_str("the one before ends"),
            Self::TooLong => f.write_str("the one before would live too long"),
            Self::NotInApi => f.write_str("Kubernetes does not know the one before"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_796_000_000;

    fn object<T>(held: Result<Join<T>, JoinError>) -> Found<T> {
        Found::Object { etag: "e".into(), held }
    }

    fn write(why: WriteWhy) -> Publication {
        let condition = if why == WriteWhy::Nothing { Condition::Absent } else { Condition::Unchanged("e".into()) };
        Publication::Write(condition, why)
    }

    fn errors() -> [JoinError; 5] {
        let newer = |generation| JoinError::NewerSchema { found: 2, generation };
        [newer(None), newer(Some(3)), newer(Some(4)), JoinError::Malformed("x"), JoinError::TooLarge(9)]
    }

    /// What a leader of generation 3 does with each object that does not tell of its own cluster, whatever kind it is.
    fn rows<T: JoinKind>(published: impl Fn(u64) -> T) -> Vec<(Found<T>, Publication)> {
        let blank = |generation| object(Ok(Join::Blank { generation }));
        let higher = || Publication::Leave(Left::Higher { found: 4, own: 3 });
        let [unknown, same, later, malformed, large] = errors();
        let earlier = JoinError::NewerSchema { found: 2, generation: Some(2) };
        vec![
            (Found::Nothing, write(WriteWhy::Nothing)),
            (object(Ok(Join::Published(published(2)))), write(WriteWhy::Earlier(2))),
            (object(Ok(Join::Published(published(4)))), higher()),
            (blank(2), write(WriteWhy::Earlier(2))),
            (blank(3), Publication::Leave(Left::GivenUp)),
            (blank(4), higher()),
            (blank(LARGEST_GENERATION / 2), Publication::Leave(Left::Higher { found: LARGEST_GENERATION / 2, own: 3 })),
            (blank(LARGEST_GENERATION), write(WriteWhy::Damaged(JoinError::Malformed(NO_GENERATION)))),
            (
                object(Ok(Join::Published(published(LARGEST_GENERATION / 2 + 1)))),
                write(WriteWhy::Damaged(JoinError::Malformed(NO_GENERATION))),
            ),
            (object(Err(earlier)), write(WriteWhy::Earlier(2))),
            (object(Err(unknown.clone())), Publication::Leave(Left::Newer(unknown))),
            (object(Err(same.clone())), Publication::Leave(Left::Newer(same))),
            (object(Err(later)), higher()),
            (object(Err(malformed.clone())), write(WriteWhy::Damaged(malformed))),
            (object(Err(large.clone())), write(WriteWhy::Damaged(large))),
        ]
    }

    #[test]
    fn the_cluster_is_published_when_it_changes_and_never_over_a_later_one() {
        for (found, expected) in rows(JoinCluster::sample) {
            assert_eq!(of_cluster(&found, &JoinCluster::sample(3)), expected, "{found:?}");
        }
        let same = object(Ok(Join::Published(JoinCluster::sample(3))));
        assert_eq!(of_cluster(&same, &JoinCluster::sample(3)), Publication::Keep);
        type Change = fn(&mut JoinCluster);
        let changes: [Change; 5] = [
            |it| it.endpoint = "other:6443".into(),
            |it| it.ca_pem.push('\n'),
            |it| {
                it.kube_system_uid =
                    crate::model::machine::ids::Uid::parse("6f9619ff-8b86-4011-b42d-00c04fc964fe").unwrap()
            },
            |it| it.kubernetes_version = "v1.36.2".into(),
            |it| it.oldest_api_server = "v1.35.2".into(),
        ];
        for change in changes {
            let mut changed = JoinCluster::sample(3);
            change(&mut changed);
            assert_eq!(of_cluster(&same, &changed), write(WriteWhy::Differs), "{changed:?}");
        }
    }

    #[test]
    fn a_token_is_followed_by_another_well_before_it_ends() {
        for in_api in [true, false] {
            for (found, expected) in rows(|generation| JoinToken::sample(generation, NOW + 7200)) {
                assert_eq!(of_token(&found, 3, NOW, in_api), expected, "{found:?}");
            }
        }
        let (keep, ends, long) = (Publication::Keep, write(WriteWhy::Ends), write(WriteWhy::TooLong));
        let rows: [(u64, &Publication); 9] = [
            (0, &ends),
            (NOW - 1, &ends),
            (NOW, &ends),
            (NOW + 2400, &ends),
            (NOW + 2401, &keep),
            (NOW + 7200, &keep),
            (NOW + 7500, &keep),
            (NOW + 7501, &long),
            (u64::MAX, &long),
        ];
        for (expires, expected) in rows {
            let found = object(Ok(Join::Published(JoinToken::sample(3, expires))));
            assert_eq!(of_token(&found, 3, NOW, true), *expected, "{expires}");
            let unknown = if *expected == keep { write(WriteWhy::NotInApi) } else { expected.clone() };
            assert_eq!(of_token(&found, 3, NOW, false), unknown, "{expires}");
            assert_eq!(published_token(&found, 3).map(BootstrapToken::id), Some("abc123"));
            assert_eq!(published_token(&found, 4), None, "another generation's");
        }
    }

    #[test]
    fn what_a_retired_cluster_has_published_is_blanked_and_nothing_else() {
        // Over whatever a leader of this generation would write, and over what it has written.
        for (found, publication) in rows(JoinCluster::sample) {
            let expected = match publication {
                Publication::Leave(_) | Publication::Keep => None,
                Publication::Write(condition, _) => Some(condition),
            };
            assert_eq!(of_blanking(&found, 3), expected, "{found:?}");
        }
        let own = object(Ok(Join::Published(JoinCluster::sample(3))));
        assert_eq!(of_blanking(&own, 3), Some(Condition::Unchanged("e".into())));
        assert_eq!(of_blanking(&Found::<JoinCluster>::Nothing, 3), Some(Condition::Absent));
    }

    #[test]
    fn every_reason_tells_what_to_do_or_what_was_so() {
        let [newer, ..] = errors();
        for left in [Left::Higher { found: 4, own: 3 }, Left::GivenUp, Left::Newer(newer)] {
            assert!(left.to_string().len() > 40, "{left}");
        }
        assert!(WriteWhy::Damaged(JoinError::TooLarge(9)).to_string().contains("9 bytes"));
    }
}
