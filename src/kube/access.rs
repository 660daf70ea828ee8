//! How a program reaches the API server of its cluster: as a pod by its service account, or by a kubeconfig.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// The variable by which a kubelet tells a pod where its API server is.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";
/// The largest kubeconfig that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// Credentials and the server that they are for.
pub struct Access(Config);

impl Access {
    /// From this kubeconfig, or else as the pod that this program runs in.
    ///
    /// # Errors
    /// What is missing, and what to do. Never the text of a kubeconfig, which holds keys.
    pub async fn find(kubeconfig: Option<&Path>) -> Result<Self> {
        match kubeconfig {
            Some(path) => Self::from_file(path).await.with_context(|| format!("the kubeconfig '{}'", path.display())),
            None => Self::in_cluster(),
        }
    }

    fn in_cluster() -> Result<Self> {
        ensure!(
            std::env::var_os(IN_CLUSTER).is_some(),
            "this is no pod of a cluster ({IN_CLUSTER} is not set): name a kubeconfig by --kubeconfig or KUBECONFIG"
        );
        Config::incluster().map(Self).context(
            "failed to read the service account of this pod: see that 'automountServiceAccountToken' is not false",
        )
    }

    async fn from_file(path: &Path) -> Result<Self> {
        let size = tokio::fs::metadata(path).await.context("it cannot be read")?.len();
        ensure!(size <= LIMIT, "it is larger than {LIMIT} bytes");
        // The errors of the parsers are left out, because they could quote a key.
        let read = Kubeconfig::read_from(path).ok().context("it is no kubeconfig, or cannot be read")?;
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
        let config = config.ok().context("its current context, or what that names, is missing or wrong")?;
        let user = &config.auth_info;
        ensure!(
            user.exec.is_none() && user.auth_provider.is_none(),
            "its user is had from a plug-in ('exec' or 'auth-provider'), which is not supported: use a client certificate or a token"
        );
        ensure!(config.cluster_url.scheme_str() == Some("https"), "its server is not an https URL");
        ensure!(
            !config.accept_invalid_certs,
            "it has insecure-skip-tls-verify: kubeboot only talks to servers it can verify"
        );
        ensure!(config.root_cert.is_some(), "it has no certificate-authority");
        ensure!(config.proxy_url.is_none(), "it has a proxy-url, which is not supported");
        Ok(Self(config))
    }

    /// The namespace of the pod, or of the kubeconfig's context.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.default_namespace
    }

    pub(super) fn server(&self) -> String {
        self.0.cluster_url.to_string().trim_end_matches('/').to_owned()
    }

    pub(super) fn into_config(self) -> Config {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    async fn read(text: &str) -> Result<Access> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, text)?;
        Access::find(Some(&path)).await
    }

    fn text(cluster: &str, user: &str) -> String {
        let ca = STANDARD.encode(include_bytes!("../../tests/fixtures/pki/ca.crt"));
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster: {{server: 'https://10.0.0.1:6443', \
             certificate-authority-data: {ca}{cluster}}}\ncontexts:\n- name: a\n  context: {{cluster: c, user: u, namespace: web}}\n\
             users:\n- name: u\n  user: {{{user}}}\n"
        )
    }

    #[tokio::test]
    async fn tokens_and_certificates_are_taken_and_what_would_run_or_trust_anything_is_not() -> Result<()> {
        let access = read(&text("", "token: SECRET")).await?;
        assert_eq!((access.namespace(), access.server().as_str()), ("web", "https://10.0.0.1:6443"));
        let rows = [
            (text("", "exec: {apiVersion: client.authentication.k8s.io/v1, command: SECRET}"), "plug-in"),
            (text("", "auth-provider: {name: gcp, config: {a: SECRET}}"), "plug-in"),
            (text(", insecure-skip-tls-verify: true", "token: SECRET"), "insecure-skip-tls-verify"),
            (text(", proxy-url: 'http://10.0.0.2:3128'", "token: SECRET"), "proxy-url"),
            (text("", "token: SECRET").replace("https", "http"), "not an https URL"),
            (text("", "token: SECRET").replace("current-context: a", "current-context: b"), "current context"),
            ("[SECRET".to_owned(), "no kubeconfig"),
            (" ".repeat(2 * 1024 * 1024), "larger than"),
        ];
        for (text, expected) in rows {
            let error = read(&text).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(error.contains(expected) && !error.contains("SECRET"), "'{error}' for '{expected}'");
        }
        let error = Access::find(Some(Path::new("/nowhere"))).await.err().map(|error| format!("{error:#}"));
        assert!(error.is_some_and(|error| error.contains("'/nowhere'")));
        Ok(())
    }
}
