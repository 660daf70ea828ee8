//! Failures: the lines of kubeadm's output that a person needs, and the few causes that kubeboot treats differently.

use super::redact;
use serde_json::Value;
use std::borrow::Cow;

/// How many of the last lines are shown for a failure without an error line.
const LAST_LINES: usize = 3;
/// How the line begins that follows an error.
const STACK_HINT: &str = "To see the stack trace";

/// The error of a failed kubeadm, without noise and secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What kind of failure it is.
    pub cause: Cause,
    /// Preflight errors first, then the error itself, one line each.
    pub lines: Vec<String>,
}

/// The causes that a caller distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// etcd has a learner already, and it allows only one.
    TooManyLearners,
    /// etcd refuses to change its members because one of them does not answer.
    UnhealthyEtcd,
    /// The new member never caught up. A wiped machine with the address of a member that had started meets this.
    NeverInSync,
    /// A Node of this name exists and is `Ready`; that of a dead machine stays so for about 40 s.
    NameTaken,
    /// No server behind the endpoint proved to be this cluster's API server.
    EndpointUnverified,
    /// Files or processes of an earlier attempt are still there: wipe first.
    HalfMade,
    /// The versions of kubeadm, kubelet and the cluster do not match.
    VersionSkew,
    /// The machine has several container runtimes, and none was chosen.
    SeveralRuntimes,
    /// kubeadm was not started: this machine does not let kubeboot show it a hosts file of its own.
    Namespace,
    /// Other preflight errors.
    Preflight,
    /// Anything else.
    Other,
}

impl Cause {
    /// Whether the next machine of the group would meet it, too: it is about the cluster, the endpoint, the image or the documents.
    #[must_use]
    pub fn is_shared(self) -> bool {
        match self {
            Self::TooManyLearners
            | Self::UnhealthyEtcd
            | Self::EndpointUnverified
            | Self::VersionSkew
            | Self::SeveralRuntimes
            | Self::Namespace => true,
            Self::NeverInSync | Self::NameTaken | Self::HalfMade | Self::Preflight | Self::Other => false,
        }
    }

    /// What an operator, or the next attempt, can do about it.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::TooManyLearners => "remove the learner that does not start, then join again",
            Self::UnhealthyEtcd => "remove the etcd member that is gone, then join again",
            Self::NeverInSync => "remove this machine's etcd member, wipe the machine, then join again",
            Self::NameTaken => "wait until the Node is no longer Ready, or delete it, then join again",
            Self::EndpointUnverified => {
                "see that an API server answers under the endpoint's name with the cluster's certificates"
            }
            Self::HalfMade => "wipe the machine, then try again",
            Self::VersionSkew => "install kubeadm and kubelet of the cluster's version",
            Self::SeveralRuntimes => "set nodeRegistration.criSocket in the kubeadm configuration",
            Self::Namespace => "let kubeboot mount in a namespace of its own: as root, outside of any container",
            Self::Preflight => "correct what the errors name",
            Self::Other => "see the machine's kubelet and container logs",
        }
    }
}

/// Parses what a kubeadm that failed, or was ended, had printed to its standard error and to its standard output. Warnings and
/// notes are left out, because they name causes that are not the error. Without an error line the last real ones are shown, of
/// standard output only the last one: what kubeadm was at.
#[must_use]
pub fn summarize(stderr: &str, stdout: &str) -> Summary {
    let preflight: Vec<&str> = stderr.lines().map(str::trim).filter(|line| line.starts_with("[ERROR ")).collect();
    let mut lines: Vec<Cow<'_, str>> = preflight.iter().copied().map(Cow::from).collect();
    lines.extend(error_lines(stderr).into_iter().map(Cow::from));
    if lines.is_empty() {
        lines = last_real_lines(stderr, LAST_LINES);
    }
    if lines.is_empty() {
        lines = last_real_lines(stdout, 1);
    }
    Summary { cause: classify(&preflight, &lines), lines: lines.iter().map(|line| redact(line)).collect() }
}

