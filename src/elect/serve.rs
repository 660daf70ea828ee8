//! Tells over HTTP who leads, as the leader-elector sidecar did.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::time::Duration;

use hyper::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::host::boottime;
use crate::host::http::{self, Said};
use crate::node::election::Told;
use crate::node::leader_told::{leader_told, reads, unknown};

/// After this time without an end of a pass, `/livez` says that this program hangs. Each call of a pass has a deadline, so it does not.
const LIVE: Duration = Duration::from_secs(30);

/// Answers for ever, if there is an address to answer at.
pub(super) async fn serve(listener: Option<TcpListener>, told: watch::Receiver<Told>) -> Infallible {
    let Some(listener) = listener else { return pending().await };
    http::serve(listener, move |path| ready(say(&path, &told.borrow(), boottime::now()))).await
}

fn say(path: &str, told: &Told, now: Duration) -> Option<Said> {
    Some(match path {
        "/" => leader_told(told, now),
        "/readyz" if reads(told, now) => Said::fine(),
        "/readyz" => Said::error(StatusCode::SERVICE_UNAVAILABLE, &unknown(told, now)),
        "/livez" if now.saturating_sub(told.passed) < LIVE => Said::fine(),
        "/livez" => Said::error(StatusCode::INTERNAL_SERVER_ERROR, "the election hangs"),
        _ => return None,
    })
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
