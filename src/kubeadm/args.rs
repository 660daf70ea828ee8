//! The argument vectors of every kubeadm command that kubeboot runs. Pure. None holds a secret, because every user of the machine
//! can read arguments in `/proc`.

use crate::kubeadm::output::Version;
use std::path::Path;
use std::time::Duration;

/// Skips the phase of `kubeadm reset` that must never run: it looks up the machine's address among the etcd members and
/// removes the member that has it. On a machine made from another node's image that is the original's live member.
const NEVER_ON_RESET: &str = "--skip-phases=remove-etcd-member";

/// How long a client credential that a joining node makes for itself is valid. Who works longer with it makes another one.
pub const CREDENTIAL_VALIDITY: Duration = Duration::from_secs(60 * 60);

/// `kubeadm init` with the completed documents in `config`.
///
/// The token is not printed. Certificates are not uploaded into the cluster (`--upload-certs`): they are in the PKI bundle, and a
/// Secret that expires after two hours would not help a replacement of tomorrow.
#[must_use]
pub fn init(config: &Path) -> Vec<String> {
    words(["init", "--config", &text(config), "--skip-token-print"])
}

/// `kubeadm join` with the completed documents in `config`.
#[must_use]
pub fn join(config: &Path) -> Vec<String> {
    words(["join", "--config", &text(config)])
}

/// `kubeadm reset` of this machine alone, never of its etcd membership.
///
/// `cri_socket` is needed where the machine has several container runtimes.
#[must_use]
pub fn reset(cri_socket: Option<&str>) -> Vec<String> {
    let mut args = words(["reset", "-f", NEVER_ON_RESET]);
    if let Some(socket) = cri_socket {
        args.extend(words(["--cri-socket", socket]));
    }
    args
}

/// Who a kubeconfig is for.
#[derive(Debug, Clone, Copy)]
pub struct ClientUser<'a> {
    /// The name of the user.
    pub name: &'a str,
    /// The groups; none has a comma in it.
    pub organizations: &'a [String],
    /// How long the certificate is valid.
    pub validity: Duration,
}

/// `kubeadm kubeconfig user`: prints a kubeconfig, made from the CA in the `certificatesDir` that `config` names. Needs no network and
/// writes nothing.
#[must_use]
pub fn kubeconfig_user(user: &ClientUser<'_>, config: &Path) -> Vec<String> {
    words([
        "kubeconfig",
        "user",
        "--client-name",
        user.name,
        "--org",
        &user.organizations.join(","),
        "--config",
        &text(config),
        "--validity-period",
        &span(user.validity),
    ])
}

/// A duration as Go reads it, which knows no days.
fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// `kubeadm init phase certs etcd-healthcheck-client`: makes an etcd client certificate below `certificates_dir` from
/// the etcd CA that lies there. kubeadm refuses `--config` beside `--cert-dir`, and without a version it would ask the
/// internet.
#[must_use]
pub fn etcd_client_certificate(certificates_dir: &Path, kubernetes_version: &str) -> Vec<String> {
    words([
        "init",
        "phase",
        "certs",
        "etcd-healthcheck-client",
        "--cert-dir",
        &text(certificates_dir),
        "--kubernetes-version",
        kubernetes_version,
    ])
}

/// A phase of `kubeadm init`, with the documents in `config`.
#[must_use]
pub fn init_phase(phase: &[&str], config: &Path) -> Vec<String> {
    let config = text(config);
    ["init", "phase"].iter().chain(phase).chain(&["--config", &config]).map(|word| (*word).to_owned()).collect()
}

/// `kubeadm certs renew` of one certificate, by the documents in `config`: without them kubeadm would ask the cluster, which may be out of
/// reach just because a certificate has ended.
#[must_use]
pub fn renew_certificate(name: &str, config: &Path) -> Vec<String> {
    words(["certs", "renew", name, "--config", &text(config)])
}

/// `kubeadm init phase kubeconfig kubelet`: makes a kubeconfig for this machine's kubelet below `folder`, with a certificate by the
/// authority on this machine.
#[must_use]
pub fn kubelet_kubeconfig(config: &Path, folder: &Path) -> Vec<String> {
    let mut arguments = init_phase(&["kubeconfig", "kubelet"], config);
    arguments.extend(words(["--kubeconfig-dir", &text(folder)]));
    arguments
}

/// `kubeadm token delete` of the bootstrap token with this public `id` (the six characters before the dot; never the
/// secret).
#[must_use]
pub fn token_delete(id: &str, kubeconfig: &Path) -> Vec<String> {
    words(["token", "delete", id, "--kubeconfig", &text(kubeconfig)])
}

/// `kubeadm config images list` of the documents in `config`: names only, nothing is pulled.
#[must_use]
pub fn images(config: &Path) -> Vec<String> {
    words(["config", "images", "list", "--config", &text(config)])
}

