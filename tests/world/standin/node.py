"""The machine a stand-in program runs on: where its files are, which addresses it has, what it is called.

Every node of the world shares one network namespace, so a node has a loopback address of its own: wherever the real
programs dial or listen on 127.0.0.1, the stand-in uses that address, and still writes 127.0.0.1 into its files.
"""

import functools
import ipaddress
import os
import socket

LOOPBACK_NAMES = ("127.0.0.1", "localhost")
RELEASE = "v1.36.1"


def path(absolute):
    """The place of an absolute path of the node: itself, unless STANDIN_ROOT puts the node into a folder."""
    root = os.environ.get("STANDIN_ROOT", "/").rstrip("/")
    return root + absolute


@functools.cache
def _env_file():
    """What the world wrote for this boot: kubeadm is started with an allow-listed environment and sees nothing else."""
    try:
        with open(path("/run/standin.env"), encoding="ascii") as lines:
            pairs = [line.strip().split("=", 1) for line in lines if "=" in line]
    except FileNotFoundError:
        return {}
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def lines(absolute):
    """The lines of a file of the node; none if it is not there."""
    try:
        with open(path(absolute), encoding="utf-8", errors="replace") as text:
            return text.read().splitlines()
    except FileNotFoundError:
        return []


def setting(name, default=""):
    """A STANDIN_ setting: from /run/standin.env first, then from the environment."""
    return _env_file().get(name) or os.environ.get(name) or default


def address():
    """The node's private address, as EC2 would say."""
    return setting("STANDIN_ADDRESS", "127.0.0.1")


def loopback():
    """This node's stand-in for 127.0.0.1."""
    return setting("STANDIN_LOOPBACK", "127.0.0.1")


def host_name():
    """The node's host name, which is the default of the Node object's name."""
    return (setting("STANDIN_NODE") or socket.gethostname()).lower()


def kubeadm_version():
    """The release that kubeadm and the control plane it starts claim to be."""
    return setting("STANDIN_KUBEADM_VERSION", RELEASE)


def kubelet_version():
    """The release that kubelet claims to be."""
    return setting("STANDIN_KUBELET_VERSION", kubeadm_version())


def bracketed(host):
    """A host as it stands before a port: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _hosts_file(name):
    """The first address that the node's /etc/hosts has for a name, read anew each time, or None."""
    try:
        with open(path("/etc/hosts"), encoding="utf-8") as lines:
            for line in lines:
                fields = line.split("#", 1)[0].split()
                if name in fields[1:]:
                    return fields[0]
    except FileNotFoundError:
        pass
    return None


def resolve(host):
    """The address to dial for a host name or address. Raises OSError when nobody knows the name."""
    if host in LOOPBACK_NAMES:
        return loopback()
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    found = _hosts_file(host)
    if found in LOOPBACK_NAMES:
        return loopback()
    return found or socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
