//! Deleting this machine's own Node.

use super::ResetContext;
use super::survey::Survey;
use crate::kube::Deleted;
use crate::model::leave::Part;
use crate::model::machine::ids::Uid;
use crate::model::membership::view::ClusterView;
use crate::node::{node_name, peers};
use anyhow::{Result, bail};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Between two attempts: after a change of members the API servers may not be ready for a moment.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Deletes the Node, if it is this machine's, for as long as the budget allows. `registered` is its UID by the registration.
///
/// # Errors
/// No API server has said that it is gone.
pub(crate) async fn delete(reset: &ResetContext, survey: &Survey, registered: Option<&Uid>) -> Result<()> {
    let mut last = "no API server was asked".to_owned();
    let attempts = async {
        loop {
            match attempt(reset, survey, registered).await {
                Ok(()) => return,
                Err(error) => last = format!("{error:#}"),
            }
            sleep(RETRY_INTERVAL).await;
        }
    };
    match timeout(reset.clock.left(Part::Node), attempts).await {
        Ok(()) => Ok(()),
        Err(_) => bail!("the Node '{}' may still be there: {last}", reset.facts.node_name),
    }
}

async fn attempt(reset: &ResetContext, survey: &Survey, registered: Option<&Uid>) -> Result<()> {
    let kubeconfig = match &survey.credentials {
        Ok(credentials) => &credentials.kubeconfig,
        Err(error) => bail!("{error:#}"),
    };
    let client = peers::ready_client(&reset.facts, kubeconfig, &api_servers(reset, survey)).await?;
    let Some(node) = client.node(&reset.facts.node_name).await? else { return Ok(()) };
    let by_uid = registered.is_some_and(|uid| uid.as_str() == node.uid);
    if !by_uid && !node_name::is_here(&node, &reset.facts) {
        tracing::warn!(
            node = node.name,
            uid = node.uid,
            "this machine's name is another machine's Node by now, left alone"
        );
        return Ok(());
    }
    match client.delete_node(&node.name, &node.uid).await? {
        Deleted::Done => tracing::info!(node = node.name, uid = node.uid, "deleted this machine's Node"),
        Deleted::NotThere | Deleted::AnotherOne => {}
    }
    Ok(())
}

/// The API servers of the machines that stay. This machine's own has no etcd behind it any more, unless that is external.
fn api_servers(reset: &ResetContext, survey: &Survey) -> Vec<IpAddr> {
    let own = &reset.facts.machine.addresses;
    match &survey.cluster {
        ClusterView::Listed(members) | ClusterView::NoQuorum(members) => {
            let all = members.0.iter().flat_map(|member| member.peer_addresses.iter().copied());
            all.filter(|address| !own.contains(address)).collect()
        }
        ClusterView::External | ClusterView::Unknown { .. } | ClusterView::NotAsked => survey.addresses.clone(),
    }
}
