//! A client of one API server.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::answers::{self, ClusterConfiguration, KubeNode};
use super::kubeconfig::Kubeconfig;
use super::transport::{HttpAnswer, Lines, SERVER_NAME, Transport, Unanswered};
use crate::model::machine::node_marks::Lacking;

/// How long a whole call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes: a Node with many images has some fifty thousand.
const ANSWER_LIMIT: usize = 1024 * 1024;
/// The path of the Node objects.
pub(super) const NODES: &str = "/api/v1/nodes";
pub(super) const KUBE_SYSTEM: &str = "/api/v1/namespaces/kube-system";
pub(super) const CONFIG_MAPS: &str = "/api/v1/namespaces/kube-system/configmaps";
/// Where Events are that are about something in no namespace.
pub(super) const EVENTS: &str = "/api/v1/namespaces/default/events";
/// The `ConfigMap` that keeps the claim by which the cluster was made.
const CLAIM_MAP: &str = "kubeboot";

/// A client of the API server at one address. It verifies that the server belongs to the kubeconfig's authority, shows
/// the kubeconfig's certificate, and uses no proxy.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    address: SocketAddr,
}

/// The result of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The object is deleted.
    Done,
    /// There was no such object.
    NotThere,
    /// The object of that name has another UID, or is not as it was judged, and was kept.
    AnotherOne,
}

/// The result of marking a Node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marking {
    /// It is marked.
    Done,
    /// It was changed meanwhile, and was left alone.
    Changed,
}

impl Client {
    /// Makes a client of the API server at `address`, which need not be what the kubeconfig names.
    ///
    /// # Errors
    /// When the kubeconfig holds no usable certificates.
    pub fn new(kubeconfig: &Kubeconfig, address: SocketAddr) -> Result<Self> {
        Self::named(kubeconfig, SERVER_NAME, address)
    }

