//! Asks without credentials whether any server answers at an endpoint, for a caller that must be sure that none does.

use super::answers;
use super::transport::{Transport, unverified};
use crate::settings::Endpoint;
use reqwest::{ClientBuilder, Method};
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
    ask(unverified(), endpoint).await
}

/// As [`answers_at`], at one of the addresses to which `host` resolves.
pub async fn answers_at_address(host: &str, address: SocketAddr) -> Option<UnverifiedAnswer> {
    let endpoint = Endpoint { host: host.to_owned(), port: address.port() };
    ask(unverified().resolve(host, address), &endpoint.to_string()).await
}

async fn ask(client: ClientBuilder, endpoint: &str) -> Option<UnverifiedAnswer> {
    let transport = Transport::new(client, format!("https://{endpoint}"), PROBE_TIMEOUT, LIMIT).ok()?;
    let (status, address) = transport.status("/readyz").await.ok()?;
    let ca_hashes = ca_hashes(&transport).await.unwrap_or_default();
    Some(UnverifiedAnswer { address, status: status.as_u16(), ca_hashes })
}

async fn ca_hashes(transport: &Transport) -> Option<Vec<String>> {
    let answer = transport.call(Method::GET, CLUSTER_INFO, None).await.ok()?;
    answers::authority(&answers::json(&answer.body).ok()?).ok()
}
