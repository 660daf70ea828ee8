//! The other control-plane machines, and which of them answers.

use crate::kube::{Client, Kubeconfig};
use crate::model::group::{Ec2State, Group};
use crate::model::ids::InstanceId;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
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

/// The first of these addresses whose API server says that it is ready.
pub async fn ready_api_server(kubeconfig: &Kubeconfig, addresses: &[IpAddr], port: u16) -> Option<IpAddr> {
    let mut asked: FuturesUnordered<_> = addresses
        .iter()
        .map(|address| async move {
            let client = Client::new(kubeconfig, SocketAddr::new(*address, port)).ok()?;
            client.readyz().await.ok().map(|()| *address)
        })
        .collect();
    while let Some(answer) = asked.next().await {
        if answer.is_some() {
            return answer;
        }
    }
    None
}
