//! The agents' election: which one of them does what one must do for all.
//!
//! A machine takes part while its disk says that it is a member. It asks its own API server alone, which serves only while the etcd beside
//! it is a voter that answers: a learner and a member that was removed refuse every read. So no list needs to be asked for.

use super::duties::{self, Scene};
use super::serve::Board;
use crate::aws::Session;
use crate::host::files;
use crate::kube::{Kubeconfig, LeaseClient};
use crate::kubeadm::state;
use crate::model::machine::local::Local;
use crate::node::Facts;
use crate::node::credentials::MEMBER_KUBECONFIG;
use crate::node::departure;
use crate::node::election::{Election, Told};
use anyhow::{Context, Result, bail};
use futures::FutureExt;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// The Lease's namespace and name.
const NAMESPACE: &str = "kube-system";
const NAME: &str = "kubeboot";
/// Between two looks whether this machine may take part.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long a duty may take to end when this machine takes part no longer, and how long then giving the Lease up may take.
const END_TIMEOUT: Duration = Duration::from_secs(3);
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest kubeconfig, in bytes.
const KUBECONFIG_LIMIT: u64 = 256 * 1024;

/// What the agent lets its part in the election do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Candidacy {
    /// Nothing is in the way.
    Free,
    /// The machine is being terminated: it leads no longer.
    Terminating,
    /// The agent ends.
    Stopped,
}

/// What the agent and its part in the election tell each other.
pub(super) struct Channels {
    /// What the agent lets it do.
    pub(super) part: watch::Receiver<Candidacy>,
    /// Whether the agent sees a machine in the group that is ended or unhealthy.
    pub(super) trouble: watch::Receiver<bool>,
    /// Who leads, as far as this machine knows; what serves it may ask for it.
    pub(super) told: watch::Sender<Told>,
    /// What a leader does, in words for the status line.
    pub(super) words: watch::Sender<String>,
    /// What is served of it.
    pub(super) board: Board,
}

/// Takes part until the agent ends.
pub(super) async fn take_part(facts: Facts, session: Session, mut channels: Channels) {
    let scene = Scene { facts, session, board: channels.board.clone() };
    let mut said = String::new();
    loop {
        let part = *channels.part.borrow_and_update();
        match part {
            Candidacy::Stopped => return,
            Candidacy::Terminating => {}
            Candidacy::Free => {
                let why = match Seat::find(&scene.facts) {
                    Ok(seat) => Box::pin(seat.hold(&scene, &mut channels)).await,
                    Err(why) => format!("{why:#}"),
                };
                if why != said {
                    tracing::info!(
                        "takes no part in the election of the one that does for all what one must do: {why}"
                    );
                    said = why;
                }
            }
        }
        tokio::select! {
            () = sleep(LOOK_INTERVAL) => {}
            changed = channels.part.changed() => if changed.is_err() { return },
        }
    }
}

/// What lets this machine take part.
struct Seat {
    kubeconfig: Vec<u8>,
    local: Local,
}

impl Seat {
    /// By this machine's disk.
    fn find(facts: &Facts) -> Result<Self> {
        let (root, me) = (Path::new("/"), &facts.machine.instance);
        let local = state::observe(root, facts.documents.data_dir())?;
        if !matches!(&local, Local::Made { instance, .. } if instance == me) {
            bail!("this machine is no member of a cluster");
        }
        if departure::load(root, me)?.is_some() {
            bail!("this machine has begun to leave its cluster");
        }
        let path = Path::new(MEMBER_KUBECONFIG);
        let kubeconfig = files::read_if_there(path, KUBECONFIG_LIMIT)?
            .with_context(|| format!("there is no '{}'", path.display()))?;
        Ok(Self { kubeconfig, local })
    }

    /// Takes part until it may not any more, and says why.
    async fn hold(self, scene: &Scene, channels: &mut Channels) -> String {
        let lease = match self.lease(&scene.facts) {
            Ok(lease) => lease,
            Err(error) => return format!("{error:#}"),
        };
        let (_barred, is_barred) = watch::channel(false);
        let (mut election, told) = Election::new(lease, NAME.to_owned(), scene.facts.node_name.clone(), is_barred);
        let (over, is_over) = watch::channel(false);
        let mut duties =
            pin!(duties::run(scene, told.clone(), is_over, channels.trouble.clone(), channels.words.clone()).fuse());
        let why = tokio::select! {
            biased;
            why = self.until_lost(&scene.facts, &mut channels.part) => why,
            ended = election.run() => ended.map_or_else(|error| format!("{error:#}"), |never| match never {}),
            () = forward(told, &channels.told) => "the election has ended".to_owned(),
            () = &mut duties => "the duties have ended".to_owned(),
        };
        over.send_replace(true);
        if timeout(END_TIMEOUT, duties).await.is_err() {
            tracing::warn!("a duty is cut off; if it held the membership lease, that runs out by itself");
        }
        if timeout(RELEASE_TIMEOUT, election.release()).await.is_err() {
            tracing::warn!("the Lease is not given up in time, so others wait until it has run out");
        }
        channels.told.send_replace(Told::default());
        channels.words.send_replace(String::new());
        why
    }

    fn lease(&self, facts: &Facts) -> Result<LeaseClient> {
        let text = std::str::from_utf8(&self.kubeconfig).ok().context("the kubeconfig is no text")?;
        let address = SocketAddr::new(facts.node.address, facts.api_port());
        LeaseClient::at(&Kubeconfig::parse(text)?, address, NAMESPACE, NAME)
    }

    /// Until the machine may take part no longer, or by other credentials.
    async fn until_lost(&self, facts: &Facts, part: &mut watch::Receiver<Candidacy>) -> String {
        loop {
            tokio::select! {
                () = sleep(LOOK_INTERVAL) => {}
                changed = part.changed() => if changed.is_err() { return "the agent ends".to_owned() },
            }
            match *part.borrow() {
                Candidacy::Stopped => return "the agent ends".to_owned(),
                Candidacy::Terminating => return "this machine is being terminated".to_owned(),
                Candidacy::Free => {}
            }
            match Self::find(facts) {
                Ok(now) if now.kubeconfig != self.kubeconfig => return "its credentials were renewed".to_owned(),
                Ok(now) if now.local != self.local => return "this machine's state has changed".to_owned(),
                Ok(_) => {}
                Err(why) => return format!("{why:#}"),
            }
        }
    }
}

/// Hands on what the election tells.
async fn forward(mut told: watch::Receiver<Told>, to: &watch::Sender<Told>) {
    while told.changed().await.is_ok() {
        to.send_replace(told.borrow_and_update().clone());
    }
}
