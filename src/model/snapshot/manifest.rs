//! What is known of one snapshot: the object beside it in the bucket, written after it. Whatever is read there is hostile until it
//! was checked.

use super::name::SnapshotName;
use crate::model::machine::ids::{ClaimId, InstanceId, Uid};
use crate::model::record::object;
use crate::model::text::is_command;
use crate::model::version::is_version;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The schema this version writes and the only one it reads. Fields that it does not know are ignored.
const SCHEMA: u32 = 1;
/// The largest manifest, in bytes.
pub const LARGEST: usize = 16 * 1024;
/// The largest database, in bytes: etcd's own advice ends at 8 GiB.
pub const LARGEST_DATABASE: u64 = 64 * 1024 * 1024 * 1024;
/// The longest version or time, in characters.
const LONGEST_TEXT: usize = 64;
/// The longest key of a bundle, in characters.
const LONGEST_KEY: usize = 256;

/// How far a snapshot may be relied upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotKind {
    /// Taken after a linearizable read, while the cluster went on.
    Routine,
    /// Taken by the last voter when nobody could commit anything. If the saving was called off, later ones are newer.
    Final,
    /// Taken without a quorum. Others may have committed more, or other things.
    Unconfirmed,
}

/// What is known of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub(crate) schema: u32,
    /// The claim under which the cluster was made.
    pub claim: ClaimId,
    /// The UID of its `kube-system` namespace.
    pub kube_system_uid: Uid,
    /// How far it may be relied upon.
    pub kind: SnapshotKind,
    /// The revision that the database has at least. It may have a few more, which were committed while it was read.
    pub revision: u64,
    /// The version of the etcd that gave it, such as `3.6.8`.
    pub etcd_version: String,
    /// The Kubernetes version of the cluster, such as `v1.36.1`.
    pub kubernetes_version: String,
    /// Bytes of the database with the digest that etcd appends to it.
    pub database_size: u64,
    /// The digest of the database, as etcd itself has appended it (`sha256:` and 64 digits).
    pub database_digest: String,
    /// Bytes of the object.
    pub object_size: u64,
    /// The digest of the object (`sha256:` and 64 digits).
    pub object_digest: String,
    /// The key of the object, below the location of the snapshots.
    pub key: String,
    /// The key of the PKI bundle that belongs to it, below the prefix of the cluster.
    pub pki_key: String,
    /// The digest of that bundle.
    pub pki_digest: String,
    /// The machine that saved.
    pub saved_by: InstanceId,
    /// When, by that machine's clock; for people only (RFC 3339).
    pub saved_at: String,
}

/// Why an object is no manifest that may be acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not the manifest of a snapshot: {0}")]
pub struct ManifestError(pub String);

/// What a machine knows of its cluster when it saves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotOrigin {
    /// The claim under which the cluster was made.
    pub claim: ClaimId,
    /// The UID of its `kube-system` namespace.
    pub kube_system_uid: Uid,
    /// The Kubernetes version of the cluster.
    pub kubernetes_version: String,
    /// The key of the PKI bundle.
    pub pki_key: String,
    /// The digest of that bundle.
    pub pki_digest: String,
    /// This machine.
    pub saved_by: InstanceId,
    /// The time by its clock (RFC 3339).
    pub saved_at: String,
}

/// What was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Bytes of the database with etcd's digest.
    pub database_size: u64,
    /// That digest.
    pub database_digest: String,
    /// Bytes of the object.
    pub object_size: u64,
    /// Its digest.
    pub object_digest: String,
}

impl Manifest {
    /// The manifest of a snapshot that was just uploaded under this name.
    #[must_use]
    pub fn new(
        name: &SnapshotName,
        kind: SnapshotKind,
        etcd_version: String,
        origin: SnapshotOrigin,
        upload: Packed,
    ) -> Self {
        Self {
            schema: SCHEMA,
            claim: origin.claim,
            kube_system_uid: origin.kube_system_uid,
            kind,
            revision: name.revision,
            etcd_version,
            kubernetes_version: origin.kubernetes_version,
            database_size: upload.database_size,
            database_digest: upload.database_digest,
            object_size: upload.object_size,
            object_digest: upload.object_digest,
            key: name.database_key(),
            pki_key: origin.pki_key,
            pki_digest: origin.pki_digest,
            saved_by: origin.saved_by,
            saved_at: origin.saved_at,
        }
    }

