//! What is said over HTTP of an election: `kubeboot elect` and the agent say the same.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;

use super::election::Told;
use crate::host::http::Said;
use crate::model::leader::DURATION;
use crate::model::leader::decide::leader;

/// The leader as `{"name": "..."}`, as the leader-elector sidecar named it; 503 while nobody is known to lead.
#[must_use]
pub fn leader_told(told: &Told, now: Duration) -> Said {
    match leader(&told.mine, told.seen.as_ref(), now) {
        Some(leader) => Said::json(StatusCode::OK, &json!({"name": leader})),
        None => Said::error(StatusCode::SERVICE_UNAVAILABLE, &unknown(told, now)),
    }
}

/// Whether the Lease was read in time.
#[must_use]
pub fn reads(told: &Told, now: Duration) -> bool {
    told.seen.as_ref().is_some_and(|seen| now.saturating_sub(seen.asked) < DURATION)
}

/// Why nobody is named.
#[must_use]
pub fn unknown(told: &Told, now: Duration) -> String {
    match &told.failed {
        Some(failed) if !reads(told, now) => {
            format!("the Lease was not read for {} seconds: {failed}", DURATION.as_secs())
        }
        Some(_) | None => "nobody is known to lead".to_owned(),
    }
}
