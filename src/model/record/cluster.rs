//! The cluster record: fence, state and published facts in one object.

use crate::model::machine::ids::{BootId, ClaimId, EtcdClusterId, InstanceId, Uid};
use crate::model::record::identity::Identity;
use crate::model::record::object;
use crate::model::record::saved::Saved;
use crate::model::record::wire::Wire;
use serde::{Deserialize, Serialize};

/// The latest schema that this version reads. A record is written with the earliest one that has room for it: see
/// [`ClusterRecord::schema`].
pub const SCHEMA: u32 = 2;

/// The first schema, of a record that tells of no snapshot.
pub(super) const FIRST_SCHEMA: u32 = 1;

/// More revisions than a restored API server gives out before its claim is flipped or lost.
const REVISIONS_PER_CLAIM: u64 = 1_000_000_000;

/// From this many superseded claims on, a restore that failed is not kept among them: a machine that tries once a minute would fill the
/// object. Every claim that may have become the cluster is kept for ever.
pub(super) const MANY_SUPERSEDED: usize = 1000;

/// Why an object is no cluster record that this version may act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer kubeboot.
    #[error(
        "it has schema {found}, this kubeboot reads schemas up to {SCHEMA}: install the version that wrote it, or a newer one"
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
        /// The saved cluster that this claim, and every one after it, can only restore; `None` for a claim that makes a new one.
        restoring: Option<Box<Saved>>,
    },
    /// There is a cluster.
    Ready(Published),
    /// There is a cluster, and it lives in a snapshot: whoever claims next restores it.
    Saved(Saved),
    /// There was a cluster, and an operator has given it up. What was published of it; nothing where its record was lost.
    Retired(Option<Published>),
}

/// The cluster record, `control-plane/cluster.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct ClusterRecord {
    /// The claim that made, or is making, the cluster.
    pub claim_id: ClaimId,
    /// Goes up by one with every claim, with every retirement of a lost record, and when a saving of the cluster is called off whose
    /// `saved` may still arrive: the record must then differ from the one that it was sent over.
    pub generation: u64,
    /// Whose cluster it is.
    pub identity: Identity,
    /// Machines whose init failed too often: they rank last.
    pub yielded: Vec<InstanceId>,
    /// The claims of earlier clusters under this prefix that were given up: those that were retired, and where a record was lost,
    /// those that the registrations named. Every later record keeps them, so that what still tells of them proves nothing.
    pub retired_claims: Vec<ClaimId>,
    /// The claims of this very cluster that a restore follows: under which it was saved, and under which a restore was begun and did not
    /// become the cluster, as far as there is room for these. What their machines have on the disk is of an etcd that nobody may start again.
    pub superseded: Vec<ClaimId>,
    /// Where the cluster stands.
    pub state: RecordState,
}