    /// Reads the object under this key.
    ///
    /// # Errors
    /// [`ManifestError`]: nothing is ever restored by such an object.
    pub fn parse(key: &str, bytes: &[u8]) -> Result<Self, ManifestError> {
        let wrong = |why: &str| Err(ManifestError(why.to_owned()));
        let Some(name) = SnapshotName::of_manifest(key) else { return wrong("its key is none of a manifest") };
        if bytes.len() > LARGEST {
            return wrong("it is too large");
        }
        let read: Self = object::read(bytes, SCHEMA).map_err(ManifestError)?;
        if read.key != name.database_key() || read.revision != name.revision {
            return wrong("it tells of another snapshot than its key");
        }
        if name.is_final != (read.kind == SnapshotKind::Final) {
            return wrong("it tells of another kind than its key");
        }
        if ![&read.database_digest, &read.object_digest, &read.pki_digest].into_iter().all(|digest| is_digest(digest)) {
            return wrong("a digest in it is none");
        }
        if ![&read.etcd_version, &read.kubernetes_version].into_iter().all(|version| is_version(version)) {
            return wrong("a version in it is none");
        }
        if !is_plain(&read.saved_at, LONGEST_TEXT) || !is_key(&read.pki_key) {
            return wrong("a text in it is none of kubeboot's");
        }
        let largest = LARGEST_DATABASE;
        if read.database_size == 0
            || read.database_size > largest
            || read.object_size == 0
            || read.object_size > largest
        {
            return wrong("a size in it is none of a snapshot");
        }
        Ok(read)
    }

    /// The bytes to store. Equal manifests give equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        object::to_bytes(self)
    }

    /// Its own key, below the location of the snapshots.
    #[must_use]
    pub fn manifest_key(&self) -> String {
        self.name().map_or_else(|| self.key.clone(), |name| name.manifest_key())
    }

    /// The name of the snapshot that stands under this key, for people.
    #[must_use]
    pub fn name_of(key: &str) -> String {
        SnapshotName::parse(key).map_or_else(|| key.to_owned(), |name| name.to_string())
    }

    /// The name of the snapshot.
    #[must_use]
    pub fn name(&self) -> Option<SnapshotName> {
        SnapshotName::parse(&self.key)
    }
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:");
    digits.is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn is_plain(text: &str, longest: usize) -> bool {
    text.chars().count() <= longest && !text.chars().any(is_command)
}

/// A key of the bucket: neither a way out of the prefix nor odd letters.
fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_KEY
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/'))
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

impl fmt::Display for SnapshotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Routine => "routine",
            Self::Final => "final",
            Self::Unconfirmed => "unconfirmed",
        })
    }
}

