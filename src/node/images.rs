//! The images that kubeadm takes by this machine's documents.

use super::Facts;
use crate::host::short_lived::ShortLived;
use crate::host::{files, runtime};
use crate::kubeadm::run::Kubeadm;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// How long pulling one may take.
const PULL: Duration = Duration::from_mins(10);

/// Their names.
///
/// # Errors
/// The documents contradict this machine, or kubeadm fails.
pub async fn listed(facts: &Facts) -> Result<Vec<String>> {
    let folder = ShortLived::new("images")?;
    let config = folder.path().join("images.yaml");
    files::write(&config, facts.documents.renewal(&facts.cluster, &facts.node)?.as_bytes(), 0o600)?;
    Ok(Kubeadm::read_only().images(&config).await?)
}

/// Of these images, those that the runtime behind this socket does not have. It is asked once for all that it has.
///
/// # Errors
/// It does not answer, or what it says makes no sense.
pub async fn missing<'a>(socket: &Path, wanted: &'a [String]) -> Result<Vec<&'a str>> {
    let asked = runtime::crictl(socket, ["images", "--output", "json"]).run().await;
    let answer = asked.context("failed to ask the container runtime for its images")?;
    let present = tags(&answer.stdout)?;
    Ok(wanted.iter().map(String::as_str).filter(|image| !is_among(&present, image)).collect())
}

/// The names in the answer of `crictl images --output json`.
fn tags(json: &str) -> Result<BTreeSet<String>> {
    let listed: Images = serde_json::from_str(json).context("crictl's answer is no list of images")?;
    Ok(listed.images.into_iter().flat_map(|image| image.repo_tags).collect())
}

/// Whether an image is there: a runtime names those of Docker's registry in full.
fn is_among(present: &BTreeSet<String>, image: &str) -> bool {
    present.contains(image) || present.contains(&format!("docker.io/{image}"))
}

#[derive(Deserialize)]
struct Images {
    #[serde(default)]
    images: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    #[serde(default)]
    repo_tags: Vec<String>,
}

/// Pulls an image as kubelet would, so with the runtime's own mirrors and credentials.
///
/// # Errors
/// It cannot be pulled.
pub async fn pull(socket: &Path, image: &str) -> Result<()> {
    let pulled = runtime::crictl(socket, ["pull", image]).deadline(PULL).run().await;
    pulled.map(drop).with_context(|| format!("failed to pull the image {image}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_runtime_has_is_read_from_its_list() -> Result<()> {
        // An image that was pulled by digest alone has no tag.
        let json = r#"{"images": [
            {"id": "sha256:0f", "repoTags": ["registry.k8s.io/pause:3.10.1", "registry.k8s.io/pause:latest"], "size": "1"},
            {"id": "sha256:1e", "repoTags": ["docker.io/someone/etcd:3.6.8-0"]},
            {"id": "sha256:2d", "repoTags": []},
            {"id": "sha256:3c"}
        ]}"#;
        let present = tags(json)?;
        for (image, here) in [
            ("registry.k8s.io/pause:3.10.1", true),
            ("registry.k8s.io/pause:3.10", false),
            ("pause:3.10.1", false),
            ("someone/etcd:3.6.8-0", true),
            ("", false),
        ] {
            assert_eq!(is_among(&present, image), here, "{image}");
        }
        assert!(tags("{}")?.is_empty());
        for bad in ["", "no such command", r#"{"images": [{"repoTags": [1]}]}"#] {
            assert!(tags(bad).is_err(), "{bad}");
        }
        Ok(())
    }
}
