//! Requests for kubelets' client certificates: those that are there, those that come, and what is decided of them.

use super::answers;
use super::client::Client;
use super::pkcs10;
use super::transport::{Lines, is_too_large};
use crate::model::joining::approval::{Malformed, Refusal, Request, SIGNER};
use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// The objects.
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/// How many are read at once: each has some four thousand bytes.
const PAGE: usize = 200;
/// The most that are read: requests stay for an hour after they were decided, so more than this is nothing that machines do.
const MOST: usize = 50_000;
/// The largest page, and the largest event of a watch, in bytes: no single object can be larger in etcd, and many of that size are read
/// one by one.
const LIMIT: usize = 4 * 1024 * 1024;
/// The longest name of an object, in bytes.
const LONGEST_NAME: usize = 253;
/// How long one page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a watch lasts; then it is asked for anew.
const WATCH: Duration = Duration::from_secs(60);

/// A request, with what its decision is conditional on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningRequest {
    /// The name of the object.
    pub name: String,
    /// Its UID.
    pub uid: String,
    version: String,
    /// What it says.
    pub request: Request,
}

/// What is decided of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// A certificate is made.
    Approved,
    /// None is.
    Denied(Refusal),
}

/// What came of the writing of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is written.
    Done,
    /// The request was changed meanwhile, or is gone.
    Changed,
}

/// All requests, page by page.
pub struct RequestPages {
    client: Client,
    /// What the query for the next page ends with; none after the last one.
    next: Option<String>,
    /// How many are still to be read one by one, because together they were too large.
    singles: usize,
    read: usize,
    version: Option<String>,
}

/// A request that was made or changed, or is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestChange {
    /// The name of the object.
    pub name: String,
    /// What it is now; none where it is gone.
    pub now: Option<SigningRequest>,
}

/// The requests that come, one after the other.
pub struct RequestWatch {
    lines: Lines,
    version: String,
}

impl Client {
    /// All requests to the signer of kubelets' client certificates, from the first page on.
    #[must_use]
    pub fn request_pages(&self) -> RequestPages {
        let client = self.within(LIMIT, PAGE_TIMEOUT);
        RequestPages { client, next: Some(String::new()), singles: 0, read: 0, version: None }
    }

    /// The requests that are made or changed after this version, for a minute at most.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn watch_requests(&self, version: &str) -> Result<RequestWatch> {
        let path = format!(
            "{REQUESTS}?fieldSelector={}&watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}",
            selector(),
            encoded(version),
            WATCH.as_secs()
        );
        let lines = self.within(LIMIT, WATCH + PAGE_TIMEOUT).lines(&path).await?;
        Ok(RequestWatch { lines, version: version.to_owned() })
    }

    /// Writes what is decided of a request, if it is still as it was judged.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn settle_request(&self, request: &SigningRequest, how: &Settlement, now: &str) -> Result<Settled> {
        let path = format!("{REQUESTS}/{}/approval", encoded(&request.name));
        let (kind, reason, message) = match how {
            Settlement::Approved => {
                ("Approved", "KubebootApproved", "approved by kubeboot: its name is no living machine's".to_owned())
            }
            Settlement::Denied(why) => ("Denied", why.reason(), format!("refused by kubeboot: {why}")),
        };
        let condition =
            json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastUpdateTime": now});
        let metadata = json!({"uid": request.uid, "resourceVersion": request.version});
        let patch = json!({"metadata": metadata, "status": {"conditions": [condition]}});
        let answer = self.call(Method::PATCH, &path, Some(&patch)).await?;
        match answer.status {
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => Ok(Settled::Changed),
            _ => answer.success(self, &path).map(|_| Settled::Done),
        }
    }
}

impl RequestPages {
    /// The requests of the next page; `None` after the last one.
    ///
    /// # Errors
    /// When the server does not answer, or not with that, or there are more than anybody reads.
    pub async fn next(&mut self) -> Result<Option<Vec<SigningRequest>>> {
        let Some(next) = self.next.clone() else { return Ok(None) };
        ensure!(self.read < MOST, "there are more requests for certificates than {MOST}");
        let list = match self.page(&next).await {
            // Somebody may have made objects so large that a page of them is not read.
            Err(error) if self.singles == 0 && is_too_large(&error) => {
                self.singles = PAGE;
                self.page(&next).await?
            }
            list => list?,
        };
        let items = list["items"].as_array().context("the answer holds no requests")?;
        let version = version(&list["metadata"]).context("the answer holds no metadata.resourceVersion")?;
        self.next = answers::next_page(&list)?;
        self.singles = self.singles.saturating_sub(1);
        self.read += items.len();
        self.version = Some(version);
        Ok(Some(items.iter().filter_map(read).collect()))
    }

