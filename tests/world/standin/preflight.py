"""kubeadm's preflight checks, in its order and its words, as far as a stand-in machine can fail them."""

import os
import socket

from . import cri, dial, etcdapi, images, node, releases, say

MANIFESTS = "/etc/kubernetes/manifests"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")


class Checks:
    """Collects what is wrong; `ignored` are names of checks whose errors count as warnings."""

    def __init__(self, ignored):
        self.ignored = {name.strip().lower() for name in ignored}
        self._errors = []

    def error(self, name, text):
        """Takes an error of a check down, or prints it as a warning where the check is ignored."""
        if self.ignored & {"all", name.lower()}:
            self._warning(name, text)
        else:
            self._errors.append(f"\t[ERROR {name}]: {text}")

    @staticmethod
    def _warning(name, text):
        say.err(f"\t[WARNING {name}]: {text}")

    def finish(self):
        """Raises say.Failure if an error was found, after printing all of them."""
        if self._errors:
            found, self._errors = self._errors, []
            say.err(
                "\n".join(
                    [
                        "[preflight] Some fatal errors occurred:",
                        *found,
                        "[preflight] If you know what you are doing, "
                        "you can make a check non-fatal with `--ignore-preflight-errors=...`",
                    ]
                )
            )
            raise say.Failure("preflight checks failed")

    def root(self):
        """Only root may go on."""
        if os.geteuid() != 0:
            self.error("IsPrivilegedUser", "user is not running as root")

    def file_available(self, file):
        """The file must not exist."""
        if os.path.exists(node.path(file)):
            self.error("FileAvailable-" + file.replace("/", "-"), f"{file} already exists")

    def folder_empty(self, folder):
        """The folder must be empty or missing; lost+found counts as content."""
        if os.path.isdir(node.path(folder)) and os.listdir(node.path(folder)):
            self.error("DirAvailable-" + folder.replace("/", "-"), f"{folder} is not empty")

    def port(self, number):
        """Nobody may listen on the port, on the node's address or its loopback."""
        for address in {node.address(), node.loopback()}:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, number))
                    probe.listen(1)
                except OSError:
                    self.error(f"Port-{number}", f"Port {number} is in use")
                    return

    def runtime(self, url):
        """The container runtime must answer."""
        problem = cri.down(url)
        if problem:
            self.error("CRI", f"could not connect to the container runtime: {problem}")

    def kubelet_version(self, cluster_version=""):
        """A kubelet must not be too old for kubeadm, nor newer than the control plane, which `init` alone names."""
        kubelet, (major, minor) = node.kubelet_version(), releases.minor(node.kubeadm_version())
        if releases.minor(kubelet) < (major, minor - releases.KUBELET_SKEW):
            text = f'Kubelet version "{kubelet.lstrip("v")}" is lower than kubeadm can support. Please upgrade kubelet'
            self.error("KubeletVersion", text)
        elif cluster_version and releases.minor(kubelet) > releases.minor(cluster_version):
            self.error(
                "KubeletVersion",
                "the kubelet version is higher than the control plane version. This is not a "
                "supported version skew and may lead to a malfunctional cluster. Kubelet version: "
                f'"{kubelet.lstrip("v")}" Control plane version: "{cluster_version.lstrip("v")}"',
            )

    def kubernetes_version(self, cluster_version):
        """A control plane newer than kubeadm is only warned of."""
        own = node.kubeadm_version()
        if releases.minor(cluster_version) > releases.minor(own):
            self._warning(
                "KubernetesVersion",
                "Kubernetes version is greater than kubeadm version. Please consider to "
                f"upgrade kubeadm. Kubernetes version: {cluster_version.lstrip('v')}. Kubeadm version: "
                f"{own.lstrip('v').rpartition('.')[0]}.x",
            )


def supported(cluster_version):
    """kubeadm deploys its own minor version and the one before. Raises say.Failure for an older control plane."""
    major, minor = releases.minor(node.kubeadm_version())
    if releases.minor(cluster_version) < (major, minor - 1):
        raise say.Failure(
            "this version of kubeadm only supports deploying clusters with the control plane version >= "
            f"{major}.{minor - 1}.0. Current version: {cluster_version}"
        )


def control_plane(checks, clustering, local, common=None):
    """What `init` checks; `join` checks the same of a control-plane node, without the common part."""
    checks.kubernetes_version(clustering["kubernetesVersion"])
    for port in (local["bindPort"], 10259, 10257):
        checks.port(port)
    for component in COMPONENTS:
        checks.file_available(f"{MANIFESTS}/{component}.yaml")
    if common:
        common()
    if "local" in clustering["etcd"]:
        checks.port(2379)
        checks.port(2380)
        checks.folder_empty(clustering["etcd"]["local"]["dataDir"])
    else:
        _external_etcd(checks, clustering["etcd"]["external"])
    checks.finish()


def _external_etcd(checks, external):
    files = [external[field] for field in ("caFile", "certFile", "keyFile")]
    missing = [file for file in files if not os.path.exists(node.path(file))]
    for file in missing:
        checks.error("ExternalEtcdClientCertificates", f"{file} doesn't exist")
    for endpoint in external.get("endpoints") or [] if not missing else []:
        try:
            etcdapi.version(endpoint, *map(node.path, files))
        except (dial.Unreachable, OSError) as error:
            checks.error("ExternalEtcdVersion", f'Get "{endpoint}/version": {error}')


def common(checks, registration, cluster_version=""):
    """What every node is checked for: the runtime, kubelet, and kubelet's own port."""
    checks.runtime(cri.detect(registration.get("criSocket")))
    checks.kubelet_version(cluster_version)
    checks.port(10250)


def join(checks, registration, ca_path=None):
    """The first checks of `join`, before anything is asked of the cluster; `ca_path` is where a worker's CA will be."""
    checks.root()
    checks.file_available("/etc/kubernetes/kubelet.conf")
    checks.file_available("/etc/kubernetes/bootstrap-kubelet.conf")
    common(checks, registration)
    if ca_path:
        checks.file_available(ca_path)
    checks.finish()


def pull_images(clustering):
    """The runtime has the images from now on."""
    say.out("[preflight] Pulling images required for setting up a Kubernetes cluster")
    say.out("[preflight] This might take a minute or two, depending on the speed of your internet connection")
    say.out("[preflight] You can also perform this action beforehand using 'kubeadm config images pull'")
    images.pull(images.names(clustering))
