//! Holding the claim or the membership lease by rewriting it.
//!
//! A holder rewrites its object every third of its time to live and gives up after two thirds without success. Nobody
//! compares clocks: the waiters count a whole time to live from when they saw the object change, the holder from before it
//! sent its last successful write, so that the holder gives up first.

use crate::model::record::conditional_write::{Object, Written};
use std::time::Duration;

/// What a holder does at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Nothing for so long.
    Idle(Duration),
    /// Rewrite the object, trying for so long at the most.
    Renew(Duration),
    /// Give up: others may soon believe this machine dead.
    GiveUp,
}

/// Decides by the time since the last successful write was sent.
#[must_use]
pub fn renewal(ttl: Duration, since_written: Duration) -> Renewal {
    let due = ttl / 3;
    match stands_for(ttl, since_written) {
        _ if since_written < due => Renewal::Idle(due - since_written),
        Duration::ZERO => Renewal::GiveUp,
        left => Renewal::Renew(left),
    }
}

/// How long a holding stands without another renewal, by the time since its last one was sent: after that others may soon believe
/// this machine dead.
#[must_use]
pub fn stands_for(ttl: Duration, since_written: Duration) -> Duration {
    (ttl * 2 / 3).saturating_sub(since_written)
}

/// What one write over a held object means for the holding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenewalResult<B> {
    /// It is there, with this `ETag`.
    Ours(String),
    /// An earlier write of this holding had landed meanwhile: write again, over it.
    Behind(B, String),
    /// The object is another's now.
    Deposed,
    /// The object is gone.
    Gone,
    /// Nobody knows.
    Unknown,
}

/// Judges a write over a held object. `mine` reads stored bytes as a write of this very holding.
pub fn after<B>(written: Written, mine: impl FnOnce(&[u8]) -> Option<B>) -> RenewalResult<B> {
    match written {
        Written::Ours(etag) => RenewalResult::Ours(etag),
        Written::Others(Object { body, etag }) => {
            mine(&body).map_or(RenewalResult::Deposed, |body| RenewalResult::Behind(body, etag))
        }
        Written::Gone => RenewalResult::Gone,
        Written::Unknown => RenewalResult::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_beats_every_third_and_gives_up_before_anybody_else_may_take_over() {
        let ttl = Duration::from_secs(60);
        let secs = Duration::from_secs;
        let rows = [
            (0, Renewal::Idle(secs(20))),
            (19, Renewal::Idle(secs(1))),
            (20, Renewal::Renew(secs(20))),
            (39, Renewal::Renew(secs(1))),
            (40, Renewal::GiveUp),
            (60, Renewal::GiveUp),
        ];
        for (since, expected) in rows {
            assert_eq!(renewal(ttl, secs(since)), expected, "after {since}s");
        }
    }

    #[test]
    fn every_write_means_one_thing_for_the_holding() {
        let object = |body: &str| Object { body: body.into(), etag: "e2".into() };
        let mine = |bytes: &[u8]| (bytes == b"mine").then_some(1);
        let rows = [
            (Written::Ours("e1".into()), RenewalResult::Ours("e1".into())),
            (Written::Others(object("mine")), RenewalResult::Behind(1, "e2".into())),
            (Written::Others(object("other")), RenewalResult::Deposed),
            (Written::Gone, RenewalResult::Gone),
            (Written::Unknown, RenewalResult::Unknown),
        ];
        for (written, expected) in rows {
            assert_eq!(after(written.clone(), mine), expected, "{written:?}");
        }
    }
}
