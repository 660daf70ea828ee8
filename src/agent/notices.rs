//! What EC2 announces to this machine: a Spot notice, which ends it, is asked for every time; what is only said, once a minute.

use super::watch::Source;
use crate::aws::imds;
use crate::model::machine::notices::{ScheduledEvent, SpotNotice};
use aws_config::imds::client::Client;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// Between two questions for what is only said.
const ADVICE_INTERVAL: Duration = Duration::from_secs(60);
/// Between two questions for a Spot notice while AWS is waited for.
const SPOT_INTERVAL: Duration = Duration::from_secs(2);

/// What EC2 has announced, as far as IMDS has said it last.
pub(super) struct Notices {
    imds: Client,
    /// The Spot notice, and when it was first seen.
    spot: Option<(SpotNotice, Instant)>,
    rebalance: Option<String>,
    events: Vec<ScheduledEvent>,
    sources: [Source; 3],
    next: Instant,
}

impl Notices {
    pub(super) fn new(imds: Client) -> Self {
        let (spot, rebalance, events) = (None, None, Vec::new());
        Self { imds, spot, rebalance, events, sources: Default::default(), next: Instant::now() }
    }

    /// Asks for a Spot notice, and for the rest when its time has come.
    pub(super) async fn look(&mut self) {
        // While it is silent there is no need to wait for it three times.
        if !self.ask_for_spot().await || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + ADVICE_INTERVAL;
        let [_, rebalance, events] = &mut self.sources;
        let about = "IMDS (rebalance recommendation)";
        if let Some(said) = rebalance.hear(about, imds::rebalance_recommendation(&self.imds).await) {
            self.rebalance = said;
        }
        if let Some(said) = events.hear("IMDS (scheduled events)", imds::scheduled_events(&self.imds).await) {
            self.events = said;
        }
    }

    /// Whether it has answered.
    async fn ask_for_spot(&mut self) -> bool {
        let [source, ..] = &mut self.sources;
        let Some(said) = source.hear("IMDS (Spot notice)", imds::spot_notice(&self.imds).await) else { return false };
        self.spot = said.map(|notice| match self.spot.take() {
            // EC2 may move its time; the two minutes are counted from its first word.
            Some((before, since)) if before.action == notice.action => (notice, since),
            Some(_) | None => (notice, Instant::now()),
        });
        true
    }

    /// Returns when a Spot notice is there that ends this machine.
    pub(super) async fn until_taken(&mut self) {
        while self.spot().is_none_or(|(notice, _)| !notice.is_for_good()) {
            sleep(SPOT_INTERVAL).await;
            self.ask_for_spot().await;
        }
    }

    /// The Spot notice, and how long is left of it.
    pub(super) fn spot(&self) -> Option<(&SpotNotice, Duration)> {
        let (notice, since) = self.spot.as_ref()?;
        Some((notice, notice.left(SystemTime::now(), since.elapsed())))
    }

    /// What is said, and no more.
    pub(super) fn describe(&self) -> Vec<String> {
        let spot = self.spot.iter().map(|(notice, _)| notice.to_string());
        let rebalance = self.rebalance.iter().map(|since| {
            format!("EC2 recommends to use another Spot instance, since {since}, for it may take this one soon")
        });
        let events = self.events.iter().map(|event| format!("EC2 has scheduled: {event}"));
        spot.chain(rebalance).chain(events).collect()
    }
}
