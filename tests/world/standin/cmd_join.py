"""`kubeadm join` of a control-plane node, with discovery by a kubeconfig that holds a client certificate."""

import os
import time

from . import certs, cluster, cri, dial, documents, joinetcd, keys, kubeapi, kubeconfig, node, nodefiles, options
from . import phases, pki, preflight, registrar, say, sharedcerts, validation, waiting

DISCOVERY_RETRY = 1.0  # seconds between two tries to reach the API server through the endpoint
SHARED_MISSING = """
One or more conditions for hosting a new control plane instance is not satisfied.

{}

Please ensure that:
* The cluster has a stable controlPlaneEndpoint address.
* The certificates that must be shared among control plane instances are provided.

"""


class Join:
    """The data that the phases of one run share."""

    def __init__(self, flags, kinds):
        given = kinds["JoinConfiguration"]
        control = given.get("controlPlane")
        if control is None:
            raise say.Failure("the stand-in joins control-plane nodes only: set controlPlane in the JoinConfiguration")
        self.discovery, self.patches = given.get("discovery") or {}, given.get("patches")
        self.local = documents.local_endpoint(control.get("localAPIEndpoint"))
        self.key = control.get("certificateKey") or ""
        self.node = documents.registration(given.get("nodeRegistration"))
        self.timeouts = documents.timeouts(given)
        self.skip = options.skipped(flags, given)
        self.ignored = (self.node.get("ignorePreflightErrors") or []) + options.names(flags, "ignore-preflight-errors")
        self.cluster = self.config = self.api = self.files = None

    def run(self):
        """All phases in kubeadm's order."""
        validation.discovery(self.discovery)
        validation.node(self.node, self.local, self.key)
        if self.discovery.get("bootstrapToken"):
            raise say.Failure("the stand-in knows discovery by file only: set discovery.file in the JoinConfiguration")
        cri.detect(self.node.get("criSocket"))
        phases.run(
            "join",
            [
                ("preflight", self.preflight),
                ("control-plane-prepare", self.prepare),
                ("check-etcd", self.check_etcd),
                ("kubelet-start", self.kubelet_start),
                ("etcd-join", self.etcd_join),
                ("kubelet-wait-bootstrap", self.wait_bootstrap),
                ("control-plane-join", self.mark),
                ("wait-control-plane", self.wait),
            ],
            self.skip,
        )
        say.out(JOINED.format(etcd=NEW_MEMBER if "local" in self.cluster["etcd"] else ""))

    def preflight(self):
        """Local checks, discovery, the cluster's configuration, then the checks of a control-plane node."""
        say.out("[preflight] Running pre-flight checks")
        checks = preflight.Checks(self.ignored)
        preflight.join(checks, self.node)
        self._discover()
        try:
            self.cluster = cluster.fetch(self.api, "preflight")
        except say.Failure as failure:
            raise say.Failure(f"unable to fetch the kubeadm-config ConfigMap: {failure}") from failure
        say.warn(
            "utils.go:69",
            'The recommended value for "bindAddress" in "KubeProxyConfiguration" is: ::; the provided value '
            "is: 0.0.0.0",
        )
        preflight.supported(self.cluster["kubernetesVersion"])
        keys.algorithm = self.cluster["encryptionAlgorithm"]
        self.files = nodefiles.Files(self.cluster, self.local, self.node)
        self._can_host()
        say.out("[preflight] Running pre-flight checks before initializing the new control plane instance")
        checks.kubelet_version(self.cluster["kubernetesVersion"])
        preflight.control_plane(checks, self.cluster, self.local)
        preflight.pull_images(self.cluster)

    def _discover(self):
        """Reaches the API server behind the endpoint, for as long as the document allows."""
        file = self.discovery["file"]["kubeConfigPath"]
        try:
            self.config = kubeconfig.Config.load(file)
        except (OSError, ValueError) as error:
            raise say.Failure(
                f"couldn't validate the identity of the API Server: failed to load {file}: {error}"
            ) from error
        if not self.config.certificate():
            raise say.Failure(
                f"couldn't validate the identity of the API Server: {file} holds no client certificate; the "
                "stand-in knows no other credentials for discovery by file"
            )
        self.api = kubeapi.Api(self.config)
        end = time.monotonic() + self.timeouts["discovery"]
        while True:
            try:
                self.api.get("/api/v1/namespaces/kube-public/configmaps/cluster-info")
                return
            except (dial.Unreachable, kubeapi.ApiError) as error:
                if isinstance(error, kubeapi.ApiError) and error.status == 403:
                    return  # the file is believed without a second look
                if time.monotonic() + DISCOVERY_RETRY > end:
                    raise say.Failure(f"couldn't validate the identity of the API Server: {error}") from error
            time.sleep(DISCOVERY_RETRY)

    def _can_host(self):
        problems = []
        if not self.cluster.get("controlPlaneEndpoint"):
            problems = [
                "unable to add a new control plane instance to a cluster that doesn't have a stable "
                "controlPlaneEndpoint address"
            ]
        elif not self.key:
            problems = self.files.certs.missing_shared()
        if problems:
            shown = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            raise say.Failure(SHARED_MISSING.format(shown))

    def prepare(self):
        """Certificates, kubeconfigs and static pods, all but etcd's."""
        folder = self.cluster["certificatesDir"]
        self.files.patches(self.patches)
        if self.key:
            sharedcerts.download(self.api, folder, self.key)
        say.out(f'[certs] Using certificateDir folder "{folder}"')
        for name in certs.LEAVES:
            if "local" in self.cluster["etcd"] or "etcd" not in name:
                self.files.certs.make(name)
        say.out(f'[certs] Valid certificates and keys now exist in "{folder}"')
        self.files.certs.service_accounts()
        say.out("[kubeconfig] Generating kubeconfig files")
        say.out(f'[kubeconfig] Using kubeconfig folder "{nodefiles.FOLDER}"')
        self.files.kubeconfigs(["admin.conf", "controller-manager.conf", "scheduler.conf"])
        self.files.control_plane()

    def check_etcd(self):
        """The members that are there must answer."""
        if "external" in self.cluster["etcd"]:
            say.out("[check-etcd] Skipping etcd check in external mode")
            return
        say.out("[check-etcd] Checking that the etcd cluster is healthy")
        joinetcd.check_health(self._members(), self.timeouts["etcdAPICall"])

    def _members(self):
        return joinetcd.client(self.api, self.files.certs, self.timeouts["etcdAPICall"])

    def kubelet_start(self):
        """The kubelet gets a kubeconfig to ask for its certificate with, its files, and is started."""
        text = kubeconfig.build(
            self.files.local_server(), "kubernetes", "tls-bootstrap-token-user", self.config.ca_pem, self.config.user
        )
        pki.write(node.path(registrar.BOOTSTRAP_CONF), text, 0o600)
        self._refuse_ready_node()
        nodefiles.service("stop")
        found = cluster.retry(
            lambda: self.api.get(f"{cluster.SYSTEM}/configmaps/kubelet-config"), self.timeouts["kubernetesAPICall"]
        )
        self.files.kubelet_config(found["data"]["kubelet"])
        self.files.kubelet_flags()
        say.out("[kubelet-start] Starting the kubelet")
        nodefiles.service("start")

    def _refuse_ready_node(self):
        name = self.node["name"]
        found = cluster.retry(lambda: self.api.find(f"/api/v1/nodes/{name}"), self.timeouts["kubernetesAPICall"]) or {}
        for condition in found.get("status", {}).get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] == "True":
                raise say.Failure(
                    f'a Node with name "{name}" and status "Ready" already exists in the cluster. You must delete '
                    "the existing Node or change the name of this new joining Node"
                )

    def etcd_join(self):
        """Announces this member, starts it, makes it a voter."""
        if "external" in self.cluster["etcd"]:
            say.out("[control-plane-join] Using external etcd - no local stacked instance added")
            return
        try:
            joinetcd.join(self._members(), self.files, self.timeouts["etcdAPICall"])
        except say.Failure as failure:
            raise say.Failure(f"error creating local etcd static pod manifest file: {failure}") from failure

    def wait_bootstrap(self):
        """Until the kubelet has its certificate; then the credentials it asked with are deleted."""
        waiting.kubelet(self.timeouts["kubeletHealthCheck"])
        say.out("[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap")
        end = time.monotonic() + self.timeouts["tlsBootstrap"]
        while not (
            os.path.exists(node.path(registrar.CLIENT_PEM)) and os.path.exists(node.path(registrar.KUBELET_CONF))
        ):
            if time.monotonic() > end:
                raise say.Failure("timed out waiting for the condition")
            time.sleep(waiting.POLL)
        os.unlink(node.path(registrar.BOOTSTRAP_CONF))

    def mark(self):
        """Labels and taints of the Node."""
        cluster.mark(self.api, self.node["name"], self.node["taints"], self.timeouts["kubernetesAPICall"])

    def wait(self):
        """Until this node's own control plane is healthy."""
        waiting.control_plane(self.files.local_server(), self.timeouts["controlPlaneComponentHealthCheck"])


NEW_MEMBER = "* A new etcd member was added to the local/stacked etcd cluster."
JOINED = """
This node has joined the cluster and a new control plane instance was created:

* Certificate signing request was sent to apiserver and approval was received.
* The Kubelet was informed of the new secure connection details.
* Control plane label and taint were applied to the new node.
* The Kubernetes control plane instances scaled up.
{etcd}

To start administering your cluster from this node, you need to run the following as a regular user:

\tmkdir -p $HOME/.kube
\tsudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
\tsudo chown $(id -u):$(id -g) $HOME/.kube/config

Run 'kubectl get nodes' to see this node join the cluster.
"""
