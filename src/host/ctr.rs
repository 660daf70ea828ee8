//! containerd's own client, ctr: a program of an image, run once with folders of this machine. The client of the runtime's
//! interface, crictl, cannot do that without a pod.

use super::process::{Command, ProcessFailed};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// kubelet's namespace in containerd: the images that it and kubeadm have pulled are there.
const NAMESPACE: &str = "k8s.io";
/// How long one question may take.
const CALL: Duration = Duration::from_secs(20);

/// A folder or file of this machine in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is on the machine.
    pub source: PathBuf,
    /// Where the container sees it.
    pub target: &'static str,
    /// Whether the container may write there.
    pub writable: bool,
}

/// Whether the containerd behind this socket has this image.
///
/// # Errors
/// There is no ctr, or it does not answer.
pub async fn has_image(socket: &Path, image: &str) -> Result<bool> {
    let listed = ctr(socket, ["images", "ls", "-q"]).run().await.context("failed to ask containerd for its images")?;
    Ok(listed.stdout.lines().any(|line| line.trim() == image))
}

/// A program of an image in a container of this name, which is removed afterwards.
pub fn run(
    socket: &Path,
    image: &str,
    name: &str,
    mounts: &[Mount],
    words: impl IntoIterator<Item = String>,
) -> Command {
    ctr(socket, run_words(image, name, mounts, words))
}

fn run_words(image: &str, name: &str, mounts: &[Mount], words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mounts = mounts.iter().flat_map(|mount| {
        let options = if mount.writable { "rbind:rw" } else { "rbind:ro" };
        let (source, target) = (mount.source.display(), mount.target);
        ["--mount".to_owned(), format!("type=bind,src={source},dst={target},options={options}")]
    });
    let first = ["run", "--rm"].map(str::to_owned).into_iter().chain(mounts);
    first.chain([image.to_owned(), name.to_owned()]).chain(words).collect()
}

/// Ends and removes the containers whose names begin like this. One outlives a ctr that was killed, and its name a power cut.
///
/// # Errors
/// containerd does not answer, or keeps one of them.
pub async fn clear(socket: &Path, prefix: &str) -> Result<()> {
    let listed =
        ctr(socket, ["containers", "ls", "-q"]).run().await.context("failed to ask containerd for containers")?;
    for name in listed.stdout.lines().map(str::trim).filter(|name| name.starts_with(prefix)) {
        tracing::warn!(container = name, "removing a container that an earlier attempt has left");
        // One that has ended by itself has no task to kill.
        if let Err(error) = ctr(socket, ["tasks", "kill", "-s", "SIGKILL", name]).run().await {
            tracing::debug!("{error}");
        }
        remove(socket, name).await.with_context(|| format!("failed to remove the container {name}"))?;
    }
    Ok(())
}

/// Removes a container that was just killed: containerd refuses until its task has ended.
async fn remove(socket: &Path, name: &str) -> Result<(), ProcessFailed> {
    const TRIES: u32 = 20;
    let mut tries = 0;
    loop {
        match ctr(socket, ["containers", "rm", name]).run().await {
            Err(ProcessFailed::Exit { .. }) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            ended => return ended.map(drop),
        }
    }
}

fn ctr<A: Into<String>>(socket: &Path, words: impl IntoIterator<Item = A>) -> Command {
    let first = ["--address".to_owned(), socket.display().to_string(), "-n".to_owned(), NAMESPACE.to_owned()];
    Command::new("ctr")
        .args(first.into_iter().chain(words.into_iter().map(Into::into)))
        .env_allow(["PATH"])
        .deadline(CALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_started_as_an_operator_would_type_it() {
        let mounts = [
            Mount { source: "/var/lib/kubeboot/restore/snapshot.db".into(), target: "/snapshot.db", writable: false },
            Mount { source: "/data".into(), target: "/data", writable: true },
        ];
        let words = run_words("registry.k8s.io/etcd:3.6.8-0", "n", &mounts, ["etcdutl".into(), "version".into()]);
        assert_eq!(
            words.join(" "),
            "run --rm --mount type=bind,src=/var/lib/kubeboot/restore/snapshot.db,dst=/snapshot.db,options=rbind:ro \
             --mount type=bind,src=/data,dst=/data,options=rbind:rw registry.k8s.io/etcd:3.6.8-0 n etcdutl version"
        );
    }
}
