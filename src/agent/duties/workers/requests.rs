//! The requests that are not decided yet: a look at those that are due, and what is decided of them.

use crate::kube::{Client, KubeNode, RequestChange, Settled, Settlement, SigningRequest, is_silence};
use crate::model::agent::served::events::{NodeEvent, of_refusal};
use crate::model::joining::approval::{Claimed, NamedNode, Refusal, Verdict, claimed, judge};
use crate::model::joining::queue::Queue;
use crate::model::joining::telling::Budget;
use crate::model::machine::node_marks::ROLE_LABEL;
use crate::node::registrar::rfc3339;
use anyhow::{Error, Result};
use futures::StreamExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// How many calls are made at once: each takes a few milliseconds.
const AT_ONCE: usize = 16;
/// How many requests are looked at before they are decided: the first are let in before the last are looked at.
const PASS: usize = 200;
/// How long the Events of one pass may take: nobody waits for them who wants to come in.
const EVENTS_TIMEOUT: Duration = Duration::from_secs(2);

/// The requests that wait for a decision. Times are on the clock of whoever asks.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    requests: BTreeMap<String, SigningRequest>,
    queue: Queue,
    /// What was said last of those that stay pending.
    said: BTreeMap<String, String>,
    /// Why those are not decided that only a failure keeps waiting.
    failed: BTreeMap<String, String>,
    budget: Budget,
}

/// What a look has found.
#[derive(Debug)]
pub(super) struct Looked(Vec<Judged>);

/// What a look has found of one request.
#[derive(Debug)]
struct Judged {
    request: SigningRequest,
    /// The name of the Node that it asks for, and that Node; none where it is refused whatever Nodes there are.
    name: String,
    node: Option<NamedNode>,
    verdict: Verdict,
}

impl Looked {
    /// Whether the names of the control plane's machines are needed to go on.
    pub(super) fn wants_to_approve(&self) -> bool {
        self.0.iter().any(|judged| judged.verdict == Verdict::Approve)
    }
}

impl Waiting {
    /// Takes in a request as it is now, to be looked at from `due` on. One that is not kubeboot's to decide, or is decided, is forgotten.
    pub(super) fn take(&mut self, request: SigningRequest, due: Duration) {
        if self.queue.enter(&request.name, &claimed(&request.request), due) {
            self.requests.insert(request.name.clone(), request);
        } else {
            self.forget(&request.name);
        }
    }

    /// Takes in what a watch tells.
    pub(super) fn take_change(&mut self, change: RequestChange, due: Duration) {
        match change.now {
            Some(request) => self.take(request, due),
            None => self.forget(&change.name),
        }
    }

    /// Forgets all but these.
    pub(super) fn keep(&mut self, present: &BTreeSet<String>) {
        self.queue.keep(present);
        self.requests.retain(|name, _| present.contains(name));
        self.said.retain(|name, _| present.contains(name));
        self.failed.retain(|name, _| present.contains(name));
    }

