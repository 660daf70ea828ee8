//! What a worker asks the endpoint with its kubelet's own credentials: its Node, and the pods on it. More than that they may not.

use super::access::ApiAccess;
use super::answers::{self, CORDONED, KubeNode};
use super::bearer::Bearer;
use super::client::{EVENTS, NODES, in_folder, is_silence};
use super::transport::{HttpAnswer, Transport, unverified, verified};
use crate::model::joining::{BootstrapToken, JoinCluster};
use crate::model::worker::drain::{Eviction, PodId, SeenPod};
use crate::settings::Endpoint;
use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long kubelet itself may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// The largest answer that is read, in bytes: a page of pods, each of some ten thousand.
const LIMIT: usize = 8 * 1024 * 1024;
/// How many pods are read at once.
const PAGE: usize = 50;
/// The largest number of pages: ten times the pods that kubelet takes by default.
const MOST_PAGES: usize = 22;
/// By this annotation the API tells the image of a static pod.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Credentials that no API server takes, or that cannot be used at all, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadCredentials(pub String);

/// The endpoint, asked as this machine's kubelet.
#[derive(Clone)]
pub struct KubeletClient {
    transport: Transport,
    server: String,
    /// The name of this machine's Node.
    node: String,
}

impl KubeletClient {
    /// By kubelet's own kubeconfig. Must be called within the tokio runtime.
    ///
    /// # Errors
    /// [`BadCredentials`]: the file or a certificate that it names cannot be used.
    pub fn new(kubeconfig: &Path, node: &str) -> Result<Self> {
        let made = || {
            let ApiAccess { server, client, bearer, .. } = ApiAccess::find(Some(kubeconfig))?;
            let transport = Transport::new(client, server.clone(), CALL_TIMEOUT, LIMIT)?.with_bearer(bearer);
            anyhow::Ok(Self { transport, server, node: node.to_owned() })
        };
        made().map_err(|error| BadCredentials(format!("{error:#}")).into())
    }

    /// By a bootstrap token, of a cluster that this machine is about to join. Must be called within the tokio runtime.
    ///
    /// # Errors
    /// The cluster's authority cannot be used.
    pub fn with_token(cluster: &JoinCluster, token: &BootstrapToken, node: &str) -> Result<Self> {
        let server = format!("https://{}", cluster.endpoint);
        let (client, bearer) = (verified(cluster.ca_pem.as_bytes())?, Bearer::Token(token.expose().to_owned()));
        let transport = Transport::new(client, server.clone(), CALL_TIMEOUT, LIMIT)?.with_bearer(Some(bearer));
        Ok(Self { transport, server, node: node.to_owned() })
    }

    /// This machine's Node, or another one of its name, if there is one.
    ///
    /// # Errors
    /// When the server does not answer, or not with a Node; [`BadCredentials`] where it does not know who asks (401).
    pub async fn node(&self) -> Result<Option<KubeNode>> {
        let path = in_folder(NODES, &self.node)?;
        let answer = self.call(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            let said = answers::message(&answer.body);
            return Err(BadCredentials(format!("{}: it answered 401: {said}", self.failed(&path))).into());
        }
        answers::node(&self.success(answer, &path)?).map(Some).with_context(|| self.failed(&path))
    }

