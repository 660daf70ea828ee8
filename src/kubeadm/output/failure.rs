//! Failures: the lines of kubeadm's standard error that a person needs, and the few causes that kubeboot treats differently.

use super::redact;

/// How many of the last lines are shown for a failure without an error line.
const LAST_LINES: usize = 3;

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
    /// Other preflight errors.
    Preflight,
    /// Anything else.
    Other,
}

impl Cause {
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
            Self::Preflight => "correct what the errors name",
            Self::Other => "see the machine's kubelet and container logs",
        }
    }
}

/// Parses the standard error of a failed kubeadm. Warnings and etcd's retries are left out, because they name causes that are not
/// the error.
#[must_use]
pub fn summarize(stderr: &str) -> Summary {
    let preflight: Vec<&str> = stderr.lines().map(str::trim).filter(|line| line.starts_with("[ERROR ")).collect();
    let mut lines = preflight.clone();
    lines.extend(error_lines(stderr));
    if lines.is_empty() {
        let mut last: Vec<&str> =
            stderr.lines().rev().filter(|line| !line.trim().is_empty()).take(LAST_LINES).collect();
        last.reverse();
        lines = last;
    }
    Summary { cause: classify(&preflight, &lines), lines: lines.into_iter().map(redact).collect() }
}

/// The error itself: from the line that begins with `error` to the hint about the stack trace.
fn error_lines(stderr: &str) -> Vec<&str> {
    let all: Vec<&str> = stderr.lines().collect();
    let Some(start) = all.iter().rposition(|line| line.starts_with("error")) else {
        return Vec::new();
    };
    let error = all[start..].iter().take_while(|line| !line.starts_with("To see the stack trace"));
    let noise = |line: &str| line.is_empty() || line.starts_with('[');
    error.map(|line| line.trim()).filter(|line| !noise(line)).collect()
}

fn classify(preflight: &[&str], lines: &[&str]) -> Cause {
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
            let summary = summarize(stderr);
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
            assert_eq!(summarize(stderr).cause, cause, "{stderr}");
        }
        assert_eq!(summarize("error: token abcdef.0123456789abcdef").lines, ["error: token [token]"]);
        assert_eq!(summarize("a\n\nb\nc\nd\n").lines, ["b", "c", "d"]);
    }
}
