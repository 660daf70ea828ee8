//! The keys below `s3://BUCKET/PREFIX/`.

use crate::model::machine::ids::{ClaimId, InstanceId};

/// The cluster record: the only truth about which cluster there is.
pub const RECORD: &str = "control-plane/cluster.json";
/// The membership lease.
pub const LEASE: &str = "control-plane/membership-lease.json";
/// The hash of the CA's public key, as operators know it: a projection of the record.
pub const HASH: &str = "join/discovery-token-ca-cert-hash";
/// The folder of the registrations.
pub const NODES: &str = "control-plane/nodes/";

/// The folder of registrations that are over, which nobody reads.
pub const FORMER: &str = "control-plane/former/";

/// The PKI bundle of a claim. Named after the claim, so that nobody can overwrite the winner's.
#[must_use]
pub fn pki(claim: &ClaimId) -> String {
    format!("control-plane/pki/{claim}.json")
}

/// A machine's registration.
#[must_use]
pub fn node(instance: &InstanceId) -> String {
    format!("{NODES}{instance}.json")
}

/// The registration of a machine that is gone, once it has nothing more to say.
#[must_use]
pub fn former(instance: &InstanceId) -> String {
    format!("{FORMER}{instance}.json")
}

/// A scratch object that `check`, and `up` before its first claim, writes and removes.
#[must_use]
pub fn scratch(instance: &str, nonce: &str) -> String {
    format!("control-plane/nodes/check-{instance}-{nonce}")
}
