"""The images that a machine's runtime has: none on a fresh machine, and then what kubeadm or crictl has pulled."""

import hashlib
import os

from . import node, whole

STORE = "/var/lib/containerd/images"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
ETCD = "3.6.8-0"


def etcd():
    """The tag of etcd's image."""
    return node.setting("STANDIN_ETCD_IMAGE", ETCD)


def names(clustering, version=None):
    """Those that kubeadm wants for a cluster, in its order."""
    repository = clustering["imageRepository"]
    mine = [f"{each}:{version or clustering['kubernetesVersion']}" for each in COMPONENTS]
    return [f"{repository}/{name}" for name in [*mine, "coredns/coredns:v1.14.2", "pause:3.10.1", f"etcd:{etcd()}"]]


def present():
    """Those that are there."""
    return node.lines(STORE)


def ident(name):
    """The ID of an image: a digest, here of its name."""
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def pull(more):
    """They are there from now on."""
    file = node.path(STORE)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    whole.write(file, "".join(f"{name}\n" for name in dict.fromkeys([*present(), *more])))
