//! Letting in the machines that come with a token: as their requests come.

use super::requests::{Waiting, Which};
use super::{Seen, say};
use crate::aws::store::Store;
use crate::bucket::Roll;
use crate::kube::Client;
use crate::node::Facts;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Between two looks at requests that stay pending, and before all are listed anew where there is no watch.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long requests that come are gathered: machines that boot together ask together.
const GATHER: Duration = Duration::from_millis(50);
/// How long one pass over the requests may take: a thousand take some seconds.
const PASS_TIMEOUT: Duration = Duration::from_secs(60);
/// How long reading the registrations may take.
const ROLL_TIMEOUT: Duration = Duration::from_secs(20);
/// After this time the registrations are read again before anything is decided: a machine registers before it joins.
const ROLL_FRESH: Duration = Duration::from_secs(5);
/// How long a watch is followed before all are listed anew, by the credentials as they are then.
const LISTED_FOR: Duration = Duration::from_secs(10 * 60);

/// Decides requests until the leader leads no longer.
pub(super) struct Approver {
    facts: Facts,
    roll: Roll,
    trouble: watch::Sender<String>,
    waiting: Waiting,
    /// The names of the control plane's machines, and when they were read.
    names: Option<(BTreeSet<String>, Instant)>,
}

impl Approver {
    pub(super) fn new(facts: Facts, store: &Store, trouble: watch::Sender<String>) -> Self {
        Self { facts, roll: Roll::new(store), trouble, waiting: Waiting::default(), names: None }
    }

    pub(super) async fn run(mut self, seen: watch::Receiver<Option<Arc<Seen>>>) {
        loop {
            let now = seen.borrow().clone();
            if let Some(seen) = now {
                let text = match self.follow(&seen).await {
                    Ok(()) => String::new(),
                    Err(error) => format!("cannot decide workers' requests for certificates: {error:#}"),
                };
                say(&self.trouble, &text);
            }
            sleep(INTERVAL).await;
        }
    }

    /// Lists all requests, and follows those that come for a while.
    async fn follow(&mut self, seen: &Seen) -> Result<()> {
        let address = SocketAddr::new(self.facts.node.address, self.facts.api_port());
        let client = Client::new(&seen.kubeconfig, address)?;
        let published = seen.record.published().context("the record names no cluster")?;
        if client.kube_system_uid().await? != published.kube_system_uid.as_str() {
            bail!("this machine's API server is of another cluster");
        }
        let listed = Instant::now();
        let (requests, mut version) = client.signing_requests().await?;
        self.waiting.list(requests);
        self.pass(&client, Which::All).await?;
        say(&self.trouble, "");
        while listed.elapsed() < LISTED_FOR {
            // Where there is no watch, or it has lost its place, all are listed anew.
            let Ok(mut watch) = client.watch_requests(&version).await else { break };
            let mut due = Instant::now() + INTERVAL;
            // What comes together is decided together.
            let mut gathered: Option<Instant> = None;
            loop {
                let at = gathered.unwrap_or(due);
                tokio::select! {
                    next = watch.next() => match next {
                        Ok(Some(request)) => self.waiting.take(request),
                        Ok(None) => break,
                        Err(error) => {
                            tracing::debug!("all requests are listed anew: {error:#}");
                            return self.pass(&client, Which::New).await;
                        }
                    },
                    () = sleep_until(at), if !self.waiting.is_empty() => {
                        let is_due = Instant::now() >= due;
                        self.pass(&client, if is_due { Which::All } else { Which::New }).await?;
                        gathered = None;
                        due = if is_due { Instant::now() + INTERVAL } else { due };
                    }
                }
                if self.waiting.has_new() {
                    gathered.get_or_insert_with(|| Instant::now() + GATHER);
                }
            }
            watch.version().clone_into(&mut version);
        }
        Ok(())
    }

    async fn pass(&mut self, client: &Client, which: Which) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let names = self.control_plane().await?;
        let pass = self.waiting.pass(which, client, &names, &self.facts.node_name);
        timeout(PASS_TIMEOUT, pass).await.context("it took too long, and goes on")?
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
            bail!("the registration of {instance} cannot be read, and it may have the name that is asked for");
        }
        let living = registrations.into_iter().filter(|found| !found.is_finished());
        let names: BTreeSet<String> = living.map(|found| found.node_name).collect();
        self.names = Some((names.clone(), Instant::now()));
        Ok(names)
    }
}
