//! Who answers as an API server, at the endpoint or at a machine of the group: asked in the background while the group settles,
//! by whoever is about to claim.

use crate::kube::is_api_server;
use crate::model::machine::group::{Ec2State, Group};
use crate::model::machine::ids::InstanceId;
use crate::model::up::snapshot::{ApiServerAt, ApiServerProbe};
use futures::future::join_all;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long a round of answers serves. After that everybody is asked again.
const ANSWER_AGE: Duration = Duration::from_secs(10);
/// How long the endpoint's name may take to resolve.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Asks again and again.
#[derive(Debug)]
pub struct ApiServers {
    host: String,
    port: u16,
    /// The port at which every machine of the group would serve.
    machine_port: u16,
    running: Option<Round>,
    last: Option<Answers>,
}

/// One round of questions that is under way.
#[derive(Debug)]
struct Round {
    asked: Instant,
    addresses: BTreeSet<IpAddr>,
    task: JoinHandle<Vec<ApiServerAt>>,
}

/// What a round came to.
#[derive(Debug)]
struct Answers {
    asked: Instant,
    addresses: BTreeSet<IpAddr>,
    at: Vec<ApiServerAt>,
}

impl ApiServers {
    /// For this endpoint, and machines that would serve at `machine_port`.
    #[must_use]
    pub fn new(host: String, port: u16, machine_port: u16) -> Self {
        Self { host, port, machine_port, running: None, last: None }
    }

    /// Takes in a round that has ended. Called before the record is read: an API server that a claim of this record started
    /// was started after that claim was written.
    pub async fn take_in(&mut self) {
        if self.running.as_ref().is_some_and(|round| round.task.is_finished()) {
            self.finish().await;
        }
    }

    /// Waits for the round that is under way, and takes it in. A round ends by its own time-outs.
    pub async fn finish(&mut self) {
        let Some(round) = &mut self.running else { return };
        let ended = (&mut round.task).await;
        // A round that panicked has asked nobody.
        if let (Some(round), Ok(at)) = (self.running.take(), ended) {
            self.last = Some(Answers { asked: round.asked, addresses: round.addresses, at });
        }
    }

    /// The same, but waits for at most so long, and for so long where no round is under way. Whether one was taken in.
    pub async fn finish_within(&mut self, time_limit: Duration) -> bool {
        if self.running.is_none() {
            sleep(time_limit).await;
            return false;
        }
        timeout(time_limit, self.finish()).await.is_ok()
    }

    /// What the rounds that were taken in said of this group. Begins a new one where that is due.
    pub fn answered(&mut self, group: &Group) -> ApiServerProbe {
        let machines = machines(group);
        let addresses: BTreeSet<IpAddr> = machines.iter().map(|(_, address)| *address).collect();
        let serves =
            |answers: &Answers| answers.asked.elapsed() < ANSWER_AGE && answers.addresses.is_superset(&addresses);
        let half_done = |answers: &Answers| answers.asked.elapsed() > ANSWER_AGE / 2;
        if self.running.is_none() && self.last.as_ref().is_none_or(|last| !serves(last) || half_done(last)) {
            let task = tokio::spawn(ask(self.host.clone(), self.port, self.machine_port, machines));
            self.running = Some(Round { asked: Instant::now(), addresses: addresses.clone(), task });
        }
        match &self.last {
            Some(last) if serves(last) => ApiServerProbe::Answered(last.at.clone()),
            Some(_) | None => ApiServerProbe::Pending,
        }
    }
}

impl Drop for ApiServers {
    fn drop(&mut self) {
        if let Some(round) = &self.running {
            round.task.abort();
        }
    }
}

/// The machines that may be up, with their primary addresses.
fn machines(group: &Group) -> Vec<(InstanceId, IpAddr)> {
    let may_be_up = group.members.iter().filter(|member| !member.ec2.as_ref().is_some_and(Ec2State::is_final));
    may_be_up.filter_map(|member| Some((member.instance.clone(), *member.addresses.first()?))).collect()
}

/// Asks everybody at once.
pub async fn ask(host: String, port: u16, machine_port: u16, machines: Vec<(InstanceId, IpAddr)>) -> Vec<ApiServerAt> {
    let endpoint = async {
        let addresses: Vec<SocketAddr> = match timeout(RESOLVE_TIMEOUT, lookup_host((host.as_str(), port))).await {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        let answers = join_all(addresses.into_iter().map(is_api_server)).await;
        answers.contains(&true).then(|| ApiServerAt { instance: None, address: format!("{host}:{port}") })
    };
    let machines = join_all(machines.into_iter().map(|(instance, address)| async move {
        let address = SocketAddr::new(address, machine_port);
        let at = ApiServerAt { instance: Some(instance), address: address.to_string() };
        is_api_server(address).await.then_some(at)
    }));
    let (endpoint, machines) = tokio::join!(endpoint, machines);
    endpoint.into_iter().chain(machines.into_iter().flatten()).collect()
}
