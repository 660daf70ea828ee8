//! One SDK configuration for every call: endpoints, Region and credentials from the standard AWS variables, files and
//! IMDS; a deadline for every attempt, which the SDK for Rust does not have by itself.

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::proxy::ProxyConfig;
use std::time::Duration;

/// One attempt: a healthy answer takes tens of milliseconds, and a claim must be renewed every few seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// One call with the SDK's own retries.
const CALL_TIMEOUT: Duration = Duration::from_secs(12);
/// Connecting alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The SDK's retries of a read. Conditional writes have none of these: see [`super::store`].
const ATTEMPTS: u32 = 3;

/// Loads the SDK configuration; without a Region, the one of the standard variables and files.
/// Commands use [`Session`](super::session::Session).
///
/// # Errors
/// A proxy variable that is no URL.
pub async fn connect(region: Option<String>) -> anyhow::Result<SdkConfig> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let proxy = proxy_from(|name| std::env::var(name).ok())?;
    let http = super::http::of_aws(proxy);
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).http_client(http).timeout_config(timeouts).retry_config(
            RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(Duration::from_millis(200)),
        );
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    Ok(loader.load().await)
}

/// `HTTPS_PROXY` and `NO_PROXY`, for HTTPS only: IMDS speaks plain HTTP and so never goes through a proxy.
fn proxy_from(env: impl Fn(&str) -> Option<String>) -> anyhow::Result<ProxyConfig> {
    let either = |upper: &str, lower: &str| env(upper).or_else(|| env(lower)).filter(|value| !value.is_empty());
    let Some(url) = either("HTTPS_PROXY", "https_proxy") else { return Ok(ProxyConfig::disabled()) };
    let proxy = ProxyConfig::https(url)
        .map_err(|_| anyhow::anyhow!("the variable HTTPS_PROXY is no URL: set it to http://HOST:PORT or unset it"))?;
    Ok(match either("NO_PROXY", "no_proxy") {
        Some(rules) => proxy.no_proxy(rules),
        None => proxy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_used_for_https_only_when_asked_for() {
        assert!(proxy_from(|_| None).unwrap().is_disabled());
        assert!(proxy_from(|name| (name == "HTTP_PROXY").then(|| "http://p:1".into())).unwrap().is_disabled());
        assert!(!proxy_from(|name| (name == "https_proxy").then(|| "http://p:1".into())).unwrap().is_disabled());
        let error = proxy_from(|name| (name == "HTTPS_PROXY").then(|| "http://user:secret@ bad".into())).unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
