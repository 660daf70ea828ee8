//! Isolating the last voter before it saves the cluster, so that nobody can commit anything to its etcd any more: the API server is ended,
//! and etcd listens on the loopback alone. Each is seen before it is believed. What was begun can be begun again after a crash.

use super::Facts;
use super::credentials::MEMBER_ETCD;
use crate::etcd::{self, Access, CLIENT_PORT, PEER_PORT};
use crate::host::runtime;
use crate::kubeadm::withheld::{self, Mark, Why};
use crate::model::duration::in_words;
use crate::model::machine::ids::ClaimId;
use crate::model::membership::certainty::RecordedEtcd;
use crate::node::point::Point;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// What kubeadm calls the containers of an API server and of etcd.
const API_SERVER: &str = "kube-apiserver";
const ETCD: &str = "etcd";
/// Between two looks. kubelet sees within this time that a manifest is gone; what is killed before that it starts again.
const INTERVAL: Duration = Duration::from_millis(300);
/// How long something must have been gone before that is believed.
const QUIET: Duration = Duration::from_secs(1);
/// How long ending a program may take.
const LONGEST_END: Duration = Duration::from_secs(60);
/// How long etcd may take to be back: kubelet ends it and starts it anew, and it reads its data.
const LONGEST_RESTART: Duration = Duration::from_secs(180);
/// How long connecting to a port of this very machine may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Writes the mark without which nothing is withheld. One that says that the record may have been sent stays.
///
/// # Errors
/// It cannot be written, or one that is there cannot be read.
pub fn begin(facts: &Facts, claim: &ClaimId) -> Result<()> {
    let root = Path::new("/");
    if withheld::load(root, &facts.machine.instance)?.is_none() {
        Mark::new(&facts.machine.instance, claim, Why::Saving).save(root)?;
    }
    Point::IsolationMarked.reached();
    Ok(())
}

/// Withholds the API server's manifest, and sees it gone.
///
/// # Errors
/// It still runs, or it cannot be seen whether it does. What was done stays, until [`put_back`] is called.
pub async fn end_api_server(facts: &Facts) -> Result<()> {
    withheld::withhold_api_server(Path::new("/"))?;
    Point::ApiServerWithheld.reached();
    until_gone(facts, API_SERVER, facts.api_port()).await?;
    Point::ApiServerGone.reached();
    Ok(())
}

/// Has etcd listen on the loopback alone, sees that, and returns access to it there, by the credentials on the disk.
///
/// # Errors
/// As [`end_api_server`].
pub async fn isolate_etcd(facts: &Facts, recorded: &RecordedEtcd) -> Result<Access> {
    withheld::isolate_etcd(Path::new("/"))?;
    Point::EtcdManifestChanged.reached();
    let access = Access::from_folder(Path::new(MEMBER_ETCD), recorded.clone())?.on_loopback();
    until_on_loopback(&access, facts.node.address).await?;
    Point::EtcdIsolated.reached();
    Ok(access)
}

/// That nothing but this process can commit to this machine's etcd: right before the record is written.
///
/// # Errors
/// Something serves, or it cannot be seen whether it does.
pub async fn must_be_isolated(facts: &Facts) -> Result<()> {
    let found = serving(facts, API_SERVER, facts.api_port()).await?;
    ensure!(found.is_empty(), "the API server runs again: {}", found.join(", "));
    must_be_closed(facts.node.address).await
}

/// Puts the manifests back, so that kubelet starts etcd and API server as before.
///
/// # Errors
/// Names the manifest that could not be put back.
pub fn put_back() -> Result<()> {
    withheld::put_back(Path::new("/")).context("failed to put the manifests of etcd and API server back")
}

/// Withholds both manifests for good, and sees API server and etcd gone. The mark says so only then: where they could not be ended, whoever
/// reads it tries again.
///
/// # Errors
/// One still runs, or it cannot be seen whether it does.
pub async fn end_both(facts: &Facts, claim: &ClaimId) -> Result<()> {
    let root = Path::new("/");
    let before = withheld::load(root, &facts.machine.instance)?;
    let why = Why::once_superseded(before.as_ref().map(|mark| mark.why));
    let mark = Mark::new(&facts.machine.instance, claim, why);
    if before.as_ref().is_none_or(|before| before.why != why) {
        mark.save(root)?;
    }
    let gone = see_both_gone(facts).await;
    if before.is_none_or(|before| before.why != why || before.ended != gone.is_ok()) {
        mark.with_end(gone.is_ok()).save(root)?;
    }
    gone
}