    /// As [`Client::new`], of a server that must have a certificate for this host name or address.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn named(kubeconfig: &Kubeconfig, host: &str, address: SocketAddr) -> Result<Self> {
        let transport = Transport::at(kubeconfig, host, address, CALL_TIMEOUT, ANSWER_LIMIT)?;
        Ok(Self { transport, address })
    }

    /// For tests: of a server at this address that speaks plain HTTP.
    #[cfg(test)]
    pub(crate) fn plain(address: SocketAddr) -> Result<Self> {
        let client = super::transport::unverified();
        Ok(Self {
            transport: Transport::new(client, format!("http://{address}"), CALL_TIMEOUT, ANSWER_LIMIT)?,
            address,
        })
    }

    /// The address that this client asks.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks whether the API server is ready, which includes a read of etcd.
    ///
    /// # Errors
    /// When it is not, with the checks that failed, or does not answer.
    pub async fn readyz(&self) -> Result<()> {
        self.call(Method::GET, "/readyz", None).await?.success(self, "/readyz").map(|_| ())
    }

    /// The UID of the `kube-system` namespace: the only difference between two clusters with the same authority.
    ///
    /// # Errors
    /// When the server does not answer, or not with that.
    pub async fn kube_system_uid(&self) -> Result<String> {
        answers::uid(&self.object(KUBE_SYSTEM).await?).with_context(|| self.failed(KUBE_SYSTEM))
    }

    /// The Node of that name, if there is one.
    ///
    /// # Errors
    /// When the server does not answer, or not with a Node.
    pub async fn node(&self, name: &str) -> Result<Option<KubeNode>> {
        let path = in_folder(NODES, name)?;
        let answer = self.call(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let object = answer.success(self, &path)?;
        answers::node(&object).map(Some).with_context(|| self.failed(&path))
    }

    /// Deletes the Node of that name if its UID is still this one, because names are reused with addresses.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn delete_node(&self, name: &str, uid: &str) -> Result<Deleted> {
        self.delete(&in_folder(NODES, name)?, json!({"uid": uid})).await
    }

    /// Gives the Node of that name what it lacks of kubeadm's marks, if it is still the one that was judged.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn mark_node(&self, node: &KubeNode, lacking: &Lacking) -> Result<Marking> {
        let path = in_folder(NODES, &node.name)?;
        let answer = self.call(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Marking::Changed);
        }
        let found = answer.success(self, &path)?;
        let read = answers::node(&found).with_context(|| self.failed(&path))?;
        if read.uid != node.uid || read.marks != node.marks {
            return Ok(Marking::Changed);
        }
        let patch = self.call(Method::PATCH, &path, Some(&answers::marked(&found, lacking))).await?;
        match patch.status {
            // Another version (409), another object of that name (422), or none any more.
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::NOT_FOUND => Ok(Marking::Changed),
            _ => patch.success(self, &path).map(|_| Marking::Done),
        }
    }

    /// Deletes the bootstrap token with this public ID.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn delete_bootstrap_token(&self, id: &str) -> Result<Deleted> {
        let path = in_folder(&format!("{KUBE_SYSTEM}/secrets"), &format!("bootstrap-token-{id}"))?;
        self.delete(&path, Value::Null).await
    }

    /// The cluster's `ClusterConfiguration` and version, as kubeadm stored them.
    ///
    /// # Errors
    /// When the server does not answer, or the `ConfigMap` does not hold that.
    pub async fn kubeadm_config(&self) -> Result<ClusterConfiguration> {
        let path = format!("{KUBE_SYSTEM}/configmaps/kubeadm-config");
        answers::cluster_configuration(&self.object(&path).await?).with_context(|| self.failed(&path))
    }

    /// The claim that made the cluster, from the `ConfigMap` called `kubeboot`, if there is one.
    ///
    /// # Errors
    /// When the server does not answer, or the `ConfigMap` holds no claim.
    pub async fn claim(&self) -> Result<Option<String>> {
        let path = format!("{CONFIG_MAPS}/{CLAIM_MAP}");
        let answer = self.call(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answers::claim(&answer.success(self, &path)?).map(Some).with_context(|| self.failed(&path))
    }

    /// Writes the claim that made the cluster into the `ConfigMap` called `kubeboot`, where there is none, and reads it back.
    ///
    /// # Errors
    /// When the server does not answer or refuses, or another claim is there.
    pub async fn write_claim(&self, claim: &str) -> Result<()> {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CLAIM_MAP, "namespace": "kube-system"},
            "data": {"claim": claim},
        });
        let answer = self.call(Method::POST, CONFIG_MAPS, Some(&object)).await?;
        if answer.status != StatusCode::CONFLICT {
            answer.success(self, CONFIG_MAPS)?;
        }
        self.keeps_claim(claim).await
    }

    /// Writes the claim over one that was restored with the cluster's data, if that is one of these, and reads it back.
    ///
    /// # Errors
    /// When the server does not answer or refuses, or another claim is there.
    pub async fn replace_claim(&self, superseded: &[&str], claim: &str) -> Result<()> {
        let path = format!("{CONFIG_MAPS}/{CLAIM_MAP}");
        let found = self.call(Method::GET, &path, None).await?;
        if found.status == StatusCode::NOT_FOUND {
            return self.write_claim(claim).await;
        }
        let object = found.success(self, &path)?;
        let kept = answers::claim(&object).with_context(|| self.failed(&path))?;
        if superseded.contains(&kept.as_str()) {
            let metadata = json!({"resourceVersion": object.pointer("/metadata/resourceVersion")});
            let patch = json!({"metadata": metadata, "data": {"claim": claim}});
            self.call(Method::PATCH, &path, Some(&patch)).await?.success(self, &path)?;
        }
        self.keeps_claim(claim).await
    }

    /// Reads the claim back.
    async fn keeps_claim(&self, claim: &str) -> Result<()> {
        let kept = self.claim().await?;
        ensure!(
            kept.as_deref() == Some(claim),
            "the ConfigMap kube-system/{CLAIM_MAP} keeps the claim '{}' of another cluster, not {claim}",
            kept.unwrap_or_default().escape_debug()
        );
        Ok(())
    }

    /// Writes an Event about something that is in no namespace, such as a Node.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn create_event(&self, event: &Value) -> Result<()> {
        self.call(Method::POST, EVENTS, Some(event)).await?.success(self, EVENTS).map(drop)
    }

    /// The version of the API server, such as `v1.36.1`.
    ///
    /// # Errors
    /// When it does not answer, or not with that.
    pub async fn version(&self) -> Result<String> {
        answers::version(&self.object("/version").await?).with_context(|| self.failed("/version"))
    }

    pub(super) async fn object(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await?.success(self, path)
    }

    /// Deletes an object, if these preconditions are met; without any if they are null.
    pub(super) async fn delete(&self, path: &str, preconditions: Value) -> Result<Deleted> {
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        if !preconditions.is_null() {
            options["preconditions"] = preconditions;
        }
        let answer = self.call(Method::DELETE, path, Some(&options)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(Deleted::NotThere),
            StatusCode::CONFLICT => Ok(Deleted::AnotherOne),
            _ => answer.success(self, path).map(|_| Deleted::Done),
        }
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<HttpAnswer> {
        self.transport.call(method, path, body).await.with_context(|| self.failed(path))
    }

    /// The same server with room for larger answers, and more time for them.
    pub(super) fn within(&self, limit: usize, deadline: Duration) -> Self {
        Self { transport: self.transport.within(limit, deadline), address: self.address }
    }

    pub(super) async fn lines(&self, path: &str) -> Result<Lines> {
        self.transport.lines(path).await.with_context(|| self.failed(path))
    }

    pub(super) fn failed(&self, path: &str) -> String {
        format!("failed to ask the API server at {} for {path}", self.address)
    }
}

