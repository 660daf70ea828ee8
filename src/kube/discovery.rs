//! The file by which `kubeadm join` finds and trusts a cluster and shows a bootstrap token: a secret.

use crate::model::joining::{BootstrapToken, JoinCluster};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// The text of the file: a kubeconfig, as JSON, which is YAML.
#[must_use]
pub fn discovery_file(cluster: &JoinCluster, token: &BootstrapToken) -> String {
    let authority = STANDARD.encode(&cluster.ca_pem);
    let server = json!({"server": format!("https://{}", cluster.endpoint), "certificate-authority-data": authority});
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kubeboot", "cluster": server}],
        "users": [{"name": "worker", "user": {"token": token.expose()}}],
        "contexts": [{"name": "worker@kubeboot", "context": {"cluster": "kubeboot", "user": "worker"}}],
        "current-context": "worker@kubeboot",
    });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::ApiAccess;
    use crate::model::joining::JoinToken;
    use anyhow::Result;

    #[test]
    fn it_names_the_endpoint_its_authority_and_the_token() -> Result<()> {
        let ca = include_str!("../../tests/fixtures/pki/ca.crt");
        let mut cluster = JoinCluster::sample(3);
        cluster.ca_pem = ca.to_owned();
        let text = discovery_file(&cluster, &JoinToken::sample(3, 1).token);
        assert!(text.contains("https://api.lab.internal:6443") && text.contains("abc123.0123456789abcdef"));
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("discovery.conf");
        std::fs::write(&path, text)?;
        ApiAccess::find(Some(&path))?;
        Ok(())
    }
}
