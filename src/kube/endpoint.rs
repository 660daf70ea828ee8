//! Asks without credentials whether any server answers at an endpoint, for a caller that must be sure that none does.

use super::answers;
use crate::settings::Endpoint;
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
    ask(builder(), endpoint).await
}

/// As [`answers_at`], at one of the addresses to which `host` resolves.
pub async fn answers_at_address(host: &str, address: SocketAddr) -> Option<UnverifiedAnswer> {
    let endpoint = Endpoint { host: host.to_owned(), port: address.port() };
    ask(builder().resolve(host, address), &endpoint.to_string()).await
}

fn builder() -> reqwest::ClientBuilder {
    // Sets the provider for the whole process. It fails if it was set before, to the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent("kubeboot")
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(true)
        .timeout(PROBE_TIMEOUT)
}

async fn ask(builder: reqwest::ClientBuilder, endpoint: &str) -> Option<UnverifiedAnswer> {
    let client = builder.build().ok()?;
    let answer = client.get(format!("https://{endpoint}/readyz")).send().await.ok()?;
    let (address, status) = (answer.remote_addr(), answer.status().as_u16());
    let ca_hashes = authority(&client, endpoint).await.unwrap_or_default();
    Some(UnverifiedAnswer { address, status, ca_hashes })
}

async fn authority(client: &reqwest::Client, endpoint: &str) -> Option<Vec<String>> {
    let mut answer = client.get(format!("https://{endpoint}{CLUSTER_INFO}")).send().await.ok()?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > LIMIT {
            return None;
        }
    }
    answers::authority(&answers::json(&body).ok()?).ok()
}
