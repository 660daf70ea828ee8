"""The container runtime's socket: found where kubeadm looks for it, and asked through the supervisor."""

import os
import stat

from . import control, node, say

KNOWN = ("/var/run/containerd/containerd.sock", "/var/run/crio/crio.sock", "/var/run/cri-dockerd.sock")
DEFAULT = "unix://" + KNOWN[0]


def _is_socket(file):
    # /var/run is a link to /run on every machine kubeadm supports; a node in a folder has no such link.
    for place in (file, file.replace("/var/run/", "/run/")):
        try:
            return stat.S_ISSOCK(os.stat(node.path(place)).st_mode)
        except OSError:
            continue
    return False


def detect(given=None):
    """The socket to use, as a URL. Raises say.Failure when several are there and none was named."""
    if given:
        return given if "://" in given else "unix://" + given
    found = ["unix://" + file for file in KNOWN if _is_socket(file)]
    if len(found) > 1:
        raise say.Failure(
            "found multiple CRI endpoints on the host. Please define which one do you wish to use by setting "
            f"the 'criSocket' field in the kubeadm configuration file: {', '.join(found)}"
        )
    return found[0] if found else DEFAULT


def down(socket):
    """The words of the CRI client when the runtime behind a socket is not there, or None when it is."""
    file = socket.removeprefix("unix://")
    if _is_socket(file):
        return None
    return (
        "failed to create new CRI runtime service: validate service connection: validate CRI v1 runtime API for "
        f'endpoint "{socket}": rpc error: code = Unavailable desc = connection error: desc = "transport: Error while '
        f'dialing: dial unix {file}: connect: no such file or directory"'
    )


def remove_containers(socket):
    """Stops and removes every container. Raises say.Failure when the runtime is down."""
    problem = down(socket)
    if problem:
        raise say.Failure(problem)
    try:
        answer = control.ask(verb="remove-containers")
    except control.NoSupervisor:
        return  # nothing runs on a node that nobody supervises
    if answer.get("error"):
        raise say.Failure(answer["error"])
