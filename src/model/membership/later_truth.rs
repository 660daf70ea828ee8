//! What proves that the record was once further than it says: then an older version of it has come back.

use crate::model::machine::ids::{ClaimId, InstanceId};
use crate::model::machine::local::{Local, Stage};
use crate::model::membership::registration::Registration;
use crate::model::record::cluster::{ClusterRecord, RecordState};
use std::fmt;

/// What only follows a later version of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaterTruth {
    /// A machine says that there was a cluster of this claim, which the record does not know as one.
    Registration {
        /// The machine.
        instance: InstanceId,
        /// The claim.
        claim_id: ClaimId,
    },
    /// A discovery hash is published that no cluster of the record explains.
    Hash,
}

impl LaterTruth {
    /// The first proof that the record was further than it says. `hash` is the published one, `None` where none is.
    #[must_use]
    pub fn than<'a>(
        record: &ClusterRecord,
        registrations: impl IntoIterator<Item = &'a Registration>,
        hash: Option<&str>,
    ) -> Option<Self> {
        let is_making = matches!(record.state, RecordState::Initializing { .. });
        let later = |found: &'a Registration| {
            let own = Some(&record.claim_id).filter(|claim| is_making && found.proves_flip_of(claim));
            // Also beside a ready record: it names every cluster before its own, so that a machine of one of these, however late it comes
            // back, is explained.
            own.or_else(|| found.unexplained_by(record)).cloned()
        };
        let registration = registrations
            .into_iter()
            .find_map(|found| Some(Self::Registration { instance: found.instance.clone(), claim_id: later(found)? }));
        registration.or_else(|| (!explains_hash(record, hash)).then_some(Self::Hash))
    }
}

/// Whether a published hash may stand beside this record: `retire` blanks it, and so does the next claim. That of a saved cluster stays
/// through its restore.
#[must_use]
pub fn explains_hash(record: &ClusterRecord, hash: Option<&str>) -> bool {
    match (&record.state, hash) {
        (_, None) | (RecordState::Ready(_), _) => true,
        (RecordState::Initializing { .. } | RecordState::Saved(_), Some(hash)) => {
            record.saved().is_some_and(|saved| saved.published.hash_line() == hash)
        }
        (RecordState::Retired(retired), Some(hash)) => {
            // Where the record was lost, nobody knows which hash its cluster had.
            retired.as_ref().is_none_or(|published| published.hash_line() == hash)
        }
    }
}

/// Whether the published hash may prove anything to this machine: without a cluster by the record, and where an init under another claim
/// than the ready record's has left something here, which may have become the cluster of that hash.
#[must_use]
pub fn may_be_told_by_hash(record: Option<&ClusterRecord>, local: &Local) -> bool {
    let Some(ready) = record.filter(|record| record.published().is_some()) else { return true };
    match local {
        Local::HalfMade { stage: Stage::Initializing, claim_id, .. } => *claim_id != ready.claim_id,
        Local::HalfMade { stage: Stage::Joining, .. }
        | Local::Made { .. }
        | Local::Fresh
        | Local::Unexplained { .. } => false,
    }
}

impl fmt::Display for LaterTruth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registration { instance, claim_id } => {
                write!(f, "{instance} registered that there is a cluster of claim {claim_id}")
            }
            Self::Hash => f.write_str("a discovery hash is published that is not of the record's cluster"),
        }
    }
}
