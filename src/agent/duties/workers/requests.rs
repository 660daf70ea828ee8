//! The requests that are not decided yet, and one pass over them.

use crate::kube::{Client, KubeNode, Settled, Settlement, SigningRequest};
use crate::model::agent::served::events::{NodeEvent, of_refusal};
use crate::model::joining::approval::{Claimed, NamedNode, Verdict, claimed, judge};
use crate::model::machine::node_marks::ROLE_LABEL;
use crate::node::registrar::rfc3339;
use anyhow::Result;
use futures::StreamExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// How many requests are decided at once: each takes two calls of a few milliseconds.
const AT_ONCE: usize = 16;
/// The most that are kept. What does not fit is found again when all are listed.
const MOST: usize = 10_000;
/// The most Events of one pass: whoever has a token could ask for anything, as often as they like.
const MOST_EVENTS: usize = 10;

/// The requests that wait for a decision.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    requests: BTreeMap<String, SigningRequest>,
    /// What was said last of those that stay pending.
    said: BTreeMap<String, String>,
    /// Those that no pass has looked at.
    new: BTreeSet<String>,
}

/// Which requests a pass looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that no pass has looked at.
    New,
    /// Those that stay pending, too.
    All,
}

impl Waiting {
    /// Takes in a request as it is now. One that is not kubeboot's to decide, or is decided, is forgotten.
    pub(super) fn take(&mut self, request: SigningRequest) {
        match claimed(&request.request) {
            Claimed::NotOurs | Claimed::Settled => self.forget(&request.name),
            Claimed::Refused(_) | Claimed::Node(_) => {
                if self.requests.len() < MOST || self.requests.contains_key(&request.name) {
                    self.new.insert(request.name.clone());
                    self.requests.insert(request.name.clone(), request);
                }
            }
        }
    }

    /// Takes in all requests that there are.
    pub(super) fn list(&mut self, requests: Vec<SigningRequest>) {
        self.requests.clear();
        for request in requests {
            self.take(request);
        }
        self.said.retain(|name, _| self.requests.contains_key(name));
    }

