"""Values that kubeadm refuses although they have the right type: exit code 3, as its validation errors have."""

import re

from . import documents, say

INVALID = 3
ALGORITHMS = ("RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256")
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS = re.compile(rf"{_LABEL}(\.{_LABEL})*")


def _refuse(field, value, why):
    raise say.Failure(f'{field}: Invalid value: "{value}": {why}', INVALID)


def is_dns(name):
    """Whether a text is a DNS name in lower case, at most 253 characters."""
    return bool(_DNS.fullmatch(name)) and len(name) <= 253


def cluster(clustering):
    """A ClusterConfiguration's values."""
    given = clustering.get("controlPlaneEndpoint", "")
    host, port = given, ""
    if re.search(r"(\]|^[^:]*):[^:]*$", given):
        host, _, port = given.rpartition(":")
    host = host.strip("[]")
    if given and not (documents.is_address(host) or is_dns(host)):
        _refuse("controlPlaneEndpoint", given, "address is not a valid IP address or DNS name")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        _refuse("controlPlaneEndpoint", given, "port must be a valid number between 1 and 65535, inclusive")
    if clustering["encryptionAlgorithm"] not in ALGORITHMS:
        _refuse("encryptionAlgorithm", clustering["encryptionAlgorithm"], f"must be one of {' '.join(ALGORITHMS)}")
    if not clustering["certificatesDir"].startswith("/"):
        _refuse("certificatesDir", clustering["certificatesDir"], "path is not absolute")
    if not re.fullmatch(r"v\d+\.\d+\.\d+\S*", clustering["kubernetesVersion"]):
        raise say.Failure(f'couldn\'t parse Kubernetes version "{clustering["kubernetesVersion"]}"')
    _etcd(clustering["etcd"])


def _etcd(etcd):
    outside = etcd.get("external")
    if outside is None:
        if not etcd["local"]["dataDir"].startswith("/"):
            _refuse("etcd.local.dataDir", etcd["local"]["dataDir"], "path is not absolute")
        return
    for url in outside.get("endpoints") or []:
        if not url.startswith("https://"):
            _refuse("etcd.external.endpoints", url, "the URL must be using the HTTPS scheme")
    for field in ("caFile", "certFile", "keyFile"):
        if not outside.get(field, "").startswith("/"):
            _refuse(f"etcd.external.{field}", outside.get(field, ""), "path is not absolute")


def node(registration, local, key=""):
    """A node's own values: its name, its address, the certificate key."""
    if not is_dns(registration["name"]):
        _refuse(
            "nodeRegistration.name",
            registration["name"],
            "a lowercase RFC 1123 subdomain must consist of lower case "
            "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        )
    if not documents.is_address(local["advertiseAddress"]):
        _refuse("localAPIEndpoint.advertiseAddress", local["advertiseAddress"], "ip address is not valid")
    if not 0 < local["bindPort"] < 65536:
        _refuse("localAPIEndpoint.bindPort", local["bindPort"], "port number is not valid")
    if key and not re.fullmatch("[0-9a-f]{64}", key):
        _refuse("certificateKey", key, "certificate key must be 32 bytes in hexadecimal")
    socket = registration.get("criSocket", "")
    if socket and not socket.startswith(("unix://", "/")):
        _refuse("nodeRegistration.criSocket", socket, "socket must be an absolute path or a unix URL")


def ca_path(path):
    """Where a joining node keeps the CA certificate."""
    if not path.startswith("/") or not path.endswith(".crt"):
        _refuse("caCertPath", path, "the ca certificate path must be an absolute path")


def discovery(given):
    """Discovery of a JoinConfiguration: exactly one way, and that one complete."""
    token, file = given.get("bootstrapToken"), given.get("file")
    if not token and not file:
        _refuse("discovery", "", "bootstrapToken or file must be set")
    own = given.get("tlsBootstrapToken")
    if own and not re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", own):
        _refuse("discovery.tlsBootstrapToken", own, "the bootstrap token is invalid")
    if token and file:
        _refuse("discovery", "", "bootstrapToken and file cannot both be set")
    if file and not file.get("kubeConfigPath", "").startswith(("/", "https://")):
        _refuse(
            "discovery.file.kubeConfigPath", file.get("kubeConfigPath", ""), "not a valid HTTPS URL or a file on disk"
        )
