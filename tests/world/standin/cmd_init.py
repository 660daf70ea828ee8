"""`kubeadm init`: one machine becomes a cluster of one."""

import os
import time

from . import (
    addons,
    certs,
    cluster,
    cri,
    documents,
    keys,
    kubeconfig,
    node,
    nodefiles,
    options,
    phases,
    pki,
    preflight,
    registrar,
    say,
)
from . import sharedcerts, users, validation, waiting

TOKEN_TTL = "24h0m0s"
FINALIZE_TIMEOUT = 20.0  # seconds for the kubelet to have stored its certificate

# Whatever keeps the API server from serving: kubeadm names neither kubelet nor a container.
NO_ADMIN = (
    "cannot obtain client without bootstrap: could not bootstrap the admin user in file admin.conf: unable to create "
    "ClusterRoleBinding: client rate limiter Wait returned an error: context deadline exceeded"
)


class Init:
    """The data that the phases of one run share."""

    def __init__(self, flags, kinds):
        self.flags, self.kinds = flags, kinds
        given = kinds.get("InitConfiguration", {})
        self.cluster = documents.cluster(kinds)
        self.local = documents.local_endpoint(given.get("localAPIEndpoint"))
        self.node = documents.registration(given.get("nodeRegistration"))
        self.timeouts = documents.timeouts(given)
        self.skip = options.skipped(flags, given)
        documents.disable_skipped(self.cluster, self.skip)
        self.ignored = (self.node.get("ignorePreflightErrors") or []) + options.names(flags, "ignore-preflight-errors")
        self.tokens = given.get("bootstrapTokens") or [{"ttl": TOKEN_TTL}]
        for token in self.tokens:
            token.setdefault("token", cluster.new_token())
        self.key = given.get("certificateKey") or flags.get("certificate-key") or ""
        self.files = nodefiles.Files(self.cluster, self.local, self.node)
        self.kubelet_text = nodefiles.kubelet_defaults(kinds, self.cluster)
        self.api = None

    def run(self):
        """All phases in kubeadm's order."""
        validation.cluster(self.cluster)
        validation.node(self.node, self.local, self.key)
        preflight.supported(self.cluster["kubernetesVersion"])
        say.out(f"[init] Using Kubernetes version: {self.cluster['kubernetesVersion']}")
        cri.detect(self.node.get("criSocket"))
        keys.prepare(4, self.cluster["encryptionAlgorithm"])
        phases.run(
            "init",
            [
                ("preflight", self.preflight),
                ("certs", self.certs),
                ("kubeconfig", self.kubeconfig),
                ("etcd", self.etcd),
                ("control-plane", self.files.control_plane),
                ("kubelet-start", self.kubelet_start),
                ("wait-control-plane", self.wait),
                ("upload-config", self.upload_config),
                ("upload-certs", self.upload_certs),
                ("mark-control-plane", self.mark),
                ("bootstrap-token", self.bootstrap_token),
                ("kubelet-finalize", self.finalize),
                ("addon", self.addons),
                ("show-join-command", self.show),
            ],
            self.skip,
        )

    def preflight(self):
        """Checks, and the lines about images."""
        say.out("[preflight] Running pre-flight checks")
        checks = preflight.Checks(self.ignored)
        checks.root()

        version = self.cluster["kubernetesVersion"]
        preflight.control_plane(checks, self.cluster, self.local, lambda: preflight.common(checks, self.node, version))
        preflight.pull_images(self.cluster)

    def certs(self):
        """Certificates and keys; those of etcd only where etcd is ours."""
        say.out(f'[certs] Using certificateDir folder "{self.cluster["certificatesDir"]}"')
        ours = "local" in self.cluster["etcd"]
        for name in certs.INIT_ORDER:
            if f"certs/{name.replace('/', '-')}" in self.skip:
                continue
            if ours or "etcd" not in name:
                self.files.certs.make(name)
            else:
                what = "certificate authority" if name in certs.AUTHORITIES else "certificate"
                say.out(f"[certs] External etcd mode: Skipping {name} {what} generation")
        self.files.certs.service_accounts()

    def kubeconfig(self):
        """The five kubeconfig files."""
        say.out(f'[kubeconfig] Using kubeconfig folder "{nodefiles.FOLDER}"')
        self.files.kubeconfigs(nodefiles.CONFIGS)

    def etcd(self):
        """The static pod of a first member."""
        self.files.patches(self.kinds.get("InitConfiguration", {}).get("patches"))
        if "external" in self.cluster["etcd"]:
            return
        say.out('[etcd] Creating static Pod manifest for local etcd in "/etc/kubernetes/manifests"')
        self.files.etcd()

    def kubelet_start(self):
        """The kubelet's files, then its start."""
        nodefiles.service("stop")
        self.files.kubelet_flags()
        self.files.kubelet_config(self.kubelet_text)
        say.out("[kubelet-start] Starting the kubelet")
        nodefiles.service("start")

    def wait(self):
        """Until kubelet and control plane are healthy; only the local API server is used, never the endpoint."""
        say.out(
            "[wait-control-plane] Waiting for the kubelet to boot up the control plane as static Pods from directory "
            '"/etc/kubernetes/manifests"'
        )
        # The first thing that it does with the API server, before it looks whether kubelet runs at all.
        master = cluster.client("/etc/kubernetes/super-admin.conf", self.files.local_server())
        try:
            cluster.retry(lambda: cluster.bind_admins(master), self.timeouts["kubernetesAPICall"])
        except say.Failure as failure:
            raise say.Failure(NO_ADMIN) from failure
        waiting.kubelet(self.timeouts["kubeletHealthCheck"])
        waiting.control_plane(self.files.local_server(), self.timeouts["controlPlaneComponentHealthCheck"])

    def _client(self):
        if not self.api:
            self.api = cluster.client("/etc/kubernetes/admin.conf", self.files.local_server())
        return self.api

    def _apply(self, target, body):
        self._patiently(lambda api: api.apply(target, body))

    def _patiently(self, work):
        """Calls `work` with the API server until that has taken it."""
        cluster.retry(lambda: work(self._client()), self.timeouts["kubernetesAPICall"])

    def upload_config(self):
        """The two ConfigMaps that later commands read."""
        say.out(
            '[upload-config] Storing the configuration used in ConfigMap "kubeadm-config" '
            'in the "kube-system" Namespace'
        )
        maps = f"{cluster.SYSTEM}/configmaps"
        text = cluster.stored_form(self.cluster)
        self._apply(maps, cluster.config_map("kubeadm-config", {"ClusterConfiguration": text}))
        both = (cluster.BOOTSTRAPPERS, users.NODES)
        self._patiently(lambda api: cluster.allow_reading(api, "kubeadm:nodes-kubeadm-config", "kubeadm-config", *both))
        say.out(
            '[kubelet] Creating a ConfigMap "kubelet-config" in namespace kube-system with the configuration for the '
            "kubelets in the cluster"
        )
        self._apply(maps, cluster.config_map("kubelet-config", {"kubelet": self.kubelet_text}))
        self._patiently(lambda api: cluster.allow_reading(api, "kubeadm:kubelet-config", "kubelet-config", *both))

    def upload_certs(self):
        """The shared certificates, if asked for."""
        if not self.flags.get("upload-certs"):
            say.out("[upload-certs] Skipping phase. Please see --upload-certs")
            return
        self.key = self.key or sharedcerts.new_key()
        sharedcerts.upload(self._client(), self.cluster["certificatesDir"], self.key)

    def mark(self):
        """Labels and taints of the Node."""
        cluster.mark(self._client(), self.node["name"], self.node["taints"], self.timeouts["kubernetesAPICall"])

    def bootstrap_token(self):
        """The tokens and what an unknown node may read."""
        if not self.flags.get("skip-token-print"):
            shown = [each["token"] for each in self.tokens]
            say.out(
                f"[bootstrap-token] Using token: {shown[0]}"
                if len(shown) == 1
                else f"[bootstrap-token] Using tokens: [{' '.join(shown)}]"
            )
        say.out("[bootstrap-token] Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles")
        for each in self.tokens:
            cluster.save_token(self._client(), each["token"], documents.seconds(each.get("ttl") or TOKEN_TTL))
        self._patiently(cluster.allow_bootstrapping)
        cluster.say_what_is_allowed()
        say.out('[bootstrap-token] Creating the "cluster-info" ConfigMap in the "kube-public" namespace')
        ca = pki.cert_pem(self.files.certs.authority("ca")[0])
        cluster.cluster_info(self._client(), self.files.endpoint_server(), ca)
        self._patiently(cluster.allow_cluster_info)

    def finalize(self):
        """kubelet.conf names the kubelet's own certificate from now on."""
        say.out(
            '[kubelet-finalize] Updating "/etc/kubernetes/kubelet.conf" to point to a rotatable kubelet client '
            "certificate and key"
        )
        end = time.monotonic() + FINALIZE_TIMEOUT
        while not os.path.exists(node.path(registrar.CLIENT_PEM)):
            if time.monotonic() > end:
                raise say.Failure(f"rotated kubelet client certificate {registrar.CLIENT_PEM} not found")
            time.sleep(waiting.POLL)
        before = kubeconfig.Config.load(registrar.KUBELET_CONF)
        text = kubeconfig.build(
            before.server,
            self.cluster["clusterName"],
            f"system:node:{self.node['name']}",
            before.ca_pem,
            kubeconfig.linked(registrar.CLIENT_PEM),
        )
        pki.write(node.path(registrar.KUBELET_CONF), text, 0o600)

    def addons(self):
        """The two addons, unless they are left out."""
        for name in ("coredns", "kube-proxy"):
            if not addons.disabled(self.cluster, name):
                self._patiently(lambda api, name=name: addons.apply(api, self.cluster, name))

    def show(self):
        """What to do next, with the join commands."""
        say.out(closing(self, hide=bool(self.flags.get("skip-token-print"))))


