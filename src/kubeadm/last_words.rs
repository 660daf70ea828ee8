//! What kubelet and the containers of the control plane that have ended said last. kubeadm's own error often names only what it has
//! waited for; the cause is in their logs, which a wipe removes.
//!
//! Best effort: where there is no journal or no crictl, there are no words.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::output::redact;
use super::quiesce::PROGRAMS;
use crate::host::process::{Command, ProcessFailed};
use crate::host::runtime::{self, ListedContainer};

/// How long all questions may take together. The claim or the lease is held meanwhile.
const LONGEST: Duration = Duration::from_secs(10);
/// How long one question may take.
const CALL: Duration = Duration::from_secs(3);
/// How many of the last lines of a log are looked at: etcd prints all its flags after what is wrong with one.
const LOOKED_AT: &str = "400";
/// How many lines of a log are told.
const TOLD: usize = 5;
/// The longest line that is told, in characters.
const LONGEST_LINE: usize = 400;

/// The last words, a line each, with the name of who said it, without secrets. `cri_socket` is the runtime's socket, where the
/// documents name one.
pub async fn last_words(cri_socket: Option<&str>) -> Vec<String> {
    let mut words = Vec::new();
    let asked = timeout(LONGEST, async {
        match of_kubelet().await {
            Ok(said) => words.extend(said),
            Err(failed) => tracing::debug!("failed to read kubelet's journal: {failed}"),
        }
        for socket in runtime::chosen(cri_socket) {
            if let Err(failed) = of_containers(Path::new(socket), &mut words).await {
                tracing::debug!("failed to read the logs of containers: {failed}");
            }
        }
    });
    if asked.await.is_err() {
        tracing::debug!("the last words of kubelet and containers took too long");
    }
    words
}

async fn of_kubelet() -> Result<Vec<String>, ProcessFailed> {
    let args = ["--unit=kubelet.service", "--boot", "--lines", LOOKED_AT, "--output=cat", "--no-pager", "--quiet"];
    let said = Command::new("journalctl").args(args).env_allow(["PATH"]).deadline(CALL).run().await?;
    Ok(told("kubelet", &said.stdout))
}

async fn of_containers(socket: &Path, words: &mut Vec<String>) -> Result<(), ProcessFailed> {
    let names = format!("^({})$", PROGRAMS.join("|"));
    let args = ["ps", "--state", "exited", "--name", &names, "--output", "json"];
    let listed = runtime::crictl(socket, args).deadline(CALL).run().await?;
    for ListedContainer { id, name, .. } in last_ended(&listed.stdout) {
        let args = ["logs", "--tail", LOOKED_AT, id.as_str()];
        let said = runtime::crictl(socket, args).deadline(CALL).run().await?;
        // A container's standard output and error come as those of crictl.
        words.extend(told(&format!("container {name}"), &format!("{}\n{}", said.stdout, said.stderr)));
    }
    Ok(())
}

/// The last container of each program that has ended, by crictl's answer.
fn last_ended(answer: &str) -> Vec<ListedContainer> {
    let mut containers = runtime::listed(answer).unwrap_or_default();
    containers.retain(|each| PROGRAMS.contains(&each.name.as_str()));
    containers.sort_by(|one, other| (&one.name, other.attempt).cmp(&(&other.name, one.attempt)));
    containers.dedup_by(|next, first| next.name == first.name);
    containers
}

/// The lines of a log that are told: the last errors, or without any the last lines.
fn told(who: &str, log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let errors: Vec<&str> = lines.iter().copied().filter(|line| is_error(line)).collect();
    let chosen = if errors.is_empty() { lines } else { errors };
    let last = &chosen[chosen.len().saturating_sub(TOLD)..];
    last.iter().map(|line| format!("{who}: {}", shortened(&redact(line)))).collect()
}

