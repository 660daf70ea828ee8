//! Tells over HTTP who leads, as the leader-elector sidecar did.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::host::boottime;
use crate::host::http::{self, Said};
use crate::model::leader::DURATION;
use crate::model::leader::decide::leader;
use crate::node::election::Told;

/// After this time without an end of a pass, `/livez` says that this program hangs. Each call of a pass has a deadline, so it does not.
const LIVE: Duration = Duration::from_secs(30);

/// Answers for ever, if there is an address to answer at.
pub(super) async fn serve(listener: Option<TcpListener>, told: watch::Receiver<Told>) -> Infallible {
    let Some(listener) = listener else { return pending().await };
    http::serve(listener, move |path| say(path, &told.borrow(), boottime::now())).await
}

fn say(path: &str, told: &Told, now: Duration) -> Option<Said> {
    let age = |since: Duration| now.saturating_sub(since);
    let reads = told.seen.as_ref().is_some_and(|seen| age(seen.asked) < DURATION);
    let fine = || Said::json(StatusCode::OK, &json!({}));
    Some(match path {
        "/" => match leader(&told.mine, told.seen.as_ref(), now) {
            Some(leader) => Said::json(StatusCode::OK, &json!({"name": leader})),
            None => Said::error(StatusCode::SERVICE_UNAVAILABLE, &unknown(told, reads)),
        },
        "/readyz" if reads => fine(),
        "/readyz" => Said::error(StatusCode::SERVICE_UNAVAILABLE, &unknown(told, reads)),
        "/livez" if age(told.passed) < LIVE => fine(),
        "/livez" => Said::error(StatusCode::INTERNAL_SERVER_ERROR, "the election hangs"),
        _ => return None,
    })
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
            ("/", 103, Some(200)),
            ("/", 115, Some(503)),
            ("/readyz", 116, Some(200)),
            ("/readyz", 117, Some(503)),
            ("/livez", 131, Some(200)),
            ("/livez", 132, Some(500)),
            ("/metrics", 103, None),
        ];
        for (path, now, expected) in rows {
            let status = say(path, &told, secs(now)).map(|said| said.status.as_u16());
            assert_eq!(status, expected, "{path} at {now} s");
        }
        let unread = say("/readyz", &Told::default(), secs(1)).map(|said| said.status.as_u16());
        assert_eq!(unread, Some(503));
    }
}
