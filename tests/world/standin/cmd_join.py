"""`kubeadm join` of a control-plane node or a worker, with discovery by a kubeconfig file."""

import os
import time

from . import certs, cluster, cri, discovery, documents, joinetcd, keys, kubeapi, kubeconfig, node, nodefiles, options
from . import phases, pki, preflight, registrar, say, sharedcerts, validation, waiting

CA_PATH = "/etc/kubernetes/pki/ca.crt"
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
        self.is_worker = given.get("controlPlane") is None
        control = given.get("controlPlane") or {}
        self.discovery, self.patches = given.get("discovery") or {}, given.get("patches")
        self.ca_path = given.get("caCertPath") or CA_PATH
        self.local = documents.local_endpoint(control.get("localAPIEndpoint"))
        self.key = control.get("certificateKey") or ""
        self.node = documents.registration(given.get("nodeRegistration"), control_plane=not self.is_worker)
        self.timeouts = documents.timeouts(given)
        self.skip = options.skipped(flags, given)
        self.ignored = (self.node.get("ignorePreflightErrors") or []) + options.names(flags, "ignore-preflight-errors")
        self.cluster = self.config = self.api = self.files = self.kubelet_text = None

    def run(self):
        """All phases in kubeadm's order."""
        validation.discovery(self.discovery)
        validation.ca_path(self.ca_path)
        validation.node(self.node, self.local, self.key)
        if self.discovery.get("bootstrapToken"):
            raise say.Failure("the stand-in knows discovery by file only: set discovery.file in the JoinConfiguration")
        cri.detect(self.node.get("criSocket"))
        phases.run(
            "join",
            [
                ("preflight", self.preflight),
                ("control-plane-prepare", self._of_control_plane(self.prepare)),
                ("check-etcd", self._of_control_plane(self.check_etcd)),
                ("kubelet-start", self.kubelet_start),
                ("etcd-join", self._of_control_plane(self.etcd_join)),
                ("kubelet-wait-bootstrap", self.wait_bootstrap),
                ("control-plane-join", self._of_control_plane(self.mark)),
                ("wait-control-plane", self._of_control_plane(self.wait)),
            ],
            self.skip,
        )
        if self.is_worker:
            say.out(JOINED_WORKER)
        else:
            say.out(JOINED.format(etcd=NEW_MEMBER if "local" in self.cluster["etcd"] else ""))

    def _of_control_plane(self, work):
        """A phase of control-plane nodes, of which a worker says nothing."""
        return (lambda: None) if self.is_worker else work

    def preflight(self):
        """Local checks, discovery, the cluster's configuration, then the checks of a control-plane node."""
        say.out("[preflight] Running pre-flight checks")
        checks = preflight.Checks(self.ignored)
        preflight.join(checks, self.node, self.ca_path if self.is_worker else None)
        self.config = discovery.find(self.discovery, self.timeouts["discovery"])
        self.api = kubeapi.Api(self.config)
        try:
            self.cluster = cluster.fetch(self.api, "preflight")
            self.kubelet_text = cluster.fetch_components(self.api)
        except say.Failure as failure:
            raise say.Failure(f"unable to fetch the kubeadm-config ConfigMap: {failure}") from failure
        preflight.supported(self.cluster["kubernetesVersion"])
        keys.algorithm = self.cluster["encryptionAlgorithm"]
        self.files = nodefiles.Files(self.cluster, self.local, self.node)
        if self.is_worker:
            return
        self._can_host()
        say.out("[preflight] Running pre-flight checks before initializing the new control plane instance")
        preflight.control_plane(checks, self.cluster, self.local)
        preflight.pull_images(self.cluster)

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
        server = self.config.server if self.is_worker else self.files.local_server()
        named = (server, self.cluster["clusterName"], self.config.user_name, self.config.ca_pem, self.config.user)
        pki.write(node.path(registrar.BOOTSTRAP_CONF), kubeconfig.build(*named), 0o600)
        if not os.path.exists(node.path(self.ca_path)):
            pki.write(node.path(self.ca_path), self.config.ca_pem, 0o644)
        self._refuse_ready_node()
        nodefiles.service("stop")
        self.files.kubelet_config(self.kubelet_text)
        self.files.kubelet_flags(with_taints=self.is_worker)
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
        try:
            waiting.kubelet(self.timeouts["kubeletHealthCheck"])
            say.out("[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap")
            end = time.monotonic() + self.timeouts["tlsBootstrap"]
            while not (
                os.path.exists(node.path(registrar.CLIENT_PEM)) and os.path.exists(node.path(registrar.KUBELET_CONF))
            ):
                if time.monotonic() > end:
                    raise say.Failure("context deadline exceeded")
                time.sleep(waiting.POLL)
        except say.Failure as failure:
            say.out(NOT_JOINED.format(failure))
            raise
        finally:
            if os.path.exists(node.path(registrar.BOOTSTRAP_CONF)):
                os.unlink(node.path(registrar.BOOTSTRAP_CONF))

    def mark(self):
        """Labels and taints of the Node."""
        cluster.mark(self.api, self.node["name"], self.node["taints"], self.timeouts["kubernetesAPICall"])

    def wait(self):
        """Until this node's own control plane is healthy."""
        waiting.control_plane(self.files.local_server(), self.timeouts["controlPlaneComponentHealthCheck"])


NOT_JOINED = """
Unfortunately, an error has occurred:
\t{}

This error is likely caused by:
\t- The kubelet is not running
\t- The kubelet is unhealthy due to a misconfiguration of the node in some way (required cgroups disabled)

If you are on a systemd-powered system, you can try to troubleshoot the error with the following commands:
\t- 'systemctl status kubelet'
\t- 'journalctl -xeu kubelet'
"""
JOINED_WORKER = """
This node has joined the cluster:
* Certificate signing request was sent to apiserver and a response was received.
* The Kubelet was informed of the new secure connection details.

Run 'kubectl get nodes' on the control-plane to see this node join the cluster.
"""
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
