//! The cluster record: fence, state and published facts in one object.

use crate::model::machine::ids::{BootId, ClaimId, EtcdClusterId, InstanceId, Uid};
use crate::model::record::identity::Identity;
use crate::model::record::object;
use serde::{Deserialize, Serialize};

/// The schema this version writes and the only one it reads.
pub const SCHEMA: u32 = 1;

/// Why an object is no cluster record that this version may act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer kubeboot.
    #[error(
        "it has schema {found}, this kubeboot reads schema {SCHEMA}: install the version that wrote it, or a newer one"
    )]
    NewerSchema {
        /// The schema number in the object.
        found: u64,
    },
    /// Not JSON, a field missing, unknown or of the wrong kind.
    #[error("it is not a cluster record: {reason}")]
    Malformed {
        /// What the parser says.
        reason: String,
    },
}

impl RecordError {
    /// What an operator can do. An older version of a later kubeboot's record is never put back: it may be of before the cluster.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NewerSchema { .. } => {
                "a newer kubeboot wrote it, so build the image with that version of kubeboot, and leave the record as it is"
            }
            Self::Malformed { .. } => {
                "if it is not kubeboot's, choose another prefix; if it was damaged, restore its last good version"
            }
        }
    }
}

/// Who holds a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The machine.
    pub instance: InstanceId,
    /// Its boot, for people: a holder is told from its earlier self by the claim ID.
    pub boot: BootId,
}

/// What is known of a cluster once it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Hashes of the public keys of the cluster's CA certificates, as kubeadm writes them (`sha256:` and 64 digits).
    pub ca_hashes: Vec<String>,
    /// UID of the `kube-system` namespace: the one thing that tells two clusters with the same CA apart.
    pub kube_system_uid: Uid,
    /// ID of its etcd cluster, which every answer of a member carries; none where etcd is external.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd_cluster_id: Option<EtcdClusterId>,
    /// Version the cluster was made with, such as `v1.36.1`.
    pub kubernetes_version: String,
    /// Key of the PKI bundle in the bucket, below the prefix.
    pub pki_key: String,
    /// Digest of the bundle's bytes (`sha256:` and 64 digits).
    pub pki_digest: String,
    /// The machine that initialised.
    pub initialised_by: InstanceId,
    /// When, by that machine's clock; for people only (RFC 3339).
    pub initialised_at: String,
}

/// What the record says about the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordState {
    /// There is a claim and no cluster yet. Without a holder the last one has stepped down.
    Initializing {
        /// The claim's holder.
        holder: Option<Holder>,
        /// Counts the holder's rewrites.
        beat: u64,
    },
    /// There is a cluster.
    Ready(Published),
    /// There was a cluster, and an operator has given it up. What was published of it; nothing where its record was lost.
    Retired(Option<Published>),
}

/// The cluster record, `control-plane/cluster.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct ClusterRecord {
    /// The claim that made, or is making, the cluster.
    pub claim_id: ClaimId,
    /// Counts claims, for people.
    pub generation: u64,
    /// Whose cluster it is.
    pub identity: Identity,
    /// Machines whose init failed too often: they rank last.
    pub yielded: Vec<InstanceId>,
    /// The claims of earlier clusters under this prefix that were given up: those that were retired, and where a record was lost,
    /// those that the registrations named. Every later record keeps them, so that what still tells of them proves nothing.
    pub retired_claims: Vec<ClaimId>,
    /// Where the cluster stands.
    pub state: RecordState,
}

#[cfg(test)]
impl Published {
    /// For tables that need a cluster and do not look at it: `by` made it.
    pub(in crate::model) fn sample(by: InstanceId) -> Self {
        Self {
            ca_hashes: vec!["sha256:00".into()],
            kube_system_uid: Uid::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap(),
            etcd_cluster_id: Some(EtcdClusterId(7)),
            kubernetes_version: "v1.36.1".into(),
            pki_key: "k".into(),
            pki_digest: "sha256:00".into(),
            initialised_by: by,
            initialised_at: String::new(),
        }
    }
}

