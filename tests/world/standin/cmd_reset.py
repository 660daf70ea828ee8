"""`kubeadm reset` and its phases: exit code 0 whatever became of the member in the cluster."""

import os
import shutil

from . import certs, cluster, cri, documents, joinetcd, kubeapi, kubeconfig, node, nodefiles, options, phases, preflight
from . import say
from .dial import Unreachable

PKI = "/etc/kubernetes/pki"
ADMIN = "/etc/kubernetes/admin.conf"
CONFIGS = (
    "admin.conf",
    "super-admin.conf",
    "kubelet.conf",
    "bootstrap-kubelet.conf",
    "controller-manager.conf",
    "scheduler.conf",
)
ENDPOINT_NOTE = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"
CLOSING = """
The reset process does not perform cleanup of CNI plugin configuration,
network filtering rules and kubeconfig files.

For information on how to perform this cleanup manually, please see:
    https://k8s.io/docs/reference/setup-tools/kubeadm/kubeadm-reset/
"""


class Reset:
    """One run: what the cluster says about this node, if it says anything."""

    def __init__(self, flags, kinds):
        given = kinds.get("ResetConfiguration", {})
        self.timeouts = documents.timeouts(given)
        self.skip = options.skipped(flags, given)
        self.ignored = (given.get("ignorePreflightErrors") or []) + options.names(flags, "ignore-preflight-errors")
        self.force = flags.get("force") or given.get("force")
        self.socket = flags.get("cri-socket") or given.get("criSocket")
        self.folder = flags.get("cert-dir") or given.get("certificatesDir") or PKI
        self.api = self.cluster = self.address = None
        self._fetch(flags.get("kubeconfig") or ADMIN)
        self.socket = cri.detect(self.socket)

    def _fetch(self, file):
        """The cluster's configuration by admin.conf, if there is one; what fails is a warning."""
        try:
            self.api = cluster.client(file)
        except (OSError, ValueError):
            return
        try:
            clustering = cluster.fetch(self.api, "reset")
            self.address = self._own_address()
            self.cluster = clustering
        except say.Failure as failure:
            say.warn("reset.go:141", f"[reset] Unable to fetch the kubeadm-config ConfigMap from cluster: {failure}")

    def _own_address(self):
        """The address of this node's API server, as the cluster has it under the name in this machine's kubelet.conf.

        On a machine made from another one's image that name, and so the member to remove, is the other's.
        """
        name = kubelet_name()
        try:
            self.api.get(f"/api/v1/nodes/{name}")
            pod = self.api.get(f"{cluster.SYSTEM}/pods/kube-apiserver-{name}")
            return pod["metadata"]["annotations"][ENDPOINT_NOTE].rpartition(":")[0].strip("[]")
        except kubeapi.ApiError as error:
            raise say.Failure(f"failed to get node registration: failed to get corresponding node: {error}") from error
        except (Unreachable, KeyError) as error:
            raise say.Failure(f"failed to getAPIEndpoint: {error}") from error

    def run(self):
        """Everything, after a look at who asks."""
        if not self.force:
            raise say.Failure("won't proceed; the user didn't answer (Y|y) in order to continue")
        phases.run(
            "reset",
            [("preflight", self.preflight), ("remove-etcd-member", self.remove_member), ("cleanup-node", self.cleanup)],
            self.skip,
        )
        say.out(CLOSING)

    def preflight(self):
        """Only root may go on."""
        say.out("[preflight] Running pre-flight checks")
        checks = preflight.Checks(self.ignored)
        checks.root()
        checks.finish()

    def remove_member(self):
        """Takes the member out of the cluster and deletes its data. What fails is a warning, or nothing at all."""
        if self.cluster and "external" in self.cluster["etcd"]:
            say.out("[reset] No etcd config found. Assuming external etcd")
            say.out("[reset] Please, manually reset etcd to prevent further issues")
            return
        if self.cluster:
            data = self.cluster["etcd"]["local"]["dataDir"]
            maker = certs.Maker(self.cluster, documents.local_endpoint(None))
            try:
                joinetcd.leave(self.api, maker, self.timeouts["etcdAPICall"], self.address)
            except (say.Failure, *joinetcd.PROBLEMS, kubeapi.ApiError, OSError) as error:
                say.warn(
                    "removeetcdmember.go:93",
                    f"[reset] Failed to remove etcd member: {error}, please manually remove this "
                    "etcd member using etcdctl",
                )
                return
        else:
            say.warn("removeetcdmember.go:105", "[reset] No kubeadm config, using etcd pod spec to get data directory")
            data = joinetcd.local_data_folder()
        _empty(data)
        say.out(f"[reset] Deleted contents of the etcd data directory: {data}")

    def cleanup(self):
        """Stops the kubelet, removes its containers, deletes what kubeadm and kubelet wrote, but not etcd's data."""
        say.out("[reset] Stopping the kubelet service")
        nodefiles.service("stop")
        say.out('[reset] Unmounting mounted directories in "/var/lib/kubelet"')
        try:
            cri.remove_containers(self.socket)
        except say.Failure as failure:
            say.warn("cleanupnode.go:105", f"[reset] Failed to remove containers: {failure}")
        folders = ["/etc/kubernetes/manifests", "/var/lib/kubelet", self.folder]
        say.out(f"[reset] Deleting contents of directories: [{' '.join(folders)}]")
        for folder in folders:
            _empty(folder)
        files = [f"/etc/kubernetes/{name}" for name in CONFIGS]
        say.out(f"[reset] Deleting files: [{' '.join(files)}]")
        for file in files:
            if os.path.lexists(node.path(file)):
                os.unlink(node.path(file))


def kubelet_name():
    """The Node's name in the client certificate of kubelet.conf. Raises say.Failure."""
    from cryptography import x509

    try:
        pem = kubeconfig.Config.load("/etc/kubernetes/kubelet.conf").certificate()
        subject = x509.load_pem_x509_certificate(pem).subject
    except (OSError, ValueError, TypeError) as error:
        raise say.Failure(
            f"failed to get node registration: failed to get node name from kubelet config: {error}"
        ) from error
    common = subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)[0].value
    return common.removeprefix("system:node:")


def _empty(folder):
    """Deletes what is in a folder, not the folder."""
    place = node.path(folder)
    for name in os.listdir(place) if os.path.isdir(place) else []:
        file = f"{place}/{name}"
        if os.path.isdir(file) and not os.path.islink(file):
            shutil.rmtree(file, ignore_errors=True)
        else:
            os.unlink(file)
