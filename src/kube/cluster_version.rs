//! Writing `kubeadm-config`: its version, or nothing but a mark, in the very state in which it was read.

use super::ClusterConfiguration;
use super::client::{CONFIG_MAPS, Client};
use crate::kubeadm::documents::yaml;
use crate::model::version::Release;
use anyhow::{Context, Result, anyhow, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The key under which kubeadm keeps the document.
const DOCUMENT: &str = "ClusterConfiguration";
/// The annotation that whoever joins writes anew, so that the `resourceVersion` changes.
const MARK: &str = "kubeboot/last-join";
/// The line of the document that names the version.
const FIELD: &str = "kubernetesVersion:";

/// What came of writing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigWrite {
    /// It is written.
    Done,
    /// It was changed meanwhile, and was left alone.
    Changed,
}

impl Client {
    /// Writes a mark into `kubeadm-config`, which must be no mark that was ever there, and with `version` that version of Kubernetes, if
    /// it is still as it was read.
    ///
    /// # Errors
    /// When the server does not answer (then it may be written), refuses, or the document has its version in no line of its own.
    pub async fn write_kubeadm_config(
        &self,
        found: &ClusterConfiguration,
        mark: &str,
        version: Option<Release>,
    ) -> Result<ConfigWrite> {
        let path = format!("{CONFIG_MAPS}/kubeadm-config");
        // Without one, the write would have no precondition.
        ensure!(
            !found.resource_version.is_empty(),
            "the ConfigMap kube-system/kubeadm-config tells no resourceVersion"
        );
        let metadata = json!({"resourceVersion": found.resource_version, "annotations": {MARK: mark}});
        let mut patch = json!({"metadata": metadata});
        if let Some(version) = version {
            patch["data"] = json!({DOCUMENT: with_version(&found.text, version)?});
        }
        let answer = self.call(Method::PATCH, &path, Some(&patch)).await?;
        if answer.status == StatusCode::CONFLICT {
            return Ok(ConfigWrite::Changed);
        }
        let written = answer.success(self, &path)?;
        let now = written.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        ensure!(
            now.is_some_and(|now| now != found.resource_version),
            "the API server at {} has written kubeadm-config, and its resourceVersion is the same",
            self.address()
        );
        Ok(ConfigWrite::Done)
    }
}

/// The document with this version, and nothing else changed.
fn with_version(text: &str, version: Release) -> Result<String> {
    let read = |text: &str| yaml(text).map_err(|reason| anyhow!("the cluster's ClusterConfiguration {reason}"));
    let lines = text.lines().map(|line| match line.starts_with(FIELD) {
        true => format!("{FIELD} v{version}\n"),
        false => format!("{line}\n"),
    });
    let changed: String = lines.collect();
    let mut wanted = read(text)?;
    *wanted.get_mut("kubernetesVersion").context("the cluster's ClusterConfiguration names no version")? =
        format!("v{version}").into();
    ensure!(
        read(&changed)? == wanted,
        "the cluster's ClusterConfiguration has its version in no line of its own: write it as kubeadm does"
    );
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::super::server::Server;
    use super::*;

    const STORED: &str = include_str!("../../tests/fixtures/documents/stored.yaml");

    #[test]
    fn nothing_but_the_version_changes() -> Result<()> {
        let raised = with_version(STORED, Release::new(1, 37, 0))?;
        let changed: Vec<_> = STORED.lines().zip(raised.lines()).filter(|(before, after)| before != after).collect();
        assert_eq!(changed.iter().map(|(_, after)| *after).collect::<Vec<_>>(), ["kubernetesVersion: v1.37.0"]);
        assert_eq!(STORED.lines().count(), raised.lines().count());
        for odd in ["{kubernetesVersion: v1.36.1}", "a: b", "[", "kubernetesVersion:\n  v1.36.1\n"] {
            assert!(with_version(odd, Release::new(1, 37, 0)).is_err(), "{odd}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn it_is_written_only_as_it_was_read() -> Result<()> {
        let (server, client) = Server::start().await?;
        let path = format!("{CONFIG_MAPS}/kubeadm-config");
        server.put(&path, json!({"metadata": {}, "data": {DOCUMENT: STORED}}));
        let found = client.kubeadm_config().await?;
        assert_eq!(client.write_kubeadm_config(&found, "1", None).await?, ConfigWrite::Done);
        let touched = client.kubeadm_config().await?;
        assert_eq!((&touched.text, &touched.document), (&found.text, &found.document));
        let raised = Some(Release::new(1, 37, 0));
        assert_eq!(client.write_kubeadm_config(&found, "2", raised).await?, ConfigWrite::Changed, "a late write");
        assert_eq!(client.write_kubeadm_config(&touched, "2", raised).await?, ConfigWrite::Done);
        assert_eq!(client.kubeadm_config().await?.kubernetes_version, "v1.37.0");
        assert_eq!(client.write_kubeadm_config(&touched, "3", None).await?, ConfigWrite::Changed);
        let unversioned = ClusterConfiguration { resource_version: String::new(), ..touched };
        assert!(client.write_kubeadm_config(&unversioned, "4", None).await.is_err());
        Ok(())
    }
}
