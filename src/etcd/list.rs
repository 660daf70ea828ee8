//! Reading the member list, through a quorum if possible.

use super::access::{Access, REQUEST_TIMEOUT, brief};
use super::status::status;
use crate::model::machine::ids::MemberId;
use crate::model::membership::members::{Member, Members};
use crate::model::membership::view::ClusterView;
use anyhow::{Context, Result};
use etcd_client::Client;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// One member's answer.
enum ListAnswer {
    /// A list read through a quorum: every earlier change is in it.
    Certain(Members),
    /// The member's own copy, because it could not reach a quorum.
    Remembered(Members),
}

/// Asks the members at these addresses for the list, and probes which of its members answer.
pub async fn observe(access: &Access, addresses: &[IpAddr]) -> ClusterView {
    observe_within(access, addresses, REQUEST_TIMEOUT).await
}

/// The same with a time-out for each step: the read through a quorum, the list, and the probe of the members.
pub async fn observe_within(access: &Access, addresses: &[IpAddr], step_timeout: Duration) -> ClusterView {
    let mut asked: FuturesUnordered<_> = addresses.iter().map(|address| ask(access, *address, step_timeout)).collect();
    let (mut remembered, mut why) = (None, None);
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(ListAnswer::Certain(members)) => {
                return ClusterView::Listed(probed(access, members, step_timeout).await);
            }
            Ok(ListAnswer::Remembered(members)) => remembered = Some(members),
            Err(error) => why = Some(format!("{error:#}")),
        }
    }
    if let Some(members) = remembered {
        let members = probed(access, members, step_timeout).await;
        // Enough voters answer, but none can read through a quorum: a leader is being elected.
        return if members.has_quorum() {
            ClusterView::Unknown { why: "etcd has no leader at the moment".into() }
        } else {
            ClusterView::NoQuorum(members)
        };
    }
    ClusterView::Unknown { why: why.unwrap_or_else(|| "no control-plane machine is known that could be asked".into()) }
}

/// A list read through a quorum by the member at this address, to verify a change.
///
/// # Errors
/// No answer, or no quorum behind it.
pub async fn certain(access: &Access, address: IpAddr) -> Result<Members> {
    let mut client = access.client(address).await?;
    barrier(&mut client, address).await?;
    read(&mut client, address).await
}

async fn ask(access: &Access, address: IpAddr, step_timeout: Duration) -> Result<ListAnswer> {
    let mut client = access.client(address).await?;
    let certain = matches!(timeout(step_timeout, barrier(&mut client, address)).await, Ok(Ok(())));
    let members = timeout(step_timeout, read(&mut client, address)).await;
    let members = members.with_context(|| format!("etcd at {address} gave no member list in time"))??;
    Ok(if certain { ListAnswer::Certain(members) } else { ListAnswer::Remembered(members) })
}

/// A linearizable read through this member: when it returns, the member has applied every change that was committed
/// before, changes of membership among them. etcd 3.4 has no linearizable list, and the client library none at all.
async fn barrier(client: &mut Client, address: IpAddr) -> Result<()> {
    client
        .get("kubeboot", None)
        .await
        .map(|_| ())
        .map_err(brief)
        .with_context(|| format!("etcd at {address} cannot read through a quorum"))
}

async fn read(client: &mut Client, address: IpAddr) -> Result<Members> {
    let list =
        client.member_list().await.map_err(brief).with_context(|| format!("etcd at {address} gave no member list"))?;
    let members = list.members().iter().map(|member| Member {
        id: MemberId(member.id()),
        name: member.name().to_owned(),
        peer_addresses: member.peer_urls().iter().filter_map(|url| host(url)).collect(),
        learner: member.is_learner(),
        answers: false,
    });
    Ok(Members(members.collect()))
}

/// The IP address in a peer URL. kubeadm never writes a host name there.
#[must_use]
pub fn host(url: &str) -> Option<IpAddr> {
    let url = reqwest::Url::parse(url).ok()?;
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The same list, with which members answer a status call.
async fn probed(access: &Access, members: Members, step_timeout: Duration) -> Members {
    let probes = members.0.into_iter().map(|member| async move {
        let mut answers = false;
        for address in member.peer_addresses.iter().filter(|_| member.is_started()) {
            answers = answers || is_itself(access, *address, member.id, step_timeout).await;
        }
        Member { answers, ..member }
    });
    Members(futures::future::join_all(probes).await)
}

/// Whether the member at this address answers and has this ID, because addresses are reused.
async fn is_itself(access: &Access, address: IpAddr, id: MemberId, step_timeout: Duration) -> bool {
    matches!(timeout(step_timeout, status(access, address)).await, Ok(Ok(status)) if status.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_peer_urls() {
        assert_eq!(host("https://10.77.0.11:2380"), Some("10.77.0.11".parse().unwrap()));
        assert_eq!(host("https://[fd00::1]:2380"), Some("fd00::1".parse().unwrap()));
        for bad in ["", "10.77.0.11", "https://name:2380", "https://"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }
}
