//! The HTTP client under every call, of AWS and of the instance metadata service.

use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig, tls};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::shared::IntoShared;

/// For the services of AWS, through this proxy. The certificate authorities are the system's.
pub(super) fn of_aws(proxy: ProxyConfig) -> SharedHttpClient {
    WhenNeeded::made_by(move |settings, components| connector(&proxy, tls::TlsContext::default(), settings, components))
}

/// For the instance metadata service, which speaks plain HTTP: no proxy, and no certificate authority is read and parsed for it.
pub(super) fn of_metadata() -> SharedHttpClient {
    WhenNeeded::made_by(|settings, components| {
        connector(&ProxyConfig::disabled(), trusting_nobody(), settings, components)
    })
}

fn trusting_nobody() -> tls::TlsContext {
    tls::TlsContext::builder().with_trust_store(tls::TrustStore::empty()).build().unwrap_or_default()
}

fn connector(
    proxy: &ProxyConfig,
    trusted: tls::TlsContext,
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
) -> Connector {
    let mut connector = Connector::builder().proxy_config(proxy.clone());
    connector.set_connector_settings(settings.cloned());
    connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    connector.tls_provider(provider).tls_context(trusted).build()
}

/// The SDK's client, but that it makes no connector before a call needs one. By itself it makes one for every client of a service, reads
/// and parses all authorities for that, and throws it away.
#[derive(Debug)]
struct WhenNeeded(SharedHttpClient);

impl WhenNeeded {
    fn made_by<F>(make: F) -> SharedHttpClient
    where
        F: Fn(Option<&HttpConnectorSettings>, Option<&RuntimeComponents>) -> Connector + Send + Sync + 'static,
    {
        Self(Builder::new().build_with_connector_fn(make)).into_shared()
    }
}

impl HttpClient for WhenNeeded {
    // What this trait has beside these two are checks of a client that was just made: there the SDK's makes its connector.
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_config::{BehaviorVersion, Region, retry::RetryConfig};
    use aws_sdk_s3::config::Credentials;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn one_connector_is_made_for_all_services_and_when_it_is_needed() {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let http = WhenNeeded::made_by(move |settings, components| {
            counted.fetch_add(1, Ordering::Relaxed);
            connector(&ProxyConfig::disabled(), tls::TlsContext::default(), settings, components)
        });
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new("eu-central-1"))
            .endpoint_url("http://127.0.0.1:9")
            .retry_config(RetryConfig::disabled())
            .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
            .load()
            .await;
        let (ec2, sts) = (aws_sdk_ec2::Client::new(&sdk), aws_sdk_sts::Client::new(&sdk));
        assert_eq!(made.load(Ordering::Relaxed), 0, "nobody has asked yet");
        assert!(ec2.describe_instances().send().await.is_err());
        assert!(sts.get_caller_identity().send().await.is_err());
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn nobody_is_trusted_where_nothing_is_encrypted() {
        let nobody = trusting_nobody();
        assert!(format!("{nobody:?}").contains("enable_native_roots: false"), "{nobody:?}");
    }
}
