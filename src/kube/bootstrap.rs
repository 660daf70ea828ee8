//! Bootstrap tokens, as Kubernetes keeps them: a Secret each. Its own cleaner deletes those that have ended.

use super::client::{Client, KUBE_SYSTEM, in_folder};
use crate::model::joining::BootstrapToken;
use crate::model::joining::approval::GROUP;
use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};
use std::time::{Duration, UNIX_EPOCH};

/// The type of the Secrets.
const TYPE: &str = "bootstrap.kubernetes.io/token";
/// The last second of the year 9999, after which there is no text for a time.
const LAST_SECOND: u64 = 253_402_300_799;
const DESCRIPTION: &str = "workers join with it, and 'kubeboot agent' approves them";

impl Client {
    /// Has Kubernetes take this token, in the group of kubeboot's tokens, until this time in seconds since 1970.
    ///
    /// # Errors
    /// When the server does not answer, or refuses. Never with the token.
    pub async fn create_bootstrap_token(&self, token: &BootstrapToken, expires: u64) -> Result<()> {
        let folder = format!("{KUBE_SYSTEM}/secrets");
        let data =
            fields(token, expires).into_iter().map(|(name, value)| (name.to_owned(), json!(STANDARD.encode(value))));
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": TYPE, "data": data.collect::<Map<String, Value>>(),
            "metadata": {"name": format!("bootstrap-token-{}", token.id()), "namespace": "kube-system"},
        });
        let answer = self.call(Method::POST, &folder, Some(&object)).await?;
        ensure!(answer.status != StatusCode::CONFLICT, "there is a bootstrap token of the same ID already");
        answer.success(self, &folder).map(drop)
    }

    /// Whether Kubernetes takes this token, in the group of kubeboot's tokens alone, until this time.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn takes_bootstrap_token(&self, token: &BootstrapToken, expires: u64) -> Result<bool> {
        let path = in_folder(&format!("{KUBE_SYSTEM}/secrets"), &format!("bootstrap-token-{}", token.id()))?;
        let answer = self.call(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let found = answer.success(self, &path)?;
        let is_as_made = |(name, value): (&str, String)| {
            let kept = found["data"][name].as_str().and_then(|kept| STANDARD.decode(kept).ok());
            kept.as_deref() == Some(value.as_bytes())
        };
        Ok(found["type"] == TYPE && fields(token, expires).into_iter().all(is_as_made))
    }
}

fn fields(token: &BootstrapToken, expires: u64) -> [(&'static str, String); 6] {
    let ends = UNIX_EPOCH + Duration::from_secs(expires.min(LAST_SECOND));
    [
        ("token-id", token.id().to_owned()),
        ("token-secret", token.secret().to_owned()),
        ("expiration", humantime::format_rfc3339_seconds(ends).to_string()),
        ("usage-bootstrap-authentication", "true".to_owned()),
        ("auth-extra-groups", GROUP.to_owned()),
        ("description", DESCRIPTION.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::server::Server;

    const PATH: &str = "/api/v1/namespaces/kube-system/secrets/bootstrap-token-abc123";

    #[tokio::test]
    async fn a_token_is_taken_as_it_was_made_and_in_no_other_form() -> Result<()> {
        let (server, client) = Server::start().await?;
        let token = BootstrapToken::parse("abc123.0123456789abcdef")?;
        assert!(!client.takes_bootstrap_token(&token, 60).await?);
        client.create_bootstrap_token(&token, 60).await?;
        assert!(client.takes_bootstrap_token(&token, 60).await?);
        let made = server.objects()[PATH].clone();
        assert_eq!(made["data"]["expiration"], STANDARD.encode("1970-01-01T00:01:00Z"));
        assert_eq!(made["data"]["usage-bootstrap-signing"], Value::Null);
        let again = client.create_bootstrap_token(&token, 60).await.map_err(|error| format!("{error:#}"));
        assert!(again.is_err_and(|error| error.contains("same ID") && !error.contains(token.secret())));
        for expires in [0, 61, u64::MAX] {
            assert!(!client.takes_bootstrap_token(&token, expires).await?, "{expires}");
        }
        let edits = [
            ("token-secret", "fedcba9876543210"),
            ("auth-extra-groups", "system:bootstrappers:kubeadm:default-node-token"),
            ("auth-extra-groups", ""),
            ("usage-bootstrap-authentication", "false"),
        ];
        for (field, value) in edits {
            server.objects().get_mut(PATH).map(|object| object["data"][field] = json!(STANDARD.encode(value)));
            assert!(!client.takes_bootstrap_token(&token, 60).await?, "{field}: {value}");
            server.objects().insert(PATH.to_owned(), made.clone());
        }
        server.objects().get_mut(PATH).map(|object| object["type"] = json!("Opaque"));
        assert!(!client.takes_bootstrap_token(&token, 60).await?);
        Ok(())
    }
}
