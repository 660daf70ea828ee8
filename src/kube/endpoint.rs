//! Asks without credentials whether any server answers at an endpoint, for a caller that must be sure that none does.

use super::answers;
use super::transport::{Transport, unverified};
use http::Method;
use std::net::SocketAddr;
use std::time::Duration;

/// How long one request may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const LIMIT: usize = 64 * 1024;
/// The object by which kubeadm lets everybody read the cluster's CA.
const CLUSTER_INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";

/// The answer of a server at an endpoint, of whichever cluster: its certificate was not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedAnswer {
    /// The address that the endpoint's name resolved to.
    pub address: Option<SocketAddr>,
    /// The HTTP status of `/readyz`.
    pub status: u16,
    /// Public-key hashes of the CA of its cluster, if it publishes that.
    pub ca_hashes: Vec<String>,
}

/// The server that answers HTTPS at `endpoint` (`host:port`); `None` when none does. Its certificate is not verified, because no
/// secret is sent and its identity decides nothing. A load balancer without targets accepts the connection and does not answer.
pub async fn answers_at(endpoint: &str) -> Option<UnverifiedAnswer> {
    let host = endpoint.rsplit_once(':')?.0;
    ask(endpoint, host.trim_start_matches('[').trim_end_matches(']')).await
}

/// As [`answers_at`], at one of the addresses to which `host` resolves.
pub async fn answers_at_address(host: &str, address: SocketAddr) -> Option<UnverifiedAnswer> {
    ask(&address.to_string(), host).await
}

async fn ask(authority: &str, host: &str) -> Option<UnverifiedAnswer> {
    let transport = Transport::new(unverified(authority, host).ok()?, PROBE_TIMEOUT, LIMIT).ok()?;
    let answer = transport.call(Method::GET, "/readyz", None).await.ok()?;
    let ca_hashes = ca_hashes(&transport).await.unwrap_or_default();
    Some(UnverifiedAnswer { address: answer.from, status: answer.status.as_u16(), ca_hashes })
}

async fn ca_hashes(transport: &Transport) -> Option<Vec<String>> {
    let answer = transport.call(Method::GET, CLUSTER_INFO, None).await.ok()?;
    answers::authority(&answers::json(&answer.body).ok()?).ok()
}