    /// Closes the Node for new pods, with a mark that this program has. One that somebody else has closed stays theirs.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn cordon(&self) -> Result<()> {
        let path = in_folder(NODES, &self.node)?;
        let answer = self.call(Method::GET, &path, None).await?;
        if self.success(answer, &path)?["spec"]["unschedulable"] == true {
            return Ok(());
        }
        self.patch(&path, &json!({"metadata": {"annotations": {CORDONED: "true"}}, "spec": {"unschedulable": true}}))
            .await
    }

    /// Opens the Node for new pods again, and takes the mark away.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn uncordon(&self) -> Result<()> {
        let path = in_folder(NODES, &self.node)?;
        self.patch(&path, &json!({"metadata": {"annotations": {CORDONED: null}}, "spec": {"unschedulable": null}}))
            .await
    }

    /// Writes an Event about this machine's Node.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn create_event(&self, event: &Value) -> Result<()> {
        let answer = self.call(Method::POST, EVENTS, Some(event)).await?;
        self.success(answer, EVENTS).map(drop)
    }

    async fn patch(&self, path: &str, patch: &Value) -> Result<()> {
        let answer = self.call(Method::PATCH, path, Some(patch)).await?;
        self.success(answer, path).map(drop)
    }

    /// The pods on this machine.
    ///
    /// # Errors
    /// When the server does not answer, or not with pods.
    pub async fn pods(&self) -> Result<Vec<SeenPod>> {
        // A name that is one of an object needs no escaping.
        in_folder(NODES, &self.node)?;
        let (mut found, mut next) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}&limit={PAGE}{next}", self.node);
            let answer = self.call(Method::GET, &path, None).await?;
            let list = self.success(answer, &path)?;
            let items = list["items"].as_array().context("the answer holds no pods")?;
            found.extend(items.iter().filter_map(pod));
            next = match list["metadata"]["continue"].as_str() {
                None | Some("") => return Ok(found),
                Some(token) => {
                    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.~=".contains(letter);
                    ensure!(token.chars().all(plain), "the answer holds a token that is none");
                    format!("&continue={token}")
                }
            };
        }
        bail!("there are more pods on this machine than {}", PAGE * MOST_PAGES)
    }

    /// Has a pod evicted, if it is still this very one.
    pub async fn evict(&self, pod: &PodId) -> Eviction {
        match self.try_evict(pod).await {
            Ok(answer) => Eviction::of(answer.status.as_u16(), answers::message(&answer.body)),
            Err(error) if is_silence(&error) => Eviction::Silent { why: format!("{error:#}") },
            Err(error) => Eviction::Failed { why: format!("{error:#}") },
        }
    }

    async fn try_evict(&self, pod: &PodId) -> Result<HttpAnswer> {
        let PodId { namespace, name, uid } = pod;
        let folder = format!("{}/pods", in_folder("/api/v1/namespaces", namespace)?);
        let path = format!("{}/eviction", in_folder(&folder, name)?);
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"namespace": namespace, "name": name},
            "deleteOptions": {"preconditions": {"uid": uid}},
        });
        self.call(Method::POST, &path, Some(&eviction)).await
    }

    async fn call(&self, method: Method, path: &str, object: Option<&Value>) -> Result<HttpAnswer> {
        self.transport.call(method, path, object).await.with_context(|| self.failed(path))
    }

    fn success(&self, answer: HttpAnswer, path: &str) -> Result<Value> {
        if !answer.status.is_success() {
            bail!("{}: it answered {}: {}", self.failed(path), answer.status.as_u16(), answers::message(&answer.body));
        }
        answers::json(&answer.body).with_context(|| self.failed(path))
    }

    fn failed(&self, path: &str) -> String {
        let path = path.split('?').next().unwrap_or(path);
        format!("failed to ask the API server at {} for {path}", self.server)
    }
}

/// Whether the kubelet of this machine says that it is well, at its own port for that.
pub async fn kubelet_answers(host: &str, port: u16) -> bool {
    let server = format!("http://{}", Endpoint { host: host.to_owned(), port });
    let Ok(transport) = Transport::new(unverified(), server, HEALTH_TIMEOUT, LIMIT) else { return false };
    transport.status("/healthz").await.is_ok_and(|(status, _)| status.is_success())
}

