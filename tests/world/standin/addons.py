"""The two addons as kubeadm applies them: a Deployment, a DaemonSet and their ConfigMaps. Nobody runs pods of them here."""

from . import cluster, images, say

DEPLOYMENTS = "/apis/apps/v1/namespaces/kube-system/deployments"
DAEMON_SETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
REPLICAS = 2


def disabled(clustering, name):
    """Whether a cluster's configuration leaves an addon out."""
    return bool(clustering["dns" if name == "coredns" else "proxy"].get("disabled"))


def apply(api, clustering, name):
    """Makes what an addon consists of, or brings it up to this kubeadm. What an operator made of it stays: how many replicas of CoreDNS
    there are, and its Corefile."""
    if name == "coredns":
        _coredns(api, clustering)
    else:
        _kube_proxy(api, clustering)


def _coredns(api, clustering):
    api.create(f"{cluster.SYSTEM}/configmaps", cluster.config_map("coredns", {"Corefile": ".:53 {}\n"}))
    pods = _pods("kube-dns", "coredns", images.coredns(clustering))
    before = api.find(f"{DEPLOYMENTS}/coredns") or {}
    count = before.get("spec", {}).get("replicas", REPLICAS)
    api.apply(DEPLOYMENTS, {"metadata": _meta("coredns", "kube-dns"), "spec": {"replicas": count, **pods}})
    say.out("[addons] Applied essential addon: CoreDNS")


def _kube_proxy(api, clustering):
    api.apply(f"{cluster.SYSTEM}/configmaps", cluster.config_map("kube-proxy", {"config.conf": ""}))
    cluster.allow_reading(api, "kube-proxy", "kube-proxy", cluster.BOOTSTRAPPERS)
    image = f"{clustering['imageRepository']}/kube-proxy:{clustering['kubernetesVersion']}"
    api.apply(DAEMON_SETS, {"metadata": _meta("kube-proxy", "kube-proxy"), "spec": _pods("kube-proxy", "kube-proxy", image)})
    say.out("[addons] Applied essential addon: kube-proxy")


def _meta(name, label):
    return {"name": name, "labels": {"k8s-app": label}}


def _pods(label, container, image):
    labels = {"k8s-app": label}
    return {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": container, "image": image}]}},
    }
