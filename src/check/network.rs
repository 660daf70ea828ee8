//! The control-plane endpoint.

use super::Check;
use super::finding::{Finding, Found};
use super::input::CheckInput;
use std::collections::BTreeSet;
use tokio::net::lookup_host;

pub(super) const CHECKS: &[Check] = &[Check { name: "endpoint", run: |input| Box::pin(endpoint(input)) }];

/// Whether the endpoint's name leads anywhere. Nothing need listen there before there is a cluster.
async fn endpoint(input: &CheckInput) -> Found {
    let endpoint = &input.settings.needed()?.endpoint;
    if endpoint.ip().is_some() {
        return Ok(vec![Finding::ok(format!("{endpoint} is an address"))]);
    }
    let found: BTreeSet<String> = match lookup_host((endpoint.host.as_str(), endpoint.port)).await {
        Ok(found) => found.map(|address| address.ip().to_string()).collect(),
        Err(error) => return Err(unresolved(&endpoint.host, &error.to_string())),
    };
    if found.is_empty() {
        return Err(unresolved(&endpoint.host, "it has no address"));
    }
    let addresses: Vec<String> = found.into_iter().collect();
    Ok(vec![Finding::ok(format!("{} is {}", endpoint.host, addresses.join(", ")))])
}

/// `up` does without the name until the control plane stands, but kubelets and users will not.
fn unresolved(host: &str, why: &str) -> Finding {
    Finding::warning(format!("the name '{host}' does not resolve: {why}"), "make its DNS record, or correct 'endpoint'")
}