impl Published {
    /// The line of which the published discovery hash consists.
    #[must_use]
    pub fn hash_line(&self) -> String {
        self.ca_hashes.join("\n")
    }
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
            RecordState::Ready(_) | RecordState::Saved(_) | RecordState::Retired(_) => None,
        }
    }

    /// Whether this record says that the cluster of this claim was given up.
    #[must_use]
    pub fn gives_up(&self, claim: &ClaimId) -> bool {
        let is_own = matches!(self.state, RecordState::Retired(_)) && self.claim_id == *claim;
        is_own || self.retired_claims.contains(claim)
    }

    /// Whether a restore follows the cluster of this claim, or a restore under it: the machines that have its data keep it, and serve
    /// nobody with it.
    #[must_use]
    pub fn supersedes(&self, claim: &ClaimId) -> bool {
        let is_own = matches!(self.state, RecordState::Saved(_)) && self.claim_id == *claim;
        is_own || self.superseded.contains(claim)
    }

    /// Whether the cluster that the record knows was restored after all that served under this claim: who had a vote then has none in it.
    /// While it is saved or being restored, only what came before its snapshot is past: it served until it was saved, under the snapshot's
    /// claim or a later one.
    #[must_use]
    pub fn is_past(&self, claim: &ClaimId) -> bool {
        let place = |wanted: &ClaimId| self.superseded.iter().position(|claim| claim == wanted);
        let Some(at) = place(claim) else { return false };
        match self.saved().map(|saved| &saved.snapshot.claim) {
            None => true,
            Some(taken_under) if *taken_under == self.claim_id => true,
            Some(taken_under) => place(taken_under).is_some_and(|taken| at < taken),
        }
    }

    /// Whether this claim came after the one under which the record's snapshot was taken, while the cluster is saved or being restored. One
    /// that nobody remembers did not.
    #[must_use]
    pub fn follows_snapshot(&self, claim: &ClaimId) -> bool {
        let Some(saved) = self.saved() else { return false };
        let line = || self.superseded.iter().chain([&self.claim_id]);
        let place = |wanted: &ClaimId| line().position(|claim| claim == wanted);
        matches!((place(&saved.snapshot.claim), place(claim)), (Some(taken), Some(place)) if place > taken)
    }

    /// Whether this claim is a part of what the record knows: its own, or one that it gives up or supersedes.
    #[must_use]
    pub fn explains(&self, claim: &ClaimId) -> bool {
        self.claim_id == *claim || self.gives_up(claim) || self.supersedes(claim)
    }

    /// The saved cluster, while it is saved or being restored.
    #[must_use]
    pub fn saved(&self) -> Option<&Saved> {
        match &self.state {
            RecordState::Saved(saved) => Some(saved),
            RecordState::Initializing { restoring, .. } => restoring.as_deref(),
            RecordState::Ready(_) | RecordState::Retired(_) => None,
        }
    }

    /// By how much etcd's revision is raised when this record's snapshot is restored under this record's claim, so that no revision is
    /// given out twice: by more for every claim that followed the snapshot. `None` where nothing is saved.
    #[must_use]
    pub fn revision_bump(&self) -> Option<u64> {
        let taken_under = &self.saved()?.snapshot.claim;
        let line = || self.superseded.iter().chain([&self.claim_id]);
        // Of a claim that nobody remembers: as if all of the line had followed it.
        let followed = line().rev().position(|claim| claim == taken_under).unwrap_or_else(|| line().count());
        let followed = u64::try_from(followed.max(1)).ok()?;
        // Once claims are left out, nobody knows how many lay between two that are in the line: no more than there ever were.
        let most_between = if self.is_line_full() { self.generation.max(1) } else { 1 };
        Some(followed.saturating_mul(most_between).saturating_mul(REVISIONS_PER_CLAIM))
    }

    /// Whether there is no room among the superseded claims for one that never became the cluster.
    pub(super) fn is_line_full(&self) -> bool {
        self.superseded.len() >= MANY_SUPERSEDED
    }

    /// The schema that this record is written with: the first one wherever it has room, so that an earlier kubeboot still reads it.
    #[must_use]
    pub fn schema(&self) -> u32 {
        if self.saved().is_some() || !self.superseded.is_empty() { SCHEMA } else { FIRST_SCHEMA }
    }

    /// What is known of the cluster, whether it serves, lives in a snapshot or was given up.
    #[must_use]
    pub fn known_cluster(&self) -> Option<&Published> {
        match &self.state {
            RecordState::Ready(published) => Some(published),
            RecordState::Saved(saved) => Some(&saved.published),
            RecordState::Initializing { restoring, .. } => restoring.as_ref().map(|saved| &saved.published),
            RecordState::Retired(published) => published.as_ref(),
        }
    }

    /// Whether the next claim would be one over nothing, or over a retired record.
    #[must_use]
    pub fn is_claimed_anew(record: Option<&Self>) -> bool {
        record.is_none_or(|record| matches!(record.state, RecordState::Retired(_)))
    }

    /// The published facts of a cluster that serves.
    #[must_use]
    pub fn published(&self) -> Option<&Published> {
        match &self.state {
            RecordState::Ready(published) => Some(published),
            RecordState::Initializing { .. } | RecordState::Saved(_) | RecordState::Retired(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ids::BootId;
    use crate::stored;

    const UUID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

    /// A record of this state, with what a restored cluster's carries.
    fn restored(state: RecordState) -> ClusterRecord {
        let superseded = vec![ClaimId::parse("00000000-0000-4000-8000-000000000002").unwrap()];
        ClusterRecord { superseded, ..record(state) }
    }

    fn record(state: RecordState) -> ClusterRecord {
        let (claim_id, identity) = (ClaimId::parse(UUID).unwrap(), Identity::sample());
        let id = InstanceId::parse("i-00000001").unwrap();
        ClusterRecord {
            claim_id,
            generation: 2,
            identity,
            yielded: vec![id],
            retired_claims: Vec::new(),
            superseded: Vec::new(),
            state,
        }
    }

    fn states() -> [RecordState; 4] {
        let id = InstanceId::parse("i-00000001").unwrap();
        let holder = Holder { instance: id.clone(), boot: BootId::parse(UUID).unwrap() };
        let published = Published::sample(id);
        [
            RecordState::Initializing { holder: Some(holder), beat: 7, restoring: None },
            RecordState::Initializing { holder: None, beat: 7, restoring: None },
            RecordState::Ready(published.clone()),
            RecordState::Retired(published.into()),
        ]
    }

    /// The records that only schema 2 has room for, by the names of their files.
    fn later_states() -> [(&'static str, ClusterRecord); 5] {
        let id = InstanceId::parse("i-00000001").unwrap();
        let saved = || Saved::sample(id.clone());
        let holder = Holder { instance: id.clone(), boot: BootId::parse(UUID).unwrap() };
        let restoring = |holder| RecordState::Initializing { holder, beat: 7, restoring: Some(saved().into()) };
        [
            ("record-saved.json", record(RecordState::Saved(saved()))),
            ("record-saved-again.json", restored(RecordState::Saved(saved()))),
            ("record-restoring.json", restored(restoring(Some(holder)))),
            ("record-restoring-vacant.json", restored(restoring(None))),
            ("record-restored.json", restored(RecordState::Ready(Published::sample(id.clone())))),
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
            assert_eq!((ClusterRecord::parse(&record.to_bytes()), record.schema()), (Ok(record), 1));
        }
        for (name, record) in later_states() {
            assert_eq!((ClusterRecord::parse(&record.to_bytes()), record.schema()), (Ok(record), 2), "{name}");
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
        for (name, record) in later_states() {
            let retired_claims = vec![ClaimId::parse("00000000-0000-4000-8000-000000000001").unwrap()];
            stored::is_as_written(name, &ClusterRecord { retired_claims, ..record }.to_bytes());
        }
        for (name, bytes) in stored::all("record-") {
            let read = ClusterRecord::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.claim_id.as_str(), UUID, "{name}");
        }
    }

    #[test]
    fn the_schema_tells_a_later_kubeboots_record_from_a_broken_one() {
        for (schema, newer) in [(0, false), (1, false), (2, false), (3, true), (99, true)] {
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
    fn a_record_is_written_with_the_first_schema_that_has_room_for_it() {
        let as_schema = |record: &ClusterRecord, schema: u32| {
            let mut json: serde_json::Value = serde_json::from_slice(&record.to_bytes()).unwrap();
            json["schema"] = schema.into();
            ClusterRecord::parse(json.to_string().as_bytes())
        };
        for (name, later) in later_states() {
            let refused = as_schema(&later, 1);
            assert!(matches!(refused, Err(RecordError::Malformed { .. })), "{name}: {refused:?}");
        }
        for state in states() {
            let refused = as_schema(&record(state), 2);
            assert!(matches!(refused, Err(RecordError::Malformed { .. })), "{refused:?}");
        }
    }

    #[test]
    fn what_the_record_knows_of_its_cluster_and_its_claims() {
        let [saved, again, restoring, vacant, restored] = later_states().map(|(_, record)| record);
        let (own, earlier) = (ClaimId::parse(UUID).unwrap(), restored.superseded[0].clone());
        // (record, supersedes its own claim, supersedes an earlier one, serves, lives in a snapshot)
        let rows = [
            (&saved, true, false, false, true),
            (&again, true, true, false, true),
            (&restoring, false, true, false, true),
            (&vacant, false, true, false, true),
            (&restored, false, true, true, false),
        ];
        for (record, supersedes_own, supersedes_earlier, serves, is_saved) in rows {
            assert_eq!(record.supersedes(&own), supersedes_own, "{record:?}");
            assert_eq!(record.supersedes(&earlier), supersedes_earlier, "{record:?}");
            assert_eq!((record.published().is_some(), record.saved().is_some()), (serves, is_saved), "{record:?}");
            assert!(record.explains(&own) && record.explains(&earlier) == supersedes_earlier, "{record:?}");
            assert!(record.known_cluster().is_some() && !record.gives_up(&earlier), "{record:?}");
            assert!(!ClusterRecord::is_claimed_anew(Some(record)), "{record:?}");
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
        let snapshot =
            || serde_json::to_value(Saved::sample(InstanceId::parse("i-00000001").unwrap()).snapshot).unwrap();
        let [(_, saved), _, (_, restoring), ..] = later_states();
        let later = [
            (saved.state.clone(), "snapshot", None),
            (saved.state.clone(), "cluster", None),
            (saved.state.clone(), "phase", Some("ready".into())),
            (saved.state.clone(), "phase", Some("retired".into())),
            (saved.state, "beat", beat()),
            (restoring.state.clone(), "snapshot", None),
            (restoring.state.clone(), "cluster", None),
            (restoring.state, "phase", Some("saved".into())),
            (states()[0].clone(), "snapshot", Some(snapshot())),
            (states()[2].clone(), "superseded", Some(vec![UUID].into())),
        ];
        for (state, field, value) in rows.into_iter().chain(later) {
            let read = ClusterRecord::parse(&with(state, field, value.clone()));
            assert!(matches!(read, Err(RecordError::Malformed { .. })), "{field}={value:?}: {read:?}");
        }
        for bytes in [&b""[..], b"{", b"[]", b"null", b"\"ready\"", b"{}"] {
            assert!(matches!(ClusterRecord::parse(bytes), Err(RecordError::Malformed { .. })), "{bytes:?}");
        }
    }
}
