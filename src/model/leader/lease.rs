//! The Lease object: what is read of it, and what is written into it. Fields that kubeboot does not know are kept.

use serde_json::{Map, Value, json};
use std::time::Duration;

use super::DURATION;

/// What a Lease says. Two that are equal are the same state of the election.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Who holds it, if anybody does.
    pub holder: Option<String>,
    /// When it was renewed, as its holder wrote it.
    pub renewed: Option<String>,
    /// When it was acquired, as its holder wrote it.
    pub acquired: Option<String>,
    /// How often it changed hands: the fencing number of its holder.
    pub transitions: i64,
    /// For how many seconds its holder holds it.
    pub seconds: Option<i64>,
}

/// A Lease cannot be used as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Lease has no metadata.resourceVersion, so that no write to it could be conditional")]
pub struct Unconditional;

impl Content {
    /// What an object says. A field that is missing or of the wrong kind says nothing.
    #[must_use]
    pub fn of(lease: &Value) -> Self {
        let text = |field: &str| lease["spec"][field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            holder: text("holderIdentity"),
            renewed: text("renewTime"),
            acquired: text("acquireTime"),
            transitions: lease["spec"]["leaseTransitions"].as_i64().unwrap_or_default().max(0),
            seconds: lease["spec"]["leaseDurationSeconds"].as_i64(),
        }
    }

    /// For how long its holder holds it after each renewal. A holder that promises nothing that makes sense is taken for one of
    /// kubeboot's own.
    #[must_use]
    pub fn promised(&self) -> Duration {
        let seconds = self.seconds.filter(|seconds| *seconds > 0).and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map_or(DURATION, Duration::from_secs)
    }
}

/// Sees to it that a write over this object will be conditional.
///
/// # Errors
/// It would not be.
pub fn conditional(lease: &Value) -> Result<(), Unconditional> {
    let version = lease["metadata"]["resourceVersion"].as_str();
    version.filter(|version| !version.is_empty()).map(drop).ok_or(Unconditional)
}

/// A new Lease that `holder` holds from now on, as the `number`th change of hands. `now` is the time of day in RFC 3339.
#[must_use]
pub fn created(name: &str, holder: &str, number: i64, now: &str) -> Value {
    let empty = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": {},
    });
    taken(&empty, holder, number, now)
}

/// The Lease as `holder` takes it over, as the `number`th change of hands.
#[must_use]
pub fn taken(lease: &Value, holder: &str, number: i64, now: &str) -> Value {
    let fields = [
        ("holderIdentity", json!(holder)),
        ("leaseDurationSeconds", json!(DURATION.as_secs())),
        ("acquireTime", json!(now)),
        ("renewTime", json!(now)),
        ("leaseTransitions", json!(number)),
    ];
    with(lease, fields)
}

/// The Lease as its holder renews it.
#[must_use]
pub fn renewed(lease: &Value, now: &str) -> Value {
    with(lease, [("renewTime", json!(now))])
}

/// The Lease as its holder gives it up, like client-go's `ReleaseOnCancel`: others need not wait.
#[must_use]
pub fn released(lease: &Value, now: &str) -> Value {
    let fields = [
        ("holderIdentity", json!("")),
        ("leaseDurationSeconds", json!(1)),
        ("acquireTime", json!(now)),
        ("renewTime", json!(now)),
    ];
    with(lease, fields)
}

fn with<const N: usize>(lease: &Value, fields: [(&str, Value); N]) -> Value {
    let mut lease = lease.clone();
    let mut spec = match lease["spec"].take() {
        Value::Object(spec) => spec,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    spec.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    lease["spec"] = Value::Object(spec);
    lease
}