impl ClusterRecord {
    /// Reads the object's bytes.
    ///
    /// # Errors
    /// [`RecordError`]: such an object is never overwritten and never taken as "no cluster".
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let malformed = |error: serde_json::Error| RecordError::Malformed { reason: error.to_string() };
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(malformed)?;
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(found) if found > u64::from(SCHEMA) => Err(RecordError::NewerSchema { found }),
            _ => serde_json::from_value(value).map_err(malformed),
        }
    }

    /// The bytes to store. Equal records give equal bytes, so that a read-back can be compared whole.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        object::to_bytes(self)
    }

    /// The holder, while there is a claim.
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        match &self.state {
            RecordState::Initializing { holder, .. } => holder.as_ref(),
            RecordState::Ready(_) | RecordState::Retired(_) => None,
        }
    }

    /// Whether this record says that the cluster of this claim was given up.
    #[must_use]
    pub fn gives_up(&self, claim: &ClaimId) -> bool {
        let is_own = matches!(self.state, RecordState::Retired(_)) && self.claim_id == *claim;
        is_own || self.retired_claims.contains(claim)
    }

    /// Whether the next claim would be one over nothing, or over a retired record.
    #[must_use]
    pub fn is_claimed_anew(record: Option<&Self>) -> bool {
        record.is_none_or(|record| matches!(record.state, RecordState::Retired(_)))
    }

    /// The published facts, once there is a cluster.
    #[must_use]
    pub fn published(&self) -> Option<&Published> {
        match &self.state {
            RecordState::Ready(published) => Some(published),
            RecordState::Initializing { .. } | RecordState::Retired(_) => None,
        }
    }
}

/// The record as it is stored: flat, so that a person reads it at one glance.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
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
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RecordPhase {
    Initializing,
    Ready,
    Retired,
}

impl TryFrom<Wire> for ClusterRecord {
    type Error = String;
    fn try_from(wire: Wire) -> Result<Self, String> {
        if wire.schema != SCHEMA {
            return Err(format!("schema {} is unknown", wire.schema));
        }
        let state = match (wire.phase, wire.holder, wire.beat, wire.cluster) {
            (RecordPhase::Initializing, holder, Some(beat), None) => RecordState::Initializing { holder, beat },
            (RecordPhase::Ready, None, None, Some(published)) => RecordState::Ready(published),
            (RecordPhase::Retired, None, None, published) => RecordState::Retired(published),
            (RecordPhase::Initializing, ..) => return Err("phase initializing wants beat and no cluster".into()),
            (RecordPhase::Ready | RecordPhase::Retired, ..) => {
                return Err("phase ready wants cluster, and neither ready nor retired has a holder or a beat".into());
            }
        };
        Ok(Self {
            claim_id: wire.claim_id,
            generation: wire.generation,
            identity: wire.identity,
            yielded: wire.yielded,
            retired_claims: wire.retired_claims,
            state,
        })
    }
}

