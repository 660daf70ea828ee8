//! How a request reaches one API server, and how its answer is read: one deadline, one bound, no proxy, nothing followed.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, ClientBuilder, Identity, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::bearer::Bearer;
use super::kubeconfig::Kubeconfig;
use crate::host::tls;
use crate::settings::Endpoint;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A name in the certificate of every API server that kubeadm has set up, whatever its address and endpoint.
pub(super) const SERVER_NAME: &str = "kubernetes";

/// Asks one API server.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    /// The server's URL, without a slash at its end.
    server: String,
    bearer: Option<Bearer>,
    /// The largest answer that is read, in bytes.
    limit: usize,
    /// How long a whole call may take, where that is not what the client was made with.
    deadline: Option<Duration>,
}

/// An answer, or a line of one, that is not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is larger than {0} bytes")]
pub(super) struct TooLarge(usize);

/// The lines of an answer that goes on, one after the other.
pub(super) struct Lines {
    answer: Response,
    /// What has come after the last line.
    rest: Vec<u8>,
    limit: usize,
}

/// An answer, of whatever status.
pub(super) struct HttpAnswer {
    /// The status.
    pub(super) status: StatusCode,
    /// The whole body.
    pub(super) body: Vec<u8>,
}

/// A call without an answer. Its text has all causes, so none follows it.
#[derive(Debug, thiserror::Error)]
#[error("{}", tls::told(.0))]
pub(super) struct Unanswered(reqwest::Error);

impl From<reqwest::Error> for Unanswered {
    fn from(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }
}

impl Transport {
    /// To the server of the URL `server`, as `client` reaches it. A whole call may take `deadline`; of an answer, `limit` bytes are read.
    ///
    /// # Errors
    /// When no client can be made of that.
    pub(super) fn new(client: ClientBuilder, server: String, deadline: Duration, limit: usize) -> Result<Self> {
        let client =
            client.user_agent("kubeboot").no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(deadline);
        let http = client.build().map_err(reqwest::Error::without_url);
        let http = http.with_context(|| format!("failed to make a client of the API server at {server}"))?;
        Ok(Self { http, server, bearer: None, limit, deadline: None })
    }

    /// To the server at `address`, which must have a certificate for `host` by the kubeconfig's authority, with the kubeconfig's credentials.
    ///
    /// # Errors
    /// When the kubeconfig holds no usable certificates.
    pub(super) fn at(
        kubeconfig: &Kubeconfig,
        host: &str,
        address: SocketAddr,
        deadline: Duration,
        limit: usize,
    ) -> Result<Self> {
        let identity = identity(&kubeconfig.certificate, &kubeconfig.key)?;
        let client = verified(&kubeconfig.authority)?.identity(identity).resolve(host, address);
        let server = Endpoint { host: host.to_owned(), port: address.port() };
        Self::new(client, format!("https://{server}"), deadline, limit)
    }

    /// The same, with a token.
    pub(super) fn with_bearer(self, bearer: Option<Bearer>) -> Self {
        Self { bearer, ..self }
    }

    /// The same with other bounds.
    pub(super) fn within(&self, limit: usize, deadline: Duration) -> Self {
        Self { limit, deadline: Some(deadline), ..self.clone() }
    }

    /// Asks for a path whose answer goes on, and reads it line by line.
    ///
    /// # Errors
    /// [`Unanswered`], or the server refuses.
    pub(super) async fn lines(&self, path: &str) -> Result<Lines> {
        let answer = self.request(Method::GET, path, None)?.send().await.map_err(Unanswered::from)?;
        ensure!(answer.status().is_success(), "it answered {}", answer.status().as_u16());
        Ok(Lines { answer, rest: Vec::new(), limit: self.limit })
    }

    /// Sends a request to a path, with an object or without, and reads the whole answer.
    ///
    /// # Errors
    /// [`Unanswered`], or that the answer is too large, or the token cannot be read.
    pub(super) async fn call(&self, method: Method, path: &str, object: Option<&Value>) -> Result<HttpAnswer> {
        let request = self.request(method, path, object)?;
        let answer = async {
            let mut answer = request.send().await?;
            let (status, mut body) = (answer.status(), Vec::new());
            while let Some(chunk) = answer.chunk().await? {
                body.extend_from_slice(&chunk);
                if body.len() > self.limit {
                    break;
                }
            }
            Ok::<_, reqwest::Error>(HttpAnswer { status, body })
        };
        let answer = answer.await.map_err(Unanswered::from)?;
        ensure!(answer.body.len() <= self.limit, TooLarge(self.limit));
        Ok(answer)
    }

