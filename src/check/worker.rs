//! The checks of a worker: those of the control plane that concern it, and what it alone needs.

use super::finding::{CheckVerdict, Finding, Found};
use super::input::CheckInput;
use super::{Check, at_once};
use crate::bucket::JoinObjects;
use crate::exit::Exit;
use crate::kubeadm::run::Kubeadm;
use crate::kubeadm::worker_state::{self, identity};
use crate::model::joining::JoinCluster;
use crate::model::worker::decide::{difference, readable};
use crate::model::worker::revive::NodeView;
use crate::model::worker::skew::Skew;
use crate::model::worker::snapshot::{Fetched, WorkerLocal};
use crate::model::worker::step::{JoinObject, WorkerStop, WorkerWait};
use crate::node::fitness;
use crate::node::worker_node::{WorkerNode, namesake};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The checks of the control plane that a worker has as well, by their names.
pub(super) const SHARED: [&str; 14] = [
    "settings",
    "config-files",
    "root",
    "imds",
    "node-name",
    "swap",
    "units",
    "container-runtime",
    "kubeadm",
    "kubelet",
    "kubeadm-config",
    "kubeadm-validate",
    "host-files",
    "credentials",
];

/// Those that it alone has.
pub(super) const CHECKS: &[Check] = &[
    Check { name: "worker-state", run: |input| at_once(state(input)) },
    Check { name: "join-cluster", run: |input| Box::pin(cluster(input)) },
    Check { name: "join-token", run: |input| Box::pin(token(input)) },
    Check { name: "worker-node", run: |input| Box::pin(node(input)) },
];

/// What an earlier life has left on this disk.
fn state(input: &CheckInput) -> Found {
    input.needs_root()?;
    let me = &input.machine.needed()?.instance;
    let local = worker_state::observe(Path::new("/")).map_err(|error| Finding::error(&error))?;
    Ok(vec![match local {
        WorkerLocal::Fresh => match fitness::foreign_authority(Path::new("/")) {
            Some(defect) => defect.into(),
            None => Finding::ok("nothing of a node is here"),
        },
        WorkerLocal::Joining { instance, .. } | WorkerLocal::Joined { instance, .. } if instance != *me => {
            Finding::warning(
                format!("what is here was written on {instance}"),
                "'kubeboot up' wipes it: make the image before 'kubeboot up' has run",
            )
        }
        WorkerLocal::Joined { cluster, .. } => {
            Finding::ok(format!("this machine has joined the cluster with kube-system {}", cluster.kube_system_uid))
        }
        WorkerLocal::Joining { .. } => Finding::warning(
            "a join has not come to its end",
            "run 'kubeboot up', which goes on with it or begins anew",
        ),
        WorkerLocal::OfControlPlane => failed(&WorkerStop::OfControlPlane),
        WorkerLocal::Unexplained { found } => failed(&WorkerStop::Unexplained { found }),
    }])
}

/// A stop is a sentence with its remedy behind the colon.
fn failed(why: &WorkerStop) -> Finding {
    let said = why.to_string();
    let (text, remedy) = said.rsplit_once(": ").map_or((said.as_str(), "see docs/workers.md"), |parts| parts);
    Finding::failed(text, remedy)
}

async fn read_cluster(input: &CheckInput) -> Result<Fetched<JoinCluster>, Finding> {
    Ok(JoinObjects::new(&input.aws.needed()?.session.store).cluster().await?)
}

/// Whether there is a cluster to join, which fits this machine.
async fn cluster(input: &CheckInput) -> Found {
    let found = read_cluster(input).await?;
    let cluster = readable(&found, JoinObject::Cluster).map_err(|wait| waits(&wait))?;
    if let Ok(WorkerLocal::Joined { cluster: here, .. }) = worker_state::observe(Path::new("/"))
        && let Some(how) = difference(&here, &identity(cluster))
    {
        return Err(failed(&WorkerStop::OtherCluster(how)));
    }
    let set = &input.settings.needed()?.endpoint;
    if !set.host.is_empty() && !set.to_string().eq_ignore_ascii_case(&cluster.endpoint) {
        let (set, published) = (set.to_string(), cluster.endpoint.clone());
        return Err(failed(&WorkerStop::OtherEndpoint { set, published }));
    }
    let kubelet = Kubeadm::read_only().kubelet_version().await.map_err(|error| Finding::error(&error))?.to_string();
    Ok(vec![match Skew::of(&kubelet, &cluster.oldest_api_server, &cluster.kubernetes_version) {
        Skew::Fits => Finding::ok(format!("{} {}", cluster.endpoint, cluster.kubernetes_version)),
        Skew::Newer => waits(&WorkerWait::OlderApiServer { kubelet, oldest: cluster.oldest_api_server.clone() }),
        Skew::TooOld => failed(&WorkerStop::OldKubelet { kubelet, cluster: cluster.kubernetes_version.clone() }),
    }])
}

