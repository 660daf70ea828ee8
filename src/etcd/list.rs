//! Reading the member list, through a quorum if possible.

use super::access::{Access, REQUEST_TIMEOUT, brief};
use super::status::status;
use crate::model::machine::ids::{EtcdClusterId, MemberId};
use crate::model::membership::certainty::{CLAIM_KEY, Certainty, ClaimKey, EtcdAnswer, certainty};
use crate::model::membership::members::{Member, Members};
use crate::model::membership::view::ClusterView;
use anyhow::{Context, Result, bail};
use etcd_client::Client;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How many are asked at once: a registration outlives its machine, and an address that nobody has takes its time-out.
const AT_ONCE: usize = 64;

/// What was learnt of the membership, and which members keep no claim.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The membership, as far as it can be believed.
    pub view: ClusterView,
    /// Members that keep no claim under [`CLAIM_KEY`]: the API servers beside them can tell whose etcd that is.
    pub without_claim: Vec<IpAddr>,
}

/// Asks the members at these addresses for the list, and probes which of its members answer.
pub async fn observe(access: &Access, addresses: &[IpAddr]) -> ClusterView {
    observe_within(access, addresses, REQUEST_TIMEOUT).await
}

/// The same with another time limit: reading through the quorum, the list, and asking who answers may each take this long.
pub async fn observe_within(access: &Access, addresses: &[IpAddr], step: Duration) -> ClusterView {
    observe_all(access, addresses, step).await.view
}

/// The same, with the members that keep no claim. The first certain list ends it. Where there is none, what is told does not depend on who
/// answered last: a reason that changes from look to look would be told anew each time.
pub async fn observe_all(access: &Access, addresses: &[IpAddr], step: Duration) -> Observed {
    let questions = addresses.iter().copied().map(|address| async move { (address, ask(access, address, step).await) });
    let mut asked = futures::stream::iter(questions).buffer_unordered(AT_ONCE);
    let (mut remembered, mut refused, mut silent) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut without_claim = Vec::new();
    while let Some((address, answer)) = asked.next().await {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                silent.insert(address, format!("{error:#}"));
                continue;
            }
        };
        match certainty(&access.recorded, &answer) {
            Certainty::Certain => {
                let view = ClusterView::Listed(probed(access, answer.members, step).await);
                return Observed { view, without_claim };
            }
            Certainty::Remembered => drop(remembered.insert(address, answer.members)),
            Certainty::KeyMissing => without_claim.push(address),
            Certainty::Refused(why) => drop(refused.insert(address, why.to_string())),
        }
    }
    without_claim.sort_unstable();
    // An answer tells more than a silence, and of several the lowest address speaks.
    let why = refused.into_values().next().or(silent.into_values().next());
    let view = match (remembered.into_values().next(), without_claim.first()) {
        (Some(members), _) => uncertain(probed(access, members, step).await),
        (None, Some(address)) => ClusterView::Unknown {
            why: format!("etcd at {address} keeps no claim, so nobody can tell which cluster it is"),
        },
        (None, None) => {
            ClusterView::Unknown { why: why.unwrap_or_else(|| "no control-plane machine is known to ask".into()) }
        }
    };
    Observed { view, without_claim }
}

/// What a list from one member's memory is worth.
fn uncertain(members: Members) -> ClusterView {
    // Enough voters answer, yet none reads through the quorum: a leader is being elected.
    if members.has_quorum() {
        ClusterView::Unknown { why: "etcd has no leader at the moment".into() }
    } else {
        ClusterView::NoQuorum(members)
    }
}

/// A list read through a quorum by the member at this address, to verify a change.
///
/// # Errors
/// No answer, no quorum behind it, or another cluster's answer.
pub async fn certain(access: &Access, address: IpAddr) -> Result<Members> {
    let answer = ask(access, address, REQUEST_TIMEOUT).await?;
    match certainty(&access.recorded, &answer) {
        Certainty::Certain => Ok(answer.members),
        Certainty::Remembered => bail!("etcd at {address} cannot read through a quorum"),
        Certainty::KeyMissing => bail!("etcd at {address} keeps no claim"),
        Certainty::Refused(refused) => bail!("{refused}"),
    }
}

/// Reads the claim, then the list. The claim is read linearizably: when that returns, the member has applied every change that
/// was committed before, changes of membership among them. etcd 3.4 has no linearizable list, and the client library none at
/// all.
async fn ask(access: &Access, address: IpAddr, step: Duration) -> Result<EtcdAnswer> {
    let mut client = access.client(address).await?;
    let claim = match timeout(step, read_claim(&mut client)).await {
        Ok(Ok(claim)) => claim,
        Ok(Err(_)) | Err(_) => ClaimKey::NotRead,
    };
    let list = timeout(step, client.member_list()).await;
    let no_list = || format!("etcd at {address} gave no member list");
    let list = list.with_context(|| format!("{} in time", no_list()))?.map_err(brief).with_context(no_list)?;
    let header = list.header().with_context(|| format!("etcd at {address} does not say which member it is"))?;
    let members = list.members().iter().map(|member| Member {
        id: MemberId(member.id()),
        name: member.name().to_owned(),
        peer_addresses: member.peer_urls().iter().filter_map(|url| host(url)).collect(),
        learner: member.is_learner(),
        answers: false,
    });
    Ok(EtcdAnswer {
        asked: address,
        member: MemberId(header.member_id()),
        cluster: EtcdClusterId(header.cluster_id()),
        claim,
        members: Members(members.collect()),
    })
}

async fn read_claim(client: &mut Client) -> Result<ClaimKey, etcd_client::Error> {
    let found = client.get(CLAIM_KEY, None).await?;
    Ok(match found.kvs().first() {
        Some(entry) => ClaimKey::Value(String::from_utf8_lossy(entry.value()).into_owned()),
        None => ClaimKey::Missing,
    })
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
    use crate::model::machine::ids::ClaimId;
    use crate::model::membership::certainty::RecordedEtcd;

    #[tokio::test]
    async fn who_is_told_of_several_that_do_not_answer_is_always_the_same() {
        let recorded = RecordedEtcd {
            claim: ClaimId::parse("00000000-0000-4000-8000-000000000001").unwrap(),
            cluster: EtcdClusterId(1),
        };
        // With these nobody is even connected to.
        let access = Access::new(b"no", b"PEM", b"at all", recorded);
        let addresses = |ends: [u8; 3]| ends.map(|end| IpAddr::from([127, 0, 0, end]));
        for order in [[3, 5, 9], [9, 5, 3], [5, 9, 3], [5, 3, 9]] {
            let observed = observe_all(&access, &addresses(order), Duration::from_secs(1)).await;
            let ClusterView::Unknown { why } = observed.view else { panic!("{observed:?}") };
            assert!(why.contains("etcd at https://127.0.0.3:2379"), "{why}");
        }
    }

    #[test]
    fn hosts_of_peer_urls() {
        assert_eq!(host("https://10.77.0.11:2380"), Some("10.77.0.11".parse().unwrap()));
        assert_eq!(host("https://[fd00::1]:2380"), Some("fd00::1".parse().unwrap()));
        for bad in ["", "10.77.0.11", "https://name:2380", "https://"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }
}