def closing(init, hide):
    """kubeadm's last words after init."""
    token = "<value withheld>" if hide else init.tokens[0]["token"]
    key = "<value withheld>" if init.flags.get("skip-certificate-key-print") else init.key
    ca = pki.spki_hash(init.files.certs.authority("ca")[0])
    endpoint = documents.endpoint_of(init.cluster, init.local)
    join = f"kubeadm join {endpoint} --token {token} \\\n\t--discovery-token-ca-cert-hash sha256:{ca} "
    parts = [_INITIALISED]
    if init.flags.get("upload-certs"):
        parts.append(
            f"{_MORE} running the following command on each as root:\n\n  {join}\\\n\t--control-plane "
            f"--certificate-key {key}\n\n{_KEY}\n"
        )
    elif init.cluster.get("controlPlaneEndpoint"):
        parts.append(
            f"{_MORE} by copying certificate authorities\nand service account keys on each node and then running "
            f"the following as root:\n\n  {join}\\\n\t--control-plane \n"
        )
    parts.append(f"Then you can join any number of worker nodes by running the following on each as root:\n\n{join}")
    return "\n".join(parts)


_MORE = "You can now join any number of control-plane nodes"
_INITIALISED = """
Your Kubernetes control-plane has initialized successfully!

To start using your cluster, you need to run the following as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

Alternatively, if you are the root user, you can run:

  export KUBECONFIG=/etc/kubernetes/admin.conf

You should now deploy a pod network to the cluster.
Run "kubectl apply -f [podnetwork].yaml" with one of the options listed at:
  https://kubernetes.io/docs/concepts/cluster-administration/addons/
"""
_KEY = """Please note that the certificate-key gives access to cluster sensitive data, keep it secret!
As a safeguard, uploaded-certs will be deleted in two hours; If necessary, you can use
"kubeadm init phase upload-certs --upload-certs" to reload certs afterward."""