    /// Who answers at a path, and with which status, whatever else it says.
    ///
    /// # Errors
    /// [`Unanswered`], or the token cannot be read.
    pub(super) async fn status(&self, path: &str) -> Result<(StatusCode, Option<SocketAddr>)> {
        let answer = self.request(Method::GET, path, None)?.send().await.map_err(Unanswered::from)?;
        Ok((answer.status(), answer.remote_addr()))
    }

    fn request(&self, method: Method, path: &str, object: Option<&Value>) -> Result<RequestBuilder> {
        let merges = method == Method::PATCH;
        let mut request = self.http.request(method, format!("{}{path}", self.server));
        if let Some(deadline) = self.deadline {
            request = request.timeout(deadline);
        }
        if merges {
            request = request.header(CONTENT_TYPE, "application/merge-patch+json");
        }
        if let Some(object) = object {
            request = request.json(object);
        }
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.token()?);
        }
        Ok(request)
    }
}

impl Lines {
    /// The next line; `None` at the end. Nothing is lost when the caller does not wait for it to the end.
    ///
    /// # Errors
    /// [`Unanswered`] where the connection breaks, or [`TooLarge`].
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let after = self.rest.split_off(end + 1);
                let line = std::mem::replace(&mut self.rest, after);
                match line.trim_ascii() {
                    [] => continue,
                    line => return Ok(Some(line.to_vec())),
                }
            }
            ensure!(self.rest.len() <= self.limit, TooLarge(self.limit));
            match self.answer.chunk().await.map_err(Unanswered::from)? {
                Some(chunk) => self.rest.extend_from_slice(&chunk),
                None if self.rest.is_empty() => return Ok(None),
                None => return Ok(Some(std::mem::take(&mut self.rest))),
            }
        }
    }
}

/// Whether an error means that an answer was too large to be read.
pub(super) fn is_too_large(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<TooLarge>())
}

/// How to reach a server that must have a certificate of this authority (PEM).
///
/// # Errors
/// When that is no authority. The reasons of the parsers are left out here and below, because they could quote a key.
pub(super) fn verified(authority: &[u8]) -> Result<ClientBuilder> {
    let found = Certificate::from_pem_bundle(authority).ok().filter(|found| !found.is_empty());
    Ok(builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .tls_certs_only(found.context("no usable authority in the kubeconfig")?))
}

/// Whom a client certificate and its key (PEM both) name.
///
/// # Errors
/// When they are none.
pub(super) fn identity(certificate: &[u8], key: &[u8]) -> Result<Identity> {
    let identity = Identity::from_pem(&[certificate, b"\n", key].concat());
    identity.ok().context("no usable client certificate and key in the kubeconfig")
}

/// How to reach whoever answers: its certificate may be anything.
pub(super) fn unverified() -> ClientBuilder {
    builder().tls_danger_accept_invalid_certs(true)
}

fn builder() -> ClientBuilder {
    // Sets the provider for the whole process. It fails if it was set before, to the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
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
        let transport = Transport::new(unverified(), url, deadline, LIMIT)?;
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
        assert!(error.is::<Unanswered>() && error.to_string().contains("timed out"), "{error:#}");
        assert!(
            requests[0].starts_with("GET /x?a=b HTTP/1.1\r\n") && requests[0].contains("user-agent: kubeboot"),
            "{requests:?}"
        );
        Ok(())
    }

    #[test]
    fn credentials_that_cannot_be_used_are_refused_and_never_quoted() {
        let good = include_bytes!("../../tests/fixtures/pki/ca.crt").to_vec();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let rows = [
            (Vec::new(), "no usable authority"),
            (b"-----BEGIN CERTIFICATE-----\nSECRET\n-----END CERTIFICATE-----\n".to_vec(), "failed to make a client"),
            (good.clone(), "failed to make a client"),
        ];
        for (authority, expected) in rows {
            let key = b"-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n".to_vec();
            let kubeconfig = Kubeconfig { server: String::new(), authority, certificate: good.clone(), key };
            let made = Transport::at(&kubeconfig, SERVER_NAME, address, DEADLINE, LIMIT);
            let error = made.err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(error.contains(expected) && !error.contains("SECRET"), "'{error}' for '{expected}'");
        }
    }
}
