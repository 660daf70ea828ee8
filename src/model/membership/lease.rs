//! The membership lease: a queue for machines that want to change etcd's membership. It is no fence: etcd itself is the fence.

use crate::model::machine::ids::{InstanceId, Nonce};
use crate::model::record::object;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The schema this version writes and the only one it reads.
pub const SCHEMA: u32 = 1;

/// The lease object, `control-plane/membership-lease.json`. Fields of a later kubeboot are ignored: whose turn it is follows from these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Its holder; `None` after a release.
    pub holder: Option<LeaseHolder>,
    /// Counts rewrites, so that no two bodies are equal.
    pub beat: u64,
}

/// The holder of the lease, and its purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseHolder {
    /// The machine.
    pub instance: InstanceId,
    /// New for every holding.
    pub nonce: Nonce,
    /// What the holder does, for people: `join`, `leave`, `reap`.
    pub purpose: String,
}

impl Lease {
    /// Reads the object's bytes.
    ///
    /// # Errors
    /// What is wrong with them. An unreadable lease is no danger, because etcd is the fence: the caller may wait until it changes.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        object::read(bytes, SCHEMA)
    }

    /// The bytes to store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        object::to_bytes(self)
    }

    /// The lease held by `holder`, written after `before` (`None`: the first one).
    #[must_use]
    pub fn taken(before: Option<&Self>, holder: LeaseHolder) -> Self {
        Self { schema: SCHEMA, holder: Some(holder), beat: before.map_or(0, |lease| lease.beat + 1) }
    }

    /// The same holding, renewed.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self { beat: self.beat + 1, ..self.clone() }
    }

    /// The released lease.
    #[must_use]
    pub fn released(&self) -> Self {
        Self { holder: None, beat: self.beat + 1, ..self.clone() }
    }
}

/// What a machine in the queue does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Take it: it is free, an earlier holding of this machine, or its holder counts as dead.
    Take,
    /// Wait for this holder.
    Wait(LeaseHolder),
}

/// Decides by the lease as last read. `unchanged_for`: how long this process has seen the same `ETag`, on its own monotonic clock.
/// `holder_gone`: whether EC2 says that the holder is terminated or shutting down.
#[must_use]
pub fn turn(lease: Option<&Lease>, me: &InstanceId, unchanged_for: Duration, holder_gone: bool, ttl: Duration) -> Turn {
    match lease.and_then(|lease| lease.holder.as_ref()) {
        None => Turn::Take,
        Some(holder) if holder.instance == *me || holder_gone || unchanged_for >= ttl => Turn::Take,
        Some(holder) => Turn::Wait(holder.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(n: u8) -> LeaseHolder {
        LeaseHolder {
            instance: InstanceId::parse(format!("i-0000000{n}")).unwrap(),
            nonce: Nonce::parse(format!("6f9619ff-8b86-4011-b42d-00c04fc964f{n}")).unwrap(),
            purpose: "join".into(),
        }
    }

    #[test]
    fn a_machine_takes_a_free_own_or_abandoned_lease_and_waits_for_any_other() {
        let ttl = Duration::from_secs(30);
        let me = holder(1).instance;
        let others = Lease::taken(None, holder(2));
        let mine = Lease::taken(Some(&others), holder(1));
        let young = Duration::from_secs(29);
        let rows = [
            (None, young, false, Turn::Take),
            (Some(others.released()), young, false, Turn::Take),
            (Some(mine), young, false, Turn::Take),
            (Some(others.clone()), young, false, Turn::Wait(holder(2))),
            (Some(others.clone()), ttl, false, Turn::Take),
            (Some(others), young, true, Turn::Take),
        ];
        for (lease, unchanged_for, gone, expected) in rows {
            assert_eq!(turn(lease.as_ref(), &me, unchanged_for, gone, ttl), expected, "{lease:?}");
        }
    }

    #[test]
    fn the_lease_is_stored_as_it_was_before() {
        let held = Lease::taken(None, holder(1));
        for (name, written) in [("lease-held.json", held.clone()), ("lease-released.json", held.released())] {
            crate::stored::is_as_written(name, &written.to_bytes());
        }
        for (name, bytes) in crate::stored::all("lease-") {
            let read = Lease::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(read.holder.is_none_or(|found| found == holder(1)), "{name}");
        }
    }

    #[test]
    fn no_two_bodies_are_equal() {
        let first = Lease::taken(None, holder(1));
        let bodies = [first.to_bytes(), first.renewed().to_bytes(), first.renewed().released().to_bytes()];
        assert!(bodies[0] != bodies[1] && bodies[1] != bodies[2] && bodies[0] != bodies[2]);
        let next = Lease::taken(Some(&first.released()), holder(1));
        let beats = [&first, &first.renewed(), &first.released(), &next, &Lease::taken(Some(&next), holder(2))];
        assert_eq!(beats.map(|lease| lease.beat), [0, 1, 1, 2, 3]);
        assert_eq!(Lease::parse(&bodies[1]), Ok(first.renewed()));
        assert!(Lease::parse(b"{}").is_err());
        let later = br#"{"schema":1,"holder":{"instance":"i-00000001","nonce":"6f9619ff-8b86-4011-b42d-00c04fc964f1","purpose":"join","by":1},"beat":0,"why":[]}"#;
        assert_eq!(Lease::parse(later), Ok(first));
        assert!(Lease::parse(br#"{"schema":2,"holder":null,"beat":1}"#).is_err());
    }
}
