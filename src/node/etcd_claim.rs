//! The claim that a cluster keeps in its etcd, written anew where somebody deleted it.
//!
//! An etcd that lost its data has no claim either, and the same IDs. The API server beside it tells the two apart: it serves what
//! is in that etcd, so only the record's etcd has the record's UID of `kube-system`.

use crate::etcd::{self, Access};
use crate::kube::{Client, Kubeconfig};
use crate::model::record::cluster::Published;
use anyhow::{Result, ensure};
use std::net::{IpAddr, SocketAddr};

/// Writes the claim anew through the first of these members whose API server shows the record's UID. Whether it did.
pub async fn restore(
    access: &Access,
    kubeconfig: &Kubeconfig,
    published: &Published,
    members: &[IpAddr],
    api_port: u16,
) -> bool {
    for address in members {
        match restore_at(access, kubeconfig, published, *address, api_port).await {
            Ok(()) => {
                tracing::warn!(%address, claim = %access.recorded.claim, "wrote the claim into etcd anew, where it was missing");
                return true;
            }
            Err(error) => tracing::debug!(%address, "the claim is missing in etcd and was not written anew: {error:#}"),
        }
    }
    false
}

async fn restore_at(
    access: &Access,
    kubeconfig: &Kubeconfig,
    published: &Published,
    address: IpAddr,
    api_port: u16,
) -> Result<()> {
    let uid = Client::new(kubeconfig, SocketAddr::new(address, api_port))?.kube_system_uid().await?;
    ensure!(
        uid == published.kube_system_uid.as_str(),
        "the API server there serves the cluster with kube-system {uid}, the record means {}",
        published.kube_system_uid
    );
    etcd::write_claim(access, address).await.map(|_| ())
}
