//! Letting in the machines that come with a token: as their requests come.

use super::requests::Waiting;
use super::{Seen, say};
use crate::aws::store::Store;
use crate::bucket::Roll;
use crate::kube::{Client, RequestWatch};
use crate::model::up::back_off::back_off;
use crate::node::Facts;
use anyhow::{Context, Error, Result, bail};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// How long requests that come are gathered: machines that boot together ask together.
const GATHER: Duration = Duration::from_millis(50);
/// A watch lasts longer than this, or the next one begins only then.
const SHORTEST_WATCH: Duration = Duration::from_secs(2);
/// How long one pass over the requests may take: a thousand take some seconds.
const PASS_TIMEOUT: Duration = Duration::from_secs(60);
/// How long all requests are listed, and decided as they are read. Then what comes is followed all the same.
const LIST_TIMEOUT: Duration = Duration::from_secs(120);
/// How long reading the registrations may take.
const ROLL_TIMEOUT: Duration = Duration::from_secs(20);
/// After this time the registrations are read again before anything is approved: a machine registers before it joins.
const ROLL_FRESH: Duration = Duration::from_secs(5);
/// How long a watch is followed before all are listed anew, by the credentials as they are then.
const LISTED_FOR: Duration = Duration::from_secs(10 * 60);
/// A failure after so long is the first of its kind.
const STEADY: Duration = Duration::from_secs(60);
/// Before what is in the way.
const TROUBLE: &str = "cannot decide workers' requests for certificates";

/// Decides requests until the leader leads no longer.
pub(super) struct Approver {
    facts: Facts,
    roll: Roll,
    trouble: watch::Sender<String>,
    waiting: Waiting,
    /// Why not all requests were read.
    cut: Option<String>,
    /// The names of the control plane's machines, and when they were read.
    names: Option<(BTreeSet<String>, Instant)>,
    /// The beginning of all times that the requests are looked at by.
    began: Instant,
}

impl Approver {
    pub(super) fn new(facts: Facts, store: &Store, trouble: watch::Sender<String>) -> Self {
        let (roll, waiting, began) = (Roll::new(store), Waiting::default(), Instant::now());
        Self { facts, roll, trouble, waiting, cut: None, names: None, began }
    }

    pub(super) async fn run(mut self, seen: watch::Receiver<Option<Arc<Seen>>>) {
        let mut failures: u32 = 0;
        loop {
            let now = seen.borrow().clone();
            if let Some(seen) = now {
                let began = Instant::now();
                match self.follow(&seen).await {
                    Ok(()) => failures = 0,
                    Err(error) => {
                        failures = if began.elapsed() < STEADY { failures.saturating_add(1) } else { 1 };
                        say(&self.trouble, &format!("{TROUBLE}: {error:#}"));
                    }
                }
            }
            sleep(back_off(failures)).await;
        }
    }

    /// Lists all requests, and follows those that come for a while.
    async fn follow(&mut self, seen: &Seen) -> Result<()> {
        let client = seen.client(&self.facts).await?;
        let listed = Instant::now();
        let mut version = self.list(&client).await?;
        while listed.elapsed() < LISTED_FOR {
            let began = Instant::now();
            let mut watch = client.watch_requests(&version).await.context("they cannot be followed as they come")?;
            match self.watch(&client, &mut watch).await? {
                Ok(()) => watch.version().clone_into(&mut version),
                // One that cannot be followed at all is a failure; one that has lost its place is not.
                Err(error) if began.elapsed() < SHORTEST_WATCH => return Err(error.context("the watch breaks at once")),
                Err(error) => {
                    tracing::debug!("all requests are listed anew: {error:#}");
                    return Ok(());
                }
            }
            sleep_until(began + SHORTEST_WATCH).await;
        }
        Ok(())
    }

    /// Reads all requests and decides them page by page, so that no number of them keeps the others out. The version from which a watch
    /// goes on.
    async fn list(&mut self, client: &Client) -> Result<String> {
        let (mut pages, mut present) = (client.request_pages(), BTreeSet::new());
        let end = Instant::now() + LIST_TIMEOUT;
        self.cut = loop {
            match timeout_at(end, pages.next()).await.context("it took too long").and_then(|page| page) {
                Ok(Some(page)) => {
                    let now = self.began.elapsed();
                    for request in page {
                        present.insert(request.name.clone());
                        self.waiting.take(request, now);
                    }
                    self.pass(client).await?;
                }
                Ok(None) => break None,
                Err(error) if pages.version().is_some() => break Some(format!("not all of them were read: {error:#}")),
                Err(error) => return Err(error),
            }
        };
        if self.cut.is_none() {
            self.waiting.keep(&present);
        }
        self.tell();
        Ok(pages.version().context("no page was read")?.to_owned())
    }

    /// Decides what comes, and what is looked at again, until the watch ends, or breaks: that is the inner error.
    async fn watch(&mut self, client: &Client, watch: &mut RequestWatch) -> Result<Result<(), Error>> {
        loop {
            let due = self.waiting.next_due().map(|due| self.began + due);
            tokio::select! {
                next = watch.next() => match next {
                    Ok(Some(change)) => self.waiting.take_change(change, self.began.elapsed() + GATHER),
                    Ok(None) => return Ok(Ok(())),
                    Err(error) => return Ok(Err(error)),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.pass(client).await?,
            }
        }
    }

    /// Looks once at each request that is due.
    async fn pass(&mut self, client: &Client) -> Result<()> {
        let now = self.began.elapsed();
        let work = async {
            while self.waiting.next_due().is_some_and(|due| due <= now) {
                let looked = self.waiting.look(client, now).await?;
                let names = if looked.wants_to_approve() { self.control_plane().await } else { Ok(BTreeSet::new()) };
                self.waiting.settle(looked, names, client, &self.facts.node_name, now).await?;
            }
            anyhow::Ok(())
        };
        timeout(PASS_TIMEOUT, work).await.context("it took too long, and goes on")??;
        self.tell();
        Ok(())
    }

    /// Says what is in the way, if anything is.
    fn tell(&self) {
        let trouble = self.cut.as_deref().or(self.waiting.trouble());
        say(&self.trouble, &trouble.map(|why| format!("{TROUBLE}: {why}")).unwrap_or_default());
    }

    /// The names that machines of the control plane have registered, as far as they are not gone.
    async fn control_plane(&mut self) -> Result<BTreeSet<String>> {
        if let Some((names, at)) = &self.names
            && at.elapsed() < ROLL_FRESH
        {
            return Ok(names.clone());
        }
        let read = timeout(ROLL_TIMEOUT, self.roll.all_or_none()).await.context("S3 does not answer in time")?;
        let (registrations, unreadable) = read?;
        if let Some(instance) = unreadable.first() {
            bail!(
                "the registration of {instance} cannot be read, and it may have the name that is asked for: 'kubeboot status' says what is \
                 wrong with it"
            );
        }
        let living = registrations.into_iter().filter(|found| !found.is_finished());
        let names: BTreeSet<String> = living.map(|found| found.node_name).collect();
        self.names = Some((names.clone(), Instant::now()));
        Ok(names)
    }
}