async fn see_both_gone(facts: &Facts) -> Result<()> {
    withheld::withhold_both(Path::new("/"))?;
    until_gone(facts, API_SERVER, facts.api_port()).await?;
    until_gone(facts, ETCD, CLIENT_PORT).await
}

/// Kills the containers of this name until there have been none for a while, and nothing listens in their place.
async fn until_gone(facts: &Facts, name: &str, port: u16) -> Result<()> {
    let end = Instant::now() + LONGEST_END;
    let mut quiet: Option<Instant> = None;
    loop {
        sleep(INTERVAL).await;
        let left = match serving(facts, name, port).await {
            Ok(found) if found.is_empty() => {
                if quiet.get_or_insert_with(Instant::now).elapsed() >= QUIET {
                    return Ok(());
                }
                continue;
            }
            Ok(found) => found.join(", "),
            Err(error) => format!("{error:#}"),
        };
        quiet = None;
        kill(facts, name).await;
        if Instant::now() >= end {
            bail!("{name} on this machine did not end within {}: {left}", in_words(LONGEST_END));
        }
    }
}

/// What runs of this name here, in words.
async fn serving(facts: &Facts, name: &str, port: u16) -> Result<Vec<String>> {
    let running = runtime::running(facts.documents.cri_socket(), name).await?;
    let mut found: Vec<String> = running.into_iter().map(|container| format!("container {}", container.id)).collect();
    let place = SocketAddr::new(facts.node.address, port);
    if is_open(place).await? {
        found.push(format!("something listens at {place}"));
    }
    Ok(found)
}

/// What cannot be killed is there at the next look.
async fn kill(facts: &Facts, name: &str) {
    let cri_socket = facts.documents.cri_socket();
    for container in runtime::running(cri_socket, name).await.unwrap_or_default() {
        if let Err(error) = runtime::kill(cri_socket, &container.id).await {
            tracing::debug!("{error:#}");
        }
    }
}

/// Waits until etcd answers on the loopback as the member it was, and nowhere else.
async fn until_on_loopback(access: &Access, own: IpAddr) -> Result<()> {
    let end = Instant::now() + LONGEST_RESTART;
    loop {
        let closed = must_be_closed(own).await;
        let seen = match closed {
            Ok(()) => etcd::list::certain(access, own).await.map(drop),
            Err(open) => Err(open),
        };
        match seen {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= end => {
                return Err(error.context(format!(
                    "etcd was not seen to listen on the loopback alone within {}",
                    in_words(LONGEST_RESTART)
                )));
            }
            Err(error) => tracing::debug!("waiting for etcd on the loopback: {error:#}"),
        }
        sleep(INTERVAL).await;
    }
}

/// That etcd listens at neither of its ports of this address.
async fn must_be_closed(own: IpAddr) -> Result<()> {
    for port in [CLIENT_PORT, PEER_PORT] {
        let place = SocketAddr::new(own, port);
        ensure!(!is_open(place).await?, "etcd still listens at {place}");
    }
    Ok(())
}

/// Whether something listens there, at an address of this very machine.
async fn is_open(place: SocketAddr) -> Result<bool> {
    match timeout(CONNECT_TIMEOUT, TcpStream::connect(place)).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Ok(false),
        Ok(Err(error)) => Err(anyhow!(error).context(format!("it cannot be seen whether anything listens at {place}"))),
        Err(_) => bail!(
            "it cannot be seen whether anything listens at {place}: no answer within {}",
            in_words(CONNECT_TIMEOUT)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn what_listens_is_told_from_what_does_not() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let place = listener.local_addr()?;
        assert!(is_open(place).await?);
        drop(listener);
        assert!(!is_open(place).await?);
        Ok(())
    }
}
