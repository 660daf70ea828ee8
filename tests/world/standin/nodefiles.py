"""The files of a control-plane node beside its certificates: kubeconfigs, static pods, the kubelet's configuration."""

import datetime
import os

import yaml

from . import certs, control, cri, documents, keys, kubeconfig, manifests, node, pki, say

FOLDER = "/etc/kubernetes"
KUBELET = "/var/lib/kubelet"
# file: (user, group, goes to the local API server instead of the endpoint)
CONFIGS = {
    "admin.conf": ("kubernetes-admin", "kubeadm:cluster-admins", False),
    "super-admin.conf": ("kubernetes-super-admin", "system:masters", False),
    "kubelet.conf": ("system:node:{name}", "system:nodes", True),
    "controller-manager.conf": ("system:kube-controller-manager", None, True),
    "scheduler.conf": ("system:kube-scheduler", None, True),
}


class Files:
    """Everything kubeadm writes on one node for one cluster."""

    def __init__(self, clustering, local, registration):
        self.cluster, self.local, self.registration = clustering, local, registration
        self.certs = certs.Maker(clustering, local, registration["name"])

    def local_server(self):
        """The URL of this node's own API server."""
        return f"https://{node.bracketed(self.local['advertiseAddress'])}:{self.local['bindPort']}"

    def endpoint_server(self):
        """The URL of the control-plane endpoint."""
        return "https://" + documents.endpoint_of(self.cluster, self.local)

    def user_config(self, user, group, server, life=None):
        """A kubeconfig for a user, with a certificate that the cluster's CA on this node signs; `life` a timedelta."""
        ca = self.certs.authority("ca")
        key = keys.leaf()
        given = datetime.timedelta(seconds=documents.seconds(self.cluster["certificateValidityPeriod"]))
        cert = pki.sign(ca, pki.name(user, group), key.public_key(), (pki.CLIENT,), life=life or given)
        return kubeconfig.build(
            server,
            self.cluster["clusterName"],
            user,
            pki.cert_pem(ca[0]),
            kubeconfig.embedded(pki.cert_pem(cert), keys.pem(key)),
        )

    def kubeconfigs(self, names, folder=FOLDER):
        """Writes kubeconfig files, or says that they are there."""
        for name in names:
            file = f"{folder}/{name}"
            if os.path.exists(node.path(file)):
                say.out(f'[kubeconfig] Using existing kubeconfig file: "{file}"')
                continue
            say.out(f'[kubeconfig] Writing "{name}" kubeconfig file')
            user, group, near = CONFIGS[name]
            server = self.local_server() if near else self.endpoint_server()
            text = self.user_config(user.format(name=self.registration["name"]), group, server)
            pki.write(node.path(file), text, 0o600)

    def patches(self, given):
        """Looks into the folder of patches that a document names. Raises say.Failure where there is none."""
        folder = (given or {}).get("directory")
        if folder and not os.path.isdir(node.path(folder)):
            raise say.Failure(
                f'could not list patch files for path "{folder}": lstat {folder}: no such file or directory'
            )

    def control_plane(self, only=None):
        """Writes the static pods of the control plane proper, or one of them."""
        say.out(f'[control-plane] Using manifest folder "{manifests.FOLDER}"')
        pods = {
            "kube-apiserver": manifests.api_server(self.cluster, self.local),
            "kube-controller-manager": manifests.controller_manager(self.cluster),
            "kube-scheduler": manifests.scheduler(self.cluster),
        }
        for name, pod in pods.items():
            if only not in (None, name):
                continue
            say.out(f'[control-plane] Creating static Pod manifest for "{name}"')
            manifests.write(name, pod)

    def etcd(self, members=()):
        """Writes the static pod of etcd and makes its data folder."""
        os.makedirs(node.path(self.cluster["etcd"]["local"]["dataDir"]), mode=0o700, exist_ok=True)
        manifests.write("etcd", manifests.etcd(self.cluster, self.local, self.registration["name"], members))

    def kubelet_flags(self, with_taints=False):
        """Writes the file that the kubelet's unit reads its flags from; a worker registers with its taints by itself."""
        say.out(f'[kubelet-start] Writing kubelet environment file with flags to file "{KUBELET}/kubeadm-flags.env"')
        flags = {}
        if self.registration["name"] != node.host_name():
            flags["hostname-override"] = self.registration["name"]
        if with_taints and self.registration["taints"]:
            shown = [f"{each['key']}={each.get('value', '')}:{each['effect']}" for each in self.registration["taints"]]
            flags["register-with-taints"] = ",".join(shown)
        for each in self.registration.get("kubeletExtraArgs") or []:
            flags[each["name"]] = each["value"]
        text = " ".join(f"--{key}={value}" for key, value in sorted(flags.items()))
        pki.write(node.path(f"{KUBELET}/kubeadm-flags.env"), f'KUBELET_KUBEADM_ARGS="{text}"\n', 0o644)

    def kubelet_config(self, text):
        """Writes the cluster's kubelet configuration with this node's own part."""
        socket = cri.detect(self.registration.get("criSocket"))
        say.out(f'[kubelet-start] Writing kubelet configuration to file "{KUBELET}/instance-config.yaml"')
        own = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": socket,
        }
        pki.write(node.path(f"{KUBELET}/instance-config.yaml"), yaml.safe_dump(own), 0o644)
        say.out(
            '[patches] Applied patch of type "application/strategic-merge-patch+json" to target "kubeletconfiguration"'
        )
        say.out(f'[kubelet-start] Writing kubelet configuration to file "{KUBELET}/config.yaml"')
        pki.write(node.path(f"{KUBELET}/config.yaml"), for_this_machine(text, socket), 0o644)


def for_this_machine(text, cri_socket):
    """The cluster's kubelet configuration with what is this machine's own; without a socket, with the one that there is."""
    return yaml.safe_dump({**yaml.safe_load(text), "containerRuntimeEndpoint": cri_socket or cri.detect(None)})


def kubelet_defaults(kinds, clustering):
    """The kubelet configuration of a new cluster: the given document, completed."""
    given = kinds.get("KubeletConfiguration", {})
    return yaml.safe_dump(
        {
            "cgroupDriver": "systemd",
            "clusterDNS": ["10.96.0.10"],
            "clusterDomain": clustering["networking"]["dnsDomain"],
            "rotateCertificates": True,
            "staticPodPath": manifests.FOLDER,
            "healthzBindAddress": "127.0.0.1",
            "healthzPort": 10248,
            "authentication": {"x509": {"clientCAFile": f"{clustering['certificatesDir']}/ca.crt"}},
            **given,
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
        }
    )


def service(verb):
    """Tells systemd about the kubelet. A node without a supervisor has none, which the health check will find."""
    try:
        control.ask(verb=verb, unit="kubelet")
    except control.NoSupervisor as error:
        say.warn("kubelet.go:72", f"[kubelet-start] WARNING: unable to {verb} the kubelet service: [{error}]")
