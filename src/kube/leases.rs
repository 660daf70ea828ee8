//! One Lease of Kubernetes, read and written under conditions.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::access::ApiAccess;
use super::answers;
use super::kubeconfig::Kubeconfig;
use super::transport::{SERVER_NAME, Transport};

/// How long one call may take: three fit into the time after which a leader gives up.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest answer that is read, in bytes.
const LIMIT: usize = 256 * 1024;

/// One Lease, which need not be there.
pub struct LeaseClient {
    transport: Transport,
    server: String,
    folder: String,
    name: String,
}

impl LeaseClient {
    /// Of the Lease `name`. Must be called within the tokio runtime.
    ///
    /// # Errors
    /// When the credentials cannot be used.
    pub fn new(access: ApiAccess, namespace: &str, name: &str) -> Result<Self> {
        let ApiAccess { server, client, bearer, .. } = access;
        let transport = Transport::new(client, server.clone(), CALL_TIMEOUT, LIMIT)?.with_bearer(bearer);
        Ok(Self::by(transport, server, namespace, name))
    }

    /// As [`LeaseClient::new`], at the API server of one address, which need not be what the kubeconfig names.
    ///
    /// # Errors
    /// As [`LeaseClient::new`].
    pub fn at(kubeconfig: &Kubeconfig, address: SocketAddr, namespace: &str, name: &str) -> Result<Self> {
        let transport = Transport::at(kubeconfig, SERVER_NAME, address, CALL_TIMEOUT, LIMIT)?;
        Ok(Self::by(transport, format!("https://{address}"), namespace, name))
    }

    fn by(transport: Transport, server: String, namespace: &str, name: &str) -> Self {
        let folder = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        Self { transport, server, folder, name: name.to_owned() }
    }

    /// The Lease, if there is one.
    ///
    /// # Errors
    /// When the server does not answer, or refuses, or the namespace is not there.
    pub async fn read(&self) -> Result<Option<Value>> {
        let path = self.path();
        let answer = self.transport.call(Method::GET, &path, None).await.with_context(|| self.failed("read"))?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => answers::json(&answer.body).map(Some).with_context(|| self.failed("read")),
            status => bail!("{}: {}", self.failed("read"), said(status, &answer.body)),
        }
    }

    /// Makes it. `false` if there is one by now.
    ///
    /// # Errors
    /// When the server refuses, or does not answer: then it may have been carried out.
    pub async fn create(&self, lease: &Value) -> Result<bool> {
        self.write(Method::POST, &self.folder, lease).await
    }

    /// Writes it, if it is still the one of the `resourceVersion` in it. `false` if it is not.
    ///
    /// # Errors
    /// As [`LeaseClient::create`].
    pub async fn replace(&self, lease: &Value) -> Result<bool> {
        self.write(Method::PUT, &self.path(), lease).await
    }

    async fn write(&self, method: Method, path: &str, lease: &Value) -> Result<bool> {
        let creates = method == Method::POST;
        let answer = self.transport.call(method, path, Some(lease)).await.with_context(|| self.failed("write"))?;
        match answer.status {
            StatusCode::CONFLICT => Ok(false),
            // A namespace that is not there, or a Lease that is not there any more.
            StatusCode::NOT_FOUND if !creates => Ok(false),
            status if status.is_success() => Ok(true),
            status => bail!("{}: {}", self.failed("write"), said(status, &answer.body)),
        }
    }

    fn path(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }

    fn failed(&self, verb: &str) -> String {
        format!("failed to {verb} {} at {}", self.path(), self.server)
    }
}

fn said(status: StatusCode, body: &[u8]) -> String {
    let said = answers::message(body);
    match status {
        StatusCode::FORBIDDEN => format!(
            "it answered 403: its Role must allow get, create and update of leases in the group coordination.k8s.io ({said})"
        ),
        StatusCode::UNAUTHORIZED => format!("it answered 401: it does not know these credentials ({said})"),
        status => format!("it answered {}: {said}", status.as_u16()),
    }
}