impl From<ClusterRecord> for Wire {
    fn from(record: ClusterRecord) -> Self {
        let (phase, holder, beat, cluster) = match record.state {
            RecordState::Initializing { holder, beat } => (RecordPhase::Initializing, holder, Some(beat), None),
            RecordState::Ready(published) => (RecordPhase::Ready, None, None, Some(published)),
            RecordState::Retired(published) => (RecordPhase::Retired, None, None, published),
        };
        Self {
            schema: SCHEMA,
            phase,
            claim_id: record.claim_id,
            generation: record.generation,
            holder,
            beat,
            identity: record.identity,
            yielded: record.yielded,
            cluster,
            retired_claims: record.retired_claims,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::BootId;
    use crate::stored;

    const UUID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

    fn record(state: RecordState) -> ClusterRecord {
        let (claim_id, identity) = (ClaimId::parse(UUID).unwrap(), Identity::sample());
        let id = InstanceId::parse("i-00000001").unwrap();
        ClusterRecord { claim_id, generation: 2, identity, yielded: vec![id], retired_claims: Vec::new(), state }
    }

    fn states() -> [RecordState; 4] {
        let id = InstanceId::parse("i-00000001").unwrap();
        let holder = Holder { instance: id.clone(), boot: BootId::parse(UUID).unwrap() };
        let published = Published::sample(id);
        [
            RecordState::Initializing { holder: Some(holder), beat: 7 },
            RecordState::Initializing { holder: None, beat: 7 },
            RecordState::Ready(published.clone()),
            RecordState::Retired(published.into()),
        ]
    }

    /// The record as JSON with one field set to another value, or away.
    fn with(state: RecordState, field: &str, value: Option<serde_json::Value>) -> Vec<u8> {
        let mut json: serde_json::Value = serde_json::from_slice(&record(state).to_bytes()).unwrap();
        let fields = json.as_object_mut().unwrap();
        match value {
            Some(value) => fields.insert(field.into(), value),
            None => fields.remove(field),
        };
        json.to_string().into_bytes()
    }

    #[test]
    fn what_is_written_is_read_again() {
        for state in states() {
            let record = record(state);
            assert_eq!(ClusterRecord::parse(&record.to_bytes()), Ok(record));
        }
    }

    #[test]
    fn the_record_is_stored_as_it_was_before_in_every_phase() {
        let names = ["record-claimed.json", "record-vacant.json", "record-ready.json", "record-retired.json"];
        let lost = ("record-lost.json", RecordState::Retired(None));
        for (name, state) in names.into_iter().zip(states()).chain([lost]) {
            let retired_claims = vec![ClaimId::parse("00000000-0000-4000-8000-000000000001").unwrap()];
            stored::is_as_written(name, &ClusterRecord { retired_claims, ..record(state) }.to_bytes());
        }
        for (name, bytes) in stored::all("record-") {
            let read = ClusterRecord::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.claim_id.as_str(), UUID, "{name}");
        }
    }

    #[test]
    fn the_schema_tells_a_later_kubeboots_record_from_a_broken_one() {
        for (schema, newer) in [(0, false), (1, false), (2, true), (99, true)] {
            for state in states() {
                let read = ClusterRecord::parse(&with(state, "schema", Some(schema.into())));
                assert_eq!(
                    matches!(read, Err(RecordError::NewerSchema { found }) if found == schema),
                    newer,
                    "{schema}"
                );
                assert_eq!(read.is_ok(), schema == 1, "{schema}: {read:?}");
                // An older version of a later kubeboot's record may be of before its cluster.
                if let Err(error) = read {
                    assert_eq!(error.remedy().contains("restore"), !newer, "{schema}: {error:?}");
                }
            }
        }
    }

    #[test]
    fn a_record_in_two_minds_is_none() {
        let [held, vacant, ready, retired] = states();
        let beat = || Some(serde_json::Value::from(7));
        let holder = serde_json::json!({"instance": "i-00000001", "boot": UUID});
        let rows = [
            (held.clone(), "beat", None),
            (vacant, "phase", Some("ready".into())),
            (ready.clone(), "beat", beat()),
            (ready.clone(), "holder", Some(holder)),
            (ready.clone(), "cluster", None),
            (ready, "phase", Some("initializing".into())),
            (retired.clone(), "beat", beat()),
            (retired, "phase", Some("gone".into())),
            (held.clone(), "claim_id", Some("../nodes/x".into())),
            (held, "another", beat()),
        ];
        for (state, field, value) in rows {
            let read = ClusterRecord::parse(&with(state, field, value.clone()));
            assert!(matches!(read, Err(RecordError::Malformed { .. })), "{field}={value:?}: {read:?}");
        }
        for bytes in [&b""[..], b"{", b"[]", b"null", b"\"ready\"", b"{}"] {
            assert!(matches!(ClusterRecord::parse(bytes), Err(RecordError::Malformed { .. })), "{bytes:?}");
        }
    }
}
