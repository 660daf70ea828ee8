//! How a program reaches the API server of its cluster: as a pod by its service account, or by a kubeconfig.

use std::env;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use reqwest::ClientBuilder;
use serde_json::Value;

use super::bearer::Bearer;
use super::kubeconfig::Named;
use super::transport::{identity, verified};
use crate::host::files;
use crate::settings::Endpoint;

/// The variables by which a kubelet tells a pod where its API server is.
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";
/// Where a pod finds its service account: the Kubernetes documentation, "Accessing the Kubernetes API from a Pod".
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The largest authority and the largest namespace that are read, in bytes.
const LIMIT: u64 = 256 * 1024;
/// What Kubernetes takes where a context names none.
const DEFAULT_NAMESPACE: &str = "default";

/// A server, and the credentials that are for it.
pub struct ApiAccess {
    pub(super) server: String,
    pub(super) client: ClientBuilder,
    pub(super) bearer: Option<Bearer>,
    namespace: String,
}

impl ApiAccess {
    /// From this kubeconfig, or else as the pod that this program runs in.
    ///
    /// # Errors
    /// What is missing, and what to do. Never the text of a kubeconfig, which holds keys.
    pub fn find(kubeconfig: Option<&Path>) -> Result<Self> {
        match kubeconfig {
            Some(path) => Self::from_file(path),
            None => Self::in_cluster(),
        }
    }

    /// The namespace of the pod, or of the kubeconfig's context.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn in_cluster() -> Result<Self> {
        let Ok(host) = env::var(HOST) else {
            bail!("this is no pod of a cluster ({HOST} is not set): name a kubeconfig by --kubeconfig or KUBECONFIG");
        };
        let port = env::var(PORT).unwrap_or_else(|_| "443".to_owned());
        Self::of_pod(&host, &port, Path::new(SERVICE_ACCOUNT)).context(
            "failed to read the service account of this pod: see that 'automountServiceAccountToken' is not false",
        )
    }

    fn of_pod(host: &str, port: &str, folder: &Path) -> Result<Self> {
        let host: IpAddr =
            host.parse().with_context(|| format!("{HOST} is '{}', not an address", host.escape_debug()))?;
        let port = port.parse().with_context(|| format!("{PORT} is '{}', not a port", port.escape_debug()))?;
        let bearer = Bearer::File(folder.join("token"));
        // It is read for each call, and now to see that it is there.
        bearer.token()?;
        let namespace = files::read_bounded(&folder.join("namespace"), LIMIT)?;
        let namespace = String::from_utf8(namespace).ok().context("its namespace is not text")?;
        Ok(Self {
            server: format!("https://{}", Endpoint { host: host.to_string(), port }),
            client: verified(&files::read_bounded(&folder.join("ca.crt"), LIMIT)?)?,
            bearer: Some(bearer),
            namespace: namespace.trim().to_owned(),
        })
    }

    fn from_file(path: &Path) -> Result<Self> {
        Named::read(path, |named| {
            let has = |value: &Value, field: &str| value.get(field).is_some_and(|value| !value.is_null());
            for plugin in ["exec", "auth-provider", "username"] {
                ensure!(
                    !has(named.user, plugin),
                    "the kubeconfig's user has '{plugin}', which is not supported: use a client certificate or a token"
                );
            }
            for field in ["proxy-url", "tls-server-name"] {
                ensure!(!has(named.cluster, field), "the kubeconfig has '{field}', which is not supported");
            }
            let authority = named.authority()?;
            let client = verified(&authority)?;
            let bearer = named.bearer()?;
            let client = if bearer.is_none() {
                let (certificate, key) = named.client_certificate()?;
                client.identity(identity(&certificate, &key)?)
            } else {
                client
            };
            let namespace = named.namespace()?.unwrap_or(DEFAULT_NAMESPACE).to_owned();
            let server = named.server()?.trim_end_matches('/').to_owned();
            Ok(Self { server, client, bearer, namespace })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    const CA: &[u8] = include_bytes!("../../tests/fixtures/pki/ca.crt");

    fn read(text: &str) -> Result<ApiAccess> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, text)?;
        ApiAccess::find(Some(&path))
    }

    fn text(cluster: &str, user: &str) -> String {
        let ca = STANDARD.encode(CA);
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster: {{server: 'https://10.0.0.1:6443', \
             certificate-authority-data: {ca}{cluster}}}\ncontexts:\n- name: a\n  context: {{cluster: c, user: u, namespace: web}}\n\
             users:\n- name: u\n  user: {{{user}}}\n"
        )
    }

    #[test]
    fn tokens_and_certificates_are_taken_and_what_would_run_or_trust_anything_is_not() -> Result<()> {
        let access = read(&text("", "token: SECRET"))?;
        assert_eq!((access.namespace(), access.server.as_str()), ("web", "https://10.0.0.1:6443"));
        let without = read(&text("", "token: SECRET").replace(", namespace: web", ""))?;
        assert_eq!(without.namespace(), "default");
        let rows = [
            (text("", "exec: {apiVersion: client.authentication.k8s.io/v1, command: SECRET}"), "'exec'"),
            (text("", "auth-provider: {name: gcp, config: {a: SECRET}}"), "'auth-provider'"),
            (text("", "username: a, password: SECRET"), "'username'"),
            (text("", "token: 'SECRET 1'"), "has characters that no token has"),
            (text("", "client-key-data: SECRET"), "neither 'client-certificate-data'"),
            (text(", insecure-skip-tls-verify: true", "token: SECRET"), "insecure-skip-tls-verify"),
            (text(", proxy-url: 'http://10.0.0.2:3128'", "token: SECRET"), "proxy-url"),
            (text("", "token: SECRET").replace("https", "http"), "not an https URL"),
            (text("", "token: SECRET").replace("current-context: a", "current-context: b"), "no context 'b'"),
            ("[SECRET".to_owned(), "not valid YAML"),
            (" ".repeat(2 * 1024 * 1024), "larger than"),
        ];
        for (text, expected) in rows {
            let error = read(&text).err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(error.contains(expected) && !error.contains("SECRET"), "'{error}' for '{expected}'");
        }
        let error = ApiAccess::find(Some(Path::new("/nowhere"))).err().map(|error| format!("{error:#}"));
        assert!(error.is_some_and(|error| error.contains("'/nowhere'")));
        Ok(())
    }

    #[test]
    fn a_pod_is_known_by_its_service_account_whose_token_is_read_anew() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text);
        write("ca.crt", CA)?;
        write("namespace", b"web\n")?;
        write("token", b"SECRET1\n")?;
        let access = ApiAccess::of_pod("fd00::1", "443", folder.path())?;
        assert_eq!((access.namespace(), access.server.as_str()), ("web", "https://[fd00::1]:443"));
        let bearer = access.bearer.context("there is a token")?;
        assert_eq!(bearer.token()?, "SECRET1");
        write("token", b"SECRET2")?;
        assert_eq!(bearer.token()?, "SECRET2");
        write("token", b"SECRET\r\nX-Header: 3")?;
        let error = format!("{:#}", bearer.token().err().context("it must fail")?);
        assert!(error.contains("no token has") && !error.contains("SECRET"), "{error}");
        assert!(ApiAccess::of_pod("a b", "443", folder.path()).is_err());
        assert!(ApiAccess::of_pod("10.96.0.1", "tcp", folder.path()).is_err());
        Ok(())
    }
}
