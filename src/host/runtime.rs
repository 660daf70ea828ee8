//! The container runtime: where it listens, and asking it by crictl.

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::process::Command;

/// Where kubeadm looks for a runtime (its `constants_unix.go`).
pub const KNOWN: [&str; 3] = ["/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/cri-dockerd.sock"];

/// How long one question may take.
const CALL: Duration = Duration::from_secs(10);
/// How many seconds a container has to end by itself, after it was asked to.
const PATIENCE: &str = "10";
/// The same for one that is not asked.
const NO_PATIENCE: &str = "0";
/// How long ending one may take: longer than its patience.
const STOP: Duration = Duration::from_secs(20);

/// Those at which there is one.
#[must_use]
pub fn sockets() -> Vec<&'static str> {
    KNOWN.into_iter().filter(|path| is_socket(Path::new(path))).collect()
}

/// The socket that was given, or else those at which there is a runtime.
#[must_use]
pub fn chosen(given: Option<&str>) -> Vec<&str> {
    match given {
        Some(socket) => vec![path_of(socket)],
        None => sockets(),
    }
}

fn is_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// The path of a socket as kubeadm's documents name it.
#[must_use]
pub fn path_of(socket: &str) -> &str {
    socket.strip_prefix("unix://").unwrap_or(socket)
}

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningContainer {
    /// Its ID.
    pub id: String,
    /// When it was made, by this machine's clock.
    pub created: SystemTime,
}

/// The containers of this name that run in kubelet's own pods, by the runtime at the socket that was given or else by each there is.
///
/// # Errors
/// No runtime answers, or what it says makes no sense.
pub async fn running(given: Option<&str>, name: &str) -> Result<Vec<RunningContainer>> {
    let label = format!("io.kubernetes.container.name={name}");
    let args = ["ps", "--output", "json", "--label", &label, "--label", "io.kubernetes.pod.namespace=kube-system"];
    let mut found = Err(anyhow!("there is no container runtime on this machine"));
    for socket in chosen(given) {
        let asked = crictl(Path::new(socket), args).deadline(CALL).run().await;
        let answer = asked.map_err(anyhow::Error::from).and_then(|output| containers(&output.stdout));
        let answer = answer.with_context(|| format!("failed to ask the container runtime at {socket} for {name}"));
        if is_better(&found, &answer) {
            found = answer;
        }
    }
    found
}

/// Whether a runtime's answer tells more than that of one before: of two on a machine, one may be down or run nothing.
fn is_better(before: &Result<Vec<RunningContainer>>, now: &Result<Vec<RunningContainer>>) -> bool {
    match (before, now) {
        (Err(_), _) => true,
        (Ok(before), Ok(now)) => before.is_empty() && !now.is_empty(),
        (Ok(_), Err(_)) => false,
    }
}

/// Ends a container, after asking it to.
///
/// # Errors
/// No runtime knows it, or it does not end.
pub async fn stop(given: Option<&str>, id: &str) -> Result<()> {
    stop_within(given, id, PATIENCE).await
}

/// Ends a container without asking it.
///
/// # Errors
/// No runtime knows it, or it does not end.
pub async fn kill(given: Option<&str>, id: &str) -> Result<()> {
    stop_within(given, id, NO_PATIENCE).await
}

async fn stop_within(given: Option<&str>, id: &str, patience: &str) -> Result<()> {
    let mut stopped = Err(anyhow!("there is no container runtime on this machine"));
    for socket in chosen(given) {
        let args = ["stop", "--timeout", patience, id];
        stopped = crictl(Path::new(socket), args).deadline(STOP).run().await.map(drop).map_err(anyhow::Error::from);
        if stopped.is_ok() {
            break;
        }
    }
    stopped.with_context(|| format!("failed to stop container {id}"))
}

/// A container as `crictl ps --output json` tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedContainer {
    /// Its ID, which is letters and digits.
    pub id: String,
    /// Its name in its pod.
    pub name: String,
    /// How many of this name its pod had before.
    pub attempt: u32,
    /// Whether it runs.
    pub runs: bool,
    /// When it was made, by this machine's clock, where that makes sense.
    pub created: Option<SystemTime>,
}

/// Reads the answer of `crictl ps --output json`. What has no ID that could stand on a command line is left out.
///
/// # Errors
/// It is no such list.
pub fn listed(json: &str) -> Result<Vec<ListedContainer>> {
    let answer: Containers = serde_json::from_str(json).context("crictl's answer is no list of containers")?;
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let known = answer.containers.into_iter().filter(|container| is_id(&container.id));
    Ok(known
        .map(|Container { id, metadata, state, created_at }| ListedContainer {
            id,
            name: metadata.name,
            attempt: metadata.attempt,
            runs: state == "CONTAINER_RUNNING",
            created: created_at.parse().ok().map(|since| SystemTime::UNIX_EPOCH + Duration::from_nanos(since)),
        })
        .collect())
}

/// Those that run.
fn containers(json: &str) -> Result<Vec<RunningContainer>> {
    let running = listed(json)?.into_iter().filter(|container| container.runs);
    running
        .map(|container| {
            let created = container.created.context("crictl tells no time of a container")?;
            Ok(RunningContainer { id: container.id, created })
        })
        .collect()
}

#[derive(Deserialize)]
struct Containers {
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    id: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    state: String,
    #[serde(default)]
    created_at: String,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    attempt: u32,
}

/// crictl with these arguments, asking the runtime at this socket.
pub fn crictl<A: Into<OsString>>(socket: &Path, args: impl IntoIterator<Item = A>) -> Command {
    // A variable, since crictl takes this option in several places, depending on its age.
    let endpoint = format!("unix://{}", socket.display());
    Command::new("crictl").args(args).env_allow(["PATH"]).env("CONTAINER_RUNTIME_ENDPOINT", endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_is_down_takes_nothing_from_what_another_one_says() {
        let container = RunningContainer { id: "0a".into(), created: SystemTime::UNIX_EPOCH };
        let (some, none, down) = (|| Ok(vec![container.clone()]), || Ok(Vec::new()), || Err(anyhow!("down")));
        assert!(is_better(&down(), &down()) && is_better(&down(), &none()) && is_better(&none(), &some()));
        assert!(!is_better(&some(), &down()) && !is_better(&some(), &none()) && !is_better(&none(), &down()));
        assert!(!is_better(&some(), &some()), "the first that has some");
    }

    #[test]
    fn running_containers_are_read_from_what_crictl_prints() -> Result<()> {
        let answer = r#"{"containers": [
            {"id": "0a1b", "podSandboxId": "5c", "metadata": {"name": "kube-scheduler", "attempt": 1},
             "state": "CONTAINER_RUNNING", "createdAt": "1790000000500000000", "labels": {}},
            {"id": "--all", "state": "CONTAINER_RUNNING", "createdAt": "1790000000500000000"},
            {"id": "2c3d", "state": "CONTAINER_EXITED", "createdAt": "1780000000000000000"}
        ]}"#;
        let created = SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_500);
        assert_eq!(containers(answer)?, [RunningContainer { id: "0a1b".into(), created }]);
        assert_eq!(containers(r#"{"containers": []}"#)?, []);
        assert_eq!(containers("{}")?, []);
        for bad in [
            "",
            r#"{"containers": 1}"#,
            r#"{"containers": [{"id": "0a", "state": "CONTAINER_RUNNING", "createdAt": "x"}]}"#,
        ] {
            assert!(containers(bad).is_err(), "{bad}");
        }
        Ok(())
    }
}