/// Whether a line is an error in the form of klog (`E1120 ...`, `F1120 ...`), of zap (JSON with a level) or of Go itself.
fn is_error(line: &str) -> bool {
    const STARTS: [&str; 6] =
        ["Error:", "error:", "panic:", "fatal error:", "invalid value ", "flag provided but not defined"];
    if let Some(entry) = line.strip_prefix('{').and_then(|_| serde_json::from_str::<Value>(line).ok()) {
        let level = entry.get("level").and_then(Value::as_str).unwrap_or_default();
        return ["error", "dpanic", "panic", "fatal"].contains(&level);
    }
    let date = line.strip_prefix(['E', 'F']).and_then(|rest| rest.get(..5)).unwrap_or_default();
    let is_klog = date.ends_with(' ') && date.bytes().take(4).all(|byte| byte.is_ascii_digit());
    is_klog || STARTS.iter().any(|start| line.starts_with(start))
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_rather_than_the_last_lines() {
        let kubelet = "I1120 12:00:00.0 1 server.go:1] \"Kubelet version\"\n\
             E1120 12:00:00.1 1 run.go:72] \"command failed\" err=\"failed to load kubelet config file\"\n\
             kubelet.service: Main process exited, code=exited, status=1/FAILURE\n\
             kubelet.service: Failed with result 'exit-code'.\n";
        let etcd = "{\"level\":\"info\",\"msg\":\"starting\"}\n{\"level\":\"fatal\",\"msg\":\"failed to open\"}\n";
        let go = "panic: tocommit(11) is out of range\n\ngoroutine 1 [running]:\nmain.main()\n";
        let flags = "invalid value \"much\" for flag -quota-backend-bytes: parse error\nUsage:\n\n  etcd [flags]\n";
        let rows: [(&str, &[&str]); 7] = [
            (flags, &["x: invalid value \"much\" for flag -quota-backend-bytes: parse error"]),
            (
                kubelet,
                &["x: E1120 12:00:00.1 1 run.go:72] \"command failed\" err=\"failed to load kubelet config file\""],
            ),
            (etcd, &["x: {\"level\":\"fatal\",\"msg\":\"failed to open\"}"]),
            (go, &["x: panic: tocommit(11) is out of range"]),
            ("a\n\n b \nc", &["x: a", "x: b", "x: c"]),
            ("Everything\nE12 is no klog\nErrors", &["x: Everything", "x: E12 is no klog", "x: Errors"]),
            ("", &[]),
        ];
        for (log, expected) in rows {
            assert_eq!(told("x", log), expected);
        }
    }

    #[test]
    fn what_is_told_is_bounded_and_without_secrets() {
        let long = "\u{fc}".repeat(5000);
        let log = format!("{}token abcdef.0123456789abcdef\n{long}", "line\n".repeat(1000));
        let told = told("x", &log);
        assert_eq!(told.len(), TOLD);
        assert!(told.iter().all(|line| line.chars().count() <= LONGEST_LINE + 6), "{told:?}");
        assert_eq!(told[TOLD - 2], "x: token [token]");
    }

    #[test]
    fn of_each_program_the_last_container_that_ended_is_asked() {
        let answer = r#"{"containers": [
            {"id": "0a", "metadata": {"name": "etcd", "attempt": 1}, "state": "CONTAINER_EXITED"},
            {"id": "0b", "metadata": {"name": "etcd", "attempt": 3}, "state": "CONTAINER_EXITED"},
            {"id": "0c", "metadata": {"name": "kube-apiserver"}, "state": "CONTAINER_EXITED"},
            {"id": "--all", "metadata": {"name": "kube-scheduler"}},
            {"id": "0d", "metadata": {"name": "app"}}]}"#;
        let ids: Vec<String> = last_ended(answer).into_iter().map(|each| each.id).collect();
        assert_eq!(ids, ["0b", "0c"]);
        for nothing in ["", "{}", "[]", r#"{"containers": null}"#, "FATA[0000] no"] {
            assert!(last_ended(nothing).is_empty(), "{nothing}");
        }
    }

    #[tokio::test]
    async fn without_a_runtime_there_are_no_words_of_containers() {
        let words = last_words(Some("/nowhere/containerd.sock")).await;
        assert!(!words.iter().any(|line| line.starts_with("container")), "{words:?}");
    }
}