/// The error itself: from the line that begins with `error` to the hint about the stack trace.
fn error_lines(stderr: &str) -> Vec<&str> {
    let all: Vec<&str> = stderr.lines().collect();
    let Some(start) = all.iter().rposition(|line| line.starts_with("error")) else {
        return Vec::new();
    };
    let error = all[start..].iter().take_while(|line| !line.starts_with(STACK_HINT));
    error.map(|line| line.trim()).filter(|line| !line.starts_with('[') && real(line).is_some()).collect()
}

/// The last lines that say something, the same one once.
fn last_real_lines(text: &str, count: usize) -> Vec<Cow<'_, str>> {
    let mut last: Vec<Cow<'_, str>> = Vec::new();
    for line in text.lines().rev().filter_map(real) {
        if last.len() == count {
            break;
        }
        if last.last() != Some(&line) {
            last.push(line);
        }
    }
    last.reverse();
    last
}

/// What a line says; `None` for a warning or a note of kubeadm's own log, of preflight, or of nothing. The client of etcd logs each
/// refusal as a warning, while kubeadm tries again: of these, what etcd said.
fn real(line: &str) -> Option<Cow<'_, str>> {
    let line = line.trim();
    if let Some(refused) = refused_by_etcd(line) {
        return Some(refused.into());
    }
    let noise = line.is_empty() || line.starts_with("[WARNING ") || line.starts_with(STACK_HINT) || is_klog_note(line);
    (!noise && !line.starts_with(['{', '#'])).then_some(line.into())
}

/// Whether this is a warning or an information of klog, such as `W1120 12:02:11.769134     131 utils.go:69] ...`.
fn is_klog_note(line: &str) -> bool {
    let Some((head, _)) = line.split_once(' ') else { return false };
    let date = head.strip_prefix(['W', 'I']).unwrap_or_default();
    date.len() == 4 && date.bytes().all(|byte| byte.is_ascii_digit())
}

/// What etcd answered, in a line of its client's log.
fn refused_by_etcd(line: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(line.strip_prefix('{').map(|_| line)?).ok()?;
    let error = entry.get("error")?.as_str()?;
    Some(error.rsplit_once("desc = ").map_or(error, |(_, words)| words).to_owned())
}

