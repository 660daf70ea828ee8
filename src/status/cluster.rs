//! What the cluster says: etcd's members and the API servers, each at its own address.

use super::origin::as_root;
use super::within::within;
use crate::etcd::{self, Access};
use crate::kube::{Client, KubeNode, Kubeconfig};
use crate::model::machine::ids::{InstanceId, Uid};
use crate::model::membership::certainty::RecordedEtcd;
use crate::model::membership::view::ClusterView;
use crate::model::record::cluster::Published;
use crate::model::status::{ApiServer, Etcd, Known, MemberStatus, NodeStatus, StatusMachine};
use crate::model::upgrade::{ClusterVersions, KubernetesUpgrade, RestStep};
use crate::model::version::Release;
use crate::node::credentials::{MEMBER_ETCD, MEMBER_KUBECONFIG, UP_FOLDER};
use anyhow::{Context, Result, anyhow};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// How long one step may take: reading through etcd's quorum, the list, the members' status. All three must fit into the
/// time of one source when machines are dead and do not even refuse. A member that lives answers within milliseconds.
const ETCD_TIMEOUT: Duration = Duration::from_millis(1500);

/// How many machines are asked at once; those of the group come first.
const AT_ONCE: usize = 64;

/// A machine that may be asked.
pub(super) struct Peer {
    pub(super) instance: InstanceId,
    pub(super) address: IpAddr,
    node_name: Option<String>,
}

/// The machines that may answer, with an address at which to ask. `credible` as in [`StatusMachine::may_answer`].
pub(super) fn peers(machines: &[StatusMachine<'_>], credible: bool) -> Vec<Peer> {
    let peer = |machine: &StatusMachine<'_>| {
        let node_name = machine.registered().map(|says| says.node_name.clone());
        Some(Peer { instance: machine.instance.clone(), address: *machine.addresses().first()?, node_name })
    };
    machines.iter().filter(|machine| machine.may_answer(credible)).filter_map(peer).collect()
}

/// etcd's members, and the addresses of those that keep no claim.
pub(super) async fn etcd(peers: &[Peer], external: bool, recorded: Option<RecordedEtcd>) -> (Known<Etcd>, Vec<IpAddr>) {
    let mut without_claim = Vec::new();
    (members(peers, external, recorded, &mut without_claim).await, without_claim)
}

async fn members(
    peers: &[Peer],
    external: bool,
    recorded: Option<RecordedEtcd>,
    without_claim: &mut Vec<IpAddr>,
) -> Known<Etcd> {
    if external {
        return Ok(Etcd::External);
    }
    if peers.is_empty() {
        return Err("no control-plane machine is known to ask".into());
    }
    let access = credentials(&[PathBuf::from(MEMBER_ETCD).join("healthcheck-client.crt")], |path| {
        let recorded =
            recorded.clone().context("neither the record nor this machine says which etcd cluster is meant")?;
        Access::from_folder(path.parent().unwrap_or(Path::new("/")), recorded)
    })?;
    let addresses: Vec<IpAddr> = peers.iter().map(|peer| peer.address).collect();
    let all = async {
        let questions = addresses.iter().map(|address| timeout(ETCD_TIMEOUT, etcd::status(&access, *address)));
        let reports = stream::iter(questions).buffered(AT_ONCE).collect::<Vec<_>>();
        Ok::<_, Infallible>(tokio::join!(etcd::observe_all(&access, &addresses, ETCD_TIMEOUT), reports))
    };
    let (observed, reports) = within(all).await?;
    *without_claim = observed.without_claim;
    let reports: Vec<etcd::Status> = reports.into_iter().flatten().flatten().collect();
    let (members, certain) = match observed.view {
        ClusterView::Listed(members) => (members, true),
        ClusterView::NoQuorum(members) => (members, false),
        ClusterView::Unknown { why } if reports.is_empty() => return Ok(Etcd::Silent { asked: peers.len(), why }),
        ClusterView::Unknown { why } => return Err(why),
        ClusterView::External | ClusterView::NotAsked => return Err("not asked".into()),
    };
    let report = |status: etcd::Status| {
        (status.id, MemberStatus { at: Some(status.at), version: status.version, errors: status.errors })
    };
    let reports = reports.into_iter().map(report).collect();
    Ok(Etcd::Stacked { members, certain, reports })
}