    /// When the next one is to be looked at.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.queue.next_due()
    }

    /// What keeps a request from being decided, if there is one.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.failed.values().next().map(String::as_str)
    }

    fn forget(&mut self, name: &str) {
        self.queue.leave(name);
        self.requests.remove(name);
        self.said.remove(name);
        self.failed.remove(name);
    }

    /// Looks at requests that are due, as many as one pass takes. Each Node is asked for once.
    ///
    /// # Errors
    /// The API server does not answer. Any other failure keeps one request waiting, and no other.
    pub(super) async fn look(&mut self, client: &Client, now: Duration) -> Result<Looked> {
        let due: Vec<String> = self.queue.due(now).take(PASS).map(str::to_owned).collect();
        let (mut judged, mut names) = (Vec::new(), BTreeMap::<String, Vec<SigningRequest>>::new());
        for name in due {
            let Some(request) = self.requests.get(&name).cloned() else {
                self.forget(&name);
                continue;
            };
            match claimed(&request.request) {
                Claimed::NotOurs | Claimed::Settled => self.forget(&name),
                Claimed::Refused(why) => {
                    let verdict = Verdict::Refuse(why);
                    judged.push(Judged { request, name: String::new(), node: None, verdict });
                }
                Claimed::Node(name) => names.entry(name).or_default().push(request),
            }
        }
        let mut asked = futures::stream::iter(names)
            .map(async |(name, requests)| {
                let found = client.node(&name).await;
                (name, requests, found)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((name, requests, found)) = asked.next().await {
            match found {
                Ok(found) => {
                    let node = found.map(|node| named(&node));
                    judged.extend(requests.into_iter().map(|request| {
                        let verdict = judge(node, false);
                        Judged { request, name: name.clone(), node, verdict }
                    }));
                }
                // Nor would it answer for the others.
                Err(error) if is_silence(&error) => return Err(error),
                Err(error) => requests.iter().for_each(|request| self.fails(&request.name, &error, now)),
            }
        }
        Ok(Looked(judged))
    }

    /// Decides what a look has found. `control_plane`: the names that machines of the control plane have registered, as far as they are not
    /// gone. What was changed meanwhile is decided by whoever changed it, or comes again.
    ///
    /// # Errors
    /// As [`Waiting::look`].
    pub(super) async fn settle(
        &mut self,
        looked: Looked,
        control_plane: Result<BTreeSet<String>>,
        client: &Client,
        node: &str,
        now: Duration,
    ) -> Result<()> {
        let mut decided = Vec::new();
        for judged in looked.0 {
            let verdict = match (judged.verdict, &control_plane) {
                (Verdict::Approve, Ok(names)) => judge(judged.node, names.contains(&judged.name)),
                (Verdict::Approve, Err(error)) => {
                    self.fails(&judged.request.name, error, now);
                    continue;
                }
                (verdict @ (Verdict::Wait(_) | Verdict::Refuse(_)), _) => verdict,
            };
            match verdict {
                Verdict::Approve => decided.push((judged.request, judged.name, Settlement::Approved)),
                Verdict::Refuse(why) => decided.push((judged.request, judged.name, Settlement::Denied(why))),
                Verdict::Wait(why) if self.queue.stays_for(&judged.request.name, &judged.name, now) => {
                    self.says(&judged.request, &Verdict::Wait(why), now);
                }
                Verdict::Wait(_) => decided.push((judged.request, judged.name, Settlement::Denied(Refusal::TooMany))),
            }
        }
        let time = rfc3339();
        let mut writes = futures::stream::iter(decided)
            .map(async |(request, name, how)| {
                let done = client.settle_request(&request, &how, &time).await;
                (request, name, how, done)
            })
            .buffer_unordered(AT_ONCE);
        let mut events = Vec::new();
        while let Some((request, name, how, done)) = writes.next().await {
            match (done, how) {
                (Err(error), _) if is_silence(&error) => return Err(error),
                (Err(error), _) => self.fails(&request.name, &error, now),
                (Ok(Settled::Changed), _) => self.forget(&request.name),
                (Ok(Settled::Done), Settlement::Approved) => {
                    tracing::info!(request = %request.name, "approved the certificate of the Node '{name}'");
                    self.forget(&request.name);
                }
                (Ok(Settled::Done), Settlement::Denied(why)) => {
                    self.forget(&request.name);
                    if self.may_tell(now) {
                        tracing::warn!(request = %request.name, "a request for a kubelet's certificate is refused: {why}");
                        events.push(event(&request, &of_refusal(&why), node));
                    }
                }
            }
        }
        write_events(client, &events).await;
        Ok(())
    }

    fn says(&mut self, request: &SigningRequest, verdict: &Verdict, now: Duration) {
        self.failed.remove(&request.name);
        let text = verdict.to_string();
        if self.said.get(&request.name) != Some(&text) {
            if self.may_tell(now) {
                tracing::info!(request = %request.name, "a request for a kubelet's certificate {text}");
            }
            self.said.insert(request.name.clone(), text);
        }
    }

    fn fails(&mut self, request: &str, error: &Error, now: Duration) {
        self.queue.stays(request, now);
        self.failed.insert(request.to_owned(), format!("{error:#}"));
    }

    fn may_tell(&mut self, now: Duration) -> bool {
        let telling = self.budget.spend(now);
        if telling.untold > 0 {
            tracing::warn!(
                "{} more requests for certificates are refused, or stay pending, than were told",
                telling.untold
            );
        }
        telling.may
    }
}

/// Writes Events, as far as the API server takes them in time.
async fn write_events(client: &Client, events: &[Value]) {
    let written = async {
        for event in events {
            if let Err(error) = client.create_event(event).await {
                tracing::info!("failed to write an Event, going on without: {error:#}");
            }
        }
    };
    if timeout(EVENTS_TIMEOUT, written).await.is_err() {
        tracing::info!("the API server takes Events too slowly, going on without");
    }
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
    use crate::kube::requests_for_tests::{all, object, path};
    use crate::kube::server::Server;
    use crate::model::joining::queue::MOST_OF_A_NAME;
    use crate::model::joining::telling;
    use anyhow::{Context, anyhow};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use std::sync::Arc;
    use std::time::Instant;

    const KUBELETS: &str = include_str!("../../../../tests/fixtures/requests/kubelet.csr");
    const NODE: &str = "/api/v1/nodes/w1.internal";

    /// A kubelet's request as it stands in an object, for the name of this machine. Nobody here looks at the signature.
    fn of_machine(n: usize) -> Result<String> {
        let lines = KUBELETS.lines().filter(|line| !line.starts_with('-'));
        let mut der = STANDARD.decode(lines.collect::<String>())?;
        let (old, new) = (b"w1.internal", format!("w{n:04}.group"));
        let at = der.windows(old.len()).position(|part| part == old).context("the name stands there")?;
        der[at..at + old.len()].copy_from_slice(new.as_bytes());
        let kind = "CERTIFICATE REQUEST";
        let pem = format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der));
        Ok(STANDARD.encode(pem))
    }

    /// What stands in the condition of a request.
    fn condition(server: &Server, name: &str) -> String {
        let object = server.objects()[&path(name)].clone();
        let word = |field: &str| object["status"]["conditions"][0][field].as_str().unwrap_or_default().to_owned();
        format!("{} {}", word("type"), word("reason")).trim().to_owned()
    }

    /// Lists all requests, and decides those that are due in this second.
    async fn pass(waiting: &mut Waiting, client: &Client, control_plane: &[&str], second: u64) -> Result<()> {
        let names: BTreeSet<String> = control_plane.iter().map(|name| (*name).to_owned()).collect();
        let (listed, now) = (all(client).await?.0, Duration::from_secs(second));
        waiting.keep(&listed.iter().map(|request| request.name.clone()).collect());
        for request in listed {
            waiting.take(request, now);
        }
        while waiting.next_due().is_some_and(|due| due <= now) {
            let looked = waiting.look(client, now).await?;
            waiting.settle(looked, Ok(names.clone()), client, "n1", now).await?;
        }
        Ok(())
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
        let rows = [
            (node("True", false), ""),
            // As without a pod network.
            (node("False", false), ""),
            (json!({"metadata": {"name": "w1.internal", "uid": "u"}}), ""),
            (node("Unknown", true), ""),
            (node("Unknown", false), "Approved KubebootApproved"),
        ];
        for ((found, expected), second) in rows.into_iter().zip((0..).step_by(60)) {
            server.put(NODE, found);
            pass(&mut waiting, &client, &[], second).await?;
            assert_eq!(condition(&server, "csr-1"), expected);
            assert_eq!(waiting.next_due().is_none(), !expected.is_empty());
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
        pass(&mut waiting, &client, &["w1.internal"], 0).await?;
        assert_eq!(condition(&server, "control-plane"), "");
        server.put(NODE, node("True", true));
        pass(&mut waiting, &client, &["w1.internal"], 2).await?;
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
        let first = tokio::spawn(async move { pass(&mut Waiting::default(), &dying, &[], 0).await });
        let approved = |server: &Server| server.asked().iter().filter(|asked| asked.starts_with("PATCH")).count();
        while approved(&watched) < MANY / 3 {
            tokio::task::yield_now().await;
        }
        first.abort();
        assert!(first.await.is_err() && approved(&server) < MANY);
        // Two believe that they lead.
        let (mut one, mut other) = (Waiting::default(), Waiting::default());
        let (one, other) = tokio::join!(pass(&mut one, &client, &[], 0), pass(&mut other, &client, &[], 0));
        one.and(other)?;
        for n in 0..MANY {
            assert_eq!(condition(&server, &format!("csr-{n}")), "Approved KubebootApproved");
        }
        Ok(())
    }

    #[tokio::test]
    #[ignore = "it measures: dev/bench --only workers"]
    async fn how_long_a_thousand_take_is_measured() -> Result<()> {
        const MANY: usize = 1000;
        let (server, client) = Server::start().await?;
        for n in 0..MANY {
            let mut request = object(&format!("csr-{n}"));
            // Each from another machine, so that each asks for a Node.
            request["spec"]["request"] = json!(of_machine(n)?);
            server.put(&path(&format!("csr-{n}")), request);
        }
        let begun = Instant::now();
        pass(&mut Waiting::default(), &client, &[], 0).await?;
        let seconds = begun.elapsed().as_secs_f64();
        for n in 0..MANY {
            assert_eq!(condition(&server, &format!("csr-{n}")), "Approved KubebootApproved");
        }
        let measured = json!({"decided": MANY, "seconds": seconds, "api_server": server.asked().len()});
        crate::layout::say(&format!("\nmeasured {measured}"));
        Ok(())
    }

    #[tokio::test]
    async fn one_that_fails_keeps_no_other_from_being_decided_and_is_looked_at_again_later() -> Result<()> {
        let (server, client) = Server::start().await?;
        server.put(&path("csr-1"), object("csr-1"));
        server.put(&path("csr-2"), {
            let mut refused = object("csr-2");
            refused["spec"]["request"] = json!("");
            refused
        });
        server.put(NODE, json!({"metadata": {"name": "no UID"}}));
        let mut waiting = Waiting::default();
        pass(&mut waiting, &client, &[], 0).await?;
        assert_eq!(condition(&server, "csr-2"), "Denied KubebootMalformedRequest");
        assert!(waiting.trouble().is_some_and(|trouble| trouble.contains("metadata.uid")), "{waiting:?}");
        server.objects().remove(NODE);
        pass(&mut waiting, &client, &[], 1).await?;
        assert_eq!(condition(&server, "csr-1"), "", "nobody asks again at once");
        pass(&mut waiting, &client, &[], 2).await?;
        assert_eq!(condition(&server, "csr-1"), "Approved KubebootApproved");
        assert!(waiting.trouble().is_none() && waiting.next_due().is_none(), "{waiting:?}");
        Ok(())
    }

    #[tokio::test]
    async fn nobody_is_approved_while_the_names_of_the_control_plane_are_not_known() -> Result<()> {
        let (server, client) = Server::start().await?;
        server.put(&path("csr-1"), object("csr-1"));
        let mut waiting = Waiting::default();
        for request in all(&client).await?.0 {
            waiting.take(request, Duration::ZERO);
        }
        let looked = waiting.look(&client, Duration::ZERO).await?;
        assert!(looked.wants_to_approve());
        waiting.settle(looked, Err(anyhow!("S3 is silent")), &client, "n1", Duration::ZERO).await?;
        assert_eq!(condition(&server, "csr-1"), "");
        assert_eq!(waiting.trouble(), Some("S3 is silent"));
        pass(&mut waiting, &client, &[], 2).await?;
        assert_eq!(condition(&server, "csr-1"), "Approved KubebootApproved");
        Ok(())
    }

    #[tokio::test]
    async fn the_requests_of_one_name_ask_for_its_node_once_and_too_many_are_refused() -> Result<()> {
        let (server, client) = Server::start().await?;
        server.put(NODE, node("True", false));
        for n in 0..MOST_OF_A_NAME + 2 {
            server.put(&path(&format!("csr-{n:02}")), object(&format!("csr-{n:02}")));
        }
        let mut waiting = Waiting::default();
        pass(&mut waiting, &client, &[], 0).await?;
        let of_node = format!("GET {NODE}");
        assert_eq!(server.asked().iter().filter(|asked| **asked == of_node).count(), 1);
        for n in 0..MOST_OF_A_NAME + 2 {
            let expected = if n < MOST_OF_A_NAME { "" } else { "Denied KubebootTooManyRequests" };
            assert_eq!(condition(&server, &format!("csr-{n:02}")), expected, "{n}");
        }
        // One that is gone is asked about no more.
        waiting.take_change(RequestChange { name: "csr-00".into(), now: None }, Duration::ZERO);
        assert_eq!(waiting.requests.len(), MOST_OF_A_NAME - 1);
        Ok(())
    }

    #[tokio::test]
    async fn so_many_events_are_written_and_no_more() -> Result<()> {
        let (server, client) = Server::start().await?;
        for n in 0..2 * telling::MOST {
            let mut malformed = object(&format!("csr-{n}"));
            malformed["spec"]["request"] = json!("AAAA");
            server.put(&path(&format!("csr-{n}")), malformed);
        }
        pass(&mut Waiting::default(), &client, &[], 0).await?;
        for n in 0..2 * telling::MOST {
            assert_eq!(condition(&server, &format!("csr-{n}")), "Denied KubebootMalformedRequest");
        }
        let events = server.objects().keys().filter(|path| path.contains("/events/")).count();
        assert_eq!(Ok(events), usize::try_from(telling::MOST));
        Ok(())
    }
}
