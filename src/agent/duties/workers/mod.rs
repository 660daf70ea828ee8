//! What the leader does for workers: it publishes what they need to join, and lets in those that come with a token of it.
//!
//! Both run beside the other duties, which wait for neither. Two leaders that do it at once, or one that dies in the middle, harm nobody:
//! what is written in the bucket names what was read before it, and a request is decided once.
//!
//! | file | what |
//! |---|---|
//! | `publish` | `join/cluster.json` and `join/token.json` |
//! | `approve` | requests for kubelets' certificates |
//! | `requests` | the requests that are not decided yet, and one pass over them |

mod approve;
mod publish;
mod requests;

use super::Scene;
use super::look::Look;
use crate::aws::Session;
use crate::kube::{Client, Kubeconfig};
use crate::model::record::cluster::ClusterRecord;
use crate::node::Facts;
use anyhow::{Context, Result, ensure};
use approve::Approver;
use publish::Publisher;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a look has found that workers depend on.
struct Seen {
    record: ClusterRecord,
    /// Where the control plane's machines are.
    addresses: Vec<IpAddr>,
    kubeconfig: Kubeconfig,
}

impl Seen {
    /// A client of this machine's API server, which must be of the cluster that the record names.
    async fn client(&self, facts: &Facts) -> Result<Client> {
        let client = Client::new(&self.kubeconfig, SocketAddr::new(facts.node.address, facts.api_port()))?;
        let published = self.record.published().context("the record names no cluster")?;
        let uid = client.kube_system_uid().await?;
        ensure!(uid == published.kube_system_uid.as_str(), "this machine's API server is of another cluster");
        Ok(client)
    }
}

/// What one leader does for workers.
pub(super) struct Workers {
    facts: Facts,
    session: Session,
    seen: watch::Sender<Option<Arc<Seen>>>,
    trouble: [watch::Sender<String>; 2],
    /// They end with this.
    tasks: JoinSet<()>,
}

impl Workers {
    pub(super) fn new(scene: &Scene) -> Self {
        Self {
            facts: scene.facts.clone(),
            session: scene.session.clone(),
            seen: watch::Sender::new(None),
            trouble: [watch::Sender::default(), watch::Sender::default()],
            tasks: JoinSet::new(),
        }
    }

    /// Takes in what a look has found, and begins with the first.
    pub(super) fn sees(&mut self, look: &Look) {
        let sight = &look.sight;
        let voters = sight.members.iter().flat_map(|members| members.voters());
        let mut addresses: Vec<IpAddr> = voters.filter_map(|voter| voter.peer_addresses.first().copied()).collect();
        if sight.members.is_none() {
            // One that is silent holds everybody back, so those that have no API server are not asked.
            addresses.extend(sight.serving());
        }
        let (record, kubeconfig) = (sight.record.clone(), look.credentials.kubeconfig.clone());
        self.seen.send_replace(Some(Arc::new(Seen { record, addresses, kubeconfig })));
        if self.tasks.is_empty() {
            let [of_publishing, of_approving] = &self.trouble;
            if self.facts.settings.workers {
                let publisher = Publisher::new(self.facts.clone(), self.session.store.clone(), of_publishing.clone());
                self.tasks.spawn(publisher.run(self.seen.subscribe()));
            }
            let approver = Approver::new(self.facts.clone(), &self.session.store, of_approving.clone());
            self.tasks.spawn(approver.run(self.seen.subscribe()));
        }
    }

    /// What is in the way.
    pub(super) fn trouble(&self) -> Vec<String> {
        let told = self.trouble.iter().map(|trouble| trouble.borrow().clone());
        told.filter(|trouble| !trouble.is_empty()).collect()
    }
}

/// Says what is in the way, in the log where it is new; nothing is, where the text is empty.
fn say(trouble: &watch::Sender<String>, text: &str) {
    let is_new = trouble.send_if_modified(|known| {
        let is_new = known != text;
        text.clone_into(known);
        is_new
    });
    if is_new && !text.is_empty() {
        tracing::warn!("{text}");
    }
}
