//! Runs one command in a mount namespace of its own, with another hosts file.
//!
//! While a node joins, the endpoint's name must resolve to a machine that answers. The machine's own
//! `/etc/hosts` stays unchanged, because kubelet copies it into pods of the host network.

use std::ffi::OsString;
use std::path::Path;

/// What runs inside the new namespace. `exec` replaces the shell by the command, so that exit code,
/// signals and process group are the command's own.
const MOUNT_AND_RUN: &str = r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#;

/// The program that makes the namespace.
pub const PROGRAM: &str = "unshare";

/// The arguments of [`PROGRAM`] that run `command` with `hosts` in the place of `/etc/hosts`.
///
/// Needs the right to mount (root) and, along `PATH`, `sh` and `mount`. A failed mount ends with
/// exit code 32 and the command is not run.
#[must_use]
pub fn with_hosts<A: Into<OsString>>(hosts: &Path, command: impl IntoIterator<Item = A>) -> Vec<OsString> {
    // Private, or the mount would affect the whole machine. The second `sh` is the shell's name in its
    // messages; all that follows are arguments, which are never parsed as shell text.
    let fixed = ["--mount", "--propagation", "private", "--", "sh", "-c", MOUNT_AND_RUN, "sh"];
    let mut args: Vec<OsString> = fixed.map(OsString::from).into();
    args.push(hosts.into());
    args.extend(command.into_iter().map(Into::into));
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::hosts::write_in_place;
    use crate::host::process::Command;

    #[test]
    fn the_command_is_passed_on_argument_by_argument() {
        let args = with_hosts(Path::new("/run/kubeboot/hosts"), ["kubeadm", "join", "$(x) y"]);
        let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
        assert_eq!(
            words,
            [
                "--mount",
                "--propagation",
                "private",
                "--",
                "sh",
                "-c",
                "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"",
                "sh",
                "/run/kubeboot/hosts",
                "kubeadm",
                "join",
                "$(x) y",
            ]
        );
    }

    /// Needs no root: in a user namespace of its own, the test may mount.
    #[tokio::test]
    async fn only_the_command_sees_the_other_hosts_file() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let hosts = folder.path().join("hosts");
        write_in_place(&hosts, "10.0.1.11 api.demo.internal\n")?;
        let machine = std::fs::read_to_string("/etc/hosts")?;

        let inner = with_hosts(&hosts, ["cat", "/etc/hosts"]);
        let output =
            Command::new(PROGRAM).args(["--user", "--map-root-user"]).args(inner).env_allow(["PATH"]).run().await?;

        assert_eq!(output.stdout, "10.0.1.11 api.demo.internal\n");
        assert_eq!(std::fs::read_to_string("/etc/hosts")?, machine);
        Ok(())
    }
}
