//! What EC2 announces to an instance by its metadata: that a Spot instance will be taken, that it may be, and scheduled events. All of it is
//! somebody else's text until it is parsed.

use crate::model::text::{cut, one_line};
use serde::Deserialize;
use std::fmt;
use std::time::{Duration, SystemTime};

/// How long before it takes a Spot instance EC2 says so.
pub const SPOT_WARNING: Duration = Duration::from_mins(2);
/// The longest word that is shown of an announcement, in bytes.
const LONGEST: usize = 200;
/// The most scheduled events that are shown.
const MOST: usize = 8;

/// A Spot notice: EC2 takes this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpotNotice {
    /// What it does with it.
    pub action: SpotAction,
    /// About when, if it says that in words that make sense.
    pub at: Option<SystemTime>,
}

/// What EC2 does with a Spot instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpotAction {
    /// `terminate`: the only one in an Auto Scaling group.
    Terminate,
    /// `stop`: it may be started again, with its disk.
    Stop,
    /// `hibernate`: the same.
    Hibernate,
    /// A word that this version does not know.
    Other(String),
}

/// An announcement of a shape that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("IMDS gave {what} of a shape that this version does not know: {why}")]
pub struct BadNotice {
    what: &'static str,
    why: String,
}

impl BadNotice {
    fn of(what: &'static str, error: &serde_json::Error) -> Self {
        Self { what, why: shown(&error.to_string()) }
    }
}

impl SpotNotice {
    /// Parses `spot/instance-action`.
    ///
    /// # Errors
    /// [`BadNotice`].
    pub fn parse(text: &str) -> Result<Self, BadNotice> {
        #[derive(Deserialize)]
        struct InstanceAction {
            action: String,
            #[serde(default)]
            time: serde_json::Value,
        }
        let said: InstanceAction =
            serde_json::from_str(text).map_err(|error| BadNotice::of("a Spot notice", &error))?;
        let action = match said.action.as_str() {
            "terminate" => SpotAction::Terminate,
            "stop" => SpotAction::Stop,
            "hibernate" => SpotAction::Hibernate,
            other => SpotAction::Other(shown(other)),
        };
        Ok(Self { action, at: said.time.as_str().and_then(|time| humantime::parse_rfc3339(time).ok()) })
    }

    /// Whether this machine goes for good. One that EC2 stops comes back with its disk, and leaves no cluster for that.
    #[must_use]
    pub fn is_for_good(&self) -> bool {
        match self.action {
            SpotAction::Terminate => true,
            SpotAction::Stop | SpotAction::Hibernate | SpotAction::Other(_) => false,
        }
    }

    /// How long is left, for who has first seen it so long ago: by its own time, which is a time of day, and never more than EC2's
    /// two minutes, whatever the clocks say.
    #[must_use]
    pub fn left(&self, now: SystemTime, seen_for: Duration) -> Duration {
        let most = SPOT_WARNING.saturating_sub(seen_for);
        self.at.map_or(most, |at| at.duration_since(now).unwrap_or_default().min(most))
    }
}

/// Parses `events/recommendations/rebalance`: since when EC2 recommends to use another instance, for people.
///
/// # Errors
/// [`BadNotice`].
pub fn rebalance(text: &str) -> Result<String, BadNotice> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rebalance {
        notice_time: String,
    }
    let said: Rebalance =
        serde_json::from_str(text).map_err(|error| BadNotice::of("a rebalance recommendation", &error))?;
    Ok(shown(&said.notice_time))
}

/// An event that EC2 has scheduled for an instance, as it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledEvent {
    /// What will be: `system-reboot`, `instance-retirement`, ...
    pub code: String,
    /// When it will be at the earliest.
    pub not_before: String,
}

/// Parses `events/maintenance/scheduled`: the events that are still to come.
///
/// # Errors
/// [`BadNotice`].
pub fn scheduled(text: &str) -> Result<Vec<ScheduledEvent>, BadNotice> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Event {
        code: String,
        #[serde(default)]
        not_before: String,
        #[serde(default)]
        state: String,
    }
    let said: Vec<Event> =
        serde_json::from_str(text).map_err(|error| BadNotice::of("a list of scheduled events", &error))?;
    let to_come = said.into_iter().filter(|event| !matches!(event.state.as_str(), "completed" | "canceled"));
    let events = to_come.map(|event| ScheduledEvent { code: shown(&event.code), not_before: shown(&event.not_before) });
    Ok(events.take(MOST).collect())
}

fn shown(text: &str) -> String {
    cut(&one_line(text), LONGEST)
}

impl fmt::Display for SpotNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a Spot notice: EC2 will {} it", self.action)?;
        self.at.map_or(Ok(()), |at| write!(f, " at {}", humantime::format_rfc3339_seconds(at)))
    }
}

impl fmt::Display for SpotAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terminate => f.write_str("terminate"),
            Self::Stop => f.write_str("stop"),
            Self::Hibernate => f.write_str("hibernate"),
            Self::Other(word) => write!(f, "'{word}'"),
        }
    }
}

impl fmt::Display for ScheduledEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} not before {}", self.code, self.not_before)
    }
}

#[cfg(test)]
mod tests;