/// The API servers.
pub(super) async fn api_servers(peers: &[Peer], port: u16) -> Known<BTreeMap<InstanceId, ApiServer>> {
    let kubeconfig = kubeconfig()?;
    let asked = stream::iter(peers).map(|peer| async {
        let client =
            Client::new(&kubeconfig, SocketAddr::new(peer.address, port)).map_err(|error| format!("{error:#}"));
        Ok::<_, String>((peer.instance.clone(), api_server(&client?, peer.node_name.as_deref()).await))
    });
    asked.buffered(AT_ONCE).try_collect().await
}

/// The credentials that are found here.
pub(super) fn kubeconfig() -> Known<Kubeconfig> {
    // A machine that waits to join may have made itself credentials that are valid for an hour.
    let places = [PathBuf::from(MEMBER_KUBECONFIG), Path::new(UP_FOLDER).join("credentials/kubeconfig")];
    credentials(&places, Kubeconfig::read)
}

/// The versions of the cluster with this UID, by the first of its API servers that is ready.
pub(super) async fn versions(
    peers: &[Peer],
    port: u16,
    servers: &Known<BTreeMap<InstanceId, ApiServer>>,
    published: Option<&Published>,
    setting: KubernetesUpgrade,
) -> Known<Option<ClusterVersions>> {
    let (Ok(servers), Some(published)) = (servers, published) else { return Ok(None) };
    let serves = |peer: &&Peer| {
        let server = servers.get(&peer.instance);
        server.is_some_and(|server| {
            server.ready.is_ok() && server.kube_system_uid.as_ref() == Ok(&published.kube_system_uid)
        })
    };
    let Some(peer) = peers.iter().find(serves) else { return Ok(None) };
    let client =
        Client::new(&kubeconfig()?, SocketAddr::new(peer.address, port)).map_err(|error| format!("{error:#}"))?;
    within(cluster_versions(&client, published, setting)).await.map(Some)
}

async fn cluster_versions(
    client: &Client,
    published: &Published,
    setting: KubernetesUpgrade,
) -> Result<ClusterVersions> {
    let (configuration, kept, kube_proxy) =
        tokio::try_join!(client.kubeadm_config(), client.rest_outcome(), client.add_on_image(RestStep::KubeProxy))?;
    let release = |text: &str| Release::parse(text).with_context(|| format!("'{}' is no version", text.escape_debug()));
    Ok(ClusterVersions {
        setting,
        cluster: release(&configuration.kubernetes_version)?,
        made: release(&published.kubernetes_version)?,
        outcome: kept.and_then(|kept| kept.outcome.ok()),
        kube_proxy: kube_proxy.as_deref().and_then(Release::of_image),
    })
}

async fn api_server(client: &Client, node_name: Option<&str>) -> ApiServer {
    let node = async {
        match node_name {
            Some(name) => client.node(name).await,
            None => Err(anyhow!("nobody says what its name is")),
        }
    };
    let (ready, uid, version, node) = tokio::join!(
        within(briefly(client.readyz())),
        within(briefly(async { Uid::parse(client.kube_system_uid().await?).context("the UID of kube-system") })),
        within(client.version()),
        within(briefly(node)),
    );
    ApiServer {
        ready,
        kube_system_uid: uid,
        version: version.ok(),
        node: node.map(|node| {
            node.map(|KubeNode { ready, kubelet_version, provider_id, marks, .. }| NodeStatus {
                ready,
                kubelet_version,
                provider_id,
                marks,
            })
        }),
    }
}

/// The last cause of an error alone: who was asked stands beside it in the report.
async fn briefly<T>(answer: impl Future<Output = Result<T>>) -> Result<T, String> {
    answer.await.map_err(|error| error.root_cause().to_string())
}

/// Credentials from the first of these places that holds any.
fn credentials<T>(places: &[PathBuf], read: impl Fn(&Path) -> Result<T>) -> Known<T> {
    for place in places {
        match place.try_exists() {
            Ok(true) => return read(place).map_err(|error| as_root(&error)),
            Ok(false) => {}
            Err(error) => {
                return Err(as_root(
                    &anyhow::Error::new(error).context(format!("failed to look for '{}'", place.display())),
                ));
            }
        }
    }
    Err("there are no credentials for the cluster here: ask on a control-plane node".to_owned())
}