/// `kubeadm config images list` of a version, which kubeadm would else ask the internet for.
#[must_use]
pub fn images_of(version: &Version) -> Vec<String> {
    words(["config", "images", "list", "--kubernetes-version", &version.to_string()])
}

/// One phase of `kubeadm upgrade apply`, of those that concern the cluster and no machine. `patches`: the folder of the operator's patches,
/// where the phase takes any.
#[must_use]
pub fn upgrade_phase(phase: &[&str], version: &str, kubeconfig: &Path, patches: Option<&Path>) -> Vec<String> {
    let mut arguments = words(["upgrade", "apply", "phase"]);
    arguments.extend(phase.iter().map(|word| (*word).to_owned()));
    arguments.extend(words([version, "--kubeconfig", &text(kubeconfig)]));
    if let Some(patches) = patches {
        arguments.extend(words(["--patches", &text(patches)]));
    }
    arguments
}

/// `kubeadm version -o json`.
#[must_use]
pub fn version() -> Vec<String> {
    words(["version", "-o", "json"])
}

/// `kubeadm config validate` of the documents in `config`.
#[must_use]
pub fn config_validate(config: &Path) -> Vec<String> {
    words(["config", "validate", "--config", &text(config)])
}

fn words<const N: usize>(args: [&str; N]) -> Vec<String> {
    args.map(str::to_owned).into()
}

/// Paths that kubeboot hands to kubeadm are its own and plain text.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user<'a>(name: &'a str, organizations: &'a [String], validity: Duration) -> ClientUser<'a> {
        ClientUser { name, organizations, validity }
    }

    #[test]
    fn every_command_line_is_as_an_operator_would_type_it() {
        let config = Path::new("/run/kubeboot/init.yaml");
        let dir = Path::new("/run/kubeboot/pki");
        let kubeconfig = Path::new("/etc/kubernetes/admin.conf");
        let table = [
            (init(config), "init --config /run/kubeboot/init.yaml --skip-token-print"),
            (join(config), "join --config /run/kubeboot/init.yaml"),
            (reset(None), "reset -f --skip-phases=remove-etcd-member"),
            (
                reset(Some("unix:///run/crio/crio.sock")),
                "reset -f --skip-phases=remove-etcd-member --cri-socket unix:///run/crio/crio.sock",
            ),
            (
                kubeconfig_user(&user("kubeboot-n1", &["system:masters".into()], CREDENTIAL_VALIDITY), config),
                "kubeconfig user --client-name kubeboot-n1 --org system:masters --config /run/kubeboot/init.yaml --validity-period 1h",
            ),
            (
                kubeconfig_user(&user("anna", &["a".into(), "b".into()], Duration::from_secs(24 * 3600)), config),
                "kubeconfig user --client-name anna --org a,b --config /run/kubeboot/init.yaml --validity-period 24h",
            ),
            (
                kubeconfig_user(&user("anna", &["a".into()], Duration::from_secs(90 * 60)), config),
                "kubeconfig user --client-name anna --org a --config /run/kubeboot/init.yaml --validity-period 90m",
            ),
            (
                kubeconfig_user(&user("anna", &["a".into()], Duration::from_secs(601)), config),
                "kubeconfig user --client-name anna --org a --config /run/kubeboot/init.yaml --validity-period 601s",
            ),
            (
                etcd_client_certificate(dir, "v1.36.1"),
                "init phase certs etcd-healthcheck-client --cert-dir /run/kubeboot/pki --kubernetes-version v1.36.1",
            ),
            (images(config), "config images list --config /run/kubeboot/init.yaml"),
            (
                init_phase(&["control-plane", "apiserver"], config),
                "init phase control-plane apiserver --config /run/kubeboot/init.yaml",
            ),
            (renew_certificate("etcd-peer", config), "certs renew etcd-peer --config /run/kubeboot/init.yaml"),
            (
                kubelet_kubeconfig(config, dir),
                "init phase kubeconfig kubelet --config /run/kubeboot/init.yaml --kubeconfig-dir /run/kubeboot/pki",
            ),
            (token_delete("abcdef", kubeconfig), "token delete abcdef --kubeconfig /etc/kubernetes/admin.conf"),
            (
                upgrade_phase(&["bootstrap-token"], "v1.36.1", kubeconfig, None),
                "upgrade apply phase bootstrap-token v1.36.1 --kubeconfig /etc/kubernetes/admin.conf",
            ),
            (
                upgrade_phase(&["addon", "coredns"], "v1.36.1", kubeconfig, Some(Path::new("/etc/patches"))),
                "upgrade apply phase addon coredns v1.36.1 --kubeconfig /etc/kubernetes/admin.conf --patches /etc/patches",
            ),
            (version(), "version -o json"),
            (config_validate(config), "config validate --config /run/kubeboot/init.yaml"),
        ];
        for (args, expected) in table {
            assert_eq!(args.join(" "), expected);
        }
    }
}
