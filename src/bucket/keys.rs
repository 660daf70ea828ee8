//! The keys below `s3://BUCKET/PREFIX/`.

use crate::model::machine::ids::{ClaimId, InstanceId};

/// The cluster record: the only truth about which cluster there is.
pub const RECORD: &str = "control-plane/cluster.json";
/// The membership lease.
pub const LEASE: &str = "control-plane/membership-lease.json";
/// The hash of the CA's public key, as operators know it: a projection of the record.
pub const HASH: &str = "join/discovery-token-ca-cert-hash";
/// What is public of the cluster, for workers.
pub const JOIN_CLUSTER: &str = "join/cluster.json";
/// The bootstrap token of workers: a secret.
pub const JOIN_TOKEN: &str = "join/token.json";
/// The folder of the registrations.
pub const NODES: &str = "control-plane/nodes/";

/// The folder of registrations that are over, which nobody reads.
pub const FORMER: &str = "control-plane/former/";

/// The PKI bundle of a claim. Named after the claim, so that nobody can overwrite the winner's.
#[must_use]
pub fn pki(claim: &ClaimId) -> String {
    format!("control-plane/pki/{claim}.json")
}

/// The claim after which a PKI bundle is named; a restored cluster keeps that of the claim that first made it. `None` for a key that
/// is none of a bundle.
#[must_use]
pub fn claim_of_pki(key: &str) -> Option<ClaimId> {
    let name = key.strip_prefix("control-plane/pki/")?.strip_suffix(".json")?;
    ClaimId::parse(name).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_names_its_claim() {
        let claim = ClaimId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
        assert_eq!(claim_of_pki(&pki(&claim)), Some(claim));
        for key in ["", "control-plane/pki/.json", "control-plane/pki/../x.json", "control-plane/nodes/i-1.json"] {
            assert_eq!(claim_of_pki(key), None, "{key}");
        }
    }
}
