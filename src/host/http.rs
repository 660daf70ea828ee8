//! A small HTTP server, for paths that tell something and change nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long one connection is served.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections are served at once.
const CONNECTIONS: usize = 64;
/// The largest head of a request, in bytes.
const BUFFER: usize = 16 * 1024;
/// How long to wait after a connection could not be taken, for want of descriptors for one.
const PAUSE: Duration = Duration::from_millis(100);

/// What is said of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The status.
    pub status: StatusCode,
    /// The media type of the body.
    pub kind: &'static str,
    /// The body.
    pub body: String,
}

impl Said {
    /// A JSON document.
    #[must_use]
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self { status, kind: "application/json", body: body.to_string() }
    }

    /// That something is not so, and why.
    #[must_use]
    pub fn error(status: StatusCode, why: &str) -> Self {
        Self::json(status, &json!({"error": why}))
    }

    /// That something is so, and nothing more.
    #[must_use]
    pub fn fine() -> Self {
        Self::json(StatusCode::OK, &json!({}))
    }
}

/// Answers GET and HEAD for ever, by what `say` says of a path; `None` says that there is no such path.
pub async fn serve<S, F>(listener: TcpListener, say: S) -> Infallible
where
    S: Fn(String) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Option<Said>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let say = say.clone();
        tokio::spawn(async move {
            let _place = place;
            let answer = service_fn(|request: Request<hyper::body::Incoming>| {
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                let say = say.clone();
                async move { Ok::<_, Infallible>(response(answered(&method, path, say).await)) }
            });
            // One question a connection: a second one would come late in its time.
            let mut server = http1::Builder::new();
            server.keep_alive(false).max_buf_size(BUFFER);
            // Whoever asks and does not listen is left alone.
            let _ = timeout(CONNECTION_TIMEOUT, server.serve_connection(TokioIo::new(stream), answer)).await;
        });
    }
}

async fn answered<F: Future<Output = Option<Said>>>(method: &Method, path: String, say: impl Fn(String) -> F) -> Said {
    match method {
        &Method::GET | &Method::HEAD => {
            say(path).await.unwrap_or_else(|| Said::error(StatusCode::NOT_FOUND, "there is no such path"))
        }
        _ => Said::error(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered"),
    }
}

fn response(said: Said) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(said.body));
    *response.status_mut() = said.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(said.kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_asked_for_by_get_or_head_is_told() {
        let say = |path: String| std::future::ready((path == "/").then(|| Said::json(StatusCode::OK, &json!({}))));
        let rows = [
            (Method::GET, "/", 200),
            (Method::HEAD, "/", 200),
            (Method::GET, "/other", 404),
            (Method::POST, "/", 405),
            (Method::POST, "/other", 405),
        ];
        for (method, path, expected) in rows {
            let response = response(answered(&method, path.to_owned(), say).await);
            assert_eq!(response.status().as_u16(), expected, "{method} {path}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        }
    }
}