    async fn page(&self, next: &str) -> Result<Value> {
        let limit = if self.singles > 0 { 1 } else { PAGE };
        let path = format!("{REQUESTS}?fieldSelector={}&limit={limit}{next}", selector());
        self.client.object(&path).await
    }

    /// The version from which a watch goes on, once a page was read: it is that of all pages.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

impl RequestWatch {
    /// The next request that was made or changed, or is gone; `None` at the end of the watch, which goes on from [`RequestWatch::version`].
    ///
    /// # Errors
    /// When the connection breaks, or the version is too old: then all are to be listed anew.
    pub async fn next(&mut self) -> Result<Option<RequestChange>> {
        while let Some(line) = self.lines.next().await? {
            let event = answers::json(&line)?;
            let object = &event["object"];
            match event["type"].as_str() {
                Some("ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK") => {}
                Some("ERROR") => bail!("the watch has ended: {}", answers::message(object.to_string().as_bytes())),
                Some(_) | None => bail!("the answer is no watch"),
            }
            self.version = version(&object["metadata"]).context("an event holds no metadata.resourceVersion")?;
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            match event["type"].as_str() {
                Some("DELETED") => return Ok(Some(RequestChange { name, now: None })),
                Some("ADDED" | "MODIFIED") => {
                    if let Some(request) = read(object) {
                        return Ok(Some(RequestChange { name, now: Some(request) }));
                    }
                }
                Some(_) | None => {}
            }
        }
        Ok(None)
    }

    /// The version up to which all was seen.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

fn selector() -> String {
    encoded(&format!("spec.signerName={SIGNER}"))
}

fn version(metadata: &Value) -> Option<String> {
    metadata["resourceVersion"].as_str().filter(|version| !version.is_empty()).map(str::to_owned)
}

/// A request, if the object is one on which a decision can be written under a condition.
fn read(object: &Value) -> Option<SigningRequest> {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let texts = |value: &Value| {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let has_some = |value: &Value| value.as_array().is_some_and(|found| !found.is_empty());
    let request = Request {
        signer: text(&spec["signerName"])?,
        user: text(&spec["username"]).unwrap_or_default(),
        groups: texts(&spec["groups"]),
        usages: texts(&spec["usages"]),
        is_settled: has_some(&object["status"]["conditions"]) || text(&object["status"]["certificate"]).is_some(),
        asks: spec["request"].as_str().map_or(Err(Malformed::NoRequest), pkcs10::asked),
    };
    Some(SigningRequest {
        name: text(&metadata["name"]).filter(|name| is_name(name))?,
        uid: text(&metadata["uid"])?,
        version: version(metadata)?,
        request,
    })
}

/// A name that a kubelet gives its request. Kubernetes takes almost any, up to the size of an object, and these stand in logs, Events
/// and memory. kubelet's own ends in a digest in base64 for URLs.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.len() <= LONGEST_NAME && !text.starts_with('.') && text.bytes().all(is_plain)
}

/// A text as part of a path or a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::kube::server::Server;
    use crate::model::joining::approval::GROUP;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    const PEM: &str = include_str!("../../tests/fixtures/requests/kubelet.csr");

    /// A request as Kubernetes keeps it, of a kubelet that came with a token of kubeboot's.
    pub(crate) fn object(name: &str) -> Value {
        json!({
            "metadata": {"name": name, "uid": format!("uid-{name}")},
            "spec": {
                "signerName": SIGNER, "username": "system:bootstrap:abc123", "groups": [GROUP, "system:authenticated"],
                "usages": ["digital signature", "client auth"], "request": STANDARD.encode(PEM),
            },
            "status": {},
        })
    }

    /// All of them, and the version from which a watch goes on.
    pub(crate) async fn all(client: &Client) -> Result<(Vec<SigningRequest>, String)> {
        let (mut pages, mut found) = (client.request_pages(), Vec::new());
        while let Some(page) = pages.next().await? {
            found.extend(page);
        }
        Ok((found, pages.version().context("a page was read")?.to_owned()))
    }

    /// Where it stands.
    pub(crate) fn path(name: &str) -> String {
        format!("{REQUESTS}/{name}")
    }

