//! A kubeconfig as text: in JSON, which is YAML, so that nothing in a name becomes more than a name.

use crate::model::joining::BootstrapToken;
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Where a cluster is, and how it is trusted.
pub struct Cluster<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it is reached, `host:port`.
    pub endpoint: String,
    /// The name that the server's certificate must be for, where that is not the endpoint's.
    pub server_name: Option<&'a str>,
    /// The certificates of its authority, PEM.
    pub authority: &'a [u8],
}

/// How a user shows who it is.
pub enum Proof<'a> {
    /// By a bootstrap token.
    Token(&'a BootstrapToken),
    /// By a certificate and its key, PEM both.
    Certificate(&'a [u8], &'a [u8]),
}

/// A kubeconfig: a secret.
///
/// # Errors
/// Never of texts.
pub fn kubeconfig(cluster: &Cluster<'_>, user: &str, proof: &Proof<'_>) -> Result<String> {
    let mut reached = Map::new();
    reached.insert("server".into(), json!(format!("https://{}", cluster.endpoint)));
    reached.insert("certificate-authority-data".into(), json!(STANDARD.encode(cluster.authority)));
    if let Some(name) = cluster.server_name {
        reached.insert("tls-server-name".into(), json!(name));
    }
    let proof = match proof {
        Proof::Token(token) => json!({"token": token.expose()}),
        Proof::Certificate(certificate, key) => json!({
            "client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key),
        }),
    };
    let context = format!("{user}@{}", cluster.name);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": cluster.name, "cluster": Value::Object(reached)}],
        "contexts": [{"name": context, "context": {"cluster": cluster.name, "user": user}}],
        "users": [{"name": user, "user": proof}],
    });
    let text = serde_json::to_string_pretty(&config).context("failed to write the kubeconfig")?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::Kubeconfig;

    const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn cluster(server_name: Option<&str>) -> Cluster<'_> {
        Cluster { name: "demo", endpoint: "api.demo.internal:6443".into(), server_name, authority: PEM }
    }

    #[test]
    fn what_is_written_is_read_again() -> Result<()> {
        let text = kubeconfig(&cluster(None), "anna", &Proof::Certificate(PEM, PEM))?;
        let read = Kubeconfig::parse(&text)?;
        assert_eq!((read.server.as_str(), read.authority.as_slice()), ("https://api.demo.internal:6443", PEM));
        assert_eq!((read.certificate.as_slice(), read.key.as_slice()), (PEM, PEM));
        assert!(text.contains("\"current-context\": \"anna@demo\"") && !text.contains("tls-server-name"));
        Ok(())
    }

    #[test]
    fn a_token_and_the_name_of_the_server_stand_where_kubeadm_and_kubectl_look_for_them() -> Result<()> {
        let token = BootstrapToken::parse("abc123.0123456789abcdef")?;
        let text = kubeconfig(&cluster(Some("api.demo.internal")), "bootstrap", &Proof::Token(&token))?;
        let read: Value = serde_json::from_str(&text)?;
        assert_eq!(read["users"][0]["user"], json!({"token": "abc123.0123456789abcdef"}));
        assert_eq!(read["clusters"][0]["cluster"]["tls-server-name"], "api.demo.internal");
        Ok(())
    }
}
