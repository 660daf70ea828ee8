//! Progress: the lines `[phase] text` of kubeadm's standard output.

/// One step that kubeadm announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeadmPhase {
    /// The name in brackets, such as `etcd`.
    pub name: String,
    /// kubeadm's text for it, redacted.
    pub text: String,
}

/// Parses one line; `None` if it announces no step, such as the closing text, which holds join commands with tokens.
#[must_use]
pub fn phase(line: &str) -> Option<KubeadmPhase> {
    let (name, text) = line.strip_prefix('[')?.split_once("] ")?;
    let plain = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    Some(KubeadmPhase { name: name.to_owned(), text: super::redact(text.trim_end()) })
}

/// Whether the line says that etcd has accepted this machine as a member. From then on stopping kubeadm leaves a member behind. (The
/// member can be in the list a moment before the line is printed.)
#[must_use]
pub fn announces_member(line: &str) -> bool {
    line.starts_with("[etcd] Announced new etcd member")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &str = include_str!("../../../tests/fixtures/kubeadm-1.36/init.out");
    const JOIN: &str = include_str!("../../../tests/fixtures/kubeadm-1.36/join-control-plane.out");

    fn names(output: &str) -> Vec<String> {
        let mut names: Vec<String> = output.lines().filter_map(phase).map(|phase| phase.name).collect();
        names.dedup();
        names
    }

    #[test]
    fn the_steps_of_an_init_are_read() {
        let names = names(INIT);
        assert_eq!(names.first().map(String::as_str), Some("init"));
        assert_eq!(names.last().map(String::as_str), Some("addons"));
        for name in ["preflight", "certs", "kubeconfig", "etcd", "control-plane", "wait-control-plane", "upload-config"]
        {
            assert!(names.iter().any(|given| given == name), "{name} is missing from {names:?}");
        }
    }

    #[test]
    fn no_step_shows_a_secret_of_the_init() {
        let shown: Vec<String> = INIT.lines().filter_map(phase).map(|phase| phase.text).collect();
        assert!(shown.iter().any(|text| text == "Using token: [token]"), "{shown:?}");
        assert!(!shown.join("\n").contains("0123456789abcdef"));
    }

    #[test]
    fn a_join_announces_its_member_once_and_an_init_never() {
        assert_eq!(JOIN.lines().filter(|line| announces_member(line)).count(), 1);
        assert_eq!(INIT.lines().filter(|line| announces_member(line)).count(), 0);
    }

    #[test]
    fn other_lines_are_no_steps() {
        for line in [
            "",
            "[",
            "[]",
            "[] x",
            "Your Kubernetes control-plane",
            "[ERROR Port-6443]: in use",
            "\t[etcd] x",
            "[a b] c",
        ] {
            assert_eq!(phase(line), None, "{line}");
        }
    }
}
