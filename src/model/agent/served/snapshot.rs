//! What a leader knows of the snapshots of etcd.

use crate::model::snapshot::{Manifest, SnapshotAge};
use std::time::Duration;

/// What is known of them. Times are counted since the boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnapshotSeen {
    /// How often one is saved, by the settings.
    pub interval: Duration,
    /// The last good one.
    pub last: Option<LastSeen>,
    /// How often saving has failed since this machine leads.
    pub failures: u64,
    /// When it last failed.
    pub failed: Option<Duration>,
}

/// The last good snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSeen {
    /// When it was looked for.
    pub looked: Duration,
    /// How old it was then, by the bucket's clock.
    pub age: Duration,
    /// Its revision.
    pub revision: u64,
    /// Bytes of its database.
    pub database_size: u64,
    /// Bytes of its object.
    pub object_size: u64,
}

impl SnapshotSeen {
    /// Takes in what the bucket holds.
    pub fn found(&mut self, age: SnapshotAge, manifest: Option<&Manifest>, now: Duration) {
        self.last = manifest.zip(age.last).map(|(manifest, age)| LastSeen {
            looked: now,
            age,
            revision: manifest.revision,
            database_size: manifest.database_size,
            object_size: manifest.object_size,
        });
    }

    /// Saving has failed.
    pub fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.failed = Some(now);
    }
}