    #[tokio::test]
    async fn all_requests_are_read_page_by_page_and_large_ones_one_by_one() -> Result<()> {
        let (server, client) = Server::start().await?;
        for n in 0..=PAGE {
            server.put(&path(&format!("csr-{n:04}")), object(&format!("csr-{n:04}")));
        }
        // What lacks something that a decision depends on is none.
        server.put(&path("odd"), json!({"metadata": {"name": "odd"}, "spec": {"signerName": SIGNER}}));
        let (found, version) = all(&client).await?;
        assert_eq!((found.len(), version.as_str()), (PAGE + 1, "900"));
        assert_eq!(server.asked().len(), 2);
        assert!(
            server.asked()[0]
                .contains("fieldSelector=spec.signerName%3Dkubernetes.io%2Fkube-apiserver-client-kubelet&")
        );
        assert!(found.iter().all(|found| !found.request.is_settled && found.request.asks.is_ok()));

        let mut large = object("large");
        large["spec"]["extra"] = json!("x".repeat(LIMIT / 2));
        for name in ["a", "b", "c"] {
            server.put(&path(name), large.clone());
        }
        server.asked().clear();
        assert_eq!(all(&client).await?.0.len(), PAGE + 4);
        // The first page in vain, what it holds one by one, and the rest at once.
        assert_eq!(server.asked().len(), 1 + PAGE + 1);
        Ok(())
    }

    #[test]
    fn only_a_name_that_a_kubelet_gives_is_taken() {
        let of = |name: &str| {
            let mut made = object(name);
            made["metadata"]["resourceVersion"] = json!("7");
            read(&made).map(|found| found.name)
        };
        let longest = "a".repeat(LONGEST_NAME);
        for name in ["csr-x7k2p", "node-csr-ZEr_9-A8x-", "a", &longest] {
            assert_eq!(of(name).as_deref(), Some(name));
        }
        let long = "a".repeat(LONGEST_NAME + 1);
        for name in ["", ".", "..", ".a", "a b", "a\nb", "\u{1b}[31m", "\u{fc}", "a%2fb", "a:b", &long] {
            assert_eq!(of(name), None, "{name:?}");
        }
    }

    #[tokio::test]
    async fn a_decision_is_written_only_over_what_was_judged() -> Result<()> {
        let (server, client) = Server::start().await?;
        // As kubelets once named theirs.
        let name = "node-csr-A_b";
        server.put(&path(name), object(name));
        let read = all(&client).await?.0;
        let settle = async |how| client.settle_request(&read[0], &how, "2026-11-30T00:00:00Z").await;
        assert_eq!(settle(Settlement::Denied(Refusal::Subject)).await?, Settled::Done);
        let kept = server.objects()[&path(name)].clone();
        assert_eq!(kept["status"]["conditions"][0]["type"], "Denied");
        assert_eq!(kept["status"]["conditions"][0]["reason"], "KubebootMalformedRequest");
        assert_eq!(settle(Settlement::Approved).await?, Settled::Changed);
        assert_eq!(server.objects()[&path(name)], kept);
        assert!(all(&client).await?.0[0].request.is_settled);
        server.objects().clear();
        assert_eq!(settle(Settlement::Approved).await?, Settled::Changed);
        Ok(())
    }

    #[tokio::test]
    async fn a_watch_tells_of_what_comes_and_ends_where_all_are_to_be_listed_anew() -> Result<()> {
        let (server, client) = Server::start().await?;
        assert!(client.watch_requests("7").await.is_err(), "there is none");
        let event = |kind: &str, version: &str, name: &str| {
            let mut object = object(name);
            object["metadata"]["resourceVersion"] = json!(version);
            json!({"type": kind, "object": object}).to_string() + "\n"
        };
        let gone = json!({"type": "ERROR", "object": {"kind": "Status", "message": "too old", "code": 410}});
        server.set_watch(
            [
                event("ADDED", "8", "a"),
                "\n".into(),
                event("BOOKMARK", "9", "x"),
                event("DELETED", "10", "a"),
                event("MODIFIED", "11", "b"),
                gone.to_string(),
            ]
            .concat(),
        );
        let mut watch = client.watch_requests("7").await?;
        let mut names = Vec::new();
        let end = loop {
            match watch.next().await {
                Ok(Some(RequestChange { name, now })) => {
                    names.push(format!("{name} {} {}", now.is_some(), watch.version()))
                }
                other => break other,
            }
        };
        assert_eq!(names, ["a true 8", "a false 10", "b true 11"]);
        assert!(end.is_err_and(|error| error.to_string().contains("too old")));
        server.set_watch(event("BOOKMARK", "9", "x"));
        let mut watch = client.watch_requests("7").await?;
        assert!(watch.next().await?.is_none() && watch.version() == "9");
        for wrong in
            ["no JSON\n".to_owned(), json!({"items": []}).to_string(), event("ADDED", "", "a"), "x".repeat(LIMIT + 1)]
        {
            server.set_watch(wrong);
            assert!(client.watch_requests("7").await?.next().await.is_err());
        }
        Ok(())
    }
}
