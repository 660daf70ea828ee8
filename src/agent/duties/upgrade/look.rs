//! Whether something is left of an upgrade, asked of this machine's API server; the others are asked for their version where it is.

use super::super::Scene;
use super::super::look::Look;
use super::{readable, release};
use crate::kube::{Client, KeptOutcome, Kubeconfig};
use crate::kubeadm::output::Version;
use crate::kubeadm::run::Kubeadm;
use crate::model::upgrade::{ApiServerSeen, RestLook, RestStep, RestVerdict, rest_before, rest_verdict};
use crate::model::version::Release;
use crate::node::upgrade_look::{Places, cluster_version};
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;

/// What was found.
pub(super) struct Seen {
    pub(super) verdict: RestVerdict,
    /// The version that the cluster's configuration names.
    pub(super) to: Release,
    /// This machine's kubeadm.
    pub(super) kubeadm: Version,
    /// What came of the attempt before.
    pub(super) kept: Option<KeptOutcome>,
}

/// Looks.
///
/// # Errors
/// Somebody does not answer, or is of another cluster.
pub(super) async fn look(scene: &Scene, look: &Look) -> Result<Seen> {
    let facts = &scene.facts;
    let kubeconfig = &look.credentials.kubeconfig;
    let client = Client::new(kubeconfig, SocketAddr::new(facts.node.address, facts.api_port()))?;
    let published = look.sight.record.published().context("the record names no cluster")?;
    let uid = client.kube_system_uid().await?;
    ensure!(uid == published.kube_system_uid.as_str(), "this machine's API server is of another cluster");
    let kubeadm = Kubeadm::read_only().version().await?;
    let cluster = cluster_version(&client.kubeadm_config().await?)?;
    let kept = client.rest_outcome().await?;
    let outcome = readable(kept.as_ref());
    let kube_proxy = match outcome {
        Some(_) => None,
        None => client.add_on_image(RestStep::KubeProxy).await?.as_deref().and_then(Release::of_image),
    };
    let made = release(&published.kubernetes_version, "the version in the cluster record")?;
    let before = rest_before(outcome, made, kube_proxy);
    let servers = if cluster > before { servers(look, kubeconfig, facts.api_port()).await } else { Vec::new() };
    let here = release(&kubeadm.to_string(), "kubeadm's version")?;
    let setting = facts.settings.kubernetes_upgrade;
    let verdict = rest_verdict(&RestLook { setting, kubeadm: here, cluster, before, servers });
    Ok(Seen { verdict, to: cluster, kubeadm, kept })
}

/// The API servers of all members, learners as well; with external etcd those of the machines that have joined and not left. One that waits
/// there has none.
async fn servers(look: &Look, kubeconfig: &Kubeconfig, port: u16) -> Vec<ApiServerSeen> {
    let (members, registrations) = (look.sight.members.as_ref(), &look.sight.registrations);
    let places = match members {
        Some(members) => Places::of_members(members, &[], registrations),
        None => Places::at(look.sight.serving(), registrations),
    };
    places.ask(kubeconfig, port, None).await
}
