"""The images that a machine's runtime has: none on a fresh machine, and then what kubeadm or crictl has pulled."""

import os

from . import node, releases, whole

STORE = "/var/lib/containerd/images"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")


def etcd(version):
    """The tag of etcd's image for a cluster of this version."""
    return node.setting("STANDIN_ETCD_IMAGE") or releases.etcd(node.kubeadm_version(), version)


def coredns(clustering):
    """The image of CoreDNS."""
    return f"{clustering['imageRepository']}/coredns/coredns:{releases.coredns(node.kubeadm_version())}"


def names(clustering):
    """Those that kubeadm wants for a cluster, in its order."""
    repository, version = clustering["imageRepository"], clustering["kubernetesVersion"]
    mine = [f"{repository}/{each}:{version}" for each in COMPONENTS]
    return [*mine, coredns(clustering), f"{repository}/pause:3.10.1", f"{repository}/etcd:{etcd(version)}"]


def present():
    """Those that are there."""
    return node.lines(STORE)


def pull(more):
    """They are there from now on."""
    file = node.path(STORE)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    whole.write(file, "".join(f"{name}\n" for name in dict.fromkeys([*present(), *more])))
