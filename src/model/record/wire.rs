//! The cluster record as it is stored: flat, so that a person reads it at one glance.

use super::cluster::{ClusterRecord, FIRST_SCHEMA, Holder, Published, RecordState, SCHEMA};
use super::identity::Identity;
use super::saved::{Saved, SnapshotRef};
use crate::model::machine::ids::{ClaimId, InstanceId};
use serde::{Deserialize, Serialize};

/// The object's fields.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wire {
    schema: u32,
    phase: RecordPhase,
    claim_id: ClaimId,
    generation: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beat: Option<u64>,
    identity: Identity,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    yielded: Vec<InstanceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<Published>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retired_claims: Vec<ClaimId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotRef>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    superseded: Vec<ClaimId>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RecordPhase {
    Initializing,
    Ready,
    Saved,
    Retired,
}

impl TryFrom<Wire> for ClusterRecord {
    type Error = String;
    fn try_from(wire: Wire) -> Result<Self, String> {
        if !(FIRST_SCHEMA..=SCHEMA).contains(&wire.schema) {
            return Err(format!("schema {} is unknown", wire.schema));
        }
        let state = match (wire.phase, wire.holder, wire.beat, wire.cluster, wire.snapshot) {
            (RecordPhase::Initializing, holder, Some(beat), None, None) => {
                RecordState::Initializing { holder, beat, restoring: None }
            }
            (RecordPhase::Initializing, holder, Some(beat), Some(published), Some(snapshot)) => {
                let restoring = Some(Box::new(Saved { published, snapshot }));
                RecordState::Initializing { holder, beat, restoring }
            }
            (RecordPhase::Ready, None, None, Some(published), None) => RecordState::Ready(published),
            (RecordPhase::Saved, None, None, Some(published), Some(snapshot)) => {
                RecordState::Saved(Saved { published, snapshot })
            }
            (RecordPhase::Retired, None, None, published, None) => RecordState::Retired(published),
            (RecordPhase::Initializing, ..) => {
                return Err("phase initializing wants beat, and cluster and snapshot together or neither".into());
            }
            (RecordPhase::Ready | RecordPhase::Saved | RecordPhase::Retired, ..) => {
                return Err("phases ready and saved want cluster, saved alone wants snapshot, and none of ready, saved and retired has \
                            a holder or a beat"
                    .into());
            }
        };
        let record = Self {
            claim_id: wire.claim_id,
            generation: wire.generation,
            identity: wire.identity,
            yielded: wire.yielded,
            retired_claims: wire.retired_claims,
            superseded: wire.superseded,
            state,
        };
        match record.schema() {
            wanted if wanted == wire.schema => Ok(record),
            wanted => Err(format!("what it holds is written with schema {wanted}, not {}", wire.schema)),
        }
    }
}

impl From<ClusterRecord> for Wire {
    fn from(record: ClusterRecord) -> Self {
        let schema = record.schema();
        let (phase, holder, beat, cluster, snapshot) = match record.state {
            RecordState::Initializing { holder, beat, restoring: None } => {
                (RecordPhase::Initializing, holder, Some(beat), None, None)
            }
            RecordState::Initializing { holder, beat, restoring: Some(saved) } => {
                (RecordPhase::Initializing, holder, Some(beat), Some(saved.published), Some(saved.snapshot))
            }
            RecordState::Ready(published) => (RecordPhase::Ready, None, None, Some(published), None),
            RecordState::Saved(saved) => (RecordPhase::Saved, None, None, Some(saved.published), Some(saved.snapshot)),
            RecordState::Retired(published) => (RecordPhase::Retired, None, None, published, None),
        };
        Self {
            schema,
            phase,
            claim_id: record.claim_id,
            generation: record.generation,
            holder,
            beat,
            identity: record.identity,
            yielded: record.yielded,
            cluster,
            retired_claims: record.retired_claims,
            snapshot,
            superseded: record.superseded,
        }
    }
}