/// Whether an error of a [`Client`] means that nothing answered. Whoever answers refuses without an error of the connection.
#[must_use]
pub fn is_silence(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<Unanswered>())
}

/// What is wrong with the certificate that a server showed, if that is why a [`Client`] failed.
#[must_use]
pub fn bad_certificate(error: &anyhow::Error) -> Option<String> {
    let told = error.chain().find_map(|cause| cause.downcast_ref::<Unanswered>())?.to_string();
    // rustls' own words: no client of HTTP hands its error on as a value.
    told.contains("invalid peer certificate").then_some(told)
}

impl HttpAnswer {
    /// The object of a successful answer. `/readyz` answers `ok`, which is no JSON and is not needed.
    pub(super) fn success(self, client: &Client, path: &str) -> Result<Value> {
        if !self.status.is_success() {
            bail!("{}: {}", client.failed(path), answers::refusal(self.status.as_u16(), &self.body));
        }
        if self.body == b"ok" {
            return Ok(Value::Null);
        }
        answers::json(&self.body).with_context(|| client.failed(path))
    }
}

/// The path of one object. Names come from registrations and settings, so they are checked: one with a slash would be another path.
pub(super) fn in_folder(folder: &str, name: &str) -> Result<String> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '.';
    ensure!(
        !name.is_empty() && !name.starts_with('.') && name.chars().all(plain),
        "'{}' is not the name of a Kubernetes object",
        name.escape_debug()
    );
    Ok(format!("{folder}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() -> Result<()> {
        assert_eq!(in_folder(NODES, "ip-10-0-1-11.ec2.internal")?, "/api/v1/nodes/ip-10-0-1-11.ec2.internal");
        for name in ["", ".", "..", "../namespaces/x", "a/b", "a?b", "A", "a b", "a%2fb"] {
            assert!(in_folder(NODES, name).is_err(), "{name}");
        }
        Ok(())
    }
}