/// Whether there is a token that is valid. A machine that has joined needs none.
async fn token(input: &CheckInput) -> Found {
    if let Ok(WorkerLocal::Joined { .. }) = worker_state::observe(Path::new("/")) {
        return Ok(vec![Finding::ok("not needed: this machine has joined")]);
    }
    let mut objects = JoinObjects::new(&input.aws.needed()?.session.store);
    let found = objects.token().await?;
    let token = readable(&found, JoinObject::Token).map_err(|wait| waits(&wait))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(vec![match token.expires.checked_sub(now) {
        Some(left) if left > 0 => Finding::ok(format!("valid for {} more minutes", left / 60)),
        Some(_) | None => waits(&WorkerWait::TokenEnded { at: token.expires }),
    }])
}

/// What 'kubeboot up' would wait for: it may come by itself. A wait names its own remedy.
fn waits(what: &WorkerWait) -> Finding {
    let text = format!("'kubeboot up' would wait for {what}");
    let verdict = if what.needs_operator() { CheckVerdict::Failed(Exit::Usage) } else { CheckVerdict::Warning };
    Finding { verdict, text, remedy: None }
}

/// Whether no other machine has the name of one that is about to join.
async fn name(input: &CheckInput) -> Found {
    let mut objects = JoinObjects::new(&input.aws.needed()?.session.store);
    let (cluster, token) = (objects.cluster().await?, objects.token().await?);
    let (Ok(cluster), Ok(token)) = (readable(&cluster, JoinObject::Cluster), readable(&token, JoinObject::Token))
    else {
        return Ok(vec![Finding::ok("not looked for: there is nothing to join by")]);
    };
    let facts = input.facts.needed()?;
    let node = facts.node_name.clone();
    Ok(vec![match namesake(facts, cluster, token).await {
        NodeView::OfAnother { mark } => waits(&WorkerWait::NameTaken { node, mark }),
        NodeView::Silent { why } => {
            Finding::unanswered(why, "see that the endpoint answers, and 'kubeboot status' on a control-plane machine")
        }
        NodeView::OtherAuthority => waits(&WorkerWait::OtherAuthority),
        NodeView::Refused { why, .. } => waits(&WorkerWait::TokenRefused { why }),
        NodeView::NotAsked | NodeView::Missing { .. } | NodeView::Mine | NodeView::Unnamed => {
            Finding::ok(format!("no other machine has the name '{node}'"))
        }
    }])
}

/// Whether a machine that has joined has its Node, and one that has not may have its name.
async fn node(input: &CheckInput) -> Found {
    input.needs_root()?;
    match worker_state::observe(Path::new("/")) {
        Ok(WorkerLocal::Joined { .. }) => {}
        Ok(WorkerLocal::Fresh) => return name(input).await,
        Ok(WorkerLocal::Joining { .. } | WorkerLocal::OfControlPlane | WorkerLocal::Unexplained { .. }) | Err(_) => {
            return Ok(vec![Finding::ok("not looked for: this machine has not joined")]);
        }
    }
    let facts = input.facts.needed()?;
    let name = &facts.node_name;
    Ok(vec![match WorkerNode::default().look(facts).await {
        NodeView::Mine => Finding::ok(format!("the Node '{name}' is this machine's")),
        NodeView::Silent { why } => {
            Finding::unanswered(why, "see that the endpoint answers, and kubelet's certificate")
        }
        NodeView::OtherAuthority => waits(&WorkerWait::OtherAuthority),
        NodeView::Refused { why, .. } => Finding::failed(
            why,
            "if kubelet gets no other credentials, run 'kubeboot reset --now': this machine joins anew",
        ),
        NodeView::NotAsked | NodeView::Missing { .. } => Finding::warning(
            format!("there is no Node '{name}'"),
            "kubelet registers it when it starts: the agent restarts it after two minutes",
        ),
        NodeView::Unnamed => waits(&WorkerWait::ProviderId { node: name.clone() }),
        NodeView::OfAnother { mark } => waits(&WorkerWait::NodeTaken { node: name.clone(), mark }),
    }])
}
