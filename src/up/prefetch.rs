//! Waiting is work: while a machine waits for its group, its turn or the holder of the claim, the images of its own documents are pulled
//! in the background. kubeadm finds them when the machine's turn has come, and then pulling ends: whatever is missing, kubeadm pulls.

use crate::exit::causes;
use crate::host::runtime;
use crate::model::duration::in_words;
use crate::node::Facts;
use crate::node::images;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_mins(20);

/// Pulling ahead in one run of `up`: once, or not at all.
#[derive(Debug)]
pub(super) struct Prefetch {
    wanted: bool,
    task: Option<JoinHandle<()>>,
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.end();
    }
}

impl Prefetch {
    /// By the settings and the documents of this machine.
    pub(super) fn new(facts: &Facts) -> Self {
        Self { wanted: facts.settings.prefetch && facts.documents.pulls_images(), task: None }
    }

    /// This machine waits: the images are pulled from now on, unless that was begun before. Never waits.
    pub(super) fn begin(&mut self, facts: &Facts) {
        if std::mem::take(&mut self.wanted) {
            self.task = Some(tokio::spawn(pull_all(facts.clone())));
        }
    }

    /// Its turn has come, or nothing is to be pulled any more: what is under way is ended with its processes.
    pub(super) fn end(&mut self) {
        self.wanted = false;
        if let Some(task) = self.task.take().filter(|task| !task.is_finished()) {
            task.abort();
            tracing::debug!("kubeadm pulls what is left of the images, because this machine waits no longer");
        }
    }
}

/// Pulls what is missing, one image at a time, and says once what came of it.
async fn pull_all(facts: Facts) {
    let began = Instant::now();
    match timeout(TIMEOUT, pull_missing(&facts)).await {
        Ok(Ok(0)) => tracing::debug!("all images of the control plane are on this machine"),
        Ok(Ok(pulled)) => {
            let took = in_words(began.elapsed());
            tracing::info!("pulled {pulled} images of the control plane in {took}, while this machine waited");
        }
        Ok(Err(error)) => {
            let why = causes(&error).join(": ");
            tracing::warn!("failed to pull images while this machine waited, kubeadm will pull them: {why}");
        }
        Err(_) => {
            tracing::warn!("pulling images has not ended in {}, kubeadm will pull what is left", in_words(TIMEOUT))
        }
    }
}

/// How many were pulled.
async fn pull_missing(facts: &Facts) -> Result<usize> {
    let wanted = images::listed(facts).await?;
    let sockets = runtime::chosen(facts.documents.cri_socket());
    let socket = Path::new(sockets.first().context("there is no container runtime on this machine")?);
    let missing = images::missing(socket, &wanted).await?;
    for image in &missing {
        images::pull(socket, image).await?;
    }
    Ok(missing.len())
}
