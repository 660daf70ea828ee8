//! Whether an API server answers at an address, without credentials: whatever serves TLS with a certificate for
//! `kubernetes.default.svc` is one, whatever it says over HTTP then.
//!
//! A time-out, a reset, or a connection that is accepted and left alone is silence: load balancers without targets do all of
//! these. Silence proves nothing.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// How long one address may take to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// A name in the serving certificate of every API server that kubeadm set up.
const SERVER_NAME: &str = "kubernetes.default.svc";

/// Whether an API server answers at this address. Nothing is sent but the handshake.
pub async fn is_api_server(address: SocketAddr) -> bool {
    timeout(PROBE_TIMEOUT, handshake(address)).await.ok().flatten().is_some_and(|served| is_for_api_server(&served))
}

/// The certificate that is served at this address.
async fn handshake(address: SocketAddr) -> Option<CertificateDer<'static>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.ok()?;
    let name = ServerName::try_from(SERVER_NAME).ok()?;
    let served = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    served.get_ref().1.peer_certificates()?.first().cloned().map(CertificateDer::into_owned)
}

fn is_for_api_server(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    certificate.extensions().iter().any(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => {
            names.general_names.iter().any(|name| matches!(name, GeneralName::DNSName(name) if *name == SERVER_NAME))
        }
        _ => false,
    })
}

/// Accepts every server: nothing is sent to it and nothing it says is believed, but what its certificate is for.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn what_does_not_speak_tls_is_silence() -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let plain = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            stream.write_all(b"HTTP/1.1 401 Unauthorized\r\n\r\n").await
        });
        assert!(!is_api_server(address).await, "plain HTTP");
        plain.await??;
        assert!(!is_api_server(address).await, "refused");
        Ok(())
    }

    #[test]
    fn only_a_certificate_for_the_api_servers_name_counts() -> anyhow::Result<()> {
        let pem = include_bytes!("../../tests/fixtures/pki/ca.crt");
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem)?;
        assert!(!is_for_api_server(&CertificateDer::from(pem.contents)), "an authority's own");
        assert!(!is_for_api_server(&CertificateDer::from(b"garbage".to_vec())));
        Ok(())
    }
}
