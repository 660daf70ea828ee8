//! What the agent serves over HTTP: who leads, whether it works, its metrics, and the report of `kubeboot status`.
//!
//! | file | what |
//! |---|---|
//! | `board` | what the agent's loop leaves for those who serve it |
//! | `collect` | what metrics tell of this machine and of etcd |
//! | `encode` | metrics as text |
//! | `events` | Events on this machine's Node |
//! | `on_demand` | what is gathered only when somebody asks |

mod board;
mod collect;
mod encode;
mod events;
mod on_demand;
#[cfg(test)]
mod page;

pub(super) use board::Board;
pub(super) use events::about;

use crate::host::boottime;
use crate::host::http::{self, Said};
use crate::host::systemd::notify;
use crate::model::agent::served::events::NodeEvent;
use crate::model::agent::served::machine::MachineSeen;
use crate::model::agent::served::metrics::{Leading, samples};
use crate::model::agent::served::{Clock, is_live};
use crate::model::leader::decide::leader;
use crate::node::Facts;
use crate::node::election::Told;
use crate::node::leader_told::leader_told;
use crate::status::Reports;
use anyhow::Result;
use collect::MachineLooker;
use hyper::StatusCode;
use on_demand::{Limits, OnDemand};
use serde_json::Value;
use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// Between two attempts to listen.
const LISTEN_INTERVAL: Duration = Duration::from_secs(10);
/// This machine and etcd are looked at no more often than this, and only while somebody asks.
const MACHINE: Limits =
    Limits { interval: Duration::from_secs(15), deadline: Duration::from_secs(8), patience: Duration::from_secs(6) };
/// A report asks S3, Auto Scaling and EC2.
const REPORT: Limits =
    Limits { interval: Duration::from_secs(60), deadline: Duration::from_secs(60), patience: Duration::from_secs(8) };

/// Serves for ever: the paths where the settings say so, and Events in any case.
pub(super) async fn serve(
    facts: Facts,
    board: Board,
    events: mpsc::Receiver<NodeEvent>,
    election: watch::Receiver<Told>,
) -> Infallible {
    let (address, settings) = (facts.settings.agent_listen, facts.settings.clone());
    let mut looker = MachineLooker::new(facts.clone(), board.clone());
    let mut reports = Reports::new(&settings);
    let (machine, report) = (OnDemand::new(MACHINE), OnDemand::new(REPORT));
    let server = Arc::new(Server { board: board.clone(), election, machine, report });
    tokio::select! {
        never = server.machine.gather(async || Box::pin(looker.look()).await) => never,
        never = server.report.gather(async || Box::pin(reports.report()).await) => never,
        never = events::write_all(facts, board, events) => never,
        never = answer(address, Arc::clone(&server)) => never,
    }
}

/// Listens as soon as that is possible, and answers.
async fn answer(address: Option<SocketAddr>, server: Arc<Server>) -> Infallible {
    let Some(address) = address else { return pending().await };
    let listener = listener(address, &server.board).await;
    tracing::info!("serving state and metrics at http://{address}");
    http::serve(listener, move |path| {
        let server = Arc::clone(&server);
        async move { server.say(&path).await }
    })
    .await
}

/// The agent works without it: an address that is taken is said, and tried again.
async fn listener(address: SocketAddr, board: &Board) -> TcpListener {
    loop {
        let error = match TcpListener::bind(address).await {
            Ok(listener) => {
                board.has_trouble(None);
                return listener;
            }
            Err(error) => error,
        };
        let trouble = format!("nothing is served at 'agent_listen' = '{address}': {error}");
        if board.trouble().as_ref() != Some(&trouble) {
            tracing::warn!("{trouble}; trying again every {} seconds", LISTEN_INTERVAL.as_secs());
        }
        board.has_trouble(Some(trouble));
        sleep(LISTEN_INTERVAL).await;
    }
}

/// What an answer is made of.
struct Server {
    board: Board,
    /// Nobody is known to lead while this machine takes no part in the election.
    election: watch::Receiver<Told>,
    machine: OnDemand<MachineSeen>,
    report: OnDemand<Result<Value>>,
}

impl Server {
    async fn say(&self, path: &str) -> Option<Said> {
        Some(match path {
            "/" => leader_told(&self.election.borrow(), boottime::now()),
            "/livez" if is_live(notify::last_alive(), boottime::now()) => Said::fine(),
            "/livez" => Said::error(StatusCode::INTERNAL_SERVER_ERROR, "the agent hangs"),
            "/readyz" => match self.board.seen().not_ready(boottime::now()) {
                None => Said::fine(),
                Some(why) => Said::error(StatusCode::SERVICE_UNAVAILABLE, &why),
            },
            "/metrics" => self.metrics().await,
            "/status" => self.status().await,
            _ => return None,
        })
    }

    fn leading(&self) -> Leading {
        let told = self.election.borrow();
        let leader = leader(&told.mine, told.seen.as_ref(), boottime::now());
        Leading { is_leader: leader == Some(told.mine.me.as_str()), is_known: leader.is_some() }
    }

    async fn metrics(&self) -> Said {
        let machine = self.machine.get().await;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock = Clock { now: boottime::now(), unix };
        let all = samples(env!("CARGO_PKG_VERSION"), &self.board.seen(), self.leading(), machine.as_deref(), clock);
        match encode::encode(all) {
            Ok(body) => Said { status: StatusCode::OK, kind: encode::KIND, body },
            Err(error) => Said::error(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}")),
        }
    }

    async fn status(&self) -> Said {
        match self.report.get().await.as_deref() {
            Some(Ok(report)) => Said::json(StatusCode::OK, report),
            Some(Err(error)) => Said::error(StatusCode::SERVICE_UNAVAILABLE, &format!("{error:#}")),
            None => {
                Said::error(StatusCode::SERVICE_UNAVAILABLE, "the report is being made: ask again in a few seconds")
            }
        }
    }
}
