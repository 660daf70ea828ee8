//! How a request reaches one API server, and how its answer is read: one connection to one address, one deadline, one bound. Made of
//! kube-rs, without the parts of it that would decide for kubeboot: it tries nothing again, reads no proxy from anywhere, and
//! its log is off (`src/log.rs`), because it holds answers.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::client::legacy::connect::HttpInfo;
use kube::Config;
use kube::client::Body;
use kube::config::AuthInfo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use tokio::time::timeout;

use super::kubeconfig::Kubeconfig;
use crate::host::tls;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks one API server.
#[derive(Clone)]
pub(super) struct Transport {
    client: kube::Client,
    /// How long a whole call may take.
    deadline: Duration,
    /// The largest answer that is read, in bytes.
    limit: usize,
}

/// An answer, of whatever status.
pub(super) struct HttpAnswer {
    /// The status.
    pub(super) status: StatusCode,
    /// Who answered.
    pub(super) from: Option<SocketAddr>,
    /// The whole body.
    pub(super) body: Vec<u8>,
}

/// A call without an answer. Its text has all causes, so none follows it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unanswered(String);

impl Transport {
    /// To the server of `url`, as `config` completes it. Must be called within the tokio runtime.
    ///
    /// # Errors
    /// When the credentials or the authority cannot be used. The reasons are left out, because they could quote a key.
    pub(super) fn new(mut config: Config, deadline: Duration, limit: usize) -> Result<Self> {
        // Sets the provider for the whole process. It fails if it was set before, to the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // Each call has a deadline of its own.
        (config.read_timeout, config.write_timeout) = (None, None);
        (config.default_retry, config.proxy_url) = (false, None);
        config.headers = vec![(USER_AGENT, HeaderValue::from_static("kubeboot"))];
        let client = kube::Client::try_from(config).ok().context("its certificates cannot be used")?;
        Ok(Self { client, deadline, limit })
    }

    /// Sends a request to a path, with an object or without, and reads the whole answer.
    ///
    /// # Errors
    /// [`Unanswered`], or that the answer is too large.
    pub(super) async fn call(&self, method: Method, path: &str, object: Option<&Value>) -> Result<HttpAnswer> {
        let body = object.map(Value::to_string).unwrap_or_default();
        // An object that is sent by PATCH is merged into the one that is there.
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, kind);
        let request = request.body(Body::from(body.into_bytes())).with_context(|| format!("'{path}' is no path"))?;
        match timeout(self.deadline, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Unanswered(format!("no answer within {} s", self.deadline.as_secs())).into()),
        }
    }

    async fn exchange(&self, request: Request<Body>) -> Result<HttpAnswer> {
        let answer = self.client.send(request).await.map_err(|error| Unanswered(told(&error)))?;
        let (status, from) = (answer.status(), answer.extensions().get::<HttpInfo>().map(HttpInfo::remote_addr));
        let body = Limited::new(answer.into_body(), self.limit).collect().await;
        let body = body.map_err(|error| {
            let too_large = error.is::<LengthLimitError>();
            ensure!(!too_large, "the answer is larger than {} bytes", self.limit);
            Ok(Unanswered(tls::told(&*error)))
        });
        match body {
            Ok(body) => Ok(HttpAnswer { status, from, body: body.to_bytes().to_vec() }),
            Err(cause) => Err(cause?.into()),
        }
    }
}

/// The causes of an error of kube-rs, without its own word for the layer in which it happened.
fn told(error: &kube::Error) -> String {
    tls::told(error.source().unwrap_or(error))
}

/// How to reach the server at `address`, which must have a certificate for `host` by the kubeconfig's authority, with the
/// kubeconfig's credentials.
///
/// # Errors
/// When the kubeconfig holds no usable certificates.
pub(super) fn verified(kubeconfig: &Kubeconfig, host: &str, address: SocketAddr) -> Result<Config> {
    let mut config = at(&address.to_string(), host)?;
    let authority: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&kubeconfig.authority).collect();
    let authority =
        authority.ok().filter(|found| !found.is_empty()).context("no usable authority in the kubeconfig")?;
    config.root_cert = Some(authority.into_iter().map(|certificate| certificate.to_vec()).collect());
    // kube-rs puts the certificate right behind the key.
    let key = [&kubeconfig.key[..], b"\n"].concat();
    config.auth_info = AuthInfo {
        client_certificate_data: Some(STANDARD.encode(&kubeconfig.certificate)),
        client_key_data: Some(STANDARD.encode(key).into()),
        ..AuthInfo::default()
    };
    Ok(config)
}

/// How to reach whoever is at `authority` (`host:port`), asked for as `host`: its certificate may be anything.
///
/// # Errors
/// When that is no authority of a URL.
pub(super) fn unverified(authority: &str, host: &str) -> Result<Config> {
    let mut config = at(authority, host)?;
    // None at all: without this the system's are looked for, and a system without any is an error.
    config.root_cert = Some(Vec::new());
    config.accept_invalid_certs = true;
    Ok(config)
}

