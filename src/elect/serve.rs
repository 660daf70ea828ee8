//! Tells over HTTP who leads, as the leader-elector sidecar did.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::election::Told;
use crate::host::boottime;
use crate::model::leader::DURATION;
use crate::model::leader::decide::leader;

/// How long one connection is served.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections are served at once.
const CONNECTIONS: usize = 64;
/// After this time without an end of a pass, `/livez` says that this program hangs. Each call of a pass has a deadline, so it does not.
const LIVE: Duration = Duration::from_secs(30);
/// How long to wait after a connection could not be taken, for want of descriptors for one.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers for ever, if there is an address to answer at.
pub(super) async fn serve(listener: Option<TcpListener>, told: watch::Receiver<Told>) -> Infallible {
    let Some(listener) = listener else { return pending().await };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let told = told.clone();
        tokio::spawn(async move {
            let _place = place;
            let answer = service_fn(|request: Request<hyper::body::Incoming>| {
                let told = told.borrow().clone();
                async move { Ok::<_, Infallible>(answer(request.method(), request.uri().path(), &told, boottime::now())) }
            });
            // Whoever asks and does not listen is left alone.
            let _ =
                timeout(CONNECTION_TIMEOUT, http1::Builder::new().serve_connection(TokioIo::new(stream), answer)).await;
        });
    }
}

fn answer(method: &Method, path: &str, told: &Told, now: Duration) -> Response<Full<Bytes>> {
    let age = |since: Duration| now.saturating_sub(since);
    let reads = told.seen.as_ref().is_some_and(|seen| age(seen.asked) < DURATION);
    let (status, body) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/") => match leader(&told.mine, told.seen.as_ref(), now) {
            Some(leader) => (StatusCode::OK, json!({"name": leader})),
            None => (StatusCode::SERVICE_UNAVAILABLE, json!({"error": unknown(told, reads)})),
        },
        (&Method::GET | &Method::HEAD, "/readyz") if reads => (StatusCode::OK, json!({})),
        (&Method::GET | &Method::HEAD, "/readyz") => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({"error": unknown(told, reads)}))
        }
        (&Method::GET | &Method::HEAD, "/livez") if age(told.passed) < LIVE => (StatusCode::OK, json!({})),
        (&Method::GET | &Method::HEAD, "/livez") => {
            (StatusCode::INTERNAL_SERVER_ERROR, json!({"error": "the election hangs"}))
        }
        (&Method::GET | &Method::HEAD, _) => (StatusCode::NOT_FOUND, json!({"error": "there is no such path"})),
        _ => (StatusCode::METHOD_NOT_ALLOWED, json!({"error": "only GET is answered"})),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Why nobody is named.
fn unknown(told: &Told, reads: bool) -> String {
    match &told.failed {
        Some(failed) if !reads => format!("the Lease was not read for {} seconds: {failed}", DURATION.as_secs()),
        Some(_) | None => "nobody is known to lead".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::leader::lease::Content;
    use crate::model::leader::seen::Seen;

    #[test]
    fn a_leader_is_named_only_while_its_lease_was_read_in_time() {
        let secs = Duration::from_secs;
        let held = |renewal: &str| {
            let (holder, renewed) = (Some("other".to_owned()), Some(renewal.to_owned()));
            Some(Content { holder, renewed, ..Content::default() })
        };
        let first = Seen::next(None, held("1"), secs(100), secs(100));
        let seen = Some(Seen::next(Some(&first), held("2"), secs(102), secs(102)));
        let told = Told { seen, passed: secs(102), failed: Some("gone".into()), ..Told::default() };
        let rows = [
            (Method::GET, "/", 103, 200),
            (Method::HEAD, "/", 103, 200),
            (Method::GET, "/", 115, 503),
            (Method::GET, "/readyz", 116, 200),
            (Method::GET, "/readyz", 117, 503),
            (Method::GET, "/livez", 131, 200),
            (Method::GET, "/livez", 132, 500),
            (Method::GET, "/metrics", 103, 404),
            (Method::POST, "/", 103, 405),
        ];
        for (method, path, now, expected) in rows {
            let status = answer(&method, path, &told, secs(now)).status().as_u16();
            assert_eq!(status, expected, "{method} {path} at {now} s");
        }
        assert_eq!(answer(&Method::GET, "/readyz", &Told::default(), secs(1)).status().as_u16(), 503);
    }
}