    /// Whether one has come that no pass has looked at.
    pub(super) fn has_new(&self) -> bool {
        !self.new.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    fn forget(&mut self, name: &str) {
        self.requests.remove(name);
        self.said.remove(name);
        self.new.remove(name);
    }

    /// Looks at requests, at each once. `control_plane`: the names of the control plane's machines. One that fails keeps no other from being
    /// decided; the first failure is the one that is told.
    pub(super) async fn pass(
        &mut self,
        which: Which,
        client: &Client,
        control_plane: &BTreeSet<String>,
        node: &str,
    ) -> Result<()> {
        let now = rfc3339();
        let new = std::mem::take(&mut self.new);
        let chosen = self.requests.values().filter(|request| which == Which::All || new.contains(&request.name));
        let requests: Vec<SigningRequest> = chosen.cloned().collect();
        let mut decided = futures::stream::iter(requests)
            .map(async |request| {
                let done = decide(client, &request, control_plane, &now).await;
                (request, done)
            })
            .buffer_unordered(AT_ONCE);
        let (mut failed, mut events) = (None, 0);
        while let Some((request, done)) = decided.next().await {
            let verdict = match done {
                Ok(verdict) => verdict,
                Err(error) => {
                    failed = failed.or(Some(error));
                    continue;
                }
            };
            match verdict {
                Verdict::Wait(_) => self.say(&request, &verdict),
                Verdict::Approve => self.forget(&request.name),
                Verdict::Refuse(why) => {
                    self.forget(&request.name);
                    if events < MOST_EVENTS {
                        events += 1;
                        let event = event(&request, &of_refusal(&why), node);
                        if let Err(error) = client.create_event(&event).await {
                            tracing::info!("failed to write an Event, going on without: {error:#}");
                        }
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn say(&mut self, request: &SigningRequest, verdict: &Verdict) {
        let text = verdict.to_string();
        if self.said.get(&request.name) != Some(&text) {
            tracing::info!(request = %request.name.escape_debug(), "a request for a kubelet's certificate {text}");
            self.said.insert(request.name.clone(), text);
        }
    }
}

/// Judges one request, and writes what is decided of it. What was changed meanwhile is decided by whoever changed it, or comes again.
async fn decide(
    client: &Client,
    request: &SigningRequest,
    control_plane: &BTreeSet<String>,
    now: &str,
) -> Result<Verdict> {
    let (name, verdict) = match claimed(&request.request) {
        Claimed::NotOurs | Claimed::Settled => return Ok(Verdict::Approve),
        Claimed::Refused(why) => (String::new(), Verdict::Refuse(why)),
        Claimed::Node(name) => {
            let found = client.node(&name).await?;
            let is_registered = control_plane.contains(&name);
            (name, judge(found.map(|node| named(&node)), is_registered))
        }
    };
    let settlement = match &verdict {
        Verdict::Wait(_) => return Ok(verdict),
        Verdict::Approve => Settlement::Approved,
        Verdict::Refuse(why) => Settlement::Denied(why.clone()),
    };
    match (client.settle_request(request, &settlement, now).await?, &verdict) {
        (Settled::Done, Verdict::Refuse(_)) => {
            tracing::warn!(request = %request.name.escape_debug(), "a request for a kubelet's certificate is {verdict}");
        }
        (Settled::Done, Verdict::Approve | Verdict::Wait(_)) => {
            tracing::info!(request = %request.name.escape_debug(), "approved the certificate of the Node '{name}'");
        }
        (Settled::Changed, _) => return Ok(Verdict::Approve),
    }
    Ok(verdict)
}

fn named(node: &KubeNode) -> NamedNode {
    NamedNode { is_alive: !node.silent, is_control_plane: node.marks.labels.contains(ROLE_LABEL) }
}

fn event(request: &SigningRequest, event: &NodeEvent, node: &str) -> Value {
    let involved = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "name": request.name,
        "uid": request.uid,
    });
    crate::agent::serve::about(&involved, &format!("request-{}", request.uid), node, event, SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::requests_for_tests::{object, path};
    use crate::kube::server::Server;
    use std::sync::Arc;

    const NODE: &str = "/api/v1/nodes/w1.internal";

    /// What stands in the condition of a request.
    fn condition(server: &Server, name: &str) -> String {
        let object = server.objects()[&path(name)].clone();
        let word = |field: &str| object["status"]["conditions"][0][field].as_str().unwrap_or_default().to_owned();
        format!("{} {}", word("type"), word("reason")).trim().to_owned()
    }

    async fn pass(waiting: &mut Waiting, client: &Client, control_plane: &[&str]) -> Result<()> {
        let names = control_plane.iter().map(|name| (*name).to_owned()).collect();
        waiting.list(client.signing_requests().await?.0);
        waiting.pass(Which::All, client, &names, "n1").await
    }

    fn node(ready: &str, role: bool) -> Value {
        let labels = if role { json!({ROLE_LABEL: ""}) } else { json!({}) };
        let conditions = json!([{"type": "Ready", "status": ready}]);
        json!({"metadata": {"name": "w1.internal", "uid": "u", "labels": labels}, "status": {"conditions": conditions}})
    }

    #[tokio::test]
    async fn a_request_waits_while_its_name_lives_and_is_approved_when_that_is_over() -> Result<()> {
        let (server, client) = Server::start().await?;
        let mut waiting = Waiting::default();
        server.put(&path("csr-1"), object("csr-1"));
        for (found, expected) in [
            (Some(node("True", false)), ""),
            // As without a pod network.
            (Some(node("False", false)), ""),
            (Some(json!({"metadata": {"name": "w1.internal", "uid": "u"}})), ""),
            (Some(node("Unknown", true)), ""),
            (Some(node("Unknown", false)), "Approved KubebootApproved"),
        ] {
            if let Some(found) = found {
                server.put(NODE, found);
            }
            pass(&mut waiting, &client, &[]).await?;
            assert_eq!(condition(&server, "csr-1"), expected);
            assert_eq!(waiting.is_empty(), !expected.is_empty());
        }
        Ok(())
    }

    #[tokio::test]
    async fn what_may_not_be_is_refused_with_an_event_and_what_is_others_is_left_alone() -> Result<()> {
        let (server, client) = Server::start().await?;
        let put = |name: &str, change: &dyn Fn(&mut Value)| {
            let mut made = object(name);
            change(&mut made);
            server.put(&path(name), made);
        };
        put("control-plane", &|_| {});
        put("malformed", &|it| it["spec"]["request"] = json!("AAAA"));
        put("poisoned", &|it| it["spec"]["username"] = json!("system:serviceaccount:\u{1b}[31m"));
        put("renewal", &|it| it["spec"]["groups"] = json!(["system:nodes"]));
        put("kubeadms", &|it| it["spec"]["groups"] = json!(["system:bootstrappers:kubeadm:default-node-token"]));
        put("decided", &|it| it["status"]["conditions"] = json!([{"type": "Denied", "reason": "Somebody"}]));
        let mut waiting = Waiting::default();
        // Nobody knows whether the machine is gone.
        pass(&mut waiting, &client, &["w1.internal"]).await?;
        assert_eq!(condition(&server, "control-plane"), "");
        server.put(NODE, node("True", false));
        pass(&mut waiting, &client, &["w1.internal"]).await?;
        let rows = [
            ("control-plane", "Denied KubebootControlPlaneName"),
            ("malformed", "Denied KubebootMalformedRequest"),
            ("poisoned", "Denied KubebootNoBootstrapToken"),
            ("renewal", ""),
            ("kubeadms", ""),
            ("decided", "Denied Somebody"),
        ];
        for (name, expected) in rows {
            assert_eq!(condition(&server, name), expected, "{name}");
        }
        let objects = server.objects();
        let events: Vec<_> = objects.iter().filter(|(path, _)| path.contains("/events/")).collect();
        assert_eq!(events.len(), 3);
        for (_, event) in events {
            assert_eq!((&event["reason"], &event["type"]), (&json!("RequestRefused"), &json!("Warning")));
            assert_eq!(event["involvedObject"]["kind"], "CertificateSigningRequest");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_thousand_are_decided_once_each_whoever_leads_and_whoever_dies() -> Result<()> {
        const MANY: usize = 1000;
        let (server, client) = Server::start().await?;
        for n in 0..MANY {
            server.put(&path(&format!("csr-{n}")), object(&format!("csr-{n}")));
        }
        // The first leader dies in the middle.
        let (watched, dying) = (Arc::clone(&server), client.clone());
        let first = tokio::spawn(async move { pass(&mut Waiting::default(), &dying, &[]).await });
        let approved = |server: &Server| server.asked().iter().filter(|asked| asked.starts_with("PATCH")).count();
        while approved(&watched) < MANY / 3 {
            tokio::task::yield_now().await;
        }
        first.abort();
        assert!(first.await.is_err() && approved(&server) < MANY);
        // Two believe that they lead.
        let (mut one, mut other) = (Waiting::default(), Waiting::default());
        let (one, other) = tokio::join!(pass(&mut one, &client, &[]), pass(&mut other, &client, &[]));
        one.and(other)?;
        for n in 0..MANY {
            assert_eq!(condition(&server, &format!("csr-{n}")), "Approved KubebootApproved");
        }
        Ok(())
    }

    #[tokio::test]
    async fn one_that_fails_keeps_no_other_from_being_decided_and_is_tried_again() -> Result<()> {
        let (server, client) = Server::start().await?;
        server.put(&path("csr-1"), object("csr-1"));
        server.put(&path("csr-2"), {
            let mut refused = object("csr-2");
            refused["spec"]["request"] = json!("");
            refused
        });
        server.put(NODE, json!({"metadata": {"name": "no UID"}}));
        let mut waiting = Waiting::default();
        assert!(pass(&mut waiting, &client, &[]).await.is_err());
        assert_eq!(condition(&server, "csr-2"), "Denied KubebootMalformedRequest");
        assert!(!waiting.is_empty() && !waiting.has_new());
        server.objects().remove(NODE);
        waiting.pass(Which::New, &client, &BTreeSet::new(), "n1").await?;
        assert_eq!(condition(&server, "csr-1"), "", "it is not new any more");
        waiting.pass(Which::All, &client, &BTreeSet::new(), "n1").await?;
        assert_eq!(condition(&server, "csr-1"), "Approved KubebootApproved");
        Ok(())
    }
}
