//! The other control-plane machines, and which of them answers.

use super::Facts;
use super::group::View;
use crate::kube::{Client, Kubeconfig};
use crate::model::machine::group::{Ec2State, Group};
use crate::model::machine::ids::InstanceId;
use anyhow::{Result, anyhow};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The primary addresses of the group's machines that may be up, without `me`. Those on their way out count: they may
/// be the last members that answer.
#[must_use]
pub fn addresses(group: &Group, me: &InstanceId) -> Vec<IpAddr> {
    group
        .members
        .iter()
        .filter(|member| member.instance != *me)
        .filter(|member| !member.ec2.as_ref().is_some_and(Ec2State::is_final))
        .filter_map(|member| member.addresses.first().copied())
        .collect()
}

/// The same of the group as last described.
#[must_use]
pub fn seen(view: &View, me: &InstanceId) -> Vec<IpAddr> {
    view.group.as_ref().map(|group| addresses(group, me)).unwrap_or_default()
}

/// A client of the first of these machines whose API server is ready.
///
/// # Errors
/// None is.
pub async fn ready_client(facts: &Facts, kubeconfig: &Kubeconfig, addresses: &[IpAddr]) -> Result<Client> {
    let port = facts.api_port();
    let address = ready_api_server(kubeconfig, addresses, port).await?;
    Client::new(kubeconfig, SocketAddr::new(address, port))
}

/// The first of these addresses whose API server says that it is ready.
///
/// # Errors
/// None does; with what the lowest of them says, so that it is the same at every look.
pub async fn ready_api_server(kubeconfig: &Kubeconfig, addresses: &[IpAddr], port: u16) -> Result<IpAddr> {
    let mut asked: FuturesUnordered<_> = addresses
        .iter()
        .map(|address| async move {
            let client = Client::new(kubeconfig, SocketAddr::new(*address, port));
            (*address, async { client?.readyz().await }.await)
        })
        .collect();
    let mut failed = BTreeMap::new();
    while let Some((address, answer)) = asked.next().await {
        match answer {
            Ok(()) => return Ok(address),
            Err(error) => drop(failed.insert(address, error)),
        }
    }
    let none = "no API server of the cluster is ready";
    Err(failed
        .into_values()
        .next()
        .map_or_else(|| anyhow!("{none}: no other control-plane machine is known"), |why| why.context(none)))
}

/// Those of these addresses whose API servers say that they are ready.
pub async fn ready_api_servers(kubeconfig: &Kubeconfig, addresses: &[IpAddr], port: u16) -> Vec<IpAddr> {
    let asked = addresses.iter().map(|address| ready_api_server(kubeconfig, std::slice::from_ref(address), port));
    join_all(asked).await.into_iter().filter_map(Result::ok).collect()
}
