//! One program's part in an election by a Lease of Kubernetes: looks at it, has the model decide, and writes.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde_json::Value;
use tokio::sync::watch;

use crate::host::boottime;
use crate::kube::LeaseClient;
use crate::model::leader::decide::{ElectionStep, LeaseWrite, Lost, Mine, decide, settled, stepped_down};
use crate::model::leader::lease::{Content, conditional, created, released, renewed, taken};
use crate::model::leader::seen::Seen;
use crate::model::leader::{RENEW_DEADLINE, RETRY};

/// By how much a pause may be longer, so that not all look at the same moment.
const JITTER: Duration = Duration::from_millis(400);

/// What is known after the last pass.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// What this process knows of itself.
    pub mine: Mine,
    /// The last good look.
    pub seen: Option<Seen>,
    /// When the last pass ended, since the boot.
    pub passed: Duration,
    /// Why the last pass failed.
    pub failed: Option<String>,
}

/// Waits until this one leads.
pub async fn until_led(told: &mut watch::Receiver<Told>) -> LeaseWrite {
    loop {
        if let Some(term) = &told.borrow_and_update().mine.term
            && !term.is_overdue(boottime::now())
        {
            return term.clone();
        }
        changed(told).await;
    }
}

/// Waits until something more is told.
pub async fn changed(told: &mut watch::Receiver<Told>) {
    if told.changed().await.is_err() {
        // The election has ended, and with it everything else does.
        std::future::pending().await
    }
}

/// Waits until this one leads by the term of this fencing number no longer.
pub async fn until_lost(told: &mut watch::Receiver<Told>, number: i64) {
    while told.borrow_and_update().mine.term.as_ref().is_some_and(|term| term.content.transitions == number) {
        changed(told).await;
    }
}

/// One program's part in an election.
pub struct Election {
    lease: LeaseClient,
    name: String,
    barred: watch::Receiver<bool>,
    state: watch::Sender<Told>,
    mine: Mine,
    seen: Option<Seen>,
    said: Option<String>,
}

impl Election {
    /// Of the Lease called `name`, as `me`. While `barred` says so, it does not begin to lead. What is known after each pass is told by the
    /// second of the two.
    #[must_use]
    pub fn new(
        lease: LeaseClient,
        name: String,
        me: String,
        barred: watch::Receiver<bool>,
    ) -> (Self, watch::Receiver<Told>) {
        let mine = Mine { me, ..Mine::default() };
        let (state, told) = watch::channel(Told { mine: mine.clone(), passed: boottime::now(), ..Told::default() });
        (Self { lease, name, barred, state, mine, seen: None, said: None }, told)
    }

    /// Takes part, for ever.
    ///
    /// # Errors
    /// The kernel gives no timer.
    pub async fn run(&mut self) -> Result<Infallible> {
        loop {
            let end = self.end_of_term();
            let passed = tokio::select! {
                passed = self.pass() => Some(passed),
                waited = boottime::until_any(end) => { waited?; None }
            };
            let failed = match passed {
                Some(passed) => passed.err().map(|error| format!("{error:#}")),
                None => Some("the API server did not answer in time".to_owned()),
            };
            if let Some(failed) = &failed {
                self.say(failed.clone(), true);
            }
            self.give_up_when_overdue();
            self.tell(failed);
            let pause = boottime::now() + RETRY + JITTER.mul_f32(fastrand::f32());
            boottime::until(self.end_of_term().map_or(pause, |end| end.min(pause))).await?;
            if self.give_up_when_overdue() {
                self.tell(None);
            }
        }
    }

    /// When a leader gives up.
    fn end_of_term(&self) -> Option<Duration> {
        self.mine.term.as_ref().map(|term| term.sent.saturating_add(RENEW_DEADLINE))
    }

    fn give_up_when_overdue(&mut self) -> bool {
        let overdue = self.mine.term.as_ref().is_some_and(|term| term.is_overdue(boottime::now()));
        if overdue {
            self.step_down(&Lost::Overdue);
        }
        overdue
    }

    fn step_down(&mut self, lost: &Lost) {
        tracing::warn!("the Lease '{}': this one leads no longer: {lost}", self.name);
        self.said = None;
        self.mine = stepped_down(std::mem::take(&mut self.mine));
    }

    fn tell(&mut self, failed: Option<String>) {
        let (mine, seen) = (self.mine.clone(), self.seen.clone());
        self.state.send_replace(Told { mine, seen, passed: boottime::now(), failed });
    }

    /// Says what has changed, once.
    fn say(&mut self, text: String, is_trouble: bool) {
        if self.said.as_ref() != Some(&text) {
            if is_trouble {
                tracing::warn!("the Lease '{}': {text}", self.name);
            } else {
                tracing::info!("the Lease '{}': {text}", self.name);
            }
            self.said = Some(text);
        }
    }

    async fn pass(&mut self) -> Result<()> {
        let asked = boottime::now();
        let lease = self.lease.read().await?;
        let content = lease.as_ref().map(Content::of);
        let seen = Seen::next(self.seen.as_ref(), content, asked, boottime::now());
        self.mine.barred = *self.barred.borrow();
        self.mine = settled(std::mem::take(&mut self.mine), &seen);
        let step = decide(&self.mine, &seen, boottime::now());
        self.seen = Some(seen);
        let now = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        let me = self.mine.me.clone();
        match (step, lease) {
            (ElectionStep::StepDown(lost), _) => self.step_down(&lost),
            (ElectionStep::Wait(why), _) => self.say(why.to_string(), false),
            (ElectionStep::Create { number }, _) => self.write(created(&self.name, &me, number, &now), true).await?,
            (ElectionStep::Take { number }, Some(lease)) => self.write(taken(&lease, &me, number, &now), false).await?,
            (ElectionStep::Renew, Some(lease)) => self.write(renewed(&lease, &now), false).await?,
            // Neither is decided where there is none.
            (ElectionStep::Take { .. } | ElectionStep::Renew, None) => {}
        }
        Ok(())
    }

    /// Writes the Lease in this one's name. A write without an answer may have been carried out, and what its caller drops, too.
    async fn write(&mut self, lease: Value, is_new: bool) -> Result<()> {
        let written = LeaseWrite { content: Content::of(&lease), sent: boottime::now() };
        self.mine.unknown.push(written.clone());
        let done = if is_new {
            self.lease.create(&lease).await?
        } else {
            conditional(&lease)?;
            self.lease.replace(&lease).await?
        };
        self.mine.unknown.retain(|other| *other != written);
        if done {
            if self.mine.term.is_none() {
                self.said = None;
                let number = written.content.transitions;
                tracing::info!("the Lease '{}': this one leads, with the fencing number {number}", self.name);
            }
            self.mine.term = Some(written);
        }
        Ok(())
    }

    /// Gives the Lease up, if this one holds it: others need not wait until it has run out.
    pub async fn release(&mut self) {
        if let Err(error) = self.try_release().await {
            tracing::warn!("the Lease '{}' is not given up, so others wait until it has run out: {error:#}", self.name);
        }
    }

    async fn try_release(&mut self) -> Result<()> {
        let Some(lease) = self.lease.read().await? else { return Ok(()) };
        let content = Content::of(&lease);
        let mut writes = self.mine.term.iter().chain(&self.mine.unknown);
        if !writes.any(|written| written.content == content) {
            return Ok(());
        }
        conditional(&lease)?;
        let now = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        if self.lease.replace(&released(&lease, &now)).await? {
            tracing::info!("the Lease '{}' is given up", self.name);
        }
        Ok(())
    }
}
