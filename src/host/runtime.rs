//! The container runtime: where it listens, and asking it by crictl.

use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::process::Command;

/// Where kubeadm looks for a runtime (its `constants_unix.go`).
pub const KNOWN: [&str; 3] = ["/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/cri-dockerd.sock"];

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

/// crictl with these arguments, asking the runtime at this socket.
pub fn crictl<A: Into<OsString>>(socket: &Path, args: impl IntoIterator<Item = A>) -> Command {
    // A variable, since crictl takes this option in several places, depending on its age.
    let endpoint = format!("unix://{}", socket.display());
    Command::new("crictl").args(args).env_allow(["PATH"]).env("CONTAINER_RUNTIME_ENDPOINT", endpoint)
}
