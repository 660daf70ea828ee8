//! Nodes and their leases, for whoever judges which Nodes are of machines that are gone.

use super::answers;
use super::client::{Client, Deleted, NODES, in_folder};
use crate::model::agent::duties::nodes::{Preconditions, SeenNode};
use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// The leases that kubelets renew.
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
/// How many are read at once: each has some thousand bytes.
const PAGE: usize = 250;
/// The largest number of pages: more nodes than Kubernetes supports.
const MOST_PAGES: usize = 100;

impl Client {
    /// The `resourceVersion` of every kubelet's lease, by the name of its Node. It changes with every renewal.
    ///
    /// # Errors
    /// When the server does not answer, or not with leases.
    pub async fn node_leases(&self) -> Result<BTreeMap<String, String>> {
        let (mut found, mut next) = (BTreeMap::new(), String::new());
        for _ in 0..MOST_PAGES {
            let path = format!("{LEASES}?limit={PAGE}{next}");
            let list = self.object(&path).await?;
            let items = list["items"].as_array().context("the answer holds no leases")?;
            found.extend(items.iter().filter_map(|item| {
                let metadata = &item["metadata"];
                Some((metadata["name"].as_str()?.to_owned(), metadata["resourceVersion"].as_str()?.to_owned()))
            }));
            match answers::next_page(&list)? {
                Some(token) => next = token,
                None => return Ok(found),
            }
        }
        anyhow::bail!("there are more leases of Nodes than {}", PAGE * MOST_PAGES)
    }

    /// The Node of that name as it is now, if there is one.
    ///
    /// # Errors
    /// When the server does not answer, or not with a Node.
    pub async fn seen_node(&self, name: &str) -> Result<Option<SeenNode>> {
        let path = in_folder(NODES, name)?;
        let answer = self.call(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        seen(&answer.success(self, &path)?).map(Some).with_context(|| self.failed(&path))
    }

    /// Deletes a Node if it is still the very one that was judged.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn delete_seen_node(&self, node: &SeenNode) -> Result<Deleted> {
        let Preconditions { uid, version } = node.preconditions();
        self.delete(&in_folder(NODES, &node.name)?, json!({"uid": uid, "resourceVersion": version})).await
    }
}

fn seen(object: &Value) -> Result<SeenNode> {
    let node = answers::node(object)?;
    let version = object["metadata"]["resourceVersion"].as_str().filter(|version| !version.is_empty());
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let beats = conditions.filter_map(|condition| condition["lastHeartbeatTime"].as_str());
    Ok(SeenNode {
        version: version.context("the answer holds no metadata.resourceVersion")?.to_owned(),
        heartbeat: beats.filter_map(seconds).max(),
        name: node.name,
        uid: node.uid,
        ready: node.ready,
        provider_id: node.provider_id,
        addresses: node.addresses,
        unchanged: Duration::ZERO,
    })
}

fn seconds(time: &str) -> Option<u64> {
    Some(humantime::parse_rfc3339(time).ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_seen_with_its_version_and_its_last_heartbeat() -> Result<()> {
        let mut object = json!({
            "metadata": {"name": "n1", "uid": "u", "resourceVersion": "7"},
            "spec": {"providerID": "aws:///eu-central-1a/i-00000001"},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "10.0.1.11"}, {"type": "Hostname", "address": "n1"}],
                "conditions": [
                    {"type": "MemoryPressure", "status": "Unknown", "lastHeartbeatTime": "1970-01-01T00:00:50Z"},
                    {"type": "Ready", "status": "Unknown", "lastHeartbeatTime": "1970-01-01T00:01:00Z"},
                ],
            },
        });
        let node = seen(&object)?;
        assert_eq!((node.version.as_str(), node.heartbeat, node.ready), ("7", Some(60), false));
        assert_eq!(node.instance("eu-central-1").map(|id| id.to_string()).as_deref(), Some("i-00000001"));
        object["metadata"]["resourceVersion"] = json!("");
        assert!(seen(&object).is_err(), "a deletion of it would not be conditional");
        Ok(())
    }
}