#[cfg(test)]
impl Manifest {
    /// For tables: a snapshot of this revision and kind.
    pub(crate) fn sample(revision: u64, kind: SnapshotKind) -> Self {
        use crate::model::machine::ids::Nonce;
        const UUID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let saved_at = "2026-11-30T03:50:59Z".to_owned();
        let name = SnapshotName::new(kind, revision, &saved_at, &Nonce::parse(UUID).unwrap());
        let origin = SnapshotOrigin {
            claim: ClaimId::parse(UUID).unwrap(),
            kube_system_uid: Uid::parse(UUID).unwrap(),
            kubernetes_version: "v1.36.1".into(),
            pki_key: format!("control-plane/pki/{UUID}.json"),
            pki_digest: digest("a"),
            saved_by: InstanceId::parse("i-00000001").unwrap(),
            saved_at,
        };
        let upload = Packed {
            database_size: 20_512,
            database_digest: digest("b"),
            object_size: 2_000,
            object_digest: digest("c"),
        };
        Self::new(&name, kind, "3.6.8".into(), origin, upload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored;
    use serde_json::{Value, json};

    fn sample() -> Manifest {
        Manifest::sample(12_345, SnapshotKind::Routine)
    }

    #[test]
    fn the_kind_and_the_name_agree_on_what_is_final() {
        use SnapshotKind::{Final, Routine, Unconfirmed};
        for (named, told) in [(Final, Routine), (Final, Unconfirmed), (Routine, Final)] {
            let manifest = Manifest { kind: told, ..Manifest::sample(12_345, named) };
            let read = Manifest::parse(&manifest.manifest_key(), &manifest.to_bytes());
            assert!(read.unwrap_err().to_string().contains("another kind than its key"), "{named}, {told}");
        }
    }

    /// The manifest as JSON with one field set to another value, or away.
    fn with(field: &str, value: Option<Value>) -> Vec<u8> {
        let mut json: Value = serde_json::from_slice(&sample().to_bytes()).unwrap();
        let fields = json.as_object_mut().unwrap();
        match value {
            Some(value) => fields.insert(field.into(), value),
            None => fields.remove(field),
        };
        json.to_string().into_bytes()
    }

    #[test]
    fn what_is_written_is_read_again() {
        for kind in [SnapshotKind::Routine, SnapshotKind::Final, SnapshotKind::Unconfirmed] {
            let manifest = Manifest::sample(u64::MAX, kind);
            assert_eq!(Manifest::parse(&manifest.manifest_key(), &manifest.to_bytes()), Ok(manifest));
        }
    }

    #[test]
    fn a_manifest_is_stored_as_it_was_before() {
        stored::is_as_written("snapshot-manifest.json", &sample().to_bytes());
        for (name, bytes) in stored::all("snapshot-manifest") {
            assert!(Manifest::parse(&sample().manifest_key(), &bytes).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_later_versions_fields_are_ignored_and_its_schema_is_not() {
        let key = sample().manifest_key();
        assert_eq!(Manifest::parse(&key, &with("later", Some(json!({"a": [1]})))), Ok(sample()));
        let newer = Manifest::parse(&key, &with("schema", Some(2.into())));
        assert!(newer.unwrap_err().to_string().contains("it has schema 2"));
    }

    #[test]
    fn nothing_hostile_is_a_manifest() {
        let key = sample().manifest_key();
        let rows = [
            ("claim", Some(json!("../x"))),
            ("claim", None),
            ("kube_system_uid", Some(json!(""))),
            ("kind", Some(json!("best"))),
            ("kind", Some(json!("final"))),
            ("revision", Some(json!(12_346))),
            ("revision", Some(json!(-1))),
            ("revision", Some(json!(1.5))),
            ("key", Some(json!("control-plane/cluster.json"))),
            ("key", Some(json!(Manifest::sample(12_346, SnapshotKind::Routine).key))),
            ("key", Some(json!(Manifest::sample(12_345, SnapshotKind::Final).key))),
            ("database_size", Some(json!(0))),
            ("database_size", Some(json!(u64::MAX))),
            ("object_size", Some(json!(LARGEST_DATABASE + 1))),
            ("object_size", None),
            ("database_digest", Some(json!("sha256:00"))),
            ("object_digest", Some(json!(format!("md5:{}", "0".repeat(64))))),
            ("pki_digest", Some(json!("0".repeat(71)))),
            ("pki_key", Some(json!("../../other/bundle.json"))),
            ("pki_key", Some(json!("/etc/passwd"))),
            ("pki_key", Some(json!("k".repeat(300)))),
            ("etcd_version", Some(json!("3.6"))),
            ("etcd_version", Some(json!("3.6.\u{1b}[2J"))),
            ("etcd_version", Some(json!("+3.6.1"))),
            ("kubernetes_version", Some(json!("v1.36.1 and more"))),
            ("kubernetes_version", Some(json!(format!("v1.36.1-{}", "a".repeat(60))))),
            ("saved_by", Some(json!("i-1"))),
            ("saved_at", Some(json!("\u{1b}]0;"))),
            ("saved_at", Some(json!("x".repeat(100)))),
        ];
        for (field, value) in rows {
            let read = Manifest::parse(&key, &with(field, value.clone()));
            assert!(read.is_err(), "{field} = {value:?}: {read:?}");
        }
        for bytes in [&b""[..], b"{", b"[]", b"null", b"{}"] {
            assert!(Manifest::parse(&key, bytes).is_err(), "{bytes:?}");
        }
        let large = [&sample().to_bytes()[..], &vec![b' '; LARGEST]].concat();
        assert!(Manifest::parse(&key, &large).unwrap_err().to_string().contains("too large"));
        assert!(Manifest::parse(&sample().key, &sample().to_bytes()).is_err(), "the key of the database");
    }
}
