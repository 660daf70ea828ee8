//! Whether anything at all answers at an endpoint, without credentials: for who wants to be sure that nothing does.

use super::answers;
use std::net::SocketAddr;
use std::time::Duration;

/// How long one question may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const LIMIT: usize = 64 * 1024;
/// What kubeadm lets everybody read: whose cluster this is.
const CLUSTER_INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";

/// Somebody who answers, whoever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointAnswer {
    /// Where the endpoint's name led.
    pub address: Option<SocketAddr>,
    /// The HTTP status of `/readyz`.
    pub status: u16,
    /// Public-key hashes of the CA of its cluster, if it gives that away.
    pub ca_hashes: Vec<String>,
}

/// Who answers HTTPS at `endpoint` (`host:port`); `None` when nobody does. Nothing secret is sent, and nothing is decided by
/// who it is, so its certificate is not looked at. A load balancer without a machine behind it accepts and answers nothing.
pub async fn answers_at(endpoint: &str) -> Option<EndpointAnswer> {
    // For the whole process, and only the first time; who came first chose the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder()
        .user_agent("kubeboot")
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(true)
        .timeout(PROBE_TIMEOUT)
        .build()
        .ok()?;
    let answer = client.get(format!("https://{endpoint}/readyz")).send().await.ok()?;
    let (address, status) = (answer.remote_addr(), answer.status().as_u16());
    let ca_hashes = authority(&client, endpoint).await.unwrap_or_default();
    Some(EndpointAnswer { address, status, ca_hashes })
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
