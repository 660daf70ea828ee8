"""kubeadm's certs phase: which certificates a control-plane node has, who signs them, for whom."""

import datetime
import ipaddress
import os

from . import documents, keys, node, pki, say

AUTHORITIES = {"ca": "kubernetes", "front-proxy-ca": "front-proxy-ca", "etcd/ca": "etcd-ca"}
BOTH = (pki.SERVER, pki.CLIENT)

# name: (CA, common name or None for the node's name, organisation, usages, who must be in it)
LEAVES = {
    "apiserver": ("ca", "kube-apiserver", None, (pki.SERVER,), "apiserver"),
    "apiserver-kubelet-client": ("ca", "kube-apiserver-kubelet-client", "kubeadm:cluster-admins", (pki.CLIENT,), None),
    "front-proxy-client": ("front-proxy-ca", "front-proxy-client", None, (pki.CLIENT,), None),
    "etcd/server": ("etcd/ca", None, None, BOTH, "etcd"),
    "etcd/peer": ("etcd/ca", None, None, BOTH, "etcd"),
    "etcd/healthcheck-client": ("etcd/ca", "kube-etcd-healthcheck-client", None, (pki.CLIENT,), None),
    "apiserver-etcd-client": ("etcd/ca", "kube-apiserver-etcd-client", None, (pki.CLIENT,), None),
}
INIT_ORDER = (
    "ca",
    "apiserver",
    "apiserver-kubelet-client",
    "front-proxy-ca",
    "front-proxy-client",
    "etcd/ca",
    "etcd/server",
    "etcd/peer",
    "etcd/healthcheck-client",
    "apiserver-etcd-client",
)


class Maker:
    """The certificates of one node in one folder."""

    def __init__(self, clustering, local=None, node_name=None):
        self.cluster = clustering
        self.folder = clustering["certificatesDir"]
        self.local = local or documents.local_endpoint(None)
        self.node_name = node_name or node.host_name()

    def file(self, name, suffix):
        """The path on this machine of a certificate (.crt) or key (.key, .pub)."""
        return node.path(f"{self.folder}/{name}{suffix}")

    def make(self, name):
        """One certificate and key, or a word that it was there already. Raises say.Failure."""
        if name in AUTHORITIES:
            self._authority(name)
        elif os.path.exists(self.file(name, ".crt")) and os.path.exists(self.file(name, ".key")):
            say.out(f"[certs] Using existing {name} certificate and key on disk")
        else:
            self._leaf(name)

    def _authority(self, name):
        if os.path.exists(self.file(name, ".crt")):
            say.out(f"[certs] Using existing {name} certificate authority")
            return
        say.out(f'[certs] Generating "{name}" certificate and key')
        cert, key = pki.new_ca(AUTHORITIES[name], self._life("caCertificateValidityPeriod"))
        self._write(name, cert, key)

    def _leaf(self, name):
        authority, common, organisation, usages, named = LEAVES[name]
        pair = self.authority(authority)
        say.out(f'[certs] Generating "{name}" certificate and key')
        names = self._names(named, name)
        key = keys.leaf()
        cert = pki.sign(
            pair,
            pki.name(common or self.node_name, organisation),
            key.public_key(),
            usages,
            names,
            self._life("certificateValidityPeriod"),
        )
        self._write(name, cert, key)
        if names:
            dns = sorted(each for each in names if not documents.is_address(each))
            say.out(
                f"[certs] {name} serving cert is signed for DNS names [{' '.join(dns)}] "
                f"and IPs [{' '.join(each for each in names if documents.is_address(each))}]"
            )

    def _life(self, field):
        return datetime.timedelta(seconds=documents.seconds(self.cluster[field]))

    def _write(self, name, cert, key):
        pki.write(self.file(name, ".key"), keys.pem(key), 0o600)
        pki.write(self.file(name, ".crt"), pki.cert_pem(cert), 0o644)

    def _names(self, named, name):
        address = self.local["advertiseAddress"]
        if named == "etcd":
            extra = (self.cluster["etcd"].get("local") or {}).get(name.removeprefix("etcd/") + "CertSANs") or []
            return _once(["localhost", self.node_name, address, "127.0.0.1", "::1", *extra])
        if named != "apiserver":
            return []
        network = self.cluster["networking"]
        first = str(ipaddress.ip_network(network["serviceSubnet"].split(",")[0], strict=False)[1])
        service = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{network['dnsDomain']}",
        ]
        host = documents.endpoint_of(self.cluster, self.local).rpartition(":")[0].strip("[]")
        return _once(
            [self.node_name, *service, first, address, host, *(self.cluster["apiServer"].get("certSANs") or [])]
        )

    def authority(self, name):
        """A CA pair from the disk. Raises say.Failure in kubeadm's words when a file is missing."""
        try:
            return pki.load_cert(self.file(name, ".crt")), keys.load(self.file(name, ".key"))
        except FileNotFoundError as error:
            shown = f"{self.folder}/{name}" + os.path.splitext(error.filename)[1]
            what = "certificate" if shown.endswith(".crt") else "private key"
            raise say.Failure(
                f"couldn't load the {what} file {shown}: open {shown}: no such file or directory"
            ) from error
        except ValueError as error:
            raise say.Failure(f"failure loading {name} certificate: {error}") from error

    def service_accounts(self):
        """The key pair that signs service-account tokens."""
        if os.path.exists(self.file("sa", ".key")):
            say.out('[certs] Using the existing "sa" key')
            if not os.path.exists(self.file("sa", ".pub")):
                pki.write(self.file("sa", ".pub"), pki.public_pem(keys.load(self.file("sa", ".key"))), 0o600)
            return
        say.out('[certs] Generating "sa" key and public key')
        key = keys.fresh()
        pki.write(self.file("sa", ".key"), keys.pem(key), 0o600)
        pki.write(self.file("sa", ".pub"), pki.public_pem(key), 0o600)

    def missing_shared(self):
        """What a joining control-plane node must have been given and was not, in kubeadm's words."""
        wanted = [
            ("ca.crt", "CA", "certificate"),
            ("ca.key", "CA", "key"),
            ("sa.key", "service account", "key"),
            ("sa.pub", "service account", "public key"),
            ("front-proxy-ca.crt", "front-proxy CA", "certificate"),
            ("front-proxy-ca.key", "front-proxy CA", "key"),
        ]
        if "local" in self.cluster["etcd"]:
            wanted += [("etcd/ca.crt", "etcd CA", "certificate"), ("etcd/ca.key", "etcd CA", "key")]
        kinds = {"certificate": "certificate", "key": "private key", "public key": "public key"}
        return [
            f"failure loading {kind} for {who}: couldn't load the {kinds[kind]} file {self.folder}/{file}: "
            f"open {self.folder}/{file}: no such file or directory"
            for file, who, kind in wanted
            if not os.path.exists(node.path(f"{self.folder}/{file}"))
        ]


def _once(names):
    return list(dict.fromkeys(names))