fn at(authority: &str, host: &str) -> Result<Config> {
    let url = format!("https://{authority}");
    let mut config = Config::new(url.parse().with_context(|| format!("'{url}' is no URL"))?);
    config.tls_server_name = Some(host.to_owned());
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const DEADLINE: Duration = Duration::from_secs(20);
    const LIMIT: usize = 1000;

    /// What a call is told by a server that says this, and how many requests came.
    async fn asked(says: String, deadline: Duration) -> Result<(Result<HttpAnswer>, Vec<String>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let transport = Transport::new(Config::new(url.parse()?), deadline, LIMIT)?;
        let server = async {
            let mut requests = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await?;
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await?;
                requests.push(String::from_utf8_lossy(&request[..length]).into_owned());
                if says.is_empty() {
                    return anyhow::Ok((requests, Some(stream)));
                }
                stream.write_all(says.as_bytes()).await?;
                // Whoever tried again would come before the call has ended.
                if requests.len() > 1 {
                    return Ok((requests, None));
                }
            }
        };
        let mut server = std::pin::pin!(server);
        let mut call = std::pin::pin!(transport.call(Method::GET, "/x?a=b", None));
        let mut held = None;
        loop {
            tokio::select! {
                answer = &mut call => {
                    let requests = held.map_or_else(Vec::new, |(requests, _)| requests);
                    return Ok((answer, requests));
                }
                served = &mut server, if held.is_none() => held = Some(served?),
            }
        }
    }

    fn http(status: &str, headers: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn every_status_is_an_answer_and_nothing_is_tried_again_or_followed() -> Result<()> {
        let rows = [
            http("200 OK", "", "ok"),
            http("503 Service Unavailable", "Retry-After: 1\r\n", "{}"),
            http("429 Too Many Requests", "Retry-After: 1\r\n", "{}"),
            http("302 Found", "Location: /elsewhere\r\n", ""),
            http("404 Not Found", "", r#"{"code": 200, "kind": "Status"}"#),
        ];
        for says in rows {
            let (answer, again) = asked(says.clone(), DEADLINE).await?;
            let answer = answer?;
            assert!(says[9..].starts_with(answer.status.as_str()), "{says}");
            assert!(says.ends_with(std::str::from_utf8(&answer.body)?), "{says}");
            assert!(answer.from.is_some_and(|from| from.ip().is_loopback()), "{says}");
            assert!(again.is_empty(), "{again:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_refused_and_silence_is_told_from_it() -> Result<()> {
        let fits = asked(http("200 OK", "", &"x".repeat(LIMIT)), DEADLINE).await?.0?;
        assert_eq!(fits.body.len(), LIMIT);
        let endless = "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &"x".repeat(LIMIT + 1);
        for says in [http("200 OK", "", &"x".repeat(LIMIT + 1)), endless] {
            let error = asked(says, DEADLINE).await?.0.err().context("it must fail")?;
            assert!(error.to_string().contains("larger than 1000 bytes") && !error.is::<Unanswered>(), "{error:#}");
        }
        for says in ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "no HTTP at all\r\n\r\n"] {
            let error = asked(says.to_owned(), DEADLINE).await?.0.err().context("it must fail")?;
            assert!(error.is::<Unanswered>(), "{says}: {error:#}");
        }
        let (silent, requests) = asked(String::new(), Duration::from_secs(1)).await?;
        let error = silent.err().context("it must fail")?;
        assert!(error.is::<Unanswered>() && error.to_string() == "no answer within 1 s", "{error:#}");
        assert!(
            requests[0].starts_with("GET /x?a=b HTTP/1.1\r\n") && requests[0].contains("user-agent: kubeboot"),
            "{requests:?}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn a_server_that_cannot_be_verified_is_none() -> Result<()> {
        let fixtures = include_bytes!("../../tests/fixtures/pki/ca.crt").to_vec();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let rows = [
            (Vec::new(), "no usable authority"),
            (
                b"-----BEGIN CERTIFICATE-----\nSECRET\n-----END CERTIFICATE-----\n".to_vec(),
                "its certificates cannot be used",
            ),
            (fixtures.clone(), "its certificates cannot be used"),
        ];
        for (authority, expected) in rows {
            let secret = b"-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n".to_vec();
            let kubeconfig =
                Kubeconfig { server: String::new(), authority, certificate: fixtures.clone(), key: secret };
            let made = verified(&kubeconfig, "kubernetes", address);
            let made = made.and_then(|config| Transport::new(config, DEADLINE, LIMIT));
            let error = made.err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(error.contains(expected) && !error.contains("SECRET"), "{error}");
        }
        assert!(unverified("[::1]:6443", "::1").is_ok() && unverified("a b:1", "a b").is_err());
        Ok(())
    }
}
