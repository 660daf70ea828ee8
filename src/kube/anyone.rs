//! Whether anything at all answers at an endpoint, without credentials: for who wants to be sure that nothing does.

use std::time::Duration;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an HTTPS server at `endpoint` (`host:port`) answers, whoever it is; `None` when there is none. Nothing secret is
/// sent, so its certificate is not looked at. A load balancer without a machine behind it accepts and answers nothing.
pub async fn answers_at(endpoint: &str) -> Option<String> {
    // For the whole process, and only the first time; who came first chose the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder()
        .user_agent("kubeboot")
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(true)
        .timeout(PATIENCE)
        .build()
        .ok()?;
    let answer = client.get(format!("https://{endpoint}/readyz")).send().await.ok()?;
    Some(format!("HTTP status {}", answer.status().as_u16()))
}
