//! The images that kubeadm takes by this machine's documents.

use super::Facts;
use super::credentials::FOLDER;
use crate::host::{files, runtime};
use crate::kubeadm::run::Kubeadm;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// How long pulling one may take.
const PULL: Duration = Duration::from_mins(10);

/// Their names. `document`: the name of the file, which is there while kubeadm is asked; no two that may be at work at once share one.
///
/// # Errors
/// The documents contradict this machine, or kubeadm fails.
pub async fn listed(facts: &Facts, document: &str) -> Result<Vec<String>> {
    let folder = Path::new(FOLDER);
    files::private_dir(folder)?;
    let config = folder.join(document);
    files::write(&config, facts.documents.renewal(&facts.cluster, &facts.node)?.as_bytes(), 0o600)?;
    let listed = Kubeadm::read_only().images(&config).await;
    files::remove(&config)?;
    Ok(listed?)
}

/// Whether the runtime behind this socket certainly has the image.
pub async fn is_here(socket: &Path, image: &str) -> bool {
    runtime::crictl(socket, ["inspecti", "-q", image]).run().await.is_ok()
}

/// Pulls an image as kubelet would, so with the runtime's own mirrors and credentials.
///
/// # Errors
/// It cannot be pulled.
pub async fn pull(socket: &Path, image: &str) -> Result<()> {
    let pulled = runtime::crictl(socket, ["pull", image]).deadline(PULL).run().await;
    pulled.map(drop).with_context(|| format!("failed to pull the image {image}"))
}
