//! `join/cluster.json`: what is public of the cluster, and what a worker checks before it trusts anybody.

use super::object::{JoinKind, SCHEMA};
use crate::model::machine::ids::Uid;
use crate::model::version::is_version;
use serde::{Deserialize, Serialize};

/// The longest endpoint: a whole DNS name, a colon and a port.
const LONGEST_ENDPOINT: usize = 253 + 1 + 5;
/// The largest authorities together, in bytes.
const LARGEST_AUTHORITY: usize = 32 * 1024;
const BEGIN: &str = "-----BEGIN ";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n";

/// What workers must know of the cluster. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinCluster {
    schema: u32,
    /// The generation of the cluster record. What has a lower one never follows.
    pub generation: u64,
    /// The control-plane endpoint, `host:port`.
    pub endpoint: String,
    /// The certificates of the cluster's authorities (PEM), and nothing else.
    pub ca_pem: String,
    /// The UID of its `kube-system` namespace.
    pub kube_system_uid: Uid,
    /// The version that the cluster's configuration names, such as `v1.36.1`.
    pub kubernetes_version: String,
    /// The version of the oldest API server that serves: no kubelet may be newer.
    pub oldest_api_server: String,
}

impl JoinCluster {
    /// What is public of a cluster.
    ///
    /// # Errors
    /// What of it no worker would take.
    pub fn new(
        generation: u64,
        endpoint: String,
        ca_pem: String,
        kube_system_uid: Uid,
        kubernetes_version: String,
        oldest_api_server: String,
    ) -> Result<Self, &'static str> {
        let schema = SCHEMA;
        Self::of(Self { schema, generation, endpoint, ca_pem, kube_system_uid, kubernetes_version, oldest_api_server })
    }
}

impl JoinKind for JoinCluster {
    type Stored = Self;

    fn of(stored: Self) -> Result<Self, &'static str> {
        if !is_endpoint(&stored.endpoint) {
            return Err("its endpoint is none");
        }
        if !is_authority(&stored.ca_pem) {
            return Err("its CA is none");
        }
        if ![&stored.kubernetes_version, &stored.oldest_api_server].into_iter().all(|version| is_version(version)) {
            return Err("a version in it is none");
        }
        Ok(stored)
    }

    fn generation(&self) -> u64 {
        self.generation
    }
}

/// A host and a port. Whoever uses it parses it whole; here nothing passes that would be more than that in a file or a message.
fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    text.len() <= LONGEST_ENDPOINT && !host.is_empty() && host.bytes().all(is_host) && is_port
}

/// Certificates in PEM, never a key.
fn is_authority(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n');
    text.len() <= LARGEST_AUTHORITY
        && text.starts_with(CERTIFICATE)
        && text.matches(BEGIN).count() == text.matches(CERTIFICATE).count()
        && text.trim_end().ends_with("-----END CERTIFICATE-----")
        && text.bytes().all(is_plain)
}

#[cfg(test)]
impl JoinCluster {
    /// For tables: the cluster of this generation.
    pub(crate) fn sample(generation: u64) -> Self {
        let ca = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let uid = Uid::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
        let version = "v1.36.1".to_owned();
        Self::new(generation, "api.lab.internal:6443".into(), ca.into(), uid, version.clone(), version).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::tests::is_hostile_proof;
    use super::super::{Join, JoinError};
    use super::*;
    use crate::stored;

    #[test]
    fn what_is_stored_is_read_and_nothing_hostile_is() {
        is_hostile_proof(&JoinCluster::sample(3));
        stored::is_as_written("join-cluster.json", &Join::Published(JoinCluster::sample(3)).to_bytes());
        for (name, bytes) in stored::all("join-cluster") {
            assert!(Join::<JoinCluster>::parse(&bytes).is_ok(), "{name}");
        }
    }

    #[test]
    fn values_that_are_more_than_they_say_are_refused() {
        type Change = fn(&mut JoinCluster);
        let rows: [(&str, Change); 12] = [
            ("no port", |it| it.endpoint = "api".into()),
            ("port 0", |it| it.endpoint = "api:0".into()),
            ("a sign", |it| it.endpoint = "api:+1".into()),
            ("a URL", |it| it.endpoint = "https://api:6443".into()),
            ("a line more", |it| it.endpoint = "a\nuser: b:6443".into()),
            ("a long name", |it| it.endpoint = format!("{}:6443", "a".repeat(300))),
            ("a key", |it| it.ca_pem.push_str("-----BEGIN PRIVATE KEY-----\nx\n-----END CERTIFICATE-----\n")),
            ("no certificate", |it| it.ca_pem = "MIIB".into()),
            ("cut off", |it| it.ca_pem.truncate(40)),
            ("too large", |it| it.ca_pem = it.ca_pem.repeat(1000)),
            ("a version that is a path", |it| it.kubernetes_version = "../v1.36.1".into()),
            ("half a version", |it| it.oldest_api_server = "v1.36".into()),
        ];
        for (why, change) in rows {
            let mut changed = JoinCluster::sample(3);
            change(&mut changed);
            let bytes = Join::Published(changed).to_bytes();
            assert!(matches!(Join::<JoinCluster>::parse(&bytes), Err(JoinError::Malformed(_))), "{why}");
        }
        for endpoint in ["10.0.0.1:6443", "[fd00::1]:6443", "api.example.com:443"] {
            let bytes = Join::Published(JoinCluster { endpoint: endpoint.into(), ..JoinCluster::sample(3) }).to_bytes();
            assert!(Join::<JoinCluster>::parse(&bytes).is_ok(), "{endpoint}");
        }
    }
}
