//! The container runtime behind kubelet.

use crate::host::process::ProcessFailed;
use crate::host::runtime::{self, KNOWN};
use crate::model::machine::defect::Defect;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// What mends one that does not answer.
const REMEDY: &str = "start the container runtime, and enable its unit";

/// Whether there is one container runtime, and it answers; its name, and where it is. `given`: the socket that the documents name.
///
/// # Errors
/// There is none, there are several, or it does not answer.
pub async fn container_runtime(given: Option<&str>) -> Result<String, Defect> {
    let socket = listening(given).await?;
    let shown = socket.display();
    match runtime::crictl(&socket, ["version"]).run().await {
        Ok(output) => Ok(format!("{} at '{shown}'", name_and_version(&output.stdout))),
        Err(ProcessFailed::NotFound { .. }) => {
            Ok(format!("a runtime answers at '{shown}'; without crictl its version is not known"))
        }
        Err(failed) => Err(without_cri(&socket, &failed)),
    }
}

/// What certainly keeps kubeadm from using the runtime. It asks by itself, and needs no crictl: one that is old, or wrongly set up, says
/// nothing of the runtime.
pub async fn certain_problem(given: Option<&str>) -> Option<Defect> {
    let socket = match listening(given).await {
        Ok(socket) => socket,
        Err(defect) => return Some(defect),
    };
    let failed = runtime::crictl(&socket, ["version"]).run().await.err()?;
    says_without_cri(&failed.to_string()).then(|| without_cri(&socket, &failed))
}

/// Whether the runtime itself says that it has no such service: containerd with its plugin for Kubernetes disabled.
fn says_without_cri(text: &str) -> bool {
    text.contains("unknown service runtime.v1.")
}

/// The socket, at which somebody listens.
///
/// # Errors
/// There is none, there are several, or nobody listens.
pub async fn listening(given: Option<&str>) -> Result<PathBuf, Defect> {
    let socket = choose(given, &runtime::sockets())?;
    match UnixStream::connect(&socket).await {
        Ok(_) => Ok(socket),
        Err(error) => Err(Defect::new(format!("no answer at '{}': {error}", socket.display()), REMEDY)),
    }
}

fn without_cri(socket: &Path, failed: &ProcessFailed) -> Defect {
    Defect::new(
        format!("the runtime at '{}' does not speak CRI: {}", socket.display(), without_time(&failed.to_string())),
        format!("{REMEDY}; with containerd, see that 'cri' is not among disabled_plugins in its config.toml"),
    )
}

/// What crictl said, on one line and without the time, with which each look would find another reason.
fn without_time(text: &str) -> String {
    text.split_whitespace().filter(|word| !word.starts_with("time=")).collect::<Vec<_>>().join(" ")
}

/// The socket that kubeadm will use: the one that is given, or the only one there is.
fn choose(given: Option<&str>, found: &[&str]) -> Result<PathBuf, Defect> {
    match (given, found) {
        (Some(given), _) => Ok(runtime::path_of(given).into()),
        (None, [one]) => Ok(one.into()),
        (None, []) => Err(Defect::new(
            format!("there is no container runtime: none of {} is there", KNOWN.join(", ")),
            "install containerd or CRI-O and start it, or name its socket in nodeRegistration.criSocket",
        )),
        (None, several) => Err(Defect::new(
            format!("there are several container runtimes, and kubeadm will not choose: {}", several.join(", ")),
            "name one of them in nodeRegistration.criSocket of the kubeadm configuration",
        )),
    }
}

/// Reads the answer of `crictl version`: lines `RuntimeName:  containerd`, or JSON.
fn name_and_version(stdout: &str) -> String {
    let json: Value = serde_json::from_str(stdout).unwrap_or_default();
    let field = |line: &str, key: &str| {
        let in_lines = stdout.lines().filter_map(|text| text.split_once(':')).find(|(name, _)| name.trim() == line);
        in_lines.map(|(_, value)| value.trim()).or_else(|| json.get(key)?.as_str()).unwrap_or("unknown").to_owned()
    };
    format!("{} {}", field("RuntimeName", "runtimeName"), field("RuntimeVersion", "runtimeVersion"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_runtime_is_chosen_as_kubeadm_chooses() {
        let [containerd, crio, _] = KNOWN;
        assert_eq!(choose(None, &[containerd]), Ok(containerd.into()));
        assert_eq!(choose(Some("unix:///run/x.sock"), &[containerd, crio]), Ok("/run/x.sock".into()));
        assert_eq!(choose(Some("/run/x.sock"), &[]), Ok("/run/x.sock".into()));
        let text = |found: &[&str]| choose(None, found).err().map(|defect| defect.what).unwrap_or_default();
        assert!(text(&[]).contains("no container runtime"));
        assert!(text(&[containerd, crio]).contains("several"));
    }

    #[test]
    fn only_the_runtimes_own_word_says_that_it_does_not_speak_cri() {
        let rows = [
            ("rpc error: code = Unimplemented desc = unknown service runtime.v1.RuntimeService", true),
            ("rpc error: code = Unimplemented desc = unknown service runtime.v1alpha2.RuntimeService", false),
            ("failed to load config file: yaml: unmarshal errors", false),
            ("'crictl' did not end within 5 s", false),
        ];
        for (text, expected) in rows {
            assert_eq!(says_without_cri(text), expected, "{text}");
        }
    }

    #[test]
    fn the_same_failure_is_told_in_the_same_words() {
        let said =
            "crictl exited with 1: time=\"2026-11-29T16:00:00Z\" level=fatal msg=\"validate service connection: no\"\n";
        assert_eq!(without_time(said), "crictl exited with 1: level=fatal msg=\"validate service connection: no\"");
    }

    #[test]
    fn versions_are_read_from_lines_and_from_json() {
        let lines = "Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  v2.1.0\nRuntimeApiVersion:  v1\n";
        let json = r#"{"version": "0.1.0", "runtimeName": "cri-o", "runtimeVersion": "1.36.0"}"#;
        let table = [(lines, "containerd v2.1.0"), (json, "cri-o 1.36.0"), ("", "unknown unknown")];
        for (stdout, expected) in table {
            assert_eq!(name_and_version(stdout), expected);
        }
    }
}
