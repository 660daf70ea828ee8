"""kubeadm's `certs renew`: one certificate, or all, made anew by the authorities on this machine, whenever they end."""

import datetime
import os

from . import certs, cluster, documents, keys, kubeconfig, node, nodefiles, pki, say

# name: (the certificate, or the kubeconfig that it is in; kubeadm's words for it)
NAMES = {
    "admin.conf": (
        "admin.conf",
        "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself",
    ),
    "apiserver": ("apiserver", "certificate for serving the Kubernetes API"),
    "apiserver-etcd-client": (
        "apiserver-etcd-client",
        "certificate the apiserver uses to access etcd",
    ),
    "apiserver-kubelet-client": (
        "apiserver-kubelet-client",
        "certificate for the API server to connect to kubelet",
    ),
    "controller-manager.conf": (
        "controller-manager.conf",
        "certificate embedded in the kubeconfig file for the controller manager to use",
    ),
    "etcd-healthcheck-client": (
        "etcd/healthcheck-client",
        "certificate for liveness probes to healthcheck etcd",
    ),
    "etcd-peer": (
        "etcd/peer",
        "certificate for etcd nodes to communicate with each other",
    ),
    "etcd-server": ("etcd/server", "certificate for serving etcd"),
    "front-proxy-client": (
        "front-proxy-client",
        "certificate for the front proxy client",
    ),
    "scheduler.conf": (
        "scheduler.conf",
        "certificate embedded in the kubeconfig file for the scheduler manager to use",
    ),
    "super-admin.conf": (
        "super-admin.conf",
        "certificate embedded in the kubeconfig file for the super-admin",
    ),
}


def renew(rest, flags, kinds):
    """`certs renew NAME` or `all`. Without a document the cluster is asked for its own."""
    if len(rest) != 1 or rest[0] not in {*NAMES, "all"}:
        raise say.Failure('missing subcommand; "renew" is not meant to be run on its own')
    files = _files(flags, kinds)
    for name in NAMES if rest == ["all"] else rest:
        _renew(files, *NAMES[name])
    if rest == ["all"]:
        say.out(
            "\nDone renewing certificates. You must restart the kube-apiserver, kube-controller-manager, kube-scheduler and "
            "etcd, so that they can use the new certificates."
        )


def _files(flags, kinds):
    if "config" in flags:
        if not {"ClusterConfiguration", "InitConfiguration"} & set(kinds):
            raise say.Failure("no InitConfiguration or ClusterConfiguration kind was found in the YAML file")
        clustering = documents.cluster(kinds)
    else:
        clustering = cluster.fetch(
            cluster.client(flags.get("kubeconfig") or "/etc/kubernetes/admin.conf"),
            "renew",
        )
    given = kinds.get("InitConfiguration", {})
    return nodefiles.Files(
        clustering,
        documents.local_endpoint(given.get("localAPIEndpoint")),
        documents.registration(given.get("nodeRegistration")),
    )


def _renew(files, what, words):
    is_config = what.endswith(".conf")
    file = node.path(f"{nodefiles.FOLDER}/{what}") if is_config else files.certs.file(what, ".crt")
    if not os.path.exists(file) or ("etcd" in what and "local" not in files.cluster["etcd"]):
        say.out(f"MISSING! {words}")
        return
    authority = "ca" if is_config else certs.LEAVES[what][0]
    if not os.path.exists(files.certs.file(authority, ".key")):
        say.out(f"Detected external {authority}, {words} can't be renewed")
        return
    life = datetime.timedelta(seconds=documents.seconds(files.cluster["certificateValidityPeriod"]))
    if is_config:
        _config(files, what, file, life)
    else:
        _leaf(files, authority, what, life)
    say.out(f"{words} renewed")


def _config(files, what, file, life):
    """Subject and server stay what they were."""
    user, group, _ = nodefiles.CONFIGS[what]
    server = kubeconfig.Config.load(f"{nodefiles.FOLDER}/{what}").server
    pki.write(file, files.user_config(user, group, server, life), 0o600)


def _leaf(files, authority, what, life):
    """Subject, usages and names stay what they were, whatever the document says."""
    old = pki.load_cert(files.certs.file(what, ".crt"))
    key = keys.leaf()
    cert = pki.again(files.certs.authority(authority), old, key.public_key(), life)
    pki.write(files.certs.file(what, ".key"), keys.pem(key), 0o600)
    pki.write(files.certs.file(what, ".crt"), pki.cert_pem(cert), 0o644)
