"""What each minor release of Kubernetes brings beside itself, as kubeadm's constants have it, and how far apart releases may be."""

# The minor of Kubernetes 1.x: (the tag of etcd's image, that of CoreDNS's).
IMAGES = {
    33: ("3.5.24-0", "v1.12.0"),
    34: ("3.6.5-0", "v1.12.1"),
    35: ("3.6.6-0", "v1.13.1"),
    36: ("3.6.8-0", "v1.14.2"),
    37: ("3.6.13-0", "v1.14.3"),
}
OLDEST, NEWEST = min(IMAGES), max(IMAGES)
KUBELET_SKEW = 3  # minors by which kubelet may be older than kubeadm


def minor(version):
    """(major, minor) of a version, with or without its v."""
    return tuple(int(part) for part in version.lstrip("v").split(".")[:2])


def etcd(kubeadm, cluster):
    """The tag of etcd's image for a cluster's version: of a version that this kubeadm is too old to know, that of its own."""
    return _images(min(minor(kubeadm), minor(cluster)))[0]


def coredns(kubeadm):
    """The tag of CoreDNS's image, whatever version the cluster has."""
    return _images(minor(kubeadm))[1]


def _images(version):
    return IMAGES[max(OLDEST, min(version[1], NEWEST))]