/// A pod of a list; `None` where it is none.
fn pod(object: &Value) -> Option<SeenPod> {
    let metadata = object.get("metadata")?;
    let text = |field: &str| metadata[field].as_str().map(str::to_owned);
    let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    let controller = owners.into_iter().find(|owner| owner["controller"] == true);
    Some(SeenPod {
        id: PodId { namespace: text("namespace")?, name: text("name")?, uid: text("uid")? },
        controller: controller.and_then(|owner| owner["kind"].as_str()).map(str::to_owned),
        is_mirror: metadata["annotations"].get(MIRROR).is_some(),
        is_over: matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed")),
        is_ending: metadata["deletionTimestamp"].is_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::server::Server;
    use crate::model::worker::drain::PodFate;

    const NODE: &str = "/api/v1/nodes/w1";

    async fn of_server() -> Result<(std::sync::Arc<Server>, KubeletClient)> {
        let (server, other) = Server::start().await?;
        let url = format!("http://{}", other.address());
        let transport = Transport::new(unverified(), url.clone(), CALL_TIMEOUT, LIMIT)?;
        Ok((server, KubeletClient { transport, server: url, node: "w1".to_owned() }))
    }

    #[tokio::test]
    async fn an_event_is_written_where_those_of_nodes_are() -> Result<()> {
        let (server, client) = of_server().await?;
        client.create_event(&json!({"metadata": {"name": "w1.1"}, "reason": "LeftCluster"})).await?;
        assert_eq!(server.objects()["/api/v1/namespaces/default/events/w1.1"]["reason"], "LeftCluster");
        Ok(())
    }

    #[tokio::test]
    async fn a_node_that_this_program_has_closed_is_opened_again_and_no_other() -> Result<()> {
        let (server, client) = of_server().await?;
        let node = |spec: Value| json!({"metadata": {"name": "w1", "uid": "u"}, "spec": spec});
        server.put(NODE, node(json!({})));
        assert!(client.node().await?.is_some_and(|node| !node.is_cordoned));
        client.cordon().await?;
        assert_eq!(server.objects()[NODE]["spec"]["unschedulable"], true);
        assert!(client.node().await?.is_some_and(|node| node.is_cordoned));
        client.uncordon().await?;
        assert!(client.node().await?.is_some_and(|node| !node.is_cordoned));
        assert_eq!(server.objects()[NODE]["spec"]["unschedulable"], Value::Null);
        // Somebody has opened it, and the word stays: it is taken away before it counts for the next one who closes the Node.
        client.cordon().await?;
        let mut opened = server.objects()[NODE].clone();
        opened["spec"]["unschedulable"] = Value::Null;
        server.put(NODE, opened);
        assert!(client.node().await?.is_some_and(|node| node.is_cordoned));
        server.put(NODE, node(json!({"unschedulable": true})));
        client.cordon().await?;
        assert!(client.node().await?.is_some_and(|node| !node.is_cordoned), "an operator has closed it");
        assert!(!server.asked().last().is_some_and(|asked| asked.starts_with("PATCH")));
        Ok(())
    }

    #[test]
    fn pods_are_read_with_their_owners() {
        let object = |metadata: Value, phase: &str| {
            let mut all = json!({"namespace": "web", "name": "a", "uid": "u"});
            if let Some((all, more)) = all.as_object_mut().zip(metadata.as_object()) {
                all.extend(more.clone());
            }
            json!({"metadata": all, "status": {"phase": phase}})
        };
        let owned =
            |kind: &str, controller: bool| json!({"ownerReferences": [{"kind": kind, "controller": controller}]});
        let rows = [
            (object(json!({}), "Running"), PodFate::Evicted),
            (object(owned("ReplicaSet", true), "Pending"), PodFate::Evicted),
            (object(owned("DaemonSet", true), "Running"), PodFate::Stays),
            // Only its controller makes it anew.
            (object(owned("DaemonSet", false), "Running"), PodFate::Evicted),
            (object(json!({"annotations": {MIRROR: "x"}}), "Running"), PodFate::Stays),
            (object(json!({}), "Succeeded"), PodFate::Stays),
            (object(json!({"deletionTimestamp": "2026-01-02T03:04:05Z"}), "Running"), PodFate::Ends),
        ];
        for (object, fate) in rows {
            assert_eq!(pod(&object).map(|pod| pod.fate()), Some(fate), "{object}");
        }
        for none in [json!(null), json!({}), json!({"metadata": {"name": "a", "namespace": "web"}})] {
            assert_eq!(pod(&none), None, "{none}");
        }
    }
}
