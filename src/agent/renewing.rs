//! The certificates of this machine, which the agent renews by the code of `kubeboot renew`: one machine at a time, while everybody answers.

use crate::exit::causes;
use crate::host::lock::{self, Lock};
use crate::kube::{Kubeconfig, LeaseClient};
use crate::model::duration::in_words;
use crate::model::renew::RenewStep;
use crate::node::credentials::MEMBER_KUBECONFIG;
use crate::node::election::{Election, until_led, until_lost};
use crate::node::{Facts, departure};
use crate::renew::look::Look;
use crate::renew::{self, Voice};
use crate::settings::Settings;
use anyhow::{Result, anyhow, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The Lease that one machine holds while it renews, and the namespace that it is in.
const LEASE: (&str, &str) = ("kube-system", "kubeboot-renew");
/// How long after its start the agent looks at the latest, so that not all do it at once.
const FIRST: Duration = Duration::from_secs(10);
/// Between two looks at certificates, changed by up to an eighth.
const INTERVAL: Duration = Duration::from_hours(1);
/// The same where something is due, and something was in the way.
const AGAIN: Duration = Duration::from_mins(10);
/// How long to wait for the Lease. Each machine holds it for a minute or a few.
const LEASE_WAIT: Duration = Duration::from_mins(30);
/// How long to wait for this machine's lock with the Lease in hand. `up` and `reset` come first.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// The same where no time is left: an `up` that waits for what has ended goes on until its deadline.
const URGENT_LOCK_WAIT: Duration = Duration::from_hours(1);

/// The looks at this machine's certificates, beside everything else that the agent does while nothing ends the machine.
pub(super) struct Renewing {
    settings: Settings,
    looks: JoinSet<()>,
}

impl Renewing {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, looks: JoinSet::new() }
    }

    /// Goes on, or begins.
    pub(super) fn go_on(&mut self) {
        while let Some(ended) = self.looks.try_join_next() {
            tracing::warn!("the looks at certificates have ended, and begin anew: {ended:?}");
        }
        if self.looks.is_empty() {
            self.looks.spawn(look_again_and_again(self.settings.clone()));
        }
    }

    /// Ends at once, with a kubeadm that it has started. Whoever looks next finds what was left, and the Lease runs out by itself.
    pub(super) async fn stop(&mut self) {
        self.looks.shutdown().await;
    }
}

async fn look_again_and_again(settings: Settings) {
    let mut said = String::new();
    sleep(FIRST.mul_f64(fastrand::f64())).await;
    loop {
        let (pause, text) = match pass(&settings).await {
            Ok(text) => (INTERVAL, text),
            Err(error) => (AGAIN, format!("certificates are not renewed for now: {}", causes(&error).join(": "))),
        };
        if text != said {
            tracing::info!("{text}");
        }
        said = text;
        sleep(pause.mul_f64(0.875 + fastrand::f64() / 4.0)).await;
    }
}

/// One look, and what follows from it; how it ended, for people.
async fn pass(settings: &Settings) -> Result<String> {
    let Some(look) = take(settings).await? else {
        return Ok("no certificates of a control plane are on this machine".to_owned());
    };
    let plan = look.plan_alone();
    match &plan.step {
        RenewStep::Nothing if plan.external.is_empty() => return Ok("no certificate is due to be renewed".to_owned()),
        RenewStep::Ask | RenewStep::Wait(_) => under_lease(settings, &look.facts).await?,
        RenewStep::Renew { .. } => renew(settings, URGENT_LOCK_WAIT).await?,
        RenewStep::Nothing => renew(settings, LOCK_WAIT).await?,
    }
    Ok("the certificates that were due are renewed".to_owned())
}

/// A look at a machine that has not left its cluster.
async fn take(settings: &Settings) -> Result<Option<Look>> {
    let look = Look::take(settings.clone()).await?;
    let Some(look) = look else { return Ok(None) };
    let departure = departure::load(Path::new("/"), &look.facts.machine.instance)?;
    Ok(Some(look).filter(|_| departure.is_none()))
}

/// Renews while this machine holds the Lease, and gives that up at once afterwards.
async fn under_lease(settings: &Settings, facts: &Facts) -> Result<()> {
    let (namespace, name) = LEASE;
    let kubeconfig = Kubeconfig::read(Path::new(MEMBER_KUBECONFIG))?;
    let lease = LeaseClient::at(&kubeconfig, SocketAddr::new(facts.node.address, facts.api_port()), namespace, name)?;
    let (_free, is_barred) = watch::channel(false);
    let me = facts.machine.instance.to_string();
    let (mut election, mut told) = Election::new(lease, name.to_owned(), me, is_barred);
    let work = async {
        let term = timeout(LEASE_WAIT, until_led(&mut told)).await;
        let term = term.map_err(|_| {
            anyhow!("it has waited {} for the Lease {namespace}/{name}, which another machine holds, or which cannot be read", in_words(LEASE_WAIT))
        })?;
        tokio::select! {
            biased;
            () = until_lost(&mut told, term.content.transitions) => {
                bail!("the Lease {namespace}/{name} was lost: the next look goes on where this one was")
            }
            done = renew(settings, LOCK_WAIT) => done,
        }
    };
    let done = tokio::select! {
        done = work => done,
        ended = election.run() => ended.map(|never| match never {}),
    };
    election.release().await;
    done
}

/// Looks anew with this machine's lock, asks whether everybody answers where that matters, and renews.
async fn renew(settings: &Settings, lock_wait: Duration) -> Result<()> {
    let waits = |why: &str| tracing::info!("waiting: {why}");
    let lock = Lock::acquire(Path::new(lock::PATH), super::COMMAND, lock_wait, waits).await?;
    let Some(look) = take(settings).await? else { return Ok(()) };
    let plan = look.plan().await;
    renew::carry_out(&look, &plan, &lock, Voice::Agent).await
}
