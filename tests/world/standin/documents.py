"""kubeadm's configuration files: YAML or JSON documents, checked strictly, completed with kubeadm's defaults."""

import ipaddress
import re

import yaml

from . import node, say, schema

GROUP = "kubeadm.k8s.io"
VERSION = "v1beta4"
COMPONENTS = {
    "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
    "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
}
TIMEOUTS = {
    "controlPlaneComponentHealthCheck": "4m0s",
    "kubeletHealthCheck": "4m0s",
    "kubernetesAPICall": "1m0s",
    "etcdAPICall": "2m0s",
    "tlsBootstrap": "5m0s",
    "discovery": "5m0s",
    "upgradeManifests": "5m0s",
}


class _Strict(yaml.CSafeLoader):
    """YAML without duplicate keys and with timestamps left as text, as Kubernetes reads it."""

    def construct_mapping(self, knot, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in knot.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f'key "{twice.pop()}" already set in map')
        return super().construct_mapping(knot, deep)


_Strict.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, knot: loader.construct_scalar(knot))


def parse(text):
    """All documents of a file as a dictionary by kind. Raises say.Failure for anything kubeadm would refuse."""
    try:
        found = [each for each in yaml.load_all(text, _Strict) if each is not None]
    except (yaml.YAMLError, TypeError) as error:
        raise say.Failure(f"error converting YAML to JSON: yaml: {' '.join(str(error).split())}") from error
    kinds = {}
    for document in found:
        if not isinstance(document, dict) or not document.get("kind") or not document.get("apiVersion"):
            raise say.Failure(
                "invalid configuration: kind and apiVersion is mandatory information that must be specified"
            )
        kind = document["kind"]
        if kind in kinds:
            raise say.Failure(f'invalid configuration: kind "{kind}" is specified twice in YAML file')
        _check(document)
        kinds[kind] = document
    return kinds


def _check(document):
    group, _, version = str(document["apiVersion"]).partition("/")
    kind = document["kind"]
    if document["apiVersion"] == COMPONENTS.get(kind):
        return
    if group == GROUP and version in ("v1alpha1", "v1alpha2", "v1alpha3", "v1beta1", "v1beta2", "v1beta3"):
        raise say.Failure(
            f'your configuration file uses an old API spec: "{GROUP}/{version}" (kind: "{kind}"). Please '
            "use kubeadm v1.36 instead and run 'kubeadm config migrate --old-config old-config-file "
            "--new-config new-config-file', which will write the new, similar spec using a newer API version."
        )
    naming = f'schema.GroupVersionKind{{Group:"{group}", Version:"{version}", Kind:"{kind}"}}'
    if group != GROUP or version != VERSION or kind not in schema.KINDS:
        raise say.Failure(f"unknown configuration APIs: []schema.GroupVersionKind{{{naming}}}")
    wrong = schema.complaints(kind, document)
    if wrong:
        raise say.Failure(f"error unmarshaling configuration {naming}: strict decoding error: {', '.join(wrong)}")


def seconds(span):
    """A Go duration such as 4m0s or 1h30m in seconds. Raises say.Failure for anything else."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
    parts = re.findall(r"([0-9.]+)(ms|us|ns|h|m|s)", span)
    if span != "0" and "".join(number + unit for number, unit in parts) != span or not span:
        raise say.Failure(f'time: invalid duration "{span}"')
    return sum(float(number) * units[unit] for number, unit in parts)


def timeouts(document):
    """All time-outs of a document in seconds, by their v1beta4 names, with kubeadm's defaults."""
    given = {key: value for key, value in (document.get("timeouts") or {}).items() if value}
    return {key: seconds(value) for key, value in {**TIMEOUTS, **given}.items()}


def note_version(clustering):
    """Says what kubeadm says when no document names a version: it asks the internet for the newest, here in vain."""
    if not clustering.get("kubernetesVersion"):
        url = "https://dl.k8s.io/release/stable-1.txt"
        say.warn(
            "version.go:108",
            f'could not fetch a Kubernetes version from the internet: unable to get URL "{url}": '
            f'Get "{url}": dial tcp: lookup dl.k8s.io: no such host',
        )
        say.warn("version.go:109", f"falling back to the local client version: {node.kubeadm_version()}")


def cluster(kinds):
    """The ClusterConfiguration with kubeadm's defaults filled in."""
    given = {key: value for key, value in kinds.get("ClusterConfiguration", {}).items() if value is not None}
    full = {
        "apiServer": {},
        "caCertificateValidityPeriod": "87600h0m0s",
        "certificateValidityPeriod": "8760h0m0s",
        "certificatesDir": "/etc/kubernetes/pki",
        "clusterName": "kubernetes",
        "controllerManager": {},
        "dns": {},
        "encryptionAlgorithm": "RSA-2048",
        "imageRepository": "registry.k8s.io",
        "proxy": {},
        "scheduler": {},
        "kubernetesVersion": node.kubeadm_version(),
        **given,
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "ClusterConfiguration",
    }
    full["networking"] = {"dnsDomain": "cluster.local", "serviceSubnet": "10.96.0.0/12", **given.get("networking", {})}
    etcd = given.get("etcd", {})
    full["etcd"] = (
        {"external": etcd["external"]}
        if etcd.get("external")
        else {"local": {"dataDir": "/var/lib/etcd", **(etcd.get("local") or {})}}
    )
    if not full["kubernetesVersion"].startswith("v"):
        full["kubernetesVersion"] = "v" + full["kubernetesVersion"]
    return full


def disable_skipped(clustering, skip):
    """Says of the addons whose phases init skips that they are disabled, as init does before it stores the configuration."""
    for phase, sections in (("addon", ("dns", "proxy")), ("addon/coredns", ("dns",)), ("addon/kube-proxy", ("proxy",))):
        for section in sections if phase in skip else ():
            clustering[section] = {**clustering[section], "disabled": True}


def stored(clustering):
    """A ClusterConfiguration as kubeadm's types write it: durations as Go's, and nothing that is false or empty but a feature gate."""
    validity = {field: go_duration(seconds(clustering[field])) for field in ("certificateValidityPeriod", "caCertificateValidityPeriod")}
    return _kept({**clustering, **validity})


def _kept(fields, gates=False):
    kept = {}
    for name, value in fields.items():
        value = _kept(value, name == "featureGates") if isinstance(value, dict) else value
        if value is not None and value not in ("", []) and (gates or value is not False):
            kept[name] = value
    return kept


def go_duration(length):
    """Whole seconds as Go writes them: 8760h0m0s, 1m30s, 5s."""
    minutes, rest = divmod(int(length), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"


def endpoint_of(clustering, local):
    """The control-plane endpoint as host:port: the cluster's, or else this node's own API server."""
    given = clustering.get("controlPlaneEndpoint", "")
    if not given:
        return f"{node.bracketed(local['advertiseAddress'])}:{local['bindPort']}"
    has_port = re.search(r"(\]|^[^:]*):\d+$", given)
    return given if has_port else f"{given}:{local['bindPort']}"


def local_endpoint(given):
    """A localAPIEndpoint with its defaults."""
    given = given or {}
    return {
        "advertiseAddress": given.get("advertiseAddress") or node.address(),
        "bindPort": given.get("bindPort") or 6443,
    }


def registration(given, control_plane=True):
    """A nodeRegistration with its defaults: host name, the control-plane taint, the one CRI socket that exists."""
    full = {key: value for key, value in (given or {}).items() if value is not None}
    full["name"] = full.get("name") or node.host_name()
    taint = [{"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"}]
    full.setdefault("taints", taint if control_plane else [])
    return full


def is_address(text):
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
