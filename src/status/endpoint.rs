//! The endpoint, looked at as a client would: resolved, and each address asked over TLS with the cluster's authority.

use super::cluster::kubeconfig;
use super::within::{SOURCE_TIMEOUT, within};
use crate::kube::{self, Client, Kubeconfig};
use crate::model::machine::ids::Uid;
use crate::model::status::{EndpointAddress, EndpointAnswer, Known};
use crate::settings::Endpoint;
use anyhow::{Context, Result};
use futures::future::join_all;
use std::net::SocketAddr;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How many addresses of the name are asked: a load balancer has one for each zone.
const ADDRESSES: usize = 16;

/// What answers at each address of the endpoint. Without credentials of the cluster, its authority is compared with the `recorded`
/// hashes, as far as the server publishes it.
pub(super) async fn look(endpoint: &Endpoint, recorded: &[String]) -> Known<Vec<EndpointAddress>> {
    let mut addresses: Vec<SocketAddr> = within(async {
        Ok::<_, std::io::Error>(lookup_host((endpoint.host.as_str(), endpoint.port)).await?.collect())
    })
    .await
    .map_err(|why| format!("its name does not resolve here: {why}"))?;
    addresses.sort();
    addresses.dedup();
    addresses.truncate(ADDRESSES);
    let found = kubeconfig().ok();
    let kubeconfig = found.as_ref();
    let answers = addresses.into_iter().map(|address| async move {
        let answer = match kubeconfig {
            Some(kubeconfig) => with_credentials(kubeconfig, endpoint, address).await,
            None => without_credentials(endpoint, address, recorded).await,
        };
        EndpointAddress { address: address.ip(), answer }
    });
    Ok(join_all(answers).await)
}

async fn with_credentials(kubeconfig: &Kubeconfig, endpoint: &Endpoint, address: SocketAddr) -> EndpointAnswer {
    let client = match Client::named(kubeconfig, &endpoint.host, address) {
        Ok(client) => client,
        Err(error) => return EndpointAnswer::Silent { why: format!("{error:#}") },
    };
    let uid = async { Uid::parse(client.kube_system_uid().await?).context("the UID of kube-system") };
    let (ready, uid) = tokio::join!(client.readyz(), uid);
    answered(ready, uid)
}

/// What both questions together say: each makes a connection of its own, and the load balancer may give it to another server.
fn answered(ready: Result<()>, uid: Result<Uid>) -> EndpointAnswer {
    let errors = [ready.as_ref().err(), uid.as_ref().err()];
    if let Some(why) = errors.iter().flatten().find_map(|error| kube::bad_certificate(error)) {
        return EndpointAnswer::NotTrusted { why };
    }
    match (ready, uid) {
        (Err(why), Err(other)) if kube::is_silence(&why) && kube::is_silence(&other) => {
            EndpointAnswer::Silent { why: why.root_cause().to_string() }
        }
        (ready, uid) => EndpointAnswer::ApiServer {
            ready: ready.map_err(|error| error.root_cause().to_string()),
            kube_system_uid: uid.map_err(|error| error.root_cause().to_string()),
        },
    }
}

async fn without_credentials(endpoint: &Endpoint, address: SocketAddr, recorded: &[String]) -> EndpointAnswer {
    let found = kube::answers_at_address(&endpoint.host, address);
    let Ok(Some(found)) = timeout(SOURCE_TIMEOUT, found).await else {
        return EndpointAnswer::Silent { why: "no server answers HTTPS".to_owned() };
    };
    if !recorded.is_empty()
        && !found.ca_hashes.is_empty()
        && found.ca_hashes.iter().all(|hash| !recorded.contains(hash))
    {
        return EndpointAnswer::NotTrusted { why: "it publishes another certificate authority".to_owned() };
    }
    let ready = match found.status {
        200 => Ok(()),
        status => Err(format!("it answered {status}")),
    };
    EndpointAnswer::ApiServer {
        ready,
        kube_system_uid: Err("there are no credentials for the cluster here".to_owned()),
    }
}