fn classify(preflight: &[&str], lines: &[Cow<'_, str>]) -> Cause {
    const PATTERNS: [(&str, Cause); 9] = [
        ("too many learner members in cluster", Cause::TooManyLearners),
        ("etcdserver: unhealthy cluster", Cause::UnhealthyEtcd),
        ("learner member which is in sync with leader", Cause::NeverInSync),
        ("and status \"Ready\" already exists in the cluster", Cause::NameTaken),
        ("couldn't validate the identity of the API Server", Cause::EndpointUnverified),
        ("found multiple CRI endpoints", Cause::SeveralRuntimes),
        ("[ERROR KubeletVersion]", Cause::VersionSkew),
        ("[ERROR KubernetesVersion]", Cause::VersionSkew),
        ("this version of kubeadm only supports deploying clusters", Cause::VersionSkew),
    ];
    let is_printed = |words: &str| lines.iter().any(|line| line.contains(words));
    if let Some((_, cause)) = PATTERNS.iter().find(|(words, _)| is_printed(words)) {
        return *cause;
    }
    let unable = ["mount: ", "unshare: "];
    if lines.iter().any(|line| unable.iter().any(|program| line.starts_with(program))) {
        return Cause::Namespace;
    }
    let leftover = ["[ERROR FileAvailable-", "[ERROR Port-", "[ERROR DirAvailable-"];
    let is_leftover = |line: &&str| leftover.iter().any(|start| line.starts_with(start));
    match preflight {
        [] => Cause::Other,
        all if all.iter().all(is_leftover) => Cause::HalfMade,
        _ => Cause::Preflight,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! capture {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/kubeadm-1.36/", $name, ".err"))
        };
    }

    #[test]
    fn captured_failures_are_classified() {
        let table = [
            (capture!("join-with-orphan-learner"), Cause::TooManyLearners, 1),
            (capture!("join-with-dead-member"), Cause::UnhealthyEtcd, 1),
            (capture!("join-same-ip-as-dead-member"), Cause::NeverInSync, 1),
            (capture!("join-again-without-reset"), Cause::HalfMade, 4),
            (capture!("init-after-manifests-killed"), Cause::HalfMade, 5),
            (capture!("init-while-running"), Cause::HalfMade, 12),
        ];
        for (stderr, cause, lines) in table {
            let summary = summarize(stderr, "");
            assert_eq!((summary.cause, summary.lines.len()), (cause, lines), "{summary:?}");
            assert!(!summary.lines.iter().any(|line| line.contains("retrying")), "{summary:?}");
        }
    }

    #[test]
    fn failures_that_were_not_captured_are_classified_by_their_text() {
        let table = [
            (
                "error: error execution phase kubelet-start: a Node with name \"n1\" and status \"Ready\" already exists in the cluster. You must",
                Cause::NameTaken,
            ),
            (
                "error: error execution phase preflight: couldn't validate the identity of the API Server: timed out",
                Cause::EndpointUnverified,
            ),
            (
                "\t[ERROR KubeletVersion]: the kubelet version is higher than the control plane version\nerror: preflight",
                Cause::VersionSkew,
            ),
            (
                "found multiple CRI endpoints on the host. Please define which one do you wish to use",
                Cause::SeveralRuntimes,
            ),
            ("\t[ERROR NumCPU]: too few\n\t[ERROR Port-6443]: in use\nerror: preflight", Cause::Preflight),
            ("error: secret token abcdef.0123456789abcdef", Cause::Other),
            ("", Cause::Other),
        ];
        for (stderr, cause) in table {
            assert_eq!(summarize(stderr, "").cause, cause, "{stderr}");
        }
        assert_eq!(summarize("error: token abcdef.0123456789abcdef", "").lines, ["error: token [token]"]);
    }

    /// The captured standard error without its last lines, as when kubeadm is ended before it gives up.
    fn cut_off(stderr: &str) -> String {
        let end = stderr.find("error: error execution phase").unwrap_or(stderr.len());
        stderr[..end].to_owned()
    }

    #[test]
    fn what_is_shown_is_the_last_real_line_and_never_a_warning() {
        let proxy = r#"W1120 12:40:56.607122     128 utils.go:69] The recommended value for "bindAddress" is: ::"#;
        let rows: [(String, &str, Cause, &[&str]); 12] = [
            (cut_off(capture!("join-with-dead-member")), "", Cause::UnhealthyEtcd, &["etcdserver: unhealthy cluster"]),
            (
                cut_off(capture!("join-with-orphan-learner")),
                "",
                Cause::TooManyLearners,
                &["etcdserver: too many learner members in cluster"],
            ),
            (
                cut_off(capture!("join-same-ip-as-dead-member")),
                "",
                Cause::NeverInSync,
                &["etcdserver: can only promote a learner member which is in sync with leader"],
            ),
            (capture!("join-control-plane").into(), "", Cause::Other, &[]),
            (
                capture!("join-control-plane").into(),
                "[certs] one\n[etcd] Waiting for the new etcd member to join the cluster\n\n",
                Cause::Other,
                &["[etcd] Waiting for the new etcd member to join the cluster"],
            ),
            (capture!("init-with-restored-etcd").into(), "[certs] one", Cause::Other, &["[certs] one"]),
            (capture!("reset-force").into(), "", Cause::Other, &[]),
            (
                format!(
                    "{proxy}\nI0101 00:00:00.000000 1 a.go:1] note\nE0101 00:00:00.000000 1 a.go:1] cause\n{proxy}"
                ),
                "[certs] one",
                Cause::Other,
                &["E0101 00:00:00.000000 1 a.go:1] cause"],
            ),
            (
                format!("error: the cause\n{proxy}\nmore of it\nTo see the stack trace"),
                "",
                Cause::Other,
                &["error: the cause", "more of it"],
            ),
            ("a\n\nb\nc\nc\nd\n".into(), "", Cause::Other, &["b", "c", "d"]),
            (
                "mount: /etc/hosts: permission denied.\n".into(),
                "",
                Cause::Namespace,
                &["mount: /etc/hosts: permission denied."],
            ),
            ("{\"level\":\"warn\"}\n{not json".into(), "", Cause::Other, &[]),
        ];
        for (stderr, stdout, cause, lines) in rows {
            let summary = summarize(&stderr, stdout);
            assert_eq!(
                (summary.cause, summary.lines.iter().map(String::as_str).collect::<Vec<_>>()),
                (cause, lines.to_vec())
            );
        }
    }
}
